//! The same damage done to tables without a key: each changed row is one that is not there any more, and another.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::tables::TABLES;
use super::{Found, assert_equal, damage, drift, names, tables};
use crate::support::database::{Database, Kind};
use crate::support::pair::Pair;

fn without_keys(sql: &str) -> String {
    sql.replace(" not null primary key", "")
        .replace(", primary key (region, number)", "")
}

#[test]
fn every_injected_change_is_found_and_repaired_where_there_is_no_key() {
    for (from, to) in [
        (Kind::Sqlite, Kind::Postgres),
        (Kind::Postgres, Kind::Sqlite),
    ] {
        let source = Database::with(from, &without_keys(&tables::filled(from)));
        let destination = Database::with(to, &without_keys(&tables::empty(to)));
        let pair = Pair::builder(source, destination).start();
        let order = json!({"tables": names(), "sync_mode": "mirror"});
        super::completed(&pair, &order);
        let whole = TABLES.map(|table| table.rows(&pair.destination));
        assert_equal(&pair);
        pair.destination.execute(&tables::log(to));

        let injected = damage::inject(&pair.destination);
        let damaged = TABLES.map(|table| table.rows(&pair.destination));
        let expected = drift(&whole, &damaged);
        let of = |kind: &str| expected.values().filter(|found| *found == kind).count();
        let (added, updated, deleted) = (of("added"), of("updated"), of("deleted"));
        assert_eq!(added + updated + deleted, injected);

        // So much is deleted that a person has to look.
        let asked = pair.ask(&order).expect(201).json();
        let id = asked["id"].as_str().unwrap();
        let asked = pair.run_is(id, "needs_approval");
        assert_eq!(
            counts(&asked),
            [added + updated, 0, deleted + updated],
            "found"
        );
        let plan = json!({"plan_hash": asked["plan_hash"]});
        let target = format!("/runs/{id}/approve");
        pair.taker.post(&target, &plan).expect(200);
        let run = pair.run_is(id, "completed");
        assert_eq!(
            counts(&run),
            [added + updated, 0, deleted + updated],
            "repaired"
        );

        let written = touched(&pair.destination);
        assert!(written == to_touch(&expected), "no other row is touched");
        let repaired = TABLES.map(|table| table.rows(&pair.destination));
        assert!(repaired == whole, "{:#?}", drift(&whole, &repaired));
        for table in names() {
            assert_eq!(pair.destination.count(table), pair.source.count(table));
        }
        assert_equal(&pair);
        println!("{from:?} to {to:?}: {injected} changes injected, found and repaired");
    }
}

fn counts(run: &Value) -> [usize; 3] {
    ["added", "updated", "deleted"].map(|what| {
        let count = run["changes"][what].as_u64().unwrap();
        usize::try_from(count).unwrap()
    })
}

/// What was written since the log was begun, by table and key.
fn touched(database: &Database) -> BTreeSet<(String, String, String)> {
    let noted = database.query("select of_table, of_key, what from touched");
    let mut found = BTreeSet::new();
    for line in noted.lines() {
        let (table, rest) = line.split_once('|').unwrap();
        let (key, what) = rest.rsplit_once('|').unwrap();
        let is_new = found.insert((table.to_owned(), key.to_owned(), what.to_owned()));
        assert!(is_new, "{line} was written twice");
    }
    found
}

/// The same, as it has to be.
fn to_touch(drift: &Found) -> BTreeSet<(String, String, String)> {
    let writes = |((table, key), kind): (&(String, String), &String)| {
        let writes = match kind.as_str() {
            "updated" => vec!["added", "deleted"],
            kind => vec![kind],
        };
        let write = |what: &str| (table.clone(), key.clone(), what.to_owned());
        writes.into_iter().map(write).collect::<Vec<_>>()
    };
    drift.iter().flat_map(writes).collect()
}

#[test]
fn more_rows_than_one_request_can_name_are_picked_by_several() {
    let rows = |first: u32, last: u32| {
        format!(
            "create table plain (n integer);
             with recursive r (n) as (select {first} union all select n + 1 from r where n < {last})
                 insert into plain select n from r;"
        )
    };
    // Both sides have rows below nearly every node, so that nearly every row that is missing stands in a leaf of its own.
    let source = Database::with(Kind::Sqlite, &rows(1, 90_000));
    let destination = Database::with(Kind::Sqlite, &rows(1, 20_000));
    let pair = Pair::builder(source, destination).start();
    let run = pair.pull_as(&json!({"tables": ["plain"], "sync_mode": "mirror"}));
    assert_eq!(run["status"], "completed", "{run:#}");
    assert_eq!(run["tables"][0]["changes"]["added"], 70_000, "{run:#}");
    let all = "select count(*) || ' ' || sum(n) from plain";
    assert_eq!(pair.destination.query(all), pair.source.query(all));
}
