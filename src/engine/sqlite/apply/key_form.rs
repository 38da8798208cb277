//! Whether a table's keys are written as this program writes them.
//!
//! SQLite finds a row by the bytes of its key: an upper-case uuid and the same in lower case would become two rows.

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use crate::engine::error::EngineError;
use crate::engine::sqlite::apply::destination::Target;
use crate::engine::sqlite::fault::engine_error;
use crate::engine::sqlite::select::statement;
use crate::engine::sqlite::stored::is_as_stored;
use crate::engine::sqlite::types::{Affinity, Storage};
use crate::model::table::{NeutralType, TableName};

/// Refuses a table whose key values are written in another way.
///
/// # Errors
/// The column, and what to do.
pub(super) fn check_key_form(
    connection: &Connection,
    table: &TableName,
    targets: &[Target],
) -> Result<(), EngineError> {
    for target in targets.iter().filter(|target| target.in_key) {
        let Some(form) = form(&target.storage) else {
            continue;
        };
        let is_kept =
            holds_only(connection, table, target).map_err(|err| engine_error(&err, table))?;
        if !is_kept {
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

fn holds_only(
    connection: &Connection,
    table: &TableName,
    target: &Target,
) -> rusqlite::Result<bool> {
    let mut sql = statement();
    sql.push("select ").ident(&target.name);
    sql.push(" from ").table(table);
    let mut query = connection.prepare(sql.text())?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let value = row.get_ref(0)?;
        if value != ValueRef::Null && !is_as_stored(&target.storage, value) {
            return Ok(false);
        }
    }
    Ok(true)
}
