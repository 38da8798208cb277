//! Who decided what, and from where.

use jiff::Timestamp;

use crate::store::{Store, StoreError};

/// One decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// `unix:anna`, `token:backup`, `peer:berlin`, `evenkeel`.
    pub actor: String,
    /// The address it came from, where it came by network.
    pub address: Option<String>,
    /// `connection.approve`, `token.create`, ...
    pub action: String,
    /// The id or name of what it was done to.
    pub subject: String,
    /// More, in words; never a secret.
    pub detail: Option<String>,
}

#[expect(clippy::unused_async, unused_variables, reason = "being written")]
impl Store {
    /// Writes an entry.
    pub async fn audit(&self, entry: &AuditEntry) -> Result<(), StoreError> {
        todo!()
    }
    /// Entries, newest first.
    pub async fn audit_entries(&self, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        todo!()
    }
}
