//! `/syncs`: what is pulled by itself. Only reads requests and writes answers.
//!
//! Invariant: who may only operate changes and runs no sync but those it made.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use crate::api::admin::request::{
    JsonBody, List, Nothing, PageParameters, Parameters, id, with_one_more,
};
use crate::api::admin::runs::{self, RunView};
use crate::api::admin::syncs::body::{Changed, Creation};
use crate::api::auth::Caller;
use crate::api::problem::Problem;
use crate::model::drift::{Budget, Look};
use crate::model::guard::Guard;
use crate::model::id::{ConnectionId, RunId, SyncId};
use crate::model::order::TableOrder;
use crate::model::role::Role;
use crate::model::run::{ConflictStrategy, RunError, SyncMode};
use crate::model::schedule::Schedule;
use crate::model::sync::{SyncDefinition, SyncStatus};
use crate::store::RunFilter;
use crate::sync::{Ctx, syncs};

mod body;

/// A sync as operator-api shows it.
#[derive(Serialize)]
pub(super) struct SyncView {
    id: SyncId,
    name: String,
    description: Option<String>,
    source: SourceView,
    destination: DestinationView,
    tables: Vec<TableOrder>,
    sync_mode: SyncMode,
    conflict_strategy: ConflictStrategy,
    schedule: Option<Schedule>,
    compare_schedule: Option<Schedule>,
    /// Seconds; null: two of its times.
    max_age: Option<u64>,
    shared: bool,
    guard: Guard,
    /// null: it repairs nothing by itself.
    repair: Option<Budget>,
    continuous: bool,
    status: SyncStatus,
    status_error: Option<RunError>,
    created_by: String,
    created_at: Timestamp,
    updated_at: Timestamp,
    last_synced_at: Option<Timestamp>,
    last_run_id: Option<RunId>,
    next_sync_at: Option<Timestamp>,
    /// When it compares next, and what it found last time.
    next_look_at: Option<Timestamp>,
    last_look: Option<Look>,
    proved_equal_at: Option<Timestamp>,
    /// Since when it is late; null: it is not.
    late_since: Option<Timestamp>,
}

#[derive(Serialize)]
struct SourceView {
    kind: &'static str,
    connection_id: ConnectionId,
}

#[derive(Serialize)]
struct DestinationView {
    kind: &'static str,
}

impl SyncView {
    fn at(sync: SyncDefinition, now: Timestamp) -> Self {
        Self {
            id: sync.id,
            late_since: sync.late_at().filter(|late| *late <= now),
            source: SourceView {
                kind: "connection",
                connection_id: sync.connection_id,
            },
            destination: DestinationView { kind: "site" },
            sync_mode: sync.order.sync_mode,
            conflict_strategy: sync.order.conflict_strategy,
            shared: sync.order.shared,
            tables: sync.order.tables,
            compare_schedule: sync.compare_schedule,
            max_age: sync.max_age.map(|age| age.as_secs()),
            guard: sync.order.guard,
            repair: sync.repair,
            next_look_at: sync.next_look.map(|next| next.starts_at),
            last_look: sync.last_look,
            continuous: false,
            status: sync.status,
            created_at: sync.created_at,
            updated_at: sync.updated_at,
            last_synced_at: sync.last_synced_at,
            last_run_id: sync.last_run_id,
            next_sync_at: sync.next.map(|next| next.starts_at),
            proved_equal_at: sync.proved_equal_at,
            name: sync.name,
            description: sync.description,
            schedule: sync.schedule,
            status_error: sync.status_error,
            created_by: sync.created_by,
        }
    }

    fn now(sync: SyncDefinition) -> Self {
        Self::at(sync, Timestamp::now())
    }
}

/// GET /syncs
pub(super) async fn list(
    State(ctx): State<Arc<Ctx>>,
    Parameters(parameters): Parameters<PageParameters>,
) -> Result<Json<List<SyncView>>, Problem> {
    let page = parameters.page::<SyncId>()?;
    let found = ctx.store.syncs(with_one_more(page)).await?;
    Ok(Json(List::page(
        found,
        page.limit,
        |sync| sync.id.to_string(),
        SyncView::now,
    )))
}

/// GET /syncs/{id}
pub(super) async fn show(
    State(ctx): State<Arc<Ctx>>,
    Path(text): Path<String>,
) -> Result<Json<SyncView>, Problem> {
    Ok(Json(SyncView::now(find(&ctx, &text).await?)))
}

