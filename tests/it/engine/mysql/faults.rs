//! Servers that refuse, break off and come back.

use std::time::Duration;

use evenkeel::engine::EngineError;
use evenkeel::engine::driver::Driver;

use super::driver;
use crate::engine::work::{collect, everything, outcome, table};
use crate::support::mariadb::{self, Mariadb};

const LARGE: &str = "create table t (id int primary key, filler text);
    insert into t select seq, repeat('x', 4000) from seq_1_to_20000";

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_breaks_the_stream_off_and_serves_again_when_it_is_back() {
    let server = Mariadb::start();
    let url = server.database();
    mariadb::query(&url, LARGE);
    let site = driver(&url, &[]);
    let selection = everything(&table(&site, "t").await);
    let mut rows = site.read(selection.clone()).await.unwrap();
    rows.recv().await.unwrap().unwrap();
    server.kill9();
    let err = outcome(rows).await.unwrap_err();
    assert!(matches!(&err, EngineError::Lost(_)), "{err}");
    let err = tokio::time::timeout(Duration::from_secs(30), site.version())
        .await
        .expect("an answer")
        .unwrap_err();
    assert!(matches!(&err, EngineError::Unreachable(_)), "{err}");
    server.restart();
    let batches = collect(site.read(selection).await.unwrap()).await;
    assert_eq!(batches.iter().map(|batch| batch.rows).sum::<u32>(), 20_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_ended_by_an_administrator_is_lost_and_not_complete() {
    let url = mariadb::shared().database();
    mariadb::query(&url, LARGE);
    let site = driver(&url, &[]);
    let selection = everything(&table(&site, "t").await);
    let mut rows = site.read(selection).await.unwrap();
    rows.recv().await.unwrap().unwrap();
    let reading = "select id from information_schema.processlist
        where db = database() and id <> connection_id() and command <> 'Sleep'";
    let session = mariadb::query(&url, reading);
    mariadb::query(&url, &format!("kill {session}"));
    let err = outcome(rows).await.unwrap_err();
    assert!(matches!(&err, EngineError::Lost(_)), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_account_may_not_do_is_told_as_such() {
    let url = mariadb::shared().database();
    let schema = url.rsplit('/').next().unwrap();
    mariadb::query(
        &url,
        &format!(
            "create table t (id int primary key); create table hidden (id int primary key);
             create user outsider@'127.0.0.1'; grant insert on {schema}.t to outsider@'127.0.0.1'"
        ),
    );
    let root = driver(&url, &[]);
    let outsider = driver(&url.replace("root@", "outsider@"), &[]);
    for name in ["t", "hidden"] {
        let selection = everything(&table(&root, name).await);
        let err = outsider.read(selection).await.unwrap_err();
        assert!(matches!(&err, EngineError::Denied(_)), "{name}: {err}");
    }
    for (wrong, words) in [
        (url.replace("root@", "nobody:hunter2@"), "denied"),
        (url.replace(schema, "absent"), "absent"),
        (format!("{url}?ssl-mode=VERIFY_IDENTITY"), "TLS"),
        (format!("{url}?ssl-mode=REQUIRED"), "TLS"),
    ] {
        let err = driver(&wrong, &[]).version().await.unwrap_err();
        assert!(matches!(&err, EngineError::Unreachable(_)), "{err}");
        let told = err.to_string();
        assert!(told.contains(words) && !told.contains("hunter2"), "{told}");
    }
}
