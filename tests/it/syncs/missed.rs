//! Downtime, pauses and planned times that found a run in their way. Time is moved in the state while nobody runs.

use serde_json::json;

use super::{create, move_next, runs, runs_over, show, stock};
use crate::support::proxy::Link;
use crate::support::wait;

const HOUR: i64 = 3_600;

#[test]
fn times_missed_while_the_daemon_was_down_are_made_up_for_by_one_run() {
    let mut pair = stock().start();
    let sync = create(&pair, "hourly", json!({"schedule": "hourly"}));
    pair.taker.stop();
    move_next(&pair, &sync, -26 * HOUR);
    pair.taker.start();
    let made = runs_over(&pair, &sync, 1);
    assert_eq!(made[0]["status"], "completed", "{made:#?}");
    let moment =
        |value: &serde_json::Value| -> jiff::Timestamp { value.as_str().unwrap().parse().unwrap() };
    let late = moment(&made[0]["planned_at"]).duration_until(moment(&made[0]["created_at"]));
    assert!(late.as_hours() >= 25, "{made:#?}");
    let now = show(&pair, &sync);
    let ahead = jiff::Timestamp::now().duration_until(moment(&now["next_sync_at"]));
    assert!(ahead.is_positive() && ahead.as_secs() <= HOUR, "{now:#}");
    assert_eq!(now["last_run_id"], made[0]["id"]);
    assert_eq!(now["last_synced_at"], made[0]["completed_at"]);
    // Another start finds nothing to make up for.
    pair.taker.restart();
    assert_eq!(runs(&pair, &sync).len(), 1);
}

#[test]
fn a_paused_sync_misses_nothing_and_goes_on_with_its_next_time() {
    let mut pair = stock().start();
    let paused = create(
        &pair,
        "paused",
        json!({"schedule": "hourly", "shared": true}),
    );
    let active = create(
        &pair,
        "active",
        json!({"schedule": "hourly", "shared": true}),
    );
    let set = |pair: &crate::support::pair::Pair, status: &str| {
        let target = format!("/syncs/{paused}");
        pair.taker
            .admin("PUT", &target, Some(&json!({"status": status})))
            .expect(200)
            .json()
    };
    assert!(set(&pair, "paused")["next_sync_at"].is_null());
    pair.taker.stop();
    for sync in [&paused, &active] {
        move_next(&pair, sync, -3 * HOUR);
    }
    pair.taker.start();
    // The scheduler has looked at both when the one has run.
    runs_over(&pair, &active, 1);
    assert_eq!(runs(&pair, &paused).len(), 0);
    let resumed = set(&pair, "active");
    assert!(resumed["next_sync_at"].is_string(), "{resumed:#}");
    pair.taker.restart();
    assert_eq!(
        runs(&pair, &paused).len(),
        0,
        "a pause is made up for by nothing"
    );
}

#[test]
fn a_time_that_comes_while_a_run_goes_on_is_passed_over() {
    let mut pair = stock().start();
    pair.link.set(Link::StallAfter(0));
    let sync = create(&pair, "hourly", json!({"schedule": "hourly"}));
    pair.taker.stop();
    move_next(&pair, &sync, -HOUR);
    pair.taker.start();
    wait::until("the run has begun", wait::LONG, || {
        let runs = runs(&pair, &sync);
        (runs.first()?["status"] == "running").then_some(())
    });
    pair.taker.kill9();
    move_next(&pair, &sync, -5);
    pair.taker.start();
    pair.link.set(Link::Whole);
    let only = runs_over(&pair, &sync, 1);
    assert_eq!(only[0]["status"], "completed", "{only:#?}");
    assert_eq!(only[0]["attempt"], 2, "{only:#?}");
    let log = pair.taker.log();
    assert!(log.contains("that run stands for both"), "{log}");
    assert!(show(&pair, &sync)["next_sync_at"].is_string());
}
