//! What stops a sync, what does not, and what lifts it.

use serde_json::{Value, json};

use super::{STOCK, create, move_next, runs_over, show, stock};
use crate::admin::problem;
use crate::support::daemon::Site;
use crate::support::database::{Database, Kind};
use crate::support::pair::{Pair, connect, connection};
use crate::support::wait;

/// Waits until the sync is as `is` says.
fn sync_until(pair: &Pair, sync: &str, what: &str, is: impl Fn(&Value) -> bool) -> Value {
    wait::until(what, wait::LONG, || {
        Some(show(pair, sync)).filter(|sync| is(sync))
    })
}

fn trigger(pair: &Pair, sync: &str) -> Value {
    let made = pair
        .taker
        .post(&format!("/syncs/{sync}/trigger"), &json!({}));
    let id = made.expect(201).json()["id"].clone();
    pair.run_until(id.as_str().unwrap(), "the run is over", |run| {
        run["completed_at"].is_string()
    })
}

/// What lifts the error of a sync.
type Lift<'a> = &'a dyn Fn(&Pair);

#[test]
fn a_fault_that_does_not_pass_stops_the_sync_until_somebody_does_something() {
    let pair = stock().start();
    pair.destination.execute("drop table stock");
    let sync = create(&pair, "hourly", json!({"schedule": "hourly"}));
    let target = format!("/syncs/{sync}");
    let put = |body: Value| {
        pair.taker
            .admin("PUT", &target, Some(&body))
            .expect(200)
            .json()
    };
    let by_trigger = |pair: &Pair| {
        pair.destination.execute(STOCK);
        assert_eq!(trigger(pair, &sync)["status"], "completed");
    };
    let lifts: [(&str, Lift<'_>); 3] = [
        ("resuming", &|_| drop(put(json!({"status": "active"})))),
        ("an edit", &|_| {
            drop(put(json!({"description": "the stock"})));
        }),
        ("a run by hand that comes through", &by_trigger),
    ];
    for (name, lift) in lifts {
        assert_eq!(trigger(&pair, &sync)["status"], "failed", "{name}");
        let stopped = sync_until(&pair, &sync, "it is stopped", |sync| {
            sync["status"] == "error"
        });
        assert_eq!(
            stopped["status_error"]["code"], "missing_here",
            "{stopped:#}"
        );
        assert!(stopped["next_sync_at"].is_null(), "{stopped:#}");
        lift(&pair);
        let lifted = sync_until(&pair, &sync, name, |sync| sync["next_sync_at"].is_string());
        assert_eq!(lifted["status"], "active", "{name}: {lifted:#}");
        assert!(lifted["status_error"].is_null(), "{name}: {lifted:#}");
    }
}

#[test]
fn a_connection_that_is_not_active_fails_the_run_at_once_and_leaves_the_sync_active() {
    let mut pair = stock().start();
    let sync = create(&pair, "hourly", json!({"schedule": "hourly"}));
    let id = connection(&pair.taker, "berlin")["id"].clone();
    let act = |pair: &Pair, what: &str| {
        let target = format!("/connections/{}/{what}", id.as_str().unwrap());
        pair.taker.post(&target, &json!({})).expect(200);
    };
    act(&pair, "suspend");
    let refused = pair
        .taker
        .post(&format!("/syncs/{sync}/trigger"), &json!({}));
    assert_eq!(refused.status, 409, "{}", refused.text());
    pair.taker.stop();
    move_next(&pair, &sync, -60);
    pair.taker.start();
    let failed = &runs_over(&pair, &sync, 1)[0];
    assert_eq!(failed["status"], "failed", "{failed:#}");
    assert_eq!(
        failed["error"]["code"], "connection_not_active",
        "{failed:#}"
    );
    assert_eq!(failed["attempt"], 1, "{failed:#}");
    let after = show(&pair, &sync);
    assert_eq!(after["status"], "active", "{after:#}");
    assert!(after["next_sync_at"].is_string(), "{after:#}");
    act(&pair, "reactivate");
    assert_eq!(trigger(&pair, &sync)["status"], "completed");
}

#[test]
fn a_table_has_one_writer_among_the_connections_unless_sharing_is_meant() {
    let pair = stock().start();
    let other = Database::with(
        Kind::Sqlite,
        &format!("{STOCK}; insert into stock values (9, 9)"),
    );
    let madrid = Site::builder("madrid").database(&other.url()).start();
    connect(&madrid, &pair.taker, &json!({"tables": "*"}));
    let of_madrid = connection(&pair.taker, "madrid")["id"].clone();
    let from = |shared: bool| json!({"source": {"kind": "connection", "connection_id": of_madrid}, "shared": shared});

    let sync = create(&pair, "stock of berlin", json!({}));
    let refused = pair.taker.post(
        "/syncs",
        &super::body(&pair, "stock of madrid", from(false)),
    );
    assert_eq!(refused.status, 409, "{}", refused.text());
    let told = refused.json();
    assert_eq!(told["type"], "/problems/other-writer", "{told:#}");
    assert!(
        told["detail"].as_str().unwrap().contains("berlin"),
        "{told:#}"
    );
    // A one-off minds the claim as well, before any run has written.
    let pulled = pair.taker.cli(&["pull", "madrid", "stock"]);
    assert_eq!(pulled.code, 4, "{pulled:#?}");
    create(&pair, "shared stock", from(true));

    // What a deleted sync has written is free.
    assert_eq!(trigger(&pair, &sync)["status"], "completed");
    for name in ["stock of berlin", "shared stock"] {
        let deleted = pair.taker.cli(&["sync", "delete", name]);
        assert_eq!(deleted.code, 0, "{deleted:#?}");
    }
    let id = create(&pair, "stock of madrid", from(false));
    assert_eq!(trigger(&pair, &id)["changes"]["added"], 1);
}

#[test]
fn two_tables_of_one_peer_are_not_mirrored_into_one() {
    let archive = STOCK.replace("stock", "archive");
    let source = Database::with(Kind::Sqlite, &format!("{STOCK}; {archive}"));
    let pair = Pair::builder(source, Database::with(Kind::Sqlite, STOCK)).start();
    create(&pair, "stock", json!({"sync_mode": "mirror"}));
    let of_archive = |mode: &str| {
        let table = json!({"source_table": "archive", "destination_table": "stock"});
        json!({"tables": [table], "sync_mode": mode})
    };
    for mode in ["mirror", "upsert"] {
        let asked = super::body(&pair, "archive", of_archive(mode));
        let told = problem(pair.taker.post("/syncs", &asked), 422, "invalid");
        let told = told["errors"][0].to_string();
        assert!(
            told.contains("sync stock") && told.contains("row_filter"),
            "{mode}: {told}"
        );
        let pulled = pair
            .taker
            .cli(&["pull", "berlin", "archive", "--to", "stock", "--mode", mode]);
        assert_eq!(pulled.code, 2, "{pulled:#?}");
    }
    // Its own next words are no other sync's, and the same table may be taken in two ways.
    let edited = pair
        .taker
        .cli(&["sync", "edit", "stock", "--guard", "5%,1000"]);
    assert_eq!(edited.code, 0, "{edited:#?}");
    create(&pair, "stock by day", json!({}));
}
