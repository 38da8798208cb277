//! Who this site is.

use jiff::Timestamp;

use crate::model::id::SiteId;
use crate::store::{Store, StoreError};

/// This site's lasting identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SiteIdentity {
    /// Drawn once, when the state is made.
    pub id: SiteId,
    /// When that was.
    pub created_at: Timestamp,
}

#[expect(clippy::unused_async, unused_variables, reason = "being written")]
impl Store {
    /// The identity, made on first use.
    pub async fn site_identity(&self, now: Timestamp) -> Result<SiteIdentity, StoreError> {
        todo!()
    }
}
