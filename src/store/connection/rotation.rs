//! The second key of a signed connection, while it goes over from one to the next.
//!
//! What a change of keys means is decided by `model`. Invariant: a change holds only over the key that was looked at, so
//! that of two at once one is made; a key that is forgotten is gone from the state.

use jiff::Timestamp;

use crate::model::id::ConnectionId;
use crate::store::pool::{Row, execute, fetch_all, on_pool};
use crate::store::record::{Record, micros};
use crate::store::{Store, StoreError};
use crate::wire::signing::RootKey;

/// The next key of a connection, and what becomes of the one so far.
#[derive(Clone, Debug)]
pub struct NextKey {
    /// The generation that is current until now; another, and nothing changes.
    pub after: u32,
    /// The next one.
    pub root_key: RootKey,
    /// Until when the one so far is accepted.
    pub accepted_until: Timestamp,
}

impl Store {
    /// Keeps the key that is to follow generation `after` as offered. False when another generation is current, or a
    /// rotation is under way already.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn offer_key(
        &self,
        id: ConnectionId,
        after: u32,
        root_key: &RootKey,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let offered = execute!(
            self,
            "insert into rotation
                (connection_id, stage, generation, root_key, began_at, accepted_until,
                next_attempt_at, attempts)
            select id, 'offered', $2, $3, $4, null, $4, 0
            from connection
            where id = $1
              and key_generation = $5
            on conflict (connection_id) do update
            set stage = excluded.stage,
                generation = excluded.generation,
                root_key = excluded.root_key,
                began_at = excluded.began_at,
                accepted_until = null,
                next_attempt_at = excluded.next_attempt_at,
                attempts = 0
            where rotation.accepted_until <= $4",
            id.to_string(),
            i64::from(after) + 1,
            self.seal(id, "rotation", &root_key.to_text())?,
            micros(now),
            i64::from(after)
        );
        Ok(offered > 0)
    }

    /// Signs with `next` from now on; the key so far is accepted for a while. False when another key is current by now.
    ///
    /// # Errors
    /// When the database fails or a value does not open with this key.
    pub async fn adopt_key(
        &self,
        id: ConnectionId,
        next: &NextKey,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let Some(so_far) = self.root_key(id).await? else {
            return Ok(false);
        };
        let sealed = self.seal(id, "root_key", &next.root_key.to_text())?;
        let previous = self.seal(id, "rotation", &so_far.to_text())?;
        let after = i64::from(next.after);
        on_pool!(self, |db| {
            let mut tx = db.begin().await?;
            let adopted = sqlx::query(
                "update connection
                set root_key = $2,
                    key_generation = $3
                where id = $1
                  and key_generation = $4",
            )
            .bind(id.to_string())
            .bind(sealed)
            .bind(after + 1)
            .bind(after)
            .execute(&mut *tx)
            .await?;
            if adopted.rows_affected() == 0 {
                return Ok(false);
            }
            sqlx::query(
                "insert into rotation
                    (connection_id, stage, generation, root_key, began_at, accepted_until,
                    next_attempt_at, attempts)
                values ($1, 'previous', $2, $3, $4, $5, null, 0)
                on conflict (connection_id) do update
                set stage = excluded.stage,
                    generation = excluded.generation,
                    root_key = excluded.root_key,
                    began_at = excluded.began_at,
                    accepted_until = excluded.accepted_until,
                    next_attempt_at = null,
                    attempts = 0",
            )
            .bind(id.to_string())
            .bind(after)
            .bind(previous)
            .bind(micros(now))
            .bind(micros(next.accepted_until))
            .execute(&mut *tx)
            .await?;
            tx.commit().await?;
        });
        Ok(true)
    }

    /// The previous key is accepted until `until` at the latest.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn shorten_previous_key(
        &self,
        id: ConnectionId,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        execute!(
            self,
            "update rotation
            set accepted_until = $2
            where connection_id = $1
              and stage = 'previous'
              and accepted_until > $2",
            id.to_string(),
            micros(until)
        );
        Ok(())
    }

    /// Takes back the key of this generation that was offered.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn withdraw_key(
        &self,
        id: ConnectionId,
        generation: u32,
    ) -> Result<bool, StoreError> {
        let withdrawn = execute!(
            self,
            "delete from rotation
            where connection_id = $1
              and stage = 'offered'
              and generation = $2",
            id.to_string(),
            i64::from(generation)
        );
        Ok(withdrawn > 0)
    }

    /// The offer was not answered: it is made again at `next`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_offer_due(&self, id: ConnectionId, next: Timestamp) -> Result<(), StoreError> {
        execute!(
            self,
            "update rotation
            set next_attempt_at = $2,
                attempts = attempts + 1
            where connection_id = $1
              and stage = 'offered'",
            id.to_string(),
            micros(next)
        );
        Ok(())
    }

    /// The connections whose next key is to be offered at `now`, oldest first.
    ///
    /// # Errors
    /// When the database fails or what it holds cannot be read.
    pub async fn connections_to_offer(
        &self,
        now: Timestamp,
    ) -> Result<Vec<ConnectionId>, StoreError> {
        let rows = fetch_all!(
            self,
            "select rotation.connection_id
            from rotation
            join connection on connection.id = rotation.connection_id
            where rotation.stage = 'offered'
              and rotation.next_attempt_at <= $1
              and connection.deleted_at is null
              and not connection.peer_deleted
              and connection.local_status <> 'revoked'
              and connection.remote_status not in ('revoked', 'severed')
            order by rotation.connection_id",
            micros(now)
        );
        rows.into_iter().map(id_of).collect()
    }

    /// Forgets every previous key whose time is over; whose they were.
    ///
    /// # Errors
    /// When the database fails or what it holds cannot be read.
    pub async fn forget_previous_keys(
        &self,
        now: Timestamp,
    ) -> Result<Vec<ConnectionId>, StoreError> {
        let rows = fetch_all!(
            self,
            "delete from rotation
            where stage = 'previous'
              and accepted_until <= $1
            returning connection_id",
            micros(now)
        );
        rows.into_iter().map(id_of).collect()
    }
}

fn id_of(row: Row) -> Result<ConnectionId, StoreError> {
    Record::new("rotation", "connection_id", row).parsed("connection_id")
}
