//! `/runs/{id}/differences` and `/runs/{id}/approve`: what a run found, and a person's word on what it would do.
//!
//! Invariant: of a row its key is told, never another value.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api::admin::request::{JsonBody, List, PageParameters, Parameters};
use crate::api::admin::runs::{RunView, find};
use crate::api::admin::syncs;
use crate::api::auth::Caller;
use crate::api::problem::Problem;
use crate::model::difference::{DifferenceKind, FoundDifference};
use crate::model::table::{InvalidTableName, TableName};
use crate::sync::{Ctx, pull};

/// A row that differs.
#[derive(Serialize)]
pub(super) struct DifferenceView {
    table: TableName,
    key: Value,
    kind: DifferenceKind,
    /// null: only that the row differs is known.
    columns: Option<Vec<String>>,
}

impl From<FoundDifference> for DifferenceView {
    fn from(found: FoundDifference) -> Self {
        Self {
            table: found.table,
            key: found.row.key,
            kind: found.row.kind,
            columns: found.row.columns,
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Filters {
    table: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

/// GET /runs/{id}/differences, by table; the cursor counts rows.
pub(super) async fn list(
    State(ctx): State<Arc<Ctx>>,
    Path(text): Path<String>,
    Parameters(filters): Parameters<Filters>,
) -> Result<Json<List<DifferenceView>>, Problem> {
    let parameters = PageParameters {
        limit: filters.limit,
        cursor: filters.cursor,
    };
    let page = parameters.page::<u64>()?;
    let table: Option<TableName> = filters
        .table
        .map(|name| name.parse())
        .transpose()
        .map_err(|err: InvalidTableName| Problem::invalid("table", err.to_string()))?;
    let run = find(&ctx, &text).await?;
    let offset = page.before.unwrap_or(0);
    let found = ctx
        .store
        .differences(run.id, table.as_ref(), page.limit + 1, offset)
        .await?;
    let next = offset.saturating_add(u64::from(page.limit));
    Ok(Json(List::page(
        found,
        page.limit,
        |_| next.to_string(),
        DifferenceView::from,
    )))
}

/// What a person approves.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Approval {
    plan_hash: String,
}

/// POST /runs/{id}/approve; who may only operate approves no runs of syncs that others made.
pub(super) async fn approve(
    State(ctx): State<Arc<Ctx>>,
    Extension(caller): Extension<Caller>,
    Path(text): Path<String>,
    JsonBody(body): JsonBody<Approval>,
) -> Result<Json<RunView>, Problem> {
    let run = find(&ctx, &text).await?;
    if let Some(sync) = run.sync_id {
        syncs::own(&ctx, &sync.to_string(), &caller).await?;
    }
    let run = pull::approve(&ctx, run.id, &body.plan_hash, &caller.actor).await?;
    Ok(Json(run.into()))
}
