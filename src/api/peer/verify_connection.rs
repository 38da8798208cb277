//! `POST verify-connection`: whether this site knows the connection; its exact 404 means gone. Signed, both sides tell
//! each other how they stand, and it may carry the connection's next key.

use axum::http::StatusCode;
use axum::response::Response;
use jiff::Timestamp;
use serde::Deserialize as _;
use serde_json::{Value, json};

use crate::api::peer::answer::{Refusal, ok, ok_standing};
use crate::api::peer::form::Form;
use crate::api::peer::request::PeerRequest;
use crate::model::connection::{Connection, TokenOrigin};
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
        .ok_or_else(gone)?;
    request.is_of(ctx, &connection)?;
    let (asked, ours) = (origin_in(&form)?, connection.token_origin());
    if asked == Some(ours) {
        // Both have the token from a third, who is neither.
        return Err(gone());
    }
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
        None if asked.is_some() => Ok(ok(
            &json!({"success": true, "exists": true, "evenkeel": {"token": ours}}),
        )),
        None => Ok(ok_standing(exists, told.standing.as_ref())),
    }
}

fn gone() -> Refusal {
    let body = json!({"success": false, "exists": false});
    Refusal::exactly(StatusCode::NOT_FOUND, body)
}

/// Where the caller has the token from, where it asks for a proof that this site is the other side.
fn origin_in(form: &Form) -> Result<Option<TokenOrigin>, Refusal> {
    let Some(said) = form
        .value("evenkeel")
        .and_then(|evenkeel| evenkeel.get("token"))
    else {
        return Ok(None);
    };
    TokenOrigin::deserialize(said).map(Some).map_err(|_| {
        let words = "Invalid evenkeel: token is made or received";
        Refusal::new(StatusCode::BAD_REQUEST, words)
    })
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
