//! What `status` tells of syncs, and what a peer's long absence does to them.

use serde_json::{Value, json};

use super::{create, runs, show, stock};
use crate::support::pair::Pair;
use crate::support::{sqlite, wait};

fn told(pair: &Pair) -> Vec<Value> {
    let told = pair.taker.get("/status");
    told["items"].as_array().unwrap().clone()
}

/// Waits until status tells this event, and returns it.
fn until_told(pair: &Pair, event: &str) -> Value {
    wait::until(&format!("{event} is told"), wait::LONG, || {
        told(pair).into_iter().find(|item| item["event"] == event)
    })
}

#[test]
fn a_sync_that_did_not_come_through_for_its_max_age_is_late_until_it_is_paused() {
    let pair = stock().start();
    let sync = create(&pair, "stock", json!({"max_age": 1}));
    let late = until_told(&pair, "sync_late");
    assert_eq!(late["what"], "sync stock", "{late:#}");
    assert!(late["since"].is_string(), "{late:#}");
    let hint = late["hint"].as_str().unwrap();
    assert!(hint.contains("evenkeel sync trigger stock"), "{hint}");
    let triggered = pair.taker.cli(&["sync", "trigger", "stock"]);
    assert_eq!(triggered.code, 0, "{triggered:#?}");
    let late = until_told(&pair, "sync_late");
    assert!(
        late["message"].as_str().unwrap().contains("since 2"),
        "late again: {late:#}"
    );
    assert_eq!(show(&pair, &sync)["status"], "active", "late is no fault");
    assert_eq!(pair.taker.cli(&["status"]).code, 1);
    assert_eq!(pair.taker.cli(&["sync", "pause", "stock"]).code, 0);
    assert_eq!(told(&pair), [Value::Null; 0]);
}

#[test]
fn a_sync_that_a_fault_halted_is_told_with_what_to_type() {
    let pair = stock().start();
    pair.destination.execute("drop table stock");
    let sync = create(&pair, "stock", json!({"schedule": "hourly"}));
    assert_eq!(pair.taker.cli(&["sync", "trigger", "stock"]).code, 1);
    let halted = until_told(&pair, "sync_error");
    assert_eq!(told(&pair).len(), 1, "its run is not told as well");
    let hint = halted["hint"].as_str().unwrap();
    let (_, command) = hint.split_once("to go on: evenkeel ").unwrap();
    pair.destination
        .execute("create table stock (id integer primary key, n integer not null)");
    let resumed = pair
        .taker
        .cli(&command.split_whitespace().collect::<Vec<_>>());
    assert_eq!(resumed.code, 0, "{resumed:#?}");
    assert_eq!(show(&pair, &sync)["status"], "active");
    let after = pair.taker.cli(&["sync", "trigger", "stock"]);
    assert_eq!(after.code, 0, "{after:#?}");
    assert_eq!(told(&pair), [Value::Null; 0]);
}

#[test]
fn a_peer_away_for_seven_days_halts_its_syncs_which_go_on_when_it_answers() {
    let mut pair = stock().taker("healing.interval", "1s").start();
    let sync = create(&pair, "stock", json!({"schedule": "hourly"}));
    pair.giver.stop();
    let made = pair
        .taker
        .post(&format!("/syncs/{sync}/trigger"), &json!({}));
    let run = made.expect(201).json()["id"].as_str().unwrap().to_owned();
    until_told(&pair, "peer_unreachable");
    pair.taker.cli(&["runs", "cancel", &run]);
    assert_eq!(show(&pair, &sync)["status"], "active");

    // What time has to do: the peer went, and the sync was made, eight days ago.
    pair.taker.stop();
    let eight_days = 8 * 86_400 * 1_000_000_i64;
    sqlite::execute(
        &pair.taker.folder().join("state.db"),
        &format!(
            "update connection set unreachable_since = unreachable_since - {eight_days};
            update sync set active_since = active_since - {eight_days};"
        ),
    );
    pair.taker.start();
    let halted = until_told(&pair, "sync_error");
    let message = halted["message"].as_str().unwrap();
    assert!(message.contains("cannot be reached since"), "{halted:#}");
    let stopped = show(&pair, &sync);
    assert_eq!(stopped["status"], "error", "{stopped:#}");
    assert_eq!(stopped["status_error"]["code"], "peer_away", "{stopped:#}");
    assert!(stopped["next_sync_at"].is_null(), "{stopped:#}");

    pair.giver.start();
    let caught_up = wait::until("it catches up by itself", wait::LONG, || {
        let runs = runs(&pair, &sync);
        let last = runs.last().unwrap().clone();
        (runs.len() == 2 && last["status"] == "completed").then_some(last)
    });
    assert_eq!(caught_up["triggered_by"], "schedule", "{caught_up:#}");
    let lifted = show(&pair, &sync);
    assert_eq!(lifted["status"], "active", "{lifted:#}");
    assert!(lifted["status_error"].is_null(), "{lifted:#}");
    assert_eq!(pair.destination.count("stock"), 3);
    wait::until("nothing is left to tell", wait::LONG, || {
        told(&pair).is_empty().then_some(())
    });
}
