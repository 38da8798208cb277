//! Applying a stream: chunks, transactions, and what was held back at the end.
//!
//! How one chunk is written is [`super::write`]'s business, how rows go straight in [`super::straight`]'s. Invariant: everything is committed in whole transactions
//! within the job's budget, and nothing is after a fault.

use std::time::{Duration, Instant};

use sqlx::postgres::PgPool;
use tokio::sync::watch;

use crate::engine::chunk::{Chunk, Room};
use crate::engine::driver::{Applied, ApplyJob, ApplyProgress, Flow, RowStream};
use crate::engine::error::EngineError;
use crate::engine::postgres::connect::Session;
use crate::engine::postgres::destination::{BEGIN, advance_sequences, form, prepare};
use crate::engine::postgres::fault::fault;
use crate::engine::postgres::write::Writer;
use crate::wire::row::RowBatch;

/// Bytes kept in memory to be written, and if need be halved, together.
const CHUNK_BYTES: u64 = 4 << 20;
/// A transaction does not stay open, and keep its locks, while a slow stream brings nothing.
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// An application that wants a row this one has written waits no longer than this and one chunk.
const LONGEST_TRANSACTION: Duration = Duration::from_secs(1);
/// The same while a table that began empty is filled, whose rows nobody knows yet.
const LONGEST_STRAIGHT: Duration = Duration::from_secs(2);

/// Applies `rows` as `job` says.
pub(super) async fn apply(
    pool: &PgPool,
    schemas: &[String],
    job: ApplyJob,
    rows: RowStream,
    progress: watch::Sender<ApplyProgress>,
) -> Result<Applied, EngineError> {
    let mut session = Session::open(pool).await?;
    let destination = match prepare(&mut session, schemas, &job).await {
        Ok(destination) => destination,
        Err(err) => {
            session.abandon().await;
            return Err(err);
        }
    };
    let mut applier = Applier {
        writer: Writer::new(session, job, destination),
        chunk: Chunk::default(),
        open: None,
        begun: Instant::now(),
        told: ApplyProgress::default(),
        progress,
    };
    match applier.consume(rows).await {
        Ok(()) => {
            let began_empty = applier.writer.began_empty();
            let (session, applied) = applier.writer.into_parts();
            session.release();
            Ok(Applied {
                rows: applier.told.rows_taken,
                began_empty,
                ..applied
            })
        }
        Err(err) => {
            applier.writer.into_parts().0.abandon().await;
            Err(err)
        }
    }
}

pub(super) struct Applier {
    pub(super) writer: Writer,
    pub(super) chunk: Chunk,
    /// What the open transaction holds already.
    open: Option<Room>,
    /// When it was opened.
    begun: Instant,
    told: ApplyProgress,
    progress: watch::Sender<ApplyProgress>,
}

impl Applier {
    async fn consume(&mut self, mut rows: RowStream) -> Result<(), EngineError> {
        let mut next = self.next(&mut rows).await?;
        loop {
            next = match next {
                Next::Rows(batch) if self.writer.goes_straight() => {
                    self.copy_straight(batch, &mut rows).await?
                }
                Next::Rows(batch) => {
                    self.take(batch).await?;
                    self.next(&mut rows).await?
                }
                Next::NothingYet => {
                    self.flush().await?;
                    self.commit().await?;
                    self.next(&mut rows).await?
                }
                Next::End => break,
            };
        }
        self.flush().await?;
        self.finish().await
    }

    /// What comes next, or that nothing came for as long as may be waited. Never a batch without rows.
    pub(super) async fn next(&self, rows: &mut RowStream) -> Result<Next, EngineError> {
        match tokio::time::timeout(self.patience(), something(rows)).await {
            Err(_) => Ok(Next::NothingYet),
            Ok(Some(Ok(Flow::Rows(batch)))) => Ok(Next::Rows(batch)),
            Ok(Some(Ok(Flow::End))) => Ok(Next::End),
            Ok(Some(Err(err))) => Err(err),
            Ok(None) => Err(EngineError::Cut(self.writer.table().clone())),
        }
    }

    /// How long rows may be waited for.
    fn patience(&self) -> Duration {
        if self.open.is_some() {
            self.longest_transaction()
                .saturating_sub(self.begun.elapsed())
        } else {
            LONGEST_WAIT
        }
    }

    fn longest_transaction(&self) -> Duration {
        if self.writer.goes_straight() {
            LONGEST_STRAIGHT
        } else {
            LONGEST_TRANSACTION
        }
    }

