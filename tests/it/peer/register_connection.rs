//! `POST register-connection`

use serde_json::{Value, json};

use super::stranger::Stranger;
use super::{answers, ask, refusal, site};
use crate::support::daemon::Site;

const TOKEN: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const OTHER: &str = "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB";

fn offer(token: &str) -> Value {
    json!({"sender_url": "https://hamburg.example.com", "connection_name": "hamburg", "auth_token": token})
}

fn register(site: &Site, body: &Value) -> Value {
    ask(site, "register-connection", body).expect(200).json()
}

fn connections(site: &Site) -> Vec<Value> {
    site.get("/connections")["items"]
        .as_array()
        .unwrap()
        .clone()
}

#[test]
fn a_registration_waits_for_an_administrator_in_every_mode_that_takes_it() {
    for mode in ["auto_accept", "require_approval"] {
        let site = site().with("incoming.mode", mode).start();
        let answer = register(&site, &offer(TOKEN));
        assert_eq!(answer["success"], true);
        assert_eq!(answer["connection_status"], "pending", "{mode}");
        assert_eq!(answer["evenkeel"]["protocol"], 1);
        let rows = connections(&site);
        assert_eq!(rows.len(), 1);
        let row = &rows[0];
        assert_eq!(row["id"], answer["connection_uuid"]);
        for (field, expected) in [
            ("name", "hamburg"),
            ("direction", "receiver"),
            ("url", "https://hamburg.example.com"),
            ("status", "pending"),
            ("local_status", "pending"),
            ("remote_status", "active"),
            ("auth", "token_hash"),
            ("identity", "claimed"),
            ("requested_from", "127.0.0.1"),
        ] {
            assert_eq!(row[field], expected, "{field}");
        }
    }
}

#[test]
fn a_url_that_must_not_be_called_is_refused_with_the_reason() {
    let site = site()
        .with("outgoing.allowed_networks", toml::Value::Array(vec![]))
        .start();
    let own = site.url();
    for url in [
        own.as_str(),
        "hamburg",
        "ftp://hamburg.example.com",
        "https://user:word@hamburg.example.com",
        "http://10.0.0.1",
        "http://2130706433",
        "http://[::ffff:192.168.0.1]",
        "http://169.254.169.254/latest",
    ] {
        let mut body = offer(TOKEN);
        body["sender_url"] = url.into();
        let answer = ask(&site, "register-connection", &body);
        let words = answer.json()["error"].as_str().unwrap().to_owned();
        assert_eq!(answer.status, 400, "{url}");
        assert!(words.starts_with("Invalid sender_url: "), "{url}: {words}");
    }
}

#[test]
fn names_and_tokens_of_strangers_are_bounded() {
    let site = site().start();
    for (field, value) in [
        ("connection_name", json!("\u{7}\u{202e}\n")),
        ("auth_token", json!("short")),
        ("auth_token", json!("x".repeat(257))),
        ("auth_token", json!("with a space in the token")),
        ("evenkeel", json!("yes")),
        (
            "evenkeel",
            json!({"protocol": 1, "site_id": "x", "site_name": "a", "version": "1"}),
        ),
    ] {
        let mut body = offer(TOKEN);
        body[field] = value.clone();
        let answer = ask(&site, "register-connection", &body);
        assert_eq!(answer.status, 400, "{field} {value}");
    }
    let mut body = offer(TOKEN);
    body["connection_name"] = format!("Ham\u{202e}burg\n{}", "x".repeat(500)).into();
    register(&site, &body);
    let name = connections(&site)[0]["name"].as_str().unwrap().to_owned();
    assert_eq!(name.chars().count(), 100);
    assert!(name.starts_with("Hamburgx"), "{name}");
}

#[test]
fn repeating_a_registration_changes_nothing_and_another_token_is_another_claim() {
    let site = site().start();
    let first = register(&site, &offer(TOKEN));
    let mut again = offer(TOKEN);
    again["sender_url"] = "HTTPS://Hamburg.example.com:443/".into();
    assert_eq!(
        register(&site, &again)["connection_uuid"],
        first["connection_uuid"]
    );
    // A pending row is only a claim: it blocks nobody.
    let other = register(&site, &offer(OTHER));
    assert_ne!(other["connection_uuid"], first["connection_uuid"]);
    let rows = connections(&site);
    let names: Vec<&str> = rows
        .iter()
        .map(|row| row["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["hamburg-2", "hamburg"]);
}

#[test]
fn another_token_is_refused_once_a_person_approved_the_site() {
    let stranger = Stranger::start();
    let site = site().start();
    let mut body = offer(TOKEN);
    body["sender_url"] = stranger.url().into();
    let id = register(&site, &body)["connection_uuid"]
        .as_str()
        .unwrap()
        .to_owned();
    site.post(&format!("/connections/{id}/approve"), &json!({}))
        .expect(200);
    assert_eq!(register(&site, &body)["connection_status"], "active");
    body["auth_token"] = OTHER.into();
    let expected = refusal("Connection already exists for this site");
    answers(&site, "register-connection", &body, 409, &expected);
    site.admin("DELETE", &format!("/connections/{id}"), None);
    assert_eq!(register(&site, &body)["connection_status"], "pending");
}

#[test]
fn a_password_opens_only_with_the_one_that_is_configured() {
    let site = site().with("incoming.mode", "require_password").start();
    let required = refusal("Password required");
    let mut body = offer(TOKEN);
    body["password"] = "open sesame".into();
    // None is configured yet.
    answers(&site, "register-connection", &body, 401, &required);
    let settings = json!({"incoming_password": "open sesame"});
    let set = site
        .admin("PATCH", "/settings", Some(&settings))
        .expect(200);
    assert!(!set.text().contains("sesame"));
    answers(&site, "register-connection", &offer(TOKEN), 401, &required);
    body["password"] = "wrong".into();
    let invalid = refusal("Invalid password");
    answers(&site, "register-connection", &body, 401, &invalid);
    body["password"] = "open sesame".into();
    assert_eq!(register(&site, &body)["connection_status"], "pending");
    let state = std::fs::read(site.folder().join("state.db")).unwrap();
    assert!(!String::from_utf8_lossy(&state).contains("sesame"));
}
