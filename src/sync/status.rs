//! What there is to tell of this site: reads the state and lets `model` decide.

use jiff::Timestamp;

use crate::model::alert::completed;
use crate::model::connection::Connection;
use crate::model::id::{ConnectionId, SyncId};
use crate::model::sync::SyncDefinition;
use crate::model::trouble::{Known, Trouble, troubles};
use crate::store::{ListPage, StoreError};
use crate::sync::Ctx;
use crate::sync::serve::gaps;

/// Connections or syncs read at a time.
const PAGE: u32 = 200;

/// Everything that is late, failed, waiting, quarantined or unreachable at `now`.
///
/// # Errors
/// When the state cannot be read.
pub async fn status(ctx: &Ctx, now: Timestamp) -> Result<Vec<Trouble>, StoreError> {
    let mut connections = all_connections(ctx).await?;
    // That its time is over is decided by the clock, and stored nowhere.
    for connection in &mut connections {
        connection.local_status = connection.local_status.max(connection.by_time(now));
    }
    let known = Known {
        gaps: gaps(ctx, &connections).await,
        connections,
        outcomes: ctx.store.outcomes_to_tell().await?,
        runs: ctx.store.runs_to_tell().await?,
        syncs: all_syncs(ctx).await?,
    };
    let alerts = ctx.store.alerts().await?;
    Ok(completed(troubles(&known, now), &alerts))
}

/// Every connection that is not deleted.
///
/// # Errors
/// When the state cannot be read.
pub(in crate::sync) async fn all_connections(ctx: &Ctx) -> Result<Vec<Connection>, StoreError> {
    let (mut connections, mut before) = (Vec::new(), None::<ConnectionId>);
    loop {
        let limit = PAGE;
        let page = ctx.store.connections(ListPage { limit, before }).await?;
        before = page.last().map(|connection| connection.id);
        connections.extend(page);
        if before.is_none() {
            return Ok(connections);
        }
    }
}

/// Every sync that is not deleted.
///
/// # Errors
/// When the state cannot be read.
pub(in crate::sync) async fn all_syncs(ctx: &Ctx) -> Result<Vec<SyncDefinition>, StoreError> {
    let (mut syncs, mut before) = (Vec::new(), None::<SyncId>);
    loop {
        let limit = PAGE;
        let page = ctx.store.syncs(ListPage { limit, before }).await?;
        before = page.last().map(|sync| sync.id);
        syncs.extend(page);
        if before.is_none() {
            return Ok(syncs);
        }
    }
}