    /// Whether a transaction is open that has lasted long enough: it holds rows an application may want.
    pub(super) fn is_due(&self) -> bool {
        self.open.is_some() && self.begun.elapsed() >= self.longest_transaction()
    }

    async fn take(&mut self, mut batch: RowBatch) -> Result<(), EngineError> {
        while !batch.data.is_empty() {
            self.fill(&mut batch, CHUNK_BYTES)?;
            if batch.data.is_empty() && self.chunk.bytes < CHUNK_BYTES {
                break;
            }
            if self.chunk.is_empty() {
                self.commit().await?;
            } else {
                self.flush().await?;
            }
        }
        if self.is_due() {
            self.commit().await?;
        }
        Ok(())
    }

    /// Moves rows from `batch` to the chunk, as many as fit into one of `limit` bytes and into the transaction; into an
    /// empty one at least one.
    pub(super) fn fill(&mut self, batch: &mut RowBatch, limit: u64) -> Result<(), EngineError> {
        let is_empty = self.chunk.is_empty() && self.open.is_none_or(|open| open.rows == 0);
        let taken = self.chunk.fill(batch, self.room(limit), is_empty);
        self.told.rows_taken += taken.map_err(|err| self.writer.malformed(&err))?;
        self.progress.send_replace(self.told);
        Ok(())
    }

    /// What the chunk may still take: the rest of `limit`, or of the transaction.
    fn room(&self, limit: u64) -> Room {
        let budget = self.writer.budget();
        let open = self.open.unwrap_or(Room { rows: 0, bytes: 0 });
        let rows = budget
            .transaction_rows
            .saturating_sub(open.rows + self.chunk.rows);
        let bytes = budget
            .transaction_bytes
            .saturating_sub(open.bytes + self.chunk.bytes);
        Room {
            rows,
            bytes: bytes.min(limit.saturating_sub(self.chunk.bytes)),
        }
    }

    async fn flush(&mut self) -> Result<(), EngineError> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let chunk = std::mem::take(&mut self.chunk);
        self.begin().await?;
        self.count(&chunk);
        self.writer.write(&chunk.parts).await
    }

    /// The open transaction holds these too.
    pub(super) fn count(&mut self, chunk: &Chunk) {
        if let Some(open) = &mut self.open {
            open.rows += chunk.rows;
            open.bytes += chunk.bytes;
        }
    }

    pub(super) async fn begin(&mut self) -> Result<(), EngineError> {
        if self.open.is_none() {
            self.run(BEGIN).await?;
            let table = self.writer.table().clone();
            if form(self.writer.session(), &table).await? != self.writer.form() {
                return Err(EngineError::SchemaChanged(table));
            }
            self.open = Some(Room { rows: 0, bytes: 0 });
            self.begun = Instant::now();
        }
        Ok(())
    }

    pub(super) async fn commit(&mut self) -> Result<(), EngineError> {
        let Some(open) = self.open.take() else {
            return Ok(());
        };
        self.run("commit").await?;
        self.writer.forget_saved();
        self.told.rows_committed += open.rows;
        self.told.changes = self.writer.changes();
        self.progress.send_replace(self.told);
        Ok(())
    }

    /// Held rows once more, then the refusals, the sequences, and the temporary tables.
    async fn finish(&mut self) -> Result<(), EngineError> {
        if self.writer.holds_rows() {
            self.begin().await?;
            self.writer.settle().await?;
        }
        self.commit().await?;
        self.writer.drop_stage().await?;
        let table = self.writer.job().table.clone();
        let identities = self.writer.identities().to_vec();
        advance_sequences(self.writer.session(), &table, &identities).await
    }

    async fn run(&mut self, statements: &'static str) -> Result<(), EngineError> {
        let outcome = self.writer.session().run(statements).await;
        outcome.map_err(|err| fault(err, self.writer.table()))
    }
}

/// The next item; batches without rows, which a conversion leaves when it refuses all of theirs, are passed over.
async fn something(rows: &mut RowStream) -> Option<Result<Flow, EngineError>> {
    loop {
        match rows.recv().await {
            Some(Ok(Flow::Rows(batch))) if batch.data.is_empty() => {}
            item => return item,
        }
    }
}

/// What a stream gives.
pub(super) enum Next {
    Rows(RowBatch),
    /// Not in the time it was given.
    NothingYet,
    End,
}
