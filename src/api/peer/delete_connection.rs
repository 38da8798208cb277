//! `POST delete-connection`: the peer deleted its side.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use crate::api::peer::answer::{Refusal, ok};
use crate::api::peer::request::PeerRequest;
use crate::sync::Ctx;
use crate::sync::connections::{by_url_and_token_hash, hear_deletion};

const FAILED: &str = "Failed to delete connection";

/// Answers `delete-connection`.
pub(super) async fn answer(ctx: &Ctx, request: &PeerRequest) -> Result<Response, Refusal> {
    let form = request.form(ctx).await?;
    let [url, hash] = form.required(["sender_url", "auth_token_hash"])?;
    let internal = |err| Refusal::internal(&err, FAILED);
    let connection = by_url_and_token_hash(ctx, url, request.claim(hash)?)
        .await
        .map_err(|err| Refusal::of_lookup(&err, FAILED))?
        .ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, "Connection not found"))?;
    request.is_of(ctx, &connection)?;
    let actor = request.actor(&connection.name);
    hear_deletion(ctx, &connection, &actor)
        .await
        .map_err(internal)?;
    Ok(ok(
        &json!({"success": true, "message": "Connection deleted"}),
    ))
}
