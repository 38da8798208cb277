//! Syncs whose peer is away, and those whose peer is back.
//!
//! It decides nothing: when a sync is halted, and goes on, stands in `model/absence.rs`.

use jiff::Timestamp;

use crate::model::id::SyncId;
use crate::model::run::RunError;
use crate::store::pool::execute;
use crate::store::record::{micros, to_json};
use crate::store::{Store, StoreError};

impl Store {
    /// An active sync is halted by `fault`. False when it was no longer active.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn halt_sync(&self, id: SyncId, fault: &RunError) -> Result<bool, StoreError> {
        let halted = execute!(
            self,
            "update sync
            set status = 'error',
                status_error = $2,
                next_planned_at = null,
                next_sync_at = null
            where id = $1
              and status = 'active'
              and deleted_at is null",
            id.to_string(),
            to_json(fault)?
        );
        Ok(halted > 0)
    }

    /// A sync that `fault` halted goes on; one with a schedule is due at once, because it missed its times. False when
    /// that fault no longer halts it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn lift_halt(
        &self,
        id: SyncId,
        fault: &RunError,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let lifted = execute!(
            self,
            "update sync
            set status = 'active',
                status_error = null,
                active_since = $3,
                next_planned_at = case when schedule is null then null else $3 end,
                next_sync_at = case when schedule is null then null else $3 end
            where id = $1
              and status = 'error'
              and status_error = $2
              and deleted_at is null",
            id.to_string(),
            to_json(fault)?,
            micros(now)
        );
        Ok(lifted > 0)
    }
}
