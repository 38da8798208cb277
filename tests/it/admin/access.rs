//! Who gets in, and what each role may do.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::admin::{call, problem, site, token};
use crate::support::http::Request;

#[test]
fn nobody_gets_in_without_a_token_that_is_known() {
    let site = site();
    let to = site.admin_address();
    let plain = Request::new("GET", "/api/v1/site");
    let answer = plain.send(&to).unwrap();
    assert!(
        answer
            .header("www-authenticate")
            .unwrap()
            .starts_with("Bearer")
    );
    problem(answer, 401, "unauthorized");
    for authorization in ["Bearer wrong", "Bearer ", "Basic dGVzdDp0ZXN0"] {
        let answer = plain.clone().header("authorization", authorization);
        problem(answer.send(&to).unwrap(), 401, "unauthorized");
    }
    // Not even which paths there are is told.
    let unknown = Request::new("GET", "/api/v1/nothing").send(&to).unwrap();
    problem(unknown, 401, "unauthorized");
}

#[test]
fn each_role_may_do_what_it_says_and_no_more() {
    let site = site();
    let nothing = "00000000-0000-7000-8000-000000000000";
    let settings = "/settings".to_owned();
    let calls = [
        ("GET", "/connections".to_owned(), "viewer"),
        ("GET", "/runs".to_owned(), "viewer"),
        ("GET", settings.clone(), "viewer"),
        ("GET", "/status".to_owned(), "viewer"),
        ("POST", format!("/runs/{nothing}/cancel"), "operator"),
        ("POST", format!("/runs/{nothing}/dismiss"), "operator"),
        ("POST", format!("/connections/{nothing}/verify"), "operator"),
        ("POST", format!("/connections/{nothing}/approve"), "admin"),
        ("POST", format!("/connections/{nothing}/rotate"), "admin"),
        ("POST", format!("/connections/{nothing}/suspend"), "admin"),
        ("DELETE", format!("/connections/{nothing}"), "admin"),
        ("DELETE", format!("/tokens/{nothing}"), "admin"),
        ("PATCH", settings, "admin"),
    ];
    let roles = ["viewer", "operator", "admin"];
    let tokens = roles.map(|role| token(&site, role));
    for (method, target, needed) in &calls {
        let needed = roles.iter().position(|role| role == needed).unwrap();
        for (held, token) in tokens.iter().enumerate() {
            let answer = call(&site, token, method, target, None);
            let name = format!("{} {method} {target}", roles[held]);
            assert_eq!(
                answer.status == 403,
                held < needed,
                "{name}: {}",
                answer.text()
            );
        }
    }
    assert_eq!(
        call(&site, &tokens[0], "GET", "/site", None).json()["role"],
        "viewer"
    );
}

#[test]
fn a_revoked_token_opens_nothing_any_more() {
    let site = site();
    let viewer = token(&site, "viewer");
    call(&site, &viewer, "GET", "/site", None).expect(200);
    let tokens = site.get("/tokens");
    let of_viewer = tokens["items"].as_array().unwrap().iter();
    let of_viewer = of_viewer
        .clone()
        .find(|item| item["name"] == "viewer")
        .unwrap();
    assert!(of_viewer.get("token").is_none());
    let target = format!("/tokens/{}", of_viewer["id"].as_str().unwrap());
    site.admin("DELETE", &target, None).expect(200);
    problem(
        call(&site, &viewer, "GET", "/site", None),
        401,
        "unauthorized",
    );
    problem(site.admin("DELETE", &target, None), 404, "not-found");
    let actions: Vec<_> = site.get("/audit")["items"].as_array().unwrap().clone();
    assert_eq!(actions[0]["action"], "token.revoke");
    assert_eq!(actions[0]["actor"], "token:test");
    assert_eq!(actions[0]["address"], "127.0.0.1");
}

#[test]
fn the_socket_needs_no_token_and_only_its_group_may_use_it() {
    let site = site();
    let file = std::fs::metadata(site.folder().join("admin.sock")).unwrap();
    assert_eq!(file.permissions().mode() & 0o777, 0o660);
    let answer = Request::new("GET", "/api/v1/site").send(&site.socket());
    assert_eq!(answer.unwrap().expect(200).json()["role"], "admin");
    let made = Request::new("POST", "/api/v1/tokens")
        .json(&json!({"name": "x", "role": "viewer"}))
        .send(&site.socket());
    made.unwrap().expect(201);
    let actor = site.get("/audit")["items"][0]["actor"].clone();
    assert!(actor.as_str().unwrap().starts_with("unix:"), "{actor}");
}

#[test]
fn a_web_page_cannot_reach_the_admin_api_under_a_name_of_its_own() {
    let site = site();
    let authorization = format!("Bearer {}", site.token());
    for (host, status) in [
        ("localhost", 200),
        ("127.0.0.1:7441", 200),
        ("evil.example", 403),
        ("evil.example:7441", 403),
    ] {
        // The first `host` counts; this client always sends its own first, so it is replaced on the wire.
        let answer = super::listeners::raw(
            &site,
            &format!(
                "GET /api/v1/site HTTP/1.1\r\nhost: {host}\r\nauthorization: {authorization}\r\nconnection: close\r\n\r\n"
            ),
        );
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{host}: {answer}"
        );
    }
}

#[test]
fn what_peers_reach_has_nothing_of_the_admin_api() {
    let site = site();
    let authorization = format!("Bearer {}", site.token());
    for path in ["/api/v1/site", "/metrics", "/readyz"] {
        let request = Request::new("GET", path).header("authorization", &authorization);
        assert_eq!(site.peer(&request).unwrap().status, 404, "{path}");
    }
    site.peer(&Request::new("GET", "/healthz"))
        .unwrap()
        .expect(200);
}

#[test]
fn errors_are_problem_documents_with_the_field_at_fault() {
    let site = site();
    problem(site.admin("GET", "/nothing", None), 404, "not-found");
    problem(
        site.admin("DELETE", "/site", None),
        405,
        "method-not-allowed",
    );
    problem(site.admin("GET", "/connections/hq", None), 404, "not-found");
    let cut = Request::new("POST", "/api/v1/tokens")
        .header("authorization", &format!("Bearer {}", site.token()))
        .body(b"{\"name\":".to_vec());
    problem(cut.send(&site.admin_address()).unwrap(), 400, "malformed");
    for (target, body, field) in [
        ("/tokens", json!({"name": "x"}), "role"),
        ("/tokens", json!({"name": "x", "role": "king"}), "role"),
        (
            "/tokens",
            json!({"name": "x", "role": "viewer", "extra": 1}),
            "extra",
        ),
        ("/connections", json!({"url": 5}), "url"),
        (
            "/connections",
            json!({"url": "https://hq.example"}),
            "grant",
        ),
        (
            "/connections",
            json!({"url": "https://hq.example", "grant": {"tabels": []}}),
            "grant.tabels",
        ),
    ] {
        let problem = problem(site.post(target, &body), 422, "invalid");
        assert_eq!(problem["errors"][0]["field"], field, "{body}");
    }
}
