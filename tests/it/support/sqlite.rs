//! SQLite files of a test, opened with the same library that the daemon uses.

use std::path::Path;

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::wait;

/// Opens or makes the database at `path`, in WAL mode, waiting for locks as an application would.
pub fn open(path: &Path) -> Connection {
    let db = Connection::open(path).expect("a SQLite database");
    db.busy_timeout(wait::LONG).expect("a busy time-out");
    db.pragma_update(None, "journal_mode", "wal")
        .expect("WAL mode");
    db.pragma_update(None, "foreign_keys", true)
        .expect("foreign keys");
    db
}

/// Runs one or more statements and forgets what they return.
pub fn execute(path: &Path, sql: &str) {
    open(path)
        .execute_batch(sql)
        .unwrap_or_else(|err| panic!("{sql}\n{err}"));
}

/// Runs one query and returns what psql would print: a line per row, `|` between columns, NULL as nothing.
pub fn query(path: &Path, sql: &str) -> String {
    let db = open(path);
    let mut statement = db.prepare(sql).unwrap_or_else(|err| panic!("{sql}\n{err}"));
    let columns = statement.column_count();
    let mut rows = statement.query([]).expect("the query runs");
    let mut lines = Vec::new();
    while let Some(row) = rows.next().expect("a row") {
        let values = (0..columns).map(|at| text(row.get_ref(at).expect("a value")));
        lines.push(values.collect::<Vec<_>>().join("|"));
    }
    lines.join("\n")
}

/// A value as text: a blob as upper-case hex, a real with the digits that name it exactly.
pub fn text(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => String::new(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        ValueRef::Blob(bytes) => hex::encode_upper(bytes),
    }
}