/// POST /syncs
pub(super) async fn create(
    State(ctx): State<Arc<Ctx>>,
    Extension(caller): Extension<Caller>,
    JsonBody(body): JsonBody<Creation>,
) -> Result<Response, Problem> {
    let made = syncs::create(&ctx, body.checked()?, &caller.actor).await?;
    let location = format!("/api/v1/syncs/{}", made.id);
    let view = Json(SyncView::now(made));
    Ok((StatusCode::CREATED, [(LOCATION, location)], view).into_response())
}

/// PUT /syncs/{id}: what the body leaves out stays as it is.
pub(super) async fn edit(
    State(ctx): State<Arc<Ctx>>,
    Extension(caller): Extension<Caller>,
    Path(text): Path<String>,
    JsonBody(body): JsonBody<Changed>,
) -> Result<Json<SyncView>, Problem> {
    let sync = own(&ctx, &text, &caller).await?;
    let id = sync.id;
    let changes = body.checked(sync)?;
    let edited = syncs::edit(&ctx, id, changes, &caller.actor).await?;
    Ok(Json(SyncView::now(edited)))
}

/// DELETE /syncs/{id}
pub(super) async fn delete(
    State(ctx): State<Arc<Ctx>>,
    Extension(caller): Extension<Caller>,
    Path(text): Path<String>,
) -> Result<Json<Value>, Problem> {
    let sync = own(&ctx, &text, &caller).await?;
    syncs::delete(&ctx, sync.id, &caller.actor).await?;
    Ok(Json(json!({"status": "deleted"})))
}

/// POST /syncs/{id}/trigger
pub(super) async fn trigger(
    State(ctx): State<Arc<Ctx>>,
    Extension(caller): Extension<Caller>,
    Path(text): Path<String>,
    JsonBody(Nothing {}): JsonBody<Nothing>,
) -> Result<Response, Problem> {
    let sync = own(&ctx, &text, &caller).await?;
    let run = syncs::trigger(&ctx, sync.id, &caller.actor).await?;
    Ok(runs::made(run))
}

/// POST /syncs/{id}/preview
pub(super) async fn preview(
    State(ctx): State<Arc<Ctx>>,
    Extension(caller): Extension<Caller>,
    Path(text): Path<String>,
    JsonBody(Nothing {}): JsonBody<Nothing>,
) -> Result<Response, Problem> {
    let sync = own(&ctx, &text, &caller).await?;
    let run = syncs::preview(&ctx, sync.id, &caller.actor).await?;
    Ok(runs::made(run))
}

/// GET /syncs/{id}/runs: its history.
pub(super) async fn runs(
    State(ctx): State<Arc<Ctx>>,
    Path(text): Path<String>,
    Parameters(parameters): Parameters<PageParameters>,
) -> Result<Json<List<RunView>>, Problem> {
    let sync = find(&ctx, &text).await?;
    let filter = RunFilter {
        sync: Some(sync.id),
        ..RunFilter::default()
    };
    runs::page_of(&ctx, &filter, &parameters).await
}

/// GET /syncs/{id}/runs/{run}
pub(super) async fn run(
    State(ctx): State<Arc<Ctx>>,
    Path((text, run)): Path<(String, String)>,
) -> Result<Json<RunView>, Problem> {
    let sync = find(&ctx, &text).await?;
    let found = runs::find(&ctx, &run).await?;
    if found.sync_id == Some(sync.id) {
        Ok(Json(found.into()))
    } else {
        Err(Problem::not_found("run", &run))
    }
}

async fn find(ctx: &Ctx, text: &str) -> Result<SyncDefinition, Problem> {
    Ok(syncs::existing(ctx, id("sync", text)?).await?)
}

/// The sync, if the caller may change and run it.
pub(super) async fn own(ctx: &Ctx, text: &str, caller: &Caller) -> Result<SyncDefinition, Problem> {
    let sync = find(ctx, text).await?;
    if caller.role >= Role::Admin || sync.created_by == caller.actor.name {
        return Ok(sync);
    }
    Err(Problem::forbidden(format!(
        "{} has the role {} and did not make sync {} ({} did)",
        caller.actor.name, caller.role, sync.name, sync.created_by
    ))
    .with_hint("ask an administrator"))
}
