//! `POST delete-connection`

use serde_json::json;

use super::{giving, refusal};
use crate::support::wait;

#[test]
fn a_deleted_connection_is_not_found_again_and_its_history_stays() {
    let giving = giving(json!(["orders"]));
    let not_found = refusal("Connection not found");

    let here = || json!({"sender_url": giving.stranger.url()});
    let deleted = giving.ask("delete-connection", here()).expect(200).json();
    let expected = json!({"success": true, "message": "Connection deleted"});
    assert_eq!(deleted, expected);
    giving.answers("delete-connection", here(), 404, &not_found);
    let gone = json!({"success": false, "exists": false});
    giving.answers("verify-connection", here(), 404, &gone);
    let unknown = refusal("Invalid connection");
    giving.answers("list-tables", json!({}), 401, &unknown);
    let row = giving.connection();
    assert_eq!(
        (&row["status"], &row["local_status"]),
        (&json!("severed"), &json!("active"))
    );
    assert_eq!(row["status_reason"], "deleted by the peer's administrator");
}

#[test]
fn what_our_administrator_deletes_the_peer_hears_of() {
    let giving = giving(json!(["orders"]));
    giving
        .site
        .admin("DELETE", &format!("/connections/{}", giving.id), None);
    wait::until("the stranger is told", wait::LONG, || {
        let heard = giving.stranger.heard("delete-connection");
        heard.first().cloned()
    });
    let heard = giving.stranger.heard("delete-connection");
    assert_eq!(heard[0]["auth_token_hash"], giving.hash);
    assert_eq!(heard[0]["sender_url"], giving.site.url());
}

#[test]
fn every_decision_of_our_administrator_is_told() {
    let giving = giving(json!(["orders"]));
    for (decision, status) in [
        ("suspend", "suspended"),
        ("reactivate", "active"),
        ("revoke", "revoked"),
    ] {
        giving.decide(decision);
        wait::until("the stranger is told", wait::LONG, || {
            let heard = giving.stranger.heard("update-status");
            (heard.last()?["status"] == status).then_some(())
        });
    }
}
