//! Runs and what they did: one run is one row from its first attempt to its last.

mod order;
mod progress;
mod transfer;

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::id::{ConnectionId, RunId, SyncId};
use crate::model::table::TableName;
use crate::model::word::words;

pub use order::RunOrder;
pub use progress::Progress;
pub use transfer::{Transfer, TransferDirection};

/// Which rows a run may write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SyncMode {
    /// Inserts and updates.
    #[default]
    Upsert,
    /// Only rows whose key is absent here.
    Insert,
    /// Only rows whose key is present here.
    Update,
    /// Inserts, updates, and deletes of rows that are only here.
    Mirror,
}

/// What becomes of a row that exists on both sides and differs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConflictStrategy {
    /// The incoming row replaces it.
    #[default]
    Overwrite,
    /// The local row stays.
    Skip,
    /// Per column the incoming value, unless it is NULL.
    Merge,
    /// The row whose version column is later; at a tie the local one.
    Newest,
}

/// What becomes of the differences that a run finds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Apply {
    /// They are told, and everything stays as it is.
    No,
    /// They are told, and a person decides.
    Ask,
    /// They are gone afterwards, as mode and strategy say.
    #[default]
    Yes,
}

/// A run's place in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunStatus {
    /// Waits: for the runner, for its next attempt, or for another writer.
    Pending,
    /// At work.
    Running,
    /// Everything was done.
    Completed,
    /// Done, but for quarantined rows.
    CompletedWithErrors,
    /// Found what is to be done; a person decides whether it is.
    NeedsApproval,
    /// Gave up; final.
    Failed,
    /// A person stopped it; final.
    Cancelled,
}

words! {
    SyncMode { Upsert = "upsert", Insert = "insert", Update = "update", Mirror = "mirror" }
    ConflictStrategy { Overwrite = "overwrite", Skip = "skip", Merge = "merge", Newest = "newest" }
    Apply { No = "no", Ask = "ask", Yes = "yes" }
    RunStatus {
        Pending = "pending", Running = "running", Completed = "completed",
        CompletedWithErrors = "completed_with_errors", NeedsApproval = "needs_approval",
        Failed = "failed", Cancelled = "cancelled",
    }
}

impl RunStatus {
    /// Whether nothing more will happen to the run.
    #[must_use]
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Pending | Self::Running | Self::NeedsApproval)
    }
}

/// Rows by what became of them. Rows that were equal already count nowhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Changes {
    /// Inserted.
    pub added: u64,
    /// Changed.
    pub updated: u64,
    /// Deleted.
    pub deleted: u64,
    /// Left out because mode or strategy says so.
    pub skipped: u64,
    /// Left as they are because they are no longer what was compared or approved.
    pub moved: u64,
    /// Differ and stayed so.
    pub conflicts: u64,
}

impl Changes {
    /// Rows that were inserted, changed or deleted.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.added + self.updated + self.deleted
    }

    /// Without `other`, which is a part of this.
    #[must_use]
    pub fn less(&self, other: &Self) -> Self {
        Self {
            added: self.added.saturating_sub(other.added),
            updated: self.updated.saturating_sub(other.updated),
            deleted: self.deleted.saturating_sub(other.deleted),
            skipped: self.skipped.saturating_sub(other.skipped),
            moved: self.moved.saturating_sub(other.moved),
            conflicts: self.conflicts.saturating_sub(other.conflicts),
        }
    }

    /// Adds `other` to this.
    pub fn add(&mut self, other: &Self) {
        self.added += other.added;
        self.updated += other.updated;
        self.deleted += other.deleted;
        self.skipped += other.skipped;
        self.moved += other.moved;
        self.conflicts += other.conflicts;
    }
}

/// Why a run, or one table of it, did not go through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunError {
    /// For scripts: a [`FaultCode`](crate::model::fault::FaultCode), or what a peer that refused called it.
    pub code: String,
    /// What happened, to what.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
    /// Seconds after which the peer wants to be asked again.
    pub retry_after: Option<u64>,
}

/// One table of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunTable {
    /// Its name here.
    pub table: TableName,
    /// As of this table alone.
    pub status: RunStatus,
    /// Rows the source sent.
    pub rows_source: Option<u64>,
    /// Rows here afterwards.
    pub rows_destination: Option<u64>,
    /// By what became of them.
    pub changes: Changes,
    /// Rows written or found equal.
    pub rows_synced: u64,
    /// Rows quarantined.
    pub rows_failed: u64,
    /// As received.
    pub bytes_on_wire: u64,
    /// `null`: not compared.
    pub drift_before: Option<u64>,
    /// `null`: cannot be or is not yet proved.
    pub proved_equal: Option<bool>,
    /// When it was proved equal.
    #[serde(default)]
    pub proved_at: Option<Timestamp>,
    /// The tally's root.
    pub root: Option<String>,
    /// Why it failed.
    pub error: Option<RunError>,
}

