//! Tests of what is told of syncs and of their runs.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{known, messages, only, run};
use crate::model::drift::{Finding, Look};
use crate::model::fixture::{active, now, sync};
use crate::model::run::{RunError, RunStatus};
use crate::model::schedule::Planned;
use crate::model::sync::{SyncDefinition, SyncStatus};
use crate::model::trouble::{Event, Known, troubles};

fn after(minutes: i64) -> Timestamp {
    now() + SignedDuration::from_mins(minutes)
}

fn fault(code: &str) -> RunError {
    RunError {
        code: code.to_owned(),
        message: "no key".to_owned(),
        hint: Some("add one".to_owned()),
        retry_after: None,
    }
}

fn with(mut known: Known, sync: &SyncDefinition) -> Known {
    known.syncs = vec![sync.clone()];
    known
}

#[test]
fn a_sync_is_late_when_two_of_its_times_passed_without_a_run_that_came_through() {
    let hq = active();
    let mut hourly = sync(&hq, &["a"]);
    hourly.next = Some(Planned {
        planned_at: after(180),
        starts_at: after(183),
    });
    let told = |sync: &SyncDefinition, minutes: i64| {
        troubles(&with(known(&[&hq], &[]), sync), after(minutes))
    };
    assert_eq!(told(&hourly, 119), []);
    let late = told(&hourly, 120);
    assert_eq!(late.len(), 1, "{late:#?}");
    assert_eq!(
        (late[0].event, late[0].what.as_str()),
        (Event::SyncLate, "sync nightly")
    );
    assert_eq!(
        (late[0].since, late[0].next_attempt_at),
        (Some(after(120)), Some(after(183)))
    );
    assert_eq!(late[0].message, "late: nothing came through yet");
    assert!(
        late[0].hint.contains("evenkeel sync trigger nightly"),
        "{}",
        late[0].hint
    );

    hourly.last_synced_at = Some(after(61));
    assert_eq!(told(&hourly, 179), []);
    assert_eq!(
        told(&hourly, 180)[0].message,
        "late: nothing came through since 2026-11-21T11:01:00Z"
    );
    assert_eq!(told(&hourly, 180)[0].cause, late[0].cause);
    hourly.max_age = Some(Duration::from_secs(600));
    assert_eq!(
        told(&hourly, 71)[0].since,
        Some(after(71)),
        "its own word comes first"
    );
    for status in [SyncStatus::Paused, SyncStatus::Draft] {
        hourly.status = status;
        assert_eq!(told(&hourly, 9_999), [], "{status}");
    }
}

#[test]
fn a_sync_that_a_fault_halted_is_told_once_and_not_its_run_as_well() {
    let hq = active();
    let mut halted = sync(&hq, &["a"]);
    halted.status = SyncStatus::Error;
    halted.status_error = Some(fault("no_key"));
    let mut failed = run(&hq, RunStatus::Failed, &["a"]);
    failed.sync_id = Some(halted.id);
    let told = only(&with(known(&[&hq], &[&failed]), &halted));
    assert_eq!(
        (told.event, told.message.as_str()),
        (Event::SyncError, "halted: no key")
    );
    assert!(told.hint.starts_with("add one; "), "{}", told.hint);
    assert!(
        told.hint.ends_with("evenkeel sync resume nightly"),
        "{}",
        told.hint
    );
}

