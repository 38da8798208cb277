//! The connection of a job: its short transactions, the pauses between them, and the table as it was when it began.
//!
//! Invariant: whatever is written is written to the table that was described, and nothing is after its caller is gone.

use std::time::Instant;

use rusqlite::Connection;

use crate::engine::driver::ApplyJob;
use crate::engine::error::EngineError;
use crate::engine::sqlite::apply::destination::Destination;
use crate::engine::sqlite::apply::key_form::check_key_form;
use crate::engine::sqlite::apply::pace::Pace;
use crate::engine::sqlite::caller::CallerWatch;
use crate::engine::sqlite::fault::engine_error;
use crate::engine::sqlite::introspect::{self, Described};

/// What a transaction has changed stays in memory up to here: in KiB, as a minus tells SQLite.
const SPILLED_FROM: i64 = -32 * 1024;

/// Writes to one table.
pub(super) struct Writer<'c> {
    pub(super) connection: &'c Connection,
    pub(super) job: &'c ApplyJob,
    pub(super) destination: Destination<'c>,
    pub(super) pace: Pace,
    described: &'c Described,
    schema_version: i64,
    caller: &'c CallerWatch,
}

/// The table of `job` and the version of the schema it is described in.
pub(super) fn describe(
    connection: &Connection,
    job: &ApplyJob,
) -> Result<(Described, i64), EngineError> {
    let table = &job.table.name;
    let fault = |err: rusqlite::Error| engine_error(&err, table);
    // `Writer::checkpoint` does it instead.
    connection
        .pragma_update(None, "wal_autocheckpoint", 0)
        .map_err(fault)?;
    // Pages written before the commit would, without a write-ahead log, keep readers waiting from then on.
    connection
        .pragma_update(Some("main"), "cache_spill", SPILLED_FROM)
        .map_err(fault)?;
    let schema_version = schema_version(connection).map_err(fault)?;
    let described = introspect::table(connection, table)
        .map_err(fault)?
        .ok_or_else(|| EngineError::NoTable(table.clone()))?;
    Ok((described, schema_version))
}

impl<'c> Writer<'c> {
    /// Makes ready to write as `job` says, to what [`describe`] found.
    ///
    /// # Errors
    /// When the table cannot be written, or is no longer what `job` took it for.
    pub(super) fn new(
        connection: &'c Connection,
        job: &'c ApplyJob,
        (described, schema_version): &'c (Described, i64),
        caller: &'c CallerWatch,
    ) -> Result<Self, EngineError> {
        let writer = Self {
            connection,
            job,
            destination: Destination::new(connection, job, described)?,
            pace: Pace::new(Instant::now()),
            described,
            schema_version: *schema_version,
            caller,
        };
        let targets = &writer.destination.targets;
        check_key_form(connection, described, targets, || writer.go_on())?;
        Ok(writer)
    }

    /// Opens a transaction unless one is open, after the pause the last one owes.
    pub(super) fn begin(&mut self) -> Result<(), EngineError> {
        if self.pace.is_open() {
            return self.go_on();
        }
        if !self.caller.waits_after(self.pace.owed(Instant::now())) {
            return Err(self.cut());
        }
        self.execute("begin immediate")?;
        self.pace.begin(Instant::now());
        self.check_schema()
    }

    /// Fails when the result is no longer waited for.
    pub(super) fn go_on(&self) -> Result<(), EngineError> {
        if self.caller.waits() {
            Ok(())
        } else {
            Err(self.cut())
        }
    }

    /// Commits what is open; whether anything was.
    pub(super) fn commit(&mut self) -> Result<bool, EngineError> {
        if !self.pace.is_open() {
            return Ok(false);
        }
        self.execute("commit")?;
        self.pace.end(Instant::now());
        self.checkpoint();
        Ok(true)
    }

    /// Undoes what is open.
    pub(super) fn roll_back(&mut self) -> Result<(), EngineError> {
        self.execute("rollback")?;
        self.pace.end(Instant::now());
        Ok(())
    }

    /// Runs statements of this program.
    pub(super) fn execute(&self, text: &'static str) -> Result<(), EngineError> {
        self.connection
            .execute_batch(text)
            .map_err(|err| engine_error(&err, &self.job.table.name))
    }

    /// The fault of work that nobody waits for any more.
    fn cut(&self) -> EngineError {
        EngineError::Cut(self.job.table.name.clone())
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
}

fn schema_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "schema_version", |row| row.get(0))
}
