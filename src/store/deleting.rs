//! What transfers of mirrors are about to delete: noted before they begin to, for the one that dies and cannot tell.
//!
//! Knows no mark: what one says of a row is the business of whoever keeps it. Invariant: as long as a transfer is not
//! settled, it counts as having deleted all that it noted.

use crate::model::id::{ConnectionId, RunId, TransferId};
use crate::model::run::Changes;
use crate::model::table::TableName;
use crate::store::pool::{execute, fetch_all, on_pool};
use crate::store::record::{Record, bigint, to_json};
use crate::store::{Store, StoreError};

/// The rows that a transfer is about to delete.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deleting {
    /// How many.
    pub rows: u64,
    /// A mark of 16 bytes for each; `None`: they are too many to be kept.
    pub marks: Option<Vec<u8>>,
}

/// A transfer that ended without telling for sure how many rows it deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsettled {
    /// Which.
    pub transfer: TransferId,
    /// Whose.
    pub run: Option<RunId>,
    /// What is known of what it wrote: at least that.
    pub changes: Changes,
    /// What it was about to delete: at most that.
    pub deleting: Deleting,
}

impl Store {
    /// Notes what a transfer is about to delete, where all that the marks depend on is `basis`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn note_deleting(
        &self,
        transfer: TransferId,
        basis: &str,
        deleting: &Deleting,
    ) -> Result<(), StoreError> {
        execute!(
            self,
            "insert into deleting (transfer_id, basis, row_count, marks)
            values ($1, $2, $3, $4)",
            transfer.to_string(),
            basis,
            bigint(deleting.rows)?,
            deleting.marks.as_deref()
        );
        Ok(())
    }

    /// The transfers of a table that have ended and are not settled, of those whose marks mean the same.
    ///
    /// # Errors
    /// When the database fails or what it holds cannot be read.
    pub async fn unsettled(
        &self,
        connection: ConnectionId,
        table: &TableName,
        basis: &str,
    ) -> Result<Vec<Unsettled>, StoreError> {
        let rows = fetch_all!(
            self,
            "select transfer.id, transfer.run_id, transfer.changes, deleting.row_count,
                deleting.marks
            from deleting
            join transfer on transfer.id = deleting.transfer_id
            where transfer.connection_id = $1
              and transfer.table_name = $2
              and transfer.completed_at is not null
              and deleting.basis = $3
            order by transfer.id",
            connection.to_string(),
            table.to_string(),
            basis
        );
        rows.into_iter()
            .map(|row| unsettled(&Record::new("deleting", "id", row)))
            .collect()
    }

    /// It is known now what a transfer that noted its deletions wrote.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn settle(&self, transfer: TransferId, changes: &Changes) -> Result<(), StoreError> {
        let id = transfer.to_string();
        on_pool!(self, |db| {
            let mut tx = db.begin().await?;
            sqlx::query("update transfer set changes = $2 where id = $1")
                .bind(&id)
                .bind(to_json(changes)?)
                .execute(&mut *tx)
                .await?;
            sqlx::query("delete from deleting where transfer_id = $1")
                .bind(&id)
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
        });
        Ok(())
    }
}

fn unsettled(record: &Record) -> Result<Unsettled, StoreError> {
    Ok(Unsettled {
        transfer: record.parsed("id")?,
        run: record.optional_parsed("run_id")?,
        changes: record.json("changes")?,
        deleting: Deleting {
            rows: record.count("row_count")?,
            marks: record.optional_bytes("marks")?,
        },
    })
}
