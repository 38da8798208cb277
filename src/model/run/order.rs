//! What a run is to do, and how.

use serde::{Deserialize, Serialize};

use crate::model::difference::KEPT;
use crate::model::guard::Guard;
use crate::model::order::TableOrder;
use crate::model::run::{Apply, ConflictStrategy, SyncMode};
use crate::model::table::TableName;

/// What to pull and how; fixed when the run is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunOrder {
    /// The tables, in the order of the request.
    pub tables: Vec<TableOrder>,
    /// Which rows may be written.
    pub sync_mode: SyncMode,
    /// What becomes of differing rows.
    pub conflict_strategy: ConflictStrategy,
    /// Whether what is found is done.
    #[serde(default)]
    pub apply: Apply,
    /// Make tables that are missing here.
    pub create_missing: bool,
    /// Write even where another connection writes.
    pub shared: bool,
    /// How many rows it may delete before a person has to look.
    #[serde(default)]
    pub guard: Guard,
    /// Of each table so many differences are kept at most; `None`: [`KEPT`].
    #[serde(default)]
    pub keep: Option<u32>,
}

impl RunOrder {
    /// These tables, as one that says nothing else wants them.
    #[must_use]
    pub fn of(tables: Vec<TableOrder>) -> Self {
        Self {
            tables,
            sync_mode: SyncMode::default(),
            conflict_strategy: ConflictStrategy::default(),
            apply: Apply::default(),
            create_missing: false,
            shared: false,
            guard: Guard::default(),
            keep: None,
        }
    }

    /// How many differences of each table are kept.
    #[must_use]
    pub fn kept(&self) -> usize {
        let asked = self.keep.and_then(|keep| usize::try_from(keep).ok());
        asked.map_or(KEPT, |keep| keep.min(KEPT))
    }

    /// By which column of `table`, one of those it writes, a row is newer.
    #[must_use]
    pub fn version_column(&self, table: &TableName) -> Option<String> {
        let mut tables = self.tables.iter();
        let ordered = tables.find(|ordered| ordered.destination() == table)?;
        ordered.version_column.clone()
    }

    /// The tables it writes.
    #[must_use]
    pub fn destinations(&self) -> Vec<TableName> {
        self.tables
            .iter()
            .map(|table| table.destination().clone())
            .collect()
    }
}
