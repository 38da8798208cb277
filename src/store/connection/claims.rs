//! Claims: connections that strangers registered and nobody here has decided about.
//!
//! Invariant: whatever is done here is done to claims alone.

use jiff::Timestamp;

use crate::model::id::ConnectionId;
use crate::store::connection::name_taken;
use crate::store::pool::{Row, execute, fetch_all};
use crate::store::record::{Record, micros};
use crate::store::{Store, StoreError};

/// A claim whose time was over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpiredClaim {
    /// It was this one.
    pub id: ConnectionId,
    /// What it was called here.
    pub name: String,
    /// What it claimed.
    pub url: String,
}

impl Store {
    /// The addresses that the claims came from, one for each.
    ///
    /// # Errors
    /// When the database fails or what it holds cannot be read.
    pub async fn claim_origins(&self) -> Result<Vec<Option<String>>, StoreError> {
        let rows = fetch_all!(
            self,
            "select id, requested_from
            from connection
            where local_status = 'pending'
              and approved_at is null
              and deleted_at is null"
        );
        let origin =
            |row: Row| Record::new("connection", "id", row).optional_text("requested_from");
        rows.into_iter().map(origin).collect()
    }

    /// Gives the claim called `name` the name `other`. False when what is called so is no claim.
    ///
    /// # Errors
    /// [`StoreError::NameTaken`] when another connection is called `other`, or when the database fails.
    pub async fn rename_claim(&self, name: &str, other: &str) -> Result<bool, StoreError> {
        let renamed = async {
            Ok(execute!(
                self,
                "update connection
                set name = $2
                where name = $1
                  and local_status = 'pending'
                  and approved_at is null
                  and deleted_at is null",
                name,
                other
            ))
        };
        match renamed.await {
            Ok(renamed) => Ok(renamed > 0),
            Err(fault) => Err(name_taken(fault, other)),
        }
    }

    /// Removes the claims made before `before` that no sync of ours was made for.
    ///
    /// # Errors
    /// When the database fails or what it holds cannot be read.
    pub async fn expire_claims(&self, before: Timestamp) -> Result<Vec<ExpiredClaim>, StoreError> {
        let rows = fetch_all!(
            self,
            "delete from connection
            where local_status = 'pending'
              and approved_at is null
              and deleted_at is null
              and created_at < $1
              and not exists (select 1 from sync where sync.connection_id = connection.id)
            returning id, name, url",
            micros(before)
        );
        let expired = |row: Row| {
            let record = Record::new("connection", "id", row);
            Ok(ExpiredClaim {
                id: record.parsed("id")?,
                name: record.text("name")?,
                url: record.text("url")?,
            })
        };
        rows.into_iter().map(expired).collect()
    }
}
