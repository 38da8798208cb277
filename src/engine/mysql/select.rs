//! The statement that reads a selection. Pure.
//!
//! Text comes in utf8mb4, whatever the column's character set; types without a neutral form are cast to text.
//! Invariant: a filter finds the rows whose value is the given one by its bytes, also where the column's collation
//! calls more values equal; a value the column cannot hold finds nothing, instead of what the server takes it for.

use sqlx::mysql::MySqlArguments;

use crate::engine::driver::{KeyValue, RowFilter, RowOrder, Selection};
use crate::engine::error::EngineError;
use crate::engine::mysql::keys::{self, Query};
use crate::engine::mysql::schemas::Schemas;
use crate::engine::mysql::types::Form;
use crate::engine::scope::push_rule;
use crate::engine::sql::Sql;
use crate::model::table::{Column, NeutralType, Table};
use crate::wire::scope::{Condition, Rule, Scalar};
use crate::wire::{datetime, numeric};

/// Digits of a decimal, and those of them that may stand after the point.
const MOST_DIGITS: usize = 65;
const MOST_SCALE: usize = 30;

/// What to ask for `selection` of `table`, one after the other.
///
/// # Errors
/// As [`query`]; [`EngineError::Statement`] when a key that is asked for is none of the table.
pub(super) fn queries(
    schemas: &Schemas,
    selection: &Selection,
    table: &Table,
) -> Result<Vec<Query>, EngineError> {
    if let RowFilter::Keys { columns, keys } = &selection.rows {
        let columns = columns.iter().map(|name| column(table, name));
        let columns: Vec<&Column> = columns.collect::<Result<_, _>>()?;
        let head = head(schemas, selection, table)?;
        let mut queries = keys::queries(&head, table, &columns, keys)?;
        for query in &mut queries {
            shuffle(&mut query.sql, selection);
        }
        return Ok(queries);
    }
    Ok(vec![Query {
        sql: query(schemas, selection, table)?,
        arguments: MySqlArguments::default(),
    }])
}

/// `select ...` for `selection` of `table`: its columns, and behind them those that say whether a row is meant. A page of
/// rows that conditions choose has no limit here: whoever reads them counts those that pass.
///
/// # Errors
/// [`EngineError::SchemaChanged`] when the table lacks a column asked for.
fn query(schemas: &Schemas, selection: &Selection, table: &Table) -> Result<Sql, EngineError> {
    let mut sql = head(schemas, selection, table)?;
    let conditions = selection.scope.conditions();
    filter(schemas, &mut sql, &selection.rows, table)?;
    narrow(schemas, &mut sql, selection.rows.glue(), conditions);
    shuffle(&mut sql, selection);
    if let Some(page) = &selection.page {
        let order = page.order_by.iter().map(|name| column(table, name));
        let order: Vec<&Column> = order.collect::<Result<_, _>>()?;
        if !order.is_empty() {
            sql.push(" order by ").list(order, ", ", ordered);
        }
        if conditions.is_empty() {
            sql.push(" limit ").number(page.limit);
            sql.push(" offset ").number(page.offset);
        }
    }
    Ok(sql)
}

/// All before ` where`.
fn head(schemas: &Schemas, selection: &Selection, table: &Table) -> Result<Sql, EngineError> {
    let mut sql = schemas.sql();
    sql.push("select ");
    let sent = selection.columns.iter().map(|(name, _)| name.as_str());
    let columns: Vec<&Column> = sent
        .chain(selection.checked_columns())
        .map(|name| column(table, name))
        .collect::<Result<_, _>>()?;
    if columns.is_empty() {
        sql.push("1");
    }
    sql.list(columns, ", ", |sql, column| {
        let (_, cast) = Form::of(column);
        if cast {
            as_text(sql, column);
        } else {
            sql.ident(&column.name);
        }
    });
    sql.push(" from ").table(&selection.table);
    Ok(sql)
}

fn shuffle(sql: &mut Sql, selection: &Selection) {
    if selection.order == RowOrder::Shuffled && selection.page.is_none() {
        sql.push(" order by rand()");
    }
}

fn column<'t>(table: &'t Table, name: &str) -> Result<&'t Column, EngineError> {
    table
        .column(name)
        .ok_or_else(|| EngineError::SchemaChanged(table.name.clone()))
}

