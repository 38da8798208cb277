//! Receipts: what both sites signed when a table was proved.
//!
//! Invariant: a receipt is never changed, nor replaced by another; told twice, it is kept once.

use jiff::Timestamp;

use crate::model::id::{ConnectionId, ReceiptId, RunId};
use crate::model::table::TableName;
use crate::store::pool::{execute, fetch_all, fetch_optional, on_pool};
use crate::store::record::{Record, bigint, micros, to_json};
use crate::store::{ListPage, Store, StoreError};
use crate::wire::receipt::Receipt;

/// A receipt that this site has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptReceipt {
    /// Ours.
    pub id: ReceiptId,
    /// Between whom.
    pub connection_id: ConnectionId,
    /// The receiving site's run.
    pub run_id: RunId,
    /// The table as it is called here.
    pub table: TableName,
    /// When the destination was read.
    pub proved_at: Timestamp,
    /// When it was written down here.
    pub kept_at: Timestamp,
    /// Itself.
    pub receipt: Receipt,
}

/// Which receipts to list.
#[derive(Clone, Debug, Default)]
pub struct ReceiptFilter {
    /// Only of this connection.
    pub connection: Option<ConnectionId>,
    /// Only of this run.
    pub run: Option<RunId>,
    /// Only of this table, as it is called here.
    pub table: Option<TableName>,
}

impl Store {
    /// Adds receipts, all or none of them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn keep_receipts(&self, receipts: &[KeptReceipt]) -> Result<(), StoreError> {
        on_pool!(self, |db| {
            let mut tx = db.begin().await?;
            for kept in receipts {
                let signatures = to_json(&kept.receipt.signatures)?;
                let terms = &kept.receipt.terms;
                let bytes = u64::try_from(terms.len() + signatures.len()).unwrap_or(u64::MAX);
                sqlx::query(
                    "insert into receipt
                        (id, connection_id, run_id, table_name, terms, signatures, byte_count,
                        digest, proved_at, kept_at)
                    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
                    on conflict (connection_id, digest) do nothing",
                )
                .bind(kept.id.to_string())
                .bind(kept.connection_id.to_string())
                .bind(kept.run_id.to_string())
                .bind(kept.table.to_string())
                .bind(terms)
                .bind(signatures)
                .bind(bigint(bytes)?)
                .bind(blake3::hash(terms.as_bytes()).to_hex().to_string())
                .bind(micros(kept.proved_at))
                .bind(micros(kept.kept_at))
                .execute(&mut *tx)
                .await?;
            }
            tx.commit().await?;
        });
        Ok(())
    }

    /// Receipts, newest first.
    ///
    /// # Errors
    /// When the database fails or what it holds cannot be read.
    pub async fn receipts(
        &self,
        filter: &ReceiptFilter,
        page: ListPage<ReceiptId>,
    ) -> Result<Vec<KeptReceipt>, StoreError> {
        let rows = fetch_all!(
            self,
            "select id, connection_id, run_id, table_name, terms, signatures, proved_at, kept_at
            from receipt
            where ($1 is null or connection_id = $1)
              and ($2 is null or run_id = $2)
              and ($3 is null or table_name = $3)
              and ($4 is null or id < $4)
            order by id desc
            limit $5",
            filter.connection.map(|id| id.to_string()),
            filter.run.map(|id| id.to_string()),
            filter.table.as_ref().map(ToString::to_string),
            page.before.map(|id| id.to_string()),
            i64::from(page.limit)
        );
        rows.into_iter()
            .map(|row| kept(&Record::new("receipt", "id", row)))
            .collect()
    }

    /// What the receipts of a connection that were kept since then take, in bytes.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn receipt_bytes(
        &self,
        connection: ConnectionId,
        since: Timestamp,
    ) -> Result<u64, StoreError> {
        let row = fetch_optional!(
            self,
            "select cast(coalesce(sum(byte_count), 0) as bigint) as byte_count, 'all' as id
            from receipt
            where connection_id = $1
              and kept_at >= $2",
            connection.to_string(),
            micros(since)
        );
        row.map_or(Ok(0), |row| {
            Record::new("receipt", "id", row).count("byte_count")
        })
    }

    /// Forgets the receipts kept before then; how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_receipts(&self, before: Timestamp) -> Result<u64, StoreError> {
        Ok(execute!(
            self,
            "delete from receipt where kept_at < $1",
            micros(before)
        ))
    }

    /// With which the peer of a signed connection signs receipts, as it announced when it registered; base64.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn peer_receipt_key(&self, id: ConnectionId) -> Result<Option<String>, StoreError> {
        let row = fetch_optional!(
            self,
            "select id, receipt_key from connection where id = $1",
            id.to_string()
        );
        row.map_or(Ok(None), |row| {
            Record::new("connection", "id", row).optional_text("receipt_key")
        })
    }
}

fn kept(record: &Record) -> Result<KeptReceipt, StoreError> {
    Ok(KeptReceipt {
        id: record.parsed("id")?,
        connection_id: record.parsed("connection_id")?,
        run_id: record.parsed("run_id")?,
        table: record.parsed("table_name")?,
        proved_at: record.time("proved_at")?,
        kept_at: record.time("kept_at")?,
        receipt: Receipt {
            terms: record.text("terms")?,
            signatures: record.json("signatures")?,
        },
    })
}
