//! The rows that come, made ready for SQLite: as far as possible in the pauses in which the application may write.
//!
//! Invariant: rows, their end and their failure leave here in the order in which they came; what waits is bounded by its
//! bytes, but for the batch that came last.

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
    /// Of the rows in both.
    bytes: usize,
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
            bytes: 0,
            is_over: false,
        }
    }

    /// The next piece, if it is there.
    pub(super) fn next(&mut self, destination: &Destination<'_>) -> Option<Piece> {
        self.take_what_came();
        let piece = self.ready.pop_front();
        let piece = piece.or_else(|| self.make_ready(destination))?;
        if let Piece::Rows(rows) = &piece {
            self.bytes = self.bytes.saturating_sub(rows.batch.data.len());
        }
        Some(piece)
    }

    /// The next piece, where [`Self::next`] has none.
    pub(super) fn wait(&mut self, destination: &Destination<'_>) -> Piece {
        let item = self.stream.blocking_recv();
        made_ready(item, self.job, destination)
    }

    /// Makes ready what is there and what comes within `pause`.
    pub(super) fn make_ready_within(&mut self, pause: Duration, destination: &Destination<'_>) {
        let begun = Instant::now();
        loop {
            let left = pause.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return;
            }
            self.take_what_came();
            if let Some(piece) = self.make_ready(destination) {
                self.ready.push_back(piece);
                continue;
            }
            if !self.has_room() {
                return;
            }
            let stream = &mut self.stream;
            let item = Handle::current().block_on(async { timeout(left, stream.recv()).await });
            match item {
                Ok(item) => self.came(item),
                Err(_) => return,
            }
        }
    }

    /// Keeps the sender from waiting for the rows that are written meanwhile.
    fn take_what_came(&mut self) {
        while self.has_room() {
            match self.stream.try_recv() {
                Ok(item) => self.came(Some(item)),
                Err(TryRecvError::Disconnected) => self.came(None),
                Err(TryRecvError::Empty) => return,
            }
        }
    }

    fn has_room(&self) -> bool {
        self.bytes < WAITING_BYTES && !self.is_over
    }

    fn came(&mut self, item: Item) {
        match &item {
            Some(Ok(Flow::Rows(batch))) => self.bytes += batch.data.len(),
            _ => self.is_over = true,
        }
        self.came.push_back(item);
    }

    /// Of what came.
    fn make_ready(&mut self, destination: &Destination<'_>) -> Option<Piece> {
        let item = self.came.pop_front()?;
        Some(made_ready(item, self.job, destination))
    }
}

fn made_ready(item: Item, job: &ApplyJob, destination: &Destination<'_>) -> Piece {
    let ready = match item {
        Some(Ok(Flow::Rows(batch))) => ReadyRows::new(batch, job, destination),
        Some(Ok(Flow::End)) => return Piece::End,
        Some(Err(err)) => Err(err),
        None => Err(EngineError::Cut(job.table.name.clone())),
    };
    ready.map_or_else(Piece::Failed, Piece::Rows)
}

