//! `POST get-connection-status`: a receiver asks how its sender's side stands.

use axum::http::StatusCode;
use axum::response::Response;
use jiff::Timestamp;
use serde_json::json;

use crate::api::peer::answer::{Refusal, ok};
use crate::api::peer::request::PeerRequest;
use crate::sync::Ctx;
use crate::sync::connections::{by_token_hash, tell_status};

const FAILED: &str = "Failed to get connection status";

/// Answers `get-connection-status`. `receiver_url` is required and, as published, not looked at.
pub(super) async fn answer(ctx: &Ctx, request: &PeerRequest) -> Result<Response, Refusal> {
    let form = request.form(ctx).await?;
    let [_, hash] = form.required(["receiver_url", "auth_token_hash"])?;
    let internal = |err| Refusal::internal(&err, FAILED);
    let connection = by_token_hash(ctx, request.claim(hash)?)
        .await
        .map_err(|err| Refusal::of_lookup(&err, FAILED))?
        .ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, "Connection not found"))?;
    request.is_of(ctx, &connection)?;
    let actor = request.actor(&connection.name);
    let status = tell_status(ctx, &connection, &actor, Timestamp::now())
        .await
        .map_err(internal)?;
    Ok(ok(
        &json!({"success": true, "status": status, "name": connection.name}),
    ))
}
