//! Somebody else at work in the databases while rows move.

use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use evenkeel::engine::EngineError;
use evenkeel::engine::driver::{
    ApplyProgress, CHANNEL_BATCHES, Flow, RowFilter, RowOrder, RowStream, Selection,
};
use evenkeel::wire::scope::Scope;
use tokio::sync::{mpsc, watch};

use super::{KINDS, Plan, Row, Site, batch, pull};
use crate::engine::work::outcome;
use crate::support::database::Kind;
use crate::support::{mariadb, wait};

/// Nobody waits longer for a pull.
const PATIENCE: Duration = Duration::from_secs(2);

const BETWEEN_WRITES: Duration = Duration::from_millis(20);

fn text_row(id: i32, text: &str) -> Row {
    vec![
        Some(id.to_be_bytes().to_vec()),
        Some(text.as_bytes().to_vec()),
    ]
}

/// The key as the destination has it: SQLite's integers have eight bytes.
fn fit(kind: Kind, mut row: Row) -> Row {
    if kind == Kind::Sqlite {
        let id = i32::from_be_bytes(row[0].as_deref().unwrap().try_into().unwrap());
        row[0] = Some(i64::from(id).to_be_bytes().to_vec());
    }
    row
}

/// Batches of about a mebibyte, one per tick.
fn slow(kind: Kind, batches: i32, tick: Duration) -> RowStream {
    let (sender, receiver) = mpsc::channel(1);
    #[expect(clippy::disallowed_methods, reason = "the task ends with its channel")]
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(tick);
        for number in 0..batches {
            ticks.tick().await;
            let text = "x".repeat(1_000);
            let rows: Vec<Row> = (0..1_000)
                .map(|at| fit(kind, text_row(number * 1_000 + at, &text)))
                .collect();
            let _ = sender.send(Ok(Flow::Rows(batch(&rows)))).await;
        }
        let _ = sender.send(Ok(Flow::End)).await;
    });
    receiver
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_neither_waits_for_a_slow_pull_nor_loses_what_it_writes() {
    let [one, other, third] = KINDS.map(beside_an_application);
    tokio::join!(one, other, third);
}

