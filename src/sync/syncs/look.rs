//! A sync's looks: comparing on its second schedule, and what follows, as `model::drift` decides.
//!
//! Invariant: a look is judged from what the state holds of it and of the one before, so a daemon that was killed in
//! between judges it at its next start.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::model::difference::{FoundDifference, KEPT};
use crate::model::drift::{Finding, Look, Seen, judge};
use crate::model::id::RunId;
use crate::model::run::{Apply, Run, RunOrder, RunStatus, RunTable};
use crate::model::schedule::Planned;
use crate::model::sync::{Step, SyncDefinition};
use crate::model::table::{Table, TableName};
use crate::store::Taken;
use crate::sync::{Ctx, SyncError};

/// Who made the runs that only compare.
const COMPARE_SCHEDULE: &str = "compare_schedule";
/// Who made the runs that repair.
const HEALING: &str = "healing";
/// What a row is taken to weigh where the database does not know.
const UNKNOWN_ROW: u64 = 1_024;

/// Does what is to be done at `now` about a sync's comparing; returns when to look at it again, if ever.
pub(super) async fn advance(
    ctx: &Ctx,
    sync: &SyncDefinition,
    now: Timestamp,
) -> Result<Option<Timestamp>, SyncError> {
    if sync.compare_schedule.is_none() {
        return Ok(None);
    }
    conclude(ctx, sync, now).await?;
    match sync.look_step(now, ctx.config.runs.jitter) {
        Step::Rest => Ok(None),
        Step::Wait(until) => Ok(Some(until)),
        Step::Plan(next) => {
            ctx.store.plan_look(sync.id, sync.next_look, next).await?;
            Ok(Some(next.starts_at))
        }
        Step::Begin { due, next } => {
            begin(ctx, sync, (due, next), now).await?;
            Ok(next.map(|next| next.starts_at))
        }
    }
}

/// A run that goes on compares, too, and does more: it stands for the look.
async fn begin(
    ctx: &Ctx,
    sync: &SyncDefinition,
    (due, next): (Planned, Option<Planned>),
    now: Timestamp,
) -> Result<(), SyncError> {
    let busy = ctx.store.unfinished_run(sync.id).await?.is_some();
    let run = (!busy).then(|| {
        let mut run = run_of(sync, Apply::No, COMPARE_SCHEDULE, now);
        run.looks = true;
        run.planned_at = Some(due.planned_at);
        run.give_up_at = next.map(|next| next.starts_at);
        run
    });
    let taken = ctx.store.take_look(sync.id, (due, next), run.as_ref());
    if taken.await? == Taken::Begun {
        tracing::info!(sync = sync.name, run = ?run.map(|run| run.id), "a sync is compared");
        ctx.runner.wake();
    }
    Ok(())
}

fn run_of(sync: &SyncDefinition, apply: Apply, by: &str, now: Timestamp) -> Run {
    let order = RunOrder {
        apply,
        ..sync.order.clone()
    };
    let mut run = Run::new(sync.connection_id, order, by, now);
    run.sync_id = Some(sync.id);
    run
}

/// Judges the newest look, unless that was done, and has done what follows.
async fn conclude(ctx: &Ctx, sync: &SyncDefinition, now: Timestamp) -> Result<(), SyncError> {
    let known = sync.last_look.as_ref();
    let Some(run) = ctx.store.newest_look(sync.id).await? else {
        return Ok(());
    };
    if known.is_some_and(|known| known.run_id >= run.id) {
        return Ok(());
    }
    let Some(mut look) = judged(ctx, sync, &run, now).await? else {
        return Ok(());
    };
    look.repair_run = match look.finding {
        Finding::Repairs => repair(ctx, sync, Apply::Yes, now).await?,
        Finding::Asks => repair(ctx, sync, Apply::Ask, now).await?,
        Finding::Equal | Finding::Unsettled | Finding::Left | Finding::Failed => None,
    };
    // One second look comes soon; what differs in another way each time is on its way for longer than that.
    let again = look.finding == Finding::Unsettled
        && known.is_none_or(|known| known.finding != Finding::Unsettled);
    let sooner = again
        .then(|| now.checked_add(ctx.config.runs.second_look).ok())
        .flatten();
    ctx.store.note_look(sync.id, &look, sooner).await?;
    tracing::info!(sync = sync.name, run = %run.id, finding = %look.finding, rows = look.rows,
        drifted = look.drifted, "a sync was compared");
    ctx.alerter.wake();
    Ok(())
}

