//! `/site`: who this site is, and who asks.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use serde::Serialize;

use crate::api::auth::Caller;
use crate::model::id::SiteId;
use crate::model::role::Role;
use crate::model::table::Engine;
use crate::sync::Ctx;

#[derive(Serialize)]
pub(super) struct Site {
    id: SiteId,
    name: String,
    url: String,
    version: &'static str,
    engine: Engine,
    state: &'static str,
    /// With which receipts of this site are checked; base64.
    receipt_key: String,
    role: Role,
}

/// GET
pub(super) async fn show(
    State(ctx): State<Arc<Ctx>>,
    Extension(caller): Extension<Caller>,
) -> Json<Site> {
    Json(Site {
        id: ctx.identity.id,
        name: ctx.config.site.name.clone(),
        url: ctx.config.site.url.to_string(),
        version: env!("CARGO_PKG_VERSION"),
        engine: ctx.driver.engine(),
        state: kind_of_state(ctx.config.state.url.expose()),
        receipt_key: ctx.receipt_key.public(),
        role: caller.role,
    })
}

/// The kind of database the state is kept in; never its URL.
fn kind_of_state(url: &str) -> &'static str {
    if url.starts_with("sqlite:") {
        "sqlite"
    } else {
        "postgres"
    }
}
