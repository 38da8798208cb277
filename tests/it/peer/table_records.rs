//! `POST table-records`

use serde_json::{Value, json};

use super::giving;

fn ids(answer: &Value) -> Vec<i64> {
    let records = answer["records"].as_array().unwrap();
    records
        .iter()
        .map(|record| record["id"].as_i64().unwrap())
        .collect()
}

#[test]
fn records_come_in_the_order_of_the_primary_key_as_json_values() {
    let giving = giving(json!(["orders"]));
    let fields = json!({"table_name": "orders"});
    let answer = giving.ask("table-records", fields).expect(200).json();
    let expected = json!({"success": true, "records": [
        {"id": 1, "customer_id": 1, "total": "12.50", "placed_at": "2024-01-02T03:04:05.000000", "note": "first"},
        {"id": 2, "customer_id": 2, "total": null, "placed_at": null, "note": null},
        {"id": 10, "customer_id": 1, "total": "3.00", "placed_at": null, "note": "ten"},
    ]});
    assert_eq!(answer, expected);
}

#[test]
fn limit_and_offset_are_clamped_and_filters_applied() {
    let giving = giving(json!(["orders"]));
    let cases = [
        (json!({"limit": 2}), vec![1, 2]),
        (json!({"limit": "2", "offset": "1"}), vec![2, 10]),
        (json!({"limit": 0}), vec![1]),
        (json!({"limit": -5, "offset": -5}), vec![1]),
        (json!({"limit": "many"}), vec![1, 2, 10]),
        (json!({"offset": u64::MAX}), vec![]),
        (json!({"ids": [10, 1, 99]}), vec![1, 10]),
        (json!({"id_start": 2}), vec![2, 10]),
        (json!({"id_start": 2, "id_end": 9}), vec![2]),
    ];
    for (mut fields, expected) in cases {
        fields["table_name"] = "orders".into();
        let answer = giving
            .ask("table-records", fields.clone())
            .expect(200)
            .json();
        assert_eq!(ids(&answer), expected, "{fields}");
    }
}
