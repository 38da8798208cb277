//! What there is to tell of a sync: that it is late, or that a fault halted it. Of one that somebody paused, nothing.

use jiff::Timestamp;

use crate::model::connection::Connection;
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
