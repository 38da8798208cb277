//! `POST list-tables`

use serde_json::{Value, json};

use super::{giving, giving_within};

fn names(answer: &Value) -> Vec<&str> {
    let tables = answer["tables"].as_array().unwrap();
    tables
        .iter()
        .map(|table| table["name"].as_str().unwrap())
        .collect()
}

#[test]
fn a_granted_table_is_listed_with_its_size_and_its_granted_parents() {
    let giving = giving(json!(["orders", "words"]));
    let answer = giving.ask("list-tables", json!({})).expect(200).json();
    assert_eq!(answer["success"], true);
    assert_eq!(names(&answer), ["orders", "words"]);
    let orders = &answer["tables"][0];
    assert_eq!(orders["row_count"], 3);
    assert_eq!(orders["checksum"], Value::Null);
    // Its parent is not granted, so it is not named.
    assert_eq!(orders["depends_on"], json!([]));
    assert!(orders.as_object().unwrap().contains_key("size_bytes"));
}

#[test]
fn a_grant_of_all_leaves_out_the_withheld_and_the_excluded() {
    let giving = giving_within(json!({"tables": "*", "excluded_tables": ["ledger"]}));
    let answer = giving.ask("list-tables", json!({})).expect(200).json();
    assert_eq!(names(&answer), ["customers", "orders", "visits", "words"]);
    assert_eq!(answer["tables"][1]["depends_on"], json!(["customers"]));
    for hidden in ["user_sessions", "ledger"] {
        let answer = giving.ask("table-schema", json!({"table_name": hidden}));
        assert_eq!(answer.status, 403, "{hidden}");
    }
}

#[test]
fn a_changed_grant_holds_from_the_next_request() {
    let giving = giving(json!(["orders"]));
    let target = format!("/connections/{}", giving.id);
    let grant = json!({"grant": {"tables": ["words"]}});
    giving
        .site
        .admin("PATCH", &target, Some(&grant))
        .expect(200);
    let answer = giving.ask("list-tables", json!({})).expect(200).json();
    assert_eq!(names(&answer), ["words"]);
    assert_eq!(
        giving
            .ask("pull-data", json!({"table_name": "orders"}))
            .status,
        403
    );
}