impl RunTable {
    /// A table not begun.
    #[must_use]
    pub fn waiting(table: TableName) -> Self {
        Self {
            table,
            status: RunStatus::Pending,
            rows_source: None,
            rows_destination: None,
            changes: Changes::default(),
            rows_synced: 0,
            rows_failed: 0,
            bytes_on_wire: 0,
            drift_before: None,
            proved_equal: None,
            proved_at: None,
            root: None,
            error: None,
        }
    }
}

/// One execution.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Its identifier.
    pub id: RunId,
    /// The source.
    pub connection_id: ConnectionId,
    /// What was asked for.
    pub order: RunOrder,
    /// Its place in its life.
    pub status: RunStatus,
    /// The sync it belongs to; `None`: a one-off.
    pub sync_id: Option<SyncId>,
    /// The time of the sync's schedule it was made for.
    pub planned_at: Option<Timestamp>,
    /// When it is tried no more: a scheduled run when its sync's next time comes. `None`: as long as a one-off.
    pub give_up_at: Option<Timestamp>,
    /// Who or what made it: `unix:anna`, `token:backup`, `schedule`.
    pub triggered_by: String,
    /// Counts from 1 with the first attempt.
    pub attempt: u32,
    /// When it is tried again.
    pub next_attempt_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its first attempt began.
    pub started_at: Option<Timestamp>,
    /// When it became final.
    pub completed_at: Option<Timestamp>,
    /// How far it is.
    pub progress: Progress,
    /// The last attempt's fault.
    pub error: Option<RunError>,
    /// What it is to do, once that is known: 64 hexadecimal digits.
    pub plan_hash: Option<String>,
    /// The plan that a person approved.
    pub approved_plan: Option<String>,
    /// What became of each table.
    pub tables: Vec<RunTable>,
    /// A person asked for it to stop.
    pub cancel_requested: bool,
    /// Its sync's second schedule made it: it compares, beside the sync's other runs.
    pub looks: bool,
}

impl Run {
    /// A one-off run that is due at once.
    #[must_use]
    pub fn new(
        connection_id: ConnectionId,
        order: RunOrder,
        triggered_by: &str,
        now: Timestamp,
    ) -> Self {
        Self {
            id: RunId::generate(),
            connection_id,
            order,
            status: RunStatus::Pending,
            sync_id: None,
            planned_at: None,
            give_up_at: None,
            triggered_by: triggered_by.to_owned(),
            attempt: 0,
            next_attempt_at: None,
            created_at: now,
            started_at: None,
            completed_at: None,
            progress: Progress::default(),
            error: None,
            plan_hash: None,
            approved_plan: None,
            tables: Vec::new(),
            cancel_requested: false,
            looks: false,
        }
    }

    /// Whether it may change rows: one that only compares may not, and one that asks may once a person approved.
    #[must_use]
    pub fn writes(&self) -> bool {
        match self.order.apply {
            Apply::No => false,
            Apply::Ask => self.approved_plan.is_some(),
            Apply::Yes => true,
        }
    }

    /// Ends it without success, and with it the tables that are not over yet; `error` as the last attempt left it.
    pub fn end(&mut self, status: RunStatus) {
        self.status = status;
        let open = |table: &&mut RunTable| !table.status.is_final();
        for table in self.tables.iter_mut().filter(open) {
            table.status = status;
        }
    }

    /// Sums over its tables.
    #[must_use]
    pub fn changes(&self) -> Changes {
        let mut sum = Changes::default();
        for table in &self.tables {
            sum.add(&table.changes);
        }
        sum
    }
}

/// A row that could not be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuarantinedRow {
    /// Its table here.
    pub table: TableName,
    /// Its key, one JSON object of column and text.
    pub key: serde_json::Value,
    /// The column at fault, where one is.
    pub column: Option<String>,
    /// What does not fit.
    pub reason: String,
}

/// The pause before attempt `attempt + 1`, unspread: 5 s, 30 s, 2 min, 10 min, 30 min, then hourly.
#[must_use]
pub fn pause_after(attempt: u32) -> Duration {
    Duration::from_secs(match attempt {
        0 | 1 => 5,
        2 => 30,
        3 => 120,
        4 => 600,
        5 => 1_800,
        _ => 3_600,
    })
}

#[cfg(test)]
mod tests {
    use super::pause_after;

    #[test]
    fn pauses_grow_to_an_hour() {
        let pauses: Vec<u64> = (1..=8)
            .map(|attempt| pause_after(attempt).as_secs())
            .collect();
        assert_eq!(pauses, [5, 30, 120, 600, 1_800, 3_600, 3_600, 3_600]);
    }
}
