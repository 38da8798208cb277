//! Tests of what is told: each state by its name, when it begins and when it ends.

mod sync;

use jiff::SignedDuration;

use super::{Event, Known, ScarceDisk, Trouble, shell_word, troubles};
use crate::model::connection::{Connection, Status};
use crate::model::fixture::{active, connection, now};
use crate::model::id::RunId;
use crate::model::order::TableOrder;
use crate::model::outcome::outcomes;
use crate::model::run::{Progress, Run, RunError, RunOrder, RunStatus, RunTable};
use crate::model::table::TableName;

/// A run over `connection` whose tables all ended as it did.
pub(super) fn run(connection: &Connection, status: RunStatus, tables: &[&str]) -> Run {
    let tables: Vec<TableName> = tables.iter().map(|name| TableName::bare(*name)).collect();
    let table = |name: &TableName| RunTable {
        status,
        rows_failed: if status == RunStatus::CompletedWithErrors {
            3
        } else {
            0
        },
        ..RunTable::waiting(name.clone())
    };
    Run {
        id: RunId::generate(),
        connection_id: connection.id,
        status,
        sync_id: None,
        planned_at: None,
        give_up_at: None,
        triggered_by: "unix:anna".to_owned(),
        attempt: 1,
        next_attempt_at: None,
        created_at: now(),
        started_at: None,
        completed_at: status.is_final().then(now),
        progress: Progress::default(),
        error: (status != RunStatus::Completed).then(|| RunError {
            code: "no_key".to_owned(),
            message: "no key".to_owned(),
            hint: None,
            retry_after: None,
        }),
        plan_hash: None,
        approved_plan: None,
        tables: tables.iter().map(table).collect(),
        order: RunOrder::of(tables.into_iter().map(TableOrder::of).collect()),
        cancel_requested: false,
        looks: false,
    }
}

/// What the state would hold after these runs ended in this order: the newest has the last word about each table.
pub(super) fn known(connections: &[&Connection], runs: &[&Run]) -> Known {
    let mut known = Known {
        connections: connections
            .iter()
            .map(|&connection| connection.clone())
            .collect(),
        ..Known::default()
    };
    for run in runs {
        for said in outcomes(run, now()) {
            known.outcomes.retain(|older| older.table != said.table);
            known.outcomes.push(said);
        }
        known.runs.insert(0, (*run).clone());
    }
    known
}

pub(super) fn messages(known: &Known) -> Vec<String> {
    let told = troubles(known, now());
    told.into_iter().map(|trouble| trouble.message).collect()
}

pub(super) fn only(known: &Known) -> Trouble {
    let told = troubles(known, now());
    assert_eq!(told.len(), 1, "{told:#?}");
    told.into_iter().next().unwrap()
}

#[test]
fn a_healthy_site_has_nothing_to_tell() {
    let (healthy, over) = (active(), connection(Status::Revoked, Status::Active));
    let runs = [
        run(&healthy, RunStatus::Cancelled, &["b"]),
        run(&healthy, RunStatus::Failed, &["a"]),
        run(&healthy, RunStatus::Completed, &["a"]),
        run(&over, RunStatus::Failed, &["c"]),
    ];
    let runs: Vec<&Run> = runs.iter().collect();
    assert_eq!(messages(&known(&[&healthy, &over], &runs)), [""; 0]);
    assert_eq!(messages(&Known::default()), [""; 0]);
}

#[test]
fn each_state_that_needs_somebody_says_who_and_what_to_type() {
    use Status::{Active, Expired, Pending, Severed, Suspended};
    for (local, remote, event, what, hint) in [
        (
            Pending,
            Active,
            "connection_pending",
            "asks to be connected",
            "evenkeel connections approve hq",
        ),
        (
            Active,
            Pending,
            "connection_waiting",
            "waits for the peer",
            "evenkeel connections verify hq",
        ),
        (
            Suspended,
            Active,
            "connection_suspended",
            "suspended here",
            "evenkeel connections reactivate hq",
        ),
        (
            Active,
            Suspended,
            "connection_suspended",
            "suspended by the peer",
            "evenkeel connections verify hq",
        ),
        (
            Active,
            Severed,
            "connection_severed",
            "ended by the peer",
            "evenkeel connections delete hq",
        ),
        (
            Expired,
            Active,
            "connection_expired",
            "its time is over",
            "evenkeel connections edit hq",
        ),
    ] {
        let told = only(&known(&[&connection(local, remote)], &[]));
        assert_eq!(told.event.as_str(), event);
        assert_eq!(told.what, "connection hq");
        assert!(
            told.message.contains(what) && told.hint.contains(hint),
            "{told:?}"
        );
    }
}

