//! Whether a peer proved who it is, and when it is asked next.

use jiff::Timestamp;

use crate::model::connection::Connection;
use crate::model::id::ConnectionId;
use crate::model::url::PeerUrl;
use crate::store::connection::{read, select_connection};
use crate::store::pool::{execute, fetch_all};
use crate::store::record::micros;
use crate::store::{Store, StoreError};

impl Store {
    /// The peer proved, at `url`, who it is. False when the connection has another URL by now, which proves nothing.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_proved(&self, id: ConnectionId, url: &PeerUrl) -> Result<bool, StoreError> {
        let changed = execute!(
            self,
            "update connection
            set identity = 'proved',
                prove_at = null,
                prove_attempts = 0
            where id = $1
              and url = $2",
            id.to_string(),
            url.to_string()
        );
        Ok(changed > 0)
    }

    /// The peer said, signed, that it is at `to` and no longer at `from`, where its API is to be found again and it has to
    /// prove who it is. False when it is elsewhere already.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn move_connection(
        &self,
        id: ConnectionId,
        (from, to): (&PeerUrl, &PeerUrl),
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let moved = execute!(
            self,
            "update connection
            set url = $3,
                remote_prefix = null,
                identity = 'claimed',
                prove_at = case when local_status = 'pending' then prove_at else $4 end,
                prove_attempts = 0,
                next_attempt_at = null
            where id = $1
              and url = $2",
            id.to_string(),
            from.to_string(),
            to.to_string(),
            micros(now)
        );
        Ok(moved > 0)
    }

    /// Every peer that signs is called at `now`, to hear where this site is and to prove who it is.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn call_all_signed(&self, now: Timestamp) -> Result<(), StoreError> {
        execute!(
            self,
            "update connection
            set prove_at = $1,
                prove_attempts = 0
            where auth = 'signed'
              and registered
              and deleted_at is null
              and not peer_deleted
              and local_status in ('active', 'suspended')",
            micros(now)
        );
        Ok(())
    }

    /// The peer did not prove it: it is asked again at `next`, or not by itself.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_unproved(
        &self,
        id: ConnectionId,
        next: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        execute!(
            self,
            "update connection
            set prove_at = $2,
                prove_attempts = prove_attempts + 1
            where id = $1",
            id.to_string(),
            next.map(micros)
        );
        Ok(())
    }

    /// Those whose peers are to be asked at `now` who they are, oldest first.
    ///
    /// # Errors
    /// When the database fails or what it holds cannot be read.
    pub async fn connections_to_prove(
        &self,
        now: Timestamp,
    ) -> Result<Vec<Connection>, StoreError> {
        let rows = fetch_all!(
            self,
            select_connection!(
                "where prove_at <= $1
                  and registered
                  and deleted_at is null
                  and not peer_deleted
                  and local_status <> 'revoked'
                  and remote_status not in ('revoked', 'severed')
                order by id"
            ),
            micros(now)
        );
        rows.into_iter().map(read).collect()
    }
}
