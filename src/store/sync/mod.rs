//! Syncs: what is pulled by itself, and which tables each claims.
//!
//! This file adds, reads and changes them, `turn` makes their runs, `absence` halts them. Invariant: a sync and its
//! claims are written in one transaction, and no run of a deleted sync goes on.

mod absence;
mod look;
mod turn;

use std::time::Duration;

use jiff::Timestamp;

use crate::model::drift::Budget;
use crate::model::id::{ConnectionId, RunId, SyncId};
use crate::model::schedule::Planned;
use crate::model::sync::SyncDefinition;
use crate::model::table::TableName;
use crate::store::pool::{Row, fetch_all, fetch_optional, on_pool};
use crate::store::record::{
    Record, bigint, is_name_taken, micros, optional_json, optional_micros, to_json,
};
use crate::store::run::request_cancel;
use crate::store::writer::OTHER_WRITER;
use crate::store::{ListPage, Store, StoreError};

pub use turn::{Taken, Turn};

/// A table that cannot be claimed, since another connection writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableTaken {
    /// The table.
    pub table: TableName,
    /// The connection that writes it.
    pub connection: ConnectionId,
}

/// What deleting a sync did besides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletedSync {
    /// The runs that were not over: cancelled if they waited, else marked to be stopped.
    pub stopped: Vec<RunId>,
}

macro_rules! select_sync {
    ($rest:literal) => {
        concat!(
            "select id, name, description, connection_id, instructions, schedule, max_age, status,
                status_error, created_by, created_at, updated_at, active_since, last_synced_at,
                last_run_id, next_planned_at, next_sync_at, compare_schedule, repair,
                compare_planned_at, compare_starts_at, last_look, proved_equal_at
            from sync ",
            $rest
        )
    };
}

/// Claims a sync's tables; leaves the body with the first that is taken. The state's only row of `site` is locked, so
/// that of two syncs made at once one sees the other.
macro_rules! claim_tables {
    ($tx:expr, $sync:expr, $now:expr) => {
        sqlx::query("update site set slot = slot")
            .execute(&mut *$tx)
            .await?;
        let tables = $sync.order.destinations();
        for table in tables.iter().filter(|_| !$sync.order.shared) {
            let taken = sqlx::query(OTHER_WRITER)
                .bind(table.to_string())
                .bind($sync.connection_id.to_string())
                .fetch_optional(&mut *$tx)
                .await?;
            if let Some(row) = taken {
                let record = Record::new("claim", "table_name", Row::from(row));
                return Ok(Some(TableTaken {
                    table: table.clone(),
                    connection: record.parsed("connection_id")?,
                }));
            }
        }
        for table in &tables {
            sqlx::query(
                "insert into claim (sync_id, table_name, connection_id, since)
                values ($1, $2, $3, $4)
                on conflict (sync_id, table_name) do nothing",
            )
            .bind($sync.id.to_string())
            .bind(table.to_string())
            .bind($sync.connection_id.to_string())
            .bind(micros($now))
            .execute(&mut *$tx)
            .await?;
        }
    };
}

impl Store {
    /// Adds a sync and claims its tables, unless one of them is taken: then nothing is added, and it is returned.
    ///
    /// # Errors
    /// [`StoreError::SyncNameTaken`] when another sync (not deleted) has this name.
    pub async fn insert_sync(
        &self,
        sync: &SyncDefinition,
    ) -> Result<Option<TableTaken>, StoreError> {
        self.try_insert_sync(sync)
            .await
            .map_err(|fault| name_taken(fault, &sync.name))
    }

