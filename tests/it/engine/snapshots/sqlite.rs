//! Snapshots of SQLite files: beside a writer in either journal mode, and within their room on the disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use evenkeel::base::secret::Secret;
use evenkeel::engine::EngineError;
use evenkeel::engine::driver::{DiskRoom, Driver};
use evenkeel::engine::sqlite::SqliteDriver;
use rusqlite::Connection;
use tempfile::TempDir;

use super::{PATIENCE, large, names, rows, stalled, sum};
use crate::engine::work::{collect, everything, outcome, table};
use crate::support::database::Kind;
use crate::support::wait;

struct Site {
    _folder: TempDir,
    path: PathBuf,
    room: PathBuf,
    driver: Arc<dyn Driver>,
    application: Connection,
}

/// A database in this journal mode, whose application never waits for a lock.
fn site(mode: &str, schema: &str, bytes: u64) -> Site {
    let folder = tempfile::tempdir().unwrap();
    let (path, room) = (folder.path().join("site.db"), folder.path().join("room"));
    std::fs::create_dir(&room).unwrap();
    let application = Connection::open(&path).unwrap();
    application
        .pragma_update(None, "journal_mode", mode)
        .unwrap();
    application.busy_timeout(Duration::ZERO).unwrap();
    application.execute_batch(schema).unwrap();
    let url = Secret::new(format!("sqlite://{}", path.display()));
    let space = DiskRoom {
        folder: room.clone(),
        bytes,
    };
    Site {
        driver: Arc::new(SqliteDriver::open(&url, space).unwrap()),
        _folder: folder,
        path,
        room,
        application,
    }
}

fn files(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_that_waits_for_nothing_writes_beside_a_snapshot() {
    let schema = "create table debits (id integer primary key, amount int);
        create table credits (id integer primary key, amount int);
        insert into debits values (0, 100); insert into credits values (0, 100)";
    for mode in ["delete", "truncate", "persist", "wal"] {
        let site = site(mode, schema, 1 << 20);
        let books = [
            everything(&table(&*site.driver, "debits").await),
            everything(&table(&*site.driver, "credits").await),
        ];
        let snapshot = site
            .driver
            .snapshot(&names(&["debits", "credits"]))
            .await
            .unwrap();
        for book in books.iter().chain(&books) {
            let writes = "begin immediate; insert into debits (amount) values (1);
                insert into credits (amount) values (1); commit";
            site.application.execute_batch(writes).unwrap();
            let found = collect(snapshot.read(book.clone()).await.unwrap()).await;
            assert_eq!(sum(&found), 100, "{mode}");
            assert_eq!(files(&site.room), 0, "{mode}: a copy has no name");
        }
        // Nor does it keep the application from changing its tables.
        let change = "alter table debits add column note; drop table credits";
        site.application.execute_batch(change).unwrap();
        let found = collect(snapshot.read(books[1].clone()).await.unwrap()).await;
        assert_eq!(sum(&found), 100, "{mode}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_takes_no_more_of_the_disk_than_it_may() {
    let site = site("delete", &large(Kind::Sqlite, 20_000), 1 << 20);
    let Err(err) = site.driver.snapshot(&names(&["t"])).await else {
        panic!("it has ten times as much")
    };
    let limits =
        matches!(err, EngineError::CopyTooLarge { bytes, limit: 1_048_576 } if bytes > 10_000_000);
    assert!(limits, "{err}");
    assert_eq!(files(&site.room), 0);
    site.application.execute_batch("delete from t").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_grows_beyond_its_room_ends_the_snapshot_that_keeps_it() {
    let site = site("wal", &large(Kind::Sqlite, 20_000), 1 << 20);
    let all = everything(&table(&*site.driver, "t").await);
    let snapshot = site.driver.snapshot(&names(&["t"])).await.unwrap();
    let stream = stalled(&*snapshot, &all).await;
    // What the log had room for already does not count.
    for _ in 0..3 {
        let write = "update t set s = s || 'x'";
        site.application.execute_batch(write).unwrap();
    }
    let err = tokio::time::timeout(PATIENCE, snapshot.ended())
        .await
        .expect("it is noticed");
    assert!(matches!(err, EngineError::Yielded), "{err}");
    assert!(matches!(outcome(stream).await, Err(EngineError::Yielded)));
    assert!(matches!(
        snapshot.read(all).await,
        Err(EngineError::Yielded)
    ));
    log_can_be_written_back(&site);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_snapshot_ends_its_reader_also_in_the_middle_of_a_stream() {
    let site = site("wal", &large(Kind::Sqlite, 20_000), 1 << 30);
    let all = everything(&table(&*site.driver, "t").await);
    for reads in [true, false] {
        let snapshot = site.driver.snapshot(&names(&["t"])).await.unwrap();
        let stream = match reads {
            true => Some(stalled(&*snapshot, &all).await),
            false => None,
        };
        site.application
            .execute_batch("update t set s = s || 'x'")
            .unwrap();
        drop(snapshot);
        log_can_be_written_back(&site);
        if let Some(stream) = stream {
            assert!(outcome(stream).await.is_err());
        }
    }
    let alone = site.driver.read(all).await.unwrap();
    assert_eq!(rows(&collect(alone).await), 20_000);
}

/// An open reader would keep the checkpoint from truncating the log.
fn log_can_be_written_back(site: &Site) {
    let other = Connection::open(&site.path).unwrap();
    wait::until("nobody reads", Duration::from_secs(5), || {
        let busy: i64 = other
            .query_row("pragma wal_checkpoint(truncate)", [], |row| row.get(0))
            .unwrap();
        (busy == 0).then_some(())
    });
}
