//! Who this site is.
//!
//! Invariant: the identity and the receipt key are drawn once and never change; the key is kept sealed.

use jiff::Timestamp;

use crate::base::secret::{Secret, random_bytes};
use crate::model::id::SiteId;
use crate::store::pool::{execute, fetch_optional};
use crate::store::record::{Record, micros};
use crate::store::{Store, StoreError};
use crate::wire::signing::ReceiptKey;

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

    /// The key with which this site signs receipts, made on first use. The site has its identity by then.
    ///
    /// # Errors
    /// When the database fails or the key does not open.
    pub async fn receipt_key(&self) -> Result<ReceiptKey, StoreError> {
        const PLACE: &str = "site/1/receipt_key";
        let seed = Secret::new(hex::encode(random_bytes()?));
        execute!(
            self,
            "update site
            set receipt_key = $1
            where slot = 1
              and receipt_key is null",
            self.key.seal(PLACE, seed.expose())?
        );
        let row = fetch_optional!(self, "select id, receipt_key from site where slot = 1");
        let record = Record::new("site", "id", row.ok_or(sqlx::Error::RowNotFound)?);
        let text = self.key.open(PLACE, &record.text("receipt_key")?)?;
        let mut seed = [0; 32];
        hex::decode_to_slice(text.expose(), &mut seed)
            .map_err(|_| record.corrupt("receipt_key", "a receipt key"))?;
        Ok(ReceiptKey::from_seed(Secret::new(seed)))
    }
}
