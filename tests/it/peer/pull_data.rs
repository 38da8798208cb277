//! `POST pull-data` as JSON

use serde_json::{Value, json};

use super::{Giving, giving, giving_within};

fn pull(giving: &Giving, mut fields: Value, table: &str) -> Value {
    fields["table_name"] = table.into();
    giving.ask("pull-data", fields).expect(200).json()
}

#[test]
fn a_pull_gives_the_whole_table_and_is_written_down() {
    let giving = giving(json!(["customers"]));
    let expected = json!({"success": true, "table": "customers",
        "data": [{"id": 1, "name": "Ada"}, {"id": 2, "name": "Grace"}]});
    let found = pull(
        &giving,
        json!({"conflict_strategy": "whatever"}),
        "customers",
    );
    assert_eq!(found, expected);
    let transfers = giving.site.get("/transfers");
    let transfer = &transfers["items"][0];
    for (field, expected) in [
        ("direction", json!("send")),
        ("table", json!("customers")),
        ("status", json!("completed")),
        ("rows", json!(2)),
        ("connection_id", json!(giving.id)),
    ] {
        assert_eq!(transfer[field], expected, "{field}");
    }
    assert_eq!(giving.connection()["totals"]["rows"], 2);
}

#[test]
fn filters_apply_only_where_the_key_takes_them() {
    let giving = giving(json!("*"));
    let filtered = pull(&giving, json!({"ids": [2, 77]}), "orders");
    assert_eq!(filtered["filtered"], true);
    assert_eq!(filtered["data"][0]["id"], 2);
    assert_eq!(filtered["data"].as_array().unwrap().len(), 1);
    let words = pull(&giving, json!({"ids": [10, "beta"]}), "words");
    assert_eq!(words["data"], json!([{"word": "10"}, {"word": "beta"}]));
    let range = pull(&giving, json!({"id_start": 2, "id_end": null}), "orders");
    assert_eq!(range["data"].as_array().unwrap().len(), 2);
    for (table, filter, code, words) in [
        (
            "orders",
            json!({"ids": "1"}),
            "invalid_filter",
            "Invalid filter",
        ),
        (
            "orders",
            json!({"ids": [1], "id_end": 2}),
            "invalid_filter",
            "Invalid filter",
        ),
        (
            "orders",
            json!({"id_start": "a"}),
            "invalid_filter",
            "Invalid filter",
        ),
        (
            "orders",
            json!({"ids": ["a"]}),
            "unsupported_key_type",
            "Filter not supported for this key type",
        ),
        (
            "words",
            json!({"id_start": 1}),
            "unsupported_key_type",
            "Filter not supported for this key type",
        ),
        (
            "ledger",
            json!({"ids": [1]}),
            "filter_needs_single_key",
            "Filter needs a single-column primary key",
        ),
        (
            "visits",
            json!({"ids": [1]}),
            "filter_needs_single_key",
            "Filter needs a single-column primary key",
        ),
    ] {
        let mut fields = filter.clone();
        fields["table_name"] = table.into();
        let expected = json!({"success": false, "error": words, "error_code": code});
        giving.answers("pull-data", fields.clone(), 400, &expected);
        if table != "words" {
            giving.answers("table-records", fields, 400, &expected);
        }
    }
}

#[test]
fn an_answer_that_is_cut_off_says_so_and_a_cursor_leads_on() {
    let giving = giving_within(json!({"tables": "*", "limits": {"max_records_per_request": 2}}));
    for (table, total) in [("ledger", 3), ("orders", 3), ("words", 3), ("customers", 2)] {
        let mut rows = Vec::new();
        let mut fields = json!({});
        loop {
            let page = pull(&giving, fields.clone(), table);
            rows.extend(page["data"].as_array().unwrap().clone());
            assert!(rows.len() <= total, "{table}");
            let Some(cursor) = page.get("next_cursor") else {
                assert_eq!(page.get("truncated"), None, "{table}");
                break;
            };
            assert_eq!(page["truncated"], true);
            fields["cursor"] = cursor.clone();
        }
        assert_eq!(rows.len(), total, "{table}");
    }
    let range = pull(&giving, json!({"id_start": 1}), "orders");
    let rest = json!({"id_start": 1, "cursor": range["next_cursor"]});
    assert_eq!(pull(&giving, rest, "orders")["data"][0]["id"], 10);
    let made_up = json!({"table_name": "orders", "cursor": "made-up"});
    let answer = giving.ask("pull-data", made_up);
    assert_eq!(
        (answer.status, answer.json()["error_code"].clone()),
        (400, json!("invalid_filter"))
    );
}
