//! Streams that end early, calls that are dropped, and the application beside them.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{mpsc, watch};

use super::{PEOPLE, person};
use crate::engine::driver::{ApplyProgress, Driver, Flow, RowStream};
use crate::engine::error::EngineError;
use crate::engine::fault::Fault;
use crate::engine::sqlite::apply::destination::{Attempt, Destination};
use crate::engine::sqlite::apply::writer::describe;
use crate::engine::sqlite::introspect;
use crate::engine::sqlite::test_site::{Site, TestRow, batch};

#[tokio::test]
async fn a_cut_stream_never_counts_as_complete() {
    let site = Site::new(PEOPLE);
    let (sender, receiver) = mpsc::channel(2);
    sender
        .try_send(Ok(Flow::Rows(batch(&[person(1, "a", None)]))))
        .unwrap();
    drop(sender);
    let progress = watch::channel(ApplyProgress::default()).0;
    let err = site
        .driver
        .apply(site.job("people").await, receiver, progress)
        .await
        .unwrap_err();
    assert!(matches!(err, EngineError::Cut(_)), "{err}");
    let (sender, receiver) = mpsc::channel(2);
    sender
        .try_send(Err(EngineError::Lost("the peer is gone".into())))
        .unwrap();
    let progress = watch::channel(ApplyProgress::default()).0;
    let err = site
        .driver
        .apply(site.job("people").await, receiver, progress)
        .await
        .unwrap_err();
    assert!(matches!(err, EngineError::Lost(_)), "{err}");
    assert!(matches!(
        site.driver
            .apply(
                site.job("people").await,
                closed(),
                watch::channel(ApplyProgress::default()).0
            )
            .await,
        Err(EngineError::Cut(_))
    ));
}

fn closed() -> RowStream {
    mpsc::channel(1).1
}

#[tokio::test]
async fn a_table_that_changed_is_not_written() {
    let site = Site::new(PEOPLE);
    let job = site.job("people").await;
    site.application()
        .execute_batch("alter table people rename column note to remark")
        .unwrap();
    let err = site.apply(job, &[person(1, "a", None)]).await.unwrap_err();
    assert!(matches!(err, EngineError::SchemaChanged(_)), "{err}");
    let job = site.job("people").await;
    site.application()
        .execute_batch("drop table people")
        .unwrap();
    let err = site.apply(job, &[person(1, "a", None)]).await.unwrap_err();
    assert!(matches!(err, EngineError::NoTable(_)), "{err}");
}

