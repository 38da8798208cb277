//! The rows that come, made ready for SQLite: as far as possible in the pauses in which the application may write.
//!
//! Invariant: rows, their end and their failure leave here in the order in which they came; what waits is bounded by the
//! bytes that came and by those that it takes, but for the batch and the row that came last.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rusqlite::types::{ToSqlOutput, ValueRef};
use tokio::runtime::Handle;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::time::timeout;

use crate::engine::driver::{ApplyJob, Flow, RowStream};
use crate::engine::error::EngineError;
use crate::engine::fault::{Fault, Refusal};
use crate::engine::sqlite::apply::destination::Destination;
use crate::engine::sqlite::stored::as_value;
use crate::wire::row::RowBatch;

/// Bytes of rows that wait to be written: about what comes while a transaction lasts.
const WAITING_BYTES: usize = 4 << 20;
/// Bytes that they may take once they are ready: some values are far larger than what stands for them in a row.
const READY_BYTES: usize = 4 * WAITING_BYTES;
/// Bytes that rows take which are made ready at once; no more than moments go by meanwhile.
const PIECE_BYTES: usize = 256 << 10;
/// What a batch takes in memory beside its rows, at least.
const BATCH_COST: usize = 256;

/// An item of a stream of rows; `None` where the stream was cut.
type Item = Option<Result<Flow, EngineError>>;

/// A piece of the stream, made ready.
#[derive(Debug)]
pub(super) enum Piece {
    Rows(ReadyRows),
    End,
    Failed(EngineError),
}

/// A stream of rows, and those of them that wait to be written.
pub(super) struct Incoming<'c> {
    job: &'c ApplyJob,
    stream: RowStream,
    ready: VecDeque<Piece>,
    /// What came after those that are ready.
    came: VecDeque<Item>,
    /// Bytes of all rows that wait, as they came.
    waiting: usize,
    /// Bytes that those take which are ready.
    taken: usize,
    is_over: bool,
}

impl<'c> Incoming<'c> {
    /// The rows that are written as `job` says.
    pub(super) fn new(job: &'c ApplyJob, stream: RowStream) -> Self {
        Self {
            job,
            stream,
            ready: VecDeque::new(),
            came: VecDeque::new(),
            waiting: 0,
            taken: 0,
            is_over: false,
        }
    }

    /// The next piece, if it is there.
    pub(super) fn next(&mut self, destination: &Destination<'_>) -> Option<Piece> {
        self.take_what_came();
        if self.ready.is_empty() {
            self.make_ready(destination);
        }
        let piece = self.ready.pop_front()?;
        if let Piece::Rows(rows) = &piece {
            self.waiting = self.waiting.saturating_sub(cost(&rows.batch));
            self.taken = self.taken.saturating_sub(rows.taken());
        }
        Some(piece)
    }

    /// Waits until something has come.
    pub(super) fn wait(&mut self) {
        let item = self.stream.blocking_recv();
        self.add(item);
    }

    /// Makes ready what is there and what comes within `pause`.
    pub(super) fn make_ready_within(&mut self, pause: Duration, destination: &Destination<'_>) {
        let begun = Instant::now();
        loop {
            let left = pause.saturating_sub(begun.elapsed());
            if left.is_zero() || self.taken >= READY_BYTES {
                return;
            }
            self.take_what_came();
            if self.make_ready(destination) {
                continue;
            }
            if !self.has_room() {
                return;
            }
            let stream = &mut self.stream;
            let item = Handle::current().block_on(async { timeout(left, stream.recv()).await });
            match item {
                Ok(item) => self.add(item),
                Err(_) => return,
            }
        }
    }

    /// Keeps the sender from waiting for the rows that are written meanwhile.
    fn take_what_came(&mut self) {
        while self.has_room() {
            match self.stream.try_recv() {
                Ok(item) => self.add(Some(item)),
                Err(TryRecvError::Disconnected) => self.add(None),
                Err(TryRecvError::Empty) => return,
            }
        }
    }

    fn has_room(&self) -> bool {
        self.waiting < WAITING_BYTES && !self.is_over
    }

    fn add(&mut self, item: Item) {
        match &item {
            Some(Ok(Flow::Rows(batch))) => self.waiting += cost(batch),
            _ => self.is_over = true,
        }
        self.came.push_back(item);
    }

    /// Makes a piece ready of what came; whether anything had.
    fn make_ready(&mut self, destination: &Destination<'_>) -> bool {
        let Some(item) = self.came.pop_front() else {
            return false;
        };
        let piece = match item {
            Some(Ok(Flow::Rows(mut batch))) => {
                match ReadyRows::take(&mut batch, self.job, destination) {
                    Ok(rows) => {
                        if !batch.data.is_empty() {
                            self.waiting += BATCH_COST;
                            self.came.push_front(Some(Ok(Flow::Rows(batch))));
                        }
                        self.taken += rows.taken();
                        Piece::Rows(rows)
                    }
                    Err(err) => Piece::Failed(err),
                }
            }
            Some(Ok(Flow::End)) => Piece::End,
            Some(Err(err)) => Piece::Failed(err),
            None => Piece::Failed(EngineError::Cut(self.job.table.name.clone())),
        };
        self.ready.push_back(piece);
        true
    }
}

