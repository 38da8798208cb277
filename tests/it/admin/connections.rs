//! `/connections`: what an administrator decides, and what a wrong wish is told.

use evenkeel::base::secret::token_hash;
use serde_json::{Value, json};

use crate::admin::{orders, problem, site};
use crate::support::daemon::Site;
use crate::support::http::Request;
use crate::support::wait;

/// A stranger's registration at the site; the id of the row it makes.
fn registered(site: &Site, host: &str) -> String {
    let body = json!({
        "sender_url": format!("https://{host}"), "connection_name": host,
        "auth_token": format!("{host:-<43}"),
    });
    let request = Request::new("POST", "/sync/api/register-connection").json(&body);
    let answer = site.peer(&request).unwrap().expect(200).json();
    assert_eq!(answer["connection_status"], "pending");
    let all = site.get("/connections");
    assert_eq!(all["items"][0]["name"], host);
    all["items"][0]["id"].as_str().unwrap().to_owned()
}

fn act(site: &Site, id: &str, verb: &str, body: &Value) -> crate::support::http::Answer {
    site.post(&format!("/connections/{id}/{verb}"), body)
}

#[test]
fn a_pending_connection_is_approved_suspended_reactivated_and_ended_for_good() {
    let site = site();
    let id = registered(&site, "hq.example");
    let shown = site.get(&format!("/connections/{id}"));
    assert_eq!(shown["direction"], "receiver");
    assert_eq!(shown["status"], "pending");
    assert_eq!(shown["identity"], "claimed");
    assert_eq!(shown["requested_from"], "127.0.0.1");
    assert_eq!(shown["grant"], Value::Null);
    let fault = act(&site, &id, "approve", &json!({"grant": {"tables": "*"}}));
    assert_eq!(
        problem(fault, 422, "invalid")["errors"][0]["field"],
        "grant"
    );
    let steps = [
        ("approve", json!({"unproved": true}), "active"),
        ("suspend", json!({"reason": "audit"}), "suspended"),
        ("reactivate", json!({}), "active"),
        ("revoke", json!({"reason": "left"}), "revoked"),
    ];
    for (verb, body, expected) in steps {
        let answer = act(&site, &id, verb, &body).expect(200).json();
        assert_eq!(answer["local_status"], expected, "{verb}");
    }
    problem(act(&site, &id, "approve", &json!({})), 409, "decision");
    let pull = json!({"tables": ["orders"]});
    problem(act(&site, &id, "pull", &pull), 409, "not-active");
    let target = format!("/connections/{id}");
    let renamed = site.admin("PATCH", &target, Some(&json!({"name": "office"})));
    assert_eq!(renamed.expect(200).json()["name"], "office");
    site.admin("DELETE", &target, None).expect(200);
    problem(site.admin("GET", &target, None), 404, "not-found");
}

#[test]
fn what_the_peer_has_ended_is_not_approved_by_api_nor_by_command() {
    let site = site();
    let id = registered(&site, "hq.example");
    let told = json!({
        "sender_url": "https://hq.example",
        "auth_token_hash": token_hash(&format!("{:-<43}", "hq.example")).expose(),
        "status": "revoked",
    });
    let request = Request::new("POST", "/sync/api/update-status").json(&told);
    site.peer(&request).unwrap().expect(200);
    let before = site.get(&format!("/connections/{id}"));
    assert_eq!(before["status"], "severed");
    let refused = problem(act(&site, &id, "approve", &json!({})), 409, "decision");
    let words = refused["detail"].as_str().unwrap();
    assert!(words.contains("the peer has ended"), "{words}");
    let by_command = site.cli(&["connections", "approve", "hq.example"]);
    assert_eq!(by_command.code, 4, "{by_command:#?}");
    assert!(by_command.stderr.contains(words), "{by_command:#?}");
    assert_eq!(site.get(&format!("/connections/{id}")), before);
    act(&site, &id, "reject", &json!({})).expect(200);
}

#[test]
fn a_rejected_request_is_revoked_with_its_reason() {
    let site = site();
    let id = registered(&site, "hq.example");
    let rejected = act(&site, &id, "reject", &json!({})).expect(200).json();
    assert_eq!(rejected["status"], "revoked");
    assert_eq!(rejected["status_reason"], "rejected");
}

