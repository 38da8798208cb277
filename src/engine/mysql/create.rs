//! Making tables; not in this build yet.

use sqlx::mysql::MySqlPool;

use crate::engine::driver::{Creation, NewTable};
use crate::engine::error::EngineError;
use crate::engine::mysql::connect::Session;
use crate::engine::mysql::schemas::Schemas;

/// What making `tables` would run.
#[expect(clippy::unused_async, reason = "not written yet")]
pub(super) async fn plan(
    _session: &mut Session,
    _schemas: &Schemas,
    tables: &[NewTable],
) -> Result<Creation, EngineError> {
    Err(unwritten(tables))
}

/// Makes `tables`.
#[expect(clippy::unused_async, reason = "not written yet")]
pub(super) async fn create(
    _pool: &MySqlPool,
    _schemas: &Schemas,
    tables: &[NewTable],
) -> Result<(), EngineError> {
    Err(unwritten(tables))
}

fn unwritten(tables: &[NewTable]) -> EngineError {
    EngineError::Statement {
        table: tables
            .first()
            .map_or_else(String::new, |new| new.table.name.to_string()),
        message: "this version cannot make tables in MySQL or MariaDB".to_owned(),
    }
}
