//! Runs that wait for a person: approved, or waited for too long.
//!
//! Invariant: what is approved is the plan whose hash the person saw, and a sync has one run at a time.

use jiff::Timestamp;

use crate::model::fault::FaultCode;
use crate::model::id::RunId;
use crate::model::run::RunError;
use crate::store::pool::execute;
use crate::store::record::{micros, to_json};
use crate::store::{Store, StoreError};

impl Store {
    /// A run that waits for a person becomes pending again, with `plan` as what it may do, and is tried until
    /// `give_up_at`. False when it does not wait, has another plan, or its sync has a run that goes on.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn approve_run(
        &self,
        id: RunId,
        plan: &str,
        give_up_at: Timestamp,
    ) -> Result<bool, StoreError> {
        let approved = execute!(
            self,
            "update run
            set status = 'pending',
                approved_plan = $2,
                give_up_at = $3,
                next_attempt_at = null,
                completed_at = null,
                error = null
            where id = $1
              and status = 'needs_approval'
              and plan_hash = $2
              and not exists (
                select 1
                from run other
                where other.sync_id = run.sync_id
                  and other.looks = run.looks
                  and other.status in ('pending', 'running')
              )",
            id.to_string(),
            plan,
            micros(give_up_at)
        );
        Ok(approved > 0)
    }

    /// Runs made before `until` that still wait for a person are cancelled; how many. Of what they found nothing is
    /// kept any longer that a person could look at.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn expire_approvals(
        &self,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let error = RunError::new(FaultCode::ApprovalExpired, "nobody approved it for 30 days")
            .with_hint("order it once more to see what it would do today");
        Ok(execute!(
            self,
            "update run
            set status = 'cancelled',
                completed_at = $2,
                error = $3
            where status = 'needs_approval'
              and created_at < $1",
            micros(until),
            micros(now),
            to_json(&error)?
        ))
    }
}
