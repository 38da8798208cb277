//! Transfers: one table moved, in or out; the history.
//!
//! Invariant: a transfer ends once, and counts once in its connection's totals.

use jiff::Timestamp;

use crate::model::fault::FaultCode;
use crate::model::id::{ConnectionId, TransferId};
use crate::model::run::{Changes, RunError, RunStatus, RunTable, Transfer};
use crate::model::table::TableName;
use crate::store::pool::{execute, fetch_all, on_pool};
use crate::store::record::{Record, bigint, micros, optional_json, optional_micros, to_json};
use crate::store::{ListPage, Store, StoreError};

impl Store {
    /// Adds a transfer that begins.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn insert_transfer(&self, transfer: &Transfer) -> Result<(), StoreError> {
        execute!(
            self,
            "insert into transfer
                (id, direction, run_id, connection_id, table_name, status, row_count,
                bytes_on_wire, changes, started_at, completed_at, error)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
            transfer.id.to_string(),
            transfer.direction.as_str(),
            transfer.run_id.map(|id| id.to_string()),
            transfer.connection_id.to_string(),
            transfer.table.to_string(),
            transfer.status.as_str(),
            bigint(transfer.rows)?,
            bigint(transfer.bytes_on_wire)?,
            to_json(&transfer.changes)?,
            micros(transfer.started_at),
            optional_micros(transfer.completed_at),
            optional_json(transfer.error.as_ref())?
        );
        Ok(())
    }

    /// Writes how it ended, and adds it to its connection's totals: rows and bytes always, the table when it was moved
    /// whole. One that has ended already stays as it is.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn finish_transfer(&self, transfer: &Transfer) -> Result<(), StoreError> {
        let (rows, bytes) = (bigint(transfer.rows)?, bigint(transfer.bytes_on_wire)?);
        let moved = matches!(
            transfer.status,
            RunStatus::Completed | RunStatus::CompletedWithErrors
        );
        on_pool!(self, |db| {
            let mut tx = db.begin().await?;
            let ended = sqlx::query(
                "update transfer
                set status = $2,
                    row_count = $3,
                    bytes_on_wire = $4,
                    changes = $5,
                    completed_at = $6,
                    error = $7
                where id = $1
                  and completed_at is null",
            )
            .bind(transfer.id.to_string())
            .bind(transfer.status.as_str())
            .bind(rows)
            .bind(bytes)
            .bind(to_json(&transfer.changes)?)
            .bind(optional_micros(transfer.completed_at))
            .bind(optional_json(transfer.error.as_ref())?)
            .execute(&mut *tx)
            .await?;
            if ended.rows_affected() > 0 {
                sqlx::query(
                    "update connection
                    set total_transfers = total_transfers + $2,
                        total_rows = total_rows + $3,
                        total_bytes = total_bytes + $4
                    where id = $1",
                )
                .bind(transfer.connection_id.to_string())
                .bind(i64::from(moved))
                .bind(rows)
                .bind(bytes)
                .execute(&mut *tx)
                .await?;
            }
            tx.commit().await?;
        });
        Ok(())
    }

    /// Transfers, newest first.
    ///
    /// # Errors
    /// When the database fails or what it holds cannot be read.
    pub async fn transfers(
        &self,
        connection: Option<ConnectionId>,
        page: ListPage<TransferId>,
    ) -> Result<Vec<Transfer>, StoreError> {
        let rows = fetch_all!(
            self,
            "select id, direction, run_id, connection_id, table_name, status, row_count,
                bytes_on_wire, changes, started_at, completed_at, error
            from transfer
            where ($1 is null or connection_id = $1)
              and ($2 is null or id < $2)
            order by id desc
            limit $3",
            connection.map(|id| id.to_string()),
            page.before.map(|id| id.to_string()),
            i64::from(page.limit)
        );
        rows.into_iter()
            .map(|row| transfer(&Record::new("transfer", "id", row)))
            .collect()
    }

    /// Rows of a table that `connection` deleted here since then. A transfer that is not settled counts as having deleted
    /// all that it noted.
    ///
    /// # Errors
    /// When the database fails or what it holds cannot be read.
    pub async fn deleted_since(
        &self,
        connection: ConnectionId,
        table: &TableName,
        since: Timestamp,
    ) -> Result<u64, StoreError> {
        let rows = fetch_all!(
            self,
            "select transfer.id, transfer.changes, deleting.row_count
            from transfer
            left join deleting on deleting.transfer_id = transfer.id
            where transfer.connection_id = $1
              and transfer.table_name = $2
              and transfer.direction = 'receive'
              and transfer.started_at >= $3",
            connection.to_string(),
            table.to_string(),
            micros(since)
        );
        let mut deleted = 0_u64;
        for row in rows {
            let record = Record::new("transfer", "id", row);
            let changes: Changes = record.json("changes")?;
            let noted: Option<u64> = record.optional_count("row_count")?;
            deleted = deleted.saturating_add(changes.deleted.max(noted.unwrap_or_default()));
        }
        Ok(deleted)
    }

    /// At start: transfers found running were interrupted and are marked failed. What they wrote is what their runs had
    /// noted, without what their runs' other transfers tell.
    ///
    /// # Errors
    /// When the database fails or what it holds cannot be read.
    pub async fn fail_open_transfers(&self, now: Timestamp) -> Result<(), StoreError> {
        for (id, changes) in self.noted_of_open().await? {
            execute!(
                self,
                "update transfer
                set changes = $2
                where id = $1",
                id,
                to_json(&changes)?
            );
        }
        let interrupted = RunError::new(
            FaultCode::Interrupted,
            "the daemon stopped before this transfer ended",
        );
        execute!(
            self,
            "update transfer
            set status = $1,
                completed_at = $2,
                error = $3
            where completed_at is null",
            RunStatus::Failed.as_str(),
            micros(now),
            to_json(&interrupted)?
        );
        Ok(())
    }

    /// What the runs of transfers that have not ended noted of them, by the transfers' ids.
    async fn noted_of_open(&self) -> Result<Vec<(String, Changes)>, StoreError> {
        let open = fetch_all!(
            self,
            "select transfer.id, transfer.table_name, transfer.run_id, run.tables
            from transfer
            join run on run.id = transfer.run_id
            where transfer.completed_at is null
              and transfer.direction = 'receive'"
        );
        let mut noted = Vec::with_capacity(open.len());
        for row in open {
            let record = Record::new("transfer", "id", row);
            let (name, run) = (record.text("table_name")?, record.text("run_id")?);
            let tables: Vec<RunTable> = record.json("tables")?;
            let ended = fetch_all!(
                self,
                "select id, changes
                from transfer
                where run_id = $1
                  and table_name = $2
                  and completed_at is not null",
                run,
                name.clone()
            );
            let mut told = Changes::default();
            for row in ended {
                told.add(&Record::new("transfer", "id", row).json("changes")?);
            }
            // What only was to be done, and waited for a person, was not written.
            let is_begun = |table: &&RunTable| table.status != RunStatus::NeedsApproval;
            let mut tables = tables.iter().filter(is_begun);
            if let Some(table) = tables.find(|table| table.table.to_string() == name) {
                noted.push((record.text("id")?, table.changes.less(&told)));
            }
        }
        Ok(noted)
    }
}

fn transfer(record: &Record) -> Result<Transfer, StoreError> {
    Ok(Transfer {
        id: record.parsed("id")?,
        direction: record.parsed("direction")?,
        run_id: record.optional_parsed("run_id")?,
        connection_id: record.parsed("connection_id")?,
        table: record.parsed("table_name")?,
        status: record.parsed("status")?,
        rows: record.count("row_count")?,
        bytes_on_wire: record.count("bytes_on_wire")?,
        changes: record.json("changes")?,
        started_at: record.time("started_at")?,
        completed_at: record.optional_time("completed_at")?,
        error: record.optional_json("error")?,
    })
}
