//! `POST update-status`: what the peer's administrator decided about its side.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use crate::api::peer::answer::{Refusal, ok_standing};
use crate::api::peer::request::PeerRequest;
use crate::model::connection::Status;
use crate::sync::Ctx;
use crate::sync::connections::{Said, by_url_and_token_hash, hear};

const FAILED: &str = "Failed to update status";

/// Answers `update-status`.
pub(super) async fn answer(ctx: &Ctx, request: &PeerRequest) -> Result<Response, Refusal> {
    let form = request.form(ctx).await?;
    let [url, hash, status] = form.required(["sender_url", "auth_token_hash", "status"])?;
    let Ok(status @ (Status::Active | Status::Suspended | Status::Revoked)) = status.parse() else {
        let words = "Invalid status value";
        return Err(Refusal::new(StatusCode::BAD_REQUEST, words));
    };
    let connection = by_url_and_token_hash(ctx, url, request.claim(hash)?)
        .await
        .map_err(|err| Refusal::of_lookup(&err, FAILED))?
        .ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, "Connection not found"))?;
    request.is_of(ctx, &connection)?;
    let actor = request.actor(&connection.name);
    let said = Said {
        status: Some(status),
        standing: request.standing(&form)?,
    };
    let told = hear(ctx, &connection, &said, &actor)
        .await
        .map_err(|err| Refusal::of_hearing(&err, FAILED))?;
    let message = format!("Status updated to {status}");
    let updated = json!({"success": true, "message": message});
    Ok(ok_standing(updated, told.standing.as_ref()))
}
