//! The tables a connection sees.

use crate::engine::EngineError;
use crate::model::connection::Connection;
use crate::model::table::TableName;
use crate::sync::Ctx;
use crate::sync::serve::access::{ClientKind, is_visible};
use crate::sync::serve::fault::ServeError;

/// Rows are counted up to this many, above it the database's estimate is told.
const COUNTED_TO: u64 = 1_000_000;

/// One table of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VisibleTable {
    /// Its name here.
    pub name: TableName,
    /// Exact up to 1,000,000, else the estimate.
    pub rows: u64,
    /// With indexes; `None` when the engine cannot say.
    pub size_bytes: Option<u64>,
    /// Empty when there is none.
    pub primary_key: Vec<String>,
    /// Visible tables its foreign keys point to.
    pub depends_on: Vec<TableName>,
}

/// Every table the connection sees, by name.
///
/// # Errors
/// The site database's.
pub async fn visible_tables(
    ctx: &Ctx,
    connection: &Connection,
    client: ClientKind,
) -> Result<Vec<VisibleTable>, ServeError> {
    let mut tables = ctx.driver.tables().await?;
    tables.retain(|table| is_visible(ctx, connection, client, &table.name));
    let names: Vec<TableName> = tables.iter().map(|table| table.name.clone()).collect();
    let mut visible = Vec::with_capacity(tables.len());
    for table in tables {
        let rows = match ctx.driver.count(&table.name, COUNTED_TO).await {
            Ok(count) => count.rows,
            // Dropped since the catalogue was read.
            Err(EngineError::NoTable(_)) => continue,
            Err(err) => return Err(err.into()),
        };
        let mut depends_on: Vec<TableName> = table
            .foreign_keys
            .into_iter()
            .map(|key| key.table)
            .filter(|parent| names.contains(parent))
            .collect();
        depends_on.sort();
        depends_on.dedup();
        visible.push(VisibleTable {
            name: table.name,
            rows,
            size_bytes: table.size_bytes,
            primary_key: table.primary_key.map(|key| key.columns).unwrap_or_default(),
            depends_on,
        });
    }
    Ok(visible)
}
