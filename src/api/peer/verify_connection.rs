//! `POST verify-connection`: whether this site knows the connection; its exact 404 means gone. Sites that sign also tell
//! each other how they stand.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use crate::api::peer::answer::{Refusal, ok_standing};
use crate::api::peer::request::PeerRequest;
use crate::sync::Ctx;
use crate::sync::connections::{Said, by_url_and_token_hash, hear};

const FAILED: &str = "Failed to verify connection";

/// Answers `verify-connection`.
pub(super) async fn answer(ctx: &Ctx, request: &PeerRequest) -> Result<Response, Refusal> {
    let form = request.form(ctx).await?;
    let [url, hash] = form.required(["sender_url", "auth_token_hash"])?;
    let connection = by_url_and_token_hash(ctx, url, request.claim(hash)?)
        .await
        .map_err(|err| Refusal::of_lookup(&err, FAILED))?
        .ok_or_else(|| {
            let body = json!({"success": false, "exists": false});
            Refusal::exactly(StatusCode::NOT_FOUND, body)
        })?;
    let said = Said {
        status: None,
        standing: request.standing(&form)?,
    };
    let actor = request.actor(&connection.name);
    let told = hear(ctx, &connection, &said, &actor)
        .await
        .map_err(|err| Refusal::of_hearing(&err, FAILED))?;
    let exists = json!({"success": true, "exists": true});
    Ok(ok_standing(exists, told.standing.as_ref()))
}
