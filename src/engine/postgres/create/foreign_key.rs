//! A foreign key of a table to be made: whether it can be had here, and how. Pure.
//!
//! Invariant: of what it does on delete only PostgreSQL's own five actions are taken over.

use crate::engine::postgres::connect::sql;
use crate::engine::sql::Sql;
use crate::model::table::{Column, ForeignKey, Table};

/// What becomes of one foreign key.
#[derive(Debug, Default)]
pub(super) struct Planned {
    pub(super) statement: Option<Sql>,
    pub(super) left_out: Option<String>,
}

/// For `key` of `table`, whose `parent` is given if it exists here or is made too.
pub(super) fn plan(table: &Table, key: &ForeignKey, parent: Option<&Table>) -> Planned {
    let words = format!(
        "{}: the foreign key ({}) to {}",
        table.name,
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
    if !fits(table, key, parent) {
        return without(", whose columns there are no key of the same types here");
    }
    let mut statement = sql();
    statement
        .push("alter table ")
        .table(&table.name)
        .push(" add foreign key (");
    statement
        .idents(key.columns.iter().map(String::as_str))
        .push(") references ");
    statement.table(&parent.name).push(" (");
    statement
        .idents(key.foreign_columns.iter().map(String::as_str))
        .push(")");
    let action = on_delete(&key.on_delete);
    statement.push(action.unwrap_or_default());
    let left_out = action
        .is_none()
        .then(|| format!("{words}: what it does on delete"));
    Planned {
        statement: Some(statement),
        left_out,
    }
}

fn on_delete(action: &str) -> Option<&'static str> {
    match action.to_ascii_lowercase().as_str() {
        "" | "no action" => Some(""),
        "restrict" => Some(" on delete restrict"),
        "cascade" => Some(" on delete cascade"),
        "set null" => Some(" on delete set null"),
        "set default" => Some(" on delete set default"),
        _ => None,
    }
}

/// Whether PostgreSQL will take the key: the columns pointed to are unique, and their types can be compared.
fn fits(table: &Table, key: &ForeignKey, parent: &Table) -> bool {
    let mut wanted: Vec<&String> = key.foreign_columns.iter().collect();
    wanted.sort();
    let is_key = parent
        .primary_key
        .iter()
        .chain(&parent.unique)
        .any(|unique| {
            let mut columns: Vec<&String> = unique.columns.iter().collect();
            columns.sort();
            columns == wanted
        });
    let pairs = key.columns.iter().zip(&key.foreign_columns);
    let alike = pairs.clone().all(|(own, other)| {
        let own = made(table, own);
        let other = made(parent, other);
        own.zip(other).is_some_and(|(own, other)| {
            own.kind == other.kind || (own.kind.is_integer() && other.kind.is_integer())
        })
    });
    is_key && alike && !key.columns.is_empty() && key.columns.len() == key.foreign_columns.len()
}

/// The column, unless it is a generated one, which is not made.
fn made<'a>(table: &'a Table, name: &str) -> Option<&'a Column> {
    table.column(name).filter(|column| !column.generated)
}
