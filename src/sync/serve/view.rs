//! What one connection sees of one table: the one place where a grant's columns, keys and rows are decided.
//!
//! Pure. Every answer about a table is made from its view, never from the table. Invariants: a column that is not given
//! as it is takes part in no filter, no order and no cursor; what is told of keys, counts and sizes is what the rows of
//! the view show themselves.

use std::collections::BTreeMap;

use crate::engine::driver::RowOrder;
use crate::model::grant::{ColumnPolicy, Grant};
use crate::model::table::{Column, ForeignKey, NeutralType, Table, TableName, UniqueKey};
use crate::wire::mask::{Mask, PSEUDONYM_CHARACTERS, Pseudonym, PseudonymKey, Slot};
use crate::wire::scope::{Scope, UnfitFilter};

/// A table as a connection sees it.
#[derive(Clone, Debug)]
pub struct View {
    /// With the columns, keys and types that the peer sees; computed columns are told of and not sent.
    pub(super) table: Table,
    /// As the catalogue has it.
    stored: Table,
    /// The rows that exist for the peer.
    pub(super) scope: Scope,
    /// Columns that nobody has classified since they were made.
    pub(super) unclassified: Vec<String>,
    /// Of the columns that are sent.
    sources: BTreeMap<String, Source>,
    /// Some column is not given as it is.
    hides_columns: bool,
}

/// Where a column that is sent comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    Stored(NeutralType),
    Null,
    Pseudonym { name: String, stored: NeutralType },
}

/// What is read for a peer, and how its rows come out of that.
pub(super) struct Reading {
    /// Those of the stored columns that are needed.
    pub(super) columns: Vec<(String, NeutralType)>,
    /// `None`: the rows are passed on as they are read.
    pub(super) mask: Option<Mask>,
}

impl View {
    /// What `grant` leaves of `table`, as the catalogue describes it; `is_shown` says which other tables are seen.
    ///
    /// # Errors
    /// When the grant's row filter does not fit the table: then nothing of it may be given.
    pub(super) fn of(
        table: Table,
        grant: &Grant,
        is_shown: impl Fn(&TableName) -> bool,
    ) -> Result<Self, UnfitFilter> {
        let scope = match grant.row_filter.get(&table.name) {
            Some(filter) => Scope::new(filter, |name| stored_kind(&table, name))?,
            None => Scope::default(),
        };
        let mut view = Self {
            stored: table.clone(),
            scope,
            unclassified: Vec::new(),
            sources: BTreeMap::new(),
            hides_columns: false,
            table,
        };
        for column in std::mem::take(&mut view.table.columns) {
            let policy = grant.policy(&view.table.name, &column.name);
            view.add(column, policy);
        }
        view.keep_keys(grant, is_shown);
        // An estimate or a size would tell of rows and columns that the peer does not see.
        if !view.scope.conditions().is_empty() {
            view.table.row_estimate = None;
        }
        if !view.is_whole() {
            view.table.size_bytes = None;
        }
        Ok(view)
    }

    fn add(&mut self, mut column: Column, policy: Option<&ColumnPolicy>) {
        let source = match policy {
            Some(ColumnPolicy::Allow) if column.generated => {
                self.table.columns.push(column);
                return;
            }
            // Computed columns are not sent: there is nothing of them to classify.
            _ if column.generated => return,
            Some(ColumnPolicy::Allow) => Source::Stored(column.kind),
            Some(ColumnPolicy::Null) => {
                column.nullable = true;
                column.identity = false;
                Source::Null
            }
            Some(ColumnPolicy::Pseudonym(name)) => Source::Pseudonym {
                name: name.clone(),
                stored: column.kind,
            },
            Some(ColumnPolicy::Drop) | None => {
                self.hides_columns = true;
                if policy.is_none() {
                    self.unclassified.push(column.name);
                }
                return;
            }
        };
        if let Source::Pseudonym { stored, .. } = source {
            stand_in(&mut column, stored);
        }
        self.hides_columns |= !matches!(source, Source::Stored(_));
        self.sources.insert(column.name.clone(), source);
        self.table.columns.push(column);
    }

    fn keep_keys(&mut self, grant: &Grant, is_shown: impl Fn(&TableName) -> bool) {
        let (sources, columns) = (&self.sources, &self.table.columns);
        let names_something = |name: &String| match sources.get(name) {
            Some(Source::Stored(_) | Source::Pseudonym { .. }) => true,
            Some(Source::Null) => false,
            None => columns.iter().any(|column| column.name == *name),
        };
        let is_key = |key: &UniqueKey| key.columns.iter().all(names_something);
        self.table.primary_key = self.table.primary_key.take().filter(is_key);
        self.table.unique.retain(is_key);
        let name = &self.table.name;
        let still_points = |key: &ForeignKey| {
            let mut pairs = key.columns.iter().zip(&key.foreign_columns);
            is_shown(&key.table)
                && key.columns.iter().all(names_something)
                && pairs.all(|(column, foreign)| {
                    let here = grant.policy(name, column);
                    let there = grant.policy(&key.table, foreign);
                    matches!((here, there), (Some(here), Some(there)) if here.joins(there))
                })
        };
        self.table.foreign_keys.retain(still_points);
    }

