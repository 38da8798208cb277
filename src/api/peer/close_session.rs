//! `POST close-session`: ends a session, with this site's signatures of what it saw.

use axum::response::Response;
use serde::{Deserialize, Serialize};

use crate::api::peer::answer::{Refusal, ok};
use crate::api::peer::request::PeerRequest;
use crate::sync::Ctx;
use crate::sync::serve::{Asking, close_session};
use crate::wire::receipt::Receipt;
use crate::wire::session::SessionClosed;

const FAILED: &str = "Failed to close the session";

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    receipts: Vec<Receipt>,
}

#[derive(Serialize)]
struct Closed {
    success: bool,
    #[serde(flatten)]
    closed: SessionClosed,
}

/// Answers `close-session`.
pub(super) async fn answer(ctx: &Ctx, request: &PeerRequest) -> Result<Response, Refusal> {
    let form = request.form(ctx).await?;
    let [hash, session] = form.required(["auth_token_hash", "session"])?;
    let refused = |err| Refusal::of_serving(&err, FAILED);
    let admitted = request.admit_to_session(ctx, hash, Asking::InSession, FAILED);
    let connection = admitted.await?.within_limits().map_err(refused)?;
    let Asked { receipts } = request.parsed()?;
    let closed = close_session(ctx, &connection, session, &receipts).await;
    let closed = closed.map_err(refused)?;
    Ok(ok(&Closed {
        success: true,
        closed,
    }))
}
