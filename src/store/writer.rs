//! What a run leaves behind: for its sync, and for the two-writers rule, which connection writes which table. A sync
//! claims its tables for as long as it exists; a one-off run is remembered as long as its connection.
//!
//! Invariant: a connection is told only of writers that were there before it, so a table's first writer is never
//! stopped by one that came later and was let in as shared.

use jiff::Timestamp;

use crate::model::id::ConnectionId;
use crate::model::outcome::{outcomes, proved_equal_at};
use crate::model::run::{Run, RunError, RunStatus, RunTable};
use crate::model::sync::Consequence;
use crate::model::table::TableName;
use crate::store::outcome::{note_comparison, note_outcome};
use crate::store::pool::{fetch_all, fetch_optional, on_pool};
use crate::store::record::{Record, micros, optional_json, to_json};
use crate::store::{Store, StoreError};

/// Notes the tables a one-off run wrote, as written since it was made.
macro_rules! note_written {
    ($tx:expr, $run:expr) => {
        for table in written_by_one_off($run) {
            sqlx::query(
                "insert into writer (table_name, connection_id, since)
                values ($1, $2, $3)
                on conflict (table_name, connection_id) do nothing",
            )
            .bind(table.table.to_string())
            .bind($run.connection_id.to_string())
            .bind(micros($run.created_at))
            .execute(&mut *$tx)
            .await?;
        }
    };
}

/// Changes the sync of a run that ended. A sync that a person changed since the run was made is not stopped by it.
macro_rules! follow {
    ($tx:expr, $run:expr, $consequence:expr, $now:expr) => {
        match ($run.sync_id, $consequence) {
            (None, _) | (_, Consequence::None) => {}
            (Some(sync), Consequence::CameThrough) => {
                sqlx::query(
                    "update sync
                    set last_synced_at = $2,
                        active_since = case when status = 'error' then $2 else active_since end,
                        status_error = null,
                        status = case when status = 'error' then 'active' else status end
                    where id = $1",
                )
                .bind(sync.to_string())
                .bind(micros($now))
                .execute(&mut *$tx)
                .await?;
            }
            (Some(sync), Consequence::Stops) => {
                sqlx::query(
                    "update sync
                    set status = 'error',
                        status_error = $3,
                        next_planned_at = null,
                        next_sync_at = null
                    where id = $1
                      and status in ('active', 'error')
                      and updated_at <= $2",
                )
                .bind(sync.to_string())
                .bind(micros($run.created_at))
                .bind(optional_json($run.error.as_ref())?)
                .execute(&mut *$tx)
                .await?;
            }
        }
    };
}

/// Notes with the sync of a run that it proved all its tables; one that a person changed since is another.
macro_rules! note_proof {
    ($tx:expr, $run:expr) => {
        if let (Some(sync), Some(at)) = ($run.sync_id, proved_equal_at($run)) {
            sqlx::query(
                "update sync
                set proved_equal_at = $2
                where id = $1
                  and updated_at <= $3
                  and coalesce(proved_equal_at, $2) <= $2",
            )
            .bind(sync.to_string())
            .bind(micros(at))
            .bind(micros($run.created_at))
            .execute(&mut *$tx)
            .await?;
        }
    };
}

/// The connection that writes table `$1` besides connection `$2`, and did so first.
pub(super) const OTHER_WRITER: &str = "with writing as (
        select table_name, connection_id, since from writer
        union all
        select table_name, connection_id, since from claim
    )
    select other.table_name, other.connection_id
    from writing other
    join connection on connection.id = other.connection_id
    where other.table_name = $1
      and other.connection_id <> $2
      and connection.deleted_at is null
      and connection.local_status <> 'revoked'
      and connection.remote_status not in ('revoked', 'severed')
      and not exists (
        select 1
        from writing own
        where own.table_name = $1
          and own.connection_id = $2
          and own.since <= other.since
      )
    order by other.since
    limit 1";

