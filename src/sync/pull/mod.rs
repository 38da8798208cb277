//! Pulling: from the order through the plan of a run to the last table's commit.
//!
//! Whatever starts work inserts a run and wakes the runner; [`execute`] is what the runner then does.

mod decode;
mod feed;
mod offer;
mod order;
mod pages;
mod plan;
mod published;
mod report;
mod table;
mod whole;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::model::connection::{Connection, Direction, Status};
use crate::model::id::ConnectionId;
use crate::model::repair::Repair;
use crate::model::run::{Apply, Progress, Run, RunStatus, RunTable};
use crate::remote::{Peer, RemoteError};
use crate::sync::connections::{existing, heal, note_presence};
use crate::sync::pull::order::refuse_second_writer;
use crate::sync::{Actor, Ctx, SyncError};
use crate::wire::signing::Credentials;

pub use offer::{OfferedSchema, OfferedTable, offered_records, offered_schema, offered_tables};
pub use order::{approve, cancel, dismiss, forget_old, order, plan_creation};
pub(in crate::sync) use order::{refuse_unclear, stopped, taken};

/// The sender of a run: where to ask, and as whom.
pub(super) struct Source {
    pub(super) peer: Peer,
    pub(super) credentials: Credentials,
}

/// One attempt of a run: what stays the same from table to table.
struct Attempt<'a> {
    ctx: &'a Ctx,
    connection: &'a Connection,
    source: Source,
    cancel: &'a CancellationToken,
}

/// Carries out one attempt of `run`, writing down how far it is.
/// Tables an earlier attempt finished are not pulled again.
///
/// # Errors
/// What ended the attempt; what was committed until then stays.
pub async fn execute(
    ctx: &Ctx,
    run: &mut Run,
    cancel: &CancellationToken,
) -> Result<(), SyncError> {
    let connection = receiver(ctx, run.connection_id).await?;
    // What was ordered when nobody had written yet may come second by now. A sync has claimed its tables.
    if run.sync_id.is_none() && run.order.apply != Apply::No && !run.order.shared {
        refuse_second_writer(ctx, connection.id, &run.order.destinations()).await?;
    }
    prepare(run);
    if connection.is_undelivered() {
        // The peer refuses as long as it knows only of an earlier decision, such as a suspension that was lifted.
        heal(ctx, &connection, Repair::TellDecision, &Actor::daemon()).await?;
    }
    let planning = async {
        let source = Source::open(ctx, &connection).await?;
        let plan = plan::make(ctx, run, &source).await?;
        Ok((source, plan))
    };
    let (source, plan) = or_stopped(ctx, cancel, planning).await?;
    if connection.unreachable_since.is_some() {
        let now = Timestamp::now();
        note_presence(ctx, &connection, None, now).await?;
    }
    let attempt = Attempt {
        ctx,
        connection: &connection,
        source,
        cancel,
    };
    for pull in &plan {
        table::pull(&attempt, run, pull).await?;
        run.progress.tables_done += 1;
        ctx.store.save_progress(run).await?;
    }
    Ok(())
}

/// Lists the run's tables, and counts what earlier attempts finished.
fn prepare(run: &mut Run) {
    if run.tables.is_empty() {
        run.tables = run
            .order
            .destinations()
            .into_iter()
            .map(RunTable::waiting)
            .collect();
    }
    let mut progress = Progress {
        tables_total: u64::try_from(run.tables.len()).unwrap_or(u64::MAX),
        ..Progress::default()
    };
    for table in run.tables.iter().filter(|table| is_done(table.status)) {
        progress.tables_done += 1;
        progress.rows += table.rows_source.unwrap_or_default();
        progress.bytes += table.bytes_on_wire;
    }
    run.progress = progress;
}

fn is_done(status: RunStatus) -> bool {
    matches!(
        status,
        RunStatus::Completed | RunStatus::CompletedWithErrors
    )
}

/// `work`, unless a person cancels the run or the daemon stops; then `work` is dropped, and with it what is not committed.
async fn or_stopped<T>(
    ctx: &Ctx,
    cancel: &CancellationToken,
    work: impl Future<Output = Result<T, SyncError>>,
) -> Result<T, SyncError> {
    tokio::select! {
        () = cancel.cancelled() => Err(SyncError::Cancelled),
        () = ctx.tasks.stopping().cancelled_owned() => Err(SyncError::Stopping),
        done = work => done,
    }
}

/// The active connection to pull by.
pub(super) async fn receiver(ctx: &Ctx, id: ConnectionId) -> Result<Connection, SyncError> {
    let connection = existing(ctx, id).await?;
    if connection.direction != Direction::Receiver {
        return Err(SyncError::WrongDirection {
            name: connection.name,
        });
    }
    if connection.status() != Status::Active {
        return Err(SyncError::NotActive {
            status: connection.status(),
            whose: connection.blocked_by().unwrap_or("nobody's"),
            name: connection.name,
        });
    }
    Ok(connection)
}

impl Source {
    /// Finds the peer's API, and keeps where it was found.
    pub(super) async fn open(ctx: &Ctx, connection: &Connection) -> Result<Self, SyncError> {
        let unknown = || SyncError::Unknown {
            what: "connection",
            name: connection.name.clone(),
        };
        let credentials = ctx.store.credentials(connection.id).await?;
        let credentials = credentials.ok_or_else(unknown)?;
        let known = connection.remote_prefix.as_deref();
        let peer = ctx.remote.reach(&connection.url, known).await?;
        if known != peer.prefix() {
            ctx.store
                .set_contact(connection.id, peer.prefix(), Timestamp::now())
                .await?;
        }
        Ok(Self { peer, credentials })
    }

    pub(super) fn host_error(&self, reason: &str) -> SyncError {
        RemoteError::Protocol {
            host: self.peer.host(),
            reason: reason.to_owned(),
        }
        .into()
    }
}