    /// Whether the peer sees every row and every column as it is.
    pub(super) fn is_whole(&self) -> bool {
        !self.hides_columns && self.scope.conditions().is_empty()
    }

    /// Whether the same table gives the same under `grant`.
    pub(super) fn is_under(&self, grant: &Grant) -> bool {
        Self::of(self.stored.clone(), grant, |_| true)
            .is_ok_and(|other| self.sources == other.sources && self.scope == other.scope)
    }

    /// The columns that the peer gets, with their types: all that can be sent.
    pub(super) fn sent_columns(&self) -> Vec<(String, NeutralType)> {
        let columns = self.table.columns.iter().filter(|column| !column.generated);
        columns
            .map(|column| (column.name.clone(), column.kind))
            .collect()
    }

    /// The type of a column that is given as it is; one that is hidden is to be told from none by nobody.
    pub(super) fn open_kind(&self, name: &str) -> Option<NeutralType> {
        match self.sources.get(name) {
            Some(Source::Stored(kind)) => Some(*kind),
            Some(Source::Null | Source::Pseudonym { .. }) | None => None,
        }
    }

    /// The primary key, where the peer sees all of it as it is.
    pub(super) fn open_key(&self) -> Option<&UniqueKey> {
        let is_open = |name: &String| match self.sources.get(name) {
            Some(source) => matches!(source, Source::Stored(_)),
            None => true,
        };
        let key = self.table.primary_key.as_ref();
        key.filter(|key| key.columns.iter().all(is_open))
    }

    /// Rows come as the database finds them, often in the order of their key or of their making. Where something of them
    /// is hidden and the key is not there to see, that order would give it away: the first row is that of customer 1.
    pub(super) fn order(&self) -> RowOrder {
        match self.hides_columns && self.open_key().is_none() {
            true => RowOrder::Shuffled,
            false => RowOrder::Found,
        }
    }

    /// What has to be read for rows of `columns`, which are among [`Self::sent_columns`].
    pub(super) fn reading(&self, columns: &[(String, NeutralType)], key: &PseudonymKey) -> Reading {
        let mut read: Vec<(String, NeutralType)> = Vec::with_capacity(columns.len());
        let mut slots = Vec::with_capacity(columns.len());
        for (name, _) in columns {
            let mut place = |kind: NeutralType| {
                read.push((name.clone(), kind));
                read.len() - 1
            };
            slots.push(match self.sources.get(name) {
                Some(Source::Stored(kind)) => Slot::Field(place(*kind)),
                Some(Source::Pseudonym { name, stored }) => {
                    Slot::Pseudonym(place(*stored), key.pseudonym(name, *stored))
                }
                Some(Source::Null) | None => Slot::Null,
            });
        }
        let is_open = slots.iter().all(|slot| matches!(slot, Slot::Field(_)));
        Reading {
            columns: read,
            mask: (!is_open).then(|| Mask::new(slots)),
        }
    }

    /// What becomes of a column that the peer gets, as an administrator writes it.
    pub(super) fn policy_of(&self, name: &str) -> ColumnPolicy {
        match self.sources.get(name) {
            Some(Source::Stored(_)) => ColumnPolicy::Allow,
            Some(Source::Null) => ColumnPolicy::Null,
            Some(Source::Pseudonym { name, .. }) => ColumnPolicy::Pseudonym(name.clone()),
            None => ColumnPolicy::Drop,
        }
    }
}

/// The type of a column that can be read.
fn stored_kind(table: &Table, name: &str) -> Option<NeutralType> {
    let column = table.column(name).filter(|column| !column.generated);
    column.map(|column| column.kind)
}

/// Makes a column's description that of its pseudonyms.
fn stand_in(column: &mut Column, stored: NeutralType) {
    column.kind = Pseudonym::kind_of(stored);
    (column.native, column.length) = match column.kind {
        NeutralType::Uuid => ("uuid".to_owned(), None),
        _ => (
            format!("character varying({PSEUDONYM_CHARACTERS})"),
            Some(PSEUDONYM_CHARACTERS),
        ),
    };
    (column.precision, column.scale) = (None, None);
    column.identity = false;
    column.has_default = false;
}

#[cfg(test)]
mod tests;
