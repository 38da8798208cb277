//! `POST verify-connection`: whether this site knows the connection; its exact 404 means gone. Signed, both sides tell
//! each other how they stand, and it may carry the connection's next key.

use axum::http::StatusCode;
use axum::response::Response;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::api::peer::answer::{Refusal, ok, ok_standing};
use crate::api::peer::form::Form;
use crate::api::peer::request::PeerRequest;
use crate::model::connection::Connection;
use crate::model::rotation::Reply;
use crate::sync::Ctx;
use crate::sync::connections::{CROSSED, Said, by_url_and_token_hash, hear, take_offer};

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
    request.is_of(ctx, &connection)?;
    let said = Said {
        status: None,
        standing: request.standing(&form)?,
    };
    let actor = request.actor(&connection.name);
    let told = hear(ctx, &connection, &said, &actor)
        .await
        .map_err(|err| Refusal::of_hearing(&err, FAILED))?;
    let exists = json!({"success": true, "exists": true});
    match rotated(ctx, request, &form, &connection).await? {
        Some(rotated) => Ok(ok(
            &json!({"success": true, "exists": true, "evenkeel": {"rotate": rotated}}),
        )),
        None => Ok(ok_standing(exists, told.standing.as_ref())),
    }
}

/// Takes the key that the request offers, where it offers one; what is answered.
async fn rotated(
    ctx: &Ctx,
    request: &PeerRequest,
    form: &Form,
    connection: &Connection,
) -> Result<Option<Value>, Refusal> {
    let Some(offered) = request.offered_key(form)? else {
        return Ok(None);
    };
    let actor = request.actor(&connection.name);
    let reply = take_offer(ctx, connection, &offered, &actor, Timestamp::now())
        .await
        .map_err(|err| Refusal::internal(&err, FAILED))?;
    let refused = |words: &str, code: &str| {
        Refusal::new(StatusCode::CONFLICT, words).with("error_code", code.into())
    };
    match reply {
        Reply::Take | Reply::Known => Ok(Some(json!({"generation": offered.generation}))),
        Reply::Crossed => Err(refused("Another key was offered at the same time", CROSSED)),
        Reply::Stale => Err(refused(
            "This is not the key of the next generation",
            "rotation_stale",
        )),
    }
}
