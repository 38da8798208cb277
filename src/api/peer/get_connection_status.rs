//! `POST get-connection-status`: a receiver asks how its sender's side stands.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use crate::api::peer::answer::{Refusal, ok_standing};
use crate::api::peer::request::PeerRequest;
use crate::sync::Ctx;
use crate::sync::connections::{Said, by_token_hash, tell_status};

const FAILED: &str = "Failed to get connection status";

/// Answers `get-connection-status`. `receiver_url` is required and, as published, not looked at.
pub(super) async fn answer(ctx: &Ctx, request: &PeerRequest) -> Result<Response, Refusal> {
    let form = request.form(ctx).await?;
    let [_, hash] = form.required(["receiver_url", "auth_token_hash"])?;
    let connection = by_token_hash(ctx, request.claim(hash)?)
        .await
        .map_err(|err| Refusal::of_lookup(&err, FAILED))?
        .ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, "Connection not found"))?;
    request.is_of(ctx, &connection)?;
    let actor = request.actor(&connection.name);
    let said = Said {
        status: None,
        standing: request.standing(&form)?,
    };
    let told = tell_status(ctx, &connection, said, &actor)
        .await
        .map_err(|err| Refusal::of_hearing(&err, FAILED))?;
    let body = json!({"success": true, "status": told.status, "name": connection.name});
    Ok(ok_standing(body, told.standing.as_ref()))
}
