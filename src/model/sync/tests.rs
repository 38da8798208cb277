//! A sync in simulated time: over changes of the clock, downtime, long runs, and a clock that was wrong.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{AtDue, Consequence, Step, SyncDefinition, SyncStatus, at_due, consequence};
use crate::model::id::{ConnectionId, SyncId};
use crate::model::order::TableOrder;
use crate::model::run::{Run, RunError, RunOrder, RunStatus};
use crate::model::schedule::{Planned, Schedule};
use crate::model::table::TableName;

const JITTER: Duration = Duration::from_secs(300);

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn order() -> RunOrder {
    RunOrder::of(vec![TableOrder::of(TableName::bare("orders"))])
}

fn sync(schedule: &str, zone: &str, now: Timestamp) -> SyncDefinition {
    let schedule: Schedule = schedule.parse().unwrap();
    SyncDefinition {
        id: SyncId::generate(),
        name: "orders".to_owned(),
        description: None,
        connection_id: ConnectionId::generate(),
        order: order(),
        schedule: Some(schedule.in_zone(zone).unwrap()),
        compare_schedule: None,
        repair: None,
        max_age: None,
        status: SyncStatus::Active,
        status_error: None,
        created_by: "unix:anna".to_owned(),
        created_at: now,
        updated_at: now,
        active_since: Some(now),
        last_synced_at: None,
        proved_equal_at: None,
        last_run_id: None,
        next: None,
        next_look: None,
        last_look: None,
    }
}

fn error(code: &str) -> RunError {
    RunError {
        code: code.to_owned(),
        message: "it did not work".to_owned(),
        hint: None,
        retry_after: None,
    }
}

/// A scheduler that looks every few minutes, unless the daemon is down; the times it made runs for, and when.
fn simulate(
    sync: &mut SyncDefinition,
    (from, to): (Timestamp, Timestamp),
    down: &[(Timestamp, Timestamp)],
) -> Vec<(Timestamp, Timestamp)> {
    let mut runs = Vec::new();
    let mut now = from;
    while now < to {
        let is_up = !down.iter().any(|(from, to)| (*from..*to).contains(&now));
        if is_up {
            match sync.step(now, JITTER) {
                Step::Plan(next) => sync.next = Some(next),
                Step::Begin { due, next } => {
                    runs.push((due.planned_at, now));
                    sync.next = next;
                }
                Step::Rest | Step::Wait(_) => {}
            }
        }
        now += SignedDuration::from_secs(97);
    }
    runs
}

#[test]
fn over_both_changes_of_the_clock_each_planned_time_has_one_run() {
    for (zone, changes) in [
        ("Europe/Berlin", ["2026-03-29", "2026-10-25"]),
        ("America/New_York", ["2026-03-08", "2026-11-01"]),
        ("Australia/Lord_Howe", ["2026-04-05", "2026-10-04"]),
    ] {
        for change in changes {
            let change = at(&format!("{change}T00:00Z"));
            let days = SignedDuration::from_hours(60);
            for schedule in ["daily@02:30", "hourly", "*/20 * * * *", "0 */2 * * *"] {
                let from = change - days;
                let mut sync = sync(schedule, zone, from);
                let runs = simulate(&mut sync, (from, change + days), &[]);
                assert!(runs.len() >= 5, "{schedule} {zone}");
                let mut expected = from;
                for (planned, begun) in &runs {
                    let rule = sync.schedule.as_ref().unwrap();
                    expected = rule.next_after(expected).unwrap();
                    assert_eq!(*planned, expected, "{schedule} {zone}: missing, or twice");
                    let late = planned.duration_until(*begun).as_secs();
                    assert!(
                        (0..=400).contains(&late),
                        "{schedule} {zone}: {late} s late"
                    );
                }
            }
        }
    }
}

#[test]
fn however_many_times_were_missed_one_run_makes_up_for_them() {
    let day = |text: &str| at(&format!("2026-03-{text}Z"));
    let (from, to) = (day("28T00:00"), day("30T12:00"));
    // Down over the change of the clock.
    let down = [(day("28T10:30"), day("29T06:10"))];
    for (schedule, expected) in [("hourly", 10 + 1 + 5 + 24), ("daily@02:30", 3)] {
        let mut sync = sync(schedule, "Europe/Berlin", from);
        let runs = simulate(&mut sync, (from, to), &down);
        let after: Vec<_> = runs.iter().filter(|run| run.1 >= down[0].1).collect();
        let (planned, begun) = after[0];
        assert!(*planned < down[0].1 && down[0].0 < *planned, "{planned}");
        assert!(down[0].1.duration_until(*begun).as_secs() < 100, "at once");
        assert!(after[1].0 > *begun, "the next one lies ahead");
        let count = runs.len();
        assert!(
            (expected..=expected + 6).contains(&count),
            "{schedule}: {count}"
        );
    }
}