#[test]
fn an_unreachable_peer_is_told_with_the_next_attempt_and_once_with_what_waits_for_it() {
    let mut gone = active();
    gone.unreachable_since = Some(now());
    gone.next_attempt_at = Some(now() + SignedDuration::from_mins(5));
    let mut waiting = run(&gone, RunStatus::Pending, &["a"]);
    waiting.error.as_mut().unwrap().code = "peer_unreachable".to_owned();
    let told = troubles(&known(&[&gone], &[&waiting]), now());
    assert_eq!(told[0].event, Event::PeerUnreachable);
    assert_eq!(
        (told[0].since, told[0].next_attempt_at),
        (gone.unreachable_since, gone.next_attempt_at)
    );
    assert!(told[0].hint.contains("evenkeel connections verify hq"));
    assert_eq!(told[1].event, Event::RunWaiting);
    assert_eq!(told[1].follows.as_ref(), Some(&told[0].cause));

    gone.unreachable_since = None;
    let waits = only(&known(&[&gone], &[&waiting]));
    assert_eq!(
        waits.follows, None,
        "what waits for something else is a cause of its own"
    );
}

#[test]
fn a_database_that_is_down_is_told_with_what_waits_for_it() {
    let berlin = active();
    let mut waiting = run(&berlin, RunStatus::Pending, &["a"]);
    waiting.error.as_mut().unwrap().code = "database_unreachable".to_owned();
    let mut site = known(&[&berlin], &[&waiting]);
    assert_eq!(only(&site).event, Event::RunWaiting);
    assert_eq!(only(&site).follows, None, "it is back, and the run not yet");

    site.database_fault = Some("it is down".into());
    let told = troubles(&site, now());
    let [database, run] = told.as_slice() else {
        panic!("{told:#?}");
    };
    assert_eq!(database.event, Event::DatabaseUnreachable);
    assert!(
        database.hint.contains("start the site database"),
        "{database:?}"
    );
    assert_eq!(run.follows.as_ref(), Some(&database.cause));
}

#[test]
fn a_disk_that_is_nearly_full_is_told() {
    let site = Known {
        scarce_disk: Some(ScarceDisk {
            folder: "/var/lib/evenkeel".into(),
            mebibytes: 12,
        }),
        ..Known::default()
    };
    let told = only(&site);
    assert_eq!(told.event, Event::StateDiskFull);
    assert!(
        told.message.contains("12 MiB") && told.message.contains("/var/lib"),
        "{told:?}"
    );
}

#[test]
fn a_failure_is_told_until_a_newer_run_had_the_last_word_about_its_tables() {
    let hq = active();
    let failed = run(&hq, RunStatus::Failed, &["a", "b"]);
    let told = only(&known(&[&hq], &[&failed]));
    assert_eq!(told.message, "run of a, b failed: no key");
    assert_eq!(told.what, "a, b from hq");
    assert!(
        told.hint
            .contains("evenkeel pull hq a b (or: evenkeel runs dismiss"),
        "{}",
        told.hint
    );
    assert_eq!(
        messages(&known(&[], &[&failed])),
        [""; 0],
        "its connection was deleted"
    );

    let newer = run(&hq, RunStatus::Completed, &["a"]);
    let rest = only(&known(&[&hq], &[&failed, &newer]));
    assert_eq!(rest.message, "run of b failed: no key");
    assert_eq!(rest.cause, told.cause, "it is the same cause as before");

    let again = run(&hq, RunStatus::Failed, &["b", "a"]);
    assert_eq!(only(&known(&[&hq], &[&failed, &again])).cause, told.cause);
    let other = run(&hq, RunStatus::Failed, &["c"]);
    assert_ne!(only(&known(&[&hq], &[&other])).cause, told.cause);
}

#[test]
fn a_run_that_failed_before_it_came_to_its_tables_is_overtaken_all_the_same() {
    let hq = active();
    let mut failed = run(&hq, RunStatus::Failed, &["a"]);
    failed.tables.clear();
    assert_eq!(
        messages(&known(&[&hq], &[&failed])),
        ["run of a failed: no key"]
    );
    let newer = run(&hq, RunStatus::Completed, &["a"]);
    assert_eq!(messages(&known(&[&hq], &[&failed, &newer])), [""; 0]);
}

