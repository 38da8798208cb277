//! `POST get-connection-status`

use serde_json::{Value, json};

use super::stranger::Stranger;
use super::{Giving, giving, site};

fn asked(giving: &Giving) -> Value {
    let fields = json!({"receiver_url": "https://anything.example.com"});
    giving
        .ask("get-connection-status", fields)
        .expect(200)
        .json()
}

#[test]
fn a_receiver_is_told_the_effective_status_of_the_row_that_gives() {
    let giving = giving(json!(["orders"]));
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
