//! A sync's looks: the planned times of its second schedule, and what came of them.
//!
//! It decides nothing. Invariant: like a turn, a planned time is left behind in the transaction that makes its run.

use jiff::Timestamp;

use crate::model::drift::Look;
use crate::model::id::SyncId;
use crate::model::run::Run;
use crate::model::schedule::Planned;
use crate::store::pool::{execute, fetch_optional, on_pool};
use crate::store::record::{Record, micros, optional_json, optional_micros, to_json};
use crate::store::run::{insert_run, run, select_run};
use crate::store::sync::Taken;
use crate::store::{Store, StoreError};

impl Store {
    /// Writes down when an active sync whose next look was `known` looks next.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn plan_look(
        &self,
        id: SyncId,
        known: Option<Planned>,
        next: Planned,
    ) -> Result<(), StoreError> {
        execute!(
            self,
            "update sync
            set compare_planned_at = $3,
                compare_starts_at = $4
            where id = $1
              and status = 'active'
              and deleted_at is null
              and coalesce(compare_planned_at, 0) = $2",
            id.to_string(),
            known.map_or(0, |known| micros(known.planned_at)),
            micros(next.planned_at),
            micros(next.starts_at)
        );
        Ok(())
    }

    /// Leaves the planned time of a look behind and makes its run, where there is to be one and none goes on.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn take_look(
        &self,
        sync: SyncId,
        (due, next): (Planned, Option<Planned>),
        run: Option<&Run>,
    ) -> Result<Taken, StoreError> {
        on_pool!(self, |db| {
            let mut tx = db.begin().await?;
            let moved = sqlx::query(
                "update sync
                set compare_planned_at = $3,
                    compare_starts_at = $4
                where id = $1
                  and compare_planned_at = $2
                  and status = 'active'
                  and deleted_at is null",
            )
            .bind(sync.to_string())
            .bind(micros(due.planned_at))
            .bind(optional_micros(next.map(|next| next.planned_at)))
            .bind(optional_micros(next.map(|next| next.starts_at)))
            .execute(&mut *tx)
            .await?;
            if moved.rows_affected() == 0 {
                return Ok(Taken::TooLate);
            }
            let mut begun = false;
            if let Some(run) = run {
                let added = insert_run!(run, "on conflict do nothing")
                    .execute(&mut *tx)
                    .await?;
                begun = added.rows_affected() > 0;
            }
            tx.commit().await?;
            Ok(if begun {
                Taken::Begun
            } else {
                Taken::PassedOver
            })
        })
    }

    /// The newest run of a sync that looked and is over.
    ///
    /// # Errors
    /// When the database fails or what it holds cannot be read.
    pub async fn newest_look(&self, sync: SyncId) -> Result<Option<Run>, StoreError> {
        let row = fetch_optional!(
            self,
            select_run!(
                "where sync_id = $1
                  and looks
                  and status not in ('pending', 'running', 'needs_approval')
                order by id desc
                limit 1"
            ),
            sync.to_string()
        );
        row.map(|row| run(&Record::new("run", "id", row)))
            .transpose()
    }

    /// The run of a sync that waits for a person, if there is one.
    ///
    /// # Errors
    /// When the database fails or what it holds cannot be read.
    pub async fn run_to_approve(&self, sync: SyncId) -> Result<Option<Run>, StoreError> {
        let row = fetch_optional!(
            self,
            select_run!(
                "where sync_id = $1 and status = 'needs_approval' order by id desc limit 1"
            ),
            sync.to_string()
        );
        row.map(|row| run(&Record::new("run", "id", row)))
            .transpose()
    }

    /// Writes down what came of the newest look; with `sooner` the next one comes then, if it would come later.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn note_look(
        &self,
        sync: SyncId,
        look: &Look,
        sooner: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        execute!(
            self,
            "update sync
            set last_look = $2,
                compare_planned_at = case
                    when compare_starts_at > $3 then $3
                    else compare_planned_at
                end,
                compare_starts_at = case
                    when compare_starts_at > $3 then $3
                    else compare_starts_at
                end
            where id = $1
              and deleted_at is null",
            sync.to_string(),
            to_json(look)?,
            optional_micros(sooner)
        );
        Ok(())
    }
}
