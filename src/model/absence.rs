//! What a peer's long absence means for the syncs that pull from it.
//!
//! Invariant: only what its absence halted goes on by itself when the peer is back; other faults wait for a person.

use jiff::{SignedDuration, Timestamp};

use crate::model::connection::Connection;
use crate::model::run::RunError;
use crate::model::sync::{SyncDefinition, SyncStatus};

/// A sync whose peer is away has this code in its fault.
const PEER_AWAY: &str = "peer_away";

/// How long a peer may be away before its syncs stop asking for it.
const PATIENCE: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What becomes of a sync, as its peer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Absence {
    /// It stays as it is.
    None,
    /// It is halted with this fault.
    Halts(RunError),
    /// It goes on.
    IsOver,
}

/// What becomes of `sync`, whose source is `connection`, at `now`. One that a person resumed meanwhile gets the whole
/// patience again.
#[must_use]
pub fn absence(sync: &SyncDefinition, connection: &Connection, now: Timestamp) -> Absence {
    let halted = sync.status == SyncStatus::Error
        && sync
            .status_error
            .as_ref()
            .is_some_and(|error| error.code == PEER_AWAY);
    match connection.unreachable_since {
        None if halted => Absence::IsOver,
        Some(since) if sync.status == SyncStatus::Active => {
            let begun = since.max(sync.active_since.unwrap_or(since));
            if now.duration_since(begun) < PATIENCE {
                return Absence::None;
            }
            Absence::Halts(RunError {
                code: PEER_AWAY.to_owned(),
                message: format!("{} cannot be reached since {since}", connection.url),
                hint: Some("it goes on by itself once the peer answers".to_owned()),
                retry_after: None,
            })
        }
        None | Some(_) => Absence::None,
    }
}
