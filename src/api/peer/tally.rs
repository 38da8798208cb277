//! `POST tally`: the sums and the rows of nodes of a session's tables, as frames.

use std::sync::Arc;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};

use crate::api::peer::answer::{Refusal, with_status};
use crate::api::peer::request::PeerRequest;
use crate::sync::Ctx;
use crate::sync::serve::{Asking, TallyAnswer, TallyOrder, answer_tally};
use crate::wire::frame::MEDIA_TYPE;
use crate::wire::session::{AskedTally, Scanning};

const FAILED: &str = "Failed to tally";

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    tables: Vec<AskedTally>,
}

#[derive(Serialize)]
struct UnderWay {
    success: bool,
    #[serde(flatten)]
    scanning: Scanning,
}

/// Answers `tally`.
pub(super) async fn answer(ctx: &Arc<Ctx>, request: &PeerRequest) -> Result<Response, Refusal> {
    let form = request.form(ctx).await?;
    let [hash, session] = form.required(["auth_token_hash", "session"])?;
    let refused = |err| Refusal::of_serving(&err, FAILED);
    let admitted = request.admit_to_session(ctx, hash, Asking::InSession, FAILED);
    let connection = admitted.await?.within_limits().map_err(refused)?;
    let Asked { tables } = request.parsed()?;
    let order = TallyOrder {
        tables,
        compress: request.may_compress(),
        seal: request.seal(),
    };
    let answered = answer_tally(ctx, &connection, session, order).await;
    Ok(match answered.map_err(refused)? {
        TallyAnswer::Scanning(scanning) => {
            let under_way = UnderWay {
                success: true,
                scanning,
            };
            with_status(StatusCode::ACCEPTED, &under_way)
        }
        TallyAnswer::Frames(frames) => {
            let mut answer = Response::new(Body::from(frames));
            let kind = HeaderValue::from_static(MEDIA_TYPE);
            answer.headers_mut().insert(CONTENT_TYPE, kind);
            answer
        }
    })
}
