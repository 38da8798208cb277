//! How one side of a connection stands: what it decided, what the peer said, and what each has yet to hear of the other.
//!
//! Pure steps from one standing to the next. Each decision counts its side's epoch up, and a word is sent with the epoch
//! it belongs to, so that lost, late and repeated words do no harm, and a side whose state was restored from a backup is
//! found out. Invariants: what the peer says never changes what our administrator decided; what a side said it has ended
//! stays ended; once words arrive again, both sides agree after one exchange each way (`tests` tries it all).

use jiff::{SignedDuration, Timestamp};

use crate::model::connection::{Connection, Status, Unknown};

/// So often has a peer to say that it does not know the connection ...
pub const UNKNOWN_TIMES: u32 = 3;
/// ... and over so long, before that severs it.
pub const UNKNOWN_FOR: SignedDuration = SignedDuration::from_mins(10);

/// Beyond what can be counted, and still exact as a JSON number (RFC 8259, section 6).
pub const MAX_EPOCH: i64 = 1 << 53;
/// Nobody lost more words than this: whoever says so cannot push our own count to its end.
const MOST_LOST: i64 = 1 << 52;

/// One side's standing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Standing {
    /// What our administrator decided.
    pub local: Status,
    /// Counts what we said: decisions, and what had to be said again.
    pub epoch: i64,
    /// The highest of our epochs that the peer says it saw.
    pub acked_epoch: i64,
    /// What the peer said last, or severed while it does not know us; never revoked.
    pub remote: Status,
    /// The epoch of the peer's that we saw.
    pub remote_epoch: i64,
    /// The peer says that it does not know the connection.
    pub unknown: Option<Unknown>,
    /// The peer had ended it and then said otherwise: we say that it is severed.
    pub contradicted: bool,
    /// Our administrator deleted it.
    pub deleted: bool,
    /// The peer's administrator did.
    pub peer_deleted: bool,
}

/// What one side says to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Word {
    /// Its status of the connection.
    pub status: Status,
    /// Which of its words that is.
    pub epoch: i64,
    /// Up to which epoch it saw the other's.
    pub seen_epoch: i64,
}

impl From<&Connection> for Standing {
    fn from(connection: &Connection) -> Self {
        Self {
            local: connection.local_status,
            epoch: connection.epoch,
            acked_epoch: connection.acked_epoch,
            remote: connection.remote_status,
            remote_epoch: connection.remote_epoch,
            unknown: connection.unknown,
            contradicted: connection.contradicted,
            deleted: connection.deleted_at.is_some(),
            peer_deleted: connection.peer_deleted,
        }
    }
}

impl Standing {
    /// What rules: the stricter of both.
    #[must_use]
    pub fn status(&self) -> Status {
        self.local.max(self.remote)
    }

    /// What this side says of itself.
    #[must_use]
    pub fn word(&self) -> Word {
        Word {
            status: if self.contradicted {
                self.local.max(Status::Severed)
            } else {
                self.local
            },
            epoch: self.epoch,
            seen_epoch: self.remote_epoch,
        }
    }

    /// Whether the peer has yet to hear our last word.
    #[must_use]
    pub fn is_undelivered(&self) -> bool {
        !self.peer_deleted && self.acked_epoch < self.epoch
    }

    /// Whether the peer ended it, by its word: that stands.
    #[must_use]
    pub fn is_ended_by_peer(&self) -> bool {
        self.remote == Status::Severed && self.forgotten().is_none()
    }

    /// Whether what the two sides say is worth exchanging without need. Not before our administrator decided, and not
    /// once it is over.
    #[must_use]
    pub fn is_kept_up(&self) -> bool {
        !self.deleted
            && !self.peer_deleted
            && !matches!(self.local, Status::Pending | Status::Revoked)
            && !self.is_ended_by_peer()
    }

    /// Whether `answer`, just heard, leaves nothing to say: neither of ours, nor of the peer's, which may have to go on
    /// above what we saw.
    #[must_use]
    pub fn is_settled_by(&self, answer: Word) -> bool {
        !self.is_undelivered() && answer.epoch >= self.remote_epoch
    }

    /// Our administrator decided. `revoked` is final.
    #[must_use]
    pub fn decided(mut self, status: Status) -> Self {
        if self.local != Status::Revoked && self.local != status {
            self.local = status;
            self.epoch += 1;
        }
        self
    }

