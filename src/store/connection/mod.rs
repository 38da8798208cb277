//! Connections. The token's hash is looked up by HMAC and kept only sealed, like the keys of a signed one.
//!
//! This file adds and reads them, `change` alters them, `keys` gives out what is sealed, `proof` keeps whether the peer
//! proved who it is, `rotation` a second key. Invariant: a connection our administrator deleted is found only by those
//! who have yet to tell the peer.

mod change;
mod claims;
mod keys;
mod proof;
mod rotation;
mod standing;

use crate::base::secret::Secret;
use crate::model::connection::{Connection, Status, Totals};
use crate::model::id::ConnectionId;
use crate::model::url::PeerUrl;
use crate::store::connection::keys::Sealed;
use crate::store::pool::{Row, execute, fetch_all, fetch_optional};
use crate::store::record::{
    Record, bigint, is_name_taken, micros, optional_json, optional_micros, to_json,
};
use crate::store::{ListPage, Store, StoreError};
use crate::wire::signing::FIRST_GENERATION;

pub use change::{ConnectionEdit, RegistrationAnswer};
pub use claims::ExpiredClaim;
pub use keys::{AcceptedKeys, Kept, SecondKey, SignedPeer};
pub use rotation::NextKey;
pub use standing::StandingStep;

macro_rules! select_connection {
    ($rest:literal) => {
        concat!(
            "select id, name, direction, url, remote_prefix, local_status, remote_status,
                status_reason, auth, identity, requested_from, access, remote, created_at,
                approved_at, approved_by, last_contact_at, unreachable_since, next_attempt_at,
                total_transfers, total_rows, total_bytes, epoch, acked_epoch, registered,
                peer_deleted, deleted_at, wanted_tables, requires_signed, prove_at, prove_attempts,
                key_generation, remote_epoch, unknown_times, unknown_since, severed_from,
                contradicted, exchanged_at
            from connection ",
            $rest
        )
    };
}

pub(in crate::store) use select_connection;

impl Store {
    /// Adds a connection, with what is `kept` of its token beside the hash.
    ///
    /// # Errors
    /// [`StoreError::NameTaken`] when another connection (not deleted) has this name.
    pub async fn insert_connection(
        &self,
        connection: &Connection,
        token_hash: &Secret<String>,
        kept: Kept<'_>,
    ) -> Result<(), StoreError> {
        let sealed = self.sealed(connection, token_hash, kept)?;
        self.insert(connection, &sealed)
            .await
            .map_err(|fault| name_taken(fault, &connection.name))
    }

