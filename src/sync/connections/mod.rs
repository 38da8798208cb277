//! Making, deciding and telling: the life of a connection on this side.

use jiff::Timestamp;

use crate::base::secret::Secret;
use crate::model::connection::{Connection, Decision};
use crate::model::grant::Grant;
use crate::model::id::ConnectionId;
use crate::sync::{Actor, Ctx, SyncError};

/// A connection our administrator makes: this site gives.
#[derive(Debug)]
pub struct NewConnection {
    /// The peer's.
    pub url: String,
    /// Ours for it; default: made from the URL's host.
    pub name: Option<String>,
    /// What it may see.
    pub grant: Grant,
    /// Where the peer asks for one.
    pub password: Option<Secret<String>>,
}

/// What an administrator changes of a connection.
#[derive(Debug, Default)]
pub struct Edit {
    /// Its name here.
    pub name: Option<String>,
    /// Where the peer is reached.
    pub url: Option<String>,
    /// What it may see.
    pub grant: Option<Grant>,
}

/// Makes a connection and registers it with the peer; a refusal leaves no row.
///
/// # Errors
/// The peer's refusal, or why it could not be asked. Unreachable: no row either.
pub async fn give(ctx: &Ctx, new: NewConnection, actor: &Actor) -> Result<Connection, SyncError> {
    let _ = (ctx, new, actor);
    todo!()
}

/// Carries out an administrator's decision and lets the peer know in the background.
///
/// # Errors
/// When there is no such connection or the decision does not fit.
pub async fn decide(
    ctx: &Ctx,
    id: ConnectionId,
    decision: Decision,
    reason: Option<&str>,
    actor: &Actor,
) -> Result<Connection, SyncError> {
    let _ = (ctx, id, decision, reason, actor);
    todo!()
}

/// Changes name, URL or grant.
///
/// # Errors
/// When there is no such connection, or a value does not fit.
pub async fn edit(
    ctx: &Ctx,
    id: ConnectionId,
    edit: Edit,
    actor: &Actor,
) -> Result<Connection, SyncError> {
    let _ = (ctx, id, edit, actor);
    todo!()
}

/// Deletes the connection here at once and lets the peer know in the background.
///
/// # Errors
/// When there is no such connection.
pub async fn delete(ctx: &Ctx, id: ConnectionId, actor: &Actor) -> Result<(), SyncError> {
    let _ = (ctx, id, actor);
    todo!()
}

/// Asks the peer what it thinks of the connection, and notes it.
///
/// # Errors
/// When there is no such connection, or the peer cannot be asked.
pub async fn verify(ctx: &Ctx, id: ConnectionId, actor: &Actor) -> Result<Connection, SyncError> {
    let _ = (ctx, id, actor);
    todo!()
}

/// Tells one peer what it has yet to hear: a registration, a decision or a deletion. For the healing loop.
/// Notes success or the time of the next attempt.
///
/// # Errors
/// Only our own state's.
pub async fn tell_peer(
    ctx: &Ctx,
    connection: &Connection,
    now: Timestamp,
) -> Result<(), SyncError> {
    let _ = (ctx, connection, now);
    todo!()
}
