//! Syncs whose peer was away for long: halted, and let go on when it answers.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::model::absence::{Absence, absence};
use crate::model::connection::Connection;
use crate::model::id::ConnectionId;
use crate::model::sync::SyncDefinition;
use crate::sync::status::{all_connections, all_syncs};
use crate::sync::{Actor, Ctx, SyncError};

/// Does for each sync what its peer's absence at `now` means. For the healing loop.
///
/// # Errors
/// Only our own state's.
pub async fn mind_absences(ctx: &Ctx, now: Timestamp) -> Result<(), SyncError> {
    let syncs = all_syncs(ctx).await?;
    if syncs.is_empty() {
        return Ok(());
    }
    let connections: HashMap<ConnectionId, Connection> = all_connections(ctx)
        .await?
        .into_iter()
        .map(|connection| (connection.id, connection))
        .collect();
    for sync in &syncs {
        if let Some(connection) = connections.get(&sync.connection_id) {
            mind(ctx, sync, absence(sync, connection, now), now).await?;
        }
    }
    Ok(())
}

async fn mind(
    ctx: &Ctx,
    sync: &SyncDefinition,
    absence: Absence,
    now: Timestamp,
) -> Result<(), SyncError> {
    let (done, action) = match (absence, &sync.status_error) {
        (Absence::Halts(fault), _) => (ctx.store.halt_sync(sync.id, &fault).await?, "sync.halt"),
        (Absence::IsOver, Some(fault)) => {
            let lifted = ctx.store.lift_halt(sync.id, fault, now).await?;
            (lifted, "sync.resume")
        }
        (Absence::IsOver | Absence::None, _) => return Ok(()),
    };
    if done {
        tracing::warn!(sync = %sync.id, name = sync.name, action, "a sync follows its peer's absence");
        let name = Some(sync.name.clone());
        ctx.audit(&Actor::daemon(), action, &sync.id.to_string(), name)
            .await;
        ctx.scheduler.wake();
    }
    Ok(())
}
