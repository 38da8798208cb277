//! `/transfers`: each table that moved, in or out, as this site saw it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::api::admin::request::{List, PageParameters, Parameters, with_one_more};
use crate::api::problem::Problem;
use crate::model::id::{ConnectionId, RunId, TransferId};
use crate::model::run::{Changes, RunError, RunStatus, Transfer, TransferDirection};
use crate::model::table::TableName;
use crate::sync::Ctx;

#[derive(Serialize)]
pub(super) struct TransferView {
    id: TransferId,
    direction: TransferDirection,
    run_id: Option<RunId>,
    connection_id: ConnectionId,
    table: TableName,
    status: RunStatus,
    rows: u64,
    bytes_on_wire: u64,
    changes: Changes,
    started_at: Timestamp,
    completed_at: Option<Timestamp>,
    error: Option<RunError>,
}

impl From<Transfer> for TransferView {
    fn from(transfer: Transfer) -> Self {
        Self {
            id: transfer.id,
            direction: transfer.direction,
            run_id: transfer.run_id,
            connection_id: transfer.connection_id,
            table: transfer.table,
            status: transfer.status,
            rows: transfer.rows,
            bytes_on_wire: transfer.bytes_on_wire,
            changes: transfer.changes,
            started_at: transfer.started_at,
            completed_at: transfer.completed_at,
            error: transfer.error,
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Filters {
    connection: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

/// GET
pub(super) async fn list(
    State(ctx): State<Arc<Ctx>>,
    Parameters(filters): Parameters<Filters>,
) -> Result<Json<List<TransferView>>, Problem> {
    let connection = filters
        .connection
        .as_deref()
        .map(str::parse)
        .transpose()
        .map_err(|_| Problem::invalid("connection", "is not the id of a connection"))?;
    let parameters = PageParameters {
        limit: filters.limit,
        cursor: filters.cursor,
    };
    let page = parameters.page::<TransferId>()?;
    let found = ctx.store.transfers(connection, with_one_more(page)).await?;
    Ok(Json(List::page(
        found,
        page.limit,
        |transfer| transfer.id.to_string(),
        TransferView::from,
    )))
}
