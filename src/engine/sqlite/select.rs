//! The one `select` of a reading: its text and what is bound to it.
//!
//! Invariant: names come from the catalogue and are quoted; values are bound, never written into the text.

use rusqlite::types::{ToSqlOutput, Value, ValueRef};

use crate::engine::driver::{KeyValue, RowFilter, RowOrder, Selection};
use crate::engine::error::EngineError;
use crate::engine::scope::push_rule;
use crate::engine::sql::{Quoting, Sql};
use crate::engine::sqlite::image::image;
use crate::engine::sqlite::introspect::Described;
use crate::engine::sqlite::stored::{as_value, stored};
use crate::engine::sqlite::types::Storage;
use crate::model::table::{NeutralType, Table};
use crate::wire::scope::{Condition, Rule, Scalar};

/// An empty statement that puts bare tables into SQLite's main database.
pub(super) fn statement() -> Sql {
    Sql::new(Quoting::Standard, Some("main"))
}

/// A statement and its parameters.
#[derive(Debug)]
pub(super) struct Query {
    pub sql: Sql,
    pub parameters: Vec<Value>,
}

/// The query that gives what `selection` asks for: its columns, and behind them those that say whether a row is meant.
/// Of rows that are asked for by their keys it gives all of the scope; [`by_key`] finds those of one.
///
/// # Errors
/// [`EngineError::SchemaChanged`] when the table lacks a column asked for.
pub(super) fn query(selection: &Selection, described: &Described) -> Result<Query, EngineError> {
    let mut query = Query {
        sql: head(selection),
        parameters: Vec::new(),
    };
    let asked = selection.scope.conditions();
    query.filter(&selection.rows, described)?;
    query.narrow(selection.rows.glue(), asked, described)?;
    if selection.order == RowOrder::Shuffled && selection.page.is_none() {
        query.sql.push(" order by random()");
    }
    if let Some(page) = &selection.page {
        if !page.order_by.is_empty() {
            all_there(&described.table, &page.order_by)?;
            query
                .sql
                .push(" order by ")
                .idents(page.order_by.iter().map(String::as_str));
        }
        if !asked.is_empty() {
            // The scan counts the rows that it passes on.
            return Ok(query);
        }
        query.sql.push(" limit ");
        query.bind(Value::Integer(
            i64::try_from(page.limit).unwrap_or(i64::MAX),
        ));
        query.sql.push(" offset ");
        query.bind(Value::Integer(
            i64::try_from(page.offset).unwrap_or(i64::MAX),
        ));
    }
    Ok(query)
}

/// The rows of `selection` with one key, as the collation of its index compares it: a parameter for each of `columns`.
/// Its scope is left to whoever reads them.
///
/// # Errors
/// [`EngineError::SchemaChanged`] when the table lacks one of them.
pub(super) fn by_key(
    selection: &Selection,
    columns: &[String],
    described: &Described,
) -> Result<Sql, EngineError> {
    all_there(&described.table, columns)?;
    let mut sql = head(selection);
    sql.push(" where ").list(columns, " and ", |sql, name| {
        sql.ident(name).push(" = ? collate ");
        sql.ident(described.collation(columns, name));
    });
    Ok(sql)
}

/// All before ` where`.
fn head(selection: &Selection) -> Sql {
    let mut sql = statement();
    sql.push("select ");
    let sent = selection.columns.iter().map(|(name, _)| name.as_str());
    let columns: Vec<&str> = sent.chain(selection.checked_columns()).collect();
    if columns.is_empty() {
        sql.push("null");
    }
    sql.idents(columns);
    sql.push(" from ").table(&selection.table);
    sql
}

impl Query {
    fn bind(&mut self, value: Value) {
        self.parameters.push(value);
        self.sql.push("?");
    }

