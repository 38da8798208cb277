//! `/status`: what is late, failed, waiting, quarantined or unreachable. What that is stands in `model/trouble.rs`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde::Serialize;

use crate::api::admin::request::List;
use crate::api::problem::Problem;
use crate::model::trouble::{Event, Trouble};
use crate::sync::{Ctx, status};

#[derive(Serialize)]
pub(super) struct TroubleView {
    cause: String,
    event: Event,
    what: String,
    since: Option<Timestamp>,
    next_attempt_at: Option<Timestamp>,
    message: String,
    hint: String,
}

impl From<Trouble> for TroubleView {
    fn from(trouble: Trouble) -> Self {
        Self {
            cause: trouble.cause,
            event: trouble.event,
            what: trouble.what,
            since: trouble.since,
            next_attempt_at: trouble.next_attempt_at,
            message: trouble.message,
            hint: trouble.hint,
        }
    }
}

/// GET
pub(super) async fn show(State(ctx): State<Arc<Ctx>>) -> Result<Json<List<TroubleView>>, Problem> {
    let told = status::status(&ctx, Timestamp::now()).await?;
    Ok(Json(List::whole(
        told.into_iter().map(TroubleView::from).collect(),
    )))
}
