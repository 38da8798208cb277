//! The attacks, each with the grant under which it works.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::grants::{Giving, unframed, values};

/// What every attack meets.
pub fn strict() -> Value {
    json!({
        "tables": ["people", "orders"],
        "columns": {
            "people": {"id": {"pseudonym": "person"}, "email": "null", "city": "allow"},
            "orders": {"id": "allow", "person_id": {"pseudonym": "person"}, "total": "allow", "note": "drop"},
        },
        "row_filter": {"orders": {"column": "total", "op": "<", "value": 50}},
        "limits": {"requests_per_minute": null},
    })
}

/// The strict grant with `value` at `path`; null takes it out.
fn but(path: &str, value: Value) -> Value {
    let mut grant = strict();
    let (parent, key) = path.rsplit_once('/').expect("a path");
    let parent = grant
        .pointer_mut(parent)
        .expect("a place")
        .as_object_mut()
        .expect("an object");
    match value {
        Value::Null => drop(parent.remove(key)),
        value => drop(parent.insert(key.to_owned(), value)),
    }
    grant
}

/// One attack.
pub struct Attack {
    /// What it is after.
    pub name: &'static str,
    /// The grant that lacks the rule.
    pub weak: Value,
    /// Whether it gets what it wants.
    pub works: fn(&Giving) -> bool,
}

/// Everything that the paths to `table` answer, as text.
fn all_of(giving: &Giving, table: &str) -> String {
    let mut text = json!([
        giving.rows(table),
        giving.records(table),
        giving.frames(table),
        giving.schema(table),
        giving.listed(table)
    ])
    .to_string();
    text.push_str(&String::from_utf8_lossy(
        &giving.ask_frames(json!({}), table).body,
    ));
    text
}

/// Whether any path gives an order by these fields.
fn finds(giving: &Giving, fields: Value, id: i64) -> bool {
    let with_table = |mut fields: Value| {
        fields["table_name"] = "orders".into();
        fields
    };
    ["pull-data", "table-records"].iter().any(|endpoint| {
        let answer = giving.ask(endpoint, with_table(fields.clone()));
        let body = answer.json();
        let rows = [&body["data"], &body["records"]]
            .into_iter()
            .filter_map(Value::as_array)
            .flatten();
        rows.into_iter().any(|row| row["id"] == id)
    })
}

fn term(column: &str, value: Value) -> Value {
    json!({"filter": {"column": column, "op": "=", "value": value}})
}

/// Whether asking by one name is answered otherwise than by another.
fn tells_apart(giving: &Giving, table: &str, fields: fn(&str) -> Value, names: [&str; 2]) -> bool {
    let [one, other] = names.map(|name| {
        let answer = giving.ask_frames(fields(name), table);
        let words = String::from_utf8_lossy(&answer.body).replace(name, "it");
        (
            answer.status,
            if answer.status == 200 {
                String::new()
            } else {
                words
            },
        )
    });
    one != other
}

