//! One table of a pull: the stream opened, applied, counted and written down.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::engine::driver::{Applied, ApplyBudget, ApplyJob, ApplyProgress};
use crate::engine::error::EngineError;
use crate::model::connection::Connection;
use crate::model::id::TransferId;
use crate::model::run::{
    Changes, QuarantinedRow, Run, RunOrder, RunStatus, RunTable, Transfer, TransferDirection,
};
use crate::remote::RowsRequest;
use crate::sync::pull::decode::Decoder;
use crate::sync::pull::feed::{Feed, Incoming, Received};
use crate::sync::pull::plan::TablePull;
use crate::sync::pull::published::Sends;
use crate::sync::pull::report::{Ledger, Report, edit_table};
use crate::sync::pull::whole::{JsonSource, WholeTable};
use crate::sync::pull::{Attempt, Source, or_stopped};
use crate::sync::retry::assess;
use crate::sync::{Ctx, SyncError};

/// Frames received and not yet taken by the database, so that it finds the next rows when it has written some.
const FRAMES_AHEAD: usize = 4;
/// Tables are counted exactly up to this many rows.
const COUNT_EXACTLY_TO: u64 = 1_000_000;

/// Pulls one table into its destination.
pub(super) async fn pull(
    attempt: &Attempt<'_>,
    run: &mut Run,
    pull: &TablePull,
) -> Result<(), SyncError> {
    let ctx = attempt.ctx;
    let mut transfer = begin(run, attempt.connection, pull);
    ctx.store.insert_transfer(&transfer).await?;
    edit_table(run, pull, |table| table.status = RunStatus::Running);
    let streaming = async {
        let rows = opened(attempt.source, run, pull).await?;
        let job = job(ctx, &run.order, pull);
        let ledger = Ledger::new(run);
        stream(attempt, &ledger, (pull, job), rows, Arc::default()).await
    };
    let done = match or_stopped(ctx, attempt.cancel, streaming).await {
        Ok(outcome) => outcome.write_down(ctx, run, pull).await,
        Err(err) => Err(err),
    };
    transfer.error = done.as_ref().err().map(|err| assess(err).0);
    edit_table(run, pull, |table| {
        if let Err(err) = &done {
            table.status = ended_by(err);
            table.error.clone_from(&transfer.error);
        }
        transfer.status = table.status;
        transfer.changes = table.changes;
        transfer.bytes_on_wire = table.bytes_on_wire;
        transfer.rows = table.rows_source.unwrap_or_default();
    });
    transfer.completed_at = Some(Timestamp::now());
    ctx.store.finish_transfer(&transfer).await?;
    done
}

pub(super) fn ended_by(err: &SyncError) -> RunStatus {
    match err {
        SyncError::Cancelled => RunStatus::Cancelled,
        _ => RunStatus::Failed,
    }
}

/// What became of a table's rows.
pub(super) struct Outcome {
    rows: u64,
    bytes: u64,
    /// By what became of them.
    pub(super) changes: Changes,
    rejected: Vec<QuarantinedRow>,
    /// Rows of the table now, where that follows from what was written.
    rows_here: Option<u64>,
}

impl Outcome {
    async fn write_down(self, ctx: &Ctx, run: &mut Run, pull: &TablePull) -> Result<(), SyncError> {
        let (name, now) = (&pull.target.name, Timestamp::now());
        ctx.store
            .set_quarantine(run.id, name, &self.rejected, now)
            .await?;
        let here = self.rows_here(ctx, pull).await?;
        edit_table(run, pull, |table| {
            self.tell(table);
            table.rows_destination = Some(here);
        });
        Ok(())
    }

    /// Counted, unless the table is so large that the database would only estimate what is known better here.
    async fn rows_here(&self, ctx: &Ctx, pull: &TablePull) -> Result<u64, SyncError> {
        match self.rows_here {
            Some(rows) if rows > COUNT_EXACTLY_TO => Ok(rows),
            Some(_) | None => {
                let counted = ctx.driver.count(&pull.target.name, COUNT_EXACTLY_TO);
                Ok(counted.await?.rows)
            }
        }
    }

    fn tell(&self, table: &mut RunTable) {
        let failed = u64::try_from(self.rejected.len()).unwrap_or(u64::MAX);
        table.status = if failed == 0 {
            RunStatus::Completed
        } else {
            RunStatus::CompletedWithErrors
        };
        table.rows_source = Some(self.rows);
        table.rows_failed = failed;
        table.rows_synced = self
            .rows
            .saturating_sub(failed)
            .saturating_sub(self.changes.skipped);
        table.bytes_on_wire = self.bytes;
        table.error = None;
    }
}

