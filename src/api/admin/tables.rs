//! `/connections/{id}/tables`: looking before pulling.
//!
//! On a receiver what the peer offers beside what is here, on a sender exactly what that peer sees.
//! Never scans a table of this site.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::api::admin::connections::find;
use crate::api::admin::request::{List, PageParameters, Parameters};
use crate::api::problem::Problem;
use crate::model::connection::{Connection, Direction};
use crate::model::grant::ColumnPolicy;
use crate::model::table::{Table, TableName};
use crate::sync::pull::OfferedTable;
use crate::sync::serve::{ClientKind, RecordsPage, VisibleColumn, VisibleTable};
use crate::sync::{Ctx, SyncError, pull, serve};
use crate::wire::messages::Catalogue;

/// A peer gives no more records at a time (peer-api).
const MOST_RECORDS: u32 = 100;

/// A table as the peer and this site have it.
#[derive(Serialize)]
pub(super) struct TableView {
    table: String,
    peer: Option<SideView>,
    local: Option<SideView>,
    granted: bool,
    triggers: Vec<String>,
    comparison: &'static str,
    compared_at: Option<Timestamp>,
    /// On a sender: what the peer sees.
    #[serde(flatten)]
    seen: Option<SeenView>,
}

/// What a peer sees of a table, and what not.
#[derive(Serialize)]
struct SeenView {
    columns: Vec<SeenColumn>,
    /// New since the grant listed the columns; withheld.
    unclassified: Vec<String>,
    /// Some rows are withheld.
    filtered: bool,
}

#[derive(Serialize)]
struct SeenColumn {
    name: String,
    r#type: &'static str,
    policy: ColumnPolicy,
}

impl From<VisibleColumn> for SeenColumn {
    fn from(column: VisibleColumn) -> Self {
        Self {
            name: column.name,
            r#type: column.kind.as_str(),
            policy: column.policy,
        }
    }
}

/// One side's word on a table; `null` where it does not say.
#[derive(Serialize)]
struct SideView {
    rows: Option<u64>,
    size_bytes: Option<u64>,
    primary_key: Option<Vec<String>>,
}

/// GET /connections/{id}/tables
pub(super) async fn list(
    State(ctx): State<Arc<Ctx>>,
    Path(text): Path<String>,
) -> Result<Json<List<TableView>>, Problem> {
    let connection = find(&ctx, &text).await?;
    let items = match connection.direction {
        Direction::Sender => given(&ctx, &connection).await?,
        Direction::Receiver => {
            let offered = pull::offered_tables(&ctx, &connection).await?;
            offered.into_iter().map(TableView::from).collect()
        }
    };
    Ok(Json(List::whole(items)))
}

async fn given(ctx: &Ctx, connection: &Connection) -> Result<Vec<TableView>, Problem> {
    let visible = serve::visible_tables(ctx, connection, ClientKind::Any).await;
    let view = |table: VisibleTable| TableView {
        table: table.name.to_string(),
        peer: None,
        local: Some(SideView {
            rows: table.rows,
            size_bytes: table.size_bytes,
            primary_key: Some(table.primary_key),
        }),
        granted: true,
        triggers: Vec::new(),
        comparison: "unknown",
        compared_at: None,
        seen: Some(SeenView {
            columns: table.columns.into_iter().map(SeenColumn::from).collect(),
            unclassified: table.unclassified,
            filtered: table.filtered,
        }),
    };
    let visible = visible.map_err(SyncError::from)?;
    Ok(visible.into_iter().map(view).collect())
}

impl From<OfferedTable> for TableView {
    fn from(offered: OfferedTable) -> Self {
        let OfferedTable {
            listed,
            here,
            outcome,
            ..
        } = offered;
        let compared = outcome.as_ref().filter(|_| here.is_some());
        let comparison = compared.and_then(|outcome| outcome.comparison);
        let counted = compared.and_then(|outcome| outcome.rows);
        Self {
            table: listed.name,
            peer: Some(SideView {
                rows: listed.row_count,
                size_bytes: listed.size_bytes,
                primary_key: offered.primary_key,
            }),
            compared_at: compared
                .filter(|_| comparison.is_some())
                .map(|outcome| outcome.ended_at),
            comparison: match (&here, comparison) {
                (None, _) => "only_there",
                (Some(_), Some(known)) => known.as_str(),
                (Some(_), None) => "unknown",
            },
            local: here.as_ref().map(|table| SideView {
                rows: counted.or(table.row_estimate),
                size_bytes: table.size_bytes,
                primary_key: key_of(table),
            }),
            triggers: here.map_or_else(Vec::new, |table| table.triggers),
            granted: true,
            seen: None,
        }
    }
}

