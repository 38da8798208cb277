//! Tables as [`Table`] values, put together from what the catalogue answered.
//!
//! Invariant: names and types printed here come from this database's own catalogue and nowhere else.

use std::collections::HashMap;

use crate::engine::mysql::catalogue::{
    self, Answers, ColumnRow, ForeignKeyRow, KeyRow, NamedRow, Scope, TableRow,
};
use crate::engine::mysql::connect::Session;
use crate::engine::mysql::definition::Definition;
use crate::engine::mysql::schemas::Schemas;
use crate::engine::mysql::types::NativeType;
use crate::model::table::{Column, ForeignKey, Table, TableName, UniqueKey};

/// The one storage engine whose tables have transactions and snapshots.
const TRANSACTIONAL: &str = "InnoDB";

/// What MariaDB makes of a column declared `json`.
const JSON_ALIAS: &str = "longtext";

/// All tables of `schemas`, by name.
pub(super) async fn tables(
    session: &mut Session,
    schemas: &Schemas,
) -> Result<Vec<Table>, sqlx::Error> {
    let mut tables = Vec::new();
    for schema in schemas.all() {
        let scope = Scope {
            schemas,
            schema,
            name: None,
        };
        tables.extend(described(session, scope).await?);
    }
    tables.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(tables)
}

/// One table, if it lies in one of `schemas`.
pub(super) async fn table(
    session: &mut Session,
    schemas: &Schemas,
    name: &TableName,
) -> Result<Option<Table>, sqlx::Error> {
    let Some(schema) = schemas.of(name) else {
        return Ok(None);
    };
    let scope = Scope {
        schemas,
        schema,
        name: Some(&name.name),
    };
    let tables = described(session, scope).await?;
    // The catalogue finds a name also in other case.
    Ok(tables.into_iter().find(|table| table.name == *name))
}

async fn described(session: &mut Session, scope: Scope<'_>) -> Result<Vec<Table>, sqlx::Error> {
    let mut answers = catalogue::ask(session, scope).await?;
    add_untold(session, scope, &mut answers).await?;
    Ok(assemble(scope, answers))
}

/// Reads from tables' definitions what the catalogue keeps from who may only read.
async fn add_untold(
    session: &mut Session,
    scope: Scope<'_>,
    answers: &mut Answers,
) -> Result<(), sqlx::Error> {
    let mut names: Vec<String> = answers
        .columns
        .iter()
        .filter(|column| answers.mariadb && column.native == JSON_ALIAS)
        .filter(|column| !answers.checks.iter().any(|check| is_json(check, column)))
        .map(|column| column.owner.clone())
        .chain(
            answers
                .foreign_keys
                .iter()
                .filter(|key| !answers.rules.iter().any(|rule| is_rule(rule, key)))
                .map(|key| key.owner.clone()),
        )
        .collect();
    names.sort_unstable();
    names.dedup();
    for owner in names {
        let table = scope.schemas.table_name(scope.schema, &owner);
        let text = catalogue::definition(session, scope.schemas, &table).await?;
        let definition = Definition::read(&text);
        let named = |(name, text)| NamedRow {
            owner: owner.clone(),
            name,
            text,
        };
        answers
            .checks
            .extend(definition.json_checks.into_iter().map(named));
        answers
            .rules
            .extend(definition.delete_rules.into_iter().map(named));
    }
    Ok(())
}

fn assemble(scope: Scope<'_>, answers: Answers) -> Vec<Table> {
    let mut columns = group(answers.columns, |row| &row.owner);
    let mut keys = group(answers.keys, |row| &row.owner);
    let mut foreign_keys = group(answers.foreign_keys, |row| &row.owner);
    let mut triggers = group(answers.triggers, |row| &row.owner);
    let tables = answers.tables.into_iter().map(|row| {
        let columns: Vec<Described> = columns
            .remove(&row.name)
            .unwrap_or_default()
            .into_iter()
            .map(|column| described_column(column, &answers.checks, answers.mariadb))
            .collect();
        let keys = unique_keys(keys.remove(&row.name).unwrap_or_default(), &columns);
        let (primary, unique): (Vec<_>, Vec<_>) =
            keys.into_iter().partition(|(name, _)| name == "PRIMARY");
        let mut triggers: Vec<String> = triggers
            .remove(&row.name)
            .unwrap_or_default()
            .into_iter()
            .map(|trigger| trigger.name)
            .collect();
        // A trigger of MariaDB may stand for several events.
        triggers.dedup();
        Table {
            name: scope.schemas.table_name(scope.schema, &row.name),
            primary_key: primary.into_iter().next().map(|(_, key)| key),
            unique: unique.into_iter().map(|(_, key)| key).collect(),
            foreign_keys: assembled(
                foreign_keys.remove(&row.name).unwrap_or_default(),
                &answers.rules,
                scope.schemas,
            ),
            triggers,
            row_estimate: row.estimate.and_then(|rows| u64::try_from(rows).ok()),
            size_bytes: row.size.and_then(|bytes| u64::try_from(bytes).ok()),
            not_writable: not_writable(&row),
            columns: columns.into_iter().map(|column| column.column).collect(),
        }
    });
    tables.collect()
}

