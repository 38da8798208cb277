//! The harness tests itself: what the other tests rely on without looking.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::flights::{self, Part};
use crate::support::http::{Address, Request};
use crate::support::proxy::{Link, Proxy};
use crate::support::{mariadb, postgres, sqlite, wait};

#[test]
fn every_flight_of_2013_loads_into_every_engine_and_reads_back_equal() {
    for part in [Part::Year, Part::January] {
        let url = flights::postgres_database(part);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("site.db");
        flights::sqlite_database(&path, part);
        for table in &flights::TABLES {
            let count = format!("select count(*) from {}", table.name);
            let rows = table.rows(part).to_string();
            assert_eq!(postgres::query(&url, &count), rows, "{}", table.name);
            assert_eq!(sqlite::query(&path, &count), rows, "{}", table.name);
        }
        assert_eq!(sqlite::query(&path, "pragma foreign_key_check"), "");
        flights::assert_equal(&url, &format!("sqlite://{}", path.display()));
        if part == Part::January {
            flights::assert_equal(&url, &flights::mariadb_database());
        }
    }
}

#[test]
#[should_panic(expected = "flights differs")]
fn one_changed_value_among_all_flights_is_noticed() {
    let url = flights::postgres_database(Part::January);
    let other = flights::postgres_database(Part::January);
    postgres::query(
        &url,
        "update flights set dep_delay = 3 where dep_delay = 2 and flight = 1545 and day = 1",
    );
    flights::assert_equal(&url, &other);
}

#[test]
fn a_killed_server_comes_back_at_the_same_url() {
    let server = postgres::Postgres::start();
    let url = server.database();
    postgres::query(
        &url,
        "create table t (id int primary key); insert into t values (1)",
    );
    server.kill9();
    assert!(postgres::try_query(&url, "select 1").is_err());
    server.restart();
    assert_eq!(postgres::query(&url, "select id from t"), "1");
    server.stop();
    server.restart();
    assert_eq!(postgres::query(&url, "select id from t"), "1");
}

#[test]
fn nothing_is_left_when_the_test_process_is_killed() {
    const HOLD: &str = "EVENKEEL_TEST_HOLD";
    if let Some(file) = std::env::var_os(HOLD) {
        let server = postgres::Postgres::start();
        let data = postgres::query(&server.url("postgres"), "show data_directory");
        std::fs::write(&file, format!("{data}\n")).unwrap();
        wait::until("somebody kills this process", wait::LONG, || None::<()>);
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("started");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "harness::nothing_is_left_when_the_test_process_is_killed",
        ])
        .env(HOLD, &file)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let data = wait::until("the other process has a server", wait::LONG, || {
        let text = std::fs::read_to_string(&file).ok()?;
        text.ends_with('\n')
            .then(|| text.lines().next().unwrap().to_owned())
    });
    let postmaster = std::fs::read_to_string(Path::new(&data).join("postmaster.pid")).unwrap();
    let process = format!("/proc/{}/cmdline", postmaster.lines().next().unwrap());
    // A zombie's command line is empty.
    let runs = || std::fs::read(&process).is_ok_and(|words| !words.is_empty());
    assert!(runs());
    child.kill().unwrap();
    child.wait().unwrap();
    let home = Path::new(&data).parent().unwrap();
    wait::until("server and files are gone", wait::LONG, || {
        (!home.exists() && !runs()).then_some(())
    });
}

#[test]
fn a_link_passes_on_cuts_stalls_and_lies_as_told() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in server.incoming() {
            let mut client = client.unwrap();
            assert!(client.read(&mut [0; 1024]).unwrap() > 0);
            client
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nsome")
                .unwrap();
        }
    });
    let link = Proxy::to(port);
    let address = Address::Tcp(link.url().trim_start_matches("http://").parse().unwrap());
    let ask = || Request::new("GET", "/").send(&address);
    assert_eq!(ask().unwrap().text(), "some");
    for bytes in [0, 5, 40] {
        link.set(Link::CutAfter(bytes));
        assert!(ask().is_err(), "{bytes}");
    }
    link.set(Link::Answer(b"HTTP/1.1 500 No\r\n\r\n".to_vec()));
    assert_eq!(ask().unwrap().status, 500);
    link.set(Link::StallAfter(20));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(ask);
        link.set(Link::Whole);
        assert_eq!(waiting.join().unwrap().unwrap().text(), "some");
    });
}

#[test]
fn a_killed_mariadb_comes_back_with_what_was_committed() {
    let server = mariadb::Mariadb::start();
    let url = server.database();
    mariadb::query(
        &url,
        "create table t (id int primary key, a text); insert into t values (1, 'x\\ty\\\\n'), (2, null)",
    );
    server.kill9();
    assert!(mariadb::try_query(&url, "select 1").is_err());
    server.restart();
    assert_eq!(
        mariadb::query(&url, "select * from t order by id"),
        "1|x\ty\\n\n2|"
    );
    server.stop();
    assert!(mariadb::try_query(&url, "select 1").is_err());
}
