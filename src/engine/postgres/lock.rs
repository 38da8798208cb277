//! Locking tables before the first look at them, so that what is seen stays so until the transaction ends; and seeing
//! whether somebody waits for that.
//!
//! Ends no transaction.

use std::time::Duration;

use sqlx::Row;
use tokio::time::{Instant, timeout_at};

use crate::engine::error::EngineError;
use crate::engine::postgres::connect::{Session, sql};
use crate::engine::postgres::fault::{fault, general, is_missing_table};
use crate::engine::postgres::introspect;
use crate::model::table::{Table, TableName};

/// All locks together wait no longer than this: whoever waits for the first ones would wait with them.
const PATIENCE: Duration = Duration::from_secs(6);

/// How much of what others do is kept out.
#[derive(Clone, Copy, Debug)]
pub(super) enum LockMode {
    /// Reading: only what rewrites or drops the table.
    AccessShare,
    /// Writing rows: also what changes the table's shape.
    RowExclusive,
}

/// Begins a transaction that sees one moment, that of its first query or one it is told.
pub(super) const BEGIN_READING: &str = "begin isolation level repeatable read, read only";

/// Begins a transaction that sees one moment of `names`, and describes them as they are then.
///
/// They are locked before the snapshot is taken: after it, a `truncate` or a rewriting `alter` of another session would
/// show an empty table without an error.
pub(super) async fn begin_reading(
    session: &mut Session,
    schemas: &[String],
    names: &[TableName],
) -> Result<Vec<Table>, EngineError> {
    session
        .run(BEGIN_READING)
        .await
        .map_err(|err| general(&err))?;
    let deadline = Instant::now() + PATIENCE;
    for name in names {
        let locked = timeout_at(deadline, lock(session, name, LockMode::AccessShare)).await;
        locked.unwrap_or_else(|_| {
            Err(EngineError::Locked {
                table: name.clone(),
                message: format!("no lock within {} s", PATIENCE.as_secs()),
            })
        })?;
    }
    if let [only] = names {
        return Ok(vec![described(session, schemas, only).await?]);
    }
    let connection = session.raw().map_err(|err| general(&err))?;
    let mut tables = introspect::tables(connection, schemas)
        .await
        .map_err(|err| general(&err))?;
    tables.retain(|table| names.contains(&table.name));
    let is_there = |name: &&TableName| tables.iter().any(|table| table.name == **name);
    match names.iter().find(|name| !is_there(name)) {
        Some(missing) => Err(EngineError::NoTable(missing.clone())),
        None => Ok(tables),
    }
}

/// Locks the table in the open transaction and describes it as it now is.
pub(super) async fn locked(
    session: &mut Session,
    schemas: &[String],
    name: &TableName,
    mode: LockMode,
) -> Result<Table, EngineError> {
    lock(session, name, mode).await?;
    described(session, schemas, name).await
}

async fn lock(session: &mut Session, name: &TableName, mode: LockMode) -> Result<(), EngineError> {
    let mut lock = sql();
    lock.push("lock table ").table(name).push(match mode {
        LockMode::AccessShare => " in access share mode",
        LockMode::RowExclusive => " in row exclusive mode",
    });
    let Err(err) = session.execute(&lock).await else {
        return Ok(());
    };
    let missing = is_missing_table(&err);
    Err(if missing {
        EngineError::NoTable(name.clone())
    } else {
        fault(err, name)
    })
}

async fn described(
    session: &mut Session,
    schemas: &[String],
    name: &TableName,
) -> Result<Table, EngineError> {
    let engine = |err| fault(err, name);
    let connection = session.raw().map_err(engine)?;
    let table = introspect::table(connection, schemas, name)
        .await
        .map_err(engine)?;
    table.ok_or_else(|| EngineError::NoTable(name.clone()))
}

/// The server's process behind `session`.
pub(super) async fn process(session: &mut Session) -> Result<i32, EngineError> {
    let mut query = sql();
    query.push("select pg_backend_pid()");
    let row = session.one(&query).await.map_err(|err| general(&err))?;
    row.try_get(0).map_err(|err| general(&err))
}

/// Whether a session waits for a lock that `process` has, or waits behind one that does.
pub(super) async fn somebody_waits(
    session: &mut Session,
    process: i32,
) -> Result<bool, EngineError> {
    let mut query = sql();
    query
        .push("select exists (select from pg_locks waiting where not waiting.granted and ")
        .number(process)
        .push(" = any (pg_blocking_pids(waiting.pid)))");
    let row = session.one(&query).await.map_err(|err| general(&err))?;
    row.try_get(0).map_err(|err| general(&err))
}
