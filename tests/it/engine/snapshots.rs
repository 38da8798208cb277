//! One moment of several tables, with an application at work beside it.

mod leaving;
mod sqlite;

use std::sync::Arc;
use std::sync::mpsc::TryRecvError;
use std::time::{Duration, Instant};

use evenkeel::engine::EngineError;
use evenkeel::engine::driver::{RowStream, Selection, Snapshot};
use evenkeel::model::table::{NeutralType, TableName};
use evenkeel::wire::row::{RowBatch, split_tuple};

use crate::engine::work::{collect, everything, open, outcome, table};
use crate::support::database::{Database, KINDS, Kind};
use crate::support::wait;

/// Money that is on its way from one table to the other is in both or in neither.
const BOOKS: &str = "create table debits (id int primary key, amount int not null);
    create table credits (id int primary key, amount int not null);
    insert into debits values (0, 100); insert into credits values (0, 100)";

/// Nobody who uses the database waits longer for a reader.
const PATIENCE: Duration = Duration::from_secs(10);

fn names(names: &[&str]) -> Vec<TableName> {
    names.iter().map(|name| TableName::bare(*name)).collect()
}

/// A table `t` with as many rows as this, each of about half a kilobyte.
fn large(kind: Kind, rows: u32) -> String {
    let filler = "repeat('0123456789', 50)";
    let fill = match kind {
        Kind::Mariadb => format!("insert into t select seq, {filler} from seq_1_to_{rows}"),
        Kind::Postgres => {
            format!("insert into t select g, {filler} from generate_series(1, {rows}) g")
        }
        Kind::Sqlite => format!(
            "insert into t with recursive n (id) as (select 1 union all select id + 1 from n where id < {rows})
             select id, printf('%0500d', id) from n"
        ),
    };
    format!("create table t (id int primary key, s text); {fill}")
}

/// The sum of the integers in the second column.
fn sum(batches: &[RowBatch]) -> i64 {
    let tuples = batches.iter().flat_map(RowBatch::tuples);
    let amount = |tuple: Result<&[u8], _>| {
        let (fields, _) = split_tuple(tuple.unwrap()).unwrap();
        match fields[1].unwrap() {
            field @ [_, _, _, _] => i64::from(i32::from_be_bytes(field.try_into().unwrap())),
            field => i64::from_be_bytes(field.try_into().unwrap()),
        }
    };
    tuples.map(amount).sum()
}

fn rows(batches: &[RowBatch]) -> u32 {
    batches.iter().map(|batch| batch.rows).sum()
}

/// A database, its driver, and all of table `t` in a snapshot of it.
async fn begun(kind: Kind) -> (Arc<Database>, Box<dyn Snapshot>, Selection) {
    let database = Arc::new(Database::with(kind, &large(kind, 20_000)));
    let (snapshot, all) = whole(&database).await;
    (database, snapshot, all)
}

/// All of table `t` in a snapshot of it.
async fn whole(database: &Database) -> (Box<dyn Snapshot>, Selection) {
    let driver = open(&database.url()).await;
    let all = everything(&table(&*driver, "t").await);
    let snapshot = driver.snapshot(&names(&["t"])).await.unwrap();
    (snapshot, all)
}

/// Runs `sql` as an application would; how long that took.
fn apart(database: &Arc<Database>, sql: &'static str) -> tokio::task::JoinHandle<Duration> {
    let database = Arc::clone(database);
    tokio::task::spawn_blocking(move || {
        let begun = Instant::now();
        database.execute(sql);
        begun.elapsed()
    })
}

