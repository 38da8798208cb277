//! `GET status`

use serde_json::json;

use super::{BASES, site};
use crate::support::http::Request;

#[test]
fn status_is_always_answered_and_names_mode_and_whether_a_password_is_needed() {
    for (enabled, mode) in [
        (true, "auto_accept"),
        (true, "require_approval"),
        (true, "require_password"),
        (false, "deny_all"),
    ] {
        let site = site()
            .with("peer.enabled", enabled)
            .with("incoming.mode", mode)
            .start();
        for base in BASES {
            let request = Request::new("GET", &format!("{base}/status"));
            let answer = site.peer(&request).unwrap().expect(200);
            let password = mode == "require_password";
            let expected =
                json!({"enabled": enabled, "incoming_mode": mode, "password_required": password});
            assert_eq!(answer.json(), expected, "{base}");
            let form = answer.header("content-type");
            assert_eq!(form, Some("application/json; charset=utf-8"));
        }
    }
}

#[test]
fn what_is_not_part_of_the_api_is_refused_in_json() {
    let site = site().start();
    for (method, target, status) in [
        ("POST", "/sync/api/status", 405),
        ("GET", "/sync/api/nothing", 404),
        ("POST", "/sync/api", 404),
        ("GET", "/sync/api/status/", 404),
        ("GET", "/other/sync/api/status", 404),
        ("GET", "/api/v1/site", 404),
    ] {
        let answer = site.peer(&Request::new(method, target)).unwrap();
        assert_eq!(answer.status, status, "{method} {target}");
        assert_eq!(answer.json()["success"], false, "{method} {target}");
    }
}
