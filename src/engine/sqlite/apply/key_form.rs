//! Whether a table's keys are written as this program writes them.
//!
//! SQLite finds a row by the bytes of its key: an upper-case uuid and the same in lower case would become two rows.

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use crate::engine::error::EngineError;
use crate::engine::sqlite::apply::destination::Target;
use crate::engine::sqlite::fault::engine_error;
use crate::engine::sqlite::introspect::Described;
use crate::engine::sqlite::select::statement;
use crate::engine::sqlite::stored::is_as_stored;
use crate::engine::sqlite::types::{Affinity, Storage};
use crate::model::table::NeutralType;

/// Keys read by one statement: without a write-ahead log the application's commits wait for its end.
const PIECE: i64 = 10_000;

/// Refuses a table whose key values are written in another way; `go_on` is asked between the pieces it is read in.
///
/// # Errors
/// The column, and what to do; or that of `go_on`.
pub(super) fn check_key_form(
    connection: &Connection,
    described: &Described,
    targets: &[Target],
    go_on: impl Fn() -> Result<(), EngineError>,
) -> Result<(), EngineError> {
    let table = &described.table.name;
    let checked: Vec<(&Target, String)> = targets
        .iter()
        .filter(|target| target.in_key)
        .filter_map(|target| Some((target, form(&target.storage)?)))
        .collect();
    if checked.is_empty() {
        return Ok(());
    }
    let mut keys = Keys::of(described, checked.iter().map(|(target, _)| *target));
    while keys.next.is_some() {
        go_on()?;
        let unlike = keys.check_piece(connection, &checked);
        let unlike = unlike.map_err(|err| engine_error(&err, table))?;
        if let Some((target, form)) = unlike {
            return Err(EngineError::Statement {
                table: table.to_string(),
                message: format!(
                    "key column {} holds values that are not written as {form}, so rows cannot be matched by it; \
                     rewrite them so, or choose another key",
                    target.name
                ),
            });
        }
    }
    Ok(())
}

/// How values are written that SQLite could hold in several ways.
fn form(storage: &Storage) -> Option<String> {
    let form = match storage.kind {
        NeutralType::Uuid => "lower-case text with hyphens",
        NeutralType::Date => "YYYY-MM-DD",
        NeutralType::Time => "HH:MM:SS.ffffff",
        NeutralType::Timestamp => "YYYY-MM-DD HH:MM:SS.ffffff",
        NeutralType::Timestamptz => "YYYY-MM-DD HH:MM:SS.ffffffZ",
        NeutralType::Numeric if matches!(storage.affinity, Affinity::Text | Affinity::Blob) => {
            return Some(match storage.scale {
                Some(scale) => format!("numbers with {scale} digits after the point"),
                None => "numbers in plain digits".to_owned(),
            });
        }
        _ => return None,
    };
    Some(form.to_owned())
}

/// The keys of a table, read in pieces where its rows have numbers.
struct Keys {
    query: String,
    in_pieces: bool,
    /// The number the next piece begins at; `None`: all was read.
    next: Option<i64>,
}

impl Keys {
    fn of<'t>(described: &Described, columns: impl Iterator<Item = &'t Target>) -> Self {
        let columns = columns.map(|target| target.name.as_str());
        let mut sql = statement();
        sql.push("select ")
            .idents(columns.chain(described.rowid))
            .push(" from ")
            .table(&described.table.name);
        if let Some(rowid) = described.rowid {
            sql.push(" where ").ident(rowid).push(" >= ?1 order by ");
            sql.ident(rowid).push(" limit ?2");
        }
        Self {
            query: sql.text().to_owned(),
            in_pieces: described.rowid.is_some(),
            next: Some(i64::MIN),
        }
    }

    /// Reads the next piece; which of the columns, if any, is written in another way.
    fn check_piece<'t>(
        &mut self,
        connection: &Connection,
        columns: &'t [(&'t Target, String)],
    ) -> rusqlite::Result<Option<&'t (&'t Target, String)>> {
        let mut query = connection.prepare(&self.query)?;
        let mut rows = match self.next.take() {
            Some(from) if self.in_pieces => query.query((from, PIECE))?,
            _ => query.query(())?,
        };
        let (mut read, mut last) = (0, None);
        while let Some(row) = rows.next()? {
            for (place, column) in columns.iter().enumerate() {
                let value = row.get_ref(place)?;
                if value != ValueRef::Null && !is_as_stored(&column.0.storage, value) {
                    return Ok(Some(column));
                }
            }
            read += 1;
            if self.in_pieces && read == PIECE {
                last = Some(row.get(columns.len())?);
            }
        }
        self.next = last.and_then(|last: i64| last.checked_add(1));
        Ok(None)
    }
}
