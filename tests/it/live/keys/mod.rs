//! Keys that the two databases compare differently, through whole runs between two sites, for every pair of engines.
//!
//! The source compares its keys by their bytes. What the destination takes for one key is told by the destination itself,
//! before any run: by its own `=` over all of them. Of the rows that it takes for one, one is there after a run and the
//! others are refused as `key_collision`, however often it runs; all other rows arrive. Once the source has but one of
//! each, both sides are proved equal, also after keys were written another way.

mod typed;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::is_over;
use crate::support::database::{CHAIN, Database, KINDS, Kind};
use crate::support::is_thorough;
use crate::support::pair::Pair;

/// Keys that some comparison takes for one another.
const KEYS: [&str; 36] = [
    "",
    " ",
    "  ",
    "a",
    "A",
    "a ",
    " a",
    "a\u{301}",
    "\u{e1}",
    "\u{c1}",
    "\u{e4}",
    "ae",
    "\u{df}",
    "ss",
    "SS",
    "\u{131}",
    "i",
    "I",
    "\u{130}",
    "plain",
    "other",
    "stra\u{df}e",
    "STRASSE",
    "strasse",
    "0",
    "00",
    "-0",
    "a-b",
    "ab",
    "\u{ff41}",
    "\u{212a}",
    "k",
    "\u{fb01}",
    "fi",
    "\u{1f600}",
    "\u{1f601}",
];

/// The types of a key column in each engine, its names for tables: first the one that compares bytes.
fn types(kind: Kind) -> &'static [(&'static str, &'static str)] {
    match kind {
        Kind::Postgres => &[
            ("of_bytes", "text"),
            ("of_cases", "text collate cases"),
            ("of_accents", "text collate accents"),
        ],
        Kind::Sqlite => &[
            ("of_bytes", "text"),
            ("of_nocase", "text collate nocase"),
            ("of_rtrim", "text collate rtrim"),
        ],
        Kind::Mariadb => &[
            ("of_bytes", "varchar(255) collate utf8mb4_nopad_bin"),
            ("of_padded", "varchar(255) collate utf8mb4_bin"),
            ("of_general", "varchar(255) collate utf8mb4_general_ci"),
            ("of_unicode", "varchar(255) collate utf8mb4_unicode_ci"),
            ("of_nopad", "varchar(255) collate utf8mb4_unicode_nopad_ci"),
        ],
    }
}

/// What the types of an engine need.
fn prelude(kind: Kind) -> &'static str {
    match kind {
        Kind::Postgres => {
            "create extension citext;
             create collation cases (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
             create collation accents (provider = icu, locale = 'und-u-ks-level1', deterministic = false);"
        }
        Kind::Sqlite | Kind::Mariadb => "",
    }
}

