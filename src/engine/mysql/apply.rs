//! Applying a stream: chunks, transactions, and what was held back at the end.
//!
//! The rows of a chunk are looked up by key first, and this program decides what becomes of each; into a table that began
//! empty they are inserted straight away and looked up only where that clashes. How a chunk is written is
//! [`mod@write`]'s business, how rows that wait for others get in [`settle`]'s.
//! Invariant: everything is committed in whole transactions within the job's budget, and nothing is after a fault.

mod destination;
mod document;
pub(super) mod enact;
mod look;
mod park;
mod pointing;
mod seen;
mod settle;
mod statements;
mod verdict;
mod write;
mod writer;

use bytes::Bytes;
use sqlx::mysql::MySqlPool;
use tokio::sync::watch;

use crate::engine::chunk::{Chunk, Room};
use crate::engine::driver::{Applied, ApplyJob, ApplyProgress, Flow, RowStream};
use crate::engine::error::EngineError;
use crate::engine::fault::Refusal;
use crate::engine::held::Held;
use crate::engine::mysql::apply::destination::prepare;
use crate::engine::mysql::apply::seen::Seen;
use crate::engine::mysql::apply::writer::Writer;
use crate::engine::mysql::connect::Session;
use crate::engine::mysql::schemas::Schemas;
use crate::engine::transaction::{Transaction, Way};
use crate::wire::row::RowBatch;

/// Bytes kept in memory to be written, and if need be halved, together.
const CHUNK_BYTES: u64 = 1 << 20;

/// Applies `rows` as `job` says.
pub(super) async fn apply(
    pool: &MySqlPool,
    schemas: &Schemas,
    job: ApplyJob,
    rows: RowStream,
    progress: watch::Sender<ApplyProgress>,
) -> Result<Applied, EngineError> {
    let mut work = Work {
        writer: open(pool, schemas, job).await?,
        chunk: Chunk::default(),
        held: Held::new(),
        seen: Seen::new(),
        transaction: Transaction::new(),
        waiting: 0,
        straight_failures: 0,
        told: ApplyProgress::default(),
        applied: Applied::default(),
        progress,
    };
    let outcome = work.consume(rows).await;
    // Closed also after success: the temporary table and the prepared statements are of no use to anybody else.
    work.writer.session.abandon().await;
    outcome?;
    Ok(Applied {
        rows: work.told.rows_taken,
        began_empty: work.writer.destination.began_empty,
        ..work.applied
    })
}

/// A session, and what is known of the table of `job`.
async fn open(pool: &MySqlPool, schemas: &Schemas, job: ApplyJob) -> Result<Writer, EngineError> {
    let mut session = Session::open(pool).await?;
    match prepare(&mut session, schemas, &job).await {
        Ok(destination) => Ok(Writer {
            session,
            schemas: schemas.clone(),
            job,
            destination,
            staged: false,
        }),
        Err(err) => {
            session.abandon().await;
            Err(err)
        }
    }
}

struct Work {
    writer: Writer,
    chunk: Chunk,
    /// Rows that may fit once others are there.
    held: Held,
    seen: Seen,
    transaction: Transaction,
    /// Rows of the stream in it.
    waiting: u64,
    straight_failures: u32,
    told: ApplyProgress,
    applied: Applied,
    progress: watch::Sender<ApplyProgress>,
}

impl Work {
    async fn consume(&mut self, mut rows: RowStream) -> Result<(), EngineError> {
        if !self.writer.destination.began_empty {
            self.writer.make_stage().await;
        }
        loop {
            let patience = self.transaction.patience(self.way());
            let Ok(next) = tokio::time::timeout(patience, rows.recv()).await else {
                self.flush().await?;
                self.commit().await?;
                continue;
            };
            match next {
                Some(Ok(Flow::Rows(batch))) => self.take(batch).await?,
                Some(Ok(Flow::End)) => break,
                Some(Err(err)) => return Err(err),
                None => return Err(EngineError::Cut(self.writer.table().clone())),
            }
        }
        self.flush().await?;
        self.commit().await?;
        self.settle().await
    }

    async fn take(&mut self, mut batch: RowBatch) -> Result<(), EngineError> {
        while !batch.data.is_empty() {
            let room = self.room();
            let nothing_waits = self.chunk.is_empty() && !self.transaction.is_open();
            let filled = self.chunk.fill(&mut batch, room, nothing_waits);
            let taken = filled.map_err(|err| self.writer.malformed(&err))?;
            self.told.rows_taken += taken;
            self.progress.send_replace(self.told);
            if batch.data.is_empty() && self.chunk.bytes < CHUNK_BYTES {
                break;
            }
            if self.chunk.is_empty() {
                self.commit().await?;
            } else {
                self.flush().await?;
            }
        }
        if self.transaction.is_overdue(self.way()) {
            self.commit().await?;
        }
        Ok(())
    }

    /// What the chunk may still take.
    fn room(&self) -> Room {
        let budget = self.writer.job.budget;
        self.transaction.room(budget, &self.chunk, CHUNK_BYTES)
    }

    async fn flush(&mut self) -> Result<(), EngineError> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let chunk = std::mem::take(&mut self.chunk);
        self.begin().await?;
        self.transaction.add(chunk.rows, chunk.bytes);
        self.waiting += chunk.rows;
        self.write(&chunk.parts).await
    }

    /// Opens a transaction unless one is open.
    async fn begin(&mut self) -> Result<(), EngineError> {
        if !self.transaction.is_open() {
            self.writer.begin().await?;
            self.transaction.begin();
        }
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), EngineError> {
        if self.transaction.end().is_none() {
            return Ok(());
        }
        self.writer.run("commit").await?;
        self.told.rows_committed += std::mem::take(&mut self.waiting);
        self.told.changes = self.applied.changes;
        self.progress.send_replace(self.told);
        Ok(())
    }

    /// After `rows` were tried again.
    async fn commit_if_due(&mut self, rows: &[Bytes]) -> Result<(), EngineError> {
        let size = |number| u64::try_from(number).unwrap_or(u64::MAX);
        let bytes = rows.iter().map(Bytes::len).sum();
        self.transaction.add(size(rows.len()), size(bytes));
        let room = self.room();
        if room.rows == 0 || room.bytes == 0 || self.transaction.is_overdue(Way::ByKey) {
            self.commit().await?;
        }
        Ok(())
    }

    /// Ends the row's part in this job.
    fn reject(&mut self, tuple: &Bytes, refusal: Refusal) -> Result<(), EngineError> {
        let rejected = &mut self.applied.rejected;
        self.writer.job.reject(rejected, tuple, refusal)
    }
}
