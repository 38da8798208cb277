//! A sync's turn: what `model::sync` decides about it, done.

use jiff::Timestamp;

use crate::model::id::SyncId;
use crate::model::run::{Run, RunStatus};
use crate::model::schedule::Planned;
use crate::model::sync::{AtDue, Step, SyncDefinition, at_due};
use crate::store::{Taken, Turn};
use crate::sync::syncs::look;
use crate::sync::{Ctx, SyncError};

/// Who made the runs that nobody asked for.
const SCHEDULE: &str = "schedule";

/// Does what is to be done about a sync at `now`; returns when to look at it again, if ever.
///
/// # Errors
/// Only our own state's.
pub async fn advance(
    ctx: &Ctx,
    id: SyncId,
    now: Timestamp,
) -> Result<Option<Timestamp>, SyncError> {
    let Some(sync) = ctx.store.sync(id).await? else {
        return Ok(None);
    };
    let turn = match sync.step(now, ctx.config.runs.jitter) {
        Step::Rest => None,
        Step::Wait(until) => Some(until),
        Step::Plan(next) => {
            ctx.store.plan_sync(id, sync.next, next).await?;
            Some(next.starts_at)
        }
        Step::Begin { due, next } => {
            begin(ctx, &sync, (due, next), now).await?;
            next.map(|next| next.starts_at)
        }
    };
    let look = look::advance(ctx, &sync, now).await?;
    Ok(turn.into_iter().chain(look).min())
}

async fn begin(
    ctx: &Ctx,
    sync: &SyncDefinition,
    (due, next): (Planned, Option<Planned>),
    now: Timestamp,
) -> Result<(), SyncError> {
    let mut replaced = None;
    let wanted = match at_due(ctx.store.unfinished_run(sync.id).await?) {
        AtDue::PassOver => false,
        AtDue::Begin => true,
        AtDue::Replace(mut run) => {
            run.end(RunStatus::Failed);
            replaced = Some(run);
            true
        }
    };
    let run = wanted.then(|| scheduled(sync, (due, next), now));
    let turn = Turn {
        sync: sync.id,
        due,
        next,
        replaced: replaced.as_deref(),
        run: run.as_ref(),
    };
    let planned = due.planned_at;
    match ctx.store.take_turn(&turn, now).await? {
        Taken::Begun => {
            tracing::info!(sync = sync.name, run = ?run.map(|run| run.id), %planned, "a sync is due");
            ctx.runner.wake();
        }
        Taken::PassedOver => {
            tracing::info!(sync = sync.name, %planned, "a sync is due while its last run goes on; that run stands for both");
        }
        Taken::TooLate => {}
    }
    Ok(())
}

fn scheduled(
    sync: &SyncDefinition,
    (due, next): (Planned, Option<Planned>),
    now: Timestamp,
) -> Run {
    let mut run = Run::new(sync.connection_id, sync.order.clone(), SCHEDULE, now);
    run.sync_id = Some(sync.id);
    run.planned_at = Some(due.planned_at);
    run.give_up_at = next.map(|next| next.starts_at);
    run
}
