//! People's databases: reading tables into the row layout and applying rows to them.
//!
//! Knows SQL and nothing of peers, runs or HTTP.

mod check;
mod chunk;
pub mod driver;
mod enact;
pub mod error;
mod fault;
pub mod held;
mod job;
mod keys;
pub mod mysql;
pub mod plan;
pub mod postgres;
mod scope;
mod session;
mod snapshot;
pub mod spool;
pub mod sql;
pub mod sqlite;
pub mod tally;
mod transaction;

pub use error::EngineError;

use std::sync::Arc;

use crate::base::secret::Secret;
use crate::engine::driver::{DiskRoom, Driver};
use crate::engine::mysql::MysqlDriver;
use crate::engine::postgres::PostgresDriver;
use crate::engine::sqlite::SqliteDriver;

/// Opens the site database a URL names. It need not be up: each call says when it is not. `room` is for what reading it
/// may take of the disk.
///
/// # Errors
/// [`EngineError::Url`] when no engine of this build fits the URL.
pub async fn open(
    url: &Secret<String>,
    schemas: &[String],
    room: DiskRoom,
) -> Result<Arc<dyn Driver>, EngineError> {
    match url.expose().split_once("://").map(|(scheme, _)| scheme) {
        Some("postgresql" | "postgres") => {
            Ok(Arc::new(PostgresDriver::connect(url, schemas).await?))
        }
        Some("sqlite") => Ok(Arc::new(SqliteDriver::open(url, room)?)),
        Some("mysql" | "mariadb") => Ok(Arc::new(MysqlDriver::connect(url, schemas)?)),
        _ => Err(EngineError::Url(
            "expected postgresql://..., mysql://... or sqlite:///...".to_owned(),
        )),
    }
}
