//! Locking a table before the first look at it, so that what is seen stays so until the transaction ends.
//!
//! Begins and ends no transaction.

use crate::engine::error::EngineError;
use crate::engine::postgres::connect::{Session, sql};
use crate::engine::postgres::fault::{fault, is_missing_table};
use crate::engine::postgres::introspect;
use crate::model::table::{Table, TableName};

/// How much of what others do is kept out.
#[derive(Clone, Copy, Debug)]
pub(super) enum LockMode {
    /// Reading: only what rewrites or drops the table.
    AccessShare,
    /// Writing rows: also what changes the table's shape.
    RowExclusive,
}

/// Locks the table in the open transaction and describes it as it now is.
pub(super) async fn locked(
    session: &mut Session,
    schemas: &[String],
    name: &TableName,
    mode: LockMode,
) -> Result<Table, EngineError> {
    let mut lock = sql();
    lock.push("lock table ").table(name).push(match mode {
        LockMode::AccessShare => " in access share mode",
        LockMode::RowExclusive => " in row exclusive mode",
    });
    let engine = |err| fault(err, name);
    if let Err(err) = session.execute(&lock).await {
        let missing = is_missing_table(&err);
        return Err(if missing {
            EngineError::NoTable(name.clone())
        } else {
            engine(err)
        });
    }
    let connection = session.raw().map_err(engine)?;
    let table = introspect::table(connection, schemas, name)
        .await
        .map_err(engine)?;
    table.ok_or_else(|| EngineError::NoTable(name.clone()))
}