/// Keys of two columns: a number, and a text of which each has all.
fn table(name: &str, key: &str) -> String {
    format!(
        "create table {name} (k {key} not null, n int not null, word varchar(40), primary key (n, k));"
    )
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[test]
fn keys_from_postgresql_to_sqlite() {
    each_key_arrives_or_is_refused(Kind::Postgres, Kind::Sqlite);
}

#[test]
fn keys_from_sqlite_to_mariadb() {
    each_key_arrives_or_is_refused(Kind::Sqlite, Kind::Mariadb);
}

#[test]
fn keys_from_mariadb_to_postgresql() {
    each_key_arrives_or_is_refused(Kind::Mariadb, Kind::Postgres);
}

#[test]
fn keys_between_the_other_pairs() {
    if !is_thorough() {
        println!("NOT TESTED: six more pairs of engines; EVENKEEL_ALL_PAIRS=1 tests them");
        return;
    }
    for from in KINDS {
        for to in KINDS {
            if !CHAIN.contains(&(from, to)) {
                each_key_arrives_or_is_refused(from, to);
            }
        }
    }
}

/// The words of rows by their keys.
type Rows = BTreeMap<String, String>;

fn rows(database: &Database, table: &str) -> Rows {
    // Told by its bytes, no space is lost on the way.
    let key = match database.kind() {
        Kind::Postgres => "encode(convert_to(k, 'UTF8'), 'hex')",
        Kind::Sqlite | Kind::Mariadb => "hex(k)",
    };
    let lines = database.query(&format!("select n, {key}, word from {table}"));
    let row = |line: &str| {
        let mut parts = line.split('|');
        let mut next = || parts.next().expect("a part");
        let (number, key, word) = (next(), next(), next());
        let key = String::from_utf8(hex::decode(key).expect("hexadecimal")).expect("a text");
        (format!("{number}\"{key}"), word.to_owned())
    };
    lines.lines().map(row).collect()
}

/// Which keys the destination takes for which: the first of them, by each.
fn classes(here: &Database, key: &str) -> BTreeMap<String, usize> {
    let values: Vec<String> = (0..)
        .zip(KEYS)
        .map(|(at, key)| format!("({at}, {})", quoted(key)))
        .collect();
    here.execute(&format!(
        "create table scratch (n int not null, k {key} not null); insert into scratch values {}",
        values.join(", ")
    ));
    let first = here.query(
        "select b.n, min(a.n) from scratch a join scratch b on a.k = b.k group by b.n order by b.n",
    );
    here.execute("drop table scratch");
    let number = |text: &str| text.parse::<usize>().unwrap();
    first
        .lines()
        .map(|line| {
            let (at, first) = line.split_once('|').unwrap();
            (KEYS[number(at)].to_owned(), number(first))
        })
        .collect()
}

fn each_key_arrives_or_is_refused(from: Kind, to: Kind) {
    let (_, bytes) = types(from)[0];
    let names: Vec<&str> = types(to).iter().map(|(name, _)| *name).collect();
    let mut there = prelude(from).to_owned();
    let mut here = prelude(to).to_owned();
    let values: Vec<String> = KEYS
        .iter()
        .flat_map(|key| (1..=2).map(move |n| format!("({}, {n}, 'word')", quoted(key))))
        .collect();
    for (name, key) in types(to) {
        there.push_str(&table(name, bytes));
        there.push_str(&format!("insert into {name} values {};", values.join(", ")));
        here.push_str(&table(name, key));
    }
    let pair = Pair::builder(Database::with(from, &there), Database::with(to, &here)).start();
    let classes: Vec<_> = types(to)
        .iter()
        .map(|(_, key)| classes(&pair.destination, key))
        .collect();

    // The first run fills empty tables, the second compares.
    let mut refused = 0;
    for round in ["first", "second"] {
        let run = run(&pair, &names, "upsert");
        for (name, classes) in names.iter().zip(&classes) {
            let place = format!("{from:?} to {to:?}, {name}, {round} run");
            refused += one_of_each(&pair, name, classes, &run, &place);
        }
    }
    // The source keeps one of each that it is not the one which is here: that comes in its place. And a key of its own is
    // written another way.
    for (name, classes) in names.iter().zip(&classes) {
        let here = rows(&pair.destination, name);
        let mut kept: BTreeMap<usize, &String> = BTreeMap::new();
        for (key, class) in classes {
            let is_here = here.contains_key(&format!("1\"{key}"));
            let before = kept.get(class);
            if before.is_none_or(|before| here.contains_key(&format!("1\"{before}")))
                && !(is_here && before.is_some())
            {
                kept.insert(*class, key);
            }
        }
        let kept: Vec<String> = kept.values().map(|key| quoted(key)).collect();
        pair.source.execute(&format!(
            "delete from {name} where k not in ({}); update {name} set k = 'PLAIN' where k = 'plain' and n = 1",
            kept.join(", ")
        ));
    }
    for mode in ["mirror", "upsert"] {
        let run = approved(&pair, &names, mode);
        assert_eq!(
            run["status"], "completed",
            "{from:?} to {to:?}, {mode}: {run:#}"
        );
        for table in run["tables"].as_array().unwrap() {
            assert_eq!(table["proved_equal"], true, "{run:#}");
        }
        for name in &names {
            let (there, here) = (rows(&pair.source, name), rows(&pair.destination, name));
            assert_eq!(here, there, "{from:?} to {to:?}, {name}, {mode}");
        }
    }
    if to == Kind::Postgres {
        citext(&pair);
    }
    println!(
        "{from:?} to {to:?}: {} kinds of keys, {} rows each; {refused} refused in two runs, equal in the end",
        names.len(),
        values.len()
    );
}

/// Of the rows that are one here, one is here, and the others are refused; how many.
fn one_of_each(
    pair: &Pair,
    name: &str,
    classes: &BTreeMap<String, usize>,
    run: &Value,
    place: &str,
) -> u64 {
    let here = rows(&pair.destination, name);
    for number in 1..=2 {
        let mut found: BTreeMap<usize, Vec<&String>> = BTreeMap::new();
        for (key, class) in classes {
            if here.contains_key(&format!("{number}\"{key}")) {
                found.entry(*class).or_default().push(key);
            }
        }
        let all: BTreeSet<&usize> = classes.values().collect();
        let one_each = found.values().all(|keys| keys.len() == 1);
        assert!(one_each && found.len() == all.len(), "{place}: {found:?}");
    }
    assert!(here.values().all(|word| word == "word"), "{place}");
    let different: BTreeSet<&usize> = classes.values().collect();
    let refused = 2 * u64::try_from(KEYS.len() - different.len()).unwrap();
    assert_eq!(
        u64::try_from(here.len()).unwrap(),
        2 * u64::try_from(different.len()).unwrap(),
        "{place}"
    );
    let tables = run["tables"].as_array().unwrap();
    let told = tables.iter().find(|table| table["table"] == *name).unwrap();
    assert_eq!(told["rows_failed"], refused, "{place}: {told:#}");
    assert_eq!(told["proved_equal"], refused == 0, "{place}: {told:#}");
    let id = run["id"].as_str().unwrap();
    let kept = pair.taker.get(&format!("/runs/{id}/errors?limit=200"));
    for row in kept["items"].as_array().unwrap() {
        let reason = row["reason"].as_str().unwrap();
        assert!(reason.starts_with("key_collision: "), "{place}: {row:#}");
    }
    refused
}

/// A type of an extension takes no text of another engine or type, which is said; only its own.
fn citext(pair: &Pair) {
    pair.destination
        .execute("create table names (k citext primary key, word varchar(40)); insert into names values ('ADA', 'here')");
    let key = types(pair.source.kind())[0].1;
    let rows = "insert into names values ('Ada', 'there'), ('bob', 'there')";
    pair.source.execute(&format!(
        "create table names (k {key} not null primary key, word varchar(40)); {rows}"
    ));
    let refused = run(pair, &["names"], "mirror");
    assert_eq!(refused["error"]["code"], "kind_mismatch", "{refused:#}");
    assert!(refused["error"]["hint"].is_string(), "{refused:#}");
    let names = |database: &Database| database.query("select k, word from names order by lower(k)");
    assert_eq!(names(&pair.destination), "ADA|here");
    if pair.source.kind() != Kind::Postgres {
        return;
    }
    pair.source.execute("alter table names alter k type citext");
    for change in ["select 1", "update names set k = 'BOB' where k = 'bob'"] {
        pair.source.execute(change);
        let run = run(pair, &["names"], "mirror");
        assert_eq!(run["status"], "completed", "{run:#}");
        assert_eq!(names(&pair.destination), names(&pair.source));
    }
}

/// A run to its end, approved where it asks.
fn approved(pair: &Pair, names: &[&str], mode: &str) -> Value {
    let run = pair.ask(&json!({"tables": names, "sync_mode": mode}));
    let run = run.expect(201).json();
    let id = run["id"].as_str().unwrap();
    let run = pair.run_until(id, "the run is over or asks", |run| {
        is_over(run) || run["status"] == "needs_approval"
    });
    if is_over(&run) {
        return run;
    }
    let target = format!("/runs/{id}/approve");
    let body = json!({"plan_hash": run["plan_hash"]});
    pair.taker.post(&target, &body).expect(200);
    pair.run_until(id, "the run is over", is_over)
}

fn run(pair: &Pair, names: &[&str], mode: &str) -> Value {
    let run = pair.ask(&json!({"tables": names, "sync_mode": mode}));
    let run = run.expect(201).json();
    pair.run_until(run["id"].as_str().unwrap(), "the run is over", is_over)
}
