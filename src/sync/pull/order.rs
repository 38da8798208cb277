//! Ordering a pull: everything that can be refused at once is refused here, before a run exists.

use std::collections::HashSet;

use jiff::Timestamp;

use crate::engine::driver::Creation;
use crate::model::id::{ConnectionId, RunId};
use crate::model::order::TableOrder;
use crate::model::run::{Progress, Run, RunOrder, RunStatus};
use crate::model::table::TableName;
use crate::sync::pull::{Source, plan, receiver};
use crate::sync::{Actor, Ctx, SyncError};

/// Makes a run and wakes the runner.
///
/// # Errors
/// When the connection cannot be pulled by, no table is named, or another connection writes one of them.
pub async fn order(
    ctx: &Ctx,
    connection: ConnectionId,
    asked: RunOrder,
    actor: &Actor,
) -> Result<Run, SyncError> {
    receiver(ctx, connection).await?;
    let destinations = asked.destinations();
    refuse_unclear(&destinations)?;
    if !asked.shared {
        refuse_second_writer(ctx, connection, &destinations).await?;
    }
    let run = new_run(connection, asked, actor, Timestamp::now());
    ctx.store.insert_run(&run).await?;
    ctx.runner.wake();
    Ok(run)
}

/// A run writes at least one table, and none of them twice.
fn refuse_unclear(destinations: &[TableName]) -> Result<(), SyncError> {
    let mut seen = HashSet::new();
    let repeated = destinations.iter().find(|table| !seen.insert(*table));
    let message = match repeated {
        Some(table) => format!("{table} would be written twice by one run"),
        None if destinations.is_empty() => "name at least one table".to_owned(),
        None => return Ok(()),
    };
    Err(SyncError::Invalid {
        field: "tables",
        message,
    })
}

async fn refuse_second_writer(
    ctx: &Ctx,
    connection: ConnectionId,
    tables: &[TableName],
) -> Result<(), SyncError> {
    for table in tables {
        let Some(other) = ctx.store.other_writer(table, connection).await? else {
            continue;
        };
        let name = ctx
            .store
            .connection(other)
            .await?
            .map_or_else(|| other.to_string(), |other| other.name);
        return Err(SyncError::OtherWriter {
            table: table.clone(),
            connection: name,
        });
    }
    Ok(())
}

fn new_run(connection: ConnectionId, order: RunOrder, actor: &Actor, now: Timestamp) -> Run {
    Run {
        id: RunId::generate(),
        connection_id: connection,
        order,
        status: RunStatus::Pending,
        triggered_by: actor.name.clone(),
        attempt: 0,
        next_attempt_at: None,
        created_at: now,
        started_at: None,
        completed_at: None,
        progress: Progress::default(),
        error: None,
        tables: Vec::new(),
        cancel_requested: false,
    }
}

/// What no table takes over from a peer, whether the peer's has it or not: of these it does not even tell.
const NEVER_TAKEN: &str =
    "of every table: defaults, checks, and indexes that are no keys; add those this site needs";

/// What `create_missing` would make for these tables, without making it.
///
/// # Errors
/// When the connection cannot be pulled by, or the peer does not grant a table.
pub async fn plan_creation(
    ctx: &Ctx,
    id: ConnectionId,
    tables: &[TableOrder],
) -> Result<Creation, SyncError> {
    let connection = receiver(ctx, id).await?;
    let source = Source::open(ctx, &connection).await?;
    let sides = plan::look(ctx, tables.iter(), tables, &source).await?;
    let mut creation = ctx.driver.plan_creation(&plan::missing(&sides)).await?;
    if !creation.statements.is_empty() {
        creation.left_out.push(NEVER_TAKEN.to_owned());
    }
    Ok(creation)
}

/// Stops a run: a waiting one at once, a running one after rolling back its open transaction.
///
/// # Errors
/// When there is no such run or it is over already.
pub async fn cancel(ctx: &Ctx, id: RunId, actor: &Actor) -> Result<Run, SyncError> {
    let run = existing_run(ctx, id).await?;
    if !ctx.store.request_cancel(id, Timestamp::now()).await? {
        return Err(SyncError::RunOver {
            run: id,
            status: run.status,
        });
    }
    ctx.audit(actor, "run.cancel", &id.to_string(), None).await;
    ctx.active.cancel(id);
    existing_run(ctx, id).await
}

/// Lets `status` tell no more of a run that is over. What it left undone stays undone.
///
/// # Errors
/// When there is no such run or it is not over.
pub async fn dismiss(ctx: &Ctx, id: RunId, actor: &Actor) -> Result<Run, SyncError> {
    let run = existing_run(ctx, id).await?;
    if !run.status.is_final() {
        return Err(SyncError::RunNotOver {
            run: id,
            status: run.status,
        });
    }
    ctx.store.dismiss_run(id, Timestamp::now()).await?;
    ctx.audit(actor, "run.dismiss", &id.to_string(), None).await;
    Ok(run)
}

async fn existing_run(ctx: &Ctx, id: RunId) -> Result<Run, SyncError> {
    let run = ctx.store.run(id).await?;
    run.ok_or_else(|| SyncError::Unknown {
        what: "run",
        name: id.to_string(),
    })
}
