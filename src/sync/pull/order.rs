//! Ordering a pull: everything that can be refused at once is refused here, before a run exists.

use jiff::Timestamp;

use crate::engine::driver::Creation;
use crate::model::id::{ConnectionId, RunId};
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
    mut asked: RunOrder,
    actor: &Actor,
) -> Result<Run, SyncError> {
    receiver(ctx, connection).await?;
    let mut seen = std::collections::HashSet::new();
    asked.tables.retain(|table| seen.insert(table.clone()));
    if asked.tables.is_empty() {
        return Err(SyncError::Invalid {
            field: "tables",
            message: "name at least one table".to_owned(),
        });
    }
    if !asked.shared {
        refuse_second_writer(ctx, connection, &asked.tables).await?;
    }
    let run = new_run(connection, asked, actor, Timestamp::now());
    ctx.store.insert_run(&run).await?;
    ctx.runner.wake();
    Ok(run)
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
    tables: &[TableName],
) -> Result<Creation, SyncError> {
    let connection = receiver(ctx, id).await?;
    let source = Source::open(ctx, &connection).await?;
    let sides = plan::look(ctx, tables, &source).await?;
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
    let unknown = || SyncError::Unknown {
        what: "run",
        name: id.to_string(),
    };
    let run = ctx.store.run(id).await?.ok_or_else(unknown)?;
    if !ctx.store.request_cancel(id, Timestamp::now()).await? {
        return Err(SyncError::RunOver {
            run: id,
            status: run.status,
        });
    }
    ctx.audit(actor, "run.cancel", &id.to_string(), None).await;
    ctx.active.cancel(id);
    ctx.store.run(id).await?.ok_or_else(unknown)
}