impl Store {
    /// Writes progress and tables of a running run, and notes what it wrote to.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn save_progress(&self, run: &Run) -> Result<(), StoreError> {
        on_pool!(self, |db| {
            let mut tx = db.begin().await?;
            let saved = sqlx::query(
                "update run
                set progress = $2,
                    tables = $3
                where id = $1
                  and status = 'running'",
            )
            .bind(run.id.to_string())
            .bind(to_json(&run.progress)?)
            .bind(to_json(&run.tables)?)
            .execute(&mut *tx)
            .await?;
            if saved.rows_affected() > 0 {
                note_written!(tx, run);
            }
            tx.commit().await?;
        });
        Ok(())
    }

    /// Running becomes pending again until `next_attempt_at`, or cancelled when that was asked for meanwhile; notes what
    /// it wrote to.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn postpone_run(
        &self,
        run: &Run,
        next_attempt_at: Timestamp,
        error: &RunError,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        on_pool!(self, |db| {
            let mut tx = db.begin().await?;
            let postponed = sqlx::query(
                "update run
                set status = case when cancel_requested then 'cancelled' else 'pending' end,
                    next_attempt_at = case when cancel_requested then null else $2 end,
                    completed_at = case when cancel_requested then $3 else null end,
                    error = $4,
                    progress = $5,
                    tables = $6
                where id = $1
                  and status = 'running'",
            )
            .bind(run.id.to_string())
            .bind(micros(next_attempt_at))
            .bind(micros(now))
            .bind(to_json(error)?)
            .bind(to_json(&run.progress)?)
            .bind(to_json(&run.tables)?)
            .execute(&mut *tx)
            .await?;
            if postponed.rows_affected() > 0 {
                note_written!(tx, run);
            }
            tx.commit().await?;
        });
        Ok(())
    }

    /// Writes status, tables, progress and error of a run that became final, or waits for a person from now on, notes
    /// what it wrote to and what it says about its tables, and changes its sync as `consequence` says. The plan of a
    /// final run is deleted. One that a person asked to stop does not wait for a person.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn finish_run(
        &self,
        run: &Run,
        consequence: Consequence,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        on_pool!(self, |db| {
            let mut tx = db.begin().await?;
            let finished = sqlx::query(
                "update run
                set status = case when cancel_requested and $8 then 'cancelled' else $2 end,
                    completed_at = case when cancel_requested or not $8 then $3 else null end,
                    next_attempt_at = null,
                    progress = $4,
                    tables = $5,
                    error = $6,
                    plan_hash = $7
                where id = $1
                  and status in ('pending', 'running')",
            )
            .bind(run.id.to_string())
            .bind(run.status.as_str())
            .bind(micros(now))
            .bind(to_json(&run.progress)?)
            .bind(to_json(&run.tables)?)
            .bind(optional_json(run.error.as_ref())?)
            .bind(&run.plan_hash)
            .bind(run.status == RunStatus::NeedsApproval)
            .execute(&mut *tx)
            .await?;
            if finished.rows_affected() > 0 {
                note_written!(tx, run);
                for outcome in outcomes(run, now) {
                    if run.writes() {
                        note_outcome!(outcome, &mut *tx);
                    } else {
                        note_comparison!(outcome, &mut *tx);
                    }
                }
                if run.status.is_final() {
                    sqlx::query("delete from plan where run_id = $1")
                        .bind(run.id.to_string())
                        .execute(&mut *tx)
                        .await?;
                }
                follow!(tx, run, consequence, now);
                note_proof!(tx, run);
            }
            tx.commit().await?;
        });
        Ok(())
    }

    /// Another connection that writes `table`, and did so before `connection` first did, for the two-writers rule: its
    /// id, if any. Connections that are deleted, revoked or severed count no more.
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
            OTHER_WRITER,
            table.to_string(),
            connection.to_string()
        );
        row.map(|row| Record::new("writer", "table_name", row).parsed("connection_id"))
            .transpose()
    }

    /// The tables of this site that syncs and pulls of connections write.
    ///
    /// # Errors
    /// When the database fails or what it holds cannot be read.
    pub async fn written_tables(&self) -> Result<Vec<TableName>, StoreError> {
        let rows = fetch_all!(
            self,
            "with writing as (
                select table_name, connection_id from writer
                union
                select table_name, connection_id from claim
            )
            select distinct writing.table_name
            from writing
            join connection on connection.id = writing.connection_id
            where connection.deleted_at is null
              and connection.local_status <> 'revoked'
              and connection.remote_status not in ('revoked', 'severed')
            order by writing.table_name"
        );
        rows.into_iter()
            .map(|row| Record::new("writer", "table_name", row).parsed("table_name"))
            .collect()
    }
}

/// The tables a one-off run wrote. Those of a sync are claimed by it.
fn written_by_one_off(run: &Run) -> impl Iterator<Item = &RunTable> {
    let one_off = run.sync_id.is_none() && run.writes();
    let tables = run.tables.iter();
    tables.filter(move |table| one_off && has_written(table))
}

/// A table that came through was written, even where it was equal already; one that failed was, as far as it came.
fn has_written(table: &RunTable) -> bool {
    let changes = &table.changes;
    match table.status {
        RunStatus::Completed | RunStatus::CompletedWithErrors => true,
        // What it counts is what it would do.
        RunStatus::NeedsApproval => false,
        _ => changes.added > 0 || changes.updated > 0 || changes.deleted > 0,
    }
}
