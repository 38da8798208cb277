//! What becomes of a grant when the tables change, and how a person writes and sees one.

use serde_json::{Value, json};

use super::Giving;
use crate::support::database::{KINDS, Kind};

fn names(columns: &Value) -> Vec<&str> {
    columns
        .as_array()
        .expect("columns")
        .iter()
        .map(|column| column["name"].as_str().unwrap())
        .collect()
}

#[test]
fn a_new_column_is_withheld_until_it_is_classified_and_told_until_then() {
    for kind in KINDS {
        let all = json!({"id": "allow", "email": "allow", "city": "allow", "born": "allow"});
        let grant = |columns: Value| json!({"tables": ["people", "orders"], "columns": {"people": columns}});
        let giving = Giving::start(kind, &grant(all.clone()));
        let told = || giving.site.cli(&["status"]).stdout;
        assert!(!told().contains("people"), "{kind:?}: {}", told());
        for table in ["people", "orders"] {
            giving.database.execute(&format!(
                "alter table {table} add column phone varchar(20) default '555'"
            ));
        }
        // Where columns are not listed, a new one is given.
        assert_eq!(giving.rows("orders")[0]["phone"], "555");
        assert_eq!(giving.rows("people")[0].get("phone"), None, "{kind:?}");
        assert_eq!(
            names(&giving.schema("people")["schema"]["columns"]),
            ["id", "email", "city", "born"]
        );
        let words = "column phone of people is new since the grant, and withheld";
        assert!(told().contains(words), "{kind:?}: {}", told());
        assert!(told().contains("evenkeel connections edit hamburg --grant FILE"));
        let doctor = giving.site.cli(&["doctor"]).stdout;
        assert!(
            doctor.contains("hamburg does not get phone of people"),
            "{doctor}"
        );
        let listed = giving.site.cli(&["--json", "tables", "hamburg"]).stdout;
        let people: Value = listed
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .find(|table: &Value| table["table"] == "people")
            .unwrap();
        assert_eq!(people["unclassified"], json!(["phone"]));
        let mut classified = all;
        classified["phone"] = "null".into();
        giving.grant(&grant(classified)).expect(200);
        assert!(giving.rows("people")[0]["phone"].is_null());
        assert!(!told().contains("phone"), "{kind:?}: {}", told());
    }
}

#[test]
fn a_row_filter_that_fits_no_more_gives_nothing_and_is_told() {
    let filter = json!({"column": "city", "op": "=", "value": "north"});
    let grant = json!({"tables": ["people", "orders"], "row_filter": {"people": filter}});
    let giving = Giving::start(Kind::Postgres, &grant);
    assert_eq!(giving.rows("people").len(), 2);
    giving
        .database
        .execute("alter table people rename column city to town");
    for endpoint in ["pull-data", "table-records", "table-schema"] {
        let refused = giving
            .ask(endpoint, json!({"table_name": "people"}))
            .expect(403)
            .json();
        assert_eq!(
            refused["error"],
            "This connection is not authorised to access that table"
        );
    }
    assert_eq!(giving.ask_frames(json!({}), "people").status, 403);
    assert_eq!(giving.listed("people"), Value::Null);
    assert_eq!(giving.rows("orders").len(), 5);
    let told = giving.site.cli(&["status"]).stdout;
    assert!(
        told.contains("nothing of people is given: the row filter fits no more"),
        "{told}"
    );
}

#[test]
fn a_grant_is_written_as_a_file_and_shown_as_it_is_meant() {
    let giving = Giving::start(Kind::Sqlite, &json!({"tables": ["orders"]}));
    let site = &giving.site;
    let file = |name: &str, text: &str| {
        let path = site.folder().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let toml = file(
        "hamburg.toml",
        r#"
        tables = ["people", "orders"]
        [columns.people]
        id = { pseudonym = "person" }
        email = "null"
        city = "allow"
        [row_filter]
        orders = { column = "total", op = "<", value = 50 }
        [limits]
        rows_per_day = 1000
        expires_at = 2999-01-01T00:00:00Z
        "#,
    );
    let edited = site.cli(&["connections", "edit", "hamburg", "--grant", &toml]);
    assert_eq!(edited.code, 0, "{edited:#?}");
    assert_eq!(giving.rows("orders").len(), 4);
    let shown = site.cli(&["connections", "show", "hamburg"]).stdout;
    for line in [
        "grant.of people\tcolumns city, email (null), id (pseudonym person)",
        "grant.of orders\tonly rows where {\"column\":\"total\",\"op\":\"<\",\"value\":50}",
        "grant.limits.rows_per_day\t1000",
    ] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    assert!(!shown.contains("bytes_per_day"), "{shown}");
    let tables = site.cli(&["tables", "hamburg"]).stdout;
    assert!(
        tables
            .contains("people\t4\tid\tid (pseudonym person), email (null), city\tnew columns born"),
        "{tables}"
    );
    assert!(
        tables.contains(
            "orders\t4\tid\tid, person_id, total, note\trows outside the grant's row filter"
        ),
        "{tables}"
    );
    // What is printed can be given again.
    let printed: Value = serde_json::from_str(
        &site
            .cli(&["--json", "connections", "show", "hamburg"])
            .stdout,
    )
    .unwrap();
    let json = file("hamburg.json", &printed["grant"].to_string());
    assert_eq!(
        site.cli(&["connections", "edit", "hamburg", "--grant", &json])
            .code,
        0
    );
    for (name, text, words) in [
        ("a.json", "{\"tabels\": []}", "unknown field `tabels`"),
        ("b.toml", "tables = [", "TOML parse error"),
        (
            "c.json",
            "{\"tables\": [\"people\"], \"columns\": {\"people\": {\"nobody\": \"drop\"}}}",
            "people has no column nobody",
        ),
    ] {
        let path = file(name, text);
        let refused = site.cli(&["connections", "edit", "hamburg", "--grant", &path]);
        assert_ne!(refused.code, 0, "{name}");
        assert!(refused.stderr.contains(words), "{name}: {}", refused.stderr);
    }
    let missing = site.cli(&["connections", "edit", "hamburg", "--grant", "/nowhere"]);
    assert_eq!(missing.code, 2, "{missing:#?}");
}
