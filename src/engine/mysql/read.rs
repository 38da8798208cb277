//! Reading: one consistent snapshot, one prepared statement, its rows encoded as they come.

use sqlx::Row;
use sqlx::mysql::MySqlPool;

use crate::base::task::Tasks;
use crate::engine::driver::{RowStream, Selection};
use crate::engine::error::EngineError;
use crate::engine::mysql::connect::Session;
use crate::engine::mysql::fault::{fault, is_missing_table};
use crate::engine::mysql::schemas::Schemas;
use crate::model::table::TableName;

/// Begins to read `selection`; the rest happens in a task that ends when the stream is dropped.
#[expect(clippy::unused_async, reason = "not written yet")]
pub(super) async fn read(
    _pool: &MySqlPool,
    _tasks: &Tasks,
    _schemas: &Schemas,
    selection: Selection,
) -> Result<RowStream, EngineError> {
    Err(EngineError::Statement {
        table: selection.table.to_string(),
        message: "this version cannot read from MySQL or MariaDB".to_owned(),
    })
}

/// Counts rows up to `limit`.
pub(super) async fn count(
    session: &mut Session,
    schemas: &Schemas,
    name: &TableName,
    limit: u64,
) -> Result<u64, EngineError> {
    let mut query = schemas.sql();
    query
        .push("select count(*) from (select 1 from ")
        .table(name)
        .push(" limit ")
        .number(limit)
        .push(") counted");
    let row = session.one(&query).await.map_err(|err| {
        let missing = is_missing_table(&err);
        if missing {
            EngineError::NoTable(name.clone())
        } else {
            fault(err, name)
        }
    })?;
    let rows: i64 = row.try_get(0).map_err(|err| fault(err, name))?;
    Ok(u64::try_from(rows).unwrap_or_default())
}
