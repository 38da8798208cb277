//! Snapshots that are dropped, and databases that go away under them.

use std::time::Duration;

use evenkeel::engine::EngineError;
use sqlx::{Connection, Executor};

use super::{PATIENCE, begun, large, names, rows, stalled};
use crate::engine::work::{collect, everything, open, outcome, table};
use crate::support::database::{Database, Kind};
use crate::support::mariadb::{self, Mariadb};
use crate::support::postgres::{self, Postgres};
use crate::support::wait;

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_snapshot_leaves_no_lock_also_where_its_stream_is_kept() {
    for kind in [Kind::Postgres, Kind::Mariadb] {
        for reads in [true, false] {
            let (database, snapshot, all) = begun(kind).await;
            let stream = match reads {
                true => Some(stalled(&*snapshot, &all).await),
                false => None,
            };
            drop(snapshot);
            // Nobody is given way to here: it is sooner than anybody looks.
            wait::until("the table can be had", Duration::from_secs(5), || {
                let url = database.url();
                let taken = match kind {
                    Kind::Postgres => {
                        postgres::try_query(&url, "set lock_timeout = 100; truncate t")
                    }
                    _ => mariadb::try_query(&url, "set lock_wait_timeout = 0; truncate t"),
                };
                taken.is_ok().then_some(())
            });
            if let Some(stream) = stream {
                assert!(outcome(stream).await.is_err(), "{kind:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_waits_for_a_table_leaves_the_others_when_it_is_given_up() {
    let url = postgres::shared().database();
    postgres::query(&url, "create table a (id int); create table b (id int)");
    let driver = open(&url).await;
    let mut holder = sqlx::PgConnection::connect(&url).await.unwrap();
    let lock = "begin; lock table b in access exclusive mode";
    holder.execute(sqlx::raw_sql(lock)).await.unwrap();
    let both = names(&["a", "b"]);
    let waiting = driver.snapshot(&both);
    let given_up = tokio::time::timeout(Duration::from_secs(1), waiting).await;
    assert!(given_up.is_err());
    let begun = std::time::Instant::now();
    postgres::query(&url, "alter table a add column note int");
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());

    let Err(err) = driver.snapshot(&both).await else {
        panic!("b is locked")
    };
    assert!(matches!(err, EngineError::Locked { .. }), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_ends_the_snapshot_and_cuts_no_stream_short_in_silence() {
    let postgres = Postgres::start();
    let mariadb = Mariadb::start();
    let (one, other) = (postgres.database(), mariadb.database());
    // More than the buffers of a socket may grow to.
    postgres::query(&one, &large(Kind::Postgres, 200_000));
    mariadb::query(&other, &large(Kind::Mariadb, 20_000));
    for (url, kind) in [(one, Kind::Postgres), (other, Kind::Mariadb)] {
        let driver = open(&url).await;
        let all = everything(&table(&*driver, "t").await);
        let snapshot = driver.snapshot(&names(&["t"])).await.unwrap();
        let stream = stalled(&*snapshot, &all).await;
        let idle = driver.snapshot(&names(&["t"])).await.unwrap();
        match kind {
            Kind::Postgres => postgres.kill9(),
            _ => mariadb.kill9(),
        }
        let err = outcome(stream).await.unwrap_err();
        assert!(matches!(err, EngineError::Lost(_)), "{kind:?}: {err}");
        for snapshot in [snapshot, idle] {
            let err = tokio::time::timeout(PATIENCE, snapshot.ended())
                .await
                .expect("it is noticed");
            assert!(matches!(err, EngineError::Lost(_)), "{kind:?}: {err}");
            assert!(snapshot.read(all.clone()).await.is_err());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn more_snapshots_than_connections_are_refused_and_do_not_block_each_other() {
    let database = Database::with(Kind::Mariadb, &large(Kind::Mariadb, 2_000));
    let driver = open(&database.url()).await;
    let all = everything(&table(&*driver, "t").await);
    let mut held = Vec::new();
    for _ in 0..24 {
        held.push(driver.snapshot(&names(&["t"])).await.unwrap());
    }
    let Err(err) = driver.snapshot(&names(&["t"])).await else {
        panic!("there is no connection left")
    };
    assert!(matches!(err, EngineError::Unreachable(_)), "{err}");
    for snapshot in &held {
        let stream = snapshot.read(all.clone()).await.unwrap();
        assert_eq!(rows(&collect(stream).await), 2_000);
    }
    held.truncate(1);
    driver.snapshot(&names(&["t"])).await.unwrap();
}
