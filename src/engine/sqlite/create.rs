//! Making tables after a peer's: names, neutral types, keys and foreign keys, nothing else.
//!
//! Defaults, expressions, checks and triggers are SQL that a stranger wrote; what is not taken over is told instead.
//! Invariant: all tables are made, or none.

use rusqlite::Connection;

use crate::engine::driver::{Creation, NewTable};
use crate::engine::error::EngineError;
use crate::engine::sql::Sql;
use crate::engine::sqlite::fault::{database_error, engine_error};
use crate::engine::sqlite::introspect;
use crate::engine::sqlite::select::statement;
use crate::engine::sqlite::types::declaration;
use crate::model::table::{Column, ForeignKey, NeutralType, Table, TableName};

/// PostgreSQL cuts longer names in silence, so no site makes any.
const MAX_NAME_BYTES: usize = 63;

/// What [`create`] would run.
pub(super) fn plan(connection: &Connection, tables: &[NewTable]) -> Result<Creation, EngineError> {
    let mut creation = Creation {
        statements: Vec::new(),
        left_out: Vec::new(),
    };
    for statement in statements(connection, tables, &mut creation.left_out)? {
        creation.statements.push(statement.1.text().to_owned());
    }
    Ok(creation)
}

/// Makes the tables in one transaction.
pub(super) fn create(connection: &mut Connection, tables: &[NewTable]) -> Result<(), EngineError> {
    let transaction = connection
        .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
        .map_err(|err| database_error(&err))?;
    for (table, statement) in statements(&transaction, tables, &mut Vec::new())? {
        transaction
            .execute_batch(statement.text())
            .map_err(|err| engine_error(&err, &table))?;
    }
    transaction.commit().map_err(|err| database_error(&err))
}

fn statements(
    connection: &Connection,
    tables: &[NewTable],
    left_out: &mut Vec<String>,
) -> Result<Vec<(TableName, Sql)>, EngineError> {
    let existing = introspect::tables(connection).map_err(|err| database_error(&err))?;
    let mut known: Vec<&Table> = existing.iter().map(|described| &described.table).collect();
    for new in tables {
        check(connection, &new.table)?;
        if known
            .iter()
            .any(|table| table.name.name.eq_ignore_ascii_case(&new.table.name.name))
        {
            return Err(refused(
                &new.table,
                "it exists already, perhaps in another case",
            ));
        }
        known.push(&new.table);
    }
    Ok(tables
        .iter()
        .map(|new| {
            let mut writer = Writer {
                table: &new.table,
                known: &known,
                left_out,
            };
            (new.table.name.clone(), writer.statement())
        })
        .collect())
}

/// What SQLite or another engine would take in another sense than it is meant.
fn check(connection: &Connection, table: &Table) -> Result<(), EngineError> {
    if table.name.schema.is_some() {
        return Err(refused(
            table,
            "SQLite has no schemas; give the destination a name without one",
        ));
    }
    let columns: Vec<&Column> = table
        .columns
        .iter()
        .filter(|column| !column.generated)
        .collect();
    let names = std::iter::once(&table.name.name).chain(columns.iter().map(|column| &column.name));
    for name in names {
        if name.is_empty() || name.len() > MAX_NAME_BYTES || name.contains(char::is_control) {
            return Err(refused(
                table,
                "names have 1 to 63 bytes and no control characters",
            ));
        }
    }
    if table.name.name.to_ascii_lowercase().starts_with("sqlite_") {
        return Err(refused(
            table,
            "names that begin with sqlite_ are SQLite's own",
        ));
    }
    let taken: bool = connection
        .query_row(
            "select exists (select 1 from sqlite_schema where name = ?1 collate nocase and type <> 'trigger')",
            [&table.name.name],
            |row| row.get(0),
        )
        .map_err(|err| database_error(&err))?;
    if taken {
        return Err(refused(
            table,
            "a table, view or index of this name exists already, perhaps in another case",
        ));
    }
    if columns.is_empty() {
        return Err(refused(table, "it has no columns that could be sent"));
    }
    for (at, column) in columns.iter().enumerate() {
        if columns
            .iter()
            .take(at)
            .any(|other| other.name.eq_ignore_ascii_case(&column.name))
        {
            return Err(refused(
                table,
                "two of its columns differ only in case, which SQLite cannot tell apart",
            ));
        }
    }
    Ok(())
}

fn refused(table: &Table, reason: &str) -> EngineError {
    EngineError::Statement {
        table: table.name.to_string(),
        message: format!("it cannot be made here: {reason}"),
    }
}

struct Writer<'a> {
    table: &'a Table,
    /// Tables that exist or are made in the same call.
    known: &'a [&'a Table],
    left_out: &'a mut Vec<String>,
}