/// Rows and what to bind for them.
#[derive(Debug)]
pub(super) struct ReadyRows {
    batch: RowBatch,
    columns: usize,
    rows: Vec<ReadyRow>,
    values: Vec<ReadyValue>,
    /// The texts and blobs of all values, one after the other.
    bytes: Vec<u8>,
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
    fn new(
        batch: RowBatch,
        job: &ApplyJob,
        destination: &Destination<'_>,
    ) -> Result<Self, EngineError> {
        // A peer says how many rows there are; what it sent says how many there can be.
        let columns = destination.targets.len();
        let rows = usize::try_from(batch.rows).unwrap_or(usize::MAX);
        let rows = rows.min(batch.data.len() / (2 + 4 * columns));
        let mut ready = Self {
            columns,
            rows: Vec::with_capacity(rows),
            values: Vec::with_capacity(rows.saturating_mul(columns)),
            bytes: Vec::with_capacity(batch.data.len()),
            batch: RowBatch::default(),
        };
        for tuple in batch.tuples() {
            let tuple = tuple.map_err(|err| job.malformed(&err))?;
            let refusal = match destination.values(tuple) {
                Ok(values) => {
                    values.iter().for_each(|value| ready.add(as_value(value)));
                    None
                }
                Err(Fault::Row(refusal)) => Some(Box::new(refusal)),
                Err(Fault::Engine(err)) => return Err(err),
            };
            ready.rows.push(ReadyRow {
                bytes: tuple.len(),
                refusal,
            });
        }
        Ok(Self { batch, ..ready })
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
mod tests {
    use std::time::Duration;

    use tokio::sync::mpsc::{self, Sender};

    use super::{Incoming, Piece, WAITING_BYTES};
    use crate::engine::driver::{Flow, RowStream};
    use crate::engine::error::EngineError;
    use crate::engine::sqlite::apply::destination::Destination;
    use crate::engine::sqlite::apply::writer::describe;
    use crate::engine::sqlite::test_site::{Site, batch, int, text};
    use crate::model::table::TableName;

    const PATIENCE: Duration = Duration::from_secs(60);
    const ROW_BYTES: usize = 64 << 10;

    /// Runs `work` on the stream of a job, with its destination.
    async fn with_incoming<T: Send + 'static>(
        stream: RowStream,
        work: impl FnOnce(&mut Incoming<'_>, &Destination<'_>) -> T + Send + 'static,
    ) -> T {
        let site = Site::new("create table t (id integer primary key, b text)");
        let job = site.job("t").await;
        let connection = site.application();
        tokio::task::spawn_blocking(move || {
            let (described, _) = describe(&connection, &job).unwrap();
            let destination = Destination::new(&connection, &job, &described).unwrap();
            work(&mut Incoming::new(&job, stream), &destination)
        })
        .await
        .unwrap()
    }

    fn send(sender: &Sender<Result<Flow, EngineError>>, id: i64, bytes: usize) {
        let rows = batch(&[vec![int(id), text(&"x".repeat(bytes))]]);
        sender.try_send(Ok(Flow::Rows(rows))).unwrap();
    }

    /// The keys of the rows of a piece.
    fn ids(piece: &Piece) -> Vec<i64> {
        let Piece::Rows(rows) = piece else {
            return Vec::new();
        };
        let id = |(tuple, _): (&[u8], _)| i64::from_be_bytes(tuple[6..14].try_into().unwrap());
        rows.iter().map(id).collect()
    }

    #[tokio::test]
    async fn what_waits_is_bounded_and_leaves_in_the_order_in_which_it_came() {
        let batches = 2 * WAITING_BYTES / ROW_BYTES;
        let (sender, stream) = mpsc::channel(batches + 1);
        for id in 0..batches {
            send(&sender, i64::try_from(id).unwrap(), ROW_BYTES);
        }
        sender.try_send(Ok(Flow::End)).unwrap();
        with_incoming(stream, move |incoming, destination| {
            for id in 0..batches {
                incoming.make_ready_within(PATIENCE, destination);
                let rest = batches - id;
                let waiting = WAITING_BYTES / ROW_BYTES;
                assert_eq!(incoming.ready.len(), waiting.min(rest + 1), "{id}");
                let piece = incoming.next(destination).unwrap();
                assert_eq!(ids(&piece), [i64::try_from(id).unwrap()]);
            }
            assert!(matches!(incoming.next(destination), Some(Piece::End)));
            assert_eq!(incoming.bytes, 0);
        })
        .await;
    }

    #[tokio::test]
    async fn a_pause_ends_in_time_whether_or_not_rows_come() {
        let (sender, stream) = mpsc::channel(2);
        with_incoming(stream, move |incoming, destination| {
            incoming.make_ready_within(Duration::from_millis(20), destination);
            assert!(incoming.next(destination).is_none());
            send(&sender, 1, 10);
            incoming.make_ready_within(Duration::from_millis(20), destination);
            assert_eq!(incoming.ready.len(), 1);
        })
        .await;
    }

    #[tokio::test]
    async fn a_failure_comes_after_the_rows_before_it() {
        let failure = || EngineError::NoTable(TableName::bare("u"));
        for end in [Some(failure()), None] {
            let expected = end.as_ref().map_or_else(
                || EngineError::Cut(TableName::bare("t")).to_string(),
                ToString::to_string,
            );
            let (sender, stream) = mpsc::channel(2);
            send(&sender, 1, 10);
            if let Some(err) = end {
                sender.try_send(Err(err)).unwrap();
            }
            drop(sender);
            with_incoming(stream, move |incoming, destination| {
                incoming.make_ready_within(PATIENCE, destination);
                assert_eq!(ids(&incoming.next(destination).unwrap()), [1]);
                match incoming.next(destination) {
                    Some(Piece::Failed(err)) => assert_eq!(err.to_string(), expected),
                    other => panic!("{other:?}"),
                }
            })
            .await;
        }
    }

    #[tokio::test]
    async fn a_row_that_cannot_be_stored_spoils_none_beside_it() {
        let (sender, stream) = mpsc::channel(1);
        let rows = [
            vec![int(1), text("a")],
            vec![int(2), Some(vec![0xff])],
            vec![int(3), None],
        ];
        sender.try_send(Ok(Flow::Rows(batch(&rows)))).unwrap();
        with_incoming(stream, |incoming, destination| {
            let Some(Piece::Rows(rows)) = incoming.next(destination) else {
                panic!("rows");
            };
            let shown: Vec<String> = rows
                .iter()
                .map(|(_, values)| match values {
                    Ok(values) => format!("{values:?}"),
                    Err(refusal) => refusal.reason,
                })
                .collect();
            assert_eq!(
                shown,
                [
                    "[Borrowed(Integer(1)), Borrowed(Text([97]))]",
                    "the text is not valid UTF-8",
                    "[Borrowed(Integer(3)), Borrowed(Null)]",
                ]
            );
        })
        .await;
    }
}
