//! Changes of a connection, each one atomic statement; what the peer says is in `standing`.
//!
//! Whether a change is allowed is decided by `model`; the one rule kept here as well, because two people may decide at
//! once, is that `revoked` is final.

use jiff::Timestamp;

use crate::model::connection::{RemoteSite, Status};
use crate::model::grant::Grant;
use crate::model::id::ConnectionId;
use crate::model::standing::as_heard;
use crate::model::url::PeerUrl;
use crate::store::connection::keys::SignedPeer;
use crate::store::connection::name_taken;
use crate::store::pool::execute;
use crate::store::record::{micros, optional_json};
use crate::store::{Store, StoreError};
use crate::wire::signing::FIRST_GENERATION;

/// What the peer answered to our registration.
#[derive(Clone, Debug)]
pub struct RegistrationAnswer {
    /// What it made of it: active or pending.
    pub remote_status: Status,
    /// Set when it is an Evenkeel.
    pub remote: Option<RemoteSite>,
    /// Where its API was found.
    pub remote_prefix: String,
    /// Set when it signs, as we do from then on.
    pub signed: Option<SignedPeer>,
}

/// What our administrator changes of a connection; `None` leaves it as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConnectionEdit {
    /// Its name here.
    pub name: Option<String>,
    /// Where the peer is reached.
    pub url: Option<PeerUrl>,
    /// What the peer may see.
    pub grant: Option<Grant>,
}

impl Store {
    /// Our administrator's decision; counts the epoch up. `approved_by` also sets `approved_at` to `now`.
    /// A revoked connection stays as it is.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_local_status(
        &self,
        id: ConnectionId,
        status: Status,
        reason: Option<&str>,
        approved_by: Option<&str>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        execute!(
            self,
            "update connection
            set local_status = $2,
                status_reason = $3,
                approved_by = coalesce($4, approved_by),
                approved_at = case when $4 is null then approved_at else $5 end,
                epoch = epoch + 1,
                next_attempt_at = null
            where id = $1
              and local_status <> 'revoked'",
            id.to_string(),
            status.as_str(),
            reason,
            approved_by,
            micros(now)
        );
        Ok(())
    }

    /// Our registration was accepted where we sent it, which proves the URL: forgets the raw token. A connection that
    /// is signed already stays so with the key it has, whatever a second answer says.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_registered(
        &self,
        id: ConnectionId,
        answer: &RegistrationAnswer,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let root_key = answer
            .signed
            .as_ref()
            .map(|peer| self.seal_root_key(id, peer))
            .transpose()?;
        execute!(
            self,
            "update connection
            set registered = true,
                auth = case when $6 is null then auth else 'signed' end,
                key_generation = coalesce(key_generation, $7),
                receipt_key = coalesce(receipt_key, $8),
                root_key = coalesce(root_key, $6),
                identity = 'proved',
                prove_at = null,
                token = null,
                remote_status = case when remote_status = 'pending' then $2 else remote_status end,
                remote = $3,
                remote_prefix = $4,
                last_contact_at = $5,
                unreachable_since = null,
                next_attempt_at = null
            where id = $1",
            id.to_string(),
            as_heard(answer.remote_status).as_str(),
            optional_json(answer.remote.as_ref())?,
            &answer.remote_prefix,
            micros(now),
            &root_key,
            root_key.as_ref().map(|_| i64::from(FIRST_GENERATION)),
            answer.signed.as_ref().map(|peer| &peer.receipt_key)
        );
        Ok(())
    }

    /// The peer answered: clears `unreachable_since` and `next_attempt_at`; keeps the prefix where given.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_contact(
        &self,
        id: ConnectionId,
        remote_prefix: Option<&str>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        execute!(
            self,
            "update connection
            set remote_prefix = coalesce($2, remote_prefix),
                last_contact_at = $3,
                unreachable_since = null,
                next_attempt_at = null
            where id = $1",
            id.to_string(),
            remote_prefix,
            micros(now)
        );
        Ok(())
    }

    /// A call to the peer failed; `unreachable_since` keeps its first value.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_unreachable(
        &self,
        id: ConnectionId,
        next_attempt_at: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        execute!(
            self,
            "update connection
            set unreachable_since = coalesce(unreachable_since, $3),
                next_attempt_at = $2
            where id = $1",
            id.to_string(),
            micros(next_attempt_at),
            micros(now)
        );
        Ok(())
    }

    /// Our administrator's changes: all of them, or none. Another URL forgets where the peer's API was found, and has to
    /// be proved.
    ///
    /// # Errors
    /// [`StoreError::NameTaken`], or when the database fails.
    pub async fn edit_connection(
        &self,
        id: ConnectionId,
        edit: &ConnectionEdit,
    ) -> Result<(), StoreError> {
        self.try_edit(id, edit)
            .await
            .map_err(|fault| match &edit.name {
                Some(name) => name_taken(fault, name),
                None => fault,
            })
    }

    async fn try_edit(&self, id: ConnectionId, edit: &ConnectionEdit) -> Result<(), StoreError> {
        execute!(
            self,
            "update connection
            set name = coalesce($2, name),
                url = coalesce($3, url),
                remote_prefix = case when $3 is null then remote_prefix else null end,
                identity = case when $3 is null then identity else 'claimed' end,
                prove_at = case when $3 is null or local_status = 'pending' then prove_at else 0 end,
                prove_attempts = case when $3 is null then prove_attempts else 0 end,
                next_attempt_at = case when $3 is null then next_attempt_at else null end,
                access = coalesce($4, access)
            where id = $1",
            id.to_string(),
            &edit.name,
            edit.url.as_ref().map(ToString::to_string),
            optional_json(edit.grant.as_ref())?
        );
        Ok(())
    }

    /// Our administrator deleted it: hidden at once, kept until the peer knows; its name is free again. Counts the
    /// epoch up and forgets a token not sent yet.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn mark_deleted(&self, id: ConnectionId, now: Timestamp) -> Result<(), StoreError> {
        execute!(
            self,
            "update connection
            set deleted_at = $2,
                token = null,
                epoch = epoch + 1,
                next_attempt_at = null
            where id = $1
              and deleted_at is null",
            id.to_string(),
            micros(now)
        );
        Ok(())
    }

    /// Removes a connection that was never registered, with its token: the peer refused it. Others stay for their
    /// history.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_connection(&self, id: ConnectionId) -> Result<(), StoreError> {
        execute!(
            self,
            "delete from connection
            where id = $1
              and not registered",
            id.to_string()
        );
        Ok(())
    }
}
