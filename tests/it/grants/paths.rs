//! Each rule of a grant on each path: list, schema, records, JSON, frames, and the administrator's own look.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Giving, sorted, values};
use crate::support::database::{KINDS, Kind};

/// All rules at once.
fn strict() -> Value {
    json!({
        "tables": ["people", "orders"],
        "columns": {
            "people": {"id": {"pseudonym": "person"}, "email": "null", "city": "allow"},
            "orders": {"id": "allow", "person_id": {"pseudonym": "person"}, "total": "allow", "note": "drop"},
        },
        "row_filter": {"people": {"column": "born", "op": "is_null", "value": false}},
    })
}

fn names(columns: &Value) -> Vec<&str> {
    let columns = columns.as_array().expect("columns").iter();
    columns
        .map(|column| column["name"].as_str().expect("a name"))
        .collect()
}

#[test]
fn every_path_shows_the_same_view() {
    for kind in KINDS {
        let giving = Giving::start(kind, &strict());
        let (people, head) = giving.frames("people");
        assert_eq!(head["rows_estimate"], Value::Null, "{kind:?}");
        assert_eq!(names(&head["columns"]), ["id", "email", "city"]);
        assert_eq!(people.len(), 3, "{kind:?}: {people:#?}");
        let by_json = giving.rows("people");
        assert_eq!(sorted(by_json.clone()), sorted(people), "{kind:?}");
        assert_eq!(giving.records("people"), by_json, "{kind:?}");
        assert!(values(&by_json, "email").iter().all(Value::is_null));
        let ids: BTreeSet<String> = values(&by_json, "id")
            .iter()
            .map(|id| id.as_str().unwrap().to_owned())
            .collect();
        assert_eq!((ids.len(), ids.first().unwrap().len()), (3, 36));
        // The order is that of the pseudonyms, which is that of nothing else.
        assert_eq!(ids.into_iter().collect::<Vec<_>>(), values(&by_json, "id"));

        let schema = giving.schema("people");
        assert_eq!(names(&schema["schema"]["columns"]), ["id", "email", "city"]);
        assert_eq!(schema["schema"]["primary_key"], json!(["id"]));
        assert_eq!(
            schema["schema"]["columns"][0]["data_type"],
            "character varying"
        );
        assert_eq!(
            schema["schema"]["columns"][0]["character_maximum_length"],
            36
        );
        assert_eq!(schema["schema"]["columns"][1]["nullable"], true);
        let catalogue = &schema["evenkeel"];
        assert_eq!(
            (&catalogue["unique"], &catalogue["row_estimate"]),
            (&json!([]), &Value::Null)
        );
        assert_eq!(names(&catalogue["columns"]), ["id", "email", "city"]);
        let listed = giving.listed("people");
        assert_eq!(
            (&listed["row_count"], &listed["size_bytes"]),
            (&json!(3), &Value::Null)
        );

        // Orders point to the people they pointed to before, also to those that are not given.
        let orders = giving.rows("orders");
        assert_eq!(values(&orders, "id"), [10, 11, 12, 13, 14].map(Value::from));
        let people_of = values(&orders, "person_id");
        assert_eq!(people_of[0], people_of[2]);
        assert!(people_of[3].is_null());
        assert!(values(&by_json, "id").contains(&people_of[0]));
        assert!(!values(&by_json, "id").contains(&people_of[4]));
        let schema = giving.schema("orders");
        assert_eq!(
            names(&schema["schema"]["columns"]),
            ["id", "person_id", "total"]
        );
        assert_eq!(schema["evenkeel"]["foreign_keys"][0]["table"], "people");
        assert_eq!(giving.listed("orders")["depends_on"], json!(["people"]));
        assert_eq!(giving.listed("orders")["size_bytes"], Value::Null);

        // The administrator sees exactly that.
        let base = format!("/connections/{}/tables/people", giving.id);
        let own = giving.site.get(&format!("{base}/records"));
        assert_eq!(own["items"], json!(by_json));
        assert_eq!(
            giving.site.get(&format!("{base}/schema"))["columns"],
            giving.schema("people")["schema"]["columns"]
        );
        assert!(!giving.site.log().contains("panicked"));
    }
}