fn filter(
    schemas: &Schemas,
    sql: &mut Sql,
    rows: &RowFilter,
    table: &Table,
) -> Result<(), EngineError> {
    match rows {
        // Keys are put together elsewhere.
        RowFilter::All | RowFilter::Keys { .. } => {}
        RowFilter::In {
            column: name,
            values,
        } => {
            let column = column(table, name)?;
            let found = values
                .iter()
                .filter_map(|value| literal(schemas, value, column));
            one_of(sql, column, &found.collect::<Vec<_>>());
        }
        RowFilter::Between {
            column: name,
            start,
            end,
        } => {
            column(table, name)?;
            sql.push(" where true");
            for (sign, bound) in [(" >= ", start), (" <= ", end)] {
                if let Some(bound) = bound {
                    sql.push(" and ").ident(name).push(sign).number(*bound);
                }
            }
        }
        RowFilter::After { columns, values } => {
            let columns = columns.iter().map(|name| column(table, name));
            let columns: Vec<&Column> = columns.collect::<Result<_, _>>()?;
            let values = columns
                .iter()
                .zip(values)
                .map(|(column, value)| literal(schemas, value, column));
            let values: Option<Vec<Sql>> = values.collect();
            match values.filter(|values| values.len() == columns.len() && !values.is_empty()) {
                Some(values) => after(sql, &columns, &values),
                None => {
                    return Err(EngineError::Statement {
                        table: table.name.to_string(),
                        message:
                            "a page begins after a key, with one value for each of its columns"
                                .to_owned(),
                    });
                }
            }
        }
    }
    Ok(())
}

/// The conditions that mean here what they mean everywhere, so that fewer rows are sent. All conditions are held against
/// each row that is read.
fn narrow(schemas: &Schemas, sql: &mut Sql, glue: &'static str, conditions: &[Condition]) {
    let is_plain = |condition: &&Condition| {
        use NeutralType::{Date, Timestamp, Timestamptz};
        match condition.rule {
            // A zero date is null and not null at once.
            Rule::IsNull(_) => !matches!(condition.kind, Date | Timestamp | Timestamptz),
            Rule::OneOf(_) | Rule::Range(..) => {
                condition.kind.is_integer() || condition.kind == NeutralType::Text
            }
        }
    };
    for (at, condition) in conditions.iter().filter(is_plain).enumerate() {
        sql.push(if at == 0 { glue } else { " and " });
        let is_text = condition.kind == NeutralType::Text;
        let operand = |sql: &mut Sql| {
            if is_text {
                sql.push("cast(convert(").ident(&condition.column);
                sql.push(" using utf8mb4) as binary)");
            } else {
                sql.ident(&condition.column);
            }
        };
        push_rule(sql, &condition.rule, operand, |value| {
            let mut literal = schemas.sql();
            match value {
                Scalar::Integer(number) => literal.number(*number),
                Scalar::Bytes(bytes) => literal
                    .push("unhex(")
                    .literal(&hex::encode(bytes))
                    .push(")"),
                Scalar::Bool(_) | Scalar::Float(_) | Scalar::Numeric(_) => return None,
            };
            Some(literal)
        });
    }
}

fn one_of(sql: &mut Sql, column: &Column, values: &[Sql]) {
    if values.is_empty() {
        sql.push(" where false");
        return;
    }
    let each = |sql: &mut Sql, value: &Sql| {
        sql.append(value);
    };
    sql.push(" where ");
    ordered(sql, column);
    sql.push(" in (").list(values, ", ", each).push(")");
    if column.kind == NeutralType::Text {
        // An index serves the first; the second is exact.
        sql.push(" and cast(convert(").ident(&column.name);
        sql.push(" using utf8mb4) as binary) in (");
        sql.list(values, ", ", |sql, value| {
            sql.push("cast(").append(value).push(" as binary)");
        });
        sql.push(")");
    }
}

