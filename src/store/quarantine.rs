//! Rows that could not be written, by run.
//!
//! Of such a row its key is kept, never its other values.

use jiff::Timestamp;

use crate::model::id::RunId;
use crate::model::run::QuarantinedRow;
use crate::model::table::TableName;
use crate::store::pool::{fetch_all, on_pool};
use crate::store::record::{Record, bigint, micros, to_json};
use crate::store::{Store, StoreError};

impl Store {
    /// Replaces what the run quarantined of one table.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_quarantine(
        &self,
        run: RunId,
        table: &TableName,
        rows: &[QuarantinedRow],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (run, table) = (run.to_string(), table.to_string());
        on_pool!(self, |db| {
            let mut tx = db.begin().await?;
            sqlx::query("delete from quarantine where run_id = $1 and table_name = $2")
                .bind(&run)
                .bind(&table)
                .execute(&mut *tx)
                .await?;
            for (position, row) in (0_i64..).zip(rows) {
                sqlx::query(
                    "insert into quarantine
                        (run_id, table_name, position, row_key, column_name, reason, created_at)
                    values ($1, $2, $3, $4, $5, $6, $7)",
                )
                .bind(&run)
                .bind(&table)
                .bind(position)
                .bind(to_json(&row.key)?)
                .bind(&row.column)
                .bind(&row.reason)
                .bind(micros(now))
                .execute(&mut *tx)
                .await?;
            }
            tx.commit().await?;
        });
        Ok(())
    }

    /// What the run quarantined, in the order met; at most `limit` after the first `offset`.
    ///
    /// # Errors
    /// When the database fails or what it holds cannot be read.
    pub async fn quarantined(
        &self,
        run: RunId,
        limit: u32,
        offset: u64,
    ) -> Result<Vec<QuarantinedRow>, StoreError> {
        let rows = fetch_all!(
            self,
            "select run_id, table_name, row_key, column_name, reason
            from quarantine
            where run_id = $1
            order by created_at, table_name, position
            limit $2
            offset $3",
            run.to_string(),
            i64::from(limit),
            bigint(offset)?
        );
        rows.into_iter()
            .map(|row| quarantined_row(&Record::new("quarantine", "run_id", row)))
            .collect()
    }
}

fn quarantined_row(record: &Record) -> Result<QuarantinedRow, StoreError> {
    Ok(QuarantinedRow {
        table: record.parsed("table_name")?,
        key: record.json("row_key")?,
        column: record.optional_text("column_name")?,
        reason: record.text("reason")?,
    })
}
