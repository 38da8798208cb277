//! `POST verify-connection`: whether this site knows the connection. Its exact 404 means gone.

use axum::http::StatusCode;
use axum::response::Response;
use jiff::Timestamp;
use serde_json::json;

use crate::api::peer::answer::{Refusal, ok};
use crate::api::peer::request::PeerRequest;
use crate::sync::Ctx;
use crate::sync::connections::{by_url_and_token_hash, note_contact};

const FAILED: &str = "Failed to verify connection";

/// Answers `verify-connection`.
pub(super) async fn answer(ctx: &Ctx, request: &PeerRequest) -> Result<Response, Refusal> {
    let form = request.form(ctx).await?;
    let [url, hash] = form.required(["sender_url", "auth_token_hash"])?;
    let internal = |err| Refusal::internal(&err, FAILED);
    let connection = by_url_and_token_hash(ctx, url, request.claim(hash)?)
        .await
        .map_err(|err| Refusal::of_lookup(&err, FAILED))?
        .ok_or_else(|| {
            let body = json!({"success": false, "exists": false});
            Refusal::exactly(StatusCode::NOT_FOUND, body)
        })?;
    request.is_of(ctx, &connection)?;
    note_contact(ctx, &connection, Timestamp::now())
        .await
        .map_err(internal)?;
    Ok(ok(&json!({"success": true, "exists": true})))
}
