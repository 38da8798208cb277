//! Pulling from a PhoenixKit site: every value as it was, and every refusal by name.

use serde_json::{Value, json};

use super::{ALL, EDGES, EVERY_TYPE, Taking, taking, taking_from};
use crate::support::database::{Database, Kind};
use crate::support::phoenix::{Phoenix, Spoil, Version};

#[test]
fn every_type_that_such_a_site_sends_arrives_as_it_was() {
    let source = format!("{EVERY_TYPE}{EDGES}");
    for version in [Version::Old, Version::New] {
        let taking = taking(version, &source, EVERY_TYPE);
        let pulled = taking.pull(&["every"]).completed();
        assert_eq!(pulled.changes(), (5, 0, 0), "{pulled:#?}");
        assert_eq!(pulled.table("every")["proved_equal"], Value::Null);
        taking.same(ALL);
        let again = taking.pull(&["every"]).completed();
        assert_eq!(again.changes(), (0, 0, 0), "{again:#?}");
    }
}

#[test]
fn tables_are_made_here_on_every_engine_after_what_such_a_site_says_of_them() {
    let sql = format!(
        "{EVERY_TYPE}{EDGES}
         create table tags (id bigint primary key, words text[], counts int[]);
         insert into tags values (1, '{{a,\"b c\",null}}', '{{1,2}}'), (2, '{{}}', null);"
    );
    for kind in [Kind::Postgres, Kind::Sqlite, Kind::Mariadb] {
        let source = Database::with(Kind::Postgres, &sql);
        let phoenix = Phoenix::start(Version::New, &source.url());
        let taking = taking_from(phoenix, source, Database::empty(kind));
        let pulled = taking.pull(&["tags", "--create", "--yes"]).completed();
        assert_eq!(pulled.table("tags")["rows_synced"], 2, "{kind:?}");
        let words = taking
            .destination
            .query("select words from tags order by id");
        assert_eq!(words, "{a,\"b c\",NULL}\n{}", "{kind:?}");
        assert_eq!(taking.destination.primary_key("tags"), "id", "{kind:?}");
    }
}

#[test]
fn lists_enumerations_and_padded_text_take_the_types_they_have_here() {
    let sql = "create type feeling as enum ('glad', 'sad');
        create table moods (id int primary key, mood feeling, days date[], fixed char(4));";
    let rows =
        "insert into moods values (1, 'sad', '{2024-01-02,null}', 'ab'), (2, null, null, null);";
    let taking = taking(Version::Old, &format!("{sql}{rows}"), sql);
    taking.pull(&["moods"]).completed();
    taking.same("select * from moods order by id");
}

