//! `/connections`: making them, deciding on them, ending them.
//!
//! Only reads requests and writes answers; what a decision means stands in `sync/connections`.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::api::admin::request::{
    JsonBody, List, Nothing, PageParameters, Parameters, id, with_one_more,
};
use crate::api::auth::Caller;
use crate::api::problem::Problem;
use crate::base::secret::Secret;
use crate::model::connection::{
    Auth, Connection, Decision, Direction, Identity, RemoteSite, Status, Totals,
};
use crate::model::grant::Grant;
use crate::model::id::ConnectionId;
use crate::model::table::TableName;
use crate::sync::connections::{Approval, Edit, Introduction, NewConnection, Proof, Wish};
use crate::sync::{Ctx, connections};

/// A connection as operator-api shows it.
#[derive(Serialize)]
pub(super) struct ConnectionView {
    id: ConnectionId,
    name: String,
    direction: Direction,
    url: String,
    remote_prefix: Option<String>,
    status: Status,
    local_status: Status,
    remote_status: Status,
    status_reason: Option<String>,
    auth: Auth,
    identity: Identity,
    key_generation: Option<u32>,
    requested_from: Option<String>,
    grant: Option<Grant>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    wanted_tables: Vec<TableName>,
    remote: Option<RemoteSite>,
    created_at: Timestamp,
    approved_at: Option<Timestamp>,
    approved_by: Option<String>,
    last_contact_at: Option<Timestamp>,
    unreachable_since: Option<Timestamp>,
    next_attempt_at: Option<Timestamp>,
    unknown: Option<UnknownView>,
    totals: Totals,
}

/// That the peer does not know the connection.
#[derive(Serialize)]
struct UnknownView {
    times: u32,
    since: Timestamp,
}

impl From<Connection> for ConnectionView {
    fn from(connection: Connection) -> Self {
        Self {
            id: connection.id,
            direction: connection.direction,
            url: connection.url.to_string(),
            status: effective(&connection),
            local_status: connection.local_status,
            remote_status: connection.remote_status,
            auth: connection.auth,
            identity: connection.identity,
            key_generation: connection.key_generation,
            // A receiver is given, it does not give.
            grant: (connection.direction == Direction::Sender).then_some(connection.grant),
            wanted_tables: connection.wanted_tables,
            created_at: connection.created_at,
            approved_at: connection.approved_at,
            last_contact_at: connection.last_contact_at,
            unreachable_since: connection.unreachable_since,
            next_attempt_at: connection.next_attempt_at,
            unknown: connection.unknown.map(|unknown| UnknownView {
                times: unknown.times,
                since: unknown.since,
            }),
            totals: connection.totals,
            name: connection.name,
            remote_prefix: connection.remote_prefix,
            status_reason: connection.status_reason,
            requested_from: connection.requested_from,
            remote: connection.remote,
            approved_by: connection.approved_by,
        }
    }
}

/// What both sides decided, or that the time of the grant is over, whichever is stricter.
fn effective(connection: &Connection) -> Status {
    connection
        .status()
        .max(connection.by_time(Timestamp::now()))
}

type Answer = Result<Json<ConnectionView>, Problem>;

/// GET /connections
pub(super) async fn list(
    State(ctx): State<Arc<Ctx>>,
    Parameters(parameters): Parameters<PageParameters>,
) -> Result<Json<List<ConnectionView>>, Problem> {
    let page = parameters.page::<ConnectionId>()?;
    let found = ctx.store.connections(with_one_more(page)).await?;
    Ok(Json(List::page(
        found,
        page.limit,
        |connection| connection.id.to_string(),
        ConnectionView::from,
    )))
}

/// A connection with the keys that receipts of it are signed with; null: the peer does not sign.
#[derive(Serialize)]
pub(super) struct ShownConnection {
    #[serde(flatten)]
    connection: ConnectionView,
    receipt_keys: Option<ReceiptKeys>,
}

#[derive(Serialize)]
struct ReceiptKeys {
    source: String,
    destination: String,
}