fn group<T>(rows: Vec<T>, table: impl Fn(&T) -> &String) -> HashMap<String, Vec<T>> {
    let mut groups: HashMap<String, Vec<T>> = HashMap::new();
    for row in rows {
        groups.entry(table(&row).clone()).or_default().push(row);
    }
    groups
}

struct Described {
    column: Column,
    folds: bool,
}

fn described_column(row: ColumnRow, checks: &[NamedRow], mariadb: bool) -> Described {
    let number = |value: Option<i64>| value.and_then(|value| u32::try_from(value).ok());
    let checked = row.native == JSON_ALIAS && checks.iter().any(|check| is_json(check, &row));
    let text = if checked {
        "json".to_owned()
    } else {
        row.native
    };
    let native = NativeType {
        text: &text,
        digits: number(row.digits),
        scale: number(row.scale),
        fraction: number(row.fraction),
        length: number(row.length),
        mariadb,
    };
    let width = native.width();
    Described {
        folds: native.folds(row.collation.as_deref()),
        column: Column {
            name: row.name,
            kind: native.neutral(),
            precision: width.precision,
            scale: width.scale,
            length: width.length,
            nullable: row.nullable,
            generated: row.generated,
            identity: row.identity,
            has_default: row.has_default && !row.generated,
            native: text,
        },
    }
}

/// Whether `check` makes `column` one of MariaDB's json columns.
fn is_json(check: &NamedRow, column: &ColumnRow) -> bool {
    let quoted = column.name.replace('`', "``");
    check.owner == column.owner && check.text == format!("json_valid(`{quoted}`)")
}

fn is_rule(rule: &NamedRow, key: &ForeignKeyRow) -> bool {
    rule.owner == key.owner && rule.name == key.key
}

/// Unique indexes on whole columns; a prefix or an expression makes no key.
fn unique_keys(rows: Vec<KeyRow>, columns: &[Described]) -> Vec<(String, UniqueKey)> {
    let mut keys: Vec<(String, Option<UniqueKey>)> = Vec::new();
    for row in rows {
        if keys.last().is_none_or(|(name, _)| *name != row.key) {
            let empty = UniqueKey {
                columns: Vec::new(),
                folded: false,
            };
            keys.push((row.key.clone(), Some(empty)));
        }
        let Some((_, key)) = keys.last_mut() else {
            continue;
        };
        match (row.name.filter(|_| !row.is_prefix), key.as_mut()) {
            (Some(name), Some(key)) => {
                let mut folding = columns.iter().filter(|column| column.folds);
                key.folded |= folding.any(|column| column.column.name == name);
                key.columns.push(name);
            }
            (None, _) => *key = None,
            (Some(_), None) => {}
        }
    }
    keys.into_iter()
        .filter_map(|(name, key)| Some((name, key?)))
        .collect()
}

fn assembled(rows: Vec<ForeignKeyRow>, rules: &[NamedRow], schemas: &Schemas) -> Vec<ForeignKey> {
    let mut keys: Vec<(String, ForeignKey)> = Vec::new();
    for row in rows {
        if keys.last().is_none_or(|(name, _)| *name != row.key) {
            let rule = rules.iter().find(|rule| is_rule(rule, &row));
            let key = ForeignKey {
                columns: Vec::new(),
                table: schemas.table_name(&row.foreign_schema, &row.foreign_table),
                foreign_columns: Vec::new(),
                on_delete: rule.map_or_else(|| "no action".into(), |rule| rule.text.clone()),
            };
            keys.push((row.key.clone(), key));
        }
        if let Some((_, key)) = keys.last_mut() {
            key.columns.push(row.name);
            key.foreign_columns.push(row.foreign_name);
        }
    }
    keys.into_iter().map(|(_, key)| key).collect()
}

fn not_writable(row: &TableRow) -> Option<String> {
    match row.engine.as_deref() {
        Some(TRANSACTIONAL) => None,
        Some(engine) => Some(format!(
            "its storage engine is {engine}, which has no transactions as {TRANSACTIONAL} has"
        )),
        None => Some("its storage engine is not available".into()),
    }
}
