//! Rows of which their destination makes something else when they are written, by connection and table.
//!
//! Knows no hash: what a row is on both sides is the business of whoever keeps it. Of such a row its key is kept, never its
//! other values. Invariant: as many as were told in one run at most.

use jiff::Timestamp;

use crate::model::id::ConnectionId;
use crate::model::run::QuarantinedRow;
use crate::model::table::TableName;
use crate::store::pool::{fetch_all, on_pool};
use crate::store::record::{Record, micros, to_json};
use crate::store::{Store, StoreError};

/// A row that was altered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlteredRow {
    /// What it was here before it was written, if it was.
    pub here: Option<u128>,
    /// What it is in the source, if it is.
    pub there: Option<u128>,
    /// What was told of it.
    pub told: QuarantinedRow,
}

impl Store {
    /// The rows of a table that were altered while all that their hashes depend on was `basis`.
    ///
    /// # Errors
    /// When the database fails or what it holds cannot be read.
    pub async fn altered(
        &self,
        connection: ConnectionId,
        table: &TableName,
        basis: &str,
    ) -> Result<Vec<AlteredRow>, StoreError> {
        let rows = fetch_all!(
            self,
            "select table_name, here_hash, there_hash, row_key, column_name, reason
            from altered
            where connection_id = $1
              and table_name = $2
              and basis = $3
            order by row_key, here_hash, there_hash",
            connection.to_string(),
            table.to_string(),
            basis
        );
        rows.into_iter()
            .map(|row| altered(&Record::new("altered", "row_key", row)))
            .collect()
    }

    /// Replaces what is kept of a table.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn keep_altered(
        &self,
        connection: ConnectionId,
        table: &TableName,
        (basis, rows): (&str, &[AlteredRow]),
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (connection, table) = (connection.to_string(), table.to_string());
        on_pool!(self, |db| {
            let mut tx = db.begin().await?;
            sqlx::query("delete from altered where connection_id = $1 and table_name = $2")
                .bind(&connection)
                .bind(&table)
                .execute(&mut *tx)
                .await?;
            for row in rows {
                sqlx::query(
                    "insert into altered
                        (connection_id, table_name, basis, here_hash, there_hash, row_key, column_name, reason, noted_at)
                    values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                )
                .bind(&connection)
                .bind(&table)
                .bind(basis)
                .bind(text(row.here))
                .bind(text(row.there))
                .bind(to_json(&row.told.key)?)
                .bind(&row.told.column)
                .bind(&row.told.reason)
                .bind(micros(now))
                .execute(&mut *tx)
                .await?;
            }
            tx.commit().await?;
        });
        Ok(())
    }
}

fn text(hash: Option<u128>) -> String {
    hash.map(|hash| format!("{hash:032x}")).unwrap_or_default()
}

fn altered(record: &Record) -> Result<AlteredRow, StoreError> {
    let hash = |name| {
        let text = record.text(name)?;
        if text.is_empty() {
            return Ok(None);
        }
        let hash = u128::from_str_radix(&text, 16);
        hash.map(Some).map_err(|_| record.corrupt(name, "hash"))
    };
    Ok(AlteredRow {
        here: hash("here_hash")?,
        there: hash("there_hash")?,
        told: QuarantinedRow {
            table: record.parsed("table_name")?,
            key: record.json("row_key")?,
            column: record.optional_text("column_name")?,
            reason: record.text("reason")?,
        },
    })
}
