//! `/runs`: the queue and the history.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api::admin::request::{
    JsonBody, List, Nothing, PageParameters, Parameters, id, with_one_more,
};
use crate::api::auth::Caller;
use crate::api::problem::Problem;
use crate::model::id::{ConnectionId, RunId, SyncId};
use crate::model::run::{
    Apply, Changes, ConflictStrategy, Progress, QuarantinedRow, Run, RunError, RunStatus, RunTable,
    SyncMode,
};
use crate::model::table::TableName;
use crate::store::RunFilter;
use crate::sync::{Ctx, pull};

/// A run as operator-api shows it.
#[derive(Serialize)]
pub(super) struct RunView {
    id: RunId,
    kind: &'static str,
    apply: Apply,
    sync_mode: SyncMode,
    conflict_strategy: ConflictStrategy,
    sync_id: Option<SyncId>,
    connection_id: ConnectionId,
    status: RunStatus,
    triggered_by: String,
    /// The time of the sync's schedule it was made for.
    planned_at: Option<Timestamp>,
    attempt: u32,
    next_attempt_at: Option<Timestamp>,
    created_at: Timestamp,
    started_at: Option<Timestamp>,
    completed_at: Option<Timestamp>,
    duration_ms: Option<i64>,
    progress: Progress,
    changes: Changes,
    rows_synced: u64,
    rows_failed: u64,
    plan_hash: Option<String>,
    error: Option<RunError>,
    tables: Vec<RunTableView>,
}

#[derive(Serialize)]
struct RunTableView {
    table: TableName,
    status: RunStatus,
    rows_source: Option<u64>,
    rows_destination: Option<u64>,
    changes: Changes,
    rows_synced: u64,
    rows_failed: u64,
    bytes_on_wire: u64,
    drift_before: Option<u64>,
    proved_equal: Option<bool>,
    proved_at: Option<Timestamp>,
    root: Option<String>,
    error: Option<RunError>,
}

impl From<Run> for RunView {
    fn from(run: Run) -> Self {
        let sum = |of: fn(&RunTable) -> u64| run.tables.iter().map(of).sum();
        Self {
            id: run.id,
            kind: "pull",
            apply: run.order.apply,
            sync_mode: run.order.sync_mode,
            conflict_strategy: run.order.conflict_strategy,
            sync_id: run.sync_id,
            planned_at: run.planned_at,
            connection_id: run.connection_id,
            status: run.status,
            attempt: run.attempt,
            next_attempt_at: run.next_attempt_at,
            created_at: run.created_at,
            started_at: run.started_at,
            completed_at: run.completed_at,
            duration_ms: duration_ms(run.started_at, run.completed_at),
            progress: run.progress,
            changes: run.changes(),
            rows_synced: sum(|table| table.rows_synced),
            rows_failed: sum(|table| table.rows_failed),
            plan_hash: run.plan_hash,
            triggered_by: run.triggered_by,
            error: run.error,
            tables: run.tables.into_iter().map(RunTableView::from).collect(),
        }
    }
}

impl From<RunTable> for RunTableView {
    fn from(table: RunTable) -> Self {
        Self {
            table: table.table,
            status: table.status,
            rows_source: table.rows_source,
            rows_destination: table.rows_destination,
            changes: table.changes,
            rows_synced: table.rows_synced,
            rows_failed: table.rows_failed,
            bytes_on_wire: table.bytes_on_wire,
            drift_before: table.drift_before,
            proved_equal: table.proved_equal,
            proved_at: table.proved_at,
            root: table.root,
            error: table.error,
        }
    }
}

