//! What both sides think of their connection, when one of them is a PhoenixKit site.

use serde_json::{Value, json};

use super::{Giving, Taking, giving, taking};
use crate::support::pair::connection;
use crate::support::phoenix::{Spoil, Version};
use crate::support::wait;

const NOTES: &str = "create table notes (id bigint primary key, body text);";

fn from_phoenix() -> Taking {
    taking(
        Version::Old,
        &format!("{NOTES} insert into notes values (1, 'one');"),
        NOTES,
    )
}

fn to_phoenix() -> Giving {
    giving(NOTES, NOTES, &json!({"tables": "*"}))
}

#[test]
fn its_registration_waits_for_approval_and_is_no_announcement_of_signing() {
    let taking = from_phoenix();
    taking.pull(&["notes"]).completed();
    let row = connection(&taking.paris, "hamburg");
    for (field, expected) in [
        ("direction", json!("receiver")),
        ("auth", json!("token_hash")),
        ("remote", Value::Null),
        ("status", json!("active")),
        ("remote_prefix", json!("/phoenix_kit")),
    ] {
        assert_eq!(row[field], expected, "{field}");
    }
    // It was told of the approval, and asked for nothing it does not know.
    assert_eq!(taking.phoenix.heard("update-status")[0]["status"], "active");
    for request in taking.phoenix.requests() {
        for header in [
            "signature",
            "signature-input",
            "evenkeel-connection",
            "accept-encoding",
        ] {
            assert!(
                !request.headers.contains_key(header),
                "{header} to {}",
                request.url.path()
            );
        }
    }
    for endpoint in ["list-tables", "table-schema", "pull-data", "table-records"] {
        for body in taking.phoenix.heard(endpoint) {
            let known = [
                "auth_token_hash",
                "table_name",
                "conflict_strategy",
                "limit",
                "offset",
                "id_start",
            ];
            let unknown = body
                .as_object()
                .unwrap()
                .keys()
                .find(|key| !known.contains(&key.as_str()));
            assert_eq!(unknown, None, "{endpoint}");
        }
    }
}

#[test]
fn its_decisions_are_heard_and_ours_stay_ours() {
    let taking = from_phoenix();
    for (told, status) in [
        ("suspended", "suspended"),
        ("active", "active"),
        ("revoked", "severed"),
    ] {
        let expected = json!({"success": true, "message": format!("Status updated to {told}")});
        assert_eq!(
            taking
                .phoenix
                .decide(&taking.paris, told)
                .expect(200)
                .json(),
            expected
        );
        assert_eq!(taking.status(), status);
    }
    taking.phoenix.decide(&taking.paris, "active").expect(200);
    assert_eq!(taking.status(), "active");
    let suspended = taking.paris.cli(&["connections", "suspend", "hamburg"]);
    assert_eq!(suspended.code, 0, "{suspended:?}");
    taking.phoenix.decide(&taking.paris, "active").expect(200);
    assert_eq!(taking.status(), "suspended");
}

#[test]
fn a_deletion_of_its_own_is_final_for_its_calls_and_keeps_our_history() {
    let taking = from_phoenix();
    let row = taking.phoenix.row();
    let deleted = taking.phoenix.delete(&taking.paris).expect(200).json();
    assert_eq!(
        deleted,
        json!({"success": true, "message": "Connection deleted"})
    );
    assert_eq!(taking.status(), "severed");
    let body = json!({"sender_url": taking.phoenix.url(), "auth_token_hash": row.hash});
    let gone = taking
        .phoenix
        .ask(&taking.paris, "verify-connection", &body)
        .expect(404)
        .json();
    assert_eq!(gone, json!({"success": false, "exists": false}));
}

#[test]
fn our_decisions_reach_it() {
    let giving = to_phoenix();
    assert_eq!(
        giving.phoenix.verify(&giving.berlin).expect(200).json()["exists"],
        true
    );
    for (decision, status) in [
        ("suspend", "suspended"),
        ("reactivate", "active"),
        ("revoke", "revoked"),
    ] {
        giving.decide(decision);
        wait::until("the peer is told", wait::LONG, || {
            (giving.phoenix.row().status == status).then_some(())
        });
        let told = giving.phoenix.status_at(&giving.berlin).expect(200).json();
        assert_eq!(
            told,
            json!({"success": true, "status": status, "name": "hamburg"})
        );
    }
    assert_eq!(giving.status(), "revoked");
}

#[test]
fn what_we_delete_it_deletes_and_finds_no_more() {
    let giving = to_phoenix();
    let row = giving.phoenix.row();
    giving.decide("delete");
    wait::until("the peer is told", wait::LONG, || {
        (giving.phoenix.rows() == 0).then_some(())
    });
    let body = json!({"sender_url": giving.phoenix.url(), "auth_token_hash": row.hash});
    let gone = giving
        .phoenix
        .ask(&giving.berlin, "verify-connection", &body)
        .expect(404)
        .json();
    assert_eq!(gone, json!({"success": false, "exists": false}));
}

#[test]
fn only_its_exact_no_means_that_it_is_gone() {
    let giving = to_phoenix();
    let verified = giving.berlin.cli(&["connections", "verify", "hamburg"]);
    assert_eq!(verified.code, 0, "{verified:?}");
    let spoils: [Spoil; 2] = [
        |answer| *answer = json!({"error": "no"}),
        |answer| *answer = json!({"success": false, "exists": false}),
    ];
    for spoil in spoils {
        // Neither is a 404.
        giving.phoenix.spoil("verify-connection", spoil);
        giving.berlin.cli(&["connections", "verify", "hamburg"]);
        assert_eq!(giving.status(), "active");
    }
}
