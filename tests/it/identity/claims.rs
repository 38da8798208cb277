//! What strangers claim blocks nobody, fills nothing, and goes away.

use serde_json::{Value, json};

use super::{act, again, ask, audited, claim, registered, site};
use crate::peer::stranger::Stranger;
use crate::support::pair::connection;
use crate::support::{sqlite, wait};

fn token(number: usize) -> String {
    format!("{number:a>43}")
}

fn claim_of(number: usize) -> Value {
    claim(
        &format!("https://s{number}.example.com"),
        "hq",
        &token(number),
    )
}

#[test]
fn a_claim_makes_way_for_the_name_that_a_person_chose() {
    let berlin = site("berlin").start();
    let (first, second) = (
        registered(&berlin, &claim_of(1)),
        registered(&berlin, &claim_of(2)),
    );
    assert_eq!(
        (&first["name"], &second["name"]),
        (&json!("hq"), &json!("hq-2"))
    );
    let hq = Stranger::start();
    let offer = json!({"url": hq.url(), "name": "hq", "grant": {"tables": ["notes"]}});
    let made = berlin.post("/connections", &offer).expect(201).json();
    assert_eq!(made["name"], "hq");
    assert_eq!(again(&berlin, &first)["name"], "hq-3");
    let id = made["id"].as_str().unwrap();
    let rename = json!({"name": "hq-2"});
    let renamed = berlin.admin("PATCH", &format!("/connections/{id}"), Some(&rename));
    assert_eq!(renamed.expect(200).json()["name"], "hq-2");
    assert_eq!(again(&berlin, &second)["name"], "hq-2-2");
    // What a person approved keeps its name.
    act(&berlin, &first, "approve", &json!({"unproved": true})).expect(200);
    let taken = berlin.admin(
        "PATCH",
        &format!("/connections/{id}"),
        Some(&json!({"name": "hq-3"})),
    );
    assert_eq!(taken.status, 409);
}

#[test]
fn one_block_of_addresses_has_twenty_claims_and_no_more() {
    let berlin = site("berlin").start();
    let rows: Vec<Value> = (0..20)
        .map(|at| registered(&berlin, &claim_of(at)))
        .collect();
    let refused = ask(&berlin, "register-connection", &claim_of(20)).expect(429);
    let words = refused.json();
    assert_eq!(words["error_code"], "too_many_registrations", "{words}");
    assert!(
        words["error"]
            .as_str()
            .unwrap()
            .contains("wait for approval")
    );
    assert_eq!(refused.header("retry-after"), Some("3600"));
    assert_eq!(
        registered(&berlin, &claim_of(7))["id"],
        rows[7]["id"],
        "the same again is none more"
    );
    act(&berlin, &rows[3], "reject", &json!({})).expect(200);
    registered(&berlin, &claim_of(20));
    assert_eq!(
        ask(&berlin, "register-connection", &claim_of(21)).status,
        429
    );
}

#[test]
fn a_claim_expires_after_a_week_and_nothing_else_does() {
    let mut berlin = site("berlin").start();
    let (old, new) = (
        registered(&berlin, &claim_of(1)),
        registered(&berlin, &claim_of(2)),
    );
    let approved = registered(&berlin, &claim_of(3));
    act(&berlin, &approved, "approve", &json!({"unproved": true})).expect(200);
    let synced = registered(&berlin, &claim_of(4));
    let sync = json!({
        "name": "nightly", "source": {"kind": "connection", "connection_id": synced["id"]},
        "tables": [{"source_table": "notes"}],
    });
    let made = berlin.post("/syncs", &sync);
    assert!(made.status == 201 || made.status == 409, "{}", made.text());
    berlin.stop();
    let state = berlin.folder().join("state.db");
    let week = 7 * 24 * 3_600 * 1_000_000_i64;
    for row in [&old, &approved, &synced] {
        let id = row["id"].as_str().unwrap();
        let sql =
            format!("update connection set created_at = created_at - {week} where id = '{id}'");
        sqlite::execute(&state, &sql);
    }
    berlin.start();
    wait::until("the claim is gone", wait::LONG, || {
        let shown = berlin.admin(
            "GET",
            &format!("/connections/{}", old["id"].as_str().unwrap()),
            None,
        );
        (shown.status == 404).then_some(())
    });
    assert_eq!(again(&berlin, &new)["status"], "pending");
    assert_eq!(again(&berlin, &approved)["local_status"], "active");
    if made.status == 201 {
        assert_eq!(
            connection(&berlin, synced["name"].as_str().unwrap())["status"],
            "pending"
        );
    }
    let expired = audited(&berlin, "connection.expire", &old);
    assert_eq!(expired.len(), 1);
    assert_eq!(expired[0]["actor"], "evenkeel");
}
