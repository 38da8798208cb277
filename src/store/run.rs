//! Runs: the queue and the history in one table.
//!
//! It decides nothing: when a run is due, tried again or given up is the runner's business. Invariant: every change is
//! a compare-and-set on the status, so a run has one runner at a time and a final run stays as it is.

use jiff::Timestamp;

use crate::model::id::{ConnectionId, RunId, SyncId};
use crate::model::run::{Run, RunError, RunStatus};
use crate::store::pool::{execute, fetch_all, fetch_optional, on_pool};
use crate::store::record::{Record, micros, optional_json, optional_micros, to_json};
use crate::store::{ListPage, Store, StoreError};

/// A page of runs, newest first.
pub type RunPage = ListPage<RunId>;

/// Which runs to list.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    /// Only of this sync.
    pub sync: Option<SyncId>,
    /// Only of this connection.
    pub connection: Option<ConnectionId>,
    /// Only in this status.
    pub status: Option<RunStatus>,
    /// Only made at or after this time.
    pub since: Option<Timestamp>,
}

/// The statement that reads runs, ended by `$rest`.
macro_rules! select_run {
    ($rest:literal) => {
        concat!(
            "select id, connection_id, instructions, status, sync_id, planned_at, give_up_at,
                triggered_by, attempt, next_attempt_at, created_at, started_at, completed_at,
                progress, error, plan_hash, approved_plan, tables, cancel_requested, looks
            from run ",
            $rest
        )
    };
}
pub(super) use select_run;

/// The statement that adds a run, ended by `$end`, with its values.
macro_rules! insert_run {
    ($run:expr, $end:literal) => {
        sqlx::query(concat!(
            "insert into run
                (id, connection_id, instructions, status, sync_id, planned_at, give_up_at,
                triggered_by, attempt, next_attempt_at, created_at, started_at, completed_at,
                progress, error, plan_hash, approved_plan, tables, cancel_requested, looks)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
                $19, $20) ",
            $end
        ))
        .bind($run.id.to_string())
        .bind($run.connection_id.to_string())
        .bind(to_json(&$run.order)?)
        .bind($run.status.as_str())
        .bind($run.sync_id.map(|id| id.to_string()))
        .bind(optional_micros($run.planned_at))
        .bind(optional_micros($run.give_up_at))
        .bind(&$run.triggered_by)
        .bind(i64::from($run.attempt))
        .bind(optional_micros($run.next_attempt_at))
        .bind(micros($run.created_at))
        .bind(optional_micros($run.started_at))
        .bind(optional_micros($run.completed_at))
        .bind(to_json(&$run.progress)?)
        .bind(optional_json($run.error.as_ref())?)
        .bind(&$run.plan_hash)
        .bind(&$run.approved_plan)
        .bind(to_json(&$run.tables)?)
        .bind($run.cancel_requested)
        .bind($run.looks)
    };
}
pub(super) use insert_run;

/// Asks the runs of `$rest` that are not over to stop at `$2`.
macro_rules! request_cancel {
    ($rest:literal) => {
        concat!(
            "update run
            set cancel_requested = true,
                status = case when status = 'running' then status else 'cancelled' end,
                next_attempt_at = null,
                completed_at = case when status = 'running' then null else $2 end ",
            $rest,
            " and status in ('pending', 'running', 'needs_approval')"
        )
    };
}
pub(super) use request_cancel;

