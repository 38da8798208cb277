//! The runner: takes runs that are due and carries them out, a bounded number at a time.
//!
//! Invariant: a run is started by compare-and-set and a table has one writer, so nothing runs twice.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use jiff::Timestamp;

use crate::base::backoff::random_fraction;
use crate::base::task::Task;
use crate::model::fault::FaultCode;
use crate::model::run::{Run, RunError, RunStatus, RunTable};
use crate::model::sync::consequence;
use crate::store::StoreError;
use crate::sync::active::ActiveRun;
use crate::sync::connections::note_absence;
use crate::sync::pull::Done;
use crate::sync::retry::{NextStep, assess, next_attempt};
use crate::sync::{Ctx, SyncError, pull};

/// How long the runner sleeps at most; it is woken when a run is made or ends.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);
/// A run that waits for another writer looks again after this long, if nothing wakes it before.
const WAIT_FOR_WRITER: Duration = Duration::from_secs(5);

/// Carries out runs.
pub struct Runner {
    ctx: Arc<Ctx>,
}

impl Runner {
    /// A runner over `ctx`.
    #[must_use]
    pub fn new(ctx: Arc<Ctx>) -> Self {
        Self { ctx }
    }

    async fn start_due(&self) -> Result<Duration, StoreError> {
        let now = Timestamp::now();
        for run in self.ctx.store.due_runs(now).await? {
            if self.ctx.active.count() >= self.ctx.config.runs.parallel {
                break;
            }
            self.start(run, now).await?;
        }
        let next = self.ctx.store.next_attempt().await?;
        let pause = next.and_then(|next| Duration::try_from(next - Timestamp::now()).ok());
        Ok(pause
            .unwrap_or(LONGEST_SLEEP)
            .clamp(Duration::from_millis(200), LONGEST_SLEEP))
    }

    async fn start(&self, mut run: Run, now: Timestamp) -> Result<(), StoreError> {
        let active = match self.ctx.active.begin(run.id, &run.order.destinations()) {
            Ok(active) => active,
            Err(busy) => {
                let message = format!("table {} is being written by run {}", busy.table, busy.run);
                let waits = RunError::new(FaultCode::WaitingForRun, message)
                    .with_hint("it starts by itself once that run is over");
                return self
                    .ctx
                    .store
                    .set_waiting(run.id, &waits, now + WAIT_FOR_WRITER)
                    .await;
            }
        };
        if !self.ctx.store.start_run(run.id, now).await? {
            return Ok(());
        }
        run.status = RunStatus::Running;
        run.attempt += 1;
        run.started_at = run.started_at.or(Some(now));
        let ctx = Arc::clone(&self.ctx);
        self.ctx.tasks.spawn(
            "run",
            async move { Box::pin(attempt(&ctx, run, active)).await },
        );
        Ok(())
    }
}

#[async_trait::async_trait]
impl Task for Runner {
    fn name(&self) -> &'static str {
        "runner"
    }

    async fn pass(&self) -> Duration {
        self.start_due().await.unwrap_or_else(|err| {
            tracing::error!(%err, "the runner cannot read its queue");
            Duration::from_secs(5)
        })
    }
}

/// One attempt, and what follows from it.
async fn attempt(ctx: &Ctx, mut run: Run, active: ActiveRun) {
    tracing::info!(run = %run.id, connection = %run.connection_id, attempt = run.attempt, "run started");
    let carried_out = async {
        let done = pull::execute(ctx, &mut run, active.cancelled()).await;
        conclude(ctx, &mut run, done).await
    };
    let written = match AssertUnwindSafe(carried_out).catch_unwind().await {
        Ok(written) => written,
        Err(_) => give_up(ctx, &mut run).await,
    };
    drop(active);
    if let Err(err) = written {
        // The row still says running: the next start of the daemon takes it over.
        tracing::error!(run = %run.id, %err, "a run's outcome was not written down");
    }
    ctx.runner.wake();
    if run.sync_id.is_some() {
        // A sync that this run brought back has no next time yet.
        ctx.scheduler.wake();
    }
    ctx.alerter.wake();
}

/// A run that panicked must not hold its tables until the next start, and not be tried again after it.
async fn give_up(ctx: &Ctx, run: &mut Run) -> Result<(), StoreError> {
    tracing::error!(run = %run.id, "a run panicked; please report this with the log");
    run.status = RunStatus::Failed;
    let error = RunError::new(
        FaultCode::Internal,
        "something went wrong inside the daemon",
    );
    run.error = Some(error.with_hint("report it with the daemon's log"));
    let consequence = consequence(run, true);
    ctx.store
        .finish_run(run, consequence, Timestamp::now())
        .await
}

async fn conclude(
    ctx: &Ctx,
    run: &mut Run,
    done: Result<Done, SyncError>,
) -> Result<(), StoreError> {
    let now = Timestamp::now();
    let err = match done {
        Err(err) => err,
        Ok(done) => {
            end(run, done);
            tracing::info!(run = %run.id, status = %run.status, "run ended");
            let consequence = consequence(run, false);
            return ctx.store.finish_run(run, consequence, now).await;
        }
    };
    if let Err(fault) = note_absence(ctx, run.connection_id, &err, now).await {
        tracing::error!(connection = %run.connection_id, %fault, "that a peer did not answer was not written down");
    }
    let (error, step) = assess(&err);
    let status = match err {
        SyncError::Stopping => return ctx.store.postpone_run(run, now, &error, now).await,
        SyncError::Cancelled => RunStatus::Cancelled,
        _ => {
            let patience = ctx.config.runs.give_up_after;
            let next = next_attempt(run, &error, patience, now, random_fraction());
            if let (NextStep::Retry, Some(next)) = (step, next) {
                tracing::warn!(run = %run.id, code = error.code, error = error.message, %next, "run will be tried again");
                return ctx.store.postpone_run(run, next, &error, now).await;
            }
            tracing::warn!(run = %run.id, code = error.code, error = error.message, "run failed");
            RunStatus::Failed
        }
    };
    run.end(status);
    run.error = Some(error);
    let consequence = consequence(run, step == NextStep::GiveUp);
    ctx.store.finish_run(run, consequence, now).await
}

/// What an attempt that went through makes of its run.
fn end(run: &mut Run, done: Done) {
    let is_whole = |table: &RunTable| table.status == RunStatus::Completed;
    run.status = match done {
        Done::NeedsApproval => RunStatus::NeedsApproval,
        Done::Over if run.tables.iter().all(is_whole) => RunStatus::Completed,
        Done::Over => RunStatus::CompletedWithErrors,
    };
    if done == Done::Over {
        run.error = None;
    }
}
