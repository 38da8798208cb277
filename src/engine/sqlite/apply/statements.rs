//! The statements of one apply, prepared once.
//!
//! Parameter n is always column n of the rows. No statement lets SQLite choose what becomes of a row: `or abort`
//! overrides an `on conflict replace` of the table's own constraints. It would override those inside triggers as well,
//! so a table with triggers gets plain statements, and one with both is no destination.

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Statement};

use crate::engine::driver::ApplyJob;
use crate::engine::error::EngineError;
use crate::engine::sql::Sql;
use crate::engine::sqlite::fault::engine_error;
use crate::engine::sqlite::introspect::{self, Described};
use crate::engine::sqlite::select::statement;
use crate::engine::sqlite::stored::as_value;
use crate::model::run::ConflictStrategy;

/// Prepared for one table.
pub(super) struct Statements<'c> {
    /// The row of a key: all columns of the rows.
    pub probe: Statement<'c>,
    pub insert: Statement<'c>,
    /// `None` when the rows have nothing besides an exact key, or no key.
    pub update: Option<Statement<'c>>,
    /// Sets to NULL what other rows may be waiting for.
    pub park: Option<Statement<'c>>,
    /// Remembers a key; fails when an equal one came before. Only where keys fold.
    pub remember: Option<Statement<'c>>,
    /// Around each row, where a refused row could leave something behind.
    pub guard: Option<Guard<'c>>,
    /// One per foreign key that SQLite checks only at the commit.
    pub parents: Vec<ParentCheck<'c>>,
}

/// A savepoint and its two ends.
pub(super) struct Guard<'c> {
    pub set: Statement<'c>,
    pub back: Statement<'c>,
    pub release: Statement<'c>,
}

/// Whether the row that a foreign key points to is there.
pub(super) struct ParentCheck<'c> {
    /// The columns at these places of the rows point to it.
    pub places: Vec<usize>,
    pub exists: Statement<'c>,
}

impl ParentCheck<'_> {
    /// Whether it is, or the row points to none.
    pub(super) fn is_there(&mut self, values: &[ToSqlOutput<'_>]) -> rusqlite::Result<bool> {
        if self.places.iter().any(|&at| {
            values
                .get(at)
                .is_none_or(|value| as_value(value) == ValueRef::Null)
        }) {
            return Ok(true);
        }
        bind_key(&mut self.exists, &self.places, values)?;
        let mut rows = self.exists.raw_query();
        Ok(rows.next()?.is_some())
    }
}