    fn filter(&mut self, rows: &RowFilter, described: &Described) -> Result<(), EngineError> {
        match rows {
            RowFilter::All => {}
            RowFilter::Keys { .. } => {
                self.sql.push(" where true");
            }
            RowFilter::In { column, values } => {
                all_there(&described.table, std::slice::from_ref(column))?;
                self.sql.push(" where ").ident(column).push(" in (");
                self.bind_list(
                    std::iter::repeat_n(column, values.len()).zip(values),
                    described,
                );
                self.sql.push(")");
            }
            RowFilter::Between { column, start, end } => {
                all_there(&described.table, std::slice::from_ref(column))?;
                self.sql.push(" where true");
                for (sign, bound) in [(" >= ", start), (" <= ", end)] {
                    if let Some(bound) = bound {
                        self.sql.push(" and ").ident(column).push(sign);
                        self.bind(Value::Integer(*bound));
                    }
                }
            }
            RowFilter::After { columns, values }
                if columns.len() == values.len() && !columns.is_empty() =>
            {
                all_there(&described.table, columns)?;
                self.sql
                    .push(" where (")
                    .idents(columns.iter().map(String::as_str))
                    .push(") > (");
                self.bind_list(columns.iter().zip(values), described);
                self.sql.push(")");
            }
            RowFilter::After { .. } => {
                return Err(EngineError::Statement {
                    table: described.table.name.to_string(),
                    message: "a page begins after a key, with one value for each of its columns"
                        .to_owned(),
                });
            }
        }
        Ok(())
    }

    /// The conditions that mean here what they mean everywhere, because such values are stored in one form alone: an index
    /// can find their rows. All conditions are held against each row that is read.
    fn narrow(
        &mut self,
        glue: &'static str,
        conditions: &[Condition],
        described: &Described,
    ) -> Result<(), EngineError> {
        for condition in conditions {
            all_there(&described.table, std::slice::from_ref(&condition.column))?;
        }
        let is_plain = |condition: &&Condition| {
            condition.kind.is_integer()
                || condition.kind == NeutralType::Text
                || matches!(condition.rule, Rule::IsNull(_))
        };
        for (at, condition) in conditions.iter().filter(is_plain).enumerate() {
            self.sql.push(if at == 0 { glue } else { " and " });
            let operand = |sql: &mut Sql| {
                sql.ident(&condition.column);
                if condition.kind == NeutralType::Text {
                    sql.push(" collate binary");
                }
            };
            let parameters = &mut self.parameters;
            push_rule(&mut self.sql, &condition.rule, operand, |value| {
                parameters.push(bound(value)?);
                let mut placeholder = statement();
                placeholder.push("?");
                Some(placeholder)
            });
        }
        Ok(())
    }

    fn bind_list<'a>(
        &mut self,
        pairs: impl Iterator<Item = (&'a String, &'a KeyValue)>,
        described: &Described,
    ) {
        for (at, (column, value)) in pairs.enumerate() {
            if at > 0 {
                self.sql.push(", ");
            }
            self.bind(key_value(value, column, described));
        }
    }
}

/// An integer or text as it is stored.
fn bound(value: &Scalar<'_>) -> Option<Value> {
    match value {
        Scalar::Integer(number) => Some(Value::Integer(*number)),
        Scalar::Bytes(bytes) => String::from_utf8(bytes.to_vec()).ok().map(Value::Text),
        Scalar::Bool(_) | Scalar::Float(_) | Scalar::Numeric(_) => None,
    }
}

/// A value as the column stores it: a uuid or a moment can be written in many ways. What is none is bound as it is
/// and finds nothing.
fn key_value(value: &KeyValue, column: &str, described: &Described) -> Value {
    let text = match value {
        KeyValue::Integer(number) => return Value::Integer(*number),
        KeyValue::Text(text) => text,
    };
    let as_stored = described.table.column(column).and_then(|column| {
        let storage = Storage::of(column, described.strict);
        let image = image(&storage, ValueRef::Text(text.as_bytes())).ok()?;
        let bound: ToSqlOutput<'_> = stored(&storage, image.field()).ok()?;
        Value::try_from(as_value(&bound)).ok()
    });
    as_stored.unwrap_or_else(|| Value::Text(text.clone()))
}

fn all_there(table: &Table, names: &[String]) -> Result<(), EngineError> {
    match names.iter().all(|name| table.column(name).is_some()) {
        true => Ok(()),
        false => Err(EngineError::SchemaChanged(table.name.clone())),
    }
}
