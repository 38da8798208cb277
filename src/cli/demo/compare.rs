//! Compares two SQLite databases row by row and type by type, without a word from the daemons.

use std::collections::BTreeSet;
use std::path::Path;

use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags};

use crate::cli::demo::data::{TABLES, Table};

/// How one table of two databases compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Comparison {
    /// The table.
    pub table: &'static str,
    /// Rows of the first database.
    pub rows: usize,
    /// Rows that only the first has in this form.
    pub only_first: usize,
    /// Rows that only the second has in this form.
    pub only_second: usize,
}

impl Comparison {
    /// Whether both sides hold the same rows.
    pub(super) fn is_equal(self) -> bool {
        self.only_first == 0 && self.only_second == 0
    }
}

/// Compares every table of the data.
///
/// # Errors
/// When a database or a table cannot be read, or the columns differ.
pub(super) fn databases(first: &Path, second: &Path) -> anyhow::Result<Vec<Comparison>> {
    let open = |path| Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY);
    let (first, second) = (open(first)?, open(second)?);
    TABLES
        .iter()
        .map(|table| compared(table, &first, &second))
        .collect()
}

fn compared(table: &Table, first: &Connection, second: &Connection) -> anyhow::Result<Comparison> {
    let (first, second) = (content(table, first)?, content(table, second)?);
    anyhow::ensure!(
        first.columns == second.columns,
        "{}: the columns are {:?} on one side and {:?} on the other",
        table.name,
        first.columns,
        second.columns
    );
    Ok(Comparison {
        table: table.name,
        rows: first.rows.len(),
        only_first: first.rows.difference(&second.rows).count(),
        only_second: second.rows.difference(&first.rows).count(),
    })
}

struct Content {
    columns: Vec<String>,
    rows: BTreeSet<Vec<String>>,
}

fn content(table: &Table, db: &Connection) -> anyhow::Result<Content> {
    let mut statement = db.prepare(table.select)?;
    let columns: Vec<String> = statement
        .column_names()
        .into_iter()
        .map(str::to_owned)
        .collect();
    let width = columns.len();
    let mut rows = BTreeSet::new();
    let mut found = statement.query([])?;
    while let Some(row) = found.next()? {
        // The debug form keeps 1, 1.0 and '1' apart, which `except` does not.
        let values = (0..width).map(|column| Ok(format!("{:?}", row.get::<_, Value>(column)?)));
        rows.insert(values.collect::<rusqlite::Result<_>>()?);
    }
    Ok(Content { columns, rows })
}

#[cfg(test)]
mod tests {
    use super::{Connection, databases};
    use crate::cli::demo::data::load;

    #[test]
    fn equal_databases_are_equal_and_one_changed_value_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (folder.path().join("a.db"), folder.path().join("b.db"));
        load(&mut Connection::open(&first).unwrap()).unwrap();
        std::fs::copy(&first, &second).unwrap();
        let equal = databases(&first, &second).unwrap();
        assert_eq!(equal.len(), 5);
        assert!(equal.iter().all(|table| table.is_equal()), "{equal:?}");
        let db = Connection::open(&second).unwrap();
        for (change, only_first, only_second) in [
            (
                "update flights set dep_delay = 3 where flight = 1545 and day = 1",
                1,
                1,
            ),
            ("delete from flights where flight = 1714 and day = 1", 2, 1),
        ] {
            db.execute_batch(change).unwrap();
            let flights = databases(&first, &second).unwrap()[4];
            assert_eq!(
                (flights.only_first, flights.only_second),
                (only_first, only_second),
                "{change}"
            );
        }
        db.execute_batch("drop table weather").unwrap();
        assert!(databases(&first, &second).is_err());
    }
}