/// Binds all values.
pub(super) fn bind_all(
    statement: &mut Statement<'_>,
    values: &[ToSqlOutput<'_>],
) -> rusqlite::Result<()> {
    for (at, value) in values.iter().enumerate() {
        statement.raw_bind_parameter(at + 1, value)?;
    }
    Ok(())
}

/// Binds the values at `places`.
pub(super) fn bind_key(
    statement: &mut Statement<'_>,
    places: &[usize],
    values: &[ToSqlOutput<'_>],
) -> rusqlite::Result<()> {
    for &at in places {
        if let Some(value) = values.get(at) {
            statement.raw_bind_parameter(at + 1, value)?;
        }
    }
    Ok(())
}

impl<'c> Statements<'c> {
    /// Prepares them.
    ///
    /// # Errors
    /// When the table is not what `job` says.
    pub(super) fn new(
        connection: &'c Connection,
        job: &ApplyJob,
        described: &Described,
        folded: bool,
    ) -> Result<Self, EngineError> {
        let fault = |err: rusqlite::Error| engine_error(&err, &job.table.name);
        let prepare = |sql: Sql| connection.prepare(sql.text()).map_err(fault);
        let guarded = !described.table.triggers.is_empty() || described.defers_foreign_keys;
        let parents = if described.defers_foreign_keys {
            parent_checks(connection, job, described)?
        } else {
            Vec::new()
        };
        Ok(Self {
            probe: prepare(probe(job, described, folded))?,
            insert: prepare(insert(job, described))?,
            update: update(job, described, folded).map(prepare).transpose()?,
            park: park(connection, job, described, folded)?
                .map(prepare)
                .transpose()?,
            remember: if folded {
                Some(remember(connection, job, described)?)
            } else {
                None
            },
            guard: if guarded {
                Some(guard(connection).map_err(fault)?)
            } else {
                None
            },
            parents,
        })
    }
}

fn probe(job: &ApplyJob, described: &Described, folded: bool) -> Sql {
    let mut sql = statement();
    sql.push("select ")
        .idents(job.columns.iter().map(|column| column.name.as_str()));
    sql.push(" from ").table(&job.table.name);
    where_key(&mut sql, job, described, folded);
    sql
}

fn insert(job: &ApplyJob, described: &Described) -> Sql {
    let mut sql = statement();
    sql.push(if described.table.triggers.is_empty() {
        "insert or abort into "
    } else {
        "insert into "
    });
    sql.table(&job.table.name).push(" (");
    sql.idents(job.columns.iter().map(|column| column.name.as_str()))
        .push(") values (");
    sql.list(0..job.columns.len(), ", ", parameter).push(")");
    sql
}

fn update(job: &ApplyJob, described: &Described, folded: bool) -> Option<Sql> {
    // An exact key found is the key already; a folded one may have other bytes.
    let set: Vec<(usize, &str)> = named(job)
        .filter(|(_, name)| folded || !job.key.iter().any(|key| key == name))
        .collect();
    // Of keyless rows nothing is the same row with another value.
    if set.is_empty() || job.is_keyless() {
        return None;
    }
    let mut sql = update_head(job, described);
    sql.list(set, ", ", |sql, (at, name)| {
        sql.ident(name).push(" = ");
        if job.conflict == ConflictStrategy::Merge {
            sql.push("coalesce(");
            parameter(sql, at);
            sql.push(", ").ident(name).push(")");
        } else {
            parameter(sql, at);
        }
    });
    where_key(&mut sql, job, described, folded);
    Some(sql)
}

/// The nullable columns of unique keys, other than the key, that the rows carry and no foreign key points to: emptying one
/// cannot reach another table.
fn park(
    connection: &Connection,
    job: &ApplyJob,
    described: &Described,
    folded: bool,
) -> Result<Option<Sql>, EngineError> {
    let mut parked = job.parkable(&described.table);
    if parked.is_empty() {
        return Ok(None);
    }
    let pointing = introspect::pointing(connection, &job.table.name)
        .map_err(|err| engine_error(&err, &job.table.name))?;
    parked.retain(|name| {
        let mut keys = pointing.iter();
        !keys.any(|pointing| pointing.key.foreign_columns.contains(name))
    });
    if parked.is_empty() {
        return Ok(None);
    }
    let mut sql = update_head(job, described);
    sql.list(parked, ", ", |sql, name| {
        sql.ident(&name).push(" = null");
    });
    where_key(&mut sql, job, described, folded);
    Ok(Some(sql))
}

fn update_head(job: &ApplyJob, described: &Described) -> Sql {
    let mut sql = statement();
    sql.push(if described.table.triggers.is_empty() {
        "update or abort "
    } else {
        "update "
    });
    sql.table(&job.table.name).push(" set ");
    sql
}

fn named(job: &ApplyJob) -> impl Iterator<Item = (usize, &str)> {
    job.columns
        .iter()
        .map(|column| column.name.as_str())
        .enumerate()
}

/// Compares as the key's index does, which need not be how the column itself compares. Of keyless rows the first parameter
/// is the row's number.
pub(super) fn where_key(sql: &mut Sql, job: &ApplyJob, described: &Described, folded: bool) {
    if job.is_keyless() {
        sql.push(" where ");
        sql.ident(described.rowid.unwrap_or("rowid")).push(" = ?1");
        return;
    }
    let key = named(job).filter(|(_, name)| job.key.iter().any(|key| key == name));
    sql.push(" where ").list(key, " and ", |sql, (at, name)| {
        sql.ident(name).push(" = ");
        parameter(sql, at);
        sql.push(" collate ").ident(if folded {
            described.collation(&job.key, name)
        } else {
            "BINARY"
        });
    });
}

fn parameter(sql: &mut Sql, at: usize) {
    sql.push("?")
        .number(i128::try_from(at).unwrap_or(i128::MAX).saturating_add(1));
}

/// A temporary table with the key's own collations; it lives in this connection only.
fn remember<'c>(
    connection: &'c Connection,
    job: &ApplyJob,
    described: &Described,
) -> Result<Statement<'c>, EngineError> {
    let fault = |err: rusqlite::Error| engine_error(&err, &job.table.name);
    let key: Vec<(usize, &str)> = named(job)
        .filter(|(_, name)| job.key.iter().any(|key| key == name))
        .collect();
    let mut sql = statement();
    sql.push("create temp table evenkeel_seen (");
    sql.list(&key, ", ", |sql, (at, name)| {
        sql.push("k")
            .number(i128::try_from(*at).unwrap_or(i128::MAX))
            .push(" collate ");
        sql.ident(described.collation(&job.key, name));
    });
    sql.push(", primary key (")
        .list(&key, ", ", |sql, (at, _)| {
            sql.push("k")
                .number(i128::try_from(*at).unwrap_or(i128::MAX));
        });
    sql.push(")) without rowid");
    connection.execute_batch(sql.text()).map_err(fault)?;
    let mut sql = statement();
    sql.push("insert or abort into temp.evenkeel_seen values (");
    sql.list(&key, ", ", |sql, (at, _)| parameter(sql, *at))
        .push(")");
    connection.prepare(sql.text()).map_err(fault)
}

