//! Telling how far a table is while its rows are applied, so that a killed run still shows what it had committed.
//!
//! Decides nothing. Invariant: what earlier tables and earlier attempts did stays counted, once.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::watch;

use crate::engine::driver::ApplyProgress;
use crate::model::run::{Changes, Run, RunOrder, RunTable};
use crate::sync::Ctx;
use crate::sync::pull::feed::Received;
use crate::sync::pull::plan::TablePull;

const EVERY: Duration = Duration::from_millis(500);

/// A run, of which several tables that are worked on side by side tell.
pub(super) struct Ledger<'a> {
    run: Mutex<&'a mut Run>,
    /// Held while it is written down, so that nothing older comes after.
    saving: tokio::sync::Mutex<()>,
    order: RunOrder,
    begun: Instant,
    rows_before: u64,
}

impl<'a> Ledger<'a> {
    pub(super) fn new(run: &'a mut Run) -> Self {
        Self {
            order: run.order.clone(),
            begun: Instant::now(),
            rows_before: run.progress.rows,
            run: Mutex::new(run),
            saving: tokio::sync::Mutex::new(()),
        }
    }

    pub(super) fn order(&self) -> &RunOrder {
        &self.order
    }

    /// Looks at the run, or changes it.
    fn with<T>(&self, work: impl FnOnce(&mut Run) -> T) -> T {
        work(&mut self.run.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn save(&self, ctx: &Ctx) {
        let _saving = self.saving.lock().await;
        let run = self.with(|run| run.clone());
        if let Err(err) = ctx.store.save_progress(&run).await {
            tracing::warn!(run = %run.id, %err, "progress was not written down");
        }
    }
}

/// The figures of one table of a run: what earlier attempts and passes did, and what this one does.
pub(super) struct Report<'a, 'run> {
    ledger: &'a Ledger<'run>,
    pull: &'a TablePull,
    received: Arc<Received>,
    watched: watch::Receiver<ApplyProgress>,
    /// Counted into the run so far.
    rows: u64,
    bytes: u64,
    changes_before: Changes,
    table_bytes_before: u64,
    /// What is received are all rows of the source.
    is_whole: bool,
    is_over: bool,
}

impl<'a, 'run> Report<'a, 'run> {
    pub(super) fn begin(
        ledger: &'a Ledger<'run>,
        pull: &'a TablePull,
        received: Arc<Received>,
        watched: watch::Receiver<ApplyProgress>,
    ) -> Self {
        let of_this = |table: &&RunTable| table.table == pull.target.name;
        let changes = |run: &mut Run| run.tables.iter().find(of_this).map(|table| table.changes);
        Self {
            changes_before: ledger.with(changes).unwrap_or_default(),
            rows: 0,
            bytes: received.bytes(),
            ledger,
            pull,
            received,
            watched,
            table_bytes_before: 0,
            is_whole: true,
            is_over: false,
        }
    }

    /// Of some of the source's rows, after `bytes` for finding out which.
    pub(super) fn of_some(mut self, bytes: u64) -> Self {
        self.table_bytes_before = bytes;
        self.is_whole = false;
        self
    }

    /// Writes down the figures for as long as `applying` works, after each commit at once, and a last time.
    pub(super) async fn during<T, E>(
        mut self,
        ctx: &Ctx,
        applying: impl Future<Output = Result<T, E>>,
        changes: impl Fn(&T) -> Changes,
    ) -> Result<T, E> {
        // Side by side: the database never waits for the state.
        let done = tokio::select! {
            done = applying => done,
            never = self.write_down(ctx) => match never {},
        };
        let committed = self.watched.borrow().changes;
        self.tell(&done.as_ref().map_or(committed, &changes));
        self.is_over = true;
        self.ledger.save(ctx).await;
        done
    }

    /// Writes down the figures: now and then, and as soon as more is committed. What is committed while it writes it writes
    /// together.
    async fn write_down(&mut self, ctx: &Ctx) -> Infallible {
        let mut ticks = tokio::time::interval(EVERY);
        let mut written = Changes::default();
        loop {
            let more = async {
                let more = |progress: &ApplyProgress| progress.changes != written;
                if self.watched.wait_for(more).await.is_err() {
                    // All is committed.
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                _ = ticks.tick() => {}
                () = more => {}
            }
            written = self.watched.borrow().changes;
            self.tell(&written);
            self.ledger.save(ctx).await;
        }
    }

    fn tell(&mut self, changes: &Changes) {
        let (taken, received) = (self.watched.borrow().rows_taken, self.received.bytes());
        let rows = taken.saturating_sub(std::mem::replace(&mut self.rows, taken));
        let bytes = received.saturating_sub(std::mem::replace(&mut self.bytes, received));
        let seconds = self.ledger.begun.elapsed().as_secs_f64().max(0.001);
        let rows_before = self.ledger.rows_before;
        self.ledger.with(|run| {
            run.progress.rows += rows;
            run.progress.bytes += bytes;
            let since = run.progress.rows.saturating_sub(rows_before);
            run.progress.tell_speed(since, seconds);
            edit_table(run, self.pull, |table| {
                if self.is_whole {
                    table.rows_source = Some(self.received.rows());
                }
                table.bytes_on_wire = self.table_bytes_before + received;
                table.changes = self.changes_before;
                table.changes.add(changes);
            });
        });
    }
}

impl Drop for Report<'_, '_> {
    /// Of work that was broken off what it had committed is told.
    fn drop(&mut self) {
        if !self.is_over {
            let committed = self.watched.borrow().changes;
            self.tell(&committed);
        }
    }
}

/// Changes what the run says of the table being pulled.
pub(super) fn edit_table(run: &mut Run, pull: &TablePull, edit: impl FnOnce(&mut RunTable)) {
    let of_this = |table: &&mut RunTable| table.table == pull.target.name;
    if let Some(table) = run.tables.iter_mut().find(of_this) {
        edit(table);
        let is_proved = table.proved_equal == Some(true);
        let at = table.proved_at.unwrap_or_else(Timestamp::now);
        // To the microsecond, as the state keeps the oldest of them.
        let at = Timestamp::from_microsecond(at.as_microsecond()).ok();
        table.proved_at = at.filter(|_| is_proved);
    }
}
