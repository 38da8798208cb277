//! `POST pull-data`: a table's rows, as one bounded JSON answer or, when asked for, as a stream of frames.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::sync::mpsc;

use crate::api::peer::answer::{Refusal, ok};
use crate::api::peer::form::Form;
use crate::api::peer::request::PeerRequest;
use crate::model::connection::Connection;
use crate::model::table::TableName;
use crate::sync::Ctx;
use crate::sync::serve::{
    Asking, ClientKind, FilterFault, KeyFilter, PullOrder, SessionStream, StreamOrder,
    WantedInSession, WantedRows, open_session_stream, open_stream, pull_rows,
};
use crate::wire::frame::MEDIA_TYPE;
use crate::wire::session::{Agreed, PickedLeaf};

const FAILED: &str = "Failed to pull data";
/// What says which rows and columns outside of a session; within one it would be passed over.
const OUTSIDE: [&str; 6] = ["ids", "id_start", "id_end", "filter", "columns", "cursor"];

#[derive(Serialize)]
struct Pulled<'a> {
    success: bool,
    table: &'a TableName,
    data: Vec<Box<RawValue>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    filtered: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// Answers `pull-data`. `conflict_strategy` is the receiver's own affair: any text is taken and none is needed.
pub(super) async fn answer(ctx: &Arc<Ctx>, request: &PeerRequest) -> Result<Response, Refusal> {
    let pulled = pulled(ctx, request).await;
    pulled.map_err(|refusal| match request.client() {
        ClientKind::Any => refusal,
        ClientKind::PhoenixKit => refusal.in_success(),
    })
}

async fn pulled(ctx: &Arc<Ctx>, request: &PeerRequest) -> Result<Response, Refusal> {
    let form = request.form(ctx).await?;
    let [hash, table] = form.required(["auth_token_hash", "table_name"])?;
    let refused = |err| Refusal::of_serving(&err, FAILED);
    if let Some(session) = form.text("session")? {
        return in_session(ctx, request, &form, [hash, table], session).await;
    }
    let admitted = request.admit(ctx, hash, FAILED).await?;
    let admitted = admitted.table(ctx, request.client(), table);
    let (connection, name) = admitted.map_err(refused)?;
    let filter = KeyFilter::from_json(
        form.value("ids"),
        form.value("id_start"),
        form.value("id_end"),
    )
    .map_err(|fault| refused(fault.into()))?;
    if request.wants_frames() {
        frames(ctx, request, &form, &connection, (name, filter)).await
    } else {
        rows(ctx, request, &form, &connection, (name, filter)).await
    }
}

/// What to pull: the table and, where asked for, which of its rows.
type Wanted = (TableName, Option<KeyFilter>);

async fn rows(
    ctx: &Arc<Ctx>,
    request: &PeerRequest,
    form: &Form,
    connection: &Connection,
    (name, filter): Wanted,
) -> Result<Response, Refusal> {
    if form.value("filter").is_some() {
        // Left out like a key nobody knows, it would give more rows than were asked for.
        let fault = FilterFault::NeedsFrames;
        return Err(Refusal::of_serving(&fault.into(), FAILED));
    }
    let order = PullOrder {
        filter,
        cursor: form.text("cursor")?.map(str::to_owned),
    };
    let pulled = pull_rows(ctx, connection, request.client(), &name, &order)
        .await
        .map_err(|err| Refusal::of_serving(&err, FAILED))?;
    Ok(ok(&Pulled {
        success: true,
        table: &name,
        data: pulled.rows,
        filtered: pulled.filtered,
        truncated: pulled.truncated,
        next_cursor: pulled.next_cursor,
    }))
}

async fn frames(
    ctx: &Arc<Ctx>,
    request: &PeerRequest,
    form: &Form,
    connection: &Connection,
    (name, filter): Wanted,
) -> Result<Response, Refusal> {
    let rows = WantedRows::from_json(filter, form.value("filter"))
        .map_err(|fault| Refusal::of_serving(&fault.into(), FAILED))?;
    let order = StreamOrder {
        columns: form.texts_of("columns")?,
        rows,
        compress: request.may_compress(),
        seal: request.seal(),
        address: request.address,
    };
    let pieces = open_stream(ctx, connection, request.client(), &name, order)
        .await
        .map_err(|err| Refusal::of_serving(&err, FAILED))?;
    Ok(streamed(request, pieces))
}

fn streamed(request: &PeerRequest, pieces: mpsc::Receiver<Bytes>) -> Response {
    request.is_received_slowly();
    let mut answer = Response::new(Body::from_stream(stream::unfold(pieces, next)));
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    answer
}

/// What is asked for within a session.
#[derive(Deserialize)]
struct InSession {
    #[serde(default)]
    agreed: Option<Agreed>,
    #[serde(default)]
    all: bool,
    #[serde(default)]
    picks: Option<Vec<PickedLeaf>>,
}

async fn in_session(
    ctx: &Arc<Ctx>,
    request: &PeerRequest,
    form: &Form,
    [hash, table]: [&str; 2],
    session: &str,
) -> Result<Response, Refusal> {
    let refused = |err| Refusal::of_serving(&err, FAILED);
    let admitted = request.admit_to_session(ctx, hash, Asking::InSession, FAILED);
    let admitted = admitted.await?.table(ctx, request.client(), table);
    let (connection, name) = admitted.map_err(refused)?;
    let InSession { agreed, all, picks } = request.parsed()?;
    let bad = |words| Err(Refusal::new(StatusCode::BAD_REQUEST, words));
    if OUTSIDE.iter().any(|key| form.value(key).is_some()) {
        return bad("In a session `all` or `picks` say which rows, and `agreed` which columns");
    }
    let wanted = match picks {
        None if all => WantedInSession::All,
        Some(picks) if !all => WantedInSession::Picks(picks),
        _ => return bad("In a session either `all` is true, or `picks` says which rows"),
    };
    if !request.wants_frames() {
        return bad("Rows of a session go as frames: `Accept: application/vnd.evenkeel.rows`");
    }
    let order = SessionStream {
        session: session.to_owned(),
        agreed,
        wanted,
        compress: request.may_compress(),
        seal: request.seal(),
        address: request.address,
    };
    let pieces = open_session_stream(ctx, &connection, &name, order).await;
    Ok(streamed(request, pieces.map_err(refused)?))
}

async fn next(
    mut pieces: mpsc::Receiver<Bytes>,
) -> Option<(Result<Bytes, Infallible>, mpsc::Receiver<Bytes>)> {
    let piece = pieces.recv().await?;
    Some((Ok(piece), pieces))
}
