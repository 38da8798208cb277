//! Running a sync by hand, whether it runs by itself or not.

use jiff::Timestamp;

use crate::model::id::SyncId;
use crate::model::run::{Apply, Run, RunOrder};
use crate::sync::pull::receiver;
use crate::sync::syncs::define::existing;
use crate::sync::{Actor, Ctx, SyncError};

/// Makes a run of the sync that is due at once, and wakes the runner.
///
/// # Errors
/// [`SyncError::RunGoesOn`] when one is not over; when the connection cannot be pulled by.
pub async fn trigger(ctx: &Ctx, id: SyncId, actor: &Actor) -> Result<Run, SyncError> {
    start(ctx, id, Apply::Yes, actor).await
}

/// Makes a run of the sync that tells what it would do and waits for a person, and wakes the runner.
///
/// # Errors
/// [`SyncError::RunGoesOn`] when one is not over; when the connection cannot be pulled by.
pub async fn preview(ctx: &Ctx, id: SyncId, actor: &Actor) -> Result<Run, SyncError> {
    start(ctx, id, Apply::Ask, actor).await
}

async fn start(ctx: &Ctx, id: SyncId, apply: Apply, actor: &Actor) -> Result<Run, SyncError> {
    let sync = existing(ctx, id).await?;
    receiver(ctx, sync.connection_id).await?;
    let order = RunOrder {
        apply,
        ..sync.order
    };
    let mut run = Run::new(sync.connection_id, order, &actor.name, Timestamp::now());
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
    let action = match apply {
        Apply::Yes => "sync.trigger",
        Apply::Ask | Apply::No => "sync.preview",
    };
    ctx.audit(actor, action, &id.to_string(), Some(sync.name))
        .await;
    Ok(run)
}
