//! Applying rows; not in this build yet.

use sqlx::mysql::MySqlPool;
use tokio::sync::watch;

use crate::engine::driver::{Applied, ApplyJob, ApplyProgress, RowStream};
use crate::engine::error::EngineError;
use crate::engine::mysql::schemas::Schemas;

/// Applies `rows` as `job` says.
#[expect(
    clippy::unused_async,
    clippy::needless_pass_by_value,
    reason = "not written yet"
)]
pub(super) async fn apply(
    _pool: &MySqlPool,
    _schemas: &Schemas,
    job: ApplyJob,
    _rows: RowStream,
    _progress: watch::Sender<ApplyProgress>,
) -> Result<Applied, EngineError> {
    Err(EngineError::Statement {
        table: job.table.name.to_string(),
        message: "this version cannot write to MySQL or MariaDB".to_owned(),
    })
}
