//! Who this site is.
//!
//! Invariant: the identity is drawn once and never changes.

use jiff::Timestamp;

use crate::model::id::SiteId;
use crate::store::pool::{execute, fetch_optional};
use crate::store::record::{Record, micros};
use crate::store::{Store, StoreError};

/// This site's lasting identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SiteIdentity {
    /// Drawn once, when the state is made.
    pub id: SiteId,
    /// When that was.
    pub created_at: Timestamp,
}

impl Store {
    /// The identity, made on first use.
    ///
    /// # Errors
    /// When the database fails or what it holds cannot be read.
    pub async fn site_identity(&self, now: Timestamp) -> Result<SiteIdentity, StoreError> {
        execute!(
            self,
            "insert into site (slot, id, created_at)
            values (1, $1, $2)
            on conflict (slot) do nothing",
            SiteId::generate().to_string(),
            micros(now)
        );
        let row = fetch_optional!(self, "select id, created_at from site where slot = 1");
        let row = row.ok_or(sqlx::Error::RowNotFound)?;
        let record = Record::new("site", "id", row);
        Ok(SiteIdentity {
            id: record.parsed("id")?,
            created_at: record.time("created_at")?,
        })
    }
}
