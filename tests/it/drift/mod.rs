//! Drift: rows of the destination changed behind the daemon's back, thousands in every way there is, for every pair of
//! engines. A comparison finds exactly those, a mirror repairs exactly those, and no other row is touched.
//!
//! What was changed, and what is to be found, is told by the databases themselves: their rows as text, and triggers that
//! note each row that anybody writes.

mod damage;
mod keyless;
mod tables;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use self::tables::{Rows, TABLES, Table};
use crate::support::database::{Database, Kind};
use crate::support::pair::{Pair, connection};

/// What became of rows, by table and key.
type Found = BTreeMap<(String, String), String>;

macro_rules! pairs {
    ($($name:ident: $from:ident => $to:ident;)+) => {
        $(#[test]
        fn $name() {
            every_injected_change_is_found_and_repaired(Kind::$from, Kind::$to);
        })+
    };
}

pairs! {
    from_postgres_to_postgres: Postgres => Postgres;
    from_postgres_to_sqlite: Postgres => Sqlite;
    from_postgres_to_mariadb: Postgres => Mariadb;
    from_sqlite_to_postgres: Sqlite => Postgres;
    from_sqlite_to_sqlite: Sqlite => Sqlite;
    from_sqlite_to_mariadb: Sqlite => Mariadb;
    from_mariadb_to_postgres: Mariadb => Postgres;
    from_mariadb_to_sqlite: Mariadb => Sqlite;
    from_mariadb_to_mariadb: Mariadb => Mariadb;
}

fn every_injected_change_is_found_and_repaired(from: Kind, to: Kind) {
    let source = Database::with(from, &tables::filled(from));
    let pair = Pair::builder(source, Database::with(to, &tables::empty(to))).start();
    completed(&pair, &json!({"tables": names(), "sync_mode": "mirror"}));
    let whole = TABLES.map(|table| table.rows(&pair.destination));
    assert_equal(&pair);
    pair.destination.execute(&tables::log(to));

    let injected = damage::inject(&pair.destination);
    let damaged = TABLES.map(|table| table.rows(&pair.destination));
    let expected = drift(&whole, &damaged);
    assert_eq!(
        expected.len(),
        injected,
        "each change is one, and none hides another"
    );

    let diff = diff(&pair);
    assert_eq!(told(&pair, &diff), expected, "found");
    assert_counts(&diff, &expected);
    assert_eq!(
        touched(&pair.destination),
        Found::new(),
        "comparing writes nothing"
    );
    assert_eq!(TABLES.map(|table| table.rows(&pair.destination)), damaged);

    let repair = completed(&pair, &json!({"tables": names(), "sync_mode": "mirror"}));
    assert_counts(&repair, &expected);
    assert_eq!(touched(&pair.destination), expected, "repaired");
    let repaired = TABLES.map(|table| table.rows(&pair.destination));
    assert!(repaired == whole, "{:#?}", drift(&whole, &repaired));
    assert_equal(&pair);

    let after = self::diff(&pair);
    assert_eq!(told(&pair, &after), Found::new());
    println!(
        "{from:?} to {to:?}: {injected} changes injected, {} found, {} repaired, 0 other rows touched",
        told(&pair, &diff).len(),
        touched(&pair.destination).len()
    );
}

fn names() -> [&'static str; 2] {
    TABLES.map(|table| table.name)
}

/// What has to be done to `now` for it to be `whole` again.
fn drift(whole: &[Rows; 2], now: &[Rows; 2]) -> Found {
    let mut found = Found::new();
    for (Table { name, .. }, (whole, now)) in TABLES.iter().zip(whole.iter().zip(now)) {
        for key in whole.keys().chain(now.keys()).collect::<BTreeSet<_>>() {
            let kind = match (whole.get(key), now.get(key)) {
                (Some(_), None) => "added",
                (None, Some(_)) => "deleted",
                (whole, now) if whole != now => "updated",
                _ => continue,
            };
            found.insert(((*name).to_owned(), key.clone()), kind.to_owned());
        }
    }
    found
}

/// A run of the admin API's to its end, which is that it completed and proved every table.
fn completed(pair: &Pair, order: &Value) -> Value {
    let run = pair.pull_as(order);
    assert_eq!(run["status"], "completed", "{run:#}");
    for table in run["tables"].as_array().unwrap() {
        assert_eq!(table["proved_equal"], true, "{run:#}");
    }
    run
}

fn diff(pair: &Pair) -> Value {
    let id = connection(&pair.taker, pair.giver.name())["id"].clone();
    let target = format!("/connections/{}/diff", id.as_str().unwrap());
    let run = pair.taker.post(&target, &json!({"tables": names()}));
    let run = run.expect(201).json();
    assert_eq!(run["apply"], "no", "{run:#}");
    pair.run_is(run["id"].as_str().unwrap(), "completed")
}

/// The differences that a run tells, all pages of them; each row stands once.
fn told(pair: &Pair, run: &Value) -> Found {
    let (id, mut found, mut cursor) = (run["id"].as_str().unwrap(), Found::new(), String::new());
    loop {
        let page = pair
            .taker
            .get(&format!("/runs/{id}/differences?limit=200{cursor}"));
        for row in page["items"].as_array().unwrap() {
            let part = |name: &str| match &row["key"][name] {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let table = row["table"].as_str().unwrap().to_owned();
            let key = match table.as_str() {
                "items" => part("id"),
                _ => format!("{}/{}", part("region"), part("number")),
            };
            let kind = row["kind"].as_str().unwrap().to_owned();
            let before = found.insert((table, key), kind);
            assert_eq!(before, None, "{row:#} stands twice");
        }
        let Some(next) = page["next_cursor"].as_str() else {
            return found;
        };
        cursor = format!("&cursor={next}");
    }
}

fn assert_counts(run: &Value, expected: &Found) {
    for kind in ["added", "updated", "deleted"] {
        let rows = expected.values().filter(|found| *found == kind).count();
        assert_eq!(run["changes"][kind], rows, "{kind}: {run:#}");
    }
    for kind in ["skipped", "moved", "conflicts"] {
        assert_eq!(run["changes"][kind], 0, "{kind}: {run:#}");
    }
}

/// The rows that anybody wrote since the log was begun; each once.
fn touched(database: &Database) -> Found {
    let mut found = Found::new();
    let noted = database.query("select what, of_table, of_key from touched order by number");
    for line in noted.lines() {
        let mut parts = line.splitn(3, '|').map(str::to_owned);
        let mut next = || parts.next().unwrap();
        let (what, table, key) = (next(), next(), next());
        let before = found.insert((table, key), what);
        assert_eq!(before, None, "{line} was written twice");
    }
    found
}

/// Both databases have the same rows, in words that are the same in both.
fn assert_equal(pair: &Pair) {
    for table in TABLES {
        let (there, here) = (table.common(&pair.source), table.common(&pair.destination));
        assert!(!there.is_empty());
        assert!(there == here, "{}: {:#?}", table.name, {
            let (there, here): (BTreeSet<_>, BTreeSet<_>) =
                (there.lines().collect(), here.lines().collect());
            there
                .symmetric_difference(&here)
                .take(20)
                .map(|line| (*line).to_owned())
                .collect::<Vec<_>>()
        });
    }
}