/// What the run saw, seen against the look before. `None`: a person stopped it, and it says nothing.
async fn judged(
    ctx: &Ctx,
    sync: &SyncDefinition,
    run: &Run,
    now: Timestamp,
) -> Result<Option<Look>, SyncError> {
    let mut look = Look {
        run_id: run.id,
        at: now,
        finding: Finding::Failed,
        rows: 0,
        drifted: 0,
        repair_run: None,
        error: run.error.clone(),
    };
    match run.status {
        RunStatus::Completed | RunStatus::CompletedWithErrors => {}
        RunStatus::Cancelled => return Ok(None),
        RunStatus::Failed | RunStatus::Pending | RunStatus::Running | RunStatus::NeedsApproval => {
            return Ok(Some(look));
        }
    }
    let listed = listed(ctx, run.id).await?;
    let before = match &sync.last_look {
        Some(before) => listed_before(ctx, before).await?,
        None => None,
    };
    let changes = run.changes();
    look.rows = changes.written();
    let seen = Seen {
        rows: look.rows,
        bytes: weight(ctx, run).await,
        listed: &listed,
    };
    (look.finding, look.drifted) = judge(before.as_deref(), seen, sync.repair);
    Ok(Some(look))
}

/// What the look before found, if it found anything.
async fn listed_before(
    ctx: &Ctx,
    before: &Look,
) -> Result<Option<Vec<FoundDifference>>, SyncError> {
    if before.rows == 0 {
        return Ok(None);
    }
    Ok(Some(listed(ctx, before.run_id).await?))
}

async fn listed(ctx: &Ctx, run: RunId) -> Result<Vec<FoundDifference>, SyncError> {
    let page = u32::try_from(KEPT).unwrap_or(u32::MAX);
    let (mut all, mut offset) = (Vec::new(), 0);
    loop {
        let found = ctx.store.differences(run, None, page, offset).await?;
        let is_last = found.len() < KEPT;
        offset += u64::from(page);
        all.extend(found);
        if is_last {
            return Ok(all);
        }
    }
}

/// What the rows to repair weigh, as the average row of their tables does.
async fn weight(ctx: &Ctx, run: &Run) -> u64 {
    let here: HashMap<TableName, Table> = match ctx.driver.tables().await {
        Ok(tables) => tables
            .into_iter()
            .map(|table| (table.name.clone(), table))
            .collect(),
        Err(_) => HashMap::new(),
    };
    let of_table = |table: &RunTable| {
        let rows = table.changes.added + table.changes.updated;
        let known = here.get(&table.table).and_then(|table| {
            let (size, rows) = (table.size_bytes?, table.row_estimate?);
            (rows > 0).then(|| size.div_ceil(rows))
        });
        rows.saturating_mul(known.unwrap_or(UNKNOWN_ROW))
    };
    run.tables.iter().map(of_table).fold(0, u64::saturating_add)
}

/// A run of the sync for what drifted. None where one goes on, which does the same, or waits for a person, who is not to
/// be overtaken.
async fn repair(
    ctx: &Ctx,
    sync: &SyncDefinition,
    apply: Apply,
    now: Timestamp,
) -> Result<Option<RunId>, SyncError> {
    if ctx.store.run_to_approve(sync.id).await?.is_some() {
        return Ok(None);
    }
    let run = run_of(sync, apply, HEALING, now);
    let made = ctx.store.insert_run_of_sync(&run, sync.id).await?;
    ctx.runner.wake();
    Ok(made.then_some(run.id))
}