#[test]
fn a_clock_that_was_far_ahead_does_not_silence_a_sync() {
    let wrong = at("2038-01-19T00:00Z");
    let mut sync = sync("hourly", "UTC", wrong);
    simulate(
        &mut sync,
        (wrong, wrong + SignedDuration::from_hours(3)),
        &[],
    );
    let right = at("2026-11-21T10:30Z");
    let runs = simulate(
        &mut sync,
        (right, right + SignedDuration::from_hours(3)),
        &[],
    );
    assert_eq!(runs.len(), 3);
    // A step back by a little plans nothing anew.
    let next = sync.next.unwrap();
    let before = next.planned_at - SignedDuration::from_secs(3_610);
    assert_eq!(sync.step(before, JITTER), Step::Wait(next.starts_at));
}

#[test]
fn only_an_active_sync_with_a_schedule_has_a_next_time() {
    let now = at("2026-11-21T10:30Z");
    for status in [SyncStatus::Draft, SyncStatus::Paused, SyncStatus::Error] {
        let mut sync = sync("hourly", "UTC", now);
        sync.status = status;
        assert_eq!(sync.step(now, JITTER), Step::Rest, "{status}");
    }
    let mut by_hand = sync("hourly", "UTC", now);
    by_hand.schedule = None;
    assert_eq!(by_hand.step(now, JITTER), Step::Rest);
    assert_eq!(by_hand.late_at(), None);
}

#[test]
fn a_sync_is_late_when_two_of_its_times_have_passed_since_it_came_through() {
    let mut sync = sync("0 9-17 * * 1-5", "Europe/Berlin", at("2026-11-20T08:30Z"));
    let late = |sync: &SyncDefinition| sync.late_at().map(|at| at.to_string());
    // It is 09:30 there: 10:00 and 11:00.
    assert_eq!(late(&sync).as_deref(), Some("2026-11-20T10:00:00Z"));
    // A weekend is no delay.
    sync.last_synced_at = Some(at("2026-11-20T16:01Z"));
    assert_eq!(late(&sync).as_deref(), Some("2026-11-23T09:00:00Z"));
    sync.max_age = Some(Duration::from_secs(3_600));
    assert_eq!(late(&sync).as_deref(), Some("2026-11-20T17:01:00Z"));
    // Whoever resumes it does not find it late.
    sync.active_since = Some(at("2026-11-25T10:00Z"));
    assert_eq!(late(&sync).as_deref(), Some("2026-11-25T11:00:00Z"));
    sync.status = SyncStatus::Paused;
    assert_eq!(late(&sync), None);
}

fn run(status: RunStatus, attempt: u32, code: Option<&str>) -> Run {
    let now = at("2026-11-21T10:30Z");
    let mut run = Run::new(ConnectionId::generate(), order(), "schedule", now);
    (run.status, run.attempt, run.error) = (status, attempt, code.map(error));
    run
}

#[test]
fn a_planned_time_finds_the_run_before_it() {
    assert_eq!(at_due(None), AtDue::Begin);
    let (pending, running) = (RunStatus::Pending, RunStatus::Running);
    let cases = [
        ("at work", running, 1, None, false),
        ("not begun", pending, 0, None, false),
        (
            "waits for a writer",
            pending,
            0,
            Some("waiting_for_run"),
            false,
        ),
        ("interrupted by a kill", pending, 1, None, false),
        (
            "interrupted by a stop",
            pending,
            1,
            Some("daemon_stopping"),
            false,
        ),
        (
            "between attempts",
            pending,
            3,
            Some("peer_unreachable"),
            true,
        ),
    ];
    for (name, status, attempt, code, gives_up) in cases {
        let run = run(status, attempt, code);
        let expected = if gives_up {
            AtDue::Replace(Box::new(run.clone()))
        } else {
            AtDue::PassOver
        };
        assert_eq!(at_due(Some(run)), expected, "{name}");
    }
}

#[test]
fn the_end_of_a_run_stops_its_sync_only_when_trying_again_cannot_help() {
    let cases = [
        (RunStatus::Completed, None, false, Consequence::CameThrough),
        (
            RunStatus::CompletedWithErrors,
            None,
            false,
            Consequence::CameThrough,
        ),
        (
            RunStatus::Failed,
            Some("peer_unreachable"),
            false,
            Consequence::None,
        ),
        (
            RunStatus::Failed,
            Some("not_granted"),
            true,
            Consequence::Stops,
        ),
        (
            RunStatus::Failed,
            Some("connection_not_active"),
            true,
            Consequence::None,
        ),
        (
            RunStatus::Cancelled,
            Some("cancelled"),
            true,
            Consequence::None,
        ),
    ];
    for (status, code, permanent, expected) in cases {
        let ended = run(status, 1, code);
        assert_eq!(
            consequence(&ended, permanent),
            expected,
            "{status} {code:?}"
        );
    }
}

#[test]
fn a_due_time_is_begun_when_its_share_of_the_jitter_is_over() {
    let now = at("2026-11-21T10:30Z");
    let mut sync = sync("hourly", "UTC", now);
    let due = Planned {
        planned_at: at("2026-11-21T11:00Z"),
        starts_at: at("2026-11-21T11:02Z"),
    };
    sync.next = Some(due);
    assert_eq!(
        sync.step(at("2026-11-21T11:01:59Z"), JITTER),
        Step::Wait(due.starts_at)
    );
    let begun = sync.step(due.starts_at, JITTER);
    let next = sync.next_after(due.starts_at, JITTER);
    assert_eq!(begun, Step::Begin { due, next });
}
