//! `GET status`: whether and how this site takes registrations. Asks for nothing, always 200.

use axum::response::Response;
use serde_json::json;

use crate::api::peer::answer::ok;
use crate::model::policy::IncomingMode;
use crate::sync::Ctx;
use crate::sync::connections::{IncomingPolicy, incoming_policy};

/// Answers `status`.
pub(super) async fn answer(ctx: &Ctx) -> Response {
    let policy = incoming_policy(ctx).await.unwrap_or_else(|err| {
        tracing::error!(%err, "the incoming policy cannot be read; peers are told that sync is disabled");
        IncomingPolicy {
            enabled: false,
            mode: ctx.live.now().incoming.mode,
            password: None,
        }
    });
    ok(&json!({
        "enabled": policy.enabled,
        "incoming_mode": policy.mode,
        "password_required": policy.mode == IncomingMode::RequirePassword,
    }))
}
