//! Who decided what, and from where.
//!
//! Entries are only ever added. Invariant: no secret is in them.

use jiff::Timestamp;
use uuid::Uuid;

use crate::store::pool::{execute, fetch_all};
use crate::store::record::{Record, micros};
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

impl Store {
    /// Writes an entry.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn audit(&self, entry: &AuditEntry) -> Result<(), StoreError> {
        execute!(
            self,
            "insert into audit (id, happened_at, actor, address, action, subject, detail)
            values ($1, $2, $3, $4, $5, $6, $7)",
            Uuid::now_v7().to_string(),
            micros(entry.at),
            &entry.actor,
            &entry.address,
            &entry.action,
            &entry.subject,
            &entry.detail
        );
        Ok(())
    }

    /// Entries, newest first.
    ///
    /// # Errors
    /// When the database fails or what it holds cannot be read.
    pub async fn audit_entries(&self, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        let rows = fetch_all!(
            self,
            "select id, happened_at, actor, address, action, subject, detail
            from audit
            order by id desc
            limit $1",
            i64::from(limit)
        );
        rows.into_iter()
            .map(|row| entry(&Record::new("audit", "id", row)))
            .collect()
    }
}

fn entry(record: &Record) -> Result<AuditEntry, StoreError> {
    Ok(AuditEntry {
        at: record.time("happened_at")?,
        actor: record.text("actor")?,
        address: record.optional_text("address")?,
        action: record.text("action")?,
        subject: record.text("subject")?,
        detail: record.optional_text("detail")?,
    })
}
