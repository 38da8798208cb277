//! Applying a stream of rows to one table, in short transactions on a thread of its own.
//!
//! The site's application goes on writing meanwhile: a transaction lasts a tenth of a second, never waits for rows, and
//! is followed by a pause in which whoever waits gets in (`pace`). Rows that clash with others or miss their parent are
//! held back and tried again when all others are there. Which row is inserted or updated is `destination`'s business.
//! Invariant: what was not committed is rolled back, whatever ends the work; a stream without its end is an error.

mod destination;
pub(super) mod enact;
mod incoming;
mod key_form;
mod pace;
mod statements;
mod swap;
mod writer;

use std::time::Instant;

use rusqlite::types::ToSqlOutput;
use tokio::sync::{mpsc, watch};

use crate::engine::driver::{Applied, ApplyJob, ApplyProgress, RowStream};
use crate::engine::error::EngineError;
use crate::engine::fault::{Fault, Refusal};
use crate::engine::held::Held;
use crate::engine::sqlite::apply::destination::{Attempt, Effect};
use crate::engine::sqlite::apply::incoming::{Incoming, Piece, ReadyRows};
use crate::engine::sqlite::apply::writer::{Writer, describe};
use crate::engine::sqlite::caller::{CallerWatch, caller};
use crate::engine::sqlite::connect::Location;

/// Applies `rows` as `job` says. Dropping this ends the thread after the rows it is at.
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

async fn forward<T>(mut rows: mpsc::Receiver<T>, sender: mpsc::Sender<T>) {
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
    rows: RowStream,
    progress: watch::Sender<ApplyProgress>,
    caller: &CallerWatch,
) -> Result<Applied, EngineError> {
    let connection = location.open_writer()?;
    let described = describe(&connection, job)?;
    let mut work = Work {
        writer: Writer::new(&connection, job, &described, caller)?,
        incoming: Incoming::new(job, rows),
        held: Held::new(),
        applied: Applied::default(),
        taken_care_of: 0,
        progress,
    };
    while let Some(rows) = work.next()? {
        work.rows(&rows)?;
    }
    work.settle()?;
    Ok(Applied {
        began_empty: work.writer.destination.began_empty(),
        ..work.applied
    })
}

struct Work<'c> {
    writer: Writer<'c>,
    incoming: Incoming<'c>,
    held: Held,
    applied: Applied,
    /// Rows written, found equal or left out: all but those held back or refused.
    taken_care_of: u64,
    progress: watch::Sender<ApplyProgress>,
}

impl Work<'_> {
    /// The next rows, or `None` at their end. While there are none, no transaction is open.
    fn next(&mut self) -> Result<Option<ReadyRows>, EngineError> {
        loop {
            match self.incoming.next(&self.writer.destination) {
                Some(Piece::Rows(rows)) => return Ok(Some(rows)),
                Some(Piece::End) => return Ok(None),
                Some(Piece::Failed(err)) => return Err(err),
                None => {}
            }
            self.commit()?;
            self.incoming.wait();
        }
    }

    fn rows(&mut self, rows: &ReadyRows) -> Result<(), EngineError> {
        for (tuple, values) in rows.iter() {
            self.applied.rows += 1;
            match self.row(tuple, values.map_err(Fault::Row), Attempt::First)? {
                None => {}
                Some(refusal) if refusal.may_fit_later() => self.held.push(tuple)?,
                Some(refusal) => self.reject(tuple, refusal)?,
            }
        }
        Ok(())
    }

    /// Writes one row; the refusal, if the database does not take it.
    fn row(
        &mut self,
        tuple: &[u8],
        values: Result<Vec<ToSqlOutput<'_>>, Fault>,
        attempt: Attempt,
    ) -> Result<Option<Refusal>, EngineError> {
        self.begin()?;
        let destination = &mut self.writer.destination;
        let refusal = match values.and_then(|values| destination.write(tuple, &values, attempt)) {
            Ok(effect) => {
                self.count(effect);
                None
            }
            Err(Fault::Row(refusal)) => Some(refusal),
            Err(Fault::Engine(err)) => return Err(err),
        };
        let budget = &self.writer.job.budget;
        let due = self.writer.pace.is_due(tuple.len(), budget, Instant::now());
        if due {
            self.commit()?;
        }
        Ok(refusal)
    }

    /// Opens a transaction unless one is open; the pause before it is used for the rows that come next.
    fn begin(&mut self) -> Result<(), EngineError> {
        let Writer {
            pace, destination, ..
        } = &self.writer;
        if !pace.is_open() {
            let pause = pace.owed(Instant::now());
            self.incoming.make_ready_within(pause, destination);
        }
        self.writer.begin()
    }

    /// Tries a row that was held back.
    fn again(&mut self, tuple: &[u8]) -> Result<Option<Refusal>, EngineError> {
        let values = self.writer.destination.values(tuple);
        self.row(tuple, values, Attempt::Again)
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
        let mut rest = std::mem::take(&mut self.held);
        let count = rest.len();
        for at in 0..count {
            let tuple = rest.get(at)?;
            if let Some(refusal) = self.again(&tuple)? {
                self.reject(&tuple, refusal)?;
            }
        }
        self.commit()
    }

    fn retry_held(&mut self, backwards: bool) -> Result<(), EngineError> {
        let mut current = std::mem::take(&mut self.held);
        let count = current.len();
        for at in 0..count {
            let tuple = current.get(if backwards { count - 1 - at } else { at })?;
            if self.again(&tuple)?.is_some() {
                self.held.push(&tuple)?;
            }
        }
        // Rows keep the order they came in, whichever way they were tried.
        if backwards {
            self.held.reverse()?;
        }
        Ok(())
    }

    fn reject(&mut self, tuple: &[u8], refusal: Refusal) -> Result<(), EngineError> {
        let rejected = &mut self.applied.rejected;
        self.writer.job.reject(rejected, tuple, refusal)
    }

    fn commit(&mut self) -> Result<(), EngineError> {
        if self.writer.commit()? {
            self.progress.send_replace(ApplyProgress {
                rows_taken: self.applied.rows,
                rows_committed: self.taken_care_of,
                changes: self.applied.changes,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
