//! Transfers: one table moved, in or out; the history.

use jiff::Timestamp;

use crate::model::id::{ConnectionId, TransferId};
use crate::model::run::Transfer;
use crate::store::{ListPage, Store, StoreError};

#[expect(clippy::unused_async, unused_variables, reason = "being written")]
impl Store {
    /// Adds a transfer that begins.
    pub async fn insert_transfer(&self, transfer: &Transfer) -> Result<(), StoreError> {
        todo!()
    }
    /// Writes how it ended, and adds it to its connection's totals.
    pub async fn finish_transfer(&self, transfer: &Transfer) -> Result<(), StoreError> {
        todo!()
    }
    /// Transfers, newest first.
    pub async fn transfers(
        &self,
        connection: Option<ConnectionId>,
        page: ListPage<TransferId>,
    ) -> Result<Vec<Transfer>, StoreError> {
        todo!()
    }
    /// At start: transfers found running were interrupted and are marked failed.
    pub async fn fail_open_transfers(&self, now: Timestamp) -> Result<(), StoreError> {
        todo!()
    }
}
