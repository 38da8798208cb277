//! A connection: the trust between this site and one peer, as this side keeps it.
//!
//! Invariant: each side's decision is kept apart, and the stricter of the two rules.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::grant::Grant;
use crate::model::id::{ConnectionId, SiteId};
use crate::model::table::TableName;
use crate::model::url::PeerUrl;
use crate::model::word::words;

/// Which way rows flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// This site gives.
    Sender,
    /// This site pulls.
    Receiver,
}

impl Direction {
    /// The same connection's as the peer has it.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Sender => Self::Receiver,
            Self::Receiver => Self::Sender,
        }
    }
}

/// A connection's status; a later one is stricter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Rows may flow.
    Active,
    /// Waits for an administrator.
    Pending,
    /// Halted, may go on later.
    Suspended,
    /// Its time is over.
    Expired,
    /// The peer ended it or no longer knows it.
    Severed,
    /// This site's administrator ended it, for good.
    Revoked,
}

/// How the peer shows who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// By a signature on each request.
    Signed,
    /// By sending the token's hash.
    TokenHash,
}

/// Whether the peer answered at the URL it claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// It did.
    Proved,
    /// It only says so.
    Claimed,
}

/// Where a connection's token came from. The two sides of one connection always differ in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenOrigin {
    /// This site made it, and registered with it.
    Made,
    /// It came with a registration.
    Received,
}

impl TokenOrigin {
    /// That of the other side.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Made => Self::Received,
            Self::Received => Self::Made,
        }
    }
}

words! {
    TokenOrigin { Made = "made", Received = "received" }
    Direction { Sender = "sender", Receiver = "receiver" }
    Status {
        Active = "active", Pending = "pending", Suspended = "suspended",
        Expired = "expired", Severed = "severed", Revoked = "revoked",
    }
    Auth { Signed = "signed", TokenHash = "token_hash" }
    Identity { Proved = "proved", Claimed = "claimed" }
}

/// What the peer says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteSite {
    /// Its identifier.
    pub site_id: SiteId,
    /// Its name.
    pub site_name: String,
    /// Its program's version.
    pub version: String,
}

/// Sums over a connection's transfers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Tables moved.
    pub transfers: u64,
    /// Rows moved.
    pub rows: u64,
    /// Bytes on the wire.
    pub bytes: u64,
}

/// Counts that the peer said it does not know the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Unknown {
    /// So often.
    pub times: u32,
    /// Since then, and nothing else in between.
    pub since: Timestamp,
    /// What the peer had said before, once that severed the connection.
    pub severed_from: Option<Status>,
}

/// One connection. The token's hash is not here: the store gives it out by a call of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Ours; the peer has another.
    pub id: ConnectionId,
    /// Unique among this site's connections.
    pub name: String,
    /// Which way rows flow.
    pub direction: Direction,
    /// Where the peer is reached.
    pub url: PeerUrl,
    /// What stands between the URL and `/sync/api`, once found.
    pub remote_prefix: Option<String>,
    /// Our administrator's decision.
    pub local_status: Status,
    /// What the peer last said, or severed while it does not know us.
    pub remote_status: Status,
    /// Why it is not active, when somebody gave a reason.
    pub status_reason: Option<String>,
    /// How the peer shows who it is.
    pub auth: Auth,
    /// Whether that was checked at its URL.
    pub identity: Identity,
    /// The address its registration came from.
    pub requested_from: Option<String>,
    /// What it may see; empty on a receiver.
    pub grant: Grant,
    /// The tables it asked for, where it asked for access.
    pub wanted_tables: Vec<TableName>,
    /// Set when the peer is an Evenkeel.
    pub remote: Option<RemoteSite>,
    /// When the row was made.
    pub created_at: Timestamp,
    /// When a person approved or made it.
    pub approved_at: Option<Timestamp>,
    /// Who did.
    pub approved_by: Option<String>,
    /// When the peer was last heard of.
    pub last_contact_at: Option<Timestamp>,
    /// Since when calls to it fail.
    pub unreachable_since: Option<Timestamp>,
    /// When it is called next.
    pub next_attempt_at: Option<Timestamp>,
    /// What moved so far.
    pub totals: Totals,
    /// Counts what we said of it: decisions, and what had to be said again.
    pub epoch: i64,
    /// The last of them the peer confirmed.
    pub acked_epoch: i64,
    /// The epoch of the peer's that we saw; 0 of one that counts none.
    pub remote_epoch: i64,
    /// The peer says that it does not know it.
    pub unknown: Option<Unknown>,
    /// The peer had ended it and then said otherwise: we say that it is severed.
    pub contradicted: bool,
    /// When both sides last said how they stand.
    pub exchanged_at: Option<Timestamp>,
    /// The peer accepted our registration, or we accepted its.
    pub registered: bool,
    /// The peer deleted its side: it no longer finds ours.
    pub peer_deleted: bool,
    /// Our administrator deleted it; kept until the peer knows.
    pub deleted_at: Option<Timestamp>,
    /// Our administrator wants it signed or not at all.
    pub requires_signed: bool,
    /// When the peer is asked next, at its URL, to prove who it is.
    pub prove_at: Option<Timestamp>,
    /// How often it was asked in vain.
    pub prove_attempts: u32,
    /// Of the key that both sides sign with; `None` on an unsigned one. The store counts it.
    pub key_generation: Option<u32>,
}

