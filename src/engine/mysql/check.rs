//! What `doctor` tells about a MySQL or MariaDB database.
//!
//! Only looks. Invariant: each finding that is not in order says what to do.

use sqlx::Row;

use crate::engine::error::EngineError;
use crate::engine::mysql::connect::Session;
use crate::engine::mysql::fault::general;
use crate::engine::mysql::schemas::Schemas;
use crate::model::finding::Finding;

/// The version, for people.
pub(super) async fn version(
    session: &mut Session,
    schemas: &Schemas,
) -> Result<String, EngineError> {
    let mut query = schemas.sql();
    query.push("select version()");
    let version: String = session
        .one(&query)
        .await
        .and_then(|row| row.try_get(0))
        .map_err(|err| general(&err))?;
    Ok(match version.split_once("-MariaDB") {
        // Old clients take MariaDB 10 for MySQL 5 by this.
        Some((number, _)) => format!("MariaDB {}", number.trim_start_matches("5.5.5-")),
        None => format!("MySQL {version}"),
    })
}

/// All findings.
pub(super) async fn check(
    session: &mut Session,
    schemas: &Schemas,
) -> Result<Vec<Finding>, EngineError> {
    Ok(vec![Finding::good(version(session, schemas).await?)])
}
