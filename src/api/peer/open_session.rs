//! `POST open-session`: holds one moment of some tables for a peer, or keeps holding it.

use std::sync::Arc;

use axum::response::Response;
use serde::{Deserialize, Serialize};

use crate::api::peer::answer::{Refusal, ok};
use crate::api::peer::request::PeerRequest;
use crate::sync::Ctx;
use crate::sync::serve::{Asking, SessionFault, open_session, renew_session};
use crate::wire::session::{AskedTable, SessionOpened};

const FAILED: &str = "Failed to open a session";

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    tables: Vec<AskedTable>,
}

#[derive(Serialize)]
struct Opened {
    success: bool,
    #[serde(flatten)]
    opened: SessionOpened,
}

/// Answers `open-session`. Renewing counts against no rate.
pub(super) async fn answer(ctx: &Arc<Ctx>, request: &PeerRequest) -> Result<Response, Refusal> {
    let form = request.form(ctx).await?;
    let [hash] = form.required(["auth_token_hash"])?;
    let renewed = form.text("session")?;
    let asking = match renewed {
        Some(_) => Asking::InSession,
        None => Asking::Anew,
    };
    let refused = |err| Refusal::of_serving(&err, FAILED);
    let admitted = request.admit_to_session(ctx, hash, asking, FAILED).await?;
    let connection = admitted.within_limits().map_err(refused)?;
    let opened = match renewed {
        Some(name) => renew_session(ctx, &connection, name),
        None => {
            let Asked { tables } = request.parsed()?;
            let key = request.tally_key();
            let key = key.ok_or_else(|| Refusal::of_session(&SessionFault::NeedsSigning))?;
            open_session(ctx, &connection, key, tables).await
        }
    };
    let opened = opened.map_err(refused)?;
    Ok(ok(&Opened {
        success: true,
        opened,
    }))
}