impl Connection {
    /// One made at `now`, of which nothing is decided, heard, granted or proved yet.
    #[must_use]
    pub fn new(direction: Direction, name: String, url: PeerUrl, now: Timestamp) -> Self {
        Self {
            id: ConnectionId::generate(),
            name,
            direction,
            url,
            remote_prefix: None,
            local_status: Status::Pending,
            remote_status: Status::Pending,
            status_reason: None,
            auth: Auth::TokenHash,
            identity: Identity::Claimed,
            requested_from: None,
            grant: Grant::default(),
            wanted_tables: Vec::new(),
            remote: None,
            created_at: now,
            approved_at: None,
            approved_by: None,
            last_contact_at: None,
            unreachable_since: None,
            next_attempt_at: None,
            totals: Totals::default(),
            epoch: 0,
            acked_epoch: 0,
            remote_epoch: 0,
            unknown: None,
            contradicted: false,
            exchanged_at: None,
            registered: false,
            peer_deleted: false,
            deleted_at: None,
            requires_signed: false,
            prove_at: None,
            prove_attempts: 0,
            key_generation: None,
        }
    }

    /// The stricter of both sides' words.
    #[must_use]
    pub fn status(&self) -> Status {
        self.local_status.max(self.remote_status)
    }

    /// Where its token came from: only registrations note an address.
    #[must_use]
    pub fn token_origin(&self) -> TokenOrigin {
        match self.requested_from {
            Some(_) => TokenOrigin::Received,
            None => TokenOrigin::Made,
        }
    }

    /// What the clock says of it at `now`, which no side has to decide: expired, or nothing against it.
    #[must_use]
    pub fn by_time(&self, now: Timestamp) -> Status {
        if self.grant.is_expired(now) {
            Status::Expired
        } else {
            Status::Active
        }
    }

    /// Whether the peer has yet to hear our last decision.
    #[must_use]
    pub fn is_undelivered(&self) -> bool {
        self.registered && !self.peer_deleted && self.acked_epoch < self.epoch
    }

    /// Whether all there is of it is a stranger's claim: nobody here made or approved it.
    #[must_use]
    pub fn is_claim(&self) -> bool {
        self.local_status == Status::Pending && self.approved_at.is_none()
    }

    /// Whose decision keeps it from being active, for messages.
    #[must_use]
    pub fn blocked_by(&self) -> Option<&'static str> {
        match (self.local_status, self.remote_status) {
            (Status::Active, Status::Active) => None,
            (local, remote) if local >= remote => Some("this site's"),
            _ => Some("the peer's"),
        }
    }
}

/// What an administrator can decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the command of the same name")]
pub enum Decision {
    Approve,
    Reject,
    Suspend,
    Reactivate,
    Revoke,
}

/// A decision that does not fit the connection's state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAllowed {
    /// What this side decided before stands against it.
    #[error("a connection that is {local} on this side cannot be {verb}{}", way_out(*.local))]
    Here {
        /// Our own status of it.
        local: Status,
        /// What was asked for.
        verb: &'static str,
    },
    /// The peer has ended it, and no word of ours brings it back.
    #[error(
        "the peer has ended this connection; `evenkeel connections` shows whether it asked anew under another name, `evenkeel connections delete` forgets this one"
    )]
    Ended,
}

/// Our status after `decision`, which follows from our own; `remote` is the peer's. Repeating a decision changes
/// nothing; `revoked` is final.
///
/// # Errors
/// When the decision does not fit.
pub fn decide(local: Status, remote: Status, decision: Decision) -> Result<Status, NotAllowed> {
    use Status::{Active, Pending, Revoked, Severed, Suspended};
    match (decision, local) {
        (Decision::Approve, Pending | Active) if remote == Severed => Err(NotAllowed::Ended),
        (Decision::Approve, Pending | Active) | (Decision::Reactivate, Suspended | Active) => {
            Ok(Active)
        }
        (Decision::Reject, Pending) | (Decision::Revoke, _) => Ok(Revoked),
        (Decision::Suspend, Active | Suspended) => Ok(Suspended),
        (decision, local) => Err(NotAllowed::Here {
            local,
            verb: verb(decision),
        }),
    }
}

/// What can be done instead.
fn way_out(local: Status) -> &'static str {
    match local {
        Status::Pending => "; approve or reject it",
        Status::Active => "; suspend or revoke it",
        Status::Suspended => "; reactivate or revoke it",
        Status::Expired | Status::Severed | Status::Revoked => {
            "; delete it, and let the giving site connect anew"
        }
    }
}

fn verb(decision: Decision) -> &'static str {
    match decision {
        Decision::Approve => "approved",
        Decision::Reject => "rejected",
        Decision::Suspend => "suspended",
        Decision::Reactivate => "reactivated",
        Decision::Revoke => "revoked",
    }
}

#[cfg(test)]
mod tests;
