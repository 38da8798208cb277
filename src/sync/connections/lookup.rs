//! Finding the connection a peer speaks of.
//!
//! Invariant: a row the peer deleted on its side, or our administrator on ours, is not found.

use crate::model::connection::{Connection, Direction};
use crate::model::url::PeerUrl;
use crate::sync::{Ctx, SyncError};

/// The row, of either direction, with this peer's URL and this token's hash.
///
/// # Errors
/// Only our own state's.
pub async fn by_url_and_token_hash(
    ctx: &Ctx,
    url: &str,
    token_hash: &str,
) -> Result<Option<Connection>, SyncError> {
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
pub async fn by_token_hash(ctx: &Ctx, token_hash: &str) -> Result<Option<Connection>, SyncError> {
    let found = ctx.store.connections_by_hash(token_hash).await?;
    Ok(found
        .into_iter()
        .find(|row| row.direction == Direction::Sender && !row.peer_deleted))
}
