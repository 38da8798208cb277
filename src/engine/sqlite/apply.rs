//! Applying a stream of rows to one table, in short transactions on a thread of its own.
//!
//! The site's application goes on writing meanwhile: a transaction lasts a tenth of a second, never waits for rows, and
//! is followed by a pause in which whoever waits gets in (`pace`). Rows that clash with others or miss their parent are
//! held back and tried again when all others are there. Which row is inserted or updated is `destination`'s business.
//! Invariant: what was not committed is rolled back, whatever ends the work; a stream without its end is an error.

mod destination;
mod pace;
mod statements;
mod swap;

use std::time::Instant;

use rusqlite::Connection;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, watch};

use crate::engine::driver::{Applied, ApplyJob, ApplyProgress, Flow, RowStream};
use crate::engine::error::EngineError;
use crate::engine::fault::{Fault, Refusal};
use crate::engine::held::Held;
use crate::engine::sqlite::apply::destination::{Attempt, Destination, Effect};
use crate::engine::sqlite::apply::pace::Pace;
use crate::engine::sqlite::caller::{CallerWatch, caller};
use crate::engine::sqlite::connect::Location;
use crate::engine::sqlite::fault::engine_error;
use crate::engine::sqlite::introspect::{self, Described};
use crate::wire::row::RowBatch;

/// Applies `rows` as `job` says. Dropping this ends the thread after the row it is at.
pub(super) async fn apply(
    location: Location,
    job: ApplyJob,
    rows: RowStream,
    progress: watch::Sender<ApplyProgress>,
) -> Result<Applied, EngineError> {
    // The thread gets a channel whose other end is held here: when this future is dropped, the thread's wait for
    // rows ends too, even where the source still keeps its own end open.
    let (sender, receiver) = mpsc::channel(1);
    let (_caller, watch) = caller();
    let work =
        tokio::task::spawn_blocking(move || run(&location, &job, receiver, progress, &watch));
    forward(rows, sender).await;
    work.await
        .map_err(|_| EngineError::Lost("the writing thread ended".to_owned()))?
}

async fn forward(mut rows: RowStream, sender: mpsc::Sender<Result<Flow, EngineError>>) {
    loop {
        let item = tokio::select! {
            item = rows.recv() => item,
            () = sender.closed() => None,
        };
        let Some(item) = item else { return };
        if sender.send(item).await.is_err() {
            return;
        }
    }
}

fn run(
    location: &Location,
    job: &ApplyJob,
    mut rows: RowStream,
    progress: watch::Sender<ApplyProgress>,
    caller: &CallerWatch,
) -> Result<Applied, EngineError> {
    let connection = location.open_writer()?;
    let table = &job.table.name;
    let fault = |err: rusqlite::Error| engine_error(&err, table);
    // `Work::checkpoint` does it instead.
    connection
        .pragma_update(None, "wal_autocheckpoint", 0)
        .map_err(fault)?;
    let schema_version = schema_version(&connection).map_err(fault)?;
    let described = introspect::table(&connection, table)
        .map_err(fault)?
        .ok_or_else(|| EngineError::NoTable(table.clone()))?;
    let mut work = Work {
        connection: &connection,
        job,
        destination: Destination::new(&connection, job, &described)?,
        described: &described,
        schema_version,
        pace: Pace::new(Instant::now()),
        held: Held::new(),
        applied: Applied::default(),
        taken_care_of: 0,
        progress,
        caller,
    };
    while let Some(batch) = work.next(&mut rows)? {
        work.batch(&batch)?;
    }
    work.settle()?;
    Ok(Applied {
        began_empty: work.destination.began_empty(),
        ..work.applied
    })
}

struct Work<'c> {
    connection: &'c Connection,
    job: &'c ApplyJob,
    described: &'c Described,
    destination: Destination<'c>,
    schema_version: i64,
    pace: Pace,
    held: Held,
    applied: Applied,
    /// Rows written, found equal or left out: all but those held back or refused.
    taken_care_of: u64,
    progress: watch::Sender<ApplyProgress>,
    caller: &'c CallerWatch,
}

