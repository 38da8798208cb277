//! Applying a stream: chunks, transactions, and what was held back at the end.
//!
//! How a chunk is written is [`mod@write`]'s business, how rows go straight into an empty table [`straight`]'s.
//! Invariant: everything is committed in whole transactions within the job's budget, and nothing is after a fault.

mod arrays;
mod begin;
mod copying;
mod destination;
pub(super) mod enact;
pub(super) mod keyless;
mod stage;
mod straight;
mod write;

use sqlx::postgres::PgPool;
use tokio::sync::watch;

use crate::engine::chunk::Chunk;
use crate::engine::driver::{Applied, ApplyJob, ApplyProgress, Flow, RowStream};
use crate::engine::error::EngineError;
use crate::engine::postgres::apply::begin::begin;
use crate::engine::postgres::apply::destination::{advance_sequences, prepare};
use crate::engine::postgres::apply::write::Writer;
use crate::engine::postgres::connect::Session;
use crate::engine::postgres::fault::fault;
use crate::engine::transaction::{Transaction, Way};
use crate::wire::row::RowBatch;

/// Bytes kept in memory to be written, and if need be halved, together.
const CHUNK_BYTES: u64 = 4 << 20;

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
        Err(err) => return session.end(Err(err)).await,
    };
    let mut applier = Applier {
        writer: Writer::new(session, job, destination),
        chunk: Chunk::default(),
        transaction: Transaction::new(),
        told: ApplyProgress::default(),
        progress,
    };
    let outcome = applier.consume(rows).await;
    let began_empty = applier.writer.began_empty();
    let (session, applied) = applier.writer.into_parts();
    session.end(outcome).await?;
    Ok(Applied {
        rows: applier.told.rows_taken,
        began_empty,
        ..applied
    })
}

struct Applier {
    writer: Writer,
    chunk: Chunk,
    transaction: Transaction,
    told: ApplyProgress,
    progress: watch::Sender<ApplyProgress>,
}

impl Applier {
    async fn consume(&mut self, mut rows: RowStream) -> Result<(), EngineError> {
        let mut next = self.next(&mut rows).await?;
        loop {
            next = match next {
                Next::Rows(batch) if self.writer.way() == Way::Straight => {
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
    async fn next(&self, rows: &mut RowStream) -> Result<Next, EngineError> {
        let patience = self.transaction.patience(self.writer.way());
        match tokio::time::timeout(patience, something(rows)).await {
            Err(_) => Ok(Next::NothingYet),
            Ok(Some(Ok(Flow::Rows(batch)))) => Ok(Next::Rows(batch)),
            Ok(Some(Ok(Flow::End))) => Ok(Next::End),
            Ok(Some(Err(err))) => Err(err),
            Ok(None) => Err(EngineError::Cut(self.writer.table().clone())),
        }
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
        if self.transaction.is_overdue(self.writer.way()) {
            self.commit().await?;
        }
        Ok(())
    }

    /// Moves rows from `batch` to the chunk, as many as fit into one of `limit` bytes and into the transaction; into an
    /// empty one at least one.
    fn fill(&mut self, batch: &mut RowBatch, limit: u64) -> Result<(), EngineError> {
        let is_empty = self.chunk.is_empty() && self.transaction.is_empty();
        let budget = self.writer.job().budget;
        let room = self.transaction.room(budget, &self.chunk, limit);
        let taken = self.chunk.fill(batch, room, is_empty);
        self.told.rows_taken += taken.map_err(|err| self.writer.job().malformed(&err))?;
        self.progress.send_replace(self.told);
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), EngineError> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let chunk = std::mem::take(&mut self.chunk);
        self.begin().await?;
        self.transaction.add(chunk.rows, chunk.bytes);
        self.writer.write(&chunk.parts).await
    }

    async fn begin(&mut self) -> Result<(), EngineError> {
        if !self.transaction.is_open() {
            let table = self.writer.table().clone();
            if begin(self.writer.session(), &table).await? != self.writer.form() {
                return Err(EngineError::SchemaChanged(table));
            }
            self.transaction.begin();
        }
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), EngineError> {
        let Some(held) = self.transaction.end() else {
            return Ok(());
        };
        self.run("commit").await?;
        self.writer.forget_saved();
        self.told.rows_committed += held.rows;
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
enum Next {
    Rows(RowBatch),
    /// Not in the time it was given.
    NothingYet,
    End,
}
