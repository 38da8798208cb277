//! Giving to a PhoenixKit site: values it can import as they are, and words that its administrator sees.

use serde_json::json;

use super::{ALL, EDGES, EVERY_TYPE, giving};
use crate::support::http::Request;

#[test]
fn every_type_is_imported_as_it_was() {
    let source = format!("{EVERY_TYPE}{EDGES}");
    let giving = giving(&source, EVERY_TYPE, &json!({"tables": "*"}));
    let imported = giving.phoenix.pull(&giving.berlin, "every");
    assert_eq!(
        (imported.rows, imported.errors.len()),
        (5, 0),
        "{imported:?}"
    );
    assert_eq!(giving.destination.query(ALL), giving.source.query(ALL));
}

#[test]
fn it_sees_the_default_schema_and_no_column_that_it_could_not_fill() {
    let sql = "create schema shop; create table shop.orders (id int primary key);
        create table lines (id int primary key, twice int generated always as (id * 2) stored);
        insert into lines values (1), (2);";
    let giving = giving(
        sql,
        "create table lines (id int primary key);",
        &json!({"tables": "*"}),
    );
    let listed = giving
        .phoenix
        .data(&giving.berlin, "list-tables", "")
        .expect(200)
        .json();
    let names: Vec<&str> = listed["tables"]
        .as_array()
        .unwrap()
        .iter()
        .map(|table| table["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["lines"]);
    assert_eq!(listed["tables"][0]["row_count"], 2);
    assert!(listed["tables"][0]["size_bytes"].is_u64());
    let schema = giving
        .phoenix
        .data(&giving.berlin, "table-schema", "lines")
        .expect(200)
        .json();
    assert_eq!(schema["schema"]["columns"].as_array().unwrap().len(), 1);
    let imported = giving.phoenix.pull(&giving.berlin, "lines");
    assert_eq!(
        (imported.rows, imported.errors.len()),
        (2, 0),
        "{imported:?}"
    );
}

#[test]
fn why_it_gets_nothing_comes_where_its_administrator_sees_it() {
    let sql = "create table notes (id int primary key); create table hidden (id int primary key);";
    let giving = giving(sql, "select 1", &json!({"tables": ["notes"]}));
    let pull = |table: &str| giving.phoenix.data(&giving.berlin, "pull-data", table);
    let refused = |words: &str| json!({"success": false, "error": words});
    let words = "This connection is not authorised to access that table";
    assert_eq!(pull("hidden").expect(200).json(), refused(words));
    giving.decide("suspend");
    assert_eq!(
        pull("notes").expect(200).json(),
        refused("Connection is not active")
    );
    // It has words of its own for these.
    let hash = "0".repeat(64);
    let unknown = json!({"auth_token_hash": hash, "table_name": "notes"});
    giving
        .phoenix
        .ask(&giving.berlin, "pull-data", &unknown)
        .expect(401);
    // And everybody else gets the published status.
    let body = json!({"auth_token_hash": giving.phoenix.row().hash, "table_name": "notes"});
    let request = Request::new("POST", "/sync/api/pull-data").json(&body);
    giving.berlin.peer(&request).unwrap().expect(403);
}

#[test]
fn what_is_cut_off_says_so_and_is_given_by_ranges_and_pages() {
    let sql =
        "create table notes (id int primary key); insert into notes select generate_series(1, 25);";
    let grant = json!({"tables": "*", "limits": {"max_records_per_request": 10}});
    let giving = giving(sql, "select 1", &grant);
    let hash = giving.phoenix.row().hash;
    let ask = |endpoint: &str, mut body: serde_json::Value| {
        body["auth_token_hash"] = hash.as_str().into();
        body["table_name"] = "notes".into();
        giving
            .phoenix
            .ask(&giving.berlin, endpoint, &body)
            .expect(200)
            .json()
    };
    let first = ask("pull-data", json!({}));
    assert_eq!(
        (first["truncated"].clone(), first["data"][9]["id"].clone()),
        (json!(true), json!(10))
    );
    let last = ask("pull-data", json!({"id_start": 21}));
    assert_eq!(last["filtered"], true);
    assert_eq!(last["data"].as_array().unwrap().len(), 5);
    let page = ask("table-records", json!({"limit": 100, "offset": 20}));
    assert_eq!(page["records"].as_array().unwrap().len(), 5);
}