/// All of them.
pub fn attacks() -> Vec<Attack> {
    let orders = |rule: Value| but("/columns/orders/note", rule);
    let people = |column: &str, rule: Value| but(&format!("/columns/people/{column}"), rule);
    let every_row = || but("/row_filter/orders", Value::Null);
    vec![
        Attack {
            name: "values of a dropped column",
            weak: orders("allow".into()),
            works: |giving| all_of(giving, "orders").contains("fragile"),
        },
        Attack {
            name: "the name of a dropped column",
            weak: orders("allow".into()),
            works: |giving| giving.schema("orders").to_string().contains("note"),
        },
        Attack {
            name: "a dropped column asked for",
            weak: orders("allow".into()),
            works: |giving| {
                giving
                    .ask_frames(json!({"columns": ["id", "note"]}), "orders")
                    .status
                    == 200
            },
        },
        Attack {
            name: "rows by a dropped column",
            weak: orders("allow".into()),
            works: |giving| {
                giving
                    .ask_frames(term("note", json!("fragile")), "orders")
                    .status
                    == 200
            },
        },
        Attack {
            name: "a dropped column told from none by a filter",
            weak: orders("allow".into()),
            works: |giving| {
                tells_apart(
                    giving,
                    "orders",
                    |name| term(name, json!("x")),
                    ["note", "nothing"],
                )
            },
        },
        Attack {
            name: "a dropped column told from none by its name",
            weak: orders("allow".into()),
            works: |giving| {
                tells_apart(
                    giving,
                    "orders",
                    |name| json!({"columns": [name]}),
                    ["note", "nothing"],
                )
            },
        },
        Attack {
            name: "values of a nulled column",
            weak: people("email", "allow".into()),
            works: |giving| all_of(giving, "people").contains("@example.com"),
        },
        Attack {
            name: "rows by a nulled column",
            weak: people("email", "allow".into()),
            works: |giving| {
                giving
                    .ask_frames(term("email", json!("ada@example.com")), "people")
                    .status
                    == 200
            },
        },
        Attack {
            name: "a nulled column told from none by a filter",
            weak: people("email", "allow".into()),
            works: |giving| {
                tells_apart(
                    giving,
                    "people",
                    |name| term(name, json!("x")),
                    ["email", "nothing"],
                )
            },
        },
        Attack {
            name: "a unique column learnt from the keys",
            weak: people("email", "allow".into()),
            works: |giving| giving.schema("people")["evenkeel"]["unique"] != json!([]),
        },
        Attack {
            name: "a pseudonymised key probed by id",
            weak: people("id", "allow".into()),
            works: |giving| {
                let probes = [
                    json!({"ids": [1]}),
                    json!({"ids": ["1"]}),
                    json!({"id_start": 1}),
                    json!({"id_end": 9}),
                ];
                probes.iter().any(|probe| {
                    let mut fields = probe.clone();
                    fields["table_name"] = "people".into();
                    giving.ask("pull-data", fields.clone()).status == 200
                        || giving.ask("table-records", fields).status == 200
                        || giving.ask_frames(probe.clone(), "people").status == 200
                })
            },
        },
        Attack {
            name: "a pseudonymised key probed by its own pseudonym",
            weak: people("id", "allow".into()),
            works: |giving| {
                let id = values(&giving.rows("people"), "id")[0].clone();
                giving
                    .ask("pull-data", json!({"table_name": "people", "ids": [id]}))
                    .status
                    == 200
            },
        },
        Attack {
            name: "a pseudonymised key probed by a filter",
            weak: people("id", "allow".into()),
            works: |giving| giving.ask_frames(term("id", json!(1)), "people").status == 200,
        },
        Attack {
            name: "a pseudonymised reference probed by a filter",
            weak: but("/columns/orders/person_id", "allow".into()),
            works: |giving| {
                giving
                    .ask_frames(term("person_id", json!(1)), "orders")
                    .status
                    == 200
            },
        },
        Attack {
            name: "a pseudonymised key probed by a cursor",
            weak: people("id", "allow".into()),
            works: |giving| {
                let cursor = URL_SAFE_NO_PAD.encode("[2]");
                giving
                    .ask(
                        "pull-data",
                        json!({"table_name": "people", "cursor": cursor}),
                    )
                    .status
                    == 200
            },
        },
        Attack {
            name: "real keys behind pseudonyms",
            weak: people("id", "allow".into()),
            works: |giving| values(&giving.rows("people"), "id").contains(&json!(1)),
        },
        Attack {
            name: "a column that nobody classified",
            weak: people("born", "allow".into()),
            works: |giving| {
                let all = all_of(giving, "people");
                all.contains("born") || all.contains("1815-12-10")
            },
        },
        Attack {
            name: "a hidden row in any answer",
            weak: every_row(),
            works: |giving| all_of(giving, "orders").contains("99.00"),
        },
        Attack {
            name: "a hidden row by its id",
            weak: every_row(),
            works: |giving| finds(giving, json!({"ids": [14]}), 14),
        },
        Attack {
            name: "a hidden row by a range",
            weak: every_row(),
            works: |giving| finds(giving, json!({"id_start": 14}), 14),
        },
        Attack {
            name: "a hidden row by a page",
            weak: every_row(),
            works: |giving| finds(giving, json!({"offset": 4, "limit": 1}), 14),
        },
        Attack {
            name: "a hidden row by a cursor",
            weak: every_row(),
            works: |giving| {
                finds(
                    giving,
                    json!({"cursor": URL_SAFE_NO_PAD.encode("[13]")}),
                    14,
                )
            },
        },
        Attack {
            name: "a hidden row by a filter of its own",
            weak: every_row(),
            works: |giving| {
                let answer = giving.ask_frames(term("id", json!(14)), "orders");
                answer.status == 200 && !unframed(&answer).0.is_empty()
            },
        },
        Attack {
            name: "a hidden row by its count",
            weak: every_row(),
            works: |giving| giving.listed("orders")["row_count"] == 5,
        },
        Attack {
            name: "another table",
            weak: {
                let mut grant = strict();
                grant["tables"] = json!("*");
                grant
            },
            works: |giving| {
                giving
                    .ask("pull-data", json!({"table_name": "salaries"}))
                    .status
                    == 200
            },
        },
        Attack {
            name: "a forged address",
            weak: but("/limits/networks", json!(["127.0.0.0/8"])),
            works: |giving| {
                let limits =
                    giving.site.get(&format!("/connections/{}", giving.id))["grant"]["limits"]
                        .clone();
                if limits["networks"].is_null() {
                    let mut grant = strict();
                    grant["limits"]["networks"] = json!(["192.0.2.0/24"]);
                    giving.grant(&grant).expect(200);
                }
                ["x-forwarded-for", "forwarded", "x-real-ip"]
                    .iter()
                    .any(|header| {
                        let request = giving
                            .request("list-tables", json!({}))
                            .header(header, "192.0.2.7");
                        giving.site.peer(&request).unwrap().status == 200
                    })
            },
        },
    ]
}
