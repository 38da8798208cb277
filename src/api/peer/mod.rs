//! The peer API: one file an endpoint, at `/sync/api` and below every configured prefix.
//!
//! Knows HTTP and the published words, not the case. Invariant: whatever a stranger sends is answered in JSON,
//! and never with 500.

mod answer;
mod close_session;
mod delete_connection;
mod form;
mod get_connection_status;
mod list_tables;
mod open_session;
mod pull_data;
mod register_connection;
mod request;
mod status;
mod table_records;
mod table_schema;
mod tally;
mod update_status;
mod verify_connection;

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};

use crate::api::peer::answer::Refusal;
use crate::api::peer::request::PeerRequest;
use crate::sync::Ctx;

/// The routes of the peer API.
pub fn router(ctx: Arc<Ctx>) -> Router {
    let mut router = Router::new();
    for base in bases(&ctx.config.server.prefixes) {
        router = router.merge(endpoints(&base));
    }
    router
        .fallback(|| async { refused(StatusCode::NOT_FOUND, "Not found") })
        .method_not_allowed_fallback(|| async {
            refused(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed")
        })
        .with_state(ctx)
}

/// Where the API is mounted: at the root and below each prefix, each once.
fn bases(prefixes: &[String]) -> BTreeSet<String> {
    prefixes
        .iter()
        .map(String::as_str)
        .chain([""])
        .map(|prefix| match prefix.trim_matches('/') {
            "" => "/sync/api".to_owned(),
            prefix => format!("/{prefix}/sync/api"),
        })
        .collect()
}

fn endpoints(base: &str) -> Router<Arc<Ctx>> {
    /// Each endpoint takes what a peer sent and answers, or refuses; either way it is an answer.
    macro_rules! post_to {
        ($endpoint:ident) => {
            post(|State(ctx): State<Arc<Ctx>>, request: Request| async move {
                match PeerRequest::read(request).await {
                    Ok(request) => {
                        let answer = $endpoint::answer(&ctx, &request).await;
                        let answer = answer.unwrap_or_else(Refusal::into_answer);
                        request.sign(request.held_to_a_rate(&ctx, answer)).await
                    }
                    Err(refusal) => refusal.into_answer(),
                }
            })
        };
    }
    let at = |name: &str| format!("{base}/{name}");
    Router::new()
        .route(
            &at("status"),
            get(|State(ctx): State<Arc<Ctx>>| async move { status::answer(&ctx).await }),
        )
        .route(&at("register-connection"), post_to!(register_connection))
        .route(&at("delete-connection"), post_to!(delete_connection))
        .route(&at("verify-connection"), post_to!(verify_connection))
        .route(&at("update-status"), post_to!(update_status))
        .route(
            &at("get-connection-status"),
            post_to!(get_connection_status),
        )
        .route(&at("list-tables"), post_to!(list_tables))
        .route(&at("pull-data"), post_to!(pull_data))
        .route(&at("table-schema"), post_to!(table_schema))
        .route(&at("table-records"), post_to!(table_records))
        .route(&at("open-session"), post_to!(open_session))
        .route(&at("tally"), post_to!(tally))
        .route(&at("close-session"), post_to!(close_session))
}

fn refused(status: StatusCode, words: &str) -> Response {
    Refusal::new(status, words).into_answer()
}

#[cfg(test)]
mod tests {
    use super::bases;

    #[test]
    fn the_api_is_mounted_once_at_the_root_and_once_below_each_prefix() {
        let prefixes = ["/phoenix_kit", "phoenix_kit/", "/", "", "/a/b"].map(str::to_owned);
        let found: Vec<String> = bases(&prefixes).into_iter().collect();
        assert_eq!(
            found,
            ["/a/b/sync/api", "/phoenix_kit/sync/api", "/sync/api"]
        );
        assert_eq!(bases(&[]).len(), 1);
    }
}
