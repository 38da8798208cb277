//! Making, changing and deleting syncs.
//!
//! Invariant: a sync that is neither deleted nor shared is the only writer of its tables among the connections.

use std::time::Duration;

use jiff::Timestamp;

use crate::model::connection::Direction;
use crate::model::drift::Budget;
use crate::model::id::{ConnectionId, SyncId};
use crate::model::run::RunOrder;
use crate::model::schedule::Schedule;
use crate::model::sync::{SyncDefinition, SyncStatus};
use crate::store::TableTaken;
use crate::sync::connections::checked_name;
use crate::sync::pull::{refuse_beside_mirror, refuse_unclear, stopped, taken};
use crate::sync::{Actor, Ctx, SyncError};

/// Characters of a description at most.
const LONGEST_DESCRIPTION: usize = 1_000;

/// A sync to make.
#[derive(Clone, Debug)]
pub struct NewSync {
    /// For people.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// The source.
    pub connection_id: ConnectionId,
    /// What each of its runs does.
    pub order: RunOrder,
    /// When it runs by itself.
    pub schedule: Option<Schedule>,
    /// When it compares besides.
    pub compare_schedule: Option<Schedule>,
    /// How much of what drifted it repairs by itself; `None`: nothing.
    pub repair: Option<Budget>,
    /// How old what it wrote may become before it is late.
    pub max_age: Option<Duration>,
    /// Not [`SyncStatus::Error`].
    pub status: SyncStatus,
}

/// What a person changes of a sync; `None` leaves a field as it is.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// For people.
    pub name: Option<String>,
    /// For people; of two, the inner `None` removes it.
    pub description: Option<Option<String>>,
    /// The source.
    pub connection_id: Option<ConnectionId>,
    /// What each of its runs does.
    pub order: Option<RunOrder>,
    /// When it runs by itself; the inner `None`: by hand only.
    pub schedule: Option<Option<Schedule>>,
    /// When it compares besides; the inner `None`: never.
    pub compare_schedule: Option<Option<Schedule>>,
    /// How much of what drifted it repairs by itself; the inner `None`: nothing.
    pub repair: Option<Option<Budget>>,
    /// How old what it wrote may become before it is late; the inner `None`: the default.
    pub max_age: Option<Option<Duration>>,
    /// Whether it runs by itself; not [`SyncStatus::Error`].
    pub status: Option<SyncStatus>,
}

/// The sync of this id.
///
/// # Errors
/// [`SyncError::Unknown`] when there is none.
pub async fn existing(ctx: &Ctx, id: SyncId) -> Result<SyncDefinition, SyncError> {
    ctx.store.sync(id).await?.ok_or_else(|| unknown(id))
}

fn unknown(id: SyncId) -> SyncError {
    SyncError::Unknown {
        what: "sync",
        name: id.to_string(),
    }
}

/// Makes a sync, claims its tables, and plans its first run.
///
/// # Errors
/// What does not fit, by its field; [`SyncError::OtherWriter`] when another connection writes one of its tables.
pub async fn create(ctx: &Ctx, new: NewSync, actor: &Actor) -> Result<SyncDefinition, SyncError> {
    let now = Timestamp::now();
    let mut sync = SyncDefinition {
        id: SyncId::generate(),
        name: new.name,
        description: new.description,
        connection_id: new.connection_id,
        order: new.order,
        schedule: new.schedule,
        compare_schedule: new.compare_schedule,
        repair: new.repair,
        max_age: new.max_age,
        status: new.status,
        status_error: None,
        created_by: actor.name.clone(),
        created_at: now,
        updated_at: now,
        active_since: (new.status == SyncStatus::Active).then_some(now),
        last_synced_at: None,
        proved_equal_at: None,
        last_run_id: None,
        next: None,
        next_look: None,
        last_look: None,
    };
    check(ctx, &mut sync).await?;
    plan(&mut sync, None, ctx.config.runs.jitter, now);
    let refused = ctx.store.insert_sync(&sync).await?;
    settle(ctx, refused).await?;
    tell(ctx, actor, "sync.create", &sync, None).await;
    existing(ctx, sync.id).await
}

/// Changes a sync. Any change lifts a fault that stopped it, unless it says another status.
///
/// # Errors
/// What does not fit, by its field; [`SyncError::OtherWriter`] when another connection writes one of its tables.
pub async fn edit(
    ctx: &Ctx,
    id: SyncId,
    changes: Changes,
    actor: &Actor,
) -> Result<SyncDefinition, SyncError> {
    let known = existing(ctx, id).await?;
    let now = Timestamp::now();
    let mut sync = changed(known.clone(), changes, now);
    check(ctx, &mut sync).await?;
    plan(&mut sync, Some(&known), ctx.config.runs.jitter, now);
    let refused = ctx.store.update_sync(&sync).await?;
    settle(ctx, refused).await?;
    let status = (sync.status != known.status).then(|| sync.status.to_string());
    tell(ctx, actor, "sync.edit", &sync, status).await;
    existing(ctx, id).await
}

