//! What a run leaves behind, and with it which connection writes which table: the two-writers rule reads it.
//!
//! Invariant: a connection is told only of writers that were there before it, so a table's first writer is never
//! stopped by one that came later and was let in as shared.

use jiff::Timestamp;

use crate::model::id::ConnectionId;
use crate::model::outcome::{Outcome, outcomes};
use crate::model::run::{Run, RunStatus, RunTable};
use crate::model::table::TableName;
use crate::store::outcome::note_outcome;
use crate::store::pool::{fetch_optional, on_pool};
use crate::store::record::{Record, micros, to_json};
use crate::store::{Store, StoreError};

/// A run that goes on has no last word.
const NOTHING_YET: &[Outcome] = &[];

/// Runs an update of a run, and in the same transaction notes the tables it wrote, as written since it was made, and
/// what it says about them now that it ended.
macro_rules! update_run {
    ($store:expr, $run:expr, $outcomes:expr, $sql:expr $(, $value:expr)* $(,)?) => {
        on_pool!($store, |db| {
            let mut tx = db.begin().await?;
            let updated = sqlx::query($sql)$(.bind($value))*.execute(&mut *tx).await?;
            if updated.rows_affected() > 0 {
                for table in $run.tables.iter().filter(|table| has_written(table)) {
                    sqlx::query(
                        "insert into writer (table_name, connection_id, since)
                        values ($1, $2, $3)
                        on conflict (table_name, connection_id) do nothing",
                    )
                    .bind(table.table.to_string())
                    .bind($run.connection_id.to_string())
                    .bind(micros($run.created_at))
                    .execute(&mut *tx)
                    .await?;
                }
                for outcome in $outcomes {
                    note_outcome!(outcome, &mut *tx);
                }
            }
            tx.commit().await?;
        })
    };
}

impl Store {
    /// Writes progress and tables of a running run, and notes what it wrote to.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn save_progress(&self, run: &Run) -> Result<(), StoreError> {
        update_run!(
            self,
            run,
            NOTHING_YET,
            "update run
            set progress = $2,
                tables = $3
            where id = $1
              and status = 'running'",
            run.id.to_string(),
            to_json(&run.progress)?,
            to_json(&run.tables)?
        );
        Ok(())
    }

    /// Writes status, tables, progress and error of a run that became final, and notes what it wrote to and what it
    /// says about its tables.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn finish_run(&self, run: &Run, now: Timestamp) -> Result<(), StoreError> {
        update_run!(
            self,
            run,
            &outcomes(run, now),
            "update run
            set status = $2,
                completed_at = $3,
                next_attempt_at = null,
                progress = $4,
                tables = $5,
                error = $6
            where id = $1
              and status in ('pending', 'running')",
            run.id.to_string(),
            run.status.as_str(),
            micros(now),
            to_json(&run.progress)?,
            to_json(&run.tables)?,
            run.error.as_ref().map(to_json).transpose()?
        );
        Ok(())
    }

    /// Another connection that wrote to `table` before `connection` first did, for the two-writers rule: its id, if
    /// any. Connections that are deleted, revoked or severed count no more.
    ///
    /// # Errors
    /// When the database fails or what it holds cannot be read.
    pub async fn other_writer(
        &self,
        table: &TableName,
        connection: ConnectionId,
    ) -> Result<Option<ConnectionId>, StoreError> {
        let row = fetch_optional!(
            self,
            "select other.table_name, other.connection_id
            from writer other
            join connection on connection.id = other.connection_id
            where other.table_name = $1
              and other.connection_id <> $2
              and connection.deleted_at is null
              and connection.local_status <> 'revoked'
              and connection.remote_status not in ('revoked', 'severed')
              and not exists (
                select 1
                from writer own
                where own.table_name = $1
                  and own.connection_id = $2
                  and own.since <= other.since
              )
            order by other.since
            limit 1",
            table.to_string(),
            connection.to_string()
        );
        row.map(|row| Record::new("writer", "table_name", row).parsed("connection_id"))
            .transpose()
    }
}

/// A table that came through was written, even where it was equal already; one that failed was, as far as it came.
fn has_written(table: &RunTable) -> bool {
    let changes = &table.changes;
    matches!(
        table.status,
        RunStatus::Completed | RunStatus::CompletedWithErrors
    ) || changes.added > 0
        || changes.updated > 0
        || changes.deleted > 0
}
