//! What there is to tell of a connection.

use crate::model::connection::{Connection, Direction, Identity, Status};
use crate::model::trouble::{Event, Trouble, shell_word};

/// Whatever keeps `connection` from carrying rows.
pub(super) fn troubles(connection: &Connection) -> Vec<Trouble> {
    let ended = matches!(connection.status(), Status::Revoked | Status::Severed);
    let unreachable = connection.unreachable_since.filter(|_| !ended);
    let unreachable = unreachable.map(|since| Trouble {
        since: Some(since),
        next_attempt_at: connection.next_attempt_at,
        ..trouble(
            connection,
            Event::PeerUnreachable,
            format!("{} cannot be reached", connection.url),
            format!(
                "check that it is up, then: evenkeel connections verify {0}; if it moved: evenkeel connections edit {0} --url URL",
                shell_word(&connection.name)
            ),
        )
    });
    of_status(connection)
        .into_iter()
        .chain(unreachable)
        .chain(unproved(connection).filter(|_| !ended))
        .collect()
}

/// The cause of the trouble that a peer cannot be reached.
pub(super) fn unreachable_cause(connection: &Connection) -> String {
    cause(connection, Event::PeerUnreachable)
}

fn of_status(connection: &Connection) -> Option<Trouble> {
    let (name, url) = (shell_word(&connection.name), &connection.url);
    let here = connection.local_status == connection.status();
    let reason = match &connection.status_reason {
        Some(reason) => format!(": {reason}"),
        None => String::new(),
    };
    let told = |event, message, hint| Some(trouble(connection, event, message, hint));
    match connection.status() {
        Status::Pending if connection.local_status == Status::Pending => Some(Trouble {
            since: Some(connection.created_at),
            ..trouble(
                connection,
                Event::ConnectionPending,
                wish(connection),
                format!(
                    "evenkeel connections approve {name} (or: evenkeel connections reject {name})"
                ),
            )
        }),
        // Who was never reached cannot have been asked.
        Status::Pending if connection.unreachable_since.is_some() => None,
        Status::Pending => Some(Trouble {
            since: Some(connection.created_at),
            ..trouble(
                connection,
                Event::ConnectionWaiting,
                "waits for the peer's administrator".to_owned(),
                format!(
                    "ask them to approve it at {url}, then: evenkeel connections verify {name}"
                ),
            )
        }),
        Status::Suspended if here => told(
            Event::ConnectionSuspended,
            format!("suspended here{reason}"),
            format!("evenkeel connections reactivate {name}"),
        ),
        Status::Suspended => told(
            Event::ConnectionSuspended,
            format!("suspended by the peer{reason}"),
            format!("ask its administrator, then: evenkeel connections verify {name}"),
        ),
        Status::Expired => told(
            Event::ConnectionExpired,
            "its time is over".to_owned(),
            format!("evenkeel connections edit {name} (or: evenkeel connections delete {name})"),
        ),
        Status::Severed if connection.unknown.is_some() => told(
            Event::ConnectionSevered,
            format!("severed{reason}"),
            format!(
                "ask its administrator whether its state was restored from an older backup: it goes on by itself when {url} knows it again; else: evenkeel connections delete {name}"
            ),
        ),
        Status::Severed => told(
            Event::ConnectionSevered,
            format!("ended by the peer{reason}"),
            format!("evenkeel connections delete {name}; to begin anew: evenkeel connect {url}"),
        ),
        Status::Active | Status::Revoked => None,
    }
}

fn wish(connection: &Connection) -> String {
    let url = &connection.url;
    match (connection.direction, connection.wanted_tables.as_slice()) {
        (Direction::Receiver, _) => format!("{url} asks to be connected"),
        (Direction::Sender, []) => format!("{url} asks to read tables of this site"),
        (Direction::Sender, tables) => {
            let names: Vec<String> = tables.iter().map(ToString::to_string).collect();
            format!("{url} asks to read {}", names.join(", "))
        }
    }
}

/// A peer that moved, or was given another URL, and has not answered there.
fn unproved(connection: &Connection) -> Option<Trouble> {
    let is_due = connection.prove_at.is_some() && connection.prove_attempts > 0;
    if connection.identity == Identity::Proved || connection.is_claim() || !is_due {
        return None;
    }
    Some(Trouble {
        next_attempt_at: connection.prove_at,
        ..trouble(
            connection,
            Event::ConnectionUnproved,
            format!("has not proved that it is at {}", connection.url),
            format!(
                "check the URL with its administrator; if it is another: evenkeel connections edit {} --url URL",
                shell_word(&connection.name)
            ),
        )
    })
}

fn trouble(connection: &Connection, event: Event, message: String, hint: String) -> Trouble {
    Trouble {
        cause: cause(connection, event),
        event,
        what: format!("connection {}", connection.name),
        since: None,
        next_attempt_at: None,
        message,
        hint,
        follows: None,
    }
}

fn cause(connection: &Connection, event: Event) -> String {
    format!("{event}:{}", connection.id)
}