impl Store {
    /// Adds a pending run.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn insert_run(&self, run: &Run) -> Result<(), StoreError> {
        on_pool!(self, |db| {
            insert_run!(run, "").execute(db).await?;
        });
        Ok(())
    }

    /// One run.
    ///
    /// # Errors
    /// When the database fails or what it holds cannot be read.
    pub async fn run(&self, id: RunId) -> Result<Option<Run>, StoreError> {
        let row = fetch_optional!(self, select_run!("where id = $1"), id.to_string());
        row.map(|row| run(&Record::new("run", "id", row)))
            .transpose()
    }

    /// Runs, newest first.
    ///
    /// # Errors
    /// When the database fails or what it holds cannot be read.
    pub async fn runs(&self, filter: &RunFilter, page: RunPage) -> Result<Vec<Run>, StoreError> {
        let rows = fetch_all!(
            self,
            select_run!(
                "where ($1 is null or connection_id = $1)
                  and ($2 is null or status = $2)
                  and ($3 is null or created_at >= $3)
                  and ($4 is null or id < $4)
                  and ($5 is null or sync_id = $5)
                order by id desc
                limit $6"
            ),
            filter.connection.map(|id| id.to_string()),
            filter.status.map(RunStatus::as_str),
            optional_micros(filter.since),
            page.before.map(|id| id.to_string()),
            filter.sync.map(|id| id.to_string()),
            i64::from(page.limit)
        );
        rows.into_iter()
            .map(|row| run(&Record::new("run", "id", row)))
            .collect()
    }

    /// The run of a sync that the runner has not done with, if there is one: neither one that waits for a person, nor
    /// one that looks.
    ///
    /// # Errors
    /// When the database fails or what it holds cannot be read.
    pub async fn unfinished_run(&self, sync: SyncId) -> Result<Option<Run>, StoreError> {
        let row = fetch_optional!(
            self,
            select_run!(
                "where sync_id = $1
                  and status in ('pending', 'running')
                  and not looks"
            ),
            sync.to_string()
        );
        row.map(|row| run(&Record::new("run", "id", row)))
            .transpose()
    }

    /// Runs that `status` has something to tell of, newest first: those that wait for a person or after a fault, and
    /// those whose word about a table is the last one, not good, and not dismissed.
    ///
    /// # Errors
    /// When the database fails or what it holds cannot be read.
    pub async fn runs_to_tell(&self) -> Result<Vec<Run>, StoreError> {
        let rows = fetch_all!(
            self,
            select_run!(
                "where status = 'needs_approval'
                  or (status = 'pending' and error is not null)
                  or id in (
                    select run_id
                    from outcome
                    where status <> 'completed'
                      and dismissed_at is null
                  )
                order by id desc"
            )
        );
        rows.into_iter()
            .map(|row| run(&Record::new("run", "id", row)))
            .collect()
    }

    /// Pending runs due at `now`, oldest first.
    ///
    /// # Errors
    /// When the database fails or what it holds cannot be read.
    pub async fn due_runs(&self, now: Timestamp) -> Result<Vec<Run>, StoreError> {
        let rows = fetch_all!(
            self,
            select_run!(
                "where status = 'pending'
                  and (next_attempt_at is null or next_attempt_at <= $1)
                order by id"
            ),
            micros(now)
        );
        rows.into_iter()
            .map(|row| run(&Record::new("run", "id", row)))
            .collect()
    }

    /// The earliest `next_attempt_at` of the pending runs, for the runner's sleep. A run without one is due already
    /// and not told here.
    ///
    /// # Errors
    /// When the database fails or what it holds cannot be read.
    pub async fn next_attempt(&self) -> Result<Option<Timestamp>, StoreError> {
        let row = fetch_optional!(
            self,
            "select id, next_attempt_at
            from run
            where status = 'pending'
              and next_attempt_at is not null
            order by next_attempt_at
            limit 1"
        );
        row.map(|row| Record::new("run", "id", row).time("next_attempt_at"))
            .transpose()
    }

    /// Pending becomes running with `attempt + 1`; false when it was no longer pending.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn start_run(&self, id: RunId, now: Timestamp) -> Result<bool, StoreError> {
        let started = execute!(
            self,
            "update run
            set status = 'running',
                attempt = attempt + 1,
                next_attempt_at = null,
                error = null,
                started_at = coalesce(started_at, $2)
            where id = $1
              and status = 'pending'",
            id.to_string(),
            micros(now)
        );
        Ok(started > 0)
    }

    /// A pending run waits for another writer: `error.code` `waiting_for_run`; does not count as an attempt.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_waiting(
        &self,
        id: RunId,
        error: &RunError,
        next_attempt_at: Timestamp,
    ) -> Result<(), StoreError> {
        execute!(
            self,
            "update run
            set error = $2,
                next_attempt_at = $3
            where id = $1
              and status = 'pending'",
            id.to_string(),
            to_json(error)?,
            micros(next_attempt_at)
        );
        Ok(())
    }

    /// The peer answers again: its runs that wait are due at once, whatever they wait for.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn hurry_runs(
        &self,
        connection: ConnectionId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        execute!(
            self,
            "update run
            set next_attempt_at = $2
            where connection_id = $1
              and status = 'pending'
              and next_attempt_at > $2",
            connection.to_string(),
            micros(now)
        );
        Ok(())
    }

    /// Asks a run to stop: one that waits is cancelled at once, a running one is marked. False when it is final.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn request_cancel(&self, id: RunId, now: Timestamp) -> Result<bool, StoreError> {
        let asked = execute!(
            self,
            request_cancel!("where id = $1"),
            id.to_string(),
            micros(now)
        );
        Ok(asked > 0)
    }

    /// At start: runs found running were interrupted; they become pending and due at once, or cancelled when that was
    /// asked for. Returns how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn take_over_running(&self, now: Timestamp) -> Result<u64, StoreError> {
        Ok(execute!(
            self,
            "update run
            set status = case when cancel_requested then 'cancelled' else 'pending' end,
                next_attempt_at = case when cancel_requested then null else $1 end,
                completed_at = case when cancel_requested then $1 else null end
            where status = 'running'",
            micros(now)
        ))
    }
}

/// The run that a row of [`select_run`] holds.
pub(super) fn run(record: &Record) -> Result<Run, StoreError> {
    Ok(Run {
        id: record.parsed("id")?,
        connection_id: record.parsed("connection_id")?,
        order: record.json("instructions")?,
        status: record.parsed("status")?,
        sync_id: record.optional_parsed("sync_id")?,
        planned_at: record.optional_time("planned_at")?,
        give_up_at: record.optional_time("give_up_at")?,
        triggered_by: record.text("triggered_by")?,
        attempt: record.count("attempt")?,
        next_attempt_at: record.optional_time("next_attempt_at")?,
        created_at: record.time("created_at")?,
        started_at: record.optional_time("started_at")?,
        completed_at: record.optional_time("completed_at")?,
        progress: record.json("progress")?,
        error: record.optional_json("error")?,
        plan_hash: record.optional_text("plan_hash")?,
        approved_plan: record.optional_text("approved_plan")?,
        tables: record.json("tables")?,
        cancel_requested: record.flag("cancel_requested")?,
        looks: record.flag("looks")?,
    })
}