/// What `batch` takes in memory.
fn cost(batch: &RowBatch) -> usize {
    batch.data.len() + BATCH_COST
}

/// Rows and what to bind for them.
#[derive(Debug, Default)]
pub(super) struct ReadyRows {
    batch: RowBatch,
    columns: usize,
    rows: Vec<ReadyRow>,
    values: Vec<ReadyValue>,
    /// The texts and blobs of all values, one after the other.
    bytes: Vec<u8>,
    /// Bytes that the refusals take.
    refusals: usize,
}

#[derive(Debug)]
struct ReadyRow {
    /// Of its tuple.
    bytes: usize,
    /// Set where it cannot be stored; it has no values then.
    refusal: Option<Box<Refusal>>,
}

/// Like SQLite's value; text and blob by their length.
#[derive(Debug)]
enum ReadyValue {
    Null,
    Integer(i64),
    Real(f64),
    Text(usize),
    Blob(usize),
}

impl ReadyRows {
    /// Takes as many rows off the front of `batch` as make a piece.
    fn take(
        batch: &mut RowBatch,
        job: &ApplyJob,
        destination: &Destination<'_>,
    ) -> Result<Self, EngineError> {
        let mut ready = Self {
            columns: destination.targets.len(),
            ..Self::default()
        };
        let mut length = 0;
        for tuple in batch.tuples() {
            let tuple = tuple.map_err(|err| job.malformed(&err))?;
            let refusal = match destination.values(tuple) {
                Ok(values) => {
                    values.iter().for_each(|value| ready.add(as_value(value)));
                    None
                }
                Err(Fault::Row(refusal)) => {
                    ready.refusals += size_of::<Refusal>() + refusal.reason.len();
                    Some(Box::new(refusal))
                }
                Err(Fault::Engine(err)) => return Err(err),
            };
            ready.rows.push(ReadyRow {
                bytes: tuple.len(),
                refusal,
            });
            length += tuple.len();
            if ready.taken() >= PIECE_BYTES {
                break;
            }
        }
        let rows = u32::try_from(ready.rows.len()).unwrap_or(u32::MAX);
        batch.rows = batch.rows.saturating_sub(rows);
        ready.batch = RowBatch {
            rows,
            data: batch.data.split_to(length),
        };
        Ok(ready)
    }

    /// Bytes that they take beside those that came.
    fn taken(&self) -> usize {
        let rows = self.rows.len() * size_of::<ReadyRow>();
        rows + self.values.len() * size_of::<ReadyValue>() + self.bytes.len() + self.refusals
    }

    fn add(&mut self, value: ValueRef<'_>) {
        self.values.push(match value {
            ValueRef::Null => ReadyValue::Null,
            ValueRef::Integer(number) => ReadyValue::Integer(number),
            ValueRef::Real(number) => ReadyValue::Real(number),
            ValueRef::Text(text) => {
                self.bytes.extend_from_slice(text);
                ReadyValue::Text(text.len())
            }
            ValueRef::Blob(blob) => {
                self.bytes.extend_from_slice(blob);
                ReadyValue::Blob(blob.len())
            }
        });
    }

    /// Each row with what to bind for it, or why it cannot be stored.
    pub(super) fn iter(
        &self,
    ) -> impl Iterator<Item = (&[u8], Result<Vec<ToSqlOutput<'_>>, Refusal>)> {
        let (mut tuples, mut bytes) = (self.batch.data.as_ref(), self.bytes.as_slice());
        let mut values = self.values.iter();
        self.rows.iter().map(move |row| {
            let tuple = tuples.split_off(..row.bytes).unwrap_or_default();
            if let Some(refusal) = &row.refusal {
                return (tuple, Err(Refusal::clone(refusal)));
            }
            let mut take = |length: &usize| bytes.split_off(..*length).unwrap_or_default();
            let bound = values.by_ref().take(self.columns).map(|value| {
                ToSqlOutput::Borrowed(match value {
                    ReadyValue::Null => ValueRef::Null,
                    ReadyValue::Integer(number) => ValueRef::Integer(*number),
                    ReadyValue::Real(number) => ValueRef::Real(*number),
                    ReadyValue::Text(length) => ValueRef::Text(take(length)),
                    ReadyValue::Blob(length) => ValueRef::Blob(take(length)),
                })
            });
            (tuple, Ok(bound.collect()))
        })
    }
}

#[cfg(test)]
mod tests;
