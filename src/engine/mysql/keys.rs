//! Rows by their keys, as MySQL and MariaDB look them up: some at a time, by the column's own `=`. Pure.
//!
//! Each key is spelled out: of a list of rows that come as parameters, servers neither use the index nor find text that
//! the column keeps in another character set.
//!
//! That `=` may call other values equal: whoever reads holds each row against the keys. Invariant: no statement takes more
//! than [`MOST_KEYS`] keys, or much more than [`MOST_BYTES`].

use bytes::Bytes;
use sqlx::Arguments;
use sqlx::mysql::MySqlArguments;

use crate::engine::error::EngineError;
use crate::engine::keys::Keys;
use crate::engine::mysql::encoder::Encoder;
use crate::engine::mysql::value::Value;
use crate::engine::sql::Sql;
use crate::model::table::{Column, Table};

/// Keys of one statement: of more than about a hundred, finding the ranges takes the server longer than reading them.
const MOST_KEYS: usize = 64;
/// Bytes of the keys of one statement, far below any server's `max_allowed_packet`.
const MOST_BYTES: usize = 256 << 10;

/// A statement and its parameters.
#[derive(Debug)]
pub(super) struct Query {
    pub(super) sql: Sql,
    pub(super) arguments: MySqlArguments,
}

/// One query for each piece of `keys`, of which `head` is the part up to the table.
///
/// # Errors
/// [`EngineError::Statement`] when a key is none of the table.
pub(super) fn queries(
    head: &Sql,
    table: &Table,
    columns: &[&Column],
    keys: &[Bytes],
) -> Result<Vec<Query>, EngineError> {
    let mut head = head.clone();
    let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
    let encoders: Vec<Encoder> = columns.iter().map(|column| Encoder::of(column)).collect();
    let keys = Keys::new(&table.name, &names, keys)?;
    let is_primary = |key| Some(key) == table.primary_key.as_ref();
    if table.key_on(&names).is_some_and(is_primary) {
        // Fresh tables have no statistics that would speak for the index.
        head.push(" force index (primary)");
    }
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
            queries.push(query(
                &head,
                columns,
                &encoders,
                std::mem::take(&mut piece),
            )?);
            bytes = 0;
        }
    }
    if !piece.is_empty() {
        queries.push(query(&head, columns, &encoders, piece)?);
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
    sql.push(" where ");
    sql.list(&piece, " or ", |sql, _| {
        let parts = columns.iter().zip(encoders);
        sql.push("(")
            .list(parts, " and ", |sql, (column, encoder)| {
                sql.ident(&column.name).push(" = ");
                encoder.compared(sql);
            });
        sql.push(")");
    });
    let mut arguments = MySqlArguments::default();
    for value in piece.into_iter().flatten() {
        let added = arguments.add(value);
        added.map_err(|err| EngineError::Lost(sqlx::Error::Encode(err).to_string()))?;
    }
    Ok(Query { sql, arguments })
}
