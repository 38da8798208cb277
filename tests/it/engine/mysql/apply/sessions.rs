//! Beside other sessions, and on servers that replicate.

use evenkeel::engine::EngineError;
use evenkeel::model::table::NeutralType::Int4;
use sqlx::{Connection, MySqlConnection};

use super::{assert_equal, database, driver};
use crate::engine::work::{apply, copy, counts, job, stream, table};
use crate::support::mariadb::{self, Mariadb};
use crate::support::wait;

const PLAIN: &str = "create table t (id int primary key, s text)";

async fn session(url: &str, statements: &'static str) -> MySqlConnection {
    let mut session = MySqlConnection::connect(url).await.unwrap();
    sqlx::raw_sql(statements)
        .execute(&mut session)
        .await
        .unwrap();
    session
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_locked_by_another_session_ends_the_work_as_locked() {
    let (url, site) = database(&format!("{PLAIN}; insert into t values (1, 'here')"));
    let mut holder = MySqlConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("start transaction; update t set s = 'held' where id = 1")
        .execute(&mut holder)
        .await
        .unwrap();
    let job = job(&table(&site, "t").await, 10);
    let err = apply(&site, job, stream(Int4, &[(1, Some("new"))], 1))
        .await
        .unwrap_err();
    assert!(matches!(err, EngineError::Locked { .. }), "{err}");
    holder.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadlock_ends_the_work_as_something_to_be_tried_again_and_leaves_nothing_half_done() {
    let (url, site) = database(&format!(
        "{PLAIN}; insert into t values (1, 'here'), (2, 'here');
         create table heavy (id int primary key); insert into heavy select seq from seq_1_to_1000"
    ));
    // The server gives up the session that has changed less.
    let mut other = session(
        &url,
        "start transaction; update heavy set id = -id; update t set s = 'theirs' where id = 2",
    )
    .await;
    let job = job(&table(&site, "t").await, 10);
    let work = apply(
        &site,
        job,
        stream(Int4, &[(1, Some("new")), (2, Some("new"))], 2),
    );
    let crossing = async {
        // InnoDB's own list of waiting sessions does not change while somebody looks at it often.
        let waiting = "select count(*) from information_schema.processlist
            where db = database() and command = 'Execute' and time_ms > 300";
        let url = url.clone();
        let seen = tokio::task::spawn_blocking(move || {
            wait::until("the work waits for the lock", wait::LONG, || {
                (mariadb::query(&url, waiting) == "1").then_some(())
            });
        });
        seen.await.unwrap();
        sqlx::raw_sql("update t set s = 'theirs' where id = 1; commit")
            .execute(&mut other)
            .await
            .unwrap();
    };
    let (result, ()) = tokio::time::timeout(wait::LONG, async { tokio::join!(work, crossing) })
        .await
        .unwrap();
    let err = result.unwrap_err();
    assert!(
        matches!(&err, EngineError::Lost(words) if words.contains("Deadlock")),
        "{err}"
    );
    assert_eq!(mariadb::query(&url, "select distinct s from t"), "theirs");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_equal_already_stay_unlocked() {
    let (url, site) = database(&format!("{PLAIN}; insert into t values (1, 'here')"));
    let holder = session(
        &url,
        "start transaction; select * from t where id = 1 for update",
    )
    .await;
    let job = job(&table(&site, "t").await, 10);
    let rows = stream(Int4, &[(1, Some("here")), (2, Some("new"))], 2);
    assert_eq!(
        counts(&apply(&site, job, rows).await.unwrap()),
        (1, 0, 0, 0)
    );
    holder.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_log_for_replicas_take_rows_in_every_format() {
    for format in ["STATEMENT", "MIXED", "ROW"] {
        let server = Mariadb::with_settings(&[
            "--log-bin=log",
            "--server-id=1",
            &format!("--binlog-format={format}"),
        ]);
        let (from, to) = (server.database(), server.database());
        let rows = "insert into t select seq, concat('row ', seq) from";
        mariadb::query(&from, &format!("{PLAIN}; {rows} seq_1_to_3000"));
        mariadb::query(&to, PLAIN);
        let (source, site) = (driver(&from, &[]), driver(&to, &[]));
        let empty = copy(&source, &site, "t").await;
        assert_eq!(counts(&empty), (3_000, 0, 0, 0), "{format}");
        mariadb::query(
            &to,
            "delete from t where id % 7 = 0; update t set s = 'x' where id % 3 = 0",
        );
        let mended = copy(&source, &site, "t").await;
        assert_eq!(counts(&mended), (428, 858, 0, 0), "{format}");
        assert_equal(&source, &site, "t").await;
    }
}
