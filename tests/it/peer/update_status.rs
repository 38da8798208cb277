//! `POST update-status`

use serde_json::json;

use super::{Giving, giving};

fn update(giving: &Giving, status: &str) {
    let fields = json!({"sender_url": giving.stranger.url(), "status": status});
    let words = format!("Status updated to {status}");
    let expected = json!({"success": true, "message": words});
    giving.answers("update-status", fields, 200, &expected);
}

#[test]
fn the_peers_word_is_kept_apart_from_ours() {
    let giving = giving(json!(["orders"]));
    for (word, remote, effective) in [
        ("suspended", "suspended", "suspended"),
        ("active", "active", "active"),
        ("revoked", "severed", "severed"),
        ("active", "active", "active"),
    ] {
        update(&giving, word);
        let row = giving.connection();
        assert_eq!(row["remote_status"], remote);
        assert_eq!(row["status"], effective);
        assert_eq!(row["local_status"], "active");
    }
}

#[test]
fn a_peer_lifts_neither_our_suspension_nor_our_revocation() {
    let giving = giving(json!(["orders"]));
    for (decision, status) in [("suspend", "suspended"), ("revoke", "revoked")] {
        giving.decide(decision);
        update(&giving, "active");
        assert_eq!(giving.connection()["status"], status);
        assert_eq!(giving.ask("list-tables", json!({})).status, 403);
    }
}
