//! Requests that break a rule, or two at once: the first in the published order is told.

use serde_json::{Value, json};

use super::{ENDPOINTS, TOKEN, case, checked, hash, missing, nonsense, refusal, world};

/// The data endpoints that name a table.
const OF_TABLES: [&str; 3] = ["pull-data", "table-schema", "table-records"];

const UNGRANTED: &str = "This connection is not authorised to access that table";

/// The words for missing fields: two endpoints name them there alone.
fn missing_at(endpoint: &str, fields: &[&str]) -> Value {
    match endpoint {
        "table-schema" | "table-records" => {
            refusal(&format!("Missing required fields: {}", fields.join(", ")))
        }
        _ => missing(fields),
    }
}

#[test]
fn whatever_breaks_two_rules_is_told_of_the_first() {
    let world = world();
    let unknown = "0".repeat(64);
    let mut cases = Vec::new();
    for (endpoint, fields) in ENDPOINTS {
        let filled = |but: &str, with: Value| {
            let mut body = json!({});
            for field in fields {
                body[*field] = if *field == but {
                    with.clone()
                } else {
                    "x".into()
                };
            }
            body
        };
        cases.push(case(
            "no fields",
            endpoint,
            json!({}),
            (400, missing_at(endpoint, fields)),
        ));
        cases.push(case(
            "an array",
            endpoint,
            json!([1, 2]),
            (400, missing_at(endpoint, fields)),
        ));
        for field in fields {
            for none in [Value::Null, json!("")] {
                let body = filled(field, none);
                cases.push(case(
                    "one field missing",
                    endpoint,
                    body,
                    (400, missing_at(endpoint, &[field])),
                ));
            }
            for other in [json!(7), json!({"a": 1}), json!(["a"]), json!(true)] {
                let words = refusal(&format!("{field} must be text"));
                cases.push(case(
                    "a field of another type",
                    endpoint,
                    filled(field, other),
                    (400, words),
                ));
            }
            let long = filled(field, json!("x".repeat(5_000)));
            let words = refusal(&format!("{field} is too long"));
            cases.push(case(
                "a field that is too long",
                endpoint,
                long,
                (400, words),
            ));
        }
    }
    let no_table = json!({"auth_token_hash": unknown});
    for endpoint in OF_TABLES {
        let body = |hash: &str, table: &str| json!({"auth_token_hash": hash, "table_name": table, "ids": []});
        let active = world.giving.hash.as_str();
        cases.extend([
            case(
                "missing before unknown",
                endpoint,
                no_table.clone(),
                (400, missing_at(endpoint, &["table_name"])),
            ),
            case(
                "unknown before granted",
                endpoint,
                body(&unknown, "visits"),
                (401, refusal("Invalid connection")),
            ),
            case(
                "a row that receives is unknown",
                endpoint,
                body(&hash(TOKEN), "visits"),
                (401, refusal("Invalid connection")),
            ),
            case(
                "active before granted",
                endpoint,
                body(&world.suspended.hash, "user_sessions"),
                (403, refusal("Connection is not active")),
            ),
        ]);
        for table in [
            "visits",
            "no_such_table",
            "main.orders",
            "ORDERS",
            "a.b.c",
            "\"",
            "orders; drop table orders",
        ] {
            cases.push(case(
                "granted before the filter and the table",
                endpoint,
                body(active, table),
                (403, refusal(UNGRANTED)),
            ));
        }
        let granted = json!({"auth_token_hash": active, "table_name": "gone"});
        cases.push(case(
            "granted, and no such table",
            endpoint,
            granted,
            (404, refusal("Table not found")),
        ));
    }
    for endpoint in ["pull-data", "table-records"] {
        let fault = |words: &str, code: &str| {
            (
                400,
                json!({"success": false, "error": words, "error_code": code}),
            )
        };
        let invalid = || fault("Invalid filter", "invalid_filter");
        let body = |table: &str, filter: Value| {
            let mut body = filter;
            body["auth_token_hash"] = world.giving.hash.as_str().into();
            body["table_name"] = table.into();
            body
        };
        for filter in [
            json!({"ids": []}),
            json!({"ids": "1"}),
            json!({"ids": [1.5]}),
            json!({"ids": [""]}),
            json!({"ids": ["x".repeat(256)]}),
            json!({"ids": (0..1_001).collect::<Vec<i32>>()}),
            json!({"ids": [1], "id_end": 2}),
            json!({"id_start": "a"}),
            json!({"id_end": 1.5}),
        ] {
            cases.push(case(
                "the filter's form before the table",
                endpoint,
                body("gone", filter),
                invalid(),
            ));
        }
        let of_type = || {
            fault(
                "Filter not supported for this key type",
                "unsupported_key_type",
            )
        };
        let of_key = || {
            fault(
                "Filter needs a single-column primary key",
                "filter_needs_single_key",
            )
        };
        cases.extend([
            case(
                "text for a number",
                endpoint,
                body("orders", json!({"ids": ["a"]})),
                of_type(),
            ),
            case(
                "a range of texts",
                endpoint,
                body("words", json!({"id_start": 1})),
                of_type(),
            ),
            case(
                "a key of two",
                endpoint,
                body("ledger", json!({"ids": [1]})),
                of_key(),
            ),
        ]);
    }
    let list = |hash: &str| json!({"auth_token_hash": hash});
    cases.extend([
        case(
            "unknown",
            "list-tables",
            list(&unknown),
            (401, refusal("Invalid connection")),
        ),
        case(
            "not active",
            "list-tables",
            list(&world.suspended.hash),
            (403, refusal("Connection is not active")),
        ),
        case(
            "missing before the status",
            "update-status",
            json!({"sender_url": "x", "status": "on"}),
            (400, missing(&["auth_token_hash"])),
        ),
    ]);
    checked(&world.site, cases);
    for (endpoint, _) in ENDPOINTS {
        nonsense(&world.site, endpoint);
    }
}