    async fn insert(&self, connection: &Connection, sealed: &Sealed) -> Result<(), StoreError> {
        let unknown = connection.unknown;
        execute!(
            self,
            "insert into connection
                (id, name, direction, url, remote_prefix, local_status, remote_status,
                status_reason, auth, identity, requested_from, access, remote, created_at,
                approved_at, approved_by, last_contact_at, unreachable_since, next_attempt_at,
                total_transfers, total_rows, total_bytes, epoch, acked_epoch, registered,
                peer_deleted, deleted_at, token_lookup, token_hash, token, root_key,
                key_generation, receipt_key, wanted_tables, requires_signed, prove_at,
                prove_attempts, remote_epoch, contradicted, exchanged_at, unknown_times,
                unknown_since, severed_from)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
                $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34,
                $35, $36, $37, $38, $39, $40, $41, $42, $43)",
            connection.id.to_string(),
            &connection.name,
            connection.direction.as_str(),
            connection.url.to_string(),
            &connection.remote_prefix,
            connection.local_status.as_str(),
            connection.remote_status.as_str(),
            &connection.status_reason,
            connection.auth.as_str(),
            connection.identity.as_str(),
            &connection.requested_from,
            to_json(&connection.grant)?,
            optional_json(connection.remote.as_ref())?,
            micros(connection.created_at),
            optional_micros(connection.approved_at),
            &connection.approved_by,
            optional_micros(connection.last_contact_at),
            optional_micros(connection.unreachable_since),
            optional_micros(connection.next_attempt_at),
            bigint(connection.totals.transfers)?,
            bigint(connection.totals.rows)?,
            bigint(connection.totals.bytes)?,
            connection.epoch,
            connection.acked_epoch,
            connection.registered,
            connection.peer_deleted,
            optional_micros(connection.deleted_at),
            &sealed.lookup,
            &sealed.token_hash,
            &sealed.token,
            &sealed.root_key,
            sealed
                .root_key
                .as_ref()
                .map(|_| i64::from(FIRST_GENERATION)),
            &sealed.receipt_key,
            optional_json(some_of(&connection.wanted_tables))?,
            connection.requires_signed,
            optional_micros(connection.prove_at),
            i64::from(connection.prove_attempts),
            connection.remote_epoch,
            connection.contradicted,
            optional_micros(connection.exchanged_at),
            unknown.map_or(0, |unknown| i64::from(unknown.times)),
            optional_micros(unknown.map(|unknown| unknown.since)),
            unknown
                .and_then(|unknown| unknown.severed_from)
                .map(Status::as_str)
        );
        Ok(())
    }

    /// The connection, unless our administrator deleted it.
    ///
    /// # Errors
    /// When the database fails or what it holds cannot be read.
    pub async fn connection(&self, id: ConnectionId) -> Result<Option<Connection>, StoreError> {
        let row = fetch_optional!(
            self,
            select_connection!("where id = $1 and deleted_at is null"),
            id.to_string()
        );
        row.map(read).transpose()
    }

    /// All not deleted, newest first.
    ///
    /// # Errors
    /// When the database fails or what it holds cannot be read.
    pub async fn connections(
        &self,
        page: ListPage<ConnectionId>,
    ) -> Result<Vec<Connection>, StoreError> {
        let rows = fetch_all!(
            self,
            select_connection!(
                "where deleted_at is null
                  and ($1 is null or id < $1)
                order by id desc
                limit $2"
            ),
            page.before.map(|id| id.to_string()),
            i64::from(page.limit)
        );
        rows.into_iter().map(read).collect()
    }

    /// Those (of either direction, not deleted) whose token has this hash, newest first.
    ///
    /// # Errors
    /// When the database fails or what it holds cannot be read.
    pub async fn connections_by_hash(
        &self,
        token_hash: &str,
    ) -> Result<Vec<Connection>, StoreError> {
        let rows = fetch_all!(
            self,
            select_connection!(
                "where token_lookup = $1
                  and deleted_at is null
                order by id desc"
            ),
            self.key.lookup(token_hash)
        );
        rows.into_iter().map(read).collect()
    }

    /// Those (of either direction, not deleted) at this URL, newest first.
    ///
    /// # Errors
    /// When the database fails or what it holds cannot be read.
    pub async fn connections_by_url(&self, url: &PeerUrl) -> Result<Vec<Connection>, StoreError> {
        let rows = fetch_all!(
            self,
            select_connection!(
                "where url = $1
                  and deleted_at is null
                order by id desc"
            ),
            url.to_string()
        );
        rows.into_iter().map(read).collect()
    }

    /// Those the healing loop may have something to do for, oldest first: all that are not over, and those whose end
    /// the peer may have to hear of, also the deleted.
    ///
    /// # Errors
    /// When the database fails or what it holds cannot be read.
    pub async fn connections_to_heal(&self) -> Result<Vec<Connection>, StoreError> {
        let rows = fetch_all!(
            self,
            select_connection!(
                "where (deleted_at is null and local_status <> 'revoked')
                  or (registered and not peer_deleted and acked_epoch < epoch)
                order by id"
            )
        );
        rows.into_iter().map(read).collect()
    }
}

/// The same fault, but for a name that another connection has.
fn name_taken(fault: StoreError, name: &str) -> StoreError {
    if is_name_taken(&fault, "connection") {
        StoreError::NameTaken(name.to_owned())
    } else {
        fault
    }
}

fn some_of<T>(list: &[T]) -> Option<&[T]> {
    (!list.is_empty()).then_some(list)
}

fn read(row: Row) -> Result<Connection, StoreError> {
    connection(&Record::new("connection", "id", row))
}

fn connection(record: &Record) -> Result<Connection, StoreError> {
    let url = PeerUrl::parse(&record.text("url")?)
        .map_err(|_| record.corrupt("url", "the URL of a peer"))?;
    Ok(Connection {
        id: record.parsed("id")?,
        name: record.text("name")?,
        direction: record.parsed("direction")?,
        url,
        remote_prefix: record.optional_text("remote_prefix")?,
        local_status: record.parsed("local_status")?,
        remote_status: record.parsed("remote_status")?,
        status_reason: record.optional_text("status_reason")?,
        auth: record.parsed("auth")?,
        identity: record.parsed("identity")?,
        requested_from: record.optional_text("requested_from")?,
        grant: record.json("access")?,
        remote: record.optional_json("remote")?,
        created_at: record.time("created_at")?,
        approved_at: record.optional_time("approved_at")?,
        approved_by: record.optional_text("approved_by")?,
        last_contact_at: record.optional_time("last_contact_at")?,
        unreachable_since: record.optional_time("unreachable_since")?,
        next_attempt_at: record.optional_time("next_attempt_at")?,
        totals: Totals {
            transfers: record.count("total_transfers")?,
            rows: record.count("total_rows")?,
            bytes: record.count("total_bytes")?,
        },
        epoch: record.number("epoch")?,
        acked_epoch: record.number("acked_epoch")?,
        remote_epoch: record.number("remote_epoch")?,
        unknown: standing::unknown(record)?,
        contradicted: record.flag("contradicted")?,
        exchanged_at: record.optional_time("exchanged_at")?,
        registered: record.flag("registered")?,
        peer_deleted: record.flag("peer_deleted")?,
        deleted_at: record.optional_time("deleted_at")?,
        wanted_tables: record.optional_json("wanted_tables")?.unwrap_or_default(),
        requires_signed: record.flag("requires_signed")?,
        prove_at: record.optional_time("prove_at")?,
        prove_attempts: record.count("prove_attempts")?,
        key_generation: record.optional_count("key_generation")?,
    })
}
