//! Ordering a pull: everything that can be refused at once is refused here, before a run exists.

use std::collections::HashSet;

use jiff::Timestamp;

use crate::engine::driver::Creation;
use crate::model::id::{ConnectionId, RunId};
use crate::model::order::TableOrder;
use crate::model::run::{Run, RunOrder};
use crate::model::table::TableName;
use crate::sync::pull::plan::Told;
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
    refuse_unclear(&asked)?;
    if !asked.shared {
        refuse_second_writer(ctx, connection, &asked.destinations()).await?;
    }
    let run = Run::new(connection, asked, &actor.name, Timestamp::now());
    ctx.store.insert_run(&run).await?;
    ctx.runner.wake();
    Ok(run)
}

/// A run writes at least one table, and none of them twice.
pub(in crate::sync) fn refuse_unclear(asked: &RunOrder) -> Result<(), SyncError> {
    let destinations = asked.destinations();
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

/// Two sites that write one table would replace each other's rows.
pub(super) async fn refuse_second_writer(
    ctx: &Ctx,
    connection: ConnectionId,
    tables: &[TableName],
) -> Result<(), SyncError> {
    for table in tables {
        let Some(other) = ctx.store.other_writer(table, connection).await? else {
            continue;
        };
        return Err(taken(ctx, table, other).await?);
    }
    Ok(())
}

/// The refusal to write a table that connection `other` writes.
pub(in crate::sync) async fn taken(
    ctx: &Ctx,
    table: &TableName,
    other: ConnectionId,
) -> Result<SyncError, SyncError> {
    let other = match ctx.store.connection(other).await? {
        Some(other) => other.name,
        None => other.to_string(),
    };
    Ok(SyncError::OtherWriter {
        table: table.clone(),
        connection: other,
    })
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
    let sides = plan::look(ctx, tables.iter(), tables, Told::Peer(&source)).await?;
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
    stopped(ctx, id, actor).await;
    existing_run(ctx, id).await
}

/// Carries the order to stop, which the state holds already, to the run at work.
pub(in crate::sync) async fn stopped(ctx: &Ctx, id: RunId, actor: &Actor) {
    ctx.audit(actor, "run.cancel", &id.to_string(), None).await;
    ctx.active.cancel(id);
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
