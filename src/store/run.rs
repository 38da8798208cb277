//! Runs: the queue and the history in one table.

use jiff::Timestamp;

use crate::model::id::{ConnectionId, RunId};
use crate::model::run::{Run, RunError, RunStatus};
use crate::store::{ListPage, Store, StoreError};

/// A page of runs, newest first.
pub type RunPage = ListPage<RunId>;

/// Which runs to list.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    /// Only of this connection.
    pub connection: Option<ConnectionId>,
    /// Only in this status.
    pub status: Option<RunStatus>,
    /// Only made at or after this time.
    pub since: Option<Timestamp>,
}

#[expect(clippy::unused_async, unused_variables, reason = "being written")]
impl Store {
    /// Adds a pending run.
    pub async fn insert_run(&self, run: &Run) -> Result<(), StoreError> {
        todo!()
    }
    /// One run.
    pub async fn run(&self, id: RunId) -> Result<Option<Run>, StoreError> {
        todo!()
    }
    /// Runs, newest first.
    pub async fn runs(&self, filter: &RunFilter, page: RunPage) -> Result<Vec<Run>, StoreError> {
        todo!()
    }
    /// Pending runs due at `now`, oldest first.
    pub async fn due_runs(&self, now: Timestamp) -> Result<Vec<Run>, StoreError> {
        todo!()
    }
    /// The earliest `next_attempt_at` of the pending runs, for the runner's sleep.
    pub async fn next_attempt(&self) -> Result<Option<Timestamp>, StoreError> {
        todo!()
    }
    /// Pending becomes running with `attempt + 1`; false when it was no longer pending.
    pub async fn start_run(&self, id: RunId, now: Timestamp) -> Result<bool, StoreError> {
        todo!()
    }
    /// Writes progress and tables of a running run.
    pub async fn save_progress(&self, run: &Run) -> Result<(), StoreError> {
        todo!()
    }
    /// Running becomes pending again until `next_attempt_at`.
    pub async fn postpone_run(
        &self,
        run: &Run,
        next_attempt_at: Timestamp,
        error: &RunError,
    ) -> Result<(), StoreError> {
        todo!()
    }
    /// A pending run waits for another writer: `error.code` `waiting_for_run`; does not count as an attempt.
    pub async fn set_waiting(
        &self,
        id: RunId,
        error: &RunError,
        next_attempt_at: Timestamp,
    ) -> Result<(), StoreError> {
        todo!()
    }
    /// Writes status, tables, progress and error of a run that became final.
    pub async fn finish_run(&self, run: &Run, now: Timestamp) -> Result<(), StoreError> {
        todo!()
    }
    /// Asks a run to stop: a pending one is cancelled at once, a running one is marked. False when it is final.
    pub async fn request_cancel(&self, id: RunId, now: Timestamp) -> Result<bool, StoreError> {
        todo!()
    }
    /// At start: runs found running were interrupted; they become pending and due at once. Returns how many.
    pub async fn take_over_running(&self, now: Timestamp) -> Result<u64, StoreError> {
        todo!()
    }
    /// Another connection whose runs completed writes to `table` before, for the two-writers rule: its id, if any.
    pub async fn other_writer(
        &self,
        table: &crate::model::table::TableName,
        connection: ConnectionId,
    ) -> Result<Option<ConnectionId>, StoreError> {
        todo!()
    }
}
