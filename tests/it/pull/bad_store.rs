//! Databases that are away, go away, or are full: the run says which, and goes on or ends as it should.

use serde_json::json;

use crate::support::database::{Database, Kind};
use crate::support::pair::{Pair, PairBuilder, Pulled};
use crate::support::postgres::{self, Postgres};
use crate::support::proxy::Link;
use crate::support::wait;

const EMPTY: &str = "create table notes (id bigint primary key, body text not null)";
const ROWS: u64 = 60_000;

fn full() -> String {
    format!(
        "{EMPTY}; insert into notes select i, 'note ' || i || repeat('.', 60) from generate_series(1, {ROWS}) i;"
    )
}

/// Sites whose destination is on a server of its own.
fn builder(server: &Postgres) -> PairBuilder {
    let url = server.database();
    postgres::query(&url, EMPTY);
    let pair = Pair::builder(
        Database::with(Kind::Postgres, &full()),
        Database::Postgres(url),
    );
    pair.taker("apply.transaction_rows", 5_000)
}

fn failed(pulled: &Pulled, code: &str) {
    let ended = (
        pulled.output.code,
        &pulled.run["status"],
        &pulled.run["error"]["code"],
    );
    assert_eq!(ended, (1, &json!("failed"), &json!(code)), "{pulled:#?}");
    assert!(!pulled.run["error"]["hint"].is_null(), "{pulled:#?}");
}

#[test]
fn a_site_database_that_is_down_is_said_and_waited_for() {
    let server = Postgres::start();
    let mut pair = builder(&server).taker("runs.give_up_after", "1s").start();
    server.stop();
    failed(&pair.pull(&["notes"]), "database_unreachable");

    // The daemon comes up without its site database, says so, and works once the database is there.
    pair.taker.stop();
    pair.taker.spawn(&[]);
    wait::until("the daemon answers", wait::LONG, || {
        (pair.taker.cli(&["connections"]).code == 0).then_some(())
    });
    let doctor = pair.taker.cli(&["doctor"]);
    assert_eq!(doctor.code, 1, "{doctor:#?}");
    assert!(doctor.stdout.contains("database"), "{doctor:#?}");
    let status = pair.taker.cli(&["status"]);
    assert_eq!(status.code, 1, "{status:#?}");
    assert!(status.stdout.contains("site database"), "{status:#?}");
    server.restart();
    pair.pull(&["notes"]).completed();
    assert_eq!(pair.destination.count("notes"), ROWS);
    let status = pair.taker.cli(&["status"]);
    assert_eq!(status.code, 0, "{status:#?}");
}

#[test]
fn the_givers_database_that_is_down_is_told_to_the_taker() {
    let server = Postgres::start();
    let url = server.database();
    postgres::query(&url, &full());
    let pair = Pair::builder(
        Database::Postgres(url),
        Database::with(Kind::Postgres, EMPTY),
    )
    .taker("runs.give_up_after", "1s")
    .start();
    server.stop();
    let pulled = pair.pull(&["notes"]);
    assert_eq!(
        (pulled.output.code, &pulled.run["status"]),
        (1, &json!("failed")),
        "{pulled:#?}"
    );
    let message = pulled.run["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("127.0.0.1") && message.contains("database"),
        "{message}"
    );
    server.restart();
    pair.pull(&["notes"]).completed();
}

#[test]
fn a_site_database_that_goes_away_in_mid_run_is_waited_for() {
    let server = Postgres::start();
    let pair = builder(&server).start();
    pair.link.set(Link::StallAfter(2_000_000));
    let id = pair.order(&["notes"]);
    pair.run_until(&id, "rows come in", |run| {
        run["progress"]["rows"].as_u64() > Some(0)
    });
    server.kill9();
    pair.link.set(Link::Whole);
    let run = pair.run_until(&id, "the loss is noticed", |run| !run["error"].is_null());
    let code = run["error"]["code"].as_str().unwrap();
    assert!(
        ["database_lost", "database_unreachable"].contains(&code),
        "{run:#}"
    );
    assert_eq!(run["status"], "pending", "{run:#}");
    server.restart();
    assert_eq!(pair.destination.count("notes") % 5_000, 0);
    let done = pair.run_is(&id, "completed");
    assert_eq!(done["attempt"], 2, "{done:#}");
    assert_eq!(pair.destination.count("notes"), ROWS);
}

/// The disk is a small memory file system in a mount namespace of the server's own, which root and, where user
/// namespaces are allowed, anybody may make. Where neither is so the test says that it showed nothing.
#[test]
fn a_full_disk_is_said_and_nothing_is_half_written() {
    let Some(server) = Postgres::with_small_disk("4m") else {
        println!("not shown here: a full disk (no mount namespaces)");
        return;
    };
    let url = server.database();
    postgres::query(
        &url,
        &format!(
            "create tablespace small location '{}'; {EMPTY} tablespace small",
            server.small_disk()
        ),
    );
    let source = Database::with(Kind::Postgres, &full());
    let pair = Pair::builder(source, Database::Postgres(url))
        .taker("apply.transaction_rows", 5_000)
        .taker("runs.give_up_after", "1s")
        .start();
    let pulled = pair.pull(&["notes"]);
    failed(&pulled, "database_full");
    let message = pulled.run["error"]["message"].as_str().unwrap();
    assert!(
        message.to_lowercase().contains("no space") || message.contains("full"),
        "{message}"
    );
    let kept = pair.destination.count("notes");
    assert!(kept.is_multiple_of(5_000) && kept < ROWS, "{kept}");

    pair.destination
        .execute("alter table notes set tablespace pg_default");
    pair.pull(&["notes"]).completed();
    assert_eq!(pair.destination.count("notes"), ROWS);
}