#[test]
fn pseudonyms_are_the_same_after_a_restart_and_others_for_another_connection() {
    let mut giving = Giving::start(Kind::Sqlite, &strict());
    let before = giving.rows("people");
    giving.site.restart();
    assert_eq!(giving.rows("people"), before);
    let other = Giving::start(Kind::Sqlite, &strict());
    let both = [before, other.rows("people")].map(|rows| {
        let ids = values(&rows, "id").into_iter();
        ids.map(|id| id.to_string()).collect::<BTreeSet<_>>()
    });
    assert!(both[0].is_disjoint(&both[1]));
}

#[test]
fn rows_of_a_hidden_key_come_in_another_order_than_they_lie_in() {
    // No order of these is that of the keys.
    let word = |id: u32| 1_000 + id * 7 % 201;
    let rows: Vec<String> = (1..=200)
        .map(|id| format!("({id}, 'v{}')", word(id)))
        .collect();
    let sql = format!(
        "create table t (id integer primary key, v varchar(9)); insert into t values {};",
        rows.join(", ")
    );
    for kind in KINDS {
        let database = crate::support::database::Database::with(kind, &sql);
        let grant = json!({"tables": ["t"], "columns": {"t": {"v": "allow"}}});
        let giving = Giving::of(
            crate::support::daemon::Site::builder("berlin"),
            database,
            &grant,
        );
        let lie: Vec<Value> = (1..=200)
            .map(|id| json!(format!("v{}", word(id))))
            .collect();
        let framed = values(&giving.frames("t").0, "v");
        let by_json = values(&giving.rows("t"), "v");
        for found in [&framed, &by_json] {
            assert_ne!(*found, lie, "{kind:?}");
            assert_eq!(sorted(found.clone()), sorted(lie.clone()), "{kind:?}");
        }
        assert_ne!(framed, values(&giving.frames("t").0, "v"), "{kind:?}");
        // Pages fit together all the same.
        let mut paged = Vec::new();
        for offset in [0, 90, 180] {
            let fields = json!({"table_name": "t", "limit": 90, "offset": offset});
            let page = giving.ask("table-records", fields).expect(200).json();
            paged.extend(values(page["records"].as_array().unwrap(), "v"));
        }
        assert_eq!(paged, by_json, "{kind:?}");
        let far = json!({"table_name": "t", "limit": 10, "offset": 100_000});
        assert_eq!(
            giving.ask("table-records", far).expect(400).json()["error_code"],
            "invalid_filter"
        );
    }
}

#[test]
fn a_cut_answer_of_pseudonyms_has_no_cursor() {
    let mut grant = strict();
    grant["limits"] = json!({"max_records_per_request": 2});
    let mut unbounded = strict();
    unbounded["limits"] = json!({"max_records_per_request": null});
    let giving = Giving::start(Kind::Postgres, &grant);
    let cut = giving
        .ask("pull-data", json!({"table_name": "people"}))
        .expect(200)
        .json();
    assert_eq!(
        (
            cut["truncated"].clone(),
            cut["data"].as_array().unwrap().len()
        ),
        (json!(true), 2)
    );
    assert_eq!(cut.get("next_cursor"), None);
    giving.grant(&unbounded).expect(200);
    let whole = giving
        .ask("pull-data", json!({"table_name": "people"}))
        .expect(200)
        .json();
    assert_eq!(
        (
            whole.get("truncated"),
            whole["data"].as_array().unwrap().len()
        ),
        (None, 3)
    );
    giving.grant(&grant).expect(200);
    let cut = giving
        .ask("pull-data", json!({"table_name": "orders"}))
        .expect(200)
        .json();
    let rest = json!({"table_name": "orders", "cursor": cut["next_cursor"]});
    let rest = giving.ask("pull-data", rest).expect(200).json();
    assert_eq!(
        values(rest["data"].as_array().unwrap(), "id"),
        [12, 13].map(Value::from)
    );
}
