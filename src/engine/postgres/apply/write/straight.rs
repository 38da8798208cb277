//! Savepoints around the pieces that go straight into the table.
//!
//! Invariant: a piece is kept whole or undone.

use crate::engine::error::EngineError;
use crate::engine::fault::Fault;
use crate::engine::postgres::apply::write::{KEEP, SAVE, UNDO, Writer};
use crate::engine::postgres::fault::writing;

/// In one go: the server has nothing to do until the answer has come and gone.
const KEEP_AND_SAVE: &str = "release savepoint evenkeel; savepoint evenkeel";

impl Writer {
    /// Makes ready to undo the next piece that goes straight: every one has the last thing before it to go back to.
    pub(in crate::engine::postgres::apply) async fn ready_straight(
        &mut self,
    ) -> Result<(), EngineError> {
        if !self.saved {
            self.run(SAVE).await?;
            self.saved = true;
        }
        Ok(())
    }

    /// What comes next goes through the stage.
    pub(super) async fn leave_straight(&mut self) -> Result<(), EngineError> {
        if self.saved {
            self.run(KEEP).await?;
            self.saved = false;
        }
        Ok(())
    }

    /// Whether the `sent` rows that went straight are in; if not, nothing of them is.
    pub(in crate::engine::postgres::apply) async fn keep_straight(
        &mut self,
        copied: Result<u64, sqlx::Error>,
        sent: u64,
    ) -> Result<bool, EngineError> {
        match copied.map_err(|err| writing(err, self.table())) {
            Ok(rows) if rows == sent => {
                self.run(KEEP_AND_SAVE).await?;
                self.applied.changes.added += rows;
                Ok(true)
            }
            Err(Fault::Engine(err)) => Err(err),
            // A row does not fit, or a trigger left some out.
            Ok(_) | Err(Fault::Row(_)) => {
                self.run(UNDO).await?;
                self.saved = false;
                self.straight_failures += 1;
                Ok(false)
            }
        }
    }
}
