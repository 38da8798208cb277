//! Running a sync by hand, whether it runs by itself or not.

use jiff::Timestamp;

use crate::model::id::SyncId;
use crate::model::run::Run;
use crate::sync::pull::receiver;
use crate::sync::syncs::define::existing;
use crate::sync::{Actor, Ctx, SyncError};

/// Makes a run of the sync that is due at once, and wakes the runner.
///
/// # Errors
/// [`SyncError::RunGoesOn`] when one is not over; when the connection cannot be pulled by.
pub async fn trigger(ctx: &Ctx, id: SyncId, actor: &Actor) -> Result<Run, SyncError> {
    let sync = existing(ctx, id).await?;
    receiver(ctx, sync.connection_id).await?;
    let mut run = Run::new(
        sync.connection_id,
        sync.order,
        &actor.name,
        Timestamp::now(),
    );
    run.sync_id = Some(id);
    while !ctx.store.insert_run_of_sync(&run, id).await? {
        // Unless the one in the way ended just now.
        if let Some(unfinished) = ctx.store.unfinished_run(id).await? {
            return Err(SyncError::RunGoesOn {
                sync: sync.name,
                run: unfinished.id,
                status: unfinished.status,
            });
        }
    }
    ctx.runner.wake();
    ctx.audit(actor, "sync.trigger", &id.to_string(), Some(sync.name))
        .await;
    Ok(run)
}
