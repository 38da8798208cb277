//! What there is to tell of a sync: that it is late, that a fault halted it, or what it found when it compared. Of one
//! that somebody paused, nothing.

use jiff::Timestamp;

use crate::model::connection::Connection;
use crate::model::drift::Finding;
use crate::model::sync::{SyncDefinition, SyncStatus};
use crate::model::trouble::{Event, Trouble, shell_word};

/// What `sync` leaves to be told at `now`; `connection` is its source, unless that was deleted.
pub(super) fn trouble(
    sync: &SyncDefinition,
    connection: Option<&Connection>,
    now: Timestamp,
) -> Option<Trouble> {
    match sync.status {
        SyncStatus::Draft | SyncStatus::Paused => None,
        SyncStatus::Error => Some(halted(sync)),
        SyncStatus::Active => {
            let since = sync.late_at().filter(|late_at| *late_at <= now)?;
            Some(late(sync, connection, since))
        }
    }
}

fn halted(sync: &SyncDefinition) -> Trouble {
    let name = shell_word(&sync.name);
    let error = sync.status_error.as_ref();
    let hint = error.and_then(|error| error.hint.as_deref());
    let first = hint.map_or_else(String::new, |hint| format!("{hint}; "));
    let fault = error.map_or("a fault", |error| &error.message);
    Trouble {
        hint: format!(
            "{first}see: evenkeel sync show {name}; to go on: evenkeel sync resume {name}"
        ),
        ..about(sync, Event::SyncError, format!("halted: {fault}"))
    }
}

fn late(sync: &SyncDefinition, connection: Option<&Connection>, since: Timestamp) -> Trouble {
    let name = shell_word(&sync.name);
    let message = match sync.last_synced_at {
        Some(last) => format!("late: nothing came through since {last}"),
        None => "late: nothing came through yet".to_owned(),
    };
    let hint = match connection {
        Some(_) => format!("see: evenkeel sync show {name}; now: evenkeel sync trigger {name}"),
        None => format!(
            "its connection was deleted; evenkeel sync edit {name} --from CONNECTION (or: evenkeel sync delete {name})"
        ),
    };
    Trouble {
        since: Some(since),
        next_attempt_at: sync.next.map(|next| next.starts_at),
        hint,
        ..about(sync, Event::SyncLate, message)
    }
}

/// What the last look of `sync` leaves to be told.
pub(super) fn of_look(sync: &SyncDefinition) -> Option<Trouble> {
    let look = sync.last_look.as_ref()?;
    if sync.status != SyncStatus::Active || sync.compare_schedule.is_none() {
        return None;
    }
    let (name, id) = (shell_word(&sync.name), look.run_id);
    let (event, message, hint) = match look.finding {
        Finding::Left => (
            Event::DriftFound,
            format!(
                "{} rows drifted, of {} that differ",
                look.drifted, look.rows
            ),
            format!("evenkeel runs differences {id}; to repair them: evenkeel sync preview {name}"),
        ),
        Finding::Failed => {
            let error = look.error.as_ref();
            let hint = error.and_then(|error| error.hint.as_deref());
            let first = hint.map_or_else(String::new, |hint| format!("{hint}; "));
            (
                Event::ComparisonFailed,
                format!(
                    "could not be compared: {}",
                    error.map_or("a fault", |error| &error.message)
                ),
                format!("{first}see: evenkeel runs show {id}"),
            )
        }
        // What is repaired, or waits for approval, its own run tells.
        Finding::Equal | Finding::Unsettled | Finding::Repairs | Finding::Asks => return None,
    };
    Some(Trouble {
        since: Some(look.at),
        next_attempt_at: sync.next_look.map(|next| next.starts_at),
        hint,
        ..about(sync, event, message)
    })
}

fn about(sync: &SyncDefinition, event: Event, message: String) -> Trouble {
    Trouble {
        cause: format!("{event}:{}", sync.id),
        event,
        what: format!("sync {}", sync.name),
        since: None,
        next_attempt_at: None,
        message,
        hint: String::new(),
        follows: None,
    }
}
