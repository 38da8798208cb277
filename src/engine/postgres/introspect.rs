//! Tables as [`Table`] values, put together from what the catalogue answered.
//!
//! Invariant: names and types printed here come from this database's own catalogue and nowhere else.

use std::collections::HashMap;

use sqlx::PgConnection;

use crate::engine::postgres::catalogue::{
    self, Answers, ColumnRow, ForeignKeyRow, KeyRow, TableRow,
};
use crate::engine::postgres::connect::DEFAULT_SCHEMA;
use crate::engine::postgres::types::NativeType;
use crate::model::table::{Column, ForeignKey, NeutralType, Table, TableName, UniqueKey};

/// All tables of `schemas`, by name.
pub(super) async fn tables(
    connection: &mut PgConnection,
    schemas: &[String],
) -> Result<Vec<Table>, sqlx::Error> {
    Ok(assemble(catalogue::ask(connection, schemas, None).await?))
}

/// One table, if it lies in one of `schemas`.
pub(super) async fn table(
    connection: &mut PgConnection,
    schemas: &[String],
    name: &TableName,
) -> Result<Option<Table>, sqlx::Error> {
    if name.schema.as_deref() == Some(DEFAULT_SCHEMA) {
        return Ok(None);
    }
    let schema = name.schema.as_deref().unwrap_or(DEFAULT_SCHEMA);
    if !schemas.iter().any(|known| known == schema) {
        return Ok(None);
    }
    let answers = catalogue::ask(connection, &[schema.to_owned()], Some(&name.name)).await?;
    Ok(assemble(answers).into_iter().next())
}

/// The name as it is written everywhere: bare in the default schema.
fn table_name(schema: &str, name: &str) -> TableName {
    TableName {
        schema: (schema != DEFAULT_SCHEMA).then(|| schema.to_owned()),
        name: name.to_owned(),
    }
}

fn assemble(answers: Answers) -> Vec<Table> {
    let mut columns = group(answers.columns, |row| row.oid);
    let mut keys = group(answers.keys, |row| row.oid);
    let mut foreign_keys = group(answers.foreign_keys, |row| row.oid);
    let mut triggers = group(answers.triggers, |row| row.oid);
    let mut tables: Vec<Table> = answers
        .tables
        .into_iter()
        .map(|row| {
            let columns = columns.remove(&row.oid).unwrap_or_default();
            let keys = keys.remove(&row.oid).unwrap_or_default();
            let (primary, unique): (Vec<_>, Vec<_>) =
                keys.into_iter().partition(|key| key.is_primary);
            Table {
                name: table_name(&row.schema, &row.name),
                primary_key: primary
                    .into_iter()
                    .next()
                    .map(|key| unique_key(key, &columns)),
                unique: unique
                    .into_iter()
                    .map(|key| unique_key(key, &columns))
                    .collect(),
                foreign_keys: foreign_keys
                    .remove(&row.oid)
                    .unwrap_or_default()
                    .into_iter()
                    .map(foreign_key)
                    .collect(),
                triggers: triggers
                    .remove(&row.oid)
                    .unwrap_or_default()
                    .into_iter()
                    .map(|trigger| trigger.name)
                    .collect(),
                row_estimate: row.estimate.and_then(|rows| u64::try_from(rows).ok()),
                size_bytes: row.size.and_then(|bytes| u64::try_from(bytes).ok()),
                not_writable: not_writable(&row),
                columns: columns.into_iter().map(column).collect(),
            }
        })
        .collect();
    tables.sort_by(|one, other| one.name.cmp(&other.name));
    tables
}

fn group<T>(rows: Vec<T>, table: impl Fn(&T) -> i64) -> HashMap<i64, Vec<T>> {
    let mut groups: HashMap<i64, Vec<T>> = HashMap::new();
    for row in rows {
        groups.entry(table(&row)).or_default().push(row);
    }
    groups
}

fn native(row: &ColumnRow) -> NativeType {
    NativeType {
        oid: u32::try_from(row.type_oid).unwrap_or_default(),
        modifier: row.modifier,
        is_enum: row.is_enum,
    }
}

fn column(row: ColumnRow) -> Column {
    let native = native(&row);
    let width = native.width();
    // Only a plain char(n) can be told by its name from what does not pad.
    let padding_domain = native.pads() && !row.native.starts_with("character(");
    Column {
        kind: if padding_domain {
            NeutralType::Other
        } else {
            native.neutral()
        },
        precision: width.precision,
        scale: width.scale,
        length: width.length,
        name: row.name,
        native: row.native,
        nullable: row.nullable,
        generated: row.generated,
        identity: row.identity,
        has_default: row.has_default,
    }
}

fn unique_key(key: KeyRow, columns: &[ColumnRow]) -> UniqueKey {
    let of_key = |column: &&ColumnRow| key.columns.contains(&column.name);
    let folds = |column: &ColumnRow| native(column).folds() || !column.deterministic;
    UniqueKey {
        folded: !key.deterministic || columns.iter().filter(of_key).any(folds),
        columns: key.columns,
    }
}

fn foreign_key(row: ForeignKeyRow) -> ForeignKey {
    ForeignKey {
        columns: row.columns,
        table: table_name(&row.schema, &row.name),
        foreign_columns: row.foreign_columns,
        on_delete: row.on_delete,
    }
}

fn not_writable(row: &TableRow) -> Option<String> {
    if row.has_children {
        Some("other tables inherit from it, and its rows and theirs cannot be told apart".into())
    } else if row.has_parent {
        Some("it inherits from another table, whose rows include its own".into())
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::table_name;

    #[test]
    fn a_table_of_the_default_schema_goes_by_its_bare_name() {
        assert_eq!(table_name("public", "a.b").to_string(), "\"a.b\"");
        assert_eq!(table_name("sales", "orders").to_string(), "sales.orders");
    }
}