#[test]
fn a_failure_is_forgotten_after_seven_days_and_quarantined_rows_are_not() {
    let hq = active();
    let (failed, left) = (
        run(&hq, RunStatus::Failed, &["a"]),
        run(&hq, RunStatus::CompletedWithErrors, &["b"]),
    );
    let known = known(&[&hq], &[&failed, &left]);
    let told = |days: i64| -> Vec<String> {
        let told = troubles(&known, now() + SignedDuration::from_hours(days * 24));
        told.into_iter().map(|trouble| trouble.message).collect()
    };
    assert_eq!(
        told(7),
        ["3 rows quarantined in b", "run of a failed: no key"]
    );
    assert_eq!(told(8), ["3 rows quarantined in b"]);
}

#[test]
fn what_a_command_cannot_order_again_is_left_to_whoever_ordered_it() {
    let hq = active();
    let mut failed = run(&hq, RunStatus::Failed, &["a"]);
    failed.order.tables[0].source_table = TableName::bare("b");
    failed.order.tables[0].destination_table = Some(TableName::bare("a"));
    let mapped = only(&known(&[&hq], &[&failed])).hint;
    assert!(!mapped.contains("evenkeel pull"), "{mapped}");
    assert!(mapped.contains("evenkeel runs dismiss"), "{mapped}");
}

#[test]
fn what_was_dismissed_is_told_no_more() {
    let hq = active();
    let mut known = known(&[&hq], &[&run(&hq, RunStatus::Failed, &["a"])]);
    known.outcomes[0].dismissed_at = Some(now());
    assert_eq!(messages(&known), [""; 0]);
}

#[test]
fn a_run_that_waits_says_for_what_and_how_to_stop_it() {
    let hq = active();
    let waiting = run(&hq, RunStatus::Pending, &["a"]);
    let told = only(&known(&[&hq], &[&waiting]));
    assert_eq!(
        (told.event, told.message.as_str()),
        (Event::RunWaiting, "run waits: no key")
    );
    assert!(
        told.hint
            .contains(&format!("evenkeel runs cancel {}", waiting.id))
    );
    let second = run(&hq, RunStatus::Pending, &["a"]);
    assert_eq!(
        messages(&known(&[&hq], &[&waiting, &second])).len(),
        1,
        "one cause is told once"
    );
    let mut fresh = run(&hq, RunStatus::Pending, &["a"]);
    fresh.error = None;
    assert_eq!(
        messages(&known(&[&hq], &[&fresh])),
        [""; 0],
        "it has not begun yet"
    );
}

#[test]
fn many_tables_are_counted_rather_than_listed() {
    let hq = active();
    let names = ["a", "b", "c", "d", "e", "f", "g"];
    let told = only(&known(&[&hq], &[&run(&hq, RunStatus::Failed, &names)]));
    assert_eq!(told.what, "a, b, c, d, e and 2 more from hq");
    let six = only(&known(&[&hq], &[&run(&hq, RunStatus::Failed, &names[..5])]));
    assert_eq!(six.what, "a, b, c, d, e from hq");
}

#[test]
fn a_name_is_one_word_of_a_command() {
    assert_eq!(shell_word("shop.items"), "shop.items");
    assert_eq!(shell_word("two words"), "'two words'");
    assert_eq!(shell_word("it's"), r"'it'\''s'");
}

#[test]
fn a_run_that_waits_for_a_person_says_what_it_would_do_and_what_to_type() {
    let (hq, over) = (active(), connection(Status::Revoked, Status::Active));
    let mut waiting = run(&hq, RunStatus::NeedsApproval, &["a"]);
    waiting.tables[0].changes.deleted = 7;
    let told = only(&known(&[&hq], &[&waiting]));
    assert_eq!(told.event.as_str(), "approval_needed");
    assert!(told.message.contains("7 to delete"), "{told:?}");
    let command = format!("evenkeel runs approve {}", waiting.id);
    assert!(told.hint.starts_with(&command), "{told:?}");
    // Nothing can be done over a connection that ended.
    let lost = run(&over, RunStatus::NeedsApproval, &["a"]);
    assert_eq!(messages(&known(&[&over], &[&lost])), [""; 0]);
}
