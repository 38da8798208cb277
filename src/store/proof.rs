//! The last proof of each table that a connection fills.
//!
//! Knows no hash: what the sums are of is the business of whoever keeps them. Invariant: one per table and connection.

use jiff::Timestamp;

use crate::model::id::{ConnectionId, RunId};
use crate::model::table::TableName;
use crate::store::pool::{execute, fetch_optional};
use crate::store::record::{Record, bigint, micros};
use crate::store::{Store, StoreError};

/// Rows: how many, and the sum of their hashes.
pub type KeptRows = (u64, u128);

/// What is kept of a proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptProof {
    /// The run that ended with it.
    pub run: RunId,
    /// What all of it depends on: columns, key, normal forms, scope, rules and the key of the hashes.
    pub basis: String,
    /// Which rows were compared, and by what grant.
    pub scope: String,
    /// Rows here that the rules left as they were.
    pub left_here: KeptRows,
    /// Rows of the source in whose place they stand, or that were not taken over.
    pub left_there: KeptRows,
    /// How many rows of the source that were.
    pub skipped: u64,
    /// How many of them are on both sides.
    pub conflicts: u64,
}

impl Store {
    /// The last proof of a table.
    ///
    /// # Errors
    /// When the database fails or what it holds cannot be read.
    pub async fn proof(
        &self,
        connection: ConnectionId,
        table: &TableName,
    ) -> Result<Option<KeptProof>, StoreError> {
        let row = fetch_optional!(
            self,
            "select table_name, run_id, basis, scope, left_here_rows, left_here_sum, left_there_rows,
                left_there_sum, skipped, conflicts
            from proof
            where connection_id = $1
              and table_name = $2",
            connection.to_string(),
            table.to_string()
        );
        row.map(|row| proof(&Record::new("proof", "table_name", row)))
            .transpose()
    }

    /// Keeps a proof, in place of the one before.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn keep_proof(
        &self,
        connection: ConnectionId,
        table: &TableName,
        proof: &KeptProof,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let sum = |(_, sum): KeptRows| format!("{sum:032x}");
        execute!(
            self,
            "insert into proof
                (connection_id, table_name, run_id, basis, scope, left_here_rows, left_here_sum,
                left_there_rows, left_there_sum, skipped, conflicts, proved_at)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
            on conflict (connection_id, table_name) do update
            set run_id = excluded.run_id,
                basis = excluded.basis,
                scope = excluded.scope,
                left_here_rows = excluded.left_here_rows,
                left_here_sum = excluded.left_here_sum,
                left_there_rows = excluded.left_there_rows,
                left_there_sum = excluded.left_there_sum,
                skipped = excluded.skipped,
                conflicts = excluded.conflicts,
                proved_at = excluded.proved_at",
            connection.to_string(),
            table.to_string(),
            proof.run.to_string(),
            &proof.basis,
            &proof.scope,
            bigint(proof.left_here.0)?,
            sum(proof.left_here),
            bigint(proof.left_there.0)?,
            sum(proof.left_there),
            bigint(proof.skipped)?,
            bigint(proof.conflicts)?,
            micros(now)
        );
        Ok(())
    }
}

fn proof(record: &Record) -> Result<KeptProof, StoreError> {
    let sum = |name| {
        let text = record.text(name)?;
        u128::from_str_radix(&text, 16).map_err(|_| record.corrupt(name, "sum of hashes"))
    };
    Ok(KeptProof {
        run: record.parsed("run_id")?,
        basis: record.text("basis")?,
        scope: record.text("scope")?,
        left_here: (record.count("left_here_rows")?, sum("left_here_sum")?),
        left_there: (record.count("left_there_rows")?, sum("left_there_sum")?),
        skipped: record.count("skipped")?,
        conflicts: record.count("conflicts")?,
    })
}