#[test]
fn what_cannot_be_read_is_left_out_by_key_and_column() {
    let sql = "create table notes (id bigint primary key, amount numeric, body text);";
    let rows = "insert into notes select i, i, 'note ' || i from generate_series(1, 5) i;";
    let taking = taking(Version::Old, &format!("{sql}{rows}"), sql);
    taking.phoenix.spoil("pull-data", |answer| {
        for row in answer["data"].as_array_mut().unwrap() {
            if row["id"] == 2 {
                row["amount"] = json!("two");
            }
            if row["id"] == 4 {
                row["body"] = json!("a\u{0}b");
            }
        }
    });
    let pulled = taking.pull(&["notes"]);
    assert_eq!(pulled.run["status"], "completed_with_errors", "{pulled:#?}");
    assert_eq!(pulled.table("notes")["rows_source"], 5);
    assert_eq!(pulled.table("notes")["rows_failed"], 2);
    let id = pulled.run["id"].as_str().unwrap();
    let errors = taking.paris.get(&format!("/runs/{id}/errors"));
    let mut named: Vec<(String, String)> = errors["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["key"]["id"].to_string(), row["column"].to_string()))
        .collect();
    named.sort();
    let expected = [("\"2\"", "\"amount\""), ("\"4\"", "\"body\"")];
    assert_eq!(
        named,
        expected.map(|(key, column)| (key.to_owned(), column.to_owned()))
    );
    assert_eq!(
        taking
            .destination
            .query("select string_agg(id::text, ',' order by id) from notes"),
        "1,3,5"
    );
}

#[test]
fn what_such_a_site_cannot_give_is_refused_before_any_row() {
    let source = "create table keyless (a int); create table zoned (id int primary key, at timetz);
        create table notes (id bigint primary key, body text); insert into notes values (1, 'one');";
    let here = "create table keyless (a int); create table zoned (id int primary key, at timetz);
        create table notes (id bigint primary key, body text);";
    let taking = taking(Version::New, source, here);
    for (table, code) in [
        (json!("keyless"), "no_key"),
        (json!("zoned"), "kind_mismatch"),
        (json!("nothing"), "unknown_table"),
        (
            json!({"source_table": "notes", "row_filter": {"column": "id", "op": "=", "value": 1}}),
            "invalid_filter",
        ),
    ] {
        let run = ordered(&taking, &table);
        assert_eq!(
            (&run["status"], &run["error"]["code"]),
            (&json!("failed"), &json!(code)),
            "{run:#}"
        );
    }
    let mapped = json!({"source_table": "zoned",
        "field_mapping": [{"source_column": "id", "destination_field": "id"}]});
    assert_eq!(ordered(&taking, &mapped)["status"], "completed");
}

#[test]
fn an_answer_that_is_none_is_told_and_never_counted_as_done() {
    let sql = "create table notes (id bigint primary key, body text);";
    let rows = "insert into notes select i, 'note ' || i from generate_series(1, 5) i;";
    let taking = taking(Version::New, &format!("{sql}{rows}"), sql);
    let cases: [(&'static str, &'static str, Spoil, &str); 8] = [
        (
            "no rows",
            "pull-data",
            |answer| *answer = json!({"success": true}),
            "peer_nonsense",
        ),
        (
            "rows that are none",
            "pull-data",
            |answer| answer["data"] = json!([1]),
            "peer_nonsense",
        ),
        (
            "a row without its column",
            "pull-data",
            |answer| {
                answer["data"][0].as_object_mut().unwrap().remove("body");
            },
            "peer_nonsense",
        ),
        (
            "a refusal in a success",
            "pull-data",
            |answer| {
                *answer = json!({"success": false, "error": "Not today"});
            },
            "peer_refused",
        ),
        (
            "more rows that never come",
            "pull-data",
            |answer| {
                answer["truncated"] = json!(true);
            },
            "peer_nonsense",
        ),
        (
            "rows left out",
            "pull-data",
            |answer| {
                answer["data"].as_array_mut().unwrap().truncate(3);
                answer["truncated"] = json!(false);
            },
            "",
        ),
        (
            "one row twice",
            "pull-data",
            |answer| answer["data"][1] = answer["data"][0].clone(),
            "no_key",
        ),
        (
            "a schema of nothing",
            "table-schema",
            |answer| answer["schema"] = json!([]),
            "peer_nonsense",
        ),
    ];
    for (name, endpoint, spoil, code) in cases {
        taking.phoenix.spoil(endpoint, spoil);
        let pulled = taking.pull(&["notes"]);
        if code.is_empty() {
            // The pages have them.
            assert_eq!(
                pulled.completed().table("notes")["rows_source"],
                5,
                "{name}"
            );
            continue;
        }
        assert_eq!(
            (
                pulled.output.code,
                &pulled.run["status"],
                &pulled.run["error"]["code"]
            ),
            (1, &json!("failed"), &json!(code)),
            "{name}: {pulled:#?}"
        );
        let message = pulled.run["error"]["message"].as_str().unwrap();
        assert!(
            message.contains("127.0.0.1") || message.contains("table notes"),
            "{name}: {message}"
        );
    }
}

#[test]
fn the_commands_that_look_before_pulling_work() {
    let source = format!("{EVERY_TYPE}{EDGES}");
    let taking = taking(Version::Old, &source, EVERY_TYPE);
    let listed = taking.paris.cli(&["tables", "hamburg"]);
    assert_eq!(listed.code, 0, "{listed:?}");
    assert!(
        listed.stdout.contains("every") && listed.stdout.contains('5'),
        "{listed:?}"
    );
    let schema = taking.paris.cli(&["schema", "hamburg", "every"]);
    assert_eq!(schema.code, 0, "{schema:?}");
    assert!(
        schema.stdout.contains("timestamp with time zone"),
        "{schema:?}"
    );
    let records = taking
        .paris
        .cli(&["--json", "records", "hamburg", "every", "--limit", "2"]);
    assert_eq!(records.code, 0, "{records:?}");
    assert_eq!(records.stdout.lines().count(), 2, "{records:?}");
}

fn ordered(taking: &Taking, table: &Value) -> Value {
    let connection = crate::support::pair::connection(&taking.paris, "hamburg");
    let target = format!("/connections/{}/pull", connection["id"].as_str().unwrap());
    let made = taking
        .paris
        .post(&target, &json!({"tables": [table]}))
        .expect(201)
        .json();
    let target = format!("/runs/{}", made["id"].as_str().unwrap());
    crate::support::wait::until("the run is over", crate::support::wait::LONG, || {
        Some(taking.paris.get(&target)).filter(|run| !run["completed_at"].is_null())
    })
}