/// A table's schema as the peer protocol publishes it, with what this site has beside it.
#[derive(Serialize)]
pub(super) struct SchemaView {
    #[serde(flatten)]
    published: Value,
    evenkeel: Option<Catalogue>,
    local: Option<LocalSchema>,
}

#[derive(Serialize)]
struct LocalSchema {
    primary_key: Option<Vec<String>>,
    columns: Vec<LocalColumn>,
}

#[derive(Serialize)]
struct LocalColumn {
    name: String,
    r#type: &'static str,
    native: String,
    nullable: bool,
    generated: bool,
}

/// GET /connections/{id}/tables/{table}/schema
pub(super) async fn schema(
    State(ctx): State<Arc<Ctx>>,
    Path((text, table)): Path<(String, String)>,
) -> Result<Json<SchemaView>, Problem> {
    let connection = find(&ctx, &text).await?;
    let table = named(&table)?;
    let view = match connection.direction {
        Direction::Sender => {
            let visible = serve::visible_schema(&ctx, &connection, ClientKind::Any, &table).await;
            let visible = visible.map_err(SyncError::from)?;
            SchemaView {
                published: serde_json::to_value(visible.schema)
                    .map_err(|err| Problem::internal(&err))?,
                evenkeel: Some(visible.evenkeel),
                local: None,
            }
        }
        Direction::Receiver => {
            let offered = pull::offered_schema(&ctx, &connection, &table).await?;
            SchemaView {
                published: object(offered.published),
                evenkeel: offered.catalogue,
                local: offered.here.map(LocalSchema::from),
            }
        }
    };
    Ok(Json(view))
}

impl From<Table> for LocalSchema {
    fn from(table: Table) -> Self {
        Self {
            primary_key: key_of(&table),
            columns: table
                .columns
                .into_iter()
                .map(|column| LocalColumn {
                    r#type: column.kind.as_str(),
                    name: column.name,
                    native: column.native,
                    nullable: column.nullable,
                    generated: column.generated,
                })
                .collect(),
        }
    }
}

/// GET /connections/{id}/tables/{table}/records: a few rows; the cursor counts them.
pub(super) async fn records(
    State(ctx): State<Arc<Ctx>>,
    Path((text, table)): Path<(String, String)>,
    Parameters(parameters): Parameters<PageParameters>,
) -> Result<Json<List<Box<RawValue>>>, Problem> {
    let page = parameters.page::<u64>()?;
    let (limit, offset) = (page.limit.min(MOST_RECORDS), page.before.unwrap_or(0));
    let connection = find(&ctx, &text).await?;
    let table = named(&table)?;
    let rows = match connection.direction {
        Direction::Sender => {
            let page = RecordsPage {
                limit: limit.into(),
                offset,
                filter: None,
            };
            serve::visible_records(&ctx, &connection, ClientKind::Any, &table, &page)
                .await
                .map_err(SyncError::from)?
                .rows
        }
        Direction::Receiver => {
            pull::offered_records(&ctx, &connection, &table, limit, offset).await?
        }
    };
    let full = u32::try_from(rows.len()).is_ok_and(|rows| rows >= limit);
    let next = full.then(|| offset.saturating_add(u64::from(limit)).to_string());
    Ok(Json(List::with_cursor(rows, next)))
}

fn key_of(table: &Table) -> Option<Vec<String>> {
    table.primary_key.as_ref().map(|key| key.columns.clone())
}

fn named(text: &str) -> Result<TableName, Problem> {
    text.parse().map_err(|_| Problem::not_found("table", text))
}

/// Only an object can be flattened into the answer; a peer may have sent anything.
fn object(published: Value) -> Value {
    match published {
        Value::Object(_) => published,
        _ => Value::Object(serde_json::Map::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::{LocalSchema, SchemaView, object};
    use serde_json::{Value, json};

    #[test]
    fn a_schema_that_is_no_object_still_makes_an_answer() {
        for published in [Value::Null, json!([1]), json!({"table_name": "orders"})] {
            let view = SchemaView {
                published: object(published),
                evenkeel: None,
                local: None::<LocalSchema>,
            };
            assert!(serde_json::to_value(&view).unwrap().is_object());
        }
    }
}