impl Work<'_> {
    /// The next rows, or `None` at their end. While there are none, no transaction is open.
    fn next(&mut self, rows: &mut RowStream) -> Result<Option<RowBatch>, EngineError> {
        let item = match rows.try_recv() {
            Ok(item) => Some(item),
            Err(TryRecvError::Disconnected) => None,
            Err(TryRecvError::Empty) => {
                self.commit()?;
                rows.blocking_recv()
            }
        };
        match item {
            Some(Ok(Flow::Rows(batch))) => Ok(Some(batch)),
            Some(Ok(Flow::End)) => Ok(None),
            Some(Err(err)) => Err(err),
            None => Err(self.cut()),
        }
    }

    fn batch(&mut self, batch: &RowBatch) -> Result<(), EngineError> {
        for tuple in batch.tuples() {
            let tuple = tuple.map_err(|err| self.job.malformed(&err))?;
            self.applied.rows += 1;
            match self.row(tuple, Attempt::First)? {
                None => {}
                Some(refusal) if refusal.may_fit_later => self.held.push(tuple)?,
                Some(refusal) => self.reject(tuple, refusal)?,
            }
        }
        Ok(())
    }

    /// Writes one row; the refusal, if the database does not take it.
    fn row(&mut self, tuple: &[u8], attempt: Attempt) -> Result<Option<Refusal>, EngineError> {
        self.begin()?;
        let refusal = match self.destination.write(tuple, attempt) {
            Ok(effect) => {
                self.count(effect);
                None
            }
            Err(Fault::Row(refusal)) => Some(refusal),
            Err(Fault::Engine(err)) => return Err(err),
        };
        let due = self
            .pace
            .is_due(tuple.len(), &self.job.budget, Instant::now());
        if due {
            self.commit()?;
        }
        Ok(refusal)
    }

    fn count(&mut self, effect: Effect) {
        self.taken_care_of += 1;
        let changes = &mut self.applied.changes;
        match effect {
            Effect::Added => changes.added += 1,
            Effect::Updated => changes.updated += 1,
            Effect::Equal => {}
            Effect::LeftOut => changes.skipped += 1,
            Effect::LeftDiffering => {
                changes.skipped += 1;
                changes.conflicts += 1;
            }
        }
    }

    /// Tries the rows held back again as long as that gets some of them in, then refuses the rest.
    fn settle(&mut self) -> Result<(), EngineError> {
        // Backwards first: rows that each point to the next one all fit in one pass that way.
        let mut backwards = true;
        loop {
            let before = self.held.len();
            self.retry_held(backwards)?;
            if self.held.len() == before {
                break;
            }
            backwards = !backwards;
        }
        self.commit()?;
        self.swap()?;
        let mut rest = std::mem::replace(&mut self.held, Held::new());
        let count = rest.len();
        for at in 0..count {
            let tuple = rest.get(at)?;
            if let Some(refusal) = self.row(&tuple, Attempt::Again)? {
                self.reject(&tuple, refusal)?;
            }
        }
        self.commit()
    }

    fn retry_held(&mut self, backwards: bool) -> Result<(), EngineError> {
        let mut current = std::mem::replace(&mut self.held, Held::new());
        let count = current.len();
        for at in 0..count {
            let tuple = current.get(if backwards { count - 1 - at } else { at })?;
            if self.row(&tuple, Attempt::Again)?.is_some() {
                self.held.push(&tuple)?;
            }
        }
        // Rows keep the order they came in, whichever way they were tried.
        if backwards {
            self.held.reverse();
        }
        Ok(())
    }

    fn reject(&mut self, tuple: &[u8], refusal: Refusal) -> Result<(), EngineError> {
        self.job.reject(&mut self.applied, tuple, refusal)
    }

    /// Opens a transaction unless one is open, after the pause the last one owes.
    fn begin(&mut self) -> Result<(), EngineError> {
        if self.pace.is_open() {
            return if self.caller.waits() {
                Ok(())
            } else {
                Err(self.cut())
            };
        }
        if !self.caller.waits_after(self.pace.owed(Instant::now())) {
            return Err(self.cut());
        }
        self.execute("begin immediate")?;
        self.pace.begin(Instant::now());
        self.check_schema()
    }

    fn commit(&mut self) -> Result<(), EngineError> {
        if !self.pace.is_open() {
            return Ok(());
        }
        self.execute("commit")?;
        self.pace.end(Instant::now());
        self.progress.send_replace(ApplyProgress {
            rows_taken: self.applied.rows,
            rows_committed: self.taken_care_of,
            changes: self.applied.changes,
        });
        self.checkpoint();
        Ok(())
    }

    /// Lets SQLite take over into the database file what its write-ahead log has grown by: in the pause, for that keeps
    /// no writer waiting.
    fn checkpoint(&mut self) {
        if self.pace.needs_checkpoint() {
            // As with the checkpoints that SQLite makes by itself, what cannot be done now is done by a later one.
            let _ = self.execute("pragma wal_checkpoint(passive)");
        }
    }

    /// Whether the table is still what it was, now that nobody else can change it.
    fn check_schema(&mut self) -> Result<(), EngineError> {
        let table = &self.job.table.name;
        let fault = |err: rusqlite::Error| engine_error(&err, table);
        let version = schema_version(self.connection).map_err(fault)?;
        if version == self.schema_version {
            return Ok(());
        }
        let mut now = introspect::table(self.connection, table).map_err(fault)?;
        if let Some(now) = &mut now {
            now.table.row_estimate = self.described.table.row_estimate;
        }
        if now.as_ref() != Some(self.described) {
            return Err(EngineError::SchemaChanged(table.clone()));
        }
        self.schema_version = version;
        Ok(())
    }

    fn execute(&self, text: &'static str) -> Result<(), EngineError> {
        self.connection
            .execute_batch(text)
            .map_err(|err| engine_error(&err, &self.job.table.name))
    }

    fn cut(&self) -> EngineError {
        EngineError::Cut(self.job.table.name.clone())
    }
}

fn schema_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "schema_version", |row| row.get(0))
}

#[cfg(test)]
mod tests;