async fn beside_an_application(kind: Kind) {
    let schema = "create table t (id int primary key, s text, mine int default 0)";
    let site = Site::with(
        kind,
        &format!("{schema}; insert into t values (5, 'old', 0)"),
    )
    .await;
    let database = Arc::new(site.database);
    let (done, is_done) = std::sync::mpsc::sync_channel::<()>(1);
    let application = tokio::task::spawn_blocking({
        let database = Arc::clone(&database);
        move || {
            let (mut writes, mut longest) = (0_u32, Duration::ZERO);
            // As busy as an application is: a few dozen writes a second.
            while is_done.recv_timeout(BETWEEN_WRITES) == Err(RecvTimeoutError::Timeout) {
                let begun = Instant::now();
                database.execute("update t set mine = mine + 1 where id = 5");
                database.execute(&format!(
                    "insert into t values (1000000 + {writes}, 'mine', 1)"
                ));
                longest = longest.max(begun.elapsed());
                writes += 1;
            }
            (writes, longest)
        }
    });
    let table = site
        .driver
        .table(&"t".parse().unwrap())
        .await
        .unwrap()
        .unwrap();
    let mut job = Plan::empty(&table).job();
    job.columns.truncate(2);
    let rows = slow(kind, 20, Duration::from_millis(250));
    let applied = site
        .driver
        .apply(job, rows, watch::channel(ApplyProgress::default()).0)
        .await;
    drop(done);
    let (writes, longest) = application.await.unwrap();
    let changes = applied.unwrap().changes;
    assert_eq!((changes.added, changes.updated), (19_999, 1));
    assert!(
        writes > 0 && longest < PATIENCE,
        "{kind:?}: one of {writes} writes waited {longest:?}"
    );
    assert_eq!(
        database.query("select mine, length(s) from t where id = 5"),
        format!("{writes}|1000")
    );
    assert_eq!(
        database.query("select count(*) from t where id >= 1000000"),
        writes.to_string()
    );
    println!("{kind:?}: the longest of {writes} writes beside a pull took {longest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_altered_between_two_transactions_takes_nothing_it_would_change() {
    for (kind, alteration) in [
        (Kind::Postgres, "alter table t alter n type numeric(12,1)"),
        (
            Kind::Postgres,
            "alter table t alter s type varchar(1) using 'x'",
        ),
        (Kind::Postgres, "alter table t drop column s"),
        (
            Kind::Postgres,
            "alter table t rename to moved; create table t (id int primary key, n numeric(12,1), s text)",
        ),
        (Kind::Sqlite, "alter table t rename column s to other"),
        (Kind::Sqlite, "alter table t drop column s"),
        (Kind::Mariadb, "alter table t modify n decimal(12,1)"),
        (Kind::Mariadb, "alter table t drop column s"),
        (
            Kind::Mariadb,
            "rename table t to moved; create table t (id int primary key, n decimal(12,1), s text)",
        ),
    ] {
        let site = Site::with(
            kind,
            "create table t (id int primary key, n numeric(12,4), s text); insert into t values (9, 9, 9)",
        )
        .await;
        let table = site.table("t").await;
        let mut job = Plan::empty(&table).job();
        job.budget.transaction_rows = 1;
        let (sender, rows) = mpsc::channel(CHANNEL_BATCHES);
        let (progress, mut watched) = watch::channel(ApplyProgress::default());
        let row = |id: i32| {
            let number = evenkeel::wire::numeric::encode("1.2345").unwrap();
            let mut row = text_row(id, "a  ");
            row.insert(1, Some(number));
            Ok(Flow::Rows(batch(&[fit(kind, row)])))
        };
        let feeding = async {
            sender.send(row(1)).await.unwrap();
            let committed = watched.wait_for(|progress| progress.rows_committed == 1);
            tokio::time::timeout(wait::LONG, committed)
                .await
                .unwrap()
                .unwrap();
            site.database.execute(alteration);
            for item in [row(2), Ok(Flow::End)] {
                let _ = sender.send(item).await;
            }
        };
        let (applied, ()) = tokio::join!(site.driver.apply(job, rows, progress), feeding);
        assert!(
            matches!(applied, Err(EngineError::SchemaChanged(_))),
            "{alteration}: {applied:?}"
        );
        assert_eq!(
            site.database.query("select count(*) from t where id = 2"),
            "0",
            "{alteration}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_altered_while_it_is_read_gives_the_rows_of_its_snapshot_or_none() {
    for kind in KINDS {
        let schema = "create table t (id int primary key, s text)";
        let fill = match kind {
            Kind::Mariadb => "insert into t select seq, repeat('0123456789 ', 8) from seq_1_to_40000",
            _ => "insert into t with recursive n (id) as (select 1 union all select id + 1 from n where id < 40000)
                    select id, '0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789' from n",
        };
        let source = Site::with(kind, &format!("{schema}; {fill}")).await;
        let table = source.table("t").await;
        let columns = table
            .columns
            .iter()
            .map(|column| (column.name.clone(), column.kind));
        let selection = Selection {
            table: table.name.clone(),
            columns: columns.collect(),
            rows: RowFilter::All,
            scope: Scope::default(),
            order: RowOrder::Found,
            page: None,
        };
        let stream = source.driver.read(selection).await.unwrap();
        let alteration = match kind {
            // It waits for the reader, and gives up.
            Kind::Postgres => {
                "set lock_timeout = '200ms'; \\set ON_ERROR_STOP off \n alter table t drop column s; delete from t where id < 9"
            }
            Kind::Sqlite => "delete from t where id < 9; alter table t drop column s",
            Kind::Mariadb => "delete from t where id < 9",
        };
        source.database.execute(alteration);
        if kind == Kind::Mariadb {
            // It waits for the reader too.
            let drop_column = "set lock_wait_timeout = 1; alter table t drop column s";
            drop(mariadb::try_query(&source.database.url(), drop_column));
        }
        match outcome(stream).await {
            Ok(batches) => {
                let rows: u32 = batches.iter().map(|batch| batch.rows).sum();
                assert_eq!(rows, 40_000, "{kind:?}");
            }
            // It was seen to wait.
            Err(err) => assert!(matches!(err, EngineError::Yielded), "{kind:?}: {err}"),
        }
        let site = Site::with(kind, schema).await;
        let again = pull(&source, &site, "t").await.unwrap().1;
        assert_eq!(again.applied.rows, 39_992, "{kind:?}");
    }
}
