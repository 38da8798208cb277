//! What comes in by HTTP: two listeners' routers, and the accept loop that serves them.
//!
//! Knows HTTP and the use cases, neither SQL nor the wire to peers. Invariant: nothing of the admin API is reachable
//! on the peers' listener.

mod accounts;
mod admin;
mod auth;
mod caller;
mod door;
mod error;
mod health;
mod limits;
mod listen;
mod metrics;
mod peer;
mod problem;
mod stall;
mod stream;
mod tls;

pub use caller::{CallerAddress, CallerProcess};
pub use door::Terms;
pub use health::until_ready;
pub use listen::{bind_unix, serve_tcp, serve_unix};
pub use problem::{FieldError, Problem};
pub use tls::acceptor;

use std::fmt;
use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router, middleware};
use serde_json::json;

use crate::sync::Ctx;

/// Whom a listener serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Audience {
    /// Other sites.
    Peers,
    /// Administrators, their scripts and their monitoring.
    People,
}

impl fmt::Display for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Peers => "peer",
            Self::People => "admin",
        })
    }
}

impl Audience {
    /// A refusal that concerns no endpoint in particular, in the form this audience reads.
    fn refusal(self, status: StatusCode, words: &str) -> Response {
        match self {
            Self::Peers => {
                let body = json!({"success": false, "error": words});
                (status, Json(body)).into_response()
            }
            Self::People => {
                let (kind, title) = match status {
                    StatusCode::PAYLOAD_TOO_LARGE => ("too-large", "The request is too large"),
                    StatusCode::NOT_FOUND => ("not-found", "Not found"),
                    StatusCode::FORBIDDEN => ("forbidden", "Not allowed"),
                    StatusCode::SERVICE_UNAVAILABLE => ("busy", "The daemon is busy"),
                    StatusCode::METHOD_NOT_ALLOWED => ("method-not-allowed", "Method not allowed"),
                    _ => ("internal", "Something went wrong inside the daemon"),
                };
                Problem::new(status, kind, title, words).into_response()
            }
        }
    }
}

/// What peers reach: the peer API and `/healthz`, nothing else.
pub fn peer_router(ctx: Arc<Ctx>) -> Router {
    let router = peer::router(Arc::clone(&ctx)).route("/healthz", get(health::healthz));
    around(router, ctx, Audience::Peers)
}

/// What people reach: `/api/v1`, `/healthz`, `/readyz` and `/metrics`.
pub fn admin_router(ctx: Arc<Ctx>) -> Router {
    let beside = Router::new()
        .route("/metrics", get(metrics::show))
        .with_state(Arc::clone(&ctx))
        .route("/healthz", get(health::healthz))
        .merge(
            Router::new()
                .route("/readyz", get(health::readyz))
                .with_state(Arc::clone(&ctx)),
        );
    let router = beside
        .nest("/api/v1", admin::router(Arc::clone(&ctx)))
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(
            Arc::clone(&ctx),
            caller::check_host,
        ));
    around(router, ctx, Audience::People)
}

/// What every request goes through, outermost last.
fn around(router: Router, ctx: Arc<Ctx>, audience: Audience) -> Router {
    let settings = ctx.live.clone();
    let router = router
        .layer(middleware::from_fn_with_state(
            Arc::clone(&ctx),
            caller::see_through_proxies,
        ))
        .layer(middleware::from_fn_with_state(
            (ctx, audience),
            caller::refuse_open_links,
        ));
    limits::bounded(router, settings, audience).layer(middleware::from_fn_with_state(
        audience,
        metrics::count_requests,
    ))
}

async fn unknown_path() -> Response {
    Audience::People.refusal(StatusCode::NOT_FOUND, "there is nothing at this path")
}

async fn wrong_method() -> Response {
    let words = "this path does not take this method";
    Audience::People.refusal(StatusCode::METHOD_NOT_ALLOWED, words)
}
