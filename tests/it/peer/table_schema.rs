//! `POST table-schema`

use serde_json::{Value, json};

use super::giving;

#[test]
fn a_schema_has_both_styles_of_keys_and_the_catalogue_beside_it() {
    let giving = giving(json!(["orders"]));
    let fields = json!({"table_name": "orders"});
    let answer = giving.ask("table-schema", fields).expect(200).json();
    assert_eq!(answer["success"], true);
    let schema = &answer["schema"];
    assert_eq!(schema["table_name"], "orders");
    assert_eq!(schema["primary_key"], json!(["id"]));
    let columns = schema["columns"].as_array().unwrap();
    let types: Vec<(&str, &str)> = columns
        .iter()
        .map(|column| {
            (
                column["column_name"].as_str().unwrap(),
                column["data_type"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        types,
        [
            ("id", "bigint"),
            ("customer_id", "bigint"),
            ("total", "numeric"),
            ("placed_at", "timestamp without time zone"),
            ("note", "text"),
        ]
    );
    for column in columns {
        assert_eq!(column["name"], column["column_name"]);
        assert_eq!(column["type"], column["data_type"]);
        assert_eq!(column["nullable"] == true, column["is_nullable"] == "YES");
        assert_eq!(column["column_default"], Value::Null);
    }
    let catalogue = &answer["evenkeel"];
    assert_eq!(catalogue["engine"], "sqlite");
    assert_eq!(catalogue["columns"][5]["generated"], true);
    // The parent is outside the grant.
    assert_eq!(catalogue["foreign_keys"], json!([]));
}
