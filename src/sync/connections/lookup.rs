//! Finding the connection an administrator or a peer speaks of.
//!
//! Invariant: a row the peer deleted on its side, or our administrator on ours, is not found.

use crate::model::connection::{Connection, Direction};
use crate::model::id::ConnectionId;
use crate::model::url::PeerUrl;
use crate::store::StoreError;
use crate::sync::{Ctx, SyncError};

/// The connection of this id.
///
/// # Errors
/// [`SyncError::Unknown`] when there is none.
pub async fn existing(ctx: &Ctx, id: ConnectionId) -> Result<Connection, SyncError> {
    let unknown = || SyncError::Unknown {
        what: "connection",
        name: id.to_string(),
    };
    ctx.store.connection(id).await?.ok_or_else(unknown)
}

/// The row, of either direction, with this peer's URL and this token's hash.
///
/// # Errors
/// Only our own state's.
pub async fn by_url_and_token_hash(
    ctx: &Ctx,
    url: &str,
    token_hash: &str,
) -> Result<Option<Connection>, StoreError> {
    let Ok(url) = PeerUrl::parse(url) else {
        return Ok(None);
    };
    let found = ctx.store.connections_by_hash(token_hash).await?;
    Ok(found
        .into_iter()
        .find(|row| row.url == url && !row.peer_deleted))
}

/// The row on which this site gives to the holder of this token.
///
/// # Errors
/// Only our own state's.
pub async fn by_token_hash(ctx: &Ctx, token_hash: &str) -> Result<Option<Connection>, StoreError> {
    let found = ctx.store.connections_by_hash(token_hash).await?;
    Ok(found
        .into_iter()
        .find(|row| row.direction == Direction::Sender && !row.peer_deleted))
}