pub(super) fn begin(run: &Run, connection: &Connection, pull: &TablePull) -> Transfer {
    Transfer {
        id: TransferId::generate(),
        direction: TransferDirection::Receive,
        run_id: Some(run.id),
        connection_id: connection.id,
        table: pull.target.name.clone(),
        status: RunStatus::Running,
        rows: 0,
        bytes_on_wire: 0,
        changes: Changes::default(),
        started_at: Timestamp::now(),
        completed_at: None,
        error: None,
    }
}

/// Applies `rows` as they come, as `job` says.
pub(super) async fn stream(
    attempt: &Attempt<'_>,
    ledger: &Ledger<'_>,
    (pull, job): (&TablePull, ApplyJob),
    rows: Incoming,
    received: Arc<Received>,
) -> Result<Outcome, SyncError> {
    let (ctx, name) = (attempt.ctx, &pull.target.name);
    let (sink, taken) = mpsc::channel(FRAMES_AHEAD);
    let feed = Feed {
        table: name.clone(),
        contract: pull.contract.clone(),
        checks: pull.checks.clone(),
        max_rejected: ctx.config.quarantine.max_rows,
        received: Arc::clone(&received),
        sink,
    };
    // On a task of its own, so that checking and converting overlap with the database's work.
    let feeding = AbortOnDrop(ctx.tasks.spawn("feed", feed.run(rows)));
    let (progress, watched) = watch::channel(ApplyProgress::default());
    let report = Report::begin(ledger, pull, Arc::clone(&received), watched);
    let applying = ctx.driver.apply(job, taken, progress);
    let applied = report.during(ctx, applying, |applied| applied.changes);
    let applied = applied.await;
    settle(applied, feeding.join().await, &received)
}

/// The rows, as the source sends them.
async fn opened(source: &Source, run: &Run, pull: &TablePull) -> Result<Incoming, SyncError> {
    let columns = &pull.contract.column_names();
    let (name, strategy) = (&pull.target.name, run.order.conflict_strategy.as_str());
    if let Sends::Json { rows } = pull.sends {
        let decoder = Decoder::new(name.clone(), pull.contract.clone());
        let source = JsonSource {
            peer: source.peer.clone(),
            credentials: source.credentials.clone(),
            table: pull.source.clone(),
            strategy,
            told: rows,
        };
        let whole = WholeTable::begin(source, name.clone(), decoder).await?;
        return Ok(Incoming::Json(Box::new(whole)));
    }
    let asked = RowsRequest {
        table: &pull.source,
        columns,
        filter: pull.filter.as_ref(),
        conflict_strategy: strategy,
    };
    let rows = source.peer.rows(&source.credentials, asked).await?;
    if !pull.contract.matches(rows.head()) {
        return Err(EngineError::SchemaChanged(name.clone()).into());
    }
    Ok(Incoming::Frames(Box::new(rows)))
}

pub(super) fn job(ctx: &Ctx, order: &RunOrder, pull: &TablePull) -> ApplyJob {
    ApplyJob {
        table: pull.target.clone(),
        columns: pull.contract.target.clone(),
        key: pull.contract.key.clone(),
        mode: order.sync_mode,
        conflict: order.conflict_strategy,
        budget: ApplyBudget {
            transaction_rows: ctx.config.apply.transaction_rows,
            transaction_bytes: ctx.config.apply.transaction_bytes,
            quarantine_rows: ctx.config.quarantine.max_rows,
        },
    }
}

/// Both ends' results as one: the cause rather than its consequence.
fn settle(
    applied: Result<Applied, EngineError>,
    fed: Result<Vec<QuarantinedRow>, SyncError>,
    received: &Received,
) -> Result<Outcome, SyncError> {
    match (applied, fed) {
        (Ok(applied), Ok(mut rejected)) => {
            rejected.extend(applied.rejected);
            Ok(Outcome {
                rows: received.rows(),
                bytes: received.bytes(),
                changes: applied.changes,
                rows_here: applied.began_empty.then_some(applied.changes.added),
                rejected,
            })
        }
        (Err(EngineError::Cut(_)) | Ok(_), Err(fed)) => Err(fed),
        (Err(applied), _) => Err(applied.into()),
    }
}

/// A task that does not outlive whoever waits for it.
struct AbortOnDrop(JoinHandle<Result<Vec<QuarantinedRow>, SyncError>>);

impl AbortOnDrop {
    async fn join(mut self) -> Result<Vec<QuarantinedRow>, SyncError> {
        // Aborted or panicked: the process is stopping, or the panic was logged where it happened.
        (&mut self.0).await.unwrap_or(Err(SyncError::Stopping))
    }
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
