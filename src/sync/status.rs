//! What there is to tell of this site: reads the state and lets `model` decide.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

use crate::config::{Config, sqlite_file};
use crate::model::alert::completed;
use crate::model::connection::Connection;
use crate::model::id::{ConnectionId, SyncId};
use crate::model::sync::SyncDefinition;
use crate::model::trouble::{Known, ScarceDisk, Trouble, troubles};
use crate::store::{ListPage, StoreError};
use crate::sync::Ctx;
use crate::sync::serve::gaps;

/// Connections or syncs read at a time.
const PAGE: u32 = 200;
/// A site database that takes longer to answer is told of.
const PATIENCE: Duration = Duration::from_secs(3);
/// With less than this the state's disk is called nearly full.
pub(in crate::sync) const SCARCE_BYTES: u64 = 256 << 20;

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
        database_fault: database_fault(ctx).await,
        scarce_disk: scarce_disk(&ctx.config),
        gaps: gaps(ctx, &connections).await,
        connections,
        outcomes: ctx.store.outcomes_to_tell().await?,
        runs: ctx.store.runs_to_tell().await?,
        syncs: all_syncs(ctx).await?,
    };
    let alerts = ctx.store.alerts().await?;
    Ok(completed(troubles(&known, now), &alerts))
}

/// Why the site database does not answer, if it does not.
pub async fn database_fault(ctx: &Ctx) -> Option<String> {
    match tokio::time::timeout(PATIENCE, ctx.driver.version()).await {
        Ok(answered) => answered.err().map(|err| err.to_string()),
        Err(_) => {
            let seconds = PATIENCE.as_secs();
            Some(format!(
                "the site database did not answer within {seconds} s"
            ))
        }
    }
}

/// What is free where the state is a file, if that is little.
fn scarce_disk(config: &Config) -> Option<ScarceDisk> {
    let state_file = sqlite_file(config.state.url.expose())?;
    let folder = state_file.parent()?;
    let free = free_bytes(folder).ok()?;
    (free < SCARCE_BYTES).then(|| ScarceDisk {
        folder: folder.to_owned(),
        mebibytes: free >> 20,
    })
}

/// How much this process may still write on the disk that holds `folder`.
pub(in crate::sync) fn free_bytes(folder: &Path) -> std::io::Result<u64> {
    let space = rustix::fs::statvfs(folder)?;
    Ok(space.f_bavail.saturating_mul(space.f_frsize))
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
