//! The two databases the state can live in, and the macros that run one SQL text on either.
//!
//! It knows no table. Invariant: a query is written once, in the subset both databases understand.

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{PgPool, SqlitePool};

/// Where the state lives.
pub(super) enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// A row of either database.
pub(super) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl From<SqliteRow> for Row {
    fn from(row: SqliteRow) -> Self {
        Self::Sqlite(row)
    }
}

impl From<PgRow> for Row {
    fn from(row: PgRow) -> Self {
        Self::Postgres(row)
    }
}

/// Runs one body on whichever pool the store has.
macro_rules! on_pool {
    ($store:expr, |$db:ident| $body:expr) => {
        match &$store.pool {
            $crate::store::pool::Pool::Sqlite($db) => $body,
            $crate::store::pool::Pool::Postgres($db) => $body,
        }
    };
}

/// Runs one statement with its values; how many rows it touched.
macro_rules! execute {
    ($store:expr, $sql:expr $(, $value:expr)* $(,)?) => {
        $crate::store::pool::on_pool!($store, |db| {
            sqlx::query($sql)$(.bind($value))*.execute(db).await?.rows_affected()
        })
    };
}

/// The rows a query finds.
macro_rules! fetch_all {
    ($store:expr, $sql:expr $(, $value:expr)* $(,)?) => {
        $crate::store::pool::on_pool!($store, |db| {
            let rows = sqlx::query($sql)$(.bind($value))*.fetch_all(db).await?;
            rows.into_iter().map($crate::store::pool::Row::from).collect::<Vec<_>>()
        })
    };
}

/// The row a query finds, if it finds one.
macro_rules! fetch_optional {
    ($store:expr, $sql:expr $(, $value:expr)* $(,)?) => {
        $crate::store::pool::on_pool!($store, |db| {
            let row = sqlx::query($sql)$(.bind($value))*.fetch_optional(db).await?;
            row.map($crate::store::pool::Row::from)
        })
    };
}

pub(super) use {execute, fetch_all, fetch_optional, on_pool};
