//! Rows that go straight into an empty table: batches without rows, triggers that talk or leave rows out, slow streams.

use std::time::Instant;

use evenkeel::engine::driver::{ApplyProgress, Driver, Flow, RowStream};
use evenkeel::model::table::NeutralType::Int4;
use evenkeel::wire::row::RowBatch;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::database;
use crate::engine::work::{apply, counts, job, stream, table};
use crate::support::{postgres, wait};

const PLAIN: &str = "create table t (id int primary key, s text)";

/// The items of `whole`, each with a batch without rows before it.
async fn with_gaps(mut whole: RowStream) -> RowStream {
    let (sender, receiver) = mpsc::channel(100);
    while let Some(item) = whole.recv().await {
        sender
            .try_send(Ok(Flow::Rows(RowBatch::default())))
            .unwrap();
        sender.try_send(item).unwrap();
    }
    receiver
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_without_rows_hold_nothing_up() {
    for before in ["", "insert into t values (5, 'here')"] {
        let (url, site) = database(&format!("{PLAIN}; {before}")).await;
        let rows = with_gaps(stream(Int4, &[(1, Some("a")), (2, None)], 1)).await;
        let job = job(&table(&site, "t").await, 100);
        let applied = timeout(wait::LONG, apply(&site, job, rows)).await;
        assert_eq!(counts(&applied.unwrap().unwrap()), (2, 0, 0, 0), "{before}");
        assert_eq!(
            postgres::query(&url, "select count(*) from t where id < 5"),
            "2"
        );
    }
}

const TRIGGER: &str = "
create function f() returns trigger language plpgsql as $$
begin
  BODY
  return new;
end $$;
create trigger tr before insert or update on t for each row execute function f()";

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_that_says_something_of_every_row_stops_nothing() {
    let body = "raise warning '%', repeat('x', 8000);";
    let trigger = TRIGGER.replace("BODY", body);
    let (_url, site) = database(&format!("{PLAIN}; {trigger}")).await;
    let rows: Vec<_> = (1..=5_000).map(|id| (id, Some("fine"))).collect();
    let job = job(&table(&site, "t").await, 100_000);
    let applied = timeout(wait::LONG, apply(&site, job, stream(Int4, &rows, 5_000))).await;
    assert_eq!(counts(&applied.unwrap().unwrap()), (5_000, 0, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_a_trigger_or_a_rule_leaves_out_are_refused_by_key() {
    let trigger = TRIGGER.replace("BODY", "if new.id in (3, 50) then return null; end if;");
    let rule = "create rule r as on insert to t where new.id in (3, 50) do instead nothing";
    for (name, schema, refused) in [
        ("into an empty table", trigger.clone(), &["3", "50"][..]),
        (
            "among others",
            format!("{trigger}; insert into t values (4, 'here')"),
            &["3", "50"],
        ),
        (
            "an update",
            format!("insert into t values (3, 'here'); {trigger}"),
            &["3", "50"],
        ),
        ("by a rule", rule.to_owned(), &["3", "50"]),
    ] {
        let (url, site) = database(&format!("{PLAIN}; {schema}")).await;
        let rows: Vec<_> = (1..=60).map(|id| (id, Some("new"))).collect();
        let applied = apply(
            &site,
            job(&table(&site, "t").await, 1_000),
            stream(Int4, &rows, 25),
        );
        let applied = applied.await.unwrap();
        let mut found: Vec<&str> = applied
            .rejected
            .iter()
            .map(|row| row.key["id"].as_str().unwrap())
            .collect();
        found.sort_unstable();
        assert_eq!(found, refused, "{name}");
        assert!(
            applied.rejected[0].reason.contains("trigger"),
            "{name}: {:?}",
            applied.rejected
        );
        assert_eq!(
            postgres::query(&url, "select count(*) from t where s = 'new'"),
            "58",
            "{name}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_stream_into_an_empty_table_keeps_nobody_waiting() {
    let (url, site) = database(PLAIN).await;
    let (sender, rows) = mpsc::channel(10);
    let job = job(&table(&site, "t").await, 1_000_000);
    let (progress, mut told) = watch::channel(ApplyProgress::default());
    let feed = async {
        let (begun, mut id) = (Instant::now(), 0);
        // Row by row, so that the copy is never ended for want of rows, nor because it is full.
        while told.borrow_and_update().rows_committed == 0 {
            id += 1;
            let mut one = stream(Int4, &[(id, None)], 1);
            sender.send(one.recv().await.unwrap()).await.unwrap();
            told.changed().await.unwrap();
            assert!(begun.elapsed() < wait::LONG, "nothing is committed");
        }
        assert_ne!(postgres::query(&url, "select count(*) from t"), "0");
        sender.send(Ok(Flow::End)).await.unwrap();
        id
    };
    let (applied, sent) = tokio::join!(site.apply(job, rows, progress), feed);
    assert_eq!(applied.unwrap().changes.added, u64::try_from(sent).unwrap());
}