fn guard(connection: &Connection) -> rusqlite::Result<Guard<'_>> {
    Ok(Guard {
        set: connection.prepare("savepoint evenkeel_row")?,
        back: connection.prepare("rollback to evenkeel_row")?,
        release: connection.prepare("release evenkeel_row")?,
    })
}

fn parent_checks<'c>(
    connection: &'c Connection,
    job: &ApplyJob,
    described: &Described,
) -> Result<Vec<ParentCheck<'c>>, EngineError> {
    let mut checks = Vec::new();
    for key in &described.table.foreign_keys {
        let places: Vec<usize> = key
            .columns
            .iter()
            .filter_map(|name| named(job).find(|(_, other)| other == name))
            .map(|(at, _)| at)
            .collect();
        // A foreign key over columns that the rows do not carry keeps the values it has.
        if places.len() != key.columns.len() || key.foreign_columns.len() != key.columns.len() {
            continue;
        }
        let mut sql = statement();
        sql.push("select 1 from ").table(&key.table).push(" where ");
        sql.list(
            key.foreign_columns.iter().zip(&places),
            " and ",
            |sql, (name, at)| {
                sql.ident(name).push(" = ");
                parameter(sql, *at);
            },
        );
        let exists = connection
            .prepare(sql.text())
            .map_err(|err| engine_error(&err, &job.table.name))?;
        checks.push(ParentCheck { places, exists });
    }
    Ok(checks)
}

/// The fault of a table whose rows cannot be found as `job` wants.
pub(super) fn unmatched(job: &ApplyJob) -> EngineError {
    let why = match job.is_keyless() {
        true => {
            "its rows have no key in common with the peer's, and no number to find them by: the table is `without rowid`, \
             or has columns named rowid, _rowid_ and oid; add the same primary key on both sides"
                .to_owned()
        }
        false => format!("({}) is no key of the table", job.key.join(", ")),
    };
    EngineError::of_table(&job.table.name, why)
}