/// Deletes a sync: its tables are free, its run that is not over is stopped, its history stays.
///
/// # Errors
/// When there is no such sync.
pub async fn delete(ctx: &Ctx, id: SyncId, actor: &Actor) -> Result<(), SyncError> {
    let sync = existing(ctx, id).await?;
    let Some(deleted) = ctx.store.delete_sync(id, Timestamp::now()).await? else {
        return Err(unknown(id));
    };
    tell(ctx, actor, "sync.delete", &sync, None).await;
    for run in deleted.stopped {
        stopped(ctx, run, actor).await;
    }
    Ok(())
}

/// The sync as it is after `changes`, not yet checked.
fn changed(mut sync: SyncDefinition, changes: Changes, now: Timestamp) -> SyncDefinition {
    let before = sync.status;
    sync.name = changes.name.unwrap_or(sync.name);
    sync.description = changes.description.unwrap_or(sync.description);
    sync.connection_id = changes.connection_id.unwrap_or(sync.connection_id);
    sync.order = changes.order.unwrap_or(sync.order);
    sync.schedule = changes.schedule.unwrap_or(sync.schedule);
    sync.compare_schedule = changes.compare_schedule.unwrap_or(sync.compare_schedule);
    sync.repair = changes.repair.unwrap_or(sync.repair);
    sync.max_age = changes.max_age.unwrap_or(sync.max_age);
    sync.status = changes.status.unwrap_or(match before {
        SyncStatus::Error => SyncStatus::Active,
        other => other,
    });
    sync.status_error = None;
    sync.updated_at = now;
    if sync.status == SyncStatus::Active && before != SyncStatus::Active {
        sync.active_since = Some(now);
    }
    sync
}

/// Its next times, where what they follow from is not as `known`.
fn plan(
    sync: &mut SyncDefinition,
    known: Option<&SyncDefinition>,
    jitter: Duration,
    now: Timestamp,
) {
    let differs = |of: fn(&SyncDefinition) -> Option<&Schedule>| {
        known.is_none_or(|known| of(known) != of(sync))
    };
    let moved = known.is_none_or(|known| known.status != sync.status);
    let (runs, looks) = (
        differs(|sync| sync.schedule.as_ref()),
        differs(|sync| sync.compare_schedule.as_ref()),
    );
    if moved || runs || sync.next.is_none() {
        sync.next = sync.next_after(now, jitter);
    }
    if moved || looks || sync.next_look.is_none() {
        sync.next_look = sync.next_look_after(now, jitter);
    }
}

/// Refuses what can be refused without asking the peer.
async fn check(ctx: &Ctx, sync: &mut SyncDefinition) -> Result<(), SyncError> {
    let invalid = |field: &'static str, message: String| SyncError::Invalid { field, message };
    sync.name = checked_name(&sync.name)?;
    let description = sync.description.as_deref().unwrap_or_default();
    if description.chars().count() > LONGEST_DESCRIPTION {
        let message = format!("a description has at most {LONGEST_DESCRIPTION} characters");
        return Err(invalid("description", message));
    }
    if sync.status == SyncStatus::Error {
        let message = "must be draft, active or paused; a fault alone makes it error".to_owned();
        return Err(invalid("status", message));
    }
    if sync.max_age.is_some_and(|age| age.is_zero()) {
        return Err(invalid("max_age", "must be at least one second".to_owned()));
    }
    if sync.order.guard.percent > 100 {
        let message = "must be at most 100".to_owned();
        return Err(invalid("guard.percent", message));
    }
    let source = "source.connection_id";
    match ctx.store.connection(sync.connection_id).await? {
        None => {
            let message = format!("there is no connection {}", sync.connection_id);
            return Err(invalid(source, message));
        }
        Some(connection) if connection.direction != Direction::Receiver => {
            let message = format!(
                "connection {} gives data to the peer; a sync needs one that receives from it",
                connection.name
            );
            return Err(invalid(source, message));
        }
        Some(_) => {}
    }
    refuse_unclear(&sync.order)?;
    refuse_beside_mirror(ctx, sync.connection_id, &sync.order, Some(sync.id)).await
}

async fn settle(ctx: &Ctx, refused: Option<TableTaken>) -> Result<(), SyncError> {
    match refused {
        None => Ok(()),
        Some(refused) => Err(taken(ctx, &refused.table, refused.connection).await?),
    }
}

async fn tell(
    ctx: &Ctx,
    actor: &Actor,
    action: &str,
    sync: &SyncDefinition,
    detail: Option<String>,
) {
    let detail = detail.map_or_else(
        || sync.name.clone(),
        |what| format!("{}: {what}", sync.name),
    );
    ctx.audit(actor, action, &sync.id.to_string(), Some(detail))
        .await;
    ctx.scheduler.wake();
}
