//! What the data endpoints give.

use serde_json::{Value, json};

use super::{ANY, case, checked, refusal, world};

#[test]
fn data_is_given_as_published() {
    let world = world();
    let body = |fields: Value| {
        let mut body = fields;
        body["auth_token_hash"] = world.giving.hash.as_str().into();
        body
    };
    let of = |table: &str| body(json!({"table_name": table}));
    let customers = json!([{"id": 1, "name": "Ada"}, {"id": 2, "name": "Grace"}]);
    let column = |name: &str, kind: &str, length: Value, key: bool| {
        json!({"column_name": name, "data_type": kind, "is_nullable": "NO", "column_default": null,
            "character_maximum_length": length, "name": name, "type": kind, "nullable": false,
            "primary_key": key, "default": null})
    };
    let schema = json!({"success": true, "evenkeel": ANY, "schema": {"table_name": "customers", "primary_key": ["id"],
        "columns": [column("id", "bigint", Value::Null, true), column("name", "character varying", json!(40), false)]}});
    let listed = |name: &str, rows: u64, parents: Value| json!({"name": name, "row_count": rows, "size_bytes": ANY, "checksum": null, "depends_on": parents});
    let tables = json!([
        listed("broken", 1, json!([])),
        listed("customers", 2, json!([])),
        listed("ledger", 3, json!([])),
        listed("orders", 3, json!(["customers"])),
        listed("words", 3, json!([]))
    ]);
    let first = json!([{"id": 1, "customer_id": 1, "total": "12.50", "placed_at": "2024-01-02T03:04:05.000000", "note": "first"},
        {"id": 2, "customer_id": 2, "total": null, "placed_at": null, "note": null}]);
    let ten =
        json!({"id": 10, "customer_id": 1, "total": "3.00", "placed_at": null, "note": "ten"});
    let cases = vec![
        case(
            "tables",
            "list-tables",
            body(json!({})),
            (200, json!({"success": true, "tables": tables})),
        ),
        case("a schema", "table-schema", of("customers"), (200, schema)),
        case(
            "a whole table",
            "pull-data",
            body(json!({"table_name": "customers", "conflict_strategy": 7, "later": [1]})),
            (
                200,
                json!({"success": true, "table": "customers", "data": customers}),
            ),
        ),
        case(
            "a table that is cut off",
            "pull-data",
            of("orders"),
            (
                200,
                json!({"success": true, "table": "orders", "data": first, "truncated": true, "next_cursor": ANY}),
            ),
        ),
        case(
            "ids",
            "pull-data",
            body(json!({"table_name": "orders", "ids": [10, 77]})),
            (
                200,
                json!({"success": true, "table": "orders", "data": [ten], "filtered": true}),
            ),
        ),
        case(
            "a range",
            "pull-data",
            body(json!({"table_name": "orders", "id_start": 3, "id_end": null})),
            (
                200,
                json!({"success": true, "table": "orders", "data": [ten], "filtered": true}),
            ),
        ),
        case(
            "records",
            "table-records",
            of("customers"),
            (200, json!({"success": true, "records": customers})),
        ),
        case(
            "one record",
            "table-records",
            body(json!({"table_name": "orders", "limit": "1", "offset": "2"})),
            (200, json!({"success": true, "records": [ten]})),
        ),
        case(
            "a range of records",
            "table-records",
            body(json!({"table_name": "orders", "id_start": 3})),
            (200, json!({"success": true, "records": [ten]})),
        ),
        case(
            "our own fault",
            "pull-data",
            of("broken"),
            (500, refusal("Failed to pull data")),
        ),
        case(
            "our own fault",
            "table-records",
            of("broken"),
            (500, refusal("Failed to get records")),
        ),
    ];
    checked(&world.site, cases);
}
