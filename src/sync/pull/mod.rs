//! Pulling: from the order through the plan of a run to the last table's commit.
//!
//! Whatever starts work inserts a run and wakes the runner; [`execute`] is what the runner then does.

mod altered;
mod approval;
mod arrival;
mod carry;
mod decode;
mod deletions;
mod describe;
mod differ;
mod feed;
mod follow;
mod found;
mod given;
mod look;
mod meeting;
mod mirror;
mod offer;
mod order;
mod pages;
mod passes;
mod plan;
mod proof;
mod prove;
mod published;
mod report;
mod session;
mod table;
mod whole;
mod work;

use std::collections::HashSet;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::model::connection::{Connection, Direction, Status};
use crate::model::id::ConnectionId;
use crate::model::order::TableOrder;
use crate::model::repair::Repair;
use crate::model::run::{
    Apply, ConflictStrategy, Progress, Run, RunError, RunStatus, RunTable, SyncMode,
};
use crate::remote::{Peer, RemoteError};
use crate::sync::connections::{existing, heal, note_presence};
use crate::sync::pull::order::refuse_second_writer;
use crate::sync::pull::plan::{TablePull, Told};
use crate::sync::pull::session::Session;
use crate::sync::pull::work::is_of_one_table;
use crate::sync::{Actor, Ctx, SyncError};
use crate::wire::session::AskedTable;
use crate::wire::signing::{ConnectionKeys, Credentials};

pub(in crate::sync) use mirror::refuse_beside_mirror;
pub use offer::{OfferedSchema, OfferedTable, offered_records, offered_schema, offered_tables};
pub use order::{approve, cancel, dismiss, forget_old, order, plan_creation};
pub(in crate::sync) use order::{refuse_unclear, stopped, taken};

/// The sender of a run: where to ask, and as whom.
pub(super) struct Source {
    pub(super) peer: Peer,
    pub(super) credentials: Credentials,
}

/// How an attempt that went through ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// All was done that there was to do.
    Over,
    /// A person has to look at what would be done.
    NeedsApproval,
}

/// One attempt of a run: what stays the same from table to table.
struct Attempt<'a> {
    ctx: &'a Ctx,
    connection: &'a Connection,
    source: &'a Source,
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
) -> Result<Done, SyncError> {
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
    let source = or_stopped(ctx, cancel, Source::open(ctx, &connection)).await?;
    if connection.unreachable_since.is_some() {
        let now = Timestamp::now();
        note_presence(ctx, &connection, None, now).await?;
    }
    let attempt = Attempt {
        ctx,
        connection: &connection,
        source: &source,
        cancel,
    };
    match &source.credentials.keys {
        Some(keys) => proved(&attempt, run, keys).await,
        None => unproved(&attempt, run).await.map(|()| Done::Over),
    }
}

/// A peer that signs: what it gives is compared, and proved.
async fn proved(
    attempt: &Attempt<'_>,
    run: &mut Run,
    keys: &ConnectionKeys,
) -> Result<Done, SyncError> {
    let rounds = plan::rounds(run);
    let are_several = rounds.len() > 1;
    if are_several && run.order.apply == Apply::Ask {
        return Err(refuse_rounds(run, None));
    }
    let (mut done, mut failed) = (Done::Over, None);
    for orders in rounds {
        let (session, pulls) = planned(attempt, run, keys, &orders).await?;
        let pulling = Box::pin(prove::pull(attempt, run, session, pulls, are_several));
        match pulling.await {
            Ok(ended) => done = ended,
            Err(err) if is_of_one_table(&err) => failed = failed.or(Some(err)),
            Err(err) => return Err(err),
        }
    }
    failed.map_or(Ok(done), Err)
}

/// A session over the tables of one round, and what is to become of them.
async fn planned<'a>(
    attempt: &Attempt<'a>,
    run: &mut Run,
    keys: &ConnectionKeys,
    orders: &[TableOrder],
) -> Result<(Session<'a>, Vec<TablePull>), SyncError> {
    let (ctx, cancel) = (attempt.ctx, attempt.cancel);
    let planning = async {
        let session = open(attempt, keys, run, orders).await?;
        let pulls = plan::make(ctx, run, orders, Told::Session(&session)).await?;
        Ok((session, pulls))
    };
    or_stopped(ctx, cancel, planning).await
}

/// A person approves one plan of a run; here it takes several, which was asked for, or is because of `guarded`.
fn refuse_rounds(run: &Run, guarded: Option<RunError>) -> SyncError {
    let reason = guarded.map_or_else(String::new, |error| format!("{}; ", error.message));
    let mut sources = HashSet::new();
    let mut orders = run.order.tables.iter();
    let twice = orders.find(|order| !sources.insert(&order.source_table));
    let field = "tables";
    let message = match twice {
        Some(order) => format!(
            "{reason}{} fills two tables, which are approved one by one: order them apart",
            order.source_table
        ),
        None => format!("{reason}the tables cannot be approved together"),
    };
    SyncError::Invalid { field, message }
}

async fn open<'a>(
    attempt: &Attempt<'a>,
    keys: &ConnectionKeys,
    run: &Run,
    orders: &[TableOrder],
) -> Result<Session<'a>, SyncError> {
    let asked: Vec<AskedTable> = orders
        .iter()
        .map(|order| AskedTable {
            table: order.source_table.clone(),
            filter: order.row_filter.clone(),
        })
        .collect();
    let opened = Session::open(attempt.ctx, attempt.source, keys, &asked).await;
    if let Err(SyncError::Remote(RemoteError::Refused {
        status: 400 | 403 | 404,
        ..
    })) = &opened
    {
        // Which of the tables it is shows where each is looked at.
        let told = Told::Peer(attempt.source);
        plan::look(attempt.ctx, orders.iter(), &run.order.tables, told).await?;
    }
    opened
}

/// A peer that does not sign: its rows are taken for what they are. A table that fails by itself fails the run, and
/// those beside it are pulled.
async fn unproved(attempt: &Attempt<'_>, run: &mut Run) -> Result<(), SyncError> {
    let (ctx, cancel) = (attempt.ctx, attempt.cancel);
    refuse_what_needs_proof(run)?;
    let orders: Vec<TableOrder> = plan::waiting(run).cloned().collect();
    let planning = plan::make(ctx, run, &orders, Told::Peer(attempt.source));
    let plan = or_stopped(ctx, cancel, planning).await?;
    let mut failed = None;
    for pull in &plan {
        match table::pull(attempt, run, pull).await {
            Ok(()) => run.progress.tables_done += 1,
            Err(err) if is_of_one_table(&err) => failed = failed.or(Some(err)),
            Err(err) => return Err(err),
        }
        ctx.store.save_progress(run).await?;
    }
    failed.map_or(Ok(()), Err)
}

/// What differs cannot be known of a peer that does not sign, nor may anything be deleted on its word.
fn refuse_what_needs_proof(run: &Run) -> Result<(), SyncError> {
    let asks = match (run.order.apply, run.order.sync_mode) {
        (Apply::Yes, _) if run.order.conflict_strategy == ConflictStrategy::Newest => {
            "which row is newer is told by comparing both"
        }
        (Apply::Yes, SyncMode::Upsert | SyncMode::Insert | SyncMode::Update) => return Ok(()),
        (Apply::Yes, SyncMode::Mirror) => "a mirror deletes what the peer no longer has",
        (Apply::No | Apply::Ask, _) => "comparing needs the peer's word about all its rows",
    };
    Err(SyncError::NeedsSigning { asks })
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