/// GET /connections/{id}
pub(super) async fn show(
    State(ctx): State<Arc<Ctx>>,
    Path(text): Path<String>,
) -> Result<Json<ShownConnection>, Problem> {
    let connection = find(&ctx, &text).await?;
    let ours = ctx.receipt_key.public();
    let peers = ctx.store.peer_receipt_key(connection.id).await?;
    let receipt_keys = peers.map(|peers| match connection.direction {
        Direction::Sender => ReceiptKeys {
            source: ours,
            destination: peers,
        },
        Direction::Receiver => ReceiptKeys {
            source: peers,
            destination: ours,
        },
    });
    Ok(Json(ShownConnection {
        connection: connection.into(),
        receipt_keys,
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Creation {
    url: String,
    name: Option<String>,
    direction: Option<Direction>,
    password: Option<Secret<String>>,
    grant: Option<Grant>,
    tables: Option<Vec<TableName>>,
    #[serde(default)]
    require_signed: bool,
}

/// POST /connections
pub(super) async fn create(
    State(ctx): State<Arc<Ctx>>,
    Extension(caller): Extension<Caller>,
    JsonBody(body): JsonBody<Creation>,
) -> Result<Response, Problem> {
    let made = match asked_for(body)? {
        Asked::Give(new) => connections::give(&ctx, new, &caller.actor).await?,
        Asked::Receive(wish) => connections::request(&ctx, wish, &caller.actor).await?,
    };
    let location = format!("/api/v1/connections/{}", made.id);
    let view = Json(ConnectionView::from(made));
    Ok((StatusCode::CREATED, [(LOCATION, location)], view).into_response())
}

/// What a new connection is for.
enum Asked {
    Give(NewConnection),
    Receive(Wish),
}

fn asked_for(body: Creation) -> Result<Asked, Problem> {
    let with = Introduction {
        url: body.url,
        name: body.name,
        password: body.password,
    };
    if body.direction == Some(Direction::Receiver) {
        if body.grant.is_some() {
            let message = "belongs to direction sender; what this site may read, the peer decides";
            return Err(Problem::invalid("grant", message));
        }
        let tables = body
            .tables
            .ok_or_else(|| Problem::invalid("tables", "must say which tables are wished for"))?;
        return Ok(Asked::Receive(Wish { with, tables }));
    }
    if body.tables.is_some() {
        let message = "belongs to direction receiver; what this site gives stands in grant";
        return Err(Problem::invalid("tables", message));
    }
    let grant = body
        .grant
        .ok_or_else(|| Problem::invalid("grant", "must say which tables the peer may read"))?;
    Ok(Asked::Give(NewConnection {
        with,
        grant,
        requires_signed: body.require_signed,
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Changes {
    name: Option<String>,
    url: Option<String>,
    grant: Option<Grant>,
}

/// PATCH /connections/{id}
pub(super) async fn edit(
    State(ctx): State<Arc<Ctx>>,
    Extension(caller): Extension<Caller>,
    Path(text): Path<String>,
    JsonBody(body): JsonBody<Changes>,
) -> Answer {
    let changes = Edit {
        name: body.name,
        url: body.url,
        grant: body.grant,
    };
    let edited = connections::edit(&ctx, id("connection", &text)?, changes, &caller.actor).await?;
    Ok(Json(edited.into()))
}

/// DELETE /connections/{id}
pub(super) async fn delete(
    State(ctx): State<Arc<Ctx>>,
    Extension(caller): Extension<Caller>,
    Path(text): Path<String>,
) -> Result<Json<Value>, Problem> {
    connections::delete(&ctx, id("connection", &text)?, &caller.actor).await?;
    Ok(Json(json!({"status": "deleted"})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ApprovalBody {
    grant: Option<Grant>,
    #[serde(default)]
    unproved: bool,
}

/// POST /connections/{id}/approve
pub(super) async fn approve(
    State(ctx): State<Arc<Ctx>>,
    Extension(caller): Extension<Caller>,
    Path(text): Path<String>,
    JsonBody(body): JsonBody<ApprovalBody>,
) -> Answer {
    let approval = Approval {
        grant: body.grant,
        proof: if body.unproved {
            Proof::Waived
        } else {
            Proof::Required
        },
    };
    let id = id("connection", &text)?;
    let approved = connections::approve(&ctx, id, approval, &caller.actor).await?;
    Ok(Json(approved.into()))
}

/// POST /connections/{id}/reject
pub(super) async fn reject(
    State(ctx): State<Arc<Ctx>>,
    Extension(caller): Extension<Caller>,
    Path(text): Path<String>,
    JsonBody(Nothing {}): JsonBody<Nothing>,
) -> Answer {
    decide(&ctx, &text, Decision::Reject, None, &caller).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reason {
    reason: Option<String>,
}

/// POST /connections/{id}/suspend
pub(super) async fn suspend(
    State(ctx): State<Arc<Ctx>>,
    Extension(caller): Extension<Caller>,
    Path(text): Path<String>,
    JsonBody(body): JsonBody<Reason>,
) -> Answer {
    let reason = body.reason.as_deref();
    decide(&ctx, &text, Decision::Suspend, reason, &caller).await
}

/// POST /connections/{id}/reactivate
pub(super) async fn reactivate(
    State(ctx): State<Arc<Ctx>>,
    Extension(caller): Extension<Caller>,
    Path(text): Path<String>,
    JsonBody(Nothing {}): JsonBody<Nothing>,
) -> Answer {
    decide(&ctx, &text, Decision::Reactivate, None, &caller).await
}

/// POST /connections/{id}/revoke
pub(super) async fn revoke(
    State(ctx): State<Arc<Ctx>>,
    Extension(caller): Extension<Caller>,
    Path(text): Path<String>,
    JsonBody(body): JsonBody<Reason>,
) -> Answer {
    let reason = body.reason.as_deref();
    decide(&ctx, &text, Decision::Revoke, reason, &caller).await
}

/// POST /connections/{id}/verify
pub(super) async fn verify(
    State(ctx): State<Arc<Ctx>>,
    Extension(caller): Extension<Caller>,
    Path(text): Path<String>,
    JsonBody(Nothing {}): JsonBody<Nothing>,
) -> Answer {
    let verified = connections::verify(&ctx, id("connection", &text)?, &caller.actor).await?;
    Ok(Json(verified.into()))
}

/// POST /connections/{id}/rotate
pub(super) async fn rotate(
    State(ctx): State<Arc<Ctx>>,
    Extension(caller): Extension<Caller>,
    Path(text): Path<String>,
    JsonBody(Nothing {}): JsonBody<Nothing>,
) -> Answer {
    let rotated = connections::rotate(&ctx, id("connection", &text)?, &caller.actor).await?;
    Ok(Json(rotated.into()))
}

/// The connection a path names.
pub(super) async fn find(ctx: &Ctx, text: &str) -> Result<Connection, Problem> {
    Ok(connections::existing(ctx, id("connection", text)?).await?)
}

async fn decide(
    ctx: &Ctx,
    text: &str,
    decision: Decision,
    reason: Option<&str>,
    caller: &Caller,
) -> Answer {
    let id = id("connection", text)?;
    let decided = connections::decide(ctx, id, decision, reason, &caller.actor).await?;
    Ok(Json(decided.into()))
}