    async fn try_insert_sync(
        &self,
        sync: &SyncDefinition,
    ) -> Result<Option<TableTaken>, StoreError> {
        on_pool!(self, |db| {
            let mut tx = db.begin().await?;
            sqlx::query(
                "insert into sync
                    (id, name, description, connection_id, instructions, schedule, max_age, status,
                    status_error, created_by, created_at, updated_at, active_since, last_synced_at,
                    last_run_id, next_planned_at, next_sync_at, compare_schedule, repair,
                    compare_planned_at, compare_starts_at, last_look)
                values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,
                    $18, $19, $20, $21, $22)",
            )
            .bind(sync.id.to_string())
            .bind(&sync.name)
            .bind(&sync.description)
            .bind(sync.connection_id.to_string())
            .bind(to_json(&sync.order)?)
            .bind(optional_json(sync.schedule.as_ref())?)
            .bind(max_age(sync)?)
            .bind(sync.status.as_str())
            .bind(optional_json(sync.status_error.as_ref())?)
            .bind(&sync.created_by)
            .bind(micros(sync.created_at))
            .bind(micros(sync.updated_at))
            .bind(optional_micros(sync.active_since))
            .bind(optional_micros(sync.last_synced_at))
            .bind(sync.last_run_id.map(|id| id.to_string()))
            .bind(optional_micros(sync.next.map(|next| next.planned_at)))
            .bind(optional_micros(sync.next.map(|next| next.starts_at)))
            .bind(optional_json(sync.compare_schedule.as_ref())?)
            .bind(to_json(&sync.repair)?)
            .bind(optional_micros(sync.next_look.map(|next| next.planned_at)))
            .bind(optional_micros(sync.next_look.map(|next| next.starts_at)))
            .bind(optional_json(sync.last_look.as_ref())?)
            .execute(&mut *tx)
            .await?;
            claim_tables!(tx, sync, sync.created_at);
            tx.commit().await?;
        });
        Ok(None)
    }

    /// Writes what a person may change of a sync, with its status and its next time, and claims its tables; the others
    /// it has let go of are free. When one is taken nothing is changed, and it is returned.
    ///
    /// # Errors
    /// [`StoreError::SyncNameTaken`] when another sync (not deleted) has this name.
    pub async fn update_sync(
        &self,
        sync: &SyncDefinition,
    ) -> Result<Option<TableTaken>, StoreError> {
        self.try_update_sync(sync)
            .await
            .map_err(|fault| name_taken(fault, &sync.name))
    }

    async fn try_update_sync(
        &self,
        sync: &SyncDefinition,
    ) -> Result<Option<TableTaken>, StoreError> {
        on_pool!(self, |db| {
            let mut tx = db.begin().await?;
            let updated = sqlx::query(
                "update sync
                set name = $2,
                    description = $3,
                    connection_id = $4,
                    instructions = $5,
                    schedule = $6,
                    proved_equal_at = case
                        when connection_id = $4 and instructions = $5 then proved_equal_at
                    end,
                    max_age = $7,
                    status = $8,
                    status_error = $9,
                    updated_at = $10,
                    active_since = $11,
                    next_planned_at = $12,
                    next_sync_at = $13,
                    compare_schedule = $14,
                    repair = $15,
                    compare_planned_at = $16,
                    compare_starts_at = $17
                where id = $1
                  and deleted_at is null",
            )
            .bind(sync.id.to_string())
            .bind(&sync.name)
            .bind(&sync.description)
            .bind(sync.connection_id.to_string())
            .bind(to_json(&sync.order)?)
            .bind(optional_json(sync.schedule.as_ref())?)
            .bind(max_age(sync)?)
            .bind(sync.status.as_str())
            .bind(optional_json(sync.status_error.as_ref())?)
            .bind(micros(sync.updated_at))
            .bind(optional_micros(sync.active_since))
            .bind(optional_micros(sync.next.map(|next| next.planned_at)))
            .bind(optional_micros(sync.next.map(|next| next.starts_at)))
            .bind(optional_json(sync.compare_schedule.as_ref())?)
            .bind(to_json(&sync.repair)?)
            .bind(optional_micros(sync.next_look.map(|next| next.planned_at)))
            .bind(optional_micros(sync.next_look.map(|next| next.starts_at)))
            .execute(&mut *tx)
            .await?;
            // A sync that was deleted meanwhile claims nothing.
            if updated.rows_affected() == 0 {
                return Ok(None);
            }
            let claims = sqlx::query(
                "select sync_id, table_name, connection_id from claim where sync_id = $1",
            )
            .bind(sync.id.to_string())
            .fetch_all(&mut *tx)
            .await?;
            for claim in claims {
                let claim = Record::new("claim", "sync_id", Row::from(claim));
                if !keeps(sync, &claim)? {
                    sqlx::query("delete from claim where sync_id = $1 and table_name = $2")
                        .bind(sync.id.to_string())
                        .bind(claim.text("table_name")?)
                        .execute(&mut *tx)
                        .await?;
                }
            }
            claim_tables!(tx, sync, sync.updated_at);
            tx.commit().await?;
        });
        Ok(None)
    }

    /// A sync, unless it was deleted.
    ///
    /// # Errors
    /// When the database fails or what it holds cannot be read.
    pub async fn sync(&self, id: SyncId) -> Result<Option<SyncDefinition>, StoreError> {
        let row = fetch_optional!(
            self,
            select_sync!("where id = $1 and deleted_at is null"),
            id.to_string()
        );
        row.map(read).transpose()
    }

    /// All not deleted, newest first.
    ///
    /// # Errors
    /// When the database fails or what it holds cannot be read.
    pub async fn syncs(&self, page: ListPage<SyncId>) -> Result<Vec<SyncDefinition>, StoreError> {
        let rows = fetch_all!(
            self,
            select_sync!(
                "where deleted_at is null
                  and ($1 is null or id < $1)
                order by id desc
                limit $2"
            ),
            page.before.map(|id| id.to_string()),
            i64::from(page.limit)
        );
        rows.into_iter().map(read).collect()
    }

    /// Forgets a sync but for its history, lets go of its tables, and asks its runs that are not over to stop, as
    /// [`Store::request_cancel`] does. `None` when there is no such sync.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_sync(
        &self,
        id: SyncId,
        now: Timestamp,
    ) -> Result<Option<DeletedSync>, StoreError> {
        on_pool!(self, |db| {
            let mut tx = db.begin().await?;
            let deleted = sqlx::query(
                "update sync
                set deleted_at = $2,
                    next_planned_at = null,
                    next_sync_at = null,
                    compare_planned_at = null,
                    compare_starts_at = null
                where id = $1
                  and deleted_at is null",
            )
            .bind(id.to_string())
            .bind(micros(now))
            .execute(&mut *tx)
            .await?;
            if deleted.rows_affected() == 0 {
                return Ok(None);
            }
            sqlx::query("delete from claim where sync_id = $1")
                .bind(id.to_string())
                .execute(&mut *tx)
                .await?;
            let stopped = sqlx::query(concat!(
                request_cancel!("where sync_id = $1"),
                " returning id"
            ))
            .bind(id.to_string())
            .bind(micros(now))
            .fetch_all(&mut *tx)
            .await?;
            tx.commit().await?;
            let stopped = stopped
                .into_iter()
                .map(|row| Record::new("run", "id", Row::from(row)).parsed("id"))
                .collect::<Result<_, _>>()?;
            Ok(Some(DeletedSync { stopped }))
        })
    }
}

