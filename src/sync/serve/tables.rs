//! The tables a connection sees.

use std::collections::HashSet;

use crate::engine::EngineError;
use crate::engine::driver::{Flow, RowFilter, RowOrder, Selection};
use crate::model::connection::Connection;
use crate::model::grant::ColumnPolicy;
use crate::model::table::NeutralType;
use crate::model::table::TableName;
use crate::sync::Ctx;
use crate::sync::serve::access::{ClientKind, is_visible, view_of};
use crate::sync::serve::fault::ServeError;
use crate::sync::serve::view::View;

/// Rows are counted up to this many, above it the database's estimate is told.
const COUNTED_TO: u64 = 1_000_000;

/// One table of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VisibleTable {
    /// Its name here.
    pub name: TableName,
    /// Those that the connection sees: exact up to 1,000,000, else the estimate; `None` where the database's login may
    /// not read the table.
    pub rows: Option<u64>,
    /// With indexes; `None` when the engine cannot say, or a part of the table is hidden.
    pub size_bytes: Option<u64>,
    /// Empty when there is none.
    pub primary_key: Vec<String>,
    /// Visible tables its foreign keys point to.
    pub depends_on: Vec<TableName>,
    /// Its columns as the connection sees them.
    pub columns: Vec<VisibleColumn>,
    /// Columns that are withheld because the grant lists columns and not these.
    pub unclassified: Vec<String>,
    /// Only some rows exist for the connection.
    pub filtered: bool,
}

/// A column that a connection gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VisibleColumn {
    /// Its name here.
    pub name: String,
    /// The type it travels as.
    pub kind: NeutralType,
    /// What becomes of its values.
    pub policy: ColumnPolicy,
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
    let names: HashSet<TableName> = tables.iter().map(|table| table.name.clone()).collect();
    let mut visible = Vec::with_capacity(tables.len());
    for table in tables {
        let Some(view) = view_of(ctx, connection, client, table) else {
            continue;
        };
        match count(ctx, &view).await {
            Ok(rows) => visible.push(listed(view, Some(rows), &names)),
            // The others are listed all the same.
            Err(ServeError::Engine(EngineError::Denied(err))) => {
                tracing::warn!(table = %view.table.name, err, "a granted table cannot be read");
                visible.push(listed(view, None, &names));
            }
            // Dropped since the catalogue was read.
            Err(ServeError::NoTable(_)) => {}
            Err(err) => return Err(err),
        }
    }
    Ok(visible)
}

fn listed(view: View, rows: Option<u64>, names: &HashSet<TableName>) -> VisibleTable {
    let columns = view.sent_columns().into_iter();
    let columns = columns.map(|(name, kind)| VisibleColumn {
        policy: view.policy_of(&name),
        name,
        kind,
    });
    let columns = columns.collect();
    let parents = view.table.foreign_keys.iter().map(|key| &key.table);
    let mut depends_on: Vec<TableName> = parents
        .filter(|parent| names.contains(parent))
        .cloned()
        .collect();
    depends_on.sort();
    depends_on.dedup();
    VisibleTable {
        rows,
        size_bytes: view.table.size_bytes,
        depends_on,
        columns,
        filtered: !view.scope.conditions().is_empty(),
        unclassified: view.unclassified,
        name: view.table.name,
        primary_key: view
            .table
            .primary_key
            .map(|key| key.columns)
            .unwrap_or_default(),
    }
}

/// The rows of a view. Beyond what is counted, an estimate would be one of the whole table: there it is that number.
async fn count(ctx: &Ctx, view: &View) -> Result<u64, ServeError> {
    let table = view.table.name.clone();
    if view.scope.conditions().is_empty() {
        return Ok(ctx.driver.count(&table, COUNTED_TO).await?.rows);
    }
    let selection = Selection {
        table: table.clone(),
        columns: Vec::new(),
        rows: RowFilter::All,
        scope: view.scope.clone(),
        order: RowOrder::Found,
        page: None,
    };
    let mut stream = ctx.driver.read(selection).await?;
    let mut rows = 0;
    while rows < COUNTED_TO {
        match stream.recv().await {
            Some(Ok(Flow::Rows(batch))) => rows += u64::from(batch.rows),
            Some(Ok(Flow::End)) => return Ok(rows),
            Some(Err(err)) => return Err(err.into()),
            None => return Err(EngineError::Cut(table).into()),
        }
    }
    Ok(COUNTED_TO)
}
