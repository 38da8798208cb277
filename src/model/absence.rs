//! What a peer's long absence means for the syncs that pull from it.
//!
//! Invariant: only what its absence halted goes on by itself when the peer is back; other faults wait for a person.

use jiff::{SignedDuration, Timestamp};

use crate::model::connection::Connection;
use crate::model::fault::FaultCode;
use crate::model::run::RunError;
use crate::model::sync::{SyncDefinition, SyncStatus};

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
            .is_some_and(|error| error.known_code() == Some(FaultCode::PeerAway));
    match connection.unreachable_since {
        None if halted => Absence::IsOver,
        Some(since) if sync.status == SyncStatus::Active => {
            let begun = since.max(sync.active_since.unwrap_or(since));
            if now.duration_since(begun) < PATIENCE {
                return Absence::None;
            }
            let message = format!("{} cannot be reached since {since}", connection.url);
            Absence::Halts(
                RunError::new(FaultCode::PeerAway, message)
                    .with_hint("it goes on by itself once the peer answers"),
            )
        }
        None | Some(_) => Absence::None,
    }
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::{Absence, absence};
    use crate::model::connection::Connection;
    use crate::model::fixture::{active, now, sync};
    use crate::model::run::RunError;
    use crate::model::sync::{SyncDefinition, SyncStatus};

    fn days(days: i64) -> Timestamp {
        now() + SignedDuration::from_hours(days * 24)
    }

    fn away() -> (Connection, SyncDefinition) {
        let mut hq = active();
        hq.unreachable_since = Some(now());
        let nightly = sync(&hq, &["a"]);
        (hq, nightly)
    }

    fn fault(of: Absence) -> RunError {
        match of {
            Absence::Halts(fault) => fault,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_peer_away_for_seven_days_halts_its_syncs_until_it_answers() {
        let (mut hq, mut nightly) = away();
        let moment = SignedDuration::from_secs(1);
        assert_eq!(absence(&nightly, &hq, days(7) - moment), Absence::None);
        let fault = fault(absence(&nightly, &hq, days(7)));
        assert_eq!(
            fault.message,
            "https://hq.example cannot be reached since 2026-11-21T10:00:00Z"
        );
        nightly.status = SyncStatus::Error;
        nightly.status_error = Some(fault);
        assert_eq!(absence(&nightly, &hq, days(8)), Absence::None);
        hq.unreachable_since = None;
        assert_eq!(absence(&nightly, &hq, days(9)), Absence::IsOver);
    }

    #[test]
    fn only_what_the_absence_halted_goes_on_by_itself() {
        let (mut hq, mut nightly) = away();
        nightly.status = SyncStatus::Error;
        nightly.status_error = Some(RunError {
            code: "no_key".to_owned(),
            ..fault(absence(&away().1, &hq, days(7)))
        });
        hq.unreachable_since = None;
        assert_eq!(absence(&nightly, &hq, days(9)), Absence::None);
        for status in [SyncStatus::Draft, SyncStatus::Paused] {
            let (hq, mut nightly) = away();
            nightly.status = status;
            assert_eq!(absence(&nightly, &hq, days(9)), Absence::None, "{status}");
        }
    }

    #[test]
    fn a_sync_that_somebody_resumed_gets_the_whole_patience_again() {
        let (hq, mut nightly) = away();
        nightly.active_since = Some(days(8));
        assert_eq!(absence(&nightly, &hq, days(14)), Absence::None);
        fault(absence(&nightly, &hq, days(15)));
    }
}