    /// Our administrator deleted it.
    #[must_use]
    pub fn discarded(mut self) -> Self {
        if !self.deleted {
            self.deleted = true;
            self.epoch += 1;
        }
        self
    }

    /// The peer said `said`, now or some time ago, once or again.
    ///
    /// - A later word is taken, the same changes nothing, an earlier one is late, or the peer lost what it said since.
    /// - Another word of the same epoch shows that the peer lost one, too: counting as if the lost had been one more has
    ///   the peer go on above.
    /// - What we know it ended stays ended. Where it says otherwise, we say `severed` from then on, so that both agree.
    /// - Whoever hears that the peer saw more of it than it knows has lost that, and goes on above.
    #[must_use]
    pub fn heard(self, said: Word) -> Self {
        if self.deleted {
            // Nothing but the deletion counts, and no word acknowledges that.
            return self;
        }
        let mut next = self.known();
        let status = as_heard(said.status);
        if next.remote == Status::Severed {
            next.remote_epoch = next.remote_epoch.max(said.epoch);
            next = next.contradicted_by(status);
        } else if said.epoch > next.remote_epoch {
            next.remote = status;
            next.remote_epoch = said.epoch;
        } else if said.epoch == next.remote_epoch && status != next.remote {
            next.remote_epoch = (next.remote_epoch + 1).min(MAX_EPOCH);
        }
        if said.seen_epoch > next.epoch {
            next.epoch = said.seen_epoch.min(MOST_LOST) + 1;
        }
        next.acked_epoch = said.seen_epoch;
        next
    }

    /// A peer that counts no epochs said `status`. What a `signed` one ended stays ended.
    #[must_use]
    pub fn heard_plainly(self, status: Status, signed: bool) -> Self {
        let mut next = self.known();
        let status = as_heard(status);
        if signed && next.remote == Status::Severed {
            next.contradicted_by(status)
        } else {
            next.remote = status;
            next
        }
    }

    /// The peer deleted its side.
    #[must_use]
    pub fn heard_deletion(mut self) -> Self {
        self.remote = Status::Severed;
        self.unknown = None;
        self.peer_deleted = true;
        self
    }

    /// The peer says that it does not know the connection. Said often and long enough, that severs it; where it is over
    /// here, nobody has to hear it any more.
    #[must_use]
    pub fn not_known(mut self, now: Timestamp) -> Self {
        if self.deleted || self.local == Status::Revoked {
            self.acked_epoch = self.epoch;
            return self;
        }
        if self.is_ended_by_peer() {
            return self;
        }
        let mut unknown = self.unknown.unwrap_or(Unknown {
            times: 0,
            since: now,
            severed_from: None,
        });
        unknown.times = unknown.times.saturating_add(1);
        let for_long = now.duration_since(unknown.since) >= UNKNOWN_FOR;
        if unknown.times >= UNKNOWN_TIMES && for_long && unknown.severed_from.is_none() {
            unknown.severed_from = Some(self.remote);
            self.remote = Status::Severed;
        }
        self.unknown = Some(unknown);
        self
    }

    /// The peer knows the connection: what was severed because it did not is lifted.
    #[must_use]
    pub fn known(mut self) -> Self {
        self.remote = self.forgotten().unwrap_or(self.remote);
        self.unknown = None;
        self
    }

    /// The peer took our word of `epoch`, and does not say what it saw.
    #[must_use]
    pub fn acknowledged(mut self, epoch: i64) -> Self {
        self.acked_epoch = self.acked_epoch.max(epoch);
        self
    }

    /// What the peer said before it did not know us for too long.
    fn forgotten(&self) -> Option<Status> {
        self.unknown.and_then(|unknown| unknown.severed_from)
    }

    fn contradicted_by(mut self, status: Status) -> Self {
        if status != Status::Severed && self.local != Status::Revoked && !self.contradicted {
            self.contradicted = true;
            self.epoch += 1;
        }
        self
    }
}

/// `revoked` is our administrator's word alone: the peer's can only cut the connection.
#[must_use]
pub fn as_heard(status: Status) -> Status {
    match status {
        Status::Revoked => Status::Severed,
        status => status,
    }
}

#[cfg(test)]
mod checker;
#[cfg(test)]
mod tests;