/// Spelled out: for a comparison of rows neither database uses an index.
fn after(sql: &mut Sql, columns: &[&Column], values: &[Sql]) {
    sql.push(" where (");
    let pairs: Vec<(&&Column, &Sql)> = columns.iter().zip(values).collect();
    sql.list(1..=pairs.len(), " or ", |sql, length| {
        let pairs = pairs.iter().take(length).enumerate();
        sql.push("(")
            .list(pairs, " and ", |sql, (at, (column, value))| {
                ordered(sql, column);
                sql.push(if at + 1 == length { " > " } else { " = " });
                sql.append(value);
            });
        sql.push(")");
    });
    sql.push(")");
}

/// What a column is ordered and compared by.
fn ordered(sql: &mut Sql, column: &Column) {
    match column.kind {
        NeutralType::Other | NeutralType::Json | NeutralType::Jsonb => as_text(sql, column),
        _ => {
            sql.ident(&column.name);
        }
    }
}

/// Its collation is the session's, which compares bytes.
fn as_text(sql: &mut Sql, column: &Column) {
    sql.push("cast(").ident(&column.name).push(" as char)");
}

/// `value` as one of the column's type; `None` where it is none.
fn literal(schemas: &Schemas, value: &KeyValue, column: &Column) -> Option<Sql> {
    let mut sql = schemas.sql();
    let text = match value {
        KeyValue::Text(text) if text.contains('\0') => return None,
        KeyValue::Text(text) => text.clone(),
        KeyValue::Integer(number) => number.to_string(),
    };
    match column.kind {
        NeutralType::Int2 | NeutralType::Int4 | NeutralType::Int8 => {
            sql.number(text.parse::<i64>().ok()?);
        }
        NeutralType::Bool => {
            sql.number(match text.as_str() {
                "true" | "1" => 1,
                "false" | "0" => 0,
                _ => return None,
            });
        }
        NeutralType::Numeric => decimal(&mut sql, &text)?,
        NeutralType::Float4 | NeutralType::Float8 => {
            text.parse::<f64>()
                .ok()
                .filter(|number| number.is_finite())?;
            sql.push("(").literal(&text).push(" + 0e0)");
        }
        NeutralType::Date => {
            let bytes = datetime::date_from_text(&text).ok()?;
            moment(&mut sql, &datetime::date_to_text(&bytes).ok()?, " as date)")?;
        }
        NeutralType::Time => {
            datetime::time_from_text(&text).ok()?;
            sql.push("cast(").literal(&text).push(" as time(6))");
        }
        NeutralType::Timestamp | NeutralType::Timestamptz => {
            let zoned = column.kind == NeutralType::Timestamptz;
            let bytes = datetime::timestamp_from_text(&text, zoned).ok()?;
            let text = datetime::timestamp_to_text(&bytes, ' ').ok()?;
            moment(&mut sql, &text, " as datetime(6))")?;
        }
        NeutralType::Uuid => {
            let uuid = uuid::Uuid::parse_str(&text).ok()?;
            sql.literal(&uuid.hyphenated().to_string());
        }
        NeutralType::Bytea => {
            let digits = text.strip_prefix("\\x")?;
            hex::decode(digits).ok()?;
            sql.push("unhex(").literal(digits).push(")");
        }
        NeutralType::Text | NeutralType::Json | NeutralType::Jsonb | NeutralType::Other => {
            sql.literal(&text);
        }
    }
    Some(sql)
}

/// Exact: compared with a text, a decimal would become a double.
fn decimal(sql: &mut Sql, text: &str) -> Option<()> {
    let bytes = numeric::encode(text).ok()?;
    if numeric::shape(&bytes).ok()?.special.is_some() {
        return None;
    }
    let plain = numeric::decode(&bytes).ok()?;
    let scale = plain.split_once('.').map_or(0, |(_, digits)| digits.len());
    if scale > MOST_SCALE || plain.len() > MOST_DIGITS {
        return None;
    }
    sql.push("cast(").literal(&plain).push(" as decimal(65, ");
    sql.number(i64::try_from(scale).ok()?).push("))");
    Some(())
}

/// Neither infinite nor beyond the four digits of a year.
fn moment(sql: &mut Sql, text: &str, kind: &'static str) -> Option<()> {
    let is_plain = text.ends_with(|last: char| last.is_ascii_digit()) && text.find('-') == Some(4);
    is_plain.then(|| {
        sql.push("cast(").literal(text).push(kind);
    })
}

#[cfg(test)]
mod tests;
