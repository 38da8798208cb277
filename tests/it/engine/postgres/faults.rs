//! What happens to rows that do not fit, to cut streams, and when the database goes away.

use evenkeel::engine::EngineError;
use evenkeel::engine::driver::{ApplyProgress, Driver, Flow};
use evenkeel::model::table::NeutralType::Int4;
use evenkeel::wire::row::RowWriter;
use tokio::sync::{mpsc, watch};

use super::{database, driver};
use crate::engine::work::{apply, counts, endless, job, numbered, stream, table};
use crate::support::{postgres, wait};

/// An empty destination takes rows straight, any other through the stage.
const BEFORE: [&str; 2] = ["", "insert into t values (5000, 'here')"];
const PLAIN: &str = "create table t (id int primary key, s text)";

/// Sessions with an open transaction, and temporary tables.
fn leftovers(url: &str) -> String {
    postgres::query(
        url,
        "select (select count(*) from pg_stat_activity where application_name = 'evenkeel'
                   and datname = current_database() and xact_start is not null)
              + (select count(*) from pg_class where relname like 'evenkeel%')",
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_do_not_fit_are_refused_by_key_and_all_others_written() {
    for before in BEFORE {
        let schema =
            "create table t (id int primary key, s varchar(8) not null check (s <> 'bad'))";
        let (url, site) = database(&format!("{schema}; {before}")).await;
        let mut incoming = numbered(1..=200);
        incoming[16] = (17, Some("bad"));
        incoming[98] = (99, None);
        incoming[199] = (200, Some("much too long"));
        let applied = apply(
            &site,
            job(&table(&site, "t").await, 70),
            stream(Int4, &incoming, 30),
        )
        .await
        .unwrap();
        assert_eq!((applied.rows, counts(&applied)), (200, (197, 0, 0, 0)));
        let mut rejected: Vec<(String, Option<&str>)> = applied
            .rejected
            .iter()
            .map(|row| {
                (
                    row.key["id"].as_str().unwrap().to_owned(),
                    row.column.as_deref(),
                )
            })
            .collect();
        rejected.sort();
        let expected = [("17", None), ("200", Some("s")), ("99", Some("s"))];
        assert_eq!(
            rejected,
            expected.map(|(key, column)| (key.to_owned(), column))
        );
        assert!(
            applied
                .rejected
                .iter()
                .any(|row| row.reason.contains("t_s_check"))
        );
        assert_eq!(
            postgres::query(&url, "select count(*) from t where id <= 200"),
            "197"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn more_refused_rows_than_allowed_fail_the_table_with_the_first_reasons() {
    let (url, site) =
        database("create table t (id int primary key, s text check (s <> 'bad'))").await;
    let incoming: Vec<_> = (1..=60)
        .map(|id| (id, Some(if id > 20 { "bad" } else { "fine" })))
        .collect();
    let mut job = job(&table(&site, "t").await, 10);
    job.budget.quarantine_rows = 12;
    let err = apply(&site, job, stream(Int4, &incoming, 5))
        .await
        .unwrap_err();
    let EngineError::TooManyRejected { limit, first, .. } = &err else {
        panic!("{err}")
    };
    assert_eq!(*limit, 12);
    assert_eq!(first.matches("t_s_check").count(), 10, "{first}");
    assert!(first.contains("{\"id\":\"21\"}"), "{first}");
    assert_eq!(postgres::query(&url, "select count(*) from t"), "20");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_stream_leaves_whole_transactions_and_says_that_it_was_cut() {
    for before in BEFORE {
        let (url, site) = database(&format!("{PLAIN}; {before}")).await;
        let (sender, rows) = endless(stream(Int4, &numbered(1..=95), 5)).await;
        drop(sender);
        let err = apply(&site, job(&table(&site, "t").await, 20), rows)
            .await
            .unwrap_err();
        assert!(matches!(err, EngineError::Cut(_)), "{err}");
        assert_eq!(
            postgres::query(&url, "select count(*) from t where id < 5000"),
            "80"
        );
        wait::until("the session is gone", wait::LONG, || {
            (leftovers(&url) == "0").then_some(())
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_of_the_source_is_passed_on_and_nothing_half_done_stays() {
    let (url, site) = database(PLAIN).await;
    let (sender, rows) = endless(stream(Int4, &numbered(1..=5), 5)).await;
    sender
        .try_send(Err(EngineError::Lost("the link".into())))
        .unwrap();
    let err = apply(&site, job(&table(&site, "t").await, 100), rows)
        .await
        .unwrap_err();
    assert!(matches!(err, EngineError::Lost(message) if message == "the link"));
    assert_eq!(postgres::query(&url, "select count(*) from t"), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_stream_keeps_no_transaction_open() {
    let (url, site) = database(PLAIN).await;
    let (sender, rows) = endless(stream(Int4, &numbered(1..=5), 5)).await;
    let (progress, mut told) = watch::channel(ApplyProgress::default());
    let work = site.apply(job(&table(&site, "t").await, 100), rows, progress);
    let watched = async {
        told.wait_for(|progress| progress.rows_committed == 5)
            .await
            .unwrap();
        assert_eq!(postgres::query(&url, "select count(*) from t"), "5");
        sender.send(Ok(Flow::End)).await.unwrap();
    };
    let (applied, ()) = tokio::time::timeout(wait::LONG, async { tokio::join!(work, watched) })
        .await
        .unwrap();
    assert_eq!(counts(&applied.unwrap()), (5, 0, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_ends_the_work_and_the_next_attempt_completes_it() {
    for before in BEFORE {
        let (url, site) = database(&format!("{PLAIN}; {before}")).await;
        let (sender, rows) = endless(stream(Int4, &numbered(1..=450), 10)).await;
        let (progress, mut told) = watch::channel(ApplyProgress::default());
        let work = site.apply(job(&table(&site, "t").await, 100), rows, progress);
        let kill = async {
            told.wait_for(|progress| progress.rows_taken == 450)
                .await
                .unwrap();
            let backends = "select pg_terminate_backend(pid) from pg_stat_activity
                where application_name = 'evenkeel' and datname = current_database()";
            postgres::query(&url, backends);
            sender.send(Ok(Flow::End)).await.unwrap();
        };
        let (result, ()) = tokio::time::timeout(wait::LONG, async { tokio::join!(work, kill) })
            .await
            .unwrap();
        let err = result.unwrap_err();
        assert!(matches!(err, EngineError::Lost(_)), "{err}");
        assert_eq!(
            postgres::query(&url, "select count(*) from t where id < 5000"),
            "400"
        );
        let rows = stream(Int4, &numbered(1..=1_000), 10);
        let applied = apply(&site, job(&table(&site, "t").await, 100), rows)
            .await
            .unwrap();
        assert_eq!(counts(&applied), (600, 0, 0, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_the_call_leaves_only_whole_transactions_and_nothing_else() {
    for before in BEFORE {
        let (url, site) = database(&format!("{PLAIN}; {before}")).await;
        let (_sender, rows) = endless(stream(Int4, &numbered(1..=150), 10)).await;
        let (progress, mut told) = watch::channel(ApplyProgress::default());
        let work = site.apply(job(&table(&site, "t").await, 100), rows, progress);
        tokio::select! {
            result = work => panic!("{result:?}"),
            told = told.wait_for(|progress| progress.rows_taken == 150) => drop(told.unwrap()),
        }
        wait::until("the session is gone", wait::LONG, || {
            (leftovers(&url) == "0").then_some(())
        });
        assert_eq!(
            postgres::query(&url, "select count(*) from t where id < 5000"),
            "100"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_row_is_to_blame_for_ends_the_work_with_its_own_words() {
    let (url, site) = database(&format!(
        "{PLAIN}; create table base (id int primary key, s text); create table heir () inherits (base);
         do $$ begin create role guest login; exception when duplicate_object then null; end $$;
         grant select on t to guest"
    ))
    .await;
    let one = || stream(Int4, &[(1, Some("x"))], 1);
    let t = table(&site, "t").await;
    let guest = driver(&url.replace("postgres@", "guest@"), &[]).await;
    let err = apply(&guest, job(&t, 10), one()).await.unwrap_err();
    assert!(matches!(err, EngineError::Denied(_)), "{err}");

    let err = apply(&site, job(&table(&site, "base").await, 10), one())
        .await
        .unwrap_err();
    assert!(err.to_string().contains("inherit"), "{err}");

    let mut wrong_key = job(&t, 10);
    wrong_key.key = vec!["s".into()];
    let err = apply(&site, wrong_key, one()).await.unwrap_err();
    assert!(err.to_string().contains("no unique index on (s)"), "{err}");

    postgres::query(&url, "alter table t alter s type int using 0");
    let err = apply(&site, job(&t, 10), one()).await.unwrap_err();
    assert!(matches!(err, EngineError::SchemaChanged(_)), "{err}");
    postgres::query(&url, "drop table t");
    let err = apply(&site, job(&t, 10), one()).await.unwrap_err();
    assert!(matches!(err, EngineError::NoTable(_)), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_rows_are_an_error_and_change_nothing() {
    let (url, site) = database(PLAIN).await;
    let mut writer = RowWriter::default();
    writer.begin(2);
    writer.field(Some(&[0, 0, 0, 1]));
    let (sender, rows) = mpsc::channel(2);
    sender.try_send(Ok(Flow::Rows(writer.take()))).unwrap();
    sender.try_send(Ok(Flow::End)).unwrap();
    assert!(
        apply(&site, job(&table(&site, "t").await, 10), rows)
            .await
            .is_err()
    );
    assert_eq!(postgres::query(&url, "select count(*) from t"), "0");
}
