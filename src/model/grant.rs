//! What a sender lets one connection see.
//!
//! Knows no catalogue: whether the names exist is asked where one is at hand. Invariants: absent or empty means nothing
//! is granted; `"*"` never includes the withheld; of a table whose columns are listed, a column that is not is hidden.

mod columns;
mod limits;
mod unique;
mod withheld;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::filter::Filter;
use crate::model::grant::unique::unique;
use crate::model::table::TableName;

pub use crate::model::grant::columns::{ColumnPolicy, MAX_PSEUDONYM_BYTES};
pub use crate::model::grant::limits::{Clock, Hours, Limits};
pub use crate::model::grant::withheld::Withheld;

/// A grant, as an administrator writes it and as it is stored. A key that this version does not know is refused rather
/// than ignored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Grant {
    /// The tables.
    pub tables: GrantedTables,
    /// Left out although granted.
    pub excluded_tables: Vec<TableName>,
    /// What becomes of each column, for tables whose columns are listed. Of all other tables every column is given.
    #[serde(deserialize_with = "unique")]
    pub columns: BTreeMap<TableName, ColumnPolicies>,
    /// Which rows of a table exist for the peer. Its columns need not be given.
    #[serde(deserialize_with = "unique")]
    pub row_filter: BTreeMap<TableName, Filter>,
    /// Bounds on requests.
    pub limits: Limits,
}

/// What becomes of the columns of one table, by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnPolicies(
    /// As the catalogue spells them.
    #[serde(deserialize_with = "unique")]
    pub BTreeMap<String, ColumnPolicy>,
);

/// Which tables a grant names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum GrantedTables {
    /// `"*"`: every table but the withheld.
    All(Star),
    /// Just these.
    Named(Vec<TableName>),
}

impl Default for GrantedTables {
    fn default() -> Self {
        Self::Named(Vec::new())
    }
}

/// The text `*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Star {
    /// `*`
    #[serde(rename = "*")]
    Star,
}

impl Grant {
    /// A grant of just these tables.
    #[must_use]
    pub fn of(tables: Vec<TableName>) -> Self {
        Self {
            tables: GrantedTables::Named(tables),
            ..Self::default()
        }
    }

    /// Whether the connection may see `table`.
    #[must_use]
    pub fn allows(&self, table: &TableName, withheld: &Withheld) -> bool {
        let named = match &self.tables {
            GrantedTables::All(_) => !withheld.includes(table),
            GrantedTables::Named(tables) => tables.contains(table),
        };
        named && !self.excluded_tables.contains(table)
    }

    /// Whether it lets the connection see nothing at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(&self.tables, GrantedTables::Named(tables) if tables.is_empty())
    }

    /// What becomes of a column of a granted table; `None` where the table's columns are listed and this one is not.
    #[must_use]
    pub fn policy(&self, table: &TableName, column: &str) -> Option<&ColumnPolicy> {
        match self.columns.get(table) {
            None => Some(&ColumnPolicy::Allow),
            Some(listed) => listed.0.get(column),
        }
    }

    /// Whether its time is over at `now`.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.limits.are_over(now)
    }
}
