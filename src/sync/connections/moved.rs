//! A peer that signs moved: it says so with each request, by the URL it gives.
//!
//! Invariant: only what was signed moves a connection, and only to where this site may call.

use jiff::Timestamp;

use crate::model::connection::Connection;
use crate::remote::RemoteError;
use crate::store::StoreError;
use crate::sync::connections::address::checked_url;
use crate::sync::{Actor, Ctx, SyncError};

/// The setting that holds the URL under which peers last heard of this site.
const OWN_URL: &str = "site.url";

/// The connection as it is after its peer, in a request that it signed, said that it is at `text`.
///
/// # Errors
/// Only our own state's.
pub(super) async fn follow(
    ctx: &Ctx,
    connection: Connection,
    text: &str,
    actor: &Actor,
) -> Result<Connection, StoreError> {
    let url = match checked_url(ctx, text) {
        Ok(url) if url == connection.url => return Ok(connection),
        Ok(url) => url,
        Err(err) => return Ok(stays(connection, &err)),
    };
    match ctx.remote.check_token_may_cross(&url).await {
        // What does not resolve now may do so later.
        Ok(()) | Err(RemoteError::Unreachable { .. }) => {}
        Err(err) => return Ok(stays(connection, &err.into())),
    }
    let way = (&connection.url, &url);
    if ctx
        .store
        .move_connection(connection.id, way, Timestamp::now())
        .await?
    {
        let detail = Some(format!("from {} to {url}", connection.url));
        let subject = connection.id.to_string();
        ctx.audit(actor, "connection.moved", &subject, detail).await;
        ctx.janitor.wake();
        ctx.alerter.wake();
    }
    Ok(ctx
        .store
        .connection(connection.id)
        .await?
        .unwrap_or(connection))
}

/// A place that must not be called is no reason to refuse what the peer signed.
fn stays(connection: Connection, err: &SyncError) -> Connection {
    tracing::warn!(connection = %connection.id, %err, "the peer says that it moved to where this site must not call; it is called where it was");
    connection
}

/// Has every peer that signs hear where this site is, when that changed since the last start.
///
/// # Errors
/// Only our own state's.
pub async fn note_own_url(ctx: &Ctx) -> Result<(), StoreError> {
    let url = ctx.config.site.url.to_string();
    match ctx.store.setting(OWN_URL).await? {
        Some(known) if known == url => return Ok(()),
        Some(known) => {
            tracing::info!(from = known, to = url, "site.url changed; peers are told");
            ctx.store.call_all_signed(Timestamp::now()).await?;
        }
        None => {}
    }
    ctx.store.set_settings(&[(OWN_URL, Some(&url))]).await
}
