//! The last word about each table: what the newest run that came to an end said.
//!
//! Written by the transaction that ends a run. Invariant: a run made earlier never overrules one made later, however
//! late it ends.

use jiff::Timestamp;

use crate::model::id::{ConnectionId, RunId};
use crate::model::outcome::Outcome;
use crate::store::pool::{execute, fetch_all};
use crate::store::record::{Record, micros};
use crate::store::{Store, StoreError};

/// Adds an outcome in a transaction, or has `$change` happen to that of an earlier run.
macro_rules! upsert_outcome {
    ($outcome:expr, $tx:expr, $change:literal) => {
        sqlx::query(concat!(
            "insert into outcome
                (connection_id, table_name, run_id, status, comparison, ended_at, row_count,
                counted_at, dismissed_at)
            values ($1, $2, $3, $4, $5, $6, $7, $8, null)
            on conflict (connection_id, table_name) do update
            set comparison = excluded.comparison,
                ended_at = excluded.ended_at,
                row_count = coalesce(excluded.row_count, outcome.row_count),
                counted_at = coalesce(excluded.counted_at, outcome.counted_at)",
            $change,
            "
            where excluded.run_id >= outcome.run_id"
        ))
        .bind($outcome.connection_id.to_string())
        .bind($outcome.table.to_string())
        .bind($outcome.run_id.to_string())
        .bind($outcome.status.as_str())
        .bind(
            $outcome
                .comparison
                .map($crate::model::outcome::Comparison::as_str),
        )
        .bind($crate::store::record::micros($outcome.ended_at))
        .bind($crate::store::record::optional_bigint($outcome.rows)?)
        .bind($crate::store::record::optional_micros($outcome.counted_at))
        .execute($tx)
        .await?
    };
}
pub(super) use upsert_outcome;

/// Adds an [`Outcome`] in a transaction, or lets it replace the one of an earlier run.
macro_rules! note_outcome {
    ($outcome:expr, $tx:expr) => {
        $crate::store::outcome::upsert_outcome!(
            $outcome,
            $tx,
            ",
                run_id = excluded.run_id,
                status = excluded.status,
                dismissed_at = null"
        )
    };
}
pub(super) use note_outcome;

/// Adds what a run that wrote nothing saw: how a table stands to the peer's. What became of the last run that did
/// write stays the last word about that.
macro_rules! note_comparison {
    ($outcome:expr, $tx:expr) => {
        if $outcome.comparison.is_some() {
            $crate::store::outcome::upsert_outcome!($outcome, $tx, "");
        }
    };
}
pub(super) use note_comparison;

macro_rules! select_outcome {
    ($rest:literal) => {
        concat!(
            "select connection_id, table_name, run_id, status, comparison, ended_at, row_count,
                counted_at, dismissed_at
            from outcome ",
            $rest
        )
    };
}

impl Store {
    /// The last words over this connection, by table.
    ///
    /// # Errors
    /// When the database fails or what it holds cannot be read.
    pub async fn outcomes(&self, connection: ConnectionId) -> Result<Vec<Outcome>, StoreError> {
        let rows = fetch_all!(
            self,
            select_outcome!("where connection_id = $1 order by table_name"),
            connection.to_string()
        );
        rows.into_iter()
            .map(|row| outcome(&Record::new("outcome", "table_name", row)))
            .collect()
    }

    /// The last words that are not good and that nobody dismissed, over all connections.
    ///
    /// # Errors
    /// When the database fails or what it holds cannot be read.
    pub async fn outcomes_to_tell(&self) -> Result<Vec<Outcome>, StoreError> {
        let rows = fetch_all!(
            self,
            select_outcome!(
                "where status <> 'completed'
                  and dismissed_at is null
                order by run_id desc, table_name"
            )
        );
        rows.into_iter()
            .map(|row| outcome(&Record::new("outcome", "table_name", row)))
            .collect()
    }

    /// A person knows what became of this run's tables: it is told no more.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn dismiss_run(&self, run: RunId, now: Timestamp) -> Result<(), StoreError> {
        execute!(
            self,
            "update outcome
            set dismissed_at = $2
            where run_id = $1
              and dismissed_at is null",
            run.to_string(),
            micros(now)
        );
        Ok(())
    }
}

fn outcome(record: &Record) -> Result<Outcome, StoreError> {
    Ok(Outcome {
        connection_id: record.parsed("connection_id")?,
        table: record.parsed("table_name")?,
        run_id: record.parsed("run_id")?,
        status: record.parsed("status")?,
        comparison: record.optional_parsed("comparison")?,
        ended_at: record.time("ended_at")?,
        rows: record.optional_count("row_count")?,
        counted_at: record.optional_time("counted_at")?,
        dismissed_at: record.optional_time("dismissed_at")?,
    })
}