/// Feeds rows for as long as anyone takes them, through a channel that stays open.
async fn endless(sender: mpsc::Sender<Result<Flow, EngineError>>) {
    for first in (0..).step_by(2_000) {
        let rows: Vec<TestRow> = (first..first + 2_000)
            .map(|id| person(id, "a name of some length", None))
            .collect();
        if sender.send(Ok(Flow::Rows(batch(&rows)))).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn dropping_the_call_ends_its_work_and_rolls_back() {
    let site = Site::new(PEOPLE);
    let (sender, receiver) = mpsc::channel(2);
    let (progress, mut watched) = watch::channel(ApplyProgress::default());
    let job = site.job("people").await;
    tokio::select! {
        _ = site.driver.apply(job, receiver, progress) => panic!("it has no end"),
        () = endless(sender) => panic!("it was taken until the end"),
        seen = watched.wait_for(|progress| progress.rows_committed > 0) => { seen.unwrap(); }
    }
    // The thread drops its end of the progress when it is through.
    let ended = async { while watched.changed().await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(2), ended)
        .await
        .unwrap();
    let committed = watched.borrow().rows_committed;
    assert_eq!(
        site.number("select count(*) from people"),
        i64::try_from(committed).unwrap()
    );
}

/// Feeds the same rows for as long as anyone takes them: whoever applies them never waits for more.
async fn endless_and_ready(sender: mpsc::Sender<Result<Flow, EngineError>>) {
    let rows: Vec<TestRow> = (0..2_000)
        .map(|id| person(id, "a name of some length", None))
        .collect();
    let rows = batch(&rows);
    while sender.send(Ok(Flow::Rows(rows.clone()))).await.is_ok() {}
}

/// What an application does: it writes by SQLite's own way of waiting, and gives up after two seconds. Each time it
/// begins when somebody else holds the lock.
fn writes(path: &Path, times: u32) -> impl FnOnce() + use<> {
    let path = path.to_owned();
    move || {
        let connection = Connection::open(path).unwrap();
        for _ in 0..times {
            connection.busy_timeout(Duration::ZERO).unwrap();
            while connection
                .execute_batch("begin immediate; rollback")
                .is_ok()
            {
                std::thread::yield_now();
            }
            connection.busy_timeout(Duration::from_secs(2)).unwrap();
            connection
                .execute("insert into own default values", [])
                .unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_application_can_write_while_a_long_apply_runs() {
    for mode in ["wal", "delete"] {
        let site = Site::new(&format!(
            "{PEOPLE}; create table own (id integer primary key)"
        ));
        site.application()
            .pragma_update(None, "journal_mode", mode)
            .unwrap();
        let (sender, receiver) = mpsc::channel(2);
        let job = site.job("people").await;
        let progress = watch::channel(ApplyProgress::default()).0;
        let [one, other] = [1, 2].map(|_| tokio::task::spawn_blocking(writes(&site.path, 10)));
        tokio::select! {
            _ = site.driver.apply(job, receiver, progress) => panic!("it has no end"),
            () = endless_and_ready(sender) => panic!("it was taken until the end"),
            done = async { tokio::join!(one, other) } => { done.0.unwrap(); done.1.unwrap(); }
        }
        assert_eq!(site.number("select count(*) from own"), 20, "{mode}");
    }
}

#[tokio::test]
async fn a_disk_that_is_full_is_told_as_such_though_sqlite_rolls_back_by_itself() {
    let site = Site::new(PEOPLE);
    let job = site.job("people").await;
    let connection = site.application();
    let described = introspect::table(&connection, &job.table.name).unwrap();
    let described = described.unwrap();
    let mut destination = Destination::new(&connection, &job, &described).unwrap();
    connection
        .execute_batch("pragma cache_size = 10; pragma max_page_count = 40; begin immediate")
        .unwrap();
    let name = "x".repeat(3_000);
    let fault = (1..1_000).find_map(|id| {
        let row = batch(&[person(id, &name, None)]);
        let values = destination.values(&row.data).unwrap();
        destination.write(&row.data, &values, Attempt::First).err()
    });
    let Some(Fault::Engine(fault)) = fault else {
        panic!("nothing stopped it, or it was blamed on a row");
    };
    assert!(matches!(fault, EngineError::Full(_)), "{fault}");
}

#[tokio::test]
async fn the_write_ahead_log_does_not_grow_with_the_table() {
    let site = Site::new(PEOPLE);
    // SQLite removes the log with the last connection.
    let application = site.application();
    application.execute_batch("select * from people").unwrap();
    let long = "x".repeat(2_000);
    let rows: Vec<TestRow> = (0..30_000).map(|id| person(id, &long, None)).collect();
    let mut job = site.job("people").await;
    job.budget.transaction_bytes = 4 << 20;
    site.apply(job, &rows).await.unwrap();
    let log = std::fs::metadata(site.path.with_extension("db-wal")).unwrap();
    assert!(log.len() < 10 << 20, "{log:?}");
}

#[tokio::test]
async fn readers_wait_for_a_commit_but_not_for_the_rows_before_it() {
    let site = Site::new(&format!("pragma journal_mode = delete; {PEOPLE}"));
    let job = site.job("people").await;
    let (writing, reading) = (site.application(), site.application());
    describe(&writing, &job).unwrap();
    writing
        .execute_batch(
            "begin immediate;
             insert into people with recursive n(i) as (select 1 union all select i + 1 from n where i < 4000)
             select i, 'one of many', hex(randomblob(1000)) from n",
        )
        .unwrap();
    reading.busy_timeout(Duration::ZERO).unwrap();
    let count = || {
        reading.query_row("select count(*) from people", [], |row| {
            row.get::<_, i64>(0)
        })
    };
    assert_eq!(count().unwrap(), 0);
    writing.execute_batch("commit").unwrap();
    assert_eq!(count().unwrap(), 4_000);
}