impl Writer<'_> {
    fn statement(&mut self) -> Sql {
        let table = self.table;
        let key: &[String] = match &table.primary_key {
            Some(key) if self.has_all(&key.columns) => &key.columns,
            Some(_) => {
                self.leave_out("the primary key, because a column of it is computed");
                &[]
            }
            None => &[],
        };
        let alias = match key {
            [only] => table
                .column(only)
                .filter(|column| is_rowid_kind(column.kind)),
            _ => None,
        };
        let mut sql = statement();
        sql.push("create table ").table(&table.name).push(" (\n  ");
        let columns = table.columns.iter().filter(|column| !column.generated);
        sql.list(columns, ",\n  ", |sql, column| {
            sql.ident(&column.name).push(" ");
            if alias.is_some_and(|alias| alias.name == column.name) {
                sql.push("integer primary key");
                return;
            }
            sql.native_type(&declaration(column));
            if !column.nullable || key.contains(&column.name) {
                sql.push(" not null");
            }
        });
        if alias.is_none() && !key.is_empty() {
            sql.push(",\n  primary key (")
                .idents(key.iter().map(String::as_str))
                .push(")");
        }
        self.unique_keys(&mut sql);
        for foreign_key in &table.foreign_keys {
            self.foreign_key(&mut sql, foreign_key);
        }
        sql.push("\n)");
        self.tell_columns(alias);
        sql
    }

    fn unique_keys(&mut self, sql: &mut Sql) {
        let table = self.table;
        for key in &table.unique {
            if !self.has_all(&key.columns) {
                self.leave_out(&format!(
                    "the unique key ({}), because a column of it is computed",
                    key.columns.join(", ")
                ));
                continue;
            }
            sql.push(",\n  unique (")
                .idents(key.columns.iter().map(String::as_str))
                .push(")");
        }
        for key in table
            .primary_key
            .iter()
            .chain(&table.unique)
            .filter(|key| key.folded)
        {
            self.leave_out(&format!(
                "that the key ({}) takes letters for the same that differ in case or accent; here they differ",
                key.columns.join(", ")
            ));
        }
    }

    fn foreign_key(&mut self, sql: &mut Sql, key: &ForeignKey) {
        let parent = self.known.iter().find(|table| table.name == key.table);
        let serves = parent.is_some_and(|parent| {
            parent
                .primary_key
                .iter()
                .chain(&parent.unique)
                .any(|candidate| {
                    candidate.columns.len() == key.foreign_columns.len()
                        && candidate
                            .columns
                            .iter()
                            .all(|column| key.foreign_columns.contains(column))
                })
        });
        if !serves || !self.has_all(&key.columns) || key.columns.len() != key.foreign_columns.len()
        {
            let reason = if parent.is_none() {
                "is not here"
            } else {
                "has no such key here"
            };
            self.leave_out(&format!(
                "the foreign key ({}) to {}, because that table {reason}",
                key.columns.join(", "),
                key.table
            ));
            return;
        }
        sql.push(",\n  foreign key (")
            .idents(key.columns.iter().map(String::as_str));
        sql.push(") references ").ident(&key.table.name);
        sql.push(" (")
            .idents(key.foreign_columns.iter().map(String::as_str))
            .push(")");
        sql.push(match key.on_delete.as_str() {
            "cascade" => " on delete cascade",
            "restrict" => " on delete restrict",
            "set null" => " on delete set null",
            "set default" => " on delete set default",
            _ => "",
        });
    }

    fn tell_columns(&mut self, alias: Option<&Column>) {
        let table = self.table;
        for column in &table.columns {
            let name = &column.name;
            if column.generated {
                self.leave_out(&format!("column {name}, which is computed at the source"));
            } else if column.identity && alias.is_none_or(|alias| alias.name != *name) {
                self.leave_out(&format!("that column {name} counts up by itself"));
            } else if column.has_default && !column.identity {
                self.leave_out(&format!("the default of column {name}"));
            }
            if column.kind == NeutralType::Other && !column.generated {
                self.leave_out(&format!(
                    "the type {} of column {name}, which is kept as text",
                    column.native
                ));
            }
        }
        for trigger in &table.triggers {
            self.leave_out(&format!("the trigger {trigger}"));
        }
    }

    fn has_all(&self, columns: &[String]) -> bool {
        columns.iter().all(|name| {
            self.table
                .column(name)
                .is_some_and(|column| !column.generated)
        })
    }

    fn leave_out(&mut self, what: &str) {
        self.left_out.push(format!("{}: {what}.", self.table.name));
    }
}

/// Kinds whose single-column key becomes the row's own number.
fn is_rowid_kind(kind: NeutralType) -> bool {
    matches!(kind, NeutralType::Int4 | NeutralType::Int8)
}

#[cfg(test)]
mod tests;
