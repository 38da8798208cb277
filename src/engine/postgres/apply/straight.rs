//! Straight COPY into a table that began empty: rows are sent as they come, and kept until the database has taken them.
//!
//! That database is the slowest of all that take part in a first copy, so it should never wait: neither for a piece to be
//! gathered, nor longer than two answers between one piece and the next.
//! Invariant: a piece is in the table whole, or was undone and went through the stage.

use crate::engine::driver::RowStream;
use crate::engine::error::EngineError;
use crate::engine::postgres::apply::copying::Copying;
use crate::engine::postgres::apply::{Applier, Next};
use crate::engine::postgres::connect::Session;
use crate::engine::transaction::Way;
use crate::wire::row::RowBatch;

/// Bytes of one COPY. They stay in memory until it has ended, to be halved if need be.
const PIECE_BYTES: u64 = 8 << 20;

/// A piece that was sent.
struct Sent {
    /// What the database said of it.
    copied: Result<u64, sqlx::Error>,
    /// What came next and does not belong to it, if anything did.
    next: Option<Next>,
}

impl Applier {
    /// Copies `batch`, and what follows it, until a piece or the transaction is full or has lasted long enough, nothing
    /// came for a while, or the end came; what comes next then.
    pub(super) async fn copy_straight(
        &mut self,
        mut batch: RowBatch,
        rows: &mut RowStream,
    ) -> Result<Next, EngineError> {
        self.fill(&mut batch, PIECE_BYTES)?;
        if self.chunk.is_empty() {
            self.commit().await?;
            return Ok(Next::Rows(batch));
        }
        self.begin().await?;
        self.writer.ready_straight().await?;
        // While the COPY has the session, nobody else can use it.
        let mut session = self.writer.session().lend();
        let sent = self.send(&mut session, batch, rows).await;
        *self.writer.session() = session;
        let Sent { copied, next } = sent?;
        let piece = std::mem::take(&mut self.chunk);
        self.transaction.add(piece.rows, piece.bytes);
        if !self.writer.keep_straight(copied, piece.rows).await? {
            self.writer.write(&piece.parts).await?;
        }
        if self.transaction.is_overdue(Way::Straight) {
            self.commit().await?;
        }
        match next {
            Some(next) => Ok(next),
            None => self.next(rows).await,
        }
    }

    /// Sends what the chunk holds, then `batch`, then what follows, all of which it keeps.
    async fn send(
        &mut self,
        session: &mut Session,
        mut batch: RowBatch,
        rows: &mut RowStream,
    ) -> Result<Sent, EngineError> {
        let statement = self.writer.copy_into_table();
        let lost = |err| self.writer.engine(err);
        let mut copying = Copying::begin(session, &statement).await.map_err(lost)?;
        let mut sent = 0;
        let next = loop {
            if let Some(part) = self.chunk.parts.get(sent) {
                let lost = |err| self.writer.engine(err);
                copying.send(part).await.map_err(lost)?;
                sent += 1;
            }
            if !batch.data.is_empty() {
                break Some(Next::Rows(batch));
            }
            if self.chunk.bytes >= PIECE_BYTES || self.transaction.is_overdue(Way::Straight) {
                break None;
            }
            match self.next(rows).await? {
                Next::Rows(more) => {
                    batch = more;
                    self.fill(&mut batch, PIECE_BYTES)?;
                }
                other => break Some(other),
            }
        };
        let copied = copying.finish().await;
        Ok(Sent { copied, next })
    }
}