#[test]
fn what_cannot_be_pulled_is_refused_before_anything_happens() {
    let site = site();
    let id = registered(&site, "hq.example");
    for (body, field) in [
        (json!({}), "tables"),
        (json!({"tables": []}), "tables"),
        (json!({"tables": ["a", "a"]}), "tables[1]"),
        // By which column a row is newer is not said.
        (
            json!({"tables": ["a"], "conflict_strategy": "newest"}),
            "tables",
        ),
        (
            json!({"tables": ["a"], "apply": "no", "create_missing": true}),
            "create_missing",
        ),
    ] {
        let problem = problem(act(&site, &id, "pull", &body), 422, "invalid");
        assert_eq!(problem["errors"][0]["field"], field, "{body}");
    }
    assert_eq!(site.get("/runs")["items"], json!([]));
}

#[test]
fn a_peer_that_is_not_there_is_registered_with_once_it_is() {
    let site = Site::builder("berlin")
        .sqlite(orders)
        .with("healing.interval", "1s")
        .start();
    let mut hq = Site::builder("hq").sqlite(orders).build();
    let wish = json!({"url": hq.url(), "name": "hq", "grant": {"tables": ["orders"]}});
    let made = site.post("/connections", &wish).expect(201).json();
    assert_eq!(made["status"], "pending");
    assert_eq!(made["identity"], "claimed");
    assert!(made["unreachable_since"].is_string(), "{made}");
    hq.start();
    let target = format!("/connections/{}", made["id"].as_str().unwrap());
    wait::until("the registration", wait::LONG, || {
        (site.get(&target)["identity"] == "proved").then_some(())
    });
    assert_eq!(hq.get("/connections")["items"][0]["status"], "pending");
}

#[test]
fn a_peer_that_refuses_is_quoted_and_leaves_no_connection() {
    let site = site();
    let hq = Site::builder("hq")
        .sqlite(orders)
        .with("incoming.mode", "deny_all")
        .start();
    let wish = json!({"url": hq.url(), "name": "hq", "grant": {"tables": ["orders"]}});
    let problem = problem(site.post("/connections", &wish), 422, "peer-refused");
    let words = problem["detail"].as_str().unwrap();
    assert!(
        words.contains("Incoming connections are not allowed"),
        "{words}"
    );
    assert_eq!(site.get("/connections")["items"], json!([]));
}

#[test]
fn both_sides_see_the_tables_that_one_gives_the_other() {
    let berlin = site();
    let hq = Site::builder("hq").sqlite(orders).start();
    let wish = json!({"url": hq.url(), "name": "hq", "grant": {"tables": ["orders"]}});
    let made = berlin.post("/connections", &wish).expect(201);
    let given = made.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(
        made.header("location"),
        Some(format!("/api/v1/connections/{given}").as_str())
    );
    problem(berlin.post("/connections", &wish), 409, "name-taken");
    let received = hq.get("/connections")["items"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    act(&hq, &received, "approve", &json!({})).expect(200);
    let seen = berlin.get(&format!("/connections/{given}/tables"));
    assert_eq!(seen["items"][0]["table"], "orders");
    assert_eq!(seen["items"][0]["local"]["primary_key"], json!(["id"]));
    let target = format!("/connections/{received}/tables");
    let offered = || hq.admin("GET", &target, None);
    // The giving side learns of the approval in the background.
    wait::until("the peer answers", wait::LONG, || {
        (offered().status == 200).then_some(())
    });
    let item = offered().json()["items"][0].clone();
    assert_eq!(
        item["peer"],
        json!({"rows": 2, "size_bytes": item["peer"]["size_bytes"], "primary_key": ["id"]})
    );
    assert_eq!(item["comparison"], "unknown");
    let records = hq.get(&format!("{target}/orders/records?limit=1"));
    assert_eq!(records["items"], json!([{"id": 1, "item": "tea"}]));
    let next = records["next_cursor"].as_str().unwrap();
    let rest = hq.get(&format!("{target}/orders/records?limit=1&cursor={next}"));
    assert_eq!(rest["items"], json!([{"id": 2, "item": "rice"}]));
    let schema = hq.get(&format!("{target}/orders/schema"));
    assert_eq!(schema["primary_key"], json!(["id"]));
    assert_eq!(schema["local"]["primary_key"], json!(["id"]));
}
