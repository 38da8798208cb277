//! Connections. The token's hash is looked up by HMAC and kept only sealed.

use jiff::Timestamp;

use crate::base::secret::Secret;
use crate::model::connection::{Connection, RemoteSite, Status};
use crate::model::grant::Grant;
use crate::model::id::ConnectionId;
use crate::model::url::PeerUrl;
use crate::store::{ListPage, Store, StoreError};

/// What a peer said of its side of a connection.
#[derive(Clone, Debug)]
pub struct PeerWord {
    /// Its status; `revoked` is stored as `severed`.
    pub status: Status,
    /// It deleted its side and no longer finds ours.
    pub deleted: bool,
    /// Shown to people, where the peer's word ended the connection.
    pub reason: Option<String>,
}

/// What the peer answered to our registration.
#[derive(Clone, Debug)]
pub struct RegistrationAnswer {
    /// What it made of it: active or pending.
    pub remote_status: Status,
    /// Set when it is an Evenkeel.
    pub remote: Option<RemoteSite>,
    /// Where its API was found.
    pub remote_prefix: String,
}

#[expect(clippy::unused_async, unused_variables, reason = "being written")]
impl Store {
    /// Adds a connection. `token` is kept sealed only while a registration is still to be made (`registered` false).
    ///
    /// # Errors
    /// [`StoreError::NameTaken`] when another connection (not deleted) has this name.
    pub async fn insert_connection(
        &self,
        connection: &Connection,
        token_hash: &Secret<String>,
        token: Option<&Secret<String>>,
    ) -> Result<(), StoreError> {
        todo!()
    }
    /// The connection, unless our administrator deleted it.
    pub async fn connection(&self, id: ConnectionId) -> Result<Option<Connection>, StoreError> {
        todo!()
    }
    /// All not deleted, newest first.
    pub async fn connections(
        &self,
        page: ListPage<ConnectionId>,
    ) -> Result<Vec<Connection>, StoreError> {
        todo!()
    }
    /// Those (of either direction, not deleted) whose token has this hash.
    pub async fn connections_by_hash(
        &self,
        token_hash: &str,
    ) -> Result<Vec<Connection>, StoreError> {
        todo!()
    }
    /// Those (of either direction, not deleted) at this URL.
    pub async fn connections_by_url(&self, url: &PeerUrl) -> Result<Vec<Connection>, StoreError> {
        todo!()
    }
    /// Those the healing loop has something to do for: not registered yet, or undelivered; also the deleted. Due at `now`.
    pub async fn connections_to_tell(&self, now: Timestamp) -> Result<Vec<Connection>, StoreError> {
        todo!()
    }
    /// The hash with which to address the peer.
    pub async fn token_hash(&self, id: ConnectionId) -> Result<Option<Secret<String>>, StoreError> {
        todo!()
    }
    /// The raw token, while the registration is still to be made.
    pub async fn unsent_token(
        &self,
        id: ConnectionId,
    ) -> Result<Option<Secret<String>>, StoreError> {
        todo!()
    }
    /// Our administrator's decision; counts the epoch up. `approved_by` also sets `approved_at` to `now`.
    pub async fn set_local_status(
        &self,
        id: ConnectionId,
        status: Status,
        reason: Option<&str>,
        approved_by: Option<&str>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        todo!()
    }
    /// The peer's word; also counts as contact.
    pub async fn set_peer_word(
        &self,
        id: ConnectionId,
        word: &PeerWord,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        todo!()
    }
    /// Our registration was accepted: forgets the raw token.
    pub async fn set_registered(
        &self,
        id: ConnectionId,
        answer: &RegistrationAnswer,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        todo!()
    }
    /// The peer confirmed our decision of `epoch`.
    pub async fn set_acked(&self, id: ConnectionId, epoch: i64) -> Result<(), StoreError> {
        todo!()
    }
    /// The peer answered: clears `unreachable_since` and `next_attempt_at`; keeps the prefix where given.
    pub async fn set_contact(
        &self,
        id: ConnectionId,
        remote_prefix: Option<&str>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        todo!()
    }
    /// A call to the peer failed; `unreachable_since` keeps its first value.
    pub async fn set_unreachable(
        &self,
        id: ConnectionId,
        next_attempt_at: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        todo!()
    }
    /// Renames. Fails with [`StoreError::NameTaken`].
    pub async fn set_name(&self, id: ConnectionId, name: &str) -> Result<(), StoreError> {
        todo!()
    }
    /// Moves it to another URL; forgets the prefix.
    pub async fn set_url(&self, id: ConnectionId, url: &PeerUrl) -> Result<(), StoreError> {
        todo!()
    }
    /// Replaces the grant.
    pub async fn set_grant(&self, id: ConnectionId, grant: &Grant) -> Result<(), StoreError> {
        todo!()
    }
    /// Our administrator deleted it: hidden at once, kept until the peer knows; its name is free again. Counts the epoch up.
    pub async fn mark_deleted(&self, id: ConnectionId, now: Timestamp) -> Result<(), StoreError> {
        todo!()
    }
    /// Removes the row for good, with its token: a registration the peer refused, or a deletion it acknowledged.
    pub async fn forget_connection(&self, id: ConnectionId) -> Result<(), StoreError> {
        todo!()
    }
    /// Adds one transfer to the totals.
    pub async fn add_to_totals(
        &self,
        id: ConnectionId,
        rows: u64,
        bytes: u64,
    ) -> Result<(), StoreError> {
        todo!()
    }
}
