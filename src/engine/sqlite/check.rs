//! What `doctor` tells about a SQLite site database, and what is counted in it.
//!
//! Invariant: nothing here writes.

use std::path::Path;

use rusqlite::Connection;
use rustix::fs::{Access, access, statvfs};

use crate::engine::check::about_keyless;
use crate::engine::driver::RowCount;
use crate::engine::error::EngineError;
use crate::engine::sqlite::connect::Location;
use crate::engine::sqlite::fault::engine_error;
use crate::engine::sqlite::introspect;
use crate::engine::sqlite::select::statement;
use crate::model::finding::{Finding, TablesInUse};
use crate::model::table::{Engine, Table, TableName};

const MIB: u64 = 1 << 20;
/// Less than this beside the database is worth a warning, whatever its size.
const LITTLE_SPACE: u64 = 256 * MIB;

/// All findings; the database that cannot be opened is the one finding then.
pub(super) fn check(location: &Location, used: &TablesInUse) -> Result<Vec<Finding>, EngineError> {
    let connection = match location.open_reader() {
        Ok(connection) => connection,
        Err(err) => {
            let hint = "check site.database, the rights of the user this daemon runs as to the file and its folder, and under systemd ReadWritePaths= (docs/operations.md); the file is never made here: `sqlite3 FILE 'pragma journal_mode = wal'` makes an empty one";
            return Ok(vec![Finding::bad(err.to_string(), hint)]);
        }
    };
    let mode = location.journal_mode(&connection)?;
    let described = introspect::tables(&connection).map_err(|err| location.fault(&err))?;
    let mut findings = vec![
        Finding::good(format!(
            "{} opens, SQLite {}",
            location.path().display(),
            rusqlite::version()
        )),
        writable(location.path()),
        journal(&mode),
        space(location.path()),
    ];
    let tables: Vec<Table> = described
        .into_iter()
        .map(|described| described.table)
        .collect();
    findings.extend(about_keyless(&tables, used, Engine::Sqlite));
    findings.extend(tables.iter().flat_map(|table| about_table(table, used)));
    Ok(findings)
}

/// Exact up to `exact_to`, beyond that an estimate.
pub(super) fn count(
    connection: &Connection,
    name: &TableName,
    exact_to: u64,
) -> Result<RowCount, EngineError> {
    let fault = |err: rusqlite::Error| engine_error(&err, name);
    let described = introspect::table(connection, name)
        .map_err(fault)?
        .ok_or_else(|| EngineError::NoTable(name.clone()))?;
    let mut sql = statement();
    sql.push("select count(*) from (select 1 from ")
        .table(name)
        .push(" limit ?1)");
    let limit = i64::try_from(exact_to.saturating_add(1)).unwrap_or(i64::MAX);
    let rows: i64 = connection
        .query_row(sql.text(), [limit], |row| row.get(0))
        .map_err(fault)?;
    let rows = u64::try_from(rows).unwrap_or(0);
    if rows <= exact_to {
        return Ok(RowCount { rows, exact: true });
    }
    let estimate = described
        .table
        .row_estimate
        .or_else(|| highest_rowid(connection, name))
        .unwrap_or(0);
    Ok(RowCount {
        rows: estimate.max(exact_to),
        exact: false,
    })
}

/// What rows are numbered up to, where they are numbered.
fn highest_rowid(connection: &Connection, name: &TableName) -> Option<u64> {
    let mut sql = statement();
    sql.push("select max(_rowid_) from ").table(name);
    let highest: i64 = connection
        .query_row(sql.text(), [], |row| row.get(0))
        .ok()?;
    u64::try_from(highest).ok()
}

fn writable(path: &Path) -> Finding {
    let folder = path.parent().unwrap_or(path);
    let what = "the database can be written by this user".to_owned();
    if access(path, Access::WRITE_OK).is_err() {
        let hint = format!(
            "give the user this daemon runs as the right to write {}",
            path.display()
        );
        return Finding::bad(what, hint);
    }
    if access(folder, Access::WRITE_OK).is_err() {
        let hint = format!(
            "SQLite keeps its journal beside the database: let this user write into {}",
            folder.display()
        );
        return Finding::bad(what, hint);
    }
    Finding::good(what)
}

fn journal(mode: &str) -> Finding {
    let hint = "in this mode one reader blocks every writer, so the whole database is copied before it is read; \
                `pragma journal_mode = wal` lets readers and writers work side by side";
    let what = format!("the journal mode is {mode}");
    if mode == "wal" {
        Finding::good(what)
    } else {
        Finding::bad(what, hint)
    }
}

fn space(path: &Path) -> Finding {
    let Ok(found) = statvfs(path) else {
        return Finding::bad(
            "the free space beside the database is unknown",
            "check the disk",
        );
    };
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let size = std::fs::metadata(path).map(|file| file.len()).unwrap_or(0);
    let enough = free >= LITTLE_SPACE.max(size);
    let what = format!(
        "{} MiB are free beside the database, which has {} MiB",
        free / MIB,
        size / MIB
    );
    if enough {
        Finding::good(what)
    } else {
        Finding::bad(what, "make room: a first copy can need as much again")
    }
}

fn about_table(table: &Table, used: &TablesInUse) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !table.triggers.is_empty() {
        let what = format!(
            "table {}: its triggers run when rows are written: {}",
            table.name,
            table.triggers.join(", ")
        );
        findings.push(Finding::good(what));
    }
    if let Some(reason) = &table.not_writable {
        let what = format!("table {} cannot receive rows: {reason}", table.name);
        findings.push(if used.received.contains(&table.name) {
            Finding::bad(what, "leave it out as a destination")
        } else {
            Finding::good(what)
        });
    }
    findings
}