/// Whether a sync still writes what it claimed, from the same connection.
fn keeps(sync: &SyncDefinition, claim: &Record) -> Result<bool, StoreError> {
    let connection: ConnectionId = claim.parsed("connection_id")?;
    let table: TableName = claim.parsed("table_name")?;
    Ok(connection == sync.connection_id && sync.order.destinations().contains(&table))
}

/// In seconds, as it is stored.
fn max_age(sync: &SyncDefinition) -> Result<Option<i64>, StoreError> {
    sync.max_age.map(|age| bigint(age.as_secs())).transpose()
}

/// The same fault, but for a name that another sync has.
fn name_taken(fault: StoreError, name: &str) -> StoreError {
    if is_name_taken(&fault, "sync") {
        StoreError::SyncNameTaken(name.to_owned())
    } else {
        fault
    }
}

fn read(row: Row) -> Result<SyncDefinition, StoreError> {
    let record = Record::new("sync", "id", row);
    let max_age: Option<u64> = record.optional_count("max_age")?;
    Ok(SyncDefinition {
        id: record.parsed("id")?,
        name: record.text("name")?,
        description: record.optional_text("description")?,
        connection_id: record.parsed("connection_id")?,
        order: record.json("instructions")?,
        schedule: record.optional_json("schedule")?,
        max_age: max_age.map(Duration::from_secs),
        status: record.parsed("status")?,
        status_error: record.optional_json("status_error")?,
        created_by: record.text("created_by")?,
        created_at: record.time("created_at")?,
        updated_at: record.time("updated_at")?,
        active_since: record.optional_time("active_since")?,
        last_synced_at: record.optional_time("last_synced_at")?,
        proved_equal_at: record.optional_time("proved_equal_at")?,
        last_run_id: record.optional_parsed("last_run_id")?,
        next: planned(&record, "next_planned_at", "next_sync_at")?,
        compare_schedule: record.optional_json("compare_schedule")?,
        // A sync of before there were comparisons repairs as much as one that says nothing about it.
        repair: record
            .optional_json("repair")?
            .unwrap_or_else(|| Some(Budget::default())),
        next_look: planned(&record, "compare_planned_at", "compare_starts_at")?,
        last_look: record.optional_json("last_look")?,
    })
}

fn planned(
    record: &Record,
    planned_at: &'static str,
    starts_at: &'static str,
) -> Result<Option<Planned>, StoreError> {
    let planned_at = record.optional_time(planned_at)?;
    let starts_at = record.optional_time(starts_at)?;
    Ok(planned_at
        .zip(starts_at)
        .map(|(planned_at, starts_at)| Planned {
            planned_at,
            starts_at,
        }))
}
