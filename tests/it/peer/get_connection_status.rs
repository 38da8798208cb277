//! `POST get-connection-status`

use serde_json::{Value, json};

use super::stranger::{Stranger, hash};
use super::{
    Giving, answers, giving, missing, refusal, refuses_nonsense, says_it_is_disabled, site,
};

fn asked(giving: &Giving) -> Value {
    let fields = json!({"receiver_url": "https://anything.example.com"});
    giving
        .ask("get-connection-status", fields)
        .expect(200)
        .json()
}

#[test]
fn a_receiver_is_told_the_effective_status_of_the_row_that_gives() {
    says_it_is_disabled("get-connection-status");
    let giving = giving(json!(["orders"]));
    let site = &giving.site;
    let fields = ["receiver_url", "auth_token_hash"];
    answers(
        site,
        "get-connection-status",
        &json!({}),
        400,
        &missing(&fields),
    );
    refuses_nonsense(site, "get-connection-status", &fields);
    let unknown = json!({"receiver_url": "x", "auth_token_hash": "0".repeat(64)});
    let expected = refusal("Connection not found");
    answers(site, "get-connection-status", &unknown, 404, &expected);
    for (decision, status) in [
        ("suspend", "suspended"),
        ("reactivate", "active"),
        ("revoke", "revoked"),
    ] {
        giving.decide(decision);
        let expected = json!({"success": true, "status": status, "name": "hamburg"});
        assert_eq!(asked(&giving), expected);
    }
}

#[test]
fn asking_confirms_a_row_our_administrator_made() {
    let pending = json!({"success": true, "connection_status": "pending", "connection_uuid": "x"});
    let stranger = Stranger::answering(200, &pending);
    let site = site().start();
    let body = json!({"url": stranger.url(), "grant": {"tables": ["orders"]}});
    let made = site.post("/connections", &body).expect(201).json();
    assert_eq!(made["status"], "pending");
    let id = made["id"].as_str().unwrap().to_owned();
    let hash = stranger.token_hash();
    let giving = Giving {
        site,
        stranger,
        id,
        hash,
    };
    assert_eq!(asked(&giving)["status"], "active");
    assert_eq!(giving.connection()["status"], "active");
}

#[test]
fn a_row_that_receives_is_not_looked_at() {
    let site = site().start();
    let token = "A".repeat(43);
    let offer =
        json!({"sender_url": "https://x.example.com", "connection_name": "x", "auth_token": token});
    super::ask(&site, "register-connection", &offer).expect(200);
    let body = json!({"receiver_url": "https://x.example.com", "auth_token_hash": hash(&token)});
    let expected = refusal("Connection not found");
    answers(&site, "get-connection-status", &body, 404, &expected);
}