#[test]
fn a_run_of_a_sync_is_told_under_its_name_until_the_next_one_ends_well() {
    let hq = active();
    let nightly = sync(&hq, &["a", "b"]);
    let of_sync = |status| {
        let mut run = run(&hq, status, &["a", "b"]);
        run.sync_id = Some(nightly.id);
        run
    };
    let failed = of_sync(RunStatus::Failed);
    let first = only(&with(known(&[&hq], &[&failed]), &nightly));
    assert_eq!(
        (first.event, first.what.as_str()),
        (Event::RunFailed, "sync nightly")
    );
    assert!(
        first.hint.contains("evenkeel sync trigger nightly"),
        "{}",
        first.hint
    );
    let again = of_sync(RunStatus::Failed);
    let second = only(&with(known(&[&hq], &[&failed, &again]), &nightly));
    assert_eq!(
        second.cause, first.cause,
        "night after night it is one cause"
    );
    let well = of_sync(RunStatus::Completed);
    assert_eq!(
        messages(&with(known(&[&hq], &[&failed, &well]), &nightly)),
        [""; 0]
    );
    assert_eq!(
        messages(&known(&[&hq], &[&failed])),
        [""; 0],
        "the sync was deleted"
    );

    let mut paused = nightly.clone();
    paused.status = SyncStatus::Paused;
    assert_eq!(messages(&with(known(&[&hq], &[&failed]), &paused)), [""; 0]);
    let left = of_sync(RunStatus::CompletedWithErrors);
    let told = only(&with(known(&[&hq], &[&left]), &paused));
    assert_eq!(told.message, "6 rows quarantined in a, b");

    let mut smaller = nightly.clone();
    smaller.order.tables.truncate(1);
    let told = only(&with(known(&[&hq], &[&left]), &smaller));
    assert_eq!(
        told.message, "3 rows quarantined in a",
        "b is no longer its business"
    );
}

#[test]
fn what_a_sync_misses_while_its_peer_is_away_is_told_with_the_peer() {
    let mut hq = active();
    hq.unreachable_since = Some(now());
    let nightly = sync(&hq, &["a"]);
    let mut given_up = run(&hq, RunStatus::Failed, &["a"]);
    given_up.error = Some(fault("peer_unreachable"));
    let one_off = given_up.clone();
    given_up.sync_id = Some(nightly.id);
    let mut waiting = run(&hq, RunStatus::Pending, &["a"]);
    waiting.error = Some(fault("peer_unreachable"));
    waiting.sync_id = Some(nightly.id);
    let told = troubles(
        &with(known(&[&hq], &[&given_up, &waiting]), &nightly),
        now(),
    );
    let events: Vec<Event> = told.iter().map(|trouble| trouble.event).collect();
    assert_eq!(
        events,
        [Event::PeerUnreachable, Event::RunWaiting, Event::RunFailed]
    );
    for trouble in &told[1..] {
        assert_eq!(trouble.follows.as_ref(), Some(&told[0].cause));
    }
    let told = troubles(&known(&[&hq], &[&one_off]), now());
    assert_eq!(
        told[1].follows, None,
        "nobody repeats a one-off when the peer is back"
    );
}

#[test]
fn what_a_look_found_is_told_when_somebody_has_to_act() {
    let hq = active();
    for (finding, event) in [
        (Finding::Equal, None),
        (Finding::Unsettled, None),
        (Finding::Repairs, None),
        (Finding::Asks, None),
        (Finding::Left, Some("drift_found")),
        (Finding::Failed, Some("comparison_failed")),
    ] {
        let mut sync = sync(&hq, &["a"]);
        sync.compare_schedule = sync.schedule.clone();
        let look = run(&hq, RunStatus::Failed, &["a"]);
        sync.last_look = Some(Look {
            run_id: look.id,
            at: now(),
            finding,
            rows: 5,
            drifted: 3,
            repair_run: None,
            error: look.error,
        });
        let known = |sync: &SyncDefinition| Known {
            syncs: vec![sync.clone()],
            connections: vec![hq.clone()],
            ..Known::default()
        };
        let told = troubles(&known(&sync), now());
        let events: Vec<&str> = told.iter().map(|told| told.event.as_str()).collect();
        assert_eq!(events, Vec::from_iter(event), "{finding}");
        sync.status = SyncStatus::Paused;
        assert_eq!(troubles(&known(&sync), now()), [], "{finding}, paused");
    }
}
