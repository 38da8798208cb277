//! One table of a pull: the stream opened, applied, counted and written down.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::engine::driver::{Applied, ApplyBudget, ApplyJob, ApplyProgress, CHANNEL_BATCHES};
use crate::engine::error::EngineError;
use crate::model::connection::Connection;
use crate::model::id::TransferId;
use crate::model::run::{
    Changes, QuarantinedRow, Run, RunStatus, RunTable, Transfer, TransferDirection,
};
use crate::sync::pull::Source;
use crate::sync::pull::feed::{Feed, Received};
use crate::sync::pull::plan::TablePull;
use crate::sync::retry::assess;
use crate::sync::{Ctx, SyncError};

const PROGRESS_EVERY: Duration = Duration::from_millis(500);
/// Tables are counted exactly up to this many rows.
const COUNT_EXACTLY_TO: u64 = 1_000_000;

/// Pulls one table into its destination.
pub(super) async fn pull(
    ctx: &Ctx,
    run: &mut Run,
    connection: &Connection,
    source: &Source,
    pull: &TablePull,
) -> Result<(), SyncError> {
    let mut transfer = begin(run, connection, pull);
    ctx.store.insert_transfer(&transfer).await?;
    edit_table(run, pull, |table| table.status = RunStatus::Running);
    let done = stream(ctx, run, source, pull).await;
    let outcome = match &done {
        Ok(outcome) => {
            ctx.store
                .set_quarantine(
                    run.id,
                    &pull.target.name,
                    &outcome.rejected,
                    Timestamp::now(),
                )
                .await?;
            let rows_here = ctx
                .driver
                .count(&pull.target.name, COUNT_EXACTLY_TO)
                .await?;
            edit_table(run, pull, |table| {
                outcome.tell(table);
                table.rows_destination = Some(rows_here.rows);
            });
            None
        }
        Err(err) => Some(assess(err).0),
    };
    edit_table(run, pull, |table| {
        if let Some(error) = &outcome {
            table.status = RunStatus::Failed;
            table.error = Some(error.clone());
        }
        transfer.status = table.status;
        transfer.changes = table.changes;
        transfer.bytes_on_wire = table.bytes_on_wire;
        transfer.rows = table.rows_source.unwrap_or_default();
    });
    transfer.error = outcome;
    transfer.completed_at = Some(Timestamp::now());
    ctx.store.finish_transfer(&transfer).await?;
    done.map(drop)
}

/// What became of a table's rows.
struct Outcome {
    rows: u64,
    bytes: u64,
    changes: Changes,
    rejected: Vec<QuarantinedRow>,
}

impl Outcome {
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
        table.changes.add(&self.changes);
        table.error = None;
    }
}

fn begin(run: &Run, connection: &Connection, pull: &TablePull) -> Transfer {
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

async fn stream(
    ctx: &Ctx,
    run: &mut Run,
    source: &Source,
    pull: &TablePull,
) -> Result<Outcome, SyncError> {
    let name = &pull.target.name;
    let rows = source
        .peer
        .rows(
            &source.token_hash,
            name,
            &pull.contract.column_names(),
            run.order.conflict_strategy.as_str(),
        )
        .await?;
    if !pull.contract.matches(rows.head()) {
        return Err(EngineError::SchemaChanged(name.clone()).into());
    }
    let received = Arc::new(Received::default());
    let (sink, taken) = mpsc::channel(CHANNEL_BATCHES);
    let feed = Feed {
        table: name.clone(),
        contract: pull.contract.clone(),
        max_rejected: ctx.config.quarantine.max_rows,
        received: Arc::clone(&received),
        sink,
    };
    // On a task of its own, so that checking and converting overlap with the database's work.
    let feeding = AbortOnDrop(ctx.tasks.spawn("feed", feed.run(rows)));
    let (progress, watched) = watch::channel(ApplyProgress::default());
    let applying = ctx.driver.apply(job(ctx, run, pull), taken, progress);
    let applied = report_while(ctx, run, pull, &received, &watched, applying).await;
    let bytes_and_rows = (received.bytes(), received.rows());
    edit_table(run, pull, |table| {
        (table.bytes_on_wire, table.rows_source) = (bytes_and_rows.0, Some(bytes_and_rows.1));
        if applied.is_err() {
            table.changes.add(&watched.borrow().changes);
        }
    });
    settle(applied, feeding.join().await, &received)
}

fn job(ctx: &Ctx, run: &Run, pull: &TablePull) -> ApplyJob {
    ApplyJob {
        table: pull.target.clone(),
        columns: pull.contract.target.clone(),
        key: pull.contract.key.clone(),
        mode: run.order.sync_mode,
        conflict: run.order.conflict_strategy,
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
                rejected,
            })
        }
        (Err(EngineError::Cut(_)) | Ok(_), Err(fed)) => Err(fed),
        (Err(applied), _) => Err(applied.into()),
    }
}

/// Writes down how far the run is for as long as `applying` works.
async fn report_while<F>(
    ctx: &Ctx,
    run: &mut Run,
    pull: &TablePull,
    received: &Received,
    watched: &watch::Receiver<ApplyProgress>,
    applying: F,
) -> F::Output
where
    F: Future<Output = Result<Applied, EngineError>>,
{
    let (rows_before, bytes_before, started) =
        (run.progress.rows, run.progress.bytes, Instant::now());
    let mut ticks = tokio::time::interval(PROGRESS_EVERY);
    tokio::pin!(applying);
    loop {
        let done = tokio::select! {
            done = &mut applying => Some(done),
            _ = ticks.tick() => None,
        };
        let rows = watched.borrow().rows_taken;
        run.progress.rows = rows_before + rows;
        run.progress.bytes = bytes_before + received.bytes();
        let seconds = started.elapsed().as_secs_f64().max(0.001);
        run.progress.tell_speed(rows, seconds);
        edit_table(run, pull, |table| {
            (table.rows_source, table.bytes_on_wire) = (Some(received.rows()), received.bytes());
        });
        match done {
            Some(done) => return done,
            None => {
                if let Err(err) = ctx.store.save_progress(run).await {
                    tracing::warn!(run = %run.id, %err, "progress was not written down");
                }
            }
        }
    }
}

fn edit_table(run: &mut Run, pull: &TablePull, edit: impl FnOnce(&mut RunTable)) {
    if let Some(table) = run
        .tables
        .iter_mut()
        .find(|table| table.table == pull.target.name)
    {
        edit(table);
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
