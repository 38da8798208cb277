//! Bounds of every request: how large its body may be, how long it may take to arrive, and what a panic becomes.
//!
//! Rates and grants are decided further in. Invariant: a body that breaks a bound is refused, never cut short in silence.

use std::any::Any;

use axum::body::{Body, HttpBody};
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use axum::{Router, middleware};
use http_body_util::Limited;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::DeadlineBody;

use crate::api::Audience;
use crate::config::LiveSettings;

#[derive(Clone)]
struct BodyBounds {
    settings: LiveSettings,
    audience: Audience,
}

/// Puts the bounds around `router`, as `settings` has them when a request comes; a panic inside it is logged and answered with 500.
pub(super) fn bounded(router: Router, settings: LiveSettings, audience: Audience) -> Router {
    let bounds = BodyBounds { settings, audience };
    router
        // The bound below holds for every body; axum's own would only cover its extractors.
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state(bounds, bound_body))
        .layer(CatchPanicLayer::custom(move |panic: Box<dyn Any + Send>| {
            tracing::error!(%audience, panic = words_of(&*panic), "a request handler panicked; please report this");
            audience.refusal(StatusCode::INTERNAL_SERVER_ERROR, "something went wrong inside the daemon")
        }))
}

async fn bound_body(State(bounds): State<BodyBounds>, request: Request, next: Next) -> Response {
    let settings = bounds.settings.now();
    let (bytes, time) = (settings.limits.max_body_bytes, settings.limits.body_timeout);
    let announced = request.body().size_hint().lower();
    if usize::try_from(announced).is_ok_and(|announced| announced > bytes) {
        let words = format!("the body is larger than the {bytes} bytes allowed");
        return bounds
            .audience
            .refusal(StatusCode::PAYLOAD_TOO_LARGE, &words);
    }
    let request = request.map(|body| {
        let body = DeadlineBody::new(time, body);
        Body::new(Limited::new(body, bytes))
    });
    next.run(request).await
}

fn words_of(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without words")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Audience, Body, LiveSettings, Request, Router, StatusCode, bounded};
    use crate::config::{Limits, Live};
    use axum::body::{Bytes, to_bytes};
    use axum::routing::post;
    use futures_util::stream;
    use tower::ServiceExt;

    fn router(audience: Audience) -> Router {
        let limits = Limits {
            max_body_bytes: 8,
            header_timeout: Duration::from_secs(60),
            body_timeout: Duration::from_millis(50),
            drain_timeout: Duration::from_secs(60),
        };
        let router = Router::new()
            .route("/length", post(async |body: Bytes| body.len().to_string()))
            .route("/panic", post(async || -> () { panic!("as asked") }));
        bounded(router, LiveSettings::new(Live::with(limits)), audience)
    }

    async fn ask(audience: Audience, path: &str, body: Body) -> (StatusCode, String) {
        let request = Request::post(path).body(body).unwrap();
        let answer = router(audience).oneshot(request).await.unwrap();
        let status = answer.status();
        let bytes = to_bytes(answer.into_body(), 10_000).await.unwrap();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    fn in_pieces(pieces: &[&'static str]) -> Body {
        let pieces: Vec<_> = pieces
            .iter()
            .copied()
            .map(Ok::<_, std::io::Error>)
            .collect();
        Body::from_stream(stream::iter(pieces))
    }

    #[tokio::test]
    async fn a_body_within_its_bounds_passes_and_a_larger_one_is_refused_even_unannounced() {
        let fits = ask(Audience::People, "/length", in_pieces(&["1234", "5678"])).await;
        assert_eq!(fits, (StatusCode::OK, "8".to_owned()));
        for body in [Body::from("123456789"), in_pieces(&["12345678", "9"])] {
            let (status, _) = ask(Audience::People, "/length", body).await;
            assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
        }
    }

    #[tokio::test]
    async fn a_body_that_does_not_arrive_in_time_is_refused() {
        let silent = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
        let (status, _) = ask(Audience::People, "/length", silent).await;
        assert!(status.is_client_error(), "{status}");
    }

    #[tokio::test]
    async fn a_panic_is_answered_in_the_form_its_audience_reads() {
        let (status, body) = ask(Audience::People, "/panic", Body::empty()).await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(
            body.contains("/problems/internal") && !body.contains("as asked"),
            "{body}"
        );
        let (status, body) = ask(Audience::Peers, "/panic", Body::empty()).await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(body.contains("\"success\":false"), "{body}");
    }
}
