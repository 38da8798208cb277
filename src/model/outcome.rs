//! What the newest run that came to an end said about a table.
//!
//! Invariant: a run that was cancelled says nothing, and a table a run did not come to shares the run's end.

use jiff::Timestamp;

use crate::model::id::{ConnectionId, RunId};
use crate::model::run::{Run, RunStatus, RunTable};
use crate::model::table::TableName;
use crate::model::word::words;

/// How a table here stands to the peer's, as far as a run could tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// Proved equal.
    Equal,
    /// Rows differ, or are on one side only.
    Different,
}

words! {
    Comparison { Equal = "equal", Different = "different" }
}

/// The last word about one table of one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Over which connection it came.
    pub connection_id: ConnectionId,
    /// The table here.
    pub table: TableName,
    /// The run that said it.
    pub run_id: RunId,
    /// How the run ended for this table; final.
    pub status: RunStatus,
    /// `None`: the run could not tell.
    pub comparison: Option<Comparison>,
    /// When the run ended.
    pub ended_at: Timestamp,
    /// Rows here, when they were last counted; a failed run keeps the count of the one before.
    pub rows: Option<u64>,
    /// When they were counted.
    pub counted_at: Option<Timestamp>,
    /// When a person said that they know.
    pub dismissed_at: Option<Timestamp>,
}

/// What `run`, which ended at `now`, says about each of its tables.
#[must_use]
pub fn outcomes(run: &Run, now: Timestamp) -> Vec<Outcome> {
    let outcome = |table: &TableName, status| Outcome {
        connection_id: run.connection_id,
        table: table.clone(),
        run_id: run.id,
        status,
        comparison: None,
        ended_at: now,
        rows: None,
        counted_at: None,
        dismissed_at: None,
    };
    let speaks = |status| {
        matches!(
            status,
            RunStatus::Completed | RunStatus::CompletedWithErrors | RunStatus::Failed
        )
    };
    if run.tables.is_empty() {
        let tables = run.order.tables.iter().filter(|_| speaks(run.status));
        return tables
            .map(|table| outcome(table.destination(), run.status))
            .collect();
    }
    let tables = run.tables.iter().filter(|table| speaks(table.status));
    tables
        .map(|table| Outcome {
            comparison: comparison(run, table),
            rows: table.rows_destination,
            counted_at: table.rows_destination.map(|_| now),
            ..outcome(&table.table, table.status)
        })
        .collect()
}

/// What was proved, but for rows of the source that the rules left out; without a proof only a difference is certain: rows
/// that were left as they are, by a run that compares all of them.
fn comparison(run: &Run, table: &RunTable) -> Option<Comparison> {
    let done = table.status != RunStatus::Failed;
    let changes = &table.changes;
    let mut left = table.rows_failed + changes.skipped + changes.moved + changes.conflicts;
    if !run.writes() {
        left += changes.written();
    }
    match table.proved_equal {
        Some(true) if left == 0 => Some(Comparison::Equal),
        Some(_) => Some(Comparison::Different),
        None => (done && left > 0).then_some(Comparison::Different),
    }
}

/// Since when all tables of `run` are known to have been equal: the oldest of their proofs. `None`: not all of them were
/// proved.
#[must_use]
pub fn proved_equal_at(run: &Run) -> Option<Timestamp> {
    let ordered = run.order.destinations();
    let proofs = ordered.iter().map(|name| {
        let mut tables = run.tables.iter();
        tables.find(|table| table.table == *name)?.proved_at
    });
    // An earlier one is less, but none at all is the least.
    proofs.min().flatten()
}

#[cfg(test)]
mod tests;