/// A stream of which nothing but the first rows is taken.
async fn stalled(snapshot: &dyn Snapshot, selection: &Selection) -> RowStream {
    let mut stream = snapshot.read(selection.clone()).await.unwrap();
    stream.recv().await.unwrap().unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_agree_while_transactions_commit_between_their_readings() {
    let databases = KINDS.map(|kind| Arc::new(Database::with(kind, BOOKS)));
    let [one, other, third] = databases.map(beside_long_transactions);
    tokio::join!(one, other, third);
}

async fn beside_long_transactions(database: Arc<Database>) {
    let kind = database.kind();
    let driver = open(&database.url()).await;
    let books = [
        everything(&table(&*driver, "debits").await),
        everything(&table(&*driver, "credits").await),
    ];
    let (done, is_done) = std::sync::mpsc::sync_channel::<()>(1);
    let application = tokio::task::spawn_blocking({
        let database = Arc::clone(&database);
        move || {
            let mut written = 0;
            while is_done.try_recv() == Err(TryRecvError::Empty) {
                written += 1;
                let pause = match kind {
                    Kind::Postgres => "select pg_sleep(0.05);",
                    Kind::Mariadb => "do sleep(0.05);",
                    Kind::Sqlite => "",
                };
                database.execute(&format!(
                    "begin; insert into debits values ({written}, 1); {pause}
                     insert into credits values ({written}, 1); commit"
                ));
            }
            written
        }
    });
    let (begun, mut taken, mut last) = (Instant::now(), 0, 100);
    while taken < 8 || (last == 100 && begun.elapsed() < wait::LONG) {
        taken += 1;
        let snapshot = driver
            .snapshot(&names(&["debits", "credits"]))
            .await
            .unwrap();
        let before: i64 = database
            .query("select sum(amount) from debits")
            .parse()
            .unwrap();
        let mut sums = Vec::new();
        for book in books.iter().chain(&books) {
            sums.push(sum(
                &collect(snapshot.read(book.clone()).await.unwrap()).await
            ));
        }
        assert_eq!(sums, [sums[0]; 4], "{kind:?}");
        // Of the time of the snapshot, not of the readings.
        assert!(
            (last..=before).contains(&sums[0]),
            "{kind:?}: {sums:?} {before}"
        );
        last = sums[0];
        let point = snapshot.read_point();
        assert!(point.contains("at 2") && point.ends_with('Z'), "{point}");
    }
    drop(done);
    assert!(application.await.unwrap() > 1, "{kind:?}");
    assert!(last > 100, "{kind:?}: something was committed meanwhile");
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_of_one_snapshot_show_the_same_rows_however_many_there_are() {
    for kind in KINDS {
        let (database, snapshot, all) = begun(kind).await;
        database.execute("delete from t where id > 10");
        // The first is given up in the middle: the others are whole all the same.
        drop(stalled(&*snapshot, &all).await);
        let mut streams = Vec::new();
        for _ in 0..3 {
            streams.push(snapshot.read(all.clone()).await.unwrap());
        }
        let found = futures_util::future::join_all(streams.into_iter().map(collect)).await;
        for batches in &found {
            assert_eq!(rows(batches), 20_000, "{kind:?}");
        }
        drop(snapshot);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_in_a_snapshot_is_said_at_once() {
    for kind in KINDS {
        let (database, snapshot, all) = begun(kind).await;
        let found = snapshot.table(&all.table).await.unwrap().unwrap();
        assert_eq!(found.columns.len(), 2);
        let other = TableName::bare("other");
        assert!(snapshot.table(&other).await.unwrap().is_none());
        let mut selection = all.clone();
        selection.table = other;
        let err = snapshot.read(selection).await.unwrap_err();
        assert!(matches!(err, EngineError::NoTable(_)), "{kind:?}: {err}");
        let mut selection = all;
        selection.columns.push(("none".into(), NeutralType::Text));
        let err = snapshot.read(selection).await.unwrap_err();
        assert!(
            matches!(err, EngineError::SchemaChanged(_)),
            "{kind:?}: {err}"
        );
        let driver = open(&database.url()).await;
        let Err(err) = driver.snapshot(&names(&["t", "other"])).await else {
            panic!("{kind:?}: there is no other table");
        };
        assert!(matches!(err, EngineError::NoTable(_)), "{kind:?}: {err}");
    }
}

/// Where a definition is changed beside a reader: the reader is the one who gives way.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_changes_a_table_waits_seconds_and_the_reader_ends_with_a_reason() {
    let mut cases = Vec::new();
    for kind in [Kind::Postgres, Kind::Mariadb] {
        for sql in ["truncate t", "alter table t add column note int"] {
            for reads in [true, false] {
                // More than all buffers between the server and the reader hold.
                let database = Arc::new(Database::with(kind, &large(kind, 100_000)));
                cases.push(gives_way(database, sql, reads));
            }
        }
    }
    futures_util::future::join_all(cases).await;
}

async fn gives_way(database: Arc<Database>, sql: &'static str, reads: bool) {
    let kind = database.kind();
    let (snapshot, all) = whole(&database).await;
    let stream = match reads {
        true => Some(stalled(&*snapshot, &all).await),
        false => None,
    };
    let application = apart(&database, sql);
    let err = tokio::time::timeout(2 * PATIENCE, snapshot.ended())
        .await
        .expect("it is noticed");
    assert!(matches!(err, EngineError::Yielded), "{kind:?} {sql}: {err}");
    let waited = application.await.unwrap();
    assert!(waited < PATIENCE, "{kind:?} {sql}: waited {waited:?}");
    println!("{kind:?}, {sql}, while a stream is read: {reads}: waited {waited:?}");
    if let Some(stream) = stream {
        let err = outcome(stream).await.unwrap_err();
        assert!(matches!(err, EngineError::Yielded), "{kind:?} {sql}: {err}");
    }
    // Never an empty table instead.
    let err = snapshot.read(all).await.unwrap_err();
    assert!(matches!(err, EngineError::Yielded), "{kind:?} {sql}: {err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_changes_a_table_does_not_wait_for_the_one_who_only_pulls_it() {
    for kind in [Kind::Postgres, Kind::Mariadb] {
        let database = Arc::new(Database::with(kind, &large(kind, 20_000)));
        let driver = open(&database.url()).await;
        let all = everything(&table(&*driver, "t").await);
        let mut stream = driver.read(all).await.unwrap();
        stream.recv().await.unwrap().unwrap();
        let waited = apart(&database, "truncate t").await.unwrap();
        assert!(waited < PATIENCE, "{kind:?}: waited {waited:?}");
        let err = outcome(stream).await.unwrap_err();
        assert!(matches!(err, EngineError::Yielded), "{kind:?}: {err}");
    }
}
