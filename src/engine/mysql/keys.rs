//! Rows by their keys, as MySQL and MariaDB look them up: some at a time, by the column's own `=`. Pure.
//!
//! That may call other values equal: whoever reads holds each row against the keys. Invariant: no statement takes more
//! than [`MOST_KEYS`] keys, or much more than [`MOST_BYTES`].

use bytes::Bytes;
use sqlx::Arguments;
use sqlx::mysql::MySqlArguments;

use crate::engine::error::EngineError;
use crate::engine::keys::Keys;
use crate::engine::mysql::encoder::Encoder;
use crate::engine::mysql::value::Value;
use crate::engine::sql::Sql;
use crate::model::table::{Column, TableName};

/// Keys of one statement: few enough that the server weighs each range by the index.
const MOST_KEYS: usize = 128;
/// Bytes of the keys of one statement, far below any server's `max_allowed_packet`.
const MOST_BYTES: usize = 256 << 10;

/// A statement and its parameters.
#[derive(Debug)]
pub(super) struct Query {
    pub(super) sql: Sql,
    pub(super) arguments: MySqlArguments,
}

/// One query for each piece of `keys`, of which `head` is the part before `where`.
///
/// # Errors
/// [`EngineError::Statement`] when a key is none of the table.
pub(super) fn queries(
    head: &Sql,
    table: &TableName,
    columns: &[&Column],
    keys: &[Bytes],
) -> Result<Vec<Query>, EngineError> {
    let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
    let encoders: Vec<Encoder> = columns.iter().map(|column| Encoder::of(column)).collect();
    let keys = Keys::new(table, &names, keys)?;
    let mut queries = Vec::new();
    let (mut piece, mut bytes) = (Vec::new(), 0);
    for fields in keys.fields() {
        let values = encoders.iter().zip(&fields);
        // What the column cannot hold is no row's key.
        let values = values.map(|(encoder, field)| encoder.encode(*field).ok());
        let Some(values) = values.collect::<Option<Vec<Value<'_>>>>() else {
            continue;
        };
        bytes += values.iter().map(Value::size).sum::<usize>();
        piece.push(values);
        if piece.len() >= MOST_KEYS || bytes >= MOST_BYTES {
            queries.push(query(head, columns, &encoders, std::mem::take(&mut piece))?);
            bytes = 0;
        }
    }
    if !piece.is_empty() {
        queries.push(query(head, columns, &encoders, piece)?);
    }
    Ok(queries)
}

fn query(
    head: &Sql,
    columns: &[&Column],
    encoders: &[Encoder],
    piece: Vec<Vec<Value<'_>>>,
) -> Result<Query, EngineError> {
    let mut sql = head.clone();
    sql.push(" where (");
    sql.idents(columns.iter().map(|column| column.name.as_str()));
    sql.push(") in (").list(&piece, ",", |sql, _| {
        sql.push("(")
            .list(encoders, ",", |sql, encoder| encoder.compared(sql));
        sql.push(")");
    });
    sql.push(")");
    let mut arguments = MySqlArguments::default();
    for value in piece.into_iter().flatten() {
        let added = arguments.add(value);
        added.map_err(|err| EngineError::Lost(sqlx::Error::Encode(err).to_string()))?;
    }
    Ok(Query { sql, arguments })
}
