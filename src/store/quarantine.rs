//! Rows that could not be written, by run.

use jiff::Timestamp;

use crate::model::id::RunId;
use crate::model::run::QuarantinedRow;
use crate::store::{Store, StoreError};

#[expect(clippy::unused_async, unused_variables, reason = "being written")]
impl Store {
    /// Replaces what the run quarantined of one table.
    pub async fn set_quarantine(
        &self,
        run: RunId,
        table: &crate::model::table::TableName,
        rows: &[QuarantinedRow],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        todo!()
    }
    /// What the run quarantined, in the order met; at most `limit` after the first `offset`.
    pub async fn quarantined(
        &self,
        run: RunId,
        limit: u32,
        offset: u64,
    ) -> Result<Vec<QuarantinedRow>, StoreError> {
        todo!()
    }
}
