//! What else changes where tables are written: rows that follow others by a foreign key, and whatever triggers do. Pure.
//!
//! Invariant: a table that is not reached has the changes that were made to it, and no others.

use std::collections::HashSet;

use crate::model::table::{Table, TableName};

/// What was done to one table.
#[derive(Clone, Debug)]
pub(super) struct Written {
    pub(super) table: TableName,
    pub(super) columns: Changed,
}

/// The columns in which rows that were here may have changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Changed {
    Only(Vec<String>),
    AllBut(Vec<String>),
}

/// The tables in which rows may have changed by what was done to others, or to other rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reached {
    /// Triggers do what they like.
    Any,
    These(HashSet<TableName>),
}

impl Default for Reached {
    fn default() -> Self {
        Self::These(HashSet::new())
    }
}

impl Changed {
    fn has(&self, column: &str) -> bool {
        let is_among = |columns: &[String]| columns.iter().any(|name| name == column);
        match self {
            Self::Only(columns) => is_among(columns),
            Self::AllBut(columns) => !is_among(columns),
        }
    }
}

impl Reached {
    /// By what was `written`, in a database of these `tables`.
    pub(super) fn by(written: Vec<Written>, tables: &[Table]) -> Self {
        let mut followed = HashSet::new();
        let mut waiting = written;
        while let Some(Written { table, columns }) = waiting.pop() {
            if tables
                .iter()
                .any(|other| other.name == table && !other.triggers.is_empty())
            {
                return Self::Any;
            }
            for child in tables {
                let follows = child.foreign_keys.iter().filter(|key| {
                    key.table == table && key.foreign_columns.iter().any(|name| columns.has(name))
                });
                for key in follows {
                    if followed.insert((&child.name, &key.columns)) {
                        waiting.push(Written {
                            table: child.name.clone(),
                            columns: Changed::Only(key.columns.clone()),
                        });
                    }
                }
            }
        }
        Self::These(followed.into_iter().map(|(name, _)| name.clone()).collect())
    }

    pub(super) fn has(&self, table: &TableName) -> bool {
        match self {
            Self::Any => true,
            Self::These(tables) => tables.contains(table),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Changed, Reached, Written};
    use crate::model::fixture;
    use crate::model::table::{ForeignKey, Table, TableName};

    fn table(name: &str, points: &[(&str, &str, &str)]) -> Table {
        let key = |(column, table, foreign): &(&str, &str, &str)| ForeignKey {
            columns: vec![(*column).to_owned()],
            table: TableName::bare(*table),
            foreign_columns: vec![(*foreign).to_owned()],
            on_delete: "no action".into(),
        };
        Table {
            foreign_keys: points.iter().map(key).collect(),
            ..fixture::table(name, vec![], &["id"])
        }
    }

    fn reached(tables: &[Table], columns: Changed) -> Vec<&str> {
        let written = Written {
            table: TableName::bare("g"),
            columns,
        };
        let reached = Reached::by(vec![written], tables);
        let names = tables.iter().map(|table| &table.name);
        let held = names.filter(|name| reached.has(name));
        held.map(|name| name.name.as_str()).collect()
    }

    fn all_but_id() -> Changed {
        Changed::AllBut(vec!["id".into()])
    }

    #[test]
    fn rows_follow_from_table_to_table() {
        let chain = [
            table("g", &[]),
            table("p", &[("code", "g", "code")]),
            table("c", &[("code", "p", "code")]),
            table("d", &[("parent", "p", "id")]),
            table("e", &[("parent", "g", "id")]),
        ];
        assert_eq!(reached(&chain, all_but_id()), ["p", "c"]);
    }

    #[test]
    fn a_circle_ends_and_reaches_its_beginning() {
        let circle = [
            table("g", &[("code", "p", "code")]),
            table("p", &[("code", "g", "code")]),
        ];
        assert_eq!(reached(&circle, all_but_id()), ["g", "p"]);
    }

    #[test]
    fn rows_that_were_only_added_lead_nowhere_but_to_triggers() {
        let mut tables = [
            table("g", &[]),
            table("p", &[("code", "g", "code")]),
            table("alone", &[]),
        ];
        let none = || Changed::Only(vec![]);
        assert!(reached(&tables, none()).is_empty());
        tables[1].triggers.push("t".into());
        assert!(reached(&tables, none()).is_empty());
        assert_eq!(reached(&tables, all_but_id()), ["g", "p", "alone"]);
        tables[0].triggers.push("t".into());
        assert_eq!(reached(&tables, none()), ["g", "p", "alone"]);
    }
}
