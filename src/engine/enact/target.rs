//! What carrying out a plan needs of an engine: transactions, and four things done to rows by key.
//!
//! Rows come with all columns of the job; of those that are looked at, deleted or parked only the key counts. Of keyless
//! rows where they are comes instead (`find`); none is looked at before it is inserted, nor are some inserted together with
//! the deletion of others, and what is read back is what was inserted, or is gone, last.
//! Invariant: an engine does what it is told to the rows it is told, and decides nothing.

use std::future::ready;
use std::time::Duration;

use bytes::Bytes;

use crate::engine::driver::ApplyJob;
use crate::engine::error::EngineError;
use crate::engine::fault::{Fault, Refusal};

/// A row as it is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::engine) struct Local {
    pub(in crate::engine) tuple: Bytes,
    /// Every value of it has a place in the row layout.
    pub(in crate::engine) readable: bool,
}

/// What points to a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Pointer {
    /// Another row of the same table.
    Own(Bytes),
    /// Rows of this table.
    Other(String),
}

/// What is done to rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Effect {
    Insert,
    /// Sets all columns but an exact key, by key.
    Update,
    Delete,
    /// Empties what other rows may be waiting for.
    Park,
}

/// What rows are looked at for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Look {
    /// To decide about them: nobody else changes them from then on, until the transaction ends.
    Decide,
    /// To see what has become of rows that were decided about, and written, in this transaction.
    ReadBack,
}

/// One table of one engine.
pub(in crate::engine) trait Target {
    /// An application that wants a row of an open transaction waits no longer than this and one piece.
    const LONGEST: Duration;
    /// How long an open transaction may wait for changes.
    const PATIENCE: Duration;
    /// Changes that are done together: as many as make the statements' own time small beside the rows', and a kibibyte of
    /// memory for each.
    const PIECE_ROWS: usize;

    /// What is worked on.
    fn job(&self) -> &ApplyJob;

    /// Whether equal keys may differ in bytes.
    fn is_folded(&self) -> bool;

    /// Whether a row can only be inserted where none has its key, bytes and all: nothing of the table's own acts in its
    /// place.
    fn inserts_plainly(&self) -> bool;

    /// Whether there are columns that [`Effect::Park`] empties.
    fn can_park(&self) -> bool;

    /// Opens a transaction.
    ///
    /// # Errors
    /// [`EngineError::SchemaChanged`] when the table is no longer what it was.
    fn begin(&mut self) -> impl Future<Output = Result<(), EngineError>> + Send;

    /// Commits it.
    fn commit(&mut self) -> impl Future<Output = Result<(), EngineError>> + Send;

    /// Runs statements of this program.
    fn run(
        &mut self,
        statements: &'static str,
    ) -> impl Future<Output = Result<(), EngineError>> + Send;

    /// The rows that have the keys of `rows` by the database's own `=`, one answer for each.
    fn look(
        &mut self,
        why: Look,
        rows: &[Bytes],
    ) -> impl Future<Output = Result<Vec<Option<Local>>, Fault>> + Send;

    /// Does one thing to rows. Where that tells what they have become, in their order, and nothing can have changed them
    /// since, they need not be read back.
    fn write(
        &mut self,
        effect: Effect,
        rows: &[Bytes],
    ) -> impl Future<Output = Result<Option<Vec<Local>>, Fault>> + Send;

    /// What more there is to be said of a row that did not fit than `refusal` does. Whatever is done for that is gone back
    /// behind.
    fn explain(
        &mut self,
        _: Effect,
        _: &Bytes,
        refusal: Refusal,
    ) -> impl Future<Output = Result<Refusal, EngineError>> + Send {
        ready(Ok(refusal))
    }

    /// What points to `rows` so that their deletion would delete or empty it as well; each with the place of the row. Of the
    /// table's own rows that point to one, at least one more than there are `rows` is told, if there are so many.
    fn pointing(
        &mut self,
        rows: &[Bytes],
    ) -> impl Future<Output = Result<Vec<(usize, Pointer)>, Fault>> + Send;

    /// Ends the work: no transaction is open, and all was committed.
    fn finish(&mut self) -> impl Future<Output = Result<(), EngineError>> + Send;
}
