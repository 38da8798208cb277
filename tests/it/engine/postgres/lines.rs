//! Whole tables are read on a line where the server gives one, and by the driver where it does not: never otherwise.

use evenkeel::engine::EngineError;
use evenkeel::engine::driver::Driver;
use evenkeel::wire::row::RowBatch;

use super::driver;
use crate::engine::work::{collect, everything, outcome, table};
use crate::support::postgres::{self, Postgres};
use crate::support::wait;

const ROWS: u32 = 20_000;

/// Larger than what is on its way to a reader that does not take it.
fn large() -> String {
    format!(
        "create table t (id int primary key, filler text);
         insert into t select g, repeat('x', 4000) from generate_series(1, {ROWS}) g"
    )
}

/// How each role is let in.
const ADMISSION: &str = "local all all trust
host all postgres all trust
host all trusted all trust
host all scram all scram-sha-256
host all md5 all md5
host all cleartext all password";

/// A server that lets roles in by [`ADMISSION`], each with the password `p ss`, and the URL of a database of it.
fn server() -> (Postgres, String) {
    let server = Postgres::start();
    let url = server.database();
    let file = postgres::query(&url, "show hba_file");
    for statement in [
        "create role trusted login superuser".to_owned(),
        "set password_encryption = 'scram-sha-256'; create role scram login superuser password 'p ss'".to_owned(),
        "set password_encryption = 'md5'; create role md5 login superuser password 'p ss'".to_owned(),
        "create role cleartext login superuser password 'p ss'".to_owned(),
        format!("copy (select line from unnest(string_to_array('{ADMISSION}', chr(10))) line) to '{file}'"),
        "select pg_reload_conf()".to_owned(),
        large(),
    ] {
        postgres::query(&url, &statement);
    }
    wait::until("the new rules hold", wait::LONG, || {
        let refused = postgres::try_query(&url.replace("postgres@", "nobody@"), "select 1");
        refused
            .is_err_and(|words| words.contains("no pg_hba.conf entry"))
            .then_some(())
    });
    (server, url)
}

fn rows(batches: &[RowBatch]) -> u32 {
    batches.iter().map(|batch| batch.rows).sum()
}

/// Reads a table, and looks meanwhile how: on a line it is another session that holds the locks.
async fn is_read_on_a_line(site: &dyn Driver, watcher: &str) -> bool {
    let stream = site
        .read(everything(&table(site, "t").await))
        .await
        .unwrap();
    let holds = "select count(*) from pg_stat_activity
        where application_name = 'evenkeel' and state = 'idle in transaction'";
    let copies = "select count(*) from pg_stat_activity
        where application_name = 'evenkeel' and state = 'active' and query like 'copy (%'";
    let holders = wait::until("the table is being read", wait::LONG, || {
        let is_read = postgres::query(watcher, copies) == "1";
        is_read.then(|| postgres::query(watcher, holds))
    });
    assert_eq!(rows(&collect(stream).await), ROWS);
    holders == "1"
}

#[tokio::test(flavor = "multi_thread")]
async fn however_a_server_lets_in_all_rows_are_read() {
    let (_server, url) = server();
    let folder = postgres::query(&url, "show unix_socket_directories");
    let port = postgres::query(&url, "show port");
    let name = url.rsplit('/').next().unwrap();
    let login = |login: &str| url.replace("postgres@", login);
    for (way, login, on_a_line) in [
        ("trust", login("trusted@"), true),
        (
            "a socket",
            format!("postgresql://trusted@localhost:{port}/{name}?host={folder}"),
            true,
        ),
        ("SCRAM", login("scram:p%20ss@"), true),
        ("MD5", login("md5:p%20ss@"), true),
        ("the password as it is", login("cleartext:p%20ss@"), false),
    ] {
        let site = driver(&login, &[]).await;
        // The first reading finds out; what was refused then is not asked for again.
        is_read_on_a_line(&site, &url).await;
        assert_eq!(is_read_on_a_line(&site, &url).await, on_a_line, "{way}");
    }
    let stranger = driver(&login("scram:wrong@"), &[]).await;
    let refused = stranger.tables().await.unwrap_err();
    assert!(
        matches!(refused, EngineError::Unreachable(_)),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_the_server_ends_is_never_taken_for_the_end_of_the_table() {
    let server = Postgres::start();
    let url = server.database();
    postgres::query(&url, &large());
    let site = driver(&url, &[]).await;
    let stream = site.read(everything(&table(&site, "t").await)).await;
    let ended =
        "select count(pg_terminate_backend(pid)) from pg_stat_activity where query like 'copy (%'";
    wait::until("the table is being read", wait::LONG, || {
        (postgres::query(&url, ended) != "0").then_some(())
    });
    let broken = outcome(stream.unwrap()).await.unwrap_err();
    assert!(matches!(broken, EngineError::Lost(_)), "{broken:?}");
}
