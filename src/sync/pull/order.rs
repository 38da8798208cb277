//! Ordering a pull: everything that can be refused at once is refused here, before a run exists.

use std::collections::HashSet;

use jiff::Timestamp;

use crate::engine::driver::Creation;
use crate::model::difference::KEPT_FOR;
use crate::model::id::{ConnectionId, RunId};
use crate::model::order::{FieldMapping, TableOrder};
use crate::model::run::{Apply, ConflictStrategy, Run, RunOrder, RunStatus};
use crate::model::table::TableName;
use crate::sync::pull::plan::Told;
use crate::sync::pull::{Source, plan, receiver, refuse_beside_mirror};
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
    refuse_unclear(&asked)?;
    receiver(ctx, connection).await?;
    if !asked.shared && asked.apply != Apply::No {
        refuse_second_writer(ctx, connection, &asked.destinations()).await?;
    }
    refuse_beside_mirror(ctx, connection, &asked, None).await?;
    let run = Run::new(connection, asked, &actor.name, Timestamp::now());
    ctx.store.insert_run(&run).await?;
    ctx.runner.wake();
    Ok(run)
}

/// A run writes at least one table, none of them twice, and of each it is clear by which rows and values it goes.
pub(in crate::sync) fn refuse_unclear(asked: &RunOrder) -> Result<(), SyncError> {
    let destinations = asked.destinations();
    let mut seen = HashSet::new();
    let repeated = destinations.iter().find(|table| !seen.insert(*table));
    let message = match repeated {
        Some(table) => format!("{table} would be written twice by one run"),
        None if destinations.is_empty() => "name at least one table".to_owned(),
        None => match asked.tables.iter().find_map(|table| unclear(asked, table)) {
            Some(message) => message,
            None => return Ok(()),
        },
    };
    Err(SyncError::Invalid {
        field: "tables",
        message,
    })
}

/// What mode and strategy need to know about a table and are not told.
fn unclear(asked: &RunOrder, table: &TableOrder) -> Option<String> {
    let name = table.destination();
    let newest = asked.conflict_strategy == ConflictStrategy::Newest;
    let Some(version) = &table.version_column else {
        return newest.then(|| {
            format!("{name} needs a `version_column`, by which `newest` tells which row is later")
        });
    };
    let travels = |fields: &Vec<FieldMapping>| {
        let mut fields = fields.iter();
        fields.any(|field| field.destination_field == *version)
    };
    if !table.field_mapping.as_ref().is_none_or(travels) {
        return Some(format!(
            "the `version_column` {version} of {name} is not among the fields of its `field_mapping`"
        ));
    }
    None
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

/// Has a run that waits for a person go on, with the plan whose hash that person saw.
///
/// # Errors
/// When there is no such run, it does not wait, or has another plan; when its sync runs, or its connection cannot be
/// pulled by.
pub async fn approve(
    ctx: &Ctx,
    id: RunId,
    plan_hash: &str,
    actor: &Actor,
) -> Result<Run, SyncError> {
    let run = existing_run(ctx, id).await?;
    receiver(ctx, run.connection_id).await?;
    let now = Timestamp::now();
    // What is approved is done soon, or not at all: what it was made for is long past.
    let patience = ctx.config.runs.give_up_after;
    let give_up_at = now.checked_add(patience).unwrap_or(Timestamp::MAX);
    if !ctx.store.approve_run(id, plan_hash, give_up_at).await? {
        return Err(not_approved(ctx, id, plan_hash).await?);
    }
    ctx.audit(
        actor,
        "run.approve",
        &id.to_string(),
        Some(plan_hash.to_owned()),
    )
    .await;
    ctx.runner.wake();
    existing_run(ctx, id).await
}

/// Why a run could not be approved, as it is now.
async fn not_approved(ctx: &Ctx, id: RunId, plan_hash: &str) -> Result<SyncError, SyncError> {
    let run = existing_run(ctx, id).await?;
    if run.status != RunStatus::NeedsApproval {
        return Ok(SyncError::NotWaiting {
            run: id,
            status: run.status,
        });
    }
    let sync = match run.sync_id {
        Some(sync) => ctx.store.sync(sync).await?,
        None => None,
    };
    let unfinished = match &sync {
        Some(sync) => ctx.store.unfinished_run(sync.id).await?,
        None => None,
    };
    match (sync, unfinished) {
        (Some(sync), Some(unfinished)) if run.plan_hash.as_deref() == Some(plan_hash) => {
            Ok(SyncError::RunGoesOn {
                sync: sync.name,
                run: unfinished.id,
                status: unfinished.status,
            })
        }
        _ => Ok(SyncError::OtherPlan { run: id }),
    }
}

/// Lets go of what is kept of runs for a while: differences, plans of runs that are over, and runs that nobody approved
/// as long as what they found could be looked at. For the janitor.
///
/// # Errors
/// Only our own state's.
pub async fn forget_old(ctx: &Ctx, now: Timestamp) -> Result<(), SyncError> {
    let until = now.checked_sub(KEPT_FOR).unwrap_or(Timestamp::MIN);
    let expired = ctx.store.expire_approvals(until, now).await?;
    if expired > 0 {
        tracing::warn!(
            runs = expired,
            "runs that nobody approved for 30 days were cancelled"
        );
    }
    ctx.store.forget_differences(until).await?;
    Ok(())
}

async fn existing_run(ctx: &Ctx, id: RunId) -> Result<Run, SyncError> {
    let run = ctx.store.run(id).await?;
    run.ok_or_else(|| SyncError::Unknown {
        what: "run",
        name: id.to_string(),
    })
}
