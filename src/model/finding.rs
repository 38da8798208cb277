//! What a check of the set-up found, for `doctor`.
//!
//! Invariant: what is not in order comes with what to do about it.

use std::collections::BTreeSet;

use crate::model::table::TableName;

/// What connections and syncs do with this site's tables: a right that nobody needs is not missed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TablesInUse {
    /// Those a peer may read.
    pub given: BTreeSet<TableName>,
    /// Those that rows of a peer are written to.
    pub received: BTreeSet<TableName>,
}

impl TablesInUse {
    /// Whether anything is read from or written to it.
    #[must_use]
    pub fn includes(&self, table: &TableName) -> bool {
        self.given.contains(table) || self.received.contains(table)
    }
}

/// One check and how it went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// It is in order.
    pub ok: bool,
    /// What was looked at.
    pub what: String,
    /// What to do, where it is not in order.
    pub hint: Option<String>,
}

impl Finding {
    /// Something that is in order.
    #[must_use]
    pub fn good(what: impl Into<String>) -> Self {
        Self {
            ok: true,
            what: what.into(),
            hint: None,
        }
    }

    /// Something that is not, and what to do about it.
    #[must_use]
    pub fn bad(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            ok: false,
            what: what.into(),
            hint: Some(hint.into()),
        }
    }
}
