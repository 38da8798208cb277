//! Admin API tokens. Of a token only an HMAC of its SHA-256 is kept, under which it is looked up.
//!
//! Invariant: a token cannot be read again after it was made.

use jiff::Timestamp;

use crate::base::secret::{Secret, new_token, token_hash};
use crate::model::id::TokenId;
use crate::model::role::Role;
use crate::store::pool::{execute, fetch_all, fetch_optional};
use crate::store::record::{Record, micros, optional_micros};
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

impl Store {
    /// Makes a token and returns it; it cannot be read again.
    ///
    /// # Errors
    /// When the database fails or the system has no random bytes.
    pub async fn create_token(
        &self,
        new: &NewAdminToken,
        now: Timestamp,
    ) -> Result<(AdminToken, Secret<String>), StoreError> {
        let characters = new_token()?;
        let token = AdminToken {
            id: TokenId::generate(),
            name: new.name.clone(),
            role: new.role,
            created_at: now,
            expires_at: new.expires_at,
        };
        execute!(
            self,
            "insert into admin_token (id, name, role, token_lookup, created_at, expires_at)
            values ($1, $2, $3, $4, $5, $6)",
            token.id.to_string(),
            &token.name,
            token.role.as_str(),
            self.token_lookup(characters.expose()),
            micros(now),
            optional_micros(token.expires_at)
        );
        Ok((token, characters))
    }

    /// The token these characters are, unless it is revoked or expired.
    ///
    /// # Errors
    /// When the database fails or what it holds cannot be read.
    pub async fn token(
        &self,
        characters: &str,
        now: Timestamp,
    ) -> Result<Option<AdminToken>, StoreError> {
        let row = fetch_optional!(
            self,
            "select id, name, role, created_at, expires_at
            from admin_token
            where token_lookup = $1
              and (expires_at is null or expires_at > $2)",
            self.token_lookup(characters),
            micros(now)
        );
        row.map(|row| token(&Record::new("admin_token", "id", row)))
            .transpose()
    }

    /// All that are not revoked, newest first.
    ///
    /// # Errors
    /// When the database fails or what it holds cannot be read.
    pub async fn tokens(&self) -> Result<Vec<AdminToken>, StoreError> {
        let rows = fetch_all!(
            self,
            "select id, name, role, created_at, expires_at
            from admin_token
            order by id desc"
        );
        rows.into_iter()
            .map(|row| token(&Record::new("admin_token", "id", row)))
            .collect()
    }

    /// Revokes; false when there is none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn revoke_token(&self, id: TokenId) -> Result<bool, StoreError> {
        let revoked = execute!(
            self,
            "delete from admin_token where id = $1",
            id.to_string()
        );
        Ok(revoked > 0)
    }

    fn token_lookup(&self, characters: &str) -> String {
        self.key.lookup(token_hash(characters).expose())
    }
}

fn token(record: &Record) -> Result<AdminToken, StoreError> {
    Ok(AdminToken {
        id: record.parsed("id")?,
        name: record.text("name")?,
        role: record.parsed("role")?,
        created_at: record.time("created_at")?,
        expires_at: record.optional_time("expires_at")?,
    })
}
