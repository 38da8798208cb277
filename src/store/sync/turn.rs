//! A sync's turn: its planned times, and the runs made for them.
//!
//! It decides nothing: what is due, and what follows, is decided in `model::sync`. Invariant: a planned time is left
//! behind in the transaction that makes its run, so that none is lost and none is run twice, whatever is killed when.

use jiff::Timestamp;

use crate::model::fault::FaultCode;
use crate::model::id::{RunId, SyncId};
use crate::model::outcome::outcomes;
use crate::model::run::{Run, RunError};
use crate::model::schedule::Planned;
use crate::store::outcome::note_outcome;
use crate::store::pool::{execute, fetch_all, on_pool};
use crate::store::record::{Record, micros, optional_json, optional_micros, to_json};
use crate::store::run::insert_run;
use crate::store::{Store, StoreError};

/// A planned time that has come, and what becomes of it.
#[derive(Clone, Debug)]
pub struct Turn<'a> {
    /// The sync.
    pub sync: SyncId,
    /// The time that has come.
    pub due: Planned,
    /// The time after it.
    pub next: Option<Planned>,
    /// A run of the sync that ends without success to make room.
    pub replaced: Option<&'a Run>,
    /// The run to make.
    pub run: Option<&'a Run>,
}

/// What became of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Its run is made.
    Begun,
    /// The time is left behind without a run of its own: another of the sync is not over, or this time had one.
    PassedOver,
    /// The sync was changed meanwhile, and the time is no longer its next: nothing was done.
    TooLate,
}

/// Adds a run of a sync, which thereby has a newest run, and takes the place of one that waits for a person: what that
/// one is to do is what this one finds anew. Whether it could be added.
macro_rules! add_run {
    ($tx:expr, $run:expr, $sync:expr) => {{
        let added = insert_run!($run, "on conflict do nothing")
            .execute(&mut *$tx)
            .await?;
        if added.rows_affected() > 0 {
            sqlx::query(
                "update run
                set status = 'cancelled',
                    completed_at = $2,
                    error = $3
                where sync_id = $1
                  and status = 'needs_approval'",
            )
            .bind($sync.to_string())
            .bind(micros($run.created_at))
            .bind(to_json(&superseded($run.id))?)
            .execute(&mut *$tx)
            .await?;
            sqlx::query("update sync set last_run_id = $2 where id = $1")
                .bind($sync.to_string())
                .bind($run.id.to_string())
                .execute(&mut *$tx)
                .await?;
        }
        added.rows_affected() > 0
    }};
}

impl Store {
    /// Those that run by themselves, oldest first. One by one they are read by [`Self::sync`], so that one that cannot
    /// be read stops no other.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn scheduled_syncs(&self) -> Result<Vec<SyncId>, StoreError> {
        let rows = fetch_all!(
            self,
            "select id
            from sync
            where status = 'active'
              and (schedule is not null or compare_schedule is not null)
              and deleted_at is null
            order by id"
        );
        rows.into_iter()
            .map(|row| Record::new("sync", "id", row).parsed("id"))
            .collect()
    }

    /// Writes down the next time of an active sync whose next time was `known`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn plan_sync(
        &self,
        id: SyncId,
        known: Option<Planned>,
        next: Planned,
    ) -> Result<(), StoreError> {
        execute!(
            self,
            "update sync
            set next_planned_at = $3,
                next_sync_at = $4
            where id = $1
              and status = 'active'
              and deleted_at is null
              and coalesce(next_planned_at, 0) = $2",
            id.to_string(),
            known.map_or(0, |known| micros(known.planned_at)),
            micros(next.planned_at),
            micros(next.starts_at)
        );
        Ok(())
    }

    /// Leaves a planned time behind and makes its run, where it can be made.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn take_turn(&self, turn: &Turn<'_>, now: Timestamp) -> Result<Taken, StoreError> {
        on_pool!(self, |db| {
            let mut tx = db.begin().await?;
            let moved = sqlx::query(
                "update sync
                set next_planned_at = $3,
                    next_sync_at = $4
                where id = $1
                  and next_planned_at = $2
                  and status = 'active'
                  and deleted_at is null",
            )
            .bind(turn.sync.to_string())
            .bind(micros(turn.due.planned_at))
            .bind(optional_micros(turn.next.map(|next| next.planned_at)))
            .bind(optional_micros(turn.next.map(|next| next.starts_at)))
            .execute(&mut *tx)
            .await?;
            if moved.rows_affected() == 0 {
                return Ok(Taken::TooLate);
            }
            if let Some(run) = turn.replaced {
                let ended = sqlx::query(
                    "update run
                    set status = $3,
                        tables = $4,
                        completed_at = $5,
                        next_attempt_at = null
                    where id = $1
                      and status = 'pending'
                      and attempt = $2",
                )
                .bind(run.id.to_string())
                .bind(i64::from(run.attempt))
                .bind(run.status.as_str())
                .bind(to_json(&run.tables)?)
                .bind(micros(now))
                .execute(&mut *tx)
                .await?;
                if ended.rows_affected() > 0 {
                    for outcome in outcomes(run, now) {
                        note_outcome!(outcome, &mut *tx);
                    }
                }
            }
            let begun = match turn.run {
                Some(run) => add_run!(tx, run, turn.sync),
                None => false,
            };
            tx.commit().await?;
            Ok(if begun {
                Taken::Begun
            } else {
                Taken::PassedOver
            })
        })
    }

    /// Adds a run of a sync that a person asked for. False when another of the sync is not over.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn insert_run_of_sync(&self, run: &Run, sync: SyncId) -> Result<bool, StoreError> {
        on_pool!(self, |db| {
            let mut tx = db.begin().await?;
            let added = add_run!(tx, run, sync);
            tx.commit().await?;
            Ok(added)
        })
    }
}

fn superseded(by: RunId) -> RunError {
    RunError::new(
        FaultCode::Superseded,
        format!("run {by} of the same sync took its place before somebody approved it"),
    )
}
