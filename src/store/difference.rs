//! What runs found to differ, and what those that wait for a person are to do about it.
//!
//! Invariant: what is written about a table of a run replaces what was written about it before, in one transaction.

use jiff::Timestamp;

use crate::model::difference::{DifferentRow, FoundDifference, KEPT};
use crate::model::id::RunId;
use crate::model::table::TableName;
use crate::store::pool::{execute, fetch_all, on_pool};
use crate::store::record::{Record, bigint, micros, optional_json, to_json};
use crate::store::{Store, StoreError};

/// A plan is kept in pieces of at most so many bytes: no statement carries a large value.
const PIECE: usize = 1 << 20;

impl Store {
    /// Replaces what the run found to differ in one table; of more than [`KEPT`] rows the first ones are kept.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn keep_differences(
        &self,
        run: RunId,
        table: &TableName,
        rows: &[DifferentRow],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (run, table) = (run.to_string(), table.to_string());
        on_pool!(self, |db| {
            let mut tx = db.begin().await?;
            sqlx::query("delete from difference where run_id = $1 and table_name = $2")
                .bind(&run)
                .bind(&table)
                .execute(&mut *tx)
                .await?;
            for (position, row) in (0_i64..).zip(rows.iter().take(KEPT)) {
                sqlx::query(
                    "insert into difference
                        (run_id, table_name, position, row_key, kind, column_names, mark, created_at)
                    values ($1, $2, $3, $4, $5, $6, $7, $8)",
                )
                .bind(&run)
                .bind(&table)
                .bind(position)
                .bind(to_json(&row.key)?)
                .bind(row.kind.as_str())
                .bind(optional_json(row.columns.as_ref())?)
                .bind(&row.mark)
                .bind(micros(now))
                .execute(&mut *tx)
                .await?;
            }
            tx.commit().await?;
        });
        Ok(())
    }

    /// What the run found to differ, in all tables or one, by table and in the order given there; at most `limit` after
    /// the first `offset`.
    ///
    /// # Errors
    /// When the database fails or what it holds cannot be read.
    pub async fn differences(
        &self,
        run: RunId,
        table: Option<&TableName>,
        limit: u32,
        offset: u64,
    ) -> Result<Vec<FoundDifference>, StoreError> {
        let rows = fetch_all!(
            self,
            "select run_id, table_name, row_key, kind, column_names, mark
            from difference
            where run_id = $1
              and ($2 is null or table_name = $2)
            order by table_name, position
            limit $3
            offset $4",
            run.to_string(),
            table.map(ToString::to_string),
            i64::from(limit),
            bigint(offset)?
        );
        rows.into_iter()
            .map(|row| found(&Record::new("difference", "run_id", row)))
            .collect()
    }

    /// Replaces what the run is to do to one table, as its plan says once packed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn keep_plan(
        &self,
        run: RunId,
        table: &TableName,
        packed: &[u8],
    ) -> Result<(), StoreError> {
        let (run, table) = (run.to_string(), table.to_string());
        // A plan without a byte is a plan, too.
        let first: &[u8] = packed.get(..PIECE).unwrap_or(packed);
        let rest = packed.get(PIECE..).unwrap_or_default().chunks(PIECE);
        on_pool!(self, |db| {
            let mut tx = db.begin().await?;
            sqlx::query("delete from plan where run_id = $1 and table_name = $2")
                .bind(&run)
                .bind(&table)
                .execute(&mut *tx)
                .await?;
            for (position, piece) in (0_i64..).zip(std::iter::once(first).chain(rest)) {
                sqlx::query(
                    "insert into plan (run_id, table_name, position, piece)
                    values ($1, $2, $3, $4)",
                )
                .bind(&run)
                .bind(&table)
                .bind(position)
                .bind(piece)
                .execute(&mut *tx)
                .await?;
            }
            tx.commit().await?;
        });
        Ok(())
    }

    /// What [`Self::keep_plan`] was given for this table; `None`: there is no plan, or the run is over.
    ///
    /// # Errors
    /// When the database fails or what it holds cannot be read.
    pub async fn plan(&self, run: RunId, table: &TableName) -> Result<Option<Vec<u8>>, StoreError> {
        let rows = fetch_all!(
            self,
            "select run_id, piece
            from plan
            where run_id = $1
              and table_name = $2
            order by position",
            run.to_string(),
            table.to_string()
        );
        let mut packed = None;
        for row in rows {
            let piece = Record::new("plan", "run_id", row).bytes("piece")?;
            packed.get_or_insert_with(Vec::new).extend(piece);
        }
        Ok(packed)
    }

    /// Deletes the differences found before `until`, and the plans of runs that are over; how many of both.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_differences(&self, until: Timestamp) -> Result<u64, StoreError> {
        let old = execute!(
            self,
            "delete from difference where created_at < $1",
            micros(until)
        );
        let over = execute!(
            self,
            "delete from plan
            where run_id in (
                select id
                from run
                where status not in ('pending', 'running', 'needs_approval')
            )"
        );
        Ok(old + over)
    }
}

fn found(record: &Record) -> Result<FoundDifference, StoreError> {
    Ok(FoundDifference {
        table: record.parsed("table_name")?,
        row: DifferentRow {
            key: record.json("row_key")?,
            kind: record.parsed("kind")?,
            columns: record.optional_json("column_names")?,
            mark: record.text("mark")?,
        },
    })
}
