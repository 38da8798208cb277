//! What an approved peer tries to learn beyond its grant. Each attack is run against a strict grant, where it must fail,
//! and against one that lacks just the rule which stands in its way, where it must succeed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use evenkeel::base::secret::MasterKey;
use evenkeel::model::table::NeutralType;
use evenkeel::wire::mask::PseudonymKey;

use super::{Giving, unframed, values};
use crate::support::database::{KINDS, Kind};
use crate::support::http::{Address, Request};

/// What every attack meets.
fn strict() -> Value {
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

struct Attack {
    name: &'static str,
    /// The grant that lacks the rule.
    weak: Value,
    /// Whether it gets what it wants.
    works: fn(&Giving) -> bool,
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

fn attacks() -> Vec<Attack> {
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

#[test]
fn no_path_tells_what_a_grant_hides() {
    let (mut tries, mut shown) = (0, 0);
    for kind in KINDS {
        let giving = Giving::start(kind, &strict());
        giving.database.execute(
            "create table salaries (id integer primary key); insert into salaries values (1);",
        );
        for attack in attacks() {
            let name = attack.name;
            giving.grant(&strict()).expect(200);
            assert!(!(attack.works)(&giving), "{kind:?}: {name} succeeded");
            tries += 1;
            giving.grant(&attack.weak).expect(200);
            assert!(
                (attack.works)(&giving),
                "{kind:?}: {name} would not be seen where nothing stands against it"
            );
            shown += 1;
        }
        assert!(!giving.site.log().contains("panicked"));
    }
    println!(
        "grants: {tries} attacks, 0 succeeded; {shown} of {shown} succeed where their rule is left out"
    );
}

#[test]
fn estimates_and_sizes_tell_nothing_of_hidden_rows_and_columns() {
    for kind in [Kind::Postgres, Kind::Mariadb] {
        let giving = Giving::start(kind, &strict());
        giving.database.execute(match kind {
            Kind::Postgres => "analyze orders",
            _ => "analyze table orders",
        });
        let told = |giving: &Giving| {
            let (_, head) = giving.frames("orders");
            [
                giving.listed("orders")["size_bytes"].clone(),
                giving.schema("orders")["evenkeel"]["row_estimate"].clone(),
                head["rows_estimate"].clone(),
            ]
        };
        assert!(told(&giving).iter().all(Value::is_null), "{kind:?}");
        giving.grant(&json!({"tables": ["orders"]})).expect(200);
        assert!(
            told(&giving).iter().all(Value::is_number),
            "{kind:?}: {:?}",
            told(&giving)
        );
    }
}

#[test]
fn a_pseudonym_is_computed_only_with_the_key_file() {
    let giving = Giving::start(Kind::Sqlite, &strict());
    let found = values(&giving.rows("people"), "id");
    let of = |key: &PseudonymKey| {
        let bits = key
            .pseudonym("person", NeutralType::Int8)
            .of(&1_i64.to_be_bytes())
            .unwrap();
        json!(uuid::Uuid::from_bytes(bits).to_string())
    };
    let token = evenkeel::base::secret::Secret::new([7; 32]);
    assert!(!found.contains(&of(&PseudonymKey::new(token))));
    // Whoever has the key file can: nothing else is secret about it.
    let text = std::fs::read_to_string(giving.site.folder().join("secret.key")).unwrap();
    let mut bytes = [0; 32];
    hex::decode_to_slice(text.trim(), &mut bytes).unwrap();
    let key = MasterKey::from_bytes(&bytes).pseudonym(&format!("connection/{}", giving.id));
    assert!(found.contains(&of(&PseudonymKey::new(key))));
}

#[test]
fn many_requests_at_once_take_no_more_than_a_day_may_have() {
    for (limit, within) in [(json!(12), true), (Value::Null, false)] {
        let grant = json!({"tables": ["orders"], "limits": {"rows_per_day": limit}});
        let giving = Giving::start(Kind::Sqlite, &grant);
        let target = |at: usize| {
            if at % 2 == 0 {
                "pull-data"
            } else {
                "table-records"
            }
        };
        let taken: usize = std::thread::scope(|scope| {
            let ask = |at: usize| {
                let request: Request = giving.request(target(at), json!({"table_name": "orders"}));
                let site = giving.site.url().trim_start_matches("http://").parse();
                let site = Address::Tcp(site.expect("an address"));
                scope.spawn(move || {
                    let body = request.send(&site).expect("an answer").json();
                    let rows = [&body["data"], &body["records"]];
                    rows.into_iter()
                        .filter_map(Value::as_array)
                        .map(Vec::len)
                        .sum::<usize>()
                })
            };
            let asked: Vec<_> = (0..16).map(ask).collect();
            asked.into_iter().map(|asked| asked.join().unwrap()).sum()
        });
        assert_eq!(taken <= 12, within, "{taken}");
    }
}
