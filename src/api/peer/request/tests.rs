//! Tests of `request`: what headers say about a request.

use super::PeerRequest;
use crate::api::CallerAddress;
use crate::sync::serve::ClientKind;
use axum::body::Body;
use axum::extract::Request;

async fn request(headers: &[(&str, &str)], address: Option<&str>) -> PeerRequest {
    let mut request = Request::new(Body::empty());
    for (name, value) in headers {
        let name: axum::http::HeaderName = name.parse().unwrap();
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    if let Some(address) = address {
        let caller = CallerAddress(address.parse().unwrap());
        request.extensions_mut().insert(caller);
    }
    PeerRequest::read(request).await.unwrap()
}

#[tokio::test]
async fn frames_come_only_when_asked_for() {
    for (accept, expected) in [
        ("application/vnd.evenkeel.rows", true),
        (
            "application/json, Application/vnd.evenkeel.rows;q=0.9",
            true,
        ),
        ("application/json", false),
        ("*/*", false),
    ] {
        let request = request(&[("accept", accept)], None).await;
        assert_eq!(request.wants_frames(), expected, "{accept}");
    }
}

#[tokio::test]
async fn frames_are_compressed_unless_on_loopback_or_asked_not_to() {
    let none = [("evenkeel-compression", "none")];
    assert!(request(&[], Some("192.0.2.1")).await.may_compress());
    assert!(!request(&[], Some("127.0.0.1")).await.may_compress());
    assert!(!request(&none, Some("192.0.2.1")).await.may_compress());
}

#[tokio::test]
async fn a_phoenixkit_site_is_known_by_its_agent() {
    let agent =
        |agent: &'static str| async move { request(&[("user-agent", agent)], None).await.client() };
    assert_eq!(agent("PhoenixKit-Sync/1.0").await, ClientKind::PhoenixKit);
    assert_eq!(agent("curl/8 PhoenixKit-Sync/1.0").await, ClientKind::Any);
}
