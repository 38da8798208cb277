//! What can go wrong in a site database.
//!
//! Invariant: messages name tables, keys and columns, never values of other columns, passwords or URLs.

use std::fmt::Display;
use std::io;

use crate::model::run::QuarantinedRow;
use crate::model::table::TableName;

/// A fault of a site database or of what was asked of it.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// `site.database` names no database this build can open.
    #[error("site.database: {0}")]
    Url(String),
    /// The database does not answer or refuses the login.
    #[error("the site database cannot be reached: {0}")]
    Unreachable(String),
    /// It stopped answering in the middle.
    #[error("the site database broke off: {0}")]
    Lost(String),
    /// The database's disk is full.
    #[error("the site database has no space left: {0}")]
    Full(String),
    /// The role lacks a right.
    #[error("the site database refuses: {0}")]
    Denied(String),
    /// Another session holds a lock for too long.
    #[error("table {table} is locked by another session: {message}")]
    Locked {
        /// The table.
        table: TableName,
        /// The database's words.
        message: String,
    },
    /// There is no such table.
    #[error("there is no table {0} in the site database")]
    NoTable(TableName),
    /// The table changed under a running transfer.
    #[error("table {0} was changed while it was being read or written; the run will be repeated")]
    SchemaChanged(TableName),
    /// The reading of a snapshot was ended, because somebody waits for what it holds.
    #[error(
        "reading was ended, so that others who use the site database need not wait for it; it will be repeated"
    )]
    Yielded,
    /// A copy of a database that cannot be read otherwise takes more room than it may have.
    #[error(
        "the site database has to be copied to be read, because a reader would block its writers; that takes {bytes} bytes, and {limit} are allowed"
    )]
    CopyTooLarge {
        /// What it takes.
        bytes: u64,
        /// What it may take.
        limit: u64,
    },
    /// A value of the table has no place in the row layout.
    #[error("table {table}, key {key}, column {column}: {reason}")]
    Unreadable {
        /// The table.
        table: TableName,
        /// The row.
        key: String,
        /// The column.
        column: String,
        /// Why.
        reason: String,
    },
    /// A row is larger than `limits.max_row`.
    #[error("table {table}, key {key}: the row has {bytes} bytes, more than the {limit} allowed")]
    RowTooLarge {
        /// The table.
        table: TableName,
        /// The row.
        key: String,
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The rows to apply ended without their end.
    #[error("the rows for table {0} ended early")]
    Cut(TableName),
    /// More rows were refused than `quarantine.max_rows`.
    #[error("table {table}: more than {limit} rows cannot be written; the first: {first}")]
    TooManyRejected {
        /// The table.
        table: TableName,
        /// `quarantine.max_rows`.
        limit: usize,
        /// The first ten, in words.
        first: String,
    },
    /// Any other refusal of the database.
    #[error("table {table}: {message}")]
    Statement {
        /// The table.
        table: String,
        /// The database's words.
        message: String,
    },
}

/// So many refused rows are told when there are too many.
const FIRST: usize = 10;

impl EngineError {
    /// The fault of a file beside the database, `what` in words.
    pub(super) fn of_file(what: impl Display, err: &io::Error) -> Self {
        let message = format!("{what}: {err}");
        match err.kind() {
            io::ErrorKind::StorageFull => Self::Full(message),
            _ => Self::Lost(message),
        }
    }

    /// A refusal that is about `table`, in words.
    #[must_use]
    pub fn of_table(table: &TableName, message: impl Into<String>) -> Self {
        Self::Statement {
            table: table.to_string(),
            message: message.into(),
        }
    }

    /// The fault of a table of which more than `limit` rows were refused; `rows` are those, in the order met.
    #[must_use]
    pub fn too_many_rejected(table: &TableName, limit: usize, rows: &[QuarantinedRow]) -> Self {
        let first: Vec<String> = rows.iter().take(FIRST).map(described).collect();
        Self::TooManyRejected {
            table: table.clone(),
            limit,
            first: first.join("; "),
        }
    }
}

fn described(row: &QuarantinedRow) -> String {
    let key = match row.key.as_object() {
        Some(columns) if columns.is_empty() => "a row without a key".to_owned(),
        _ => format!("key {}", row.key),
    };
    match &row.column {
        Some(column) => format!("{key}, column {column}: {}", row.reason),
        None => format!("{key}: {}", row.reason),
    }
}