/// From the first attempt to the end; a run that goes on has none yet.
fn duration_ms(started_at: Option<Timestamp>, completed_at: Option<Timestamp>) -> Option<i64> {
    let (started_at, completed_at) = (started_at?, completed_at?);
    i64::try_from(completed_at.duration_since(started_at).as_millis()).ok()
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Filters {
    sync: Option<String>,
    connection: Option<String>,
    status: Option<String>,
    since: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

impl Filters {
    fn filter(&self) -> Result<RunFilter, Problem> {
        Ok(RunFilter {
            sync: optional("sync", self.sync.as_deref())?,
            connection: optional("connection", self.connection.as_deref())?,
            status: optional("status", self.status.as_deref())?,
            since: optional("since", self.since.as_deref())?,
        })
    }
}

fn optional<T: std::str::FromStr>(field: &str, text: Option<&str>) -> Result<Option<T>, Problem>
where
    T::Err: std::fmt::Display,
{
    text.map(str::parse)
        .transpose()
        .map_err(|err: T::Err| Problem::invalid(field, err.to_string()))
}

/// GET /runs
pub(super) async fn list(
    State(ctx): State<Arc<Ctx>>,
    Parameters(filters): Parameters<Filters>,
) -> Result<Json<List<RunView>>, Problem> {
    let filter = filters.filter()?;
    let parameters = PageParameters {
        limit: filters.limit,
        cursor: filters.cursor,
    };
    page_of(&ctx, &filter, &parameters).await
}

/// A page of the runs that `filter` lets through.
pub(super) async fn page_of(
    ctx: &Ctx,
    filter: &RunFilter,
    parameters: &PageParameters,
) -> Result<Json<List<RunView>>, Problem> {
    let page = parameters.page::<RunId>()?;
    let found = ctx.store.runs(filter, with_one_more(page)).await?;
    Ok(Json(List::page(
        found,
        page.limit,
        |run| run.id.to_string(),
        RunView::from,
    )))
}

/// The answer of a call that made a run.
pub(super) fn made(run: Run) -> Response {
    let location = format!("/api/v1/runs/{}", run.id);
    let view = Json(RunView::from(run));
    (StatusCode::CREATED, [(LOCATION, location)], view).into_response()
}

/// GET /runs/{id}
pub(super) async fn show(
    State(ctx): State<Arc<Ctx>>,
    Path(text): Path<String>,
) -> Result<Json<RunView>, Problem> {
    Ok(Json(find(&ctx, &text).await?.into()))
}

/// POST /runs/{id}/cancel
pub(super) async fn cancel(
    State(ctx): State<Arc<Ctx>>,
    Extension(caller): Extension<Caller>,
    Path(text): Path<String>,
    JsonBody(Nothing {}): JsonBody<Nothing>,
) -> Result<Json<RunView>, Problem> {
    let run = pull::cancel(&ctx, id("run", &text)?, &caller.actor).await?;
    Ok(Json(run.into()))
}

/// POST /runs/{id}/dismiss
pub(super) async fn dismiss(
    State(ctx): State<Arc<Ctx>>,
    Extension(caller): Extension<Caller>,
    Path(text): Path<String>,
    JsonBody(Nothing {}): JsonBody<Nothing>,
) -> Result<Json<RunView>, Problem> {
    let run = pull::dismiss(&ctx, id("run", &text)?, &caller.actor).await?;
    Ok(Json(run.into()))
}

/// A quarantined row: its key and why, never its other values.
#[derive(Serialize)]
pub(super) struct QuarantinedView {
    table: TableName,
    key: Value,
    column: Option<String>,
    reason: String,
}

impl From<QuarantinedRow> for QuarantinedView {
    fn from(row: QuarantinedRow) -> Self {
        Self {
            table: row.table,
            key: row.key,
            column: row.column,
            reason: row.reason,
        }
    }
}

/// GET /runs/{id}/errors, in the order met; the cursor counts rows.
pub(super) async fn errors(
    State(ctx): State<Arc<Ctx>>,
    Path(text): Path<String>,
    Parameters(parameters): Parameters<PageParameters>,
) -> Result<Json<List<QuarantinedView>>, Problem> {
    let page = parameters.page::<u64>()?;
    let run = find(&ctx, &text).await?;
    let offset = page.before.unwrap_or(0);
    let found = ctx
        .store
        .quarantined(run.id, page.limit + 1, offset)
        .await?;
    let next = offset.saturating_add(u64::from(page.limit));
    Ok(Json(List::page(
        found,
        page.limit,
        |_| next.to_string(),
        QuarantinedView::from,
    )))
}

/// The run a path names.
pub(super) async fn find(ctx: &Ctx, text: &str) -> Result<Run, Problem> {
    let found = ctx.store.run(id("run", text)?).await?;
    found.ok_or_else(|| Problem::not_found("run", text))
}

#[cfg(test)]
mod tests {
    use super::{Filters, RunStatus, duration_ms};

    #[test]
    fn a_filter_that_means_nothing_is_refused_by_name() {
        let good = Filters {
            status: Some("completed_with_errors".into()),
            since: Some("2026-11-21T10:00:00Z".into()),
            ..Filters::default()
        };
        let filter = good.filter().unwrap();
        assert_eq!(filter.status, Some(RunStatus::CompletedWithErrors));
        let bad = [
            (
                "connection",
                Filters {
                    connection: Some("hq".into()),
                    ..Filters::default()
                },
            ),
            (
                "status",
                Filters {
                    status: Some("done".into()),
                    ..Filters::default()
                },
            ),
            (
                "since",
                Filters {
                    since: Some("yesterday".into()),
                    ..Filters::default()
                },
            ),
        ];
        for (field, filters) in bad {
            let problem = filters.filter().unwrap_err();
            assert_eq!(problem.errors().first().unwrap().field, field);
        }
    }

    #[test]
    fn a_run_that_goes_on_has_no_duration() {
        let at = |text: &str| Some(text.parse().unwrap());
        let begun = at("2026-11-21T10:00:00Z");
        assert_eq!(
            duration_ms(begun, at("2026-11-21T10:00:01.5Z")),
            Some(1_500)
        );
        assert_eq!(duration_ms(begun, None), None);
        assert_eq!(duration_ms(None, begun), None);
    }
}
