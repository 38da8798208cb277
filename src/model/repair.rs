//! What the healing loop has to do for a connection: a diagnosis of what is stored, without doing anything.
//!
//! Invariant: what is stored decides, not what happened before; so a pass that was cut short, repeated or late is made
//! good by the next one.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::model::connection::{Connection, Status};
use crate::model::standing::{Standing, UNKNOWN_FOR};
use crate::model::word::words;

/// One thing that brings the two sides of a connection together again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Repair {
    /// The peer has yet to take our registration.
    Register,
    /// It has yet to hear that our administrator deleted the connection.
    TellDeletion,
    /// It has yet to hear our last decision.
    TellDecision,
    /// Nothing is known to be amiss: both say how they stand.
    Exchange,
}

words! {
    Repair {
        Register = "register", TellDeletion = "tell_deletion", TellDecision = "tell_decision",
        Exchange = "exchange",
    }
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Diagnosis {
    /// Nothing.
    Well,
    /// Nothing before this moment: the peer could not be reached, or asked for a pause.
    Waits(Timestamp),
    /// This, now.
    Needs(Repair),
}

/// What `connection` needs at `now`, where both sides say how they stand once in `interval`.
#[must_use]
pub fn diagnose(connection: &Connection, interval: Duration, now: Timestamp) -> Diagnosis {
    let Some(repair) = needed(connection, interval, now) else {
        return Diagnosis::Well;
    };
    match connection.next_attempt_at {
        Some(next) if next > now => Diagnosis::Waits(next),
        _ => Diagnosis::Needs(repair),
    }
}

fn needed(connection: &Connection, interval: Duration, now: Timestamp) -> Option<Repair> {
    let standing = Standing::from(connection);
    if !connection.registered {
        // Deleted or revoked, there is nothing left to ask for.
        let is_wanted = !standing.deleted && standing.local != Status::Revoked;
        return is_wanted.then_some(Repair::Register);
    }
    if standing.is_undelivered() {
        return Some(if standing.deleted {
            Repair::TellDeletion
        } else {
            Repair::TellDecision
        });
    }
    let is_asked = standing.is_kept_up()
        && (connection.unreachable_since.is_some() || is_due(connection, interval, now));
    is_asked.then_some(Repair::Exchange)
}

/// Whoever of the two asks first answers for both, so that a pair exchanges once in an interval; a pass that comes a
/// little early must not leave one out. A peer that forgot us is asked more and more seldom.
fn is_due(connection: &Connection, interval: Duration, now: Timestamp) -> bool {
    let Some(at) = connection.exchanged_at else {
        return true;
    };
    let pace = SignedDuration::try_from(interval.mul_f64(0.75)).unwrap_or(SignedDuration::MAX);
    let is_forgotten = connection
        .unknown
        .is_some_and(|unknown| unknown.severed_from.is_some());
    let pace = if is_forgotten {
        pace.max(UNKNOWN_FOR)
    } else {
        pace
    };
    now.duration_since(at).abs() >= pace
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::{SignedDuration, Timestamp};

    use super::{Diagnosis, Repair, diagnose};
    use crate::model::connection::{Connection, Status, Unknown};
    use crate::model::fixture;

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(seconds: i64) -> Timestamp {
        fixture::now() + SignedDuration::from_secs(seconds)
    }

    /// One whose sides exchanged at [`fixture::now`].
    fn well() -> Connection {
        Connection {
            exchanged_at: Some(at(0)),
            ..fixture::active()
        }
    }

    #[test]
    fn what_a_connection_needs_follows_from_what_is_stored() {
        let told = |connection: Connection| Connection {
            epoch: 2,
            ..connection
        };
        let unknown = |severed_from| {
            Some(Unknown {
                times: 3,
                since: at(-900),
                severed_from,
            })
        };
        let with = |change: fn(&mut Connection)| {
            let mut connection = well();
            change(&mut connection);
            connection
        };
        let needs = Diagnosis::Needs;
        let cases = vec![
            ("exchanged just now", well(), 30, Diagnosis::Well),
            ("not for a while", well(), 45, needs(Repair::Exchange)),
            (
                "the clock was set back",
                well(),
                -45,
                needs(Repair::Exchange),
            ),
            (
                "never",
                with(|it| it.exchanged_at = None),
                0,
                needs(Repair::Exchange),
            ),
            ("undelivered", told(well()), 0, needs(Repair::TellDecision)),
            (
                "undelivered, but the peer deleted its side",
                with(|it| (it.epoch, it.peer_deleted) = (2, true)),
                99,
                Diagnosis::Well,
            ),
            (
                "deleted",
                with(|it| (it.epoch, it.deleted_at) = (2, Some(at(0)))),
                0,
                needs(Repair::TellDeletion),
            ),
            (
                "deleted and told",
                with(|it| it.deleted_at = Some(at(0))),
                99,
                Diagnosis::Well,
            ),
            (
                "not registered",
                with(|it| it.registered = false),
                0,
                needs(Repair::Register),
            ),
            (
                "deleted before it was registered",
                with(|it| (it.registered, it.deleted_at) = (false, Some(at(0)))),
                0,
                Diagnosis::Well,
            ),
            (
                "revoked before it was registered",
                with(|it| (it.registered, it.local_status) = (false, Status::Revoked)),
                0,
                Diagnosis::Well,
            ),
            (
                "pending here",
                with(|it| it.local_status = Status::Pending),
                99,
                Diagnosis::Well,
            ),
            (
                "pending there",
                with(|it| it.remote_status = Status::Pending),
                99,
                needs(Repair::Exchange),
            ),
            (
                "suspended",
                with(|it| it.local_status = Status::Suspended),
                99,
                needs(Repair::Exchange),
            ),
            (
                "revoked and told",
                with(|it| it.local_status = Status::Revoked),
                99,
                Diagnosis::Well,
            ),
            (
                "ended by the peer",
                with(|it| it.remote_status = Status::Severed),
                99,
                Diagnosis::Well,
            ),
            (
                "silent until later",
                with(|it| (it.unreachable_since, it.next_attempt_at) = (Some(at(0)), Some(at(20)))),
                10,
                Diagnosis::Waits(at(20)),
            ),
            (
                "silent until now",
                with(|it| (it.unreachable_since, it.next_attempt_at) = (Some(at(0)), Some(at(20)))),
                20,
                needs(Repair::Exchange),
            ),
            (
                "undelivered to one that is silent",
                with(|it| (it.epoch, it.next_attempt_at) = (2, Some(at(20)))),
                10,
                Diagnosis::Waits(at(20)),
            ),
            (
                "severed as unknown",
                Connection {
                    remote_status: Status::Severed,
                    unknown: unknown(Some(Status::Active)),
                    ..well()
                },
                99,
                Diagnosis::Well,
            ),
            (
                "severed as unknown for long",
                Connection {
                    remote_status: Status::Severed,
                    unknown: unknown(Some(Status::Active)),
                    ..well()
                },
                600,
                needs(Repair::Exchange),
            ),
            (
                "not known there, not for long",
                Connection {
                    unknown: unknown(None),
                    ..well()
                },
                45,
                needs(Repair::Exchange),
            ),
        ];
        for (what, connection, seconds, expected) in cases {
            assert_eq!(
                diagnose(&connection, MINUTE, at(seconds)),
                expected,
                "{what}"
            );
        }
    }
}
