//! A foreign key of a table to be made: whether it can be had here, and how. Pure.
//!
//! Invariant: of what it does on delete only what InnoDB can do is taken over.

use std::collections::BTreeMap;

use crate::engine::mysql::create::made::can_be_key;
use crate::engine::mysql::schemas::Schemas;
use crate::engine::mysql::types::base;
use crate::engine::sql::Sql;
use crate::model::table::{ForeignKey, Table};

/// Collation of what is made here.
pub(super) const COLLATION: &str = "utf8mb4_bin";

/// A table as foreign keys see it.
#[derive(Clone, Debug)]
pub(super) struct Side {
    pub(super) table: Table,
    /// Native type and collation by column.
    pub(super) natives: BTreeMap<String, (String, Option<String>)>,
}

/// What becomes of one foreign key.
#[derive(Debug, Default)]
pub(super) struct Planned {
    pub(super) statement: Option<Sql>,
    pub(super) left_out: Option<String>,
}

/// For `key` of `child`, whose `parent` is given if it exists here or is made too.
pub(super) fn plan(
    schemas: &Schemas,
    child: &Side,
    key: &ForeignKey,
    parent: Option<&Side>,
) -> Planned {
    let words = format!(
        "{}: the foreign key ({}) to {}",
        child.table.name,
        key.columns.join(", "),
        key.table
    );
    let without = |reason: &str| Planned {
        statement: None,
        left_out: Some(format!("{words}{reason}")),
    };
    let Some(parent) = parent else {
        return without(", which does not exist here");
    };
    let Some(pairs) = pairs(child, key, parent) else {
        return without(", whose columns there are no key of the same types here");
    };
    let mut statement = schemas.sql();
    statement.push("alter table ").table(&child.table.name);
    statement.push(" add foreign key (");
    statement.idents(pairs.iter().map(|(own, _)| own.as_str()));
    statement.push(") references ").table(&parent.table.name);
    statement.push(" (");
    statement.idents(pairs.iter().map(|(_, other)| other.as_str()));
    statement.push(")");
    let action = on_delete(child, key);
    statement.push(action.unwrap_or_default());
    let left_out = action
        .is_none()
        .then(|| format!("{words}: what it does on delete"));
    Planned {
        statement: Some(statement),
        left_out,
    }
}

fn on_delete(child: &Side, key: &ForeignKey) -> Option<&'static str> {
    let nullable = |name: &String| {
        let column = child.table.column(name);
        column.is_some_and(|column| column.nullable)
    };
    match key.on_delete.to_ascii_lowercase().as_str() {
        "" | "no action" => Some(""),
        "restrict" => Some(" on delete restrict"),
        "cascade" => Some(" on delete cascade"),
        "set null" if key.columns.iter().all(nullable) => Some(" on delete set null"),
        _ => None,
    }
}

/// The columns and those they point to, in the order of the parent's key; `None` where InnoDB will not take the key.
fn pairs<'k>(
    child: &Side,
    key: &'k ForeignKey,
    parent: &'k Side,
) -> Option<Vec<(&'k String, &'k String)>> {
    let count = key.columns.len();
    if count == 0 || key.foreign_columns.len() != count || !can_be_key(&child.table, &key.columns) {
        return None;
    }
    let own = |other: &String| {
        let mut pairs = key.foreign_columns.iter().zip(&key.columns);
        pairs.find(|(name, _)| *name == other).map(|(_, own)| own)
    };
    let keys = parent.table.primary_key.iter().chain(&parent.table.unique);
    let mut fitting = keys.filter_map(|unique| {
        let pairs = unique
            .columns
            .iter()
            .map(|other| Some((own(other)?, other)));
        let pairs: Vec<_> = pairs.collect::<Option<_>>()?;
        let alike = pairs.iter().all(|(own, other)| {
            let own = child.natives.get(*own).map(comparable);
            let other = parent.natives.get(*other).map(comparable);
            own.is_some() && own == other
        });
        (pairs.len() == count && alike && can_be_key(&parent.table, &unique.columns))
            .then_some(pairs)
    });
    fitting.next()
}

/// What has to be the same on both sides of a foreign key: size and sign of numbers, the collation of text.
fn comparable((native, collation): &(String, Option<String>)) -> String {
    let native = native.to_ascii_lowercase();
    match base(&native) {
        "char" | "varchar" => format!("text {}", collation.as_deref().unwrap_or_default()),
        "binary" | "varbinary" => "bytes".to_owned(),
        name @ ("tinyint" | "smallint" | "mediumint" | "int" | "bigint") => {
            let sign = if native.contains(" unsigned") {
                " unsigned"
            } else {
                ""
            };
            format!("{name}{sign}")
        }
        _ => native,
    }
}
