//! Telling how far a table is while its rows are applied, so that a killed run still shows what it had committed.
//!
//! Decides nothing. Invariant: what earlier tables and earlier attempts did stays counted, once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::watch;

use crate::engine::driver::ApplyProgress;
use crate::model::run::{Changes, Run, RunTable};
use crate::sync::Ctx;
use crate::sync::pull::feed::Received;
use crate::sync::pull::plan::TablePull;

const EVERY: Duration = Duration::from_millis(500);

/// The figures of a run before one of its tables began, and those of that table now.
pub(super) struct Report<'a> {
    pull: &'a TablePull,
    received: Arc<Received>,
    watched: watch::Receiver<ApplyProgress>,
    begun: Instant,
    rows_before: u64,
    bytes_before: u64,
    changes_before: Changes,
    /// Of this table alone.
    table_bytes_before: u64,
    /// What is received are all rows of the source.
    is_whole: bool,
}

impl<'a> Report<'a> {
    pub(super) fn begin(
        run: &Run,
        pull: &'a TablePull,
        received: Arc<Received>,
        watched: watch::Receiver<ApplyProgress>,
    ) -> Self {
        let table = run
            .tables
            .iter()
            .find(|table| table.table == pull.target.name);
        Self {
            pull,
            received,
            watched,
            begun: Instant::now(),
            rows_before: run.progress.rows,
            bytes_before: run.progress.bytes,
            changes_before: table.map(|table| table.changes).unwrap_or_default(),
            table_bytes_before: 0,
            is_whole: true,
        }
    }

    /// Of some of the source's rows, after `bytes` for finding out which.
    pub(super) fn of_some(mut self, bytes: u64) -> Self {
        self.table_bytes_before = bytes;
        self.is_whole = false;
        self
    }

    /// Writes down the figures for as long as `applying` works, and a last time into `run` alone.
    pub(super) async fn during<T, E>(
        &self,
        ctx: &Ctx,
        run: &mut Run,
        applying: impl Future<Output = Result<T, E>>,
        changes: impl Fn(&T) -> Changes,
    ) -> Result<T, E> {
        let mut ticks = tokio::time::interval(EVERY);
        tokio::pin!(applying);
        loop {
            tokio::select! {
                done = &mut applying => {
                    let committed = self.watched.borrow().changes;
                    self.tell(run, &done.as_ref().map_or(committed, &changes));
                    return done;
                }
                _ = ticks.tick() => {
                    let committed = self.watched.borrow().changes;
                    self.tell(run, &committed);
                    if let Err(err) = ctx.store.save_progress(run).await {
                        tracing::warn!(run = %run.id, %err, "progress was not written down");
                    }
                }
            }
        }
    }

    fn tell(&self, run: &mut Run, changes: &Changes) {
        let taken = self.watched.borrow().rows_taken;
        run.progress.rows = self.rows_before + taken;
        run.progress.bytes = self.bytes_before + self.received.bytes();
        let seconds = self.begun.elapsed().as_secs_f64().max(0.001);
        run.progress.tell_speed(taken, seconds);
        edit_table(run, self.pull, |table| {
            if self.is_whole {
                table.rows_source = Some(self.received.rows());
            }
            table.bytes_on_wire = self.table_bytes_before + self.received.bytes();
            table.changes = self.changes_before;
            table.changes.add(changes);
        });
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
