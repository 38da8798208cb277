//! Admin API tokens; only their SHA-256 is kept, looked up by HMAC.

use jiff::Timestamp;

use crate::base::secret::Secret;
use crate::model::id::TokenId;
use crate::model::policy::Role;
use crate::store::{Store, StoreError};

/// A token to make.
#[derive(Clone, Debug)]
pub struct NewAdminToken {
    /// For people.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// When it stops working.
    pub expires_at: Option<Timestamp>,
}

/// A token, without the token itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminToken {
    /// Its identifier.
    pub id: TokenId,
    /// For people.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops working.
    pub expires_at: Option<Timestamp>,
}

#[expect(clippy::unused_async, unused_variables, reason = "being written")]
impl Store {
    /// Makes a token and returns it; it cannot be read again.
    pub async fn create_token(
        &self,
        new: &NewAdminToken,
        now: Timestamp,
    ) -> Result<(AdminToken, Secret<String>), StoreError> {
        todo!()
    }
    /// The token these characters are, unless it is revoked or expired.
    pub async fn token(
        &self,
        characters: &str,
        now: Timestamp,
    ) -> Result<Option<AdminToken>, StoreError> {
        todo!()
    }
    /// All that are not revoked, newest first.
    pub async fn tokens(&self) -> Result<Vec<AdminToken>, StoreError> {
        todo!()
    }
    /// Revokes; false when there is none.
    pub async fn revoke_token(&self, id: TokenId) -> Result<bool, StoreError> {
        todo!()
    }
}
