//! What cannot be done without a key is refused by name, before any row; and what looks like a key on one side is none.

use serde_json::{Value, json};

use super::{multiset, rows, table};
use crate::support::database::{Database, Kind};
use crate::support::pair::Pair;

/// The code and words of a run that was refused.
fn fault(pair: &Pair, order: Value) -> (String, String, String) {
    let run = pair.pull_as(&order);
    assert_eq!(run["status"], "failed", "{run:#}");
    let error = &run["error"];
    let text = |what: &str| error[what].as_str().unwrap_or_default().to_owned();
    (text("code"), text("message"), text("hint"))
}

#[test]
fn only_a_mirror_of_whole_rows_does_without_a_key() {
    let source = Database::with(
        Kind::Postgres,
        &format!("{}{}", table(Kind::Postgres), rows(&[("ja", 2)])),
    );
    let wider =
        "create table votes (choice text, amount numeric(9,2), at timestamp, seen boolean);";
    let mirror = |more: Value| {
        let mut order = json!({"tables": ["votes"], "sync_mode": "mirror"});
        order
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        order
    };
    let pair = Pair::builder(source, Database::with(Kind::Postgres, wider)).start();
    for (name, order, words) in [
        (
            "other modes change rows by their keys",
            json!({"tables": ["votes"], "sync_mode": "upsert"}),
            ["no usable key", "--mode mirror"],
        ),
        (
            "what only is here would be lost with either of equal rows",
            mirror(json!({})),
            ["column seen", "primary key"],
        ),
        (
            "nothing conflicts",
            mirror(json!({"conflict_strategy": "skip"})),
            ["`skip` means nothing", "overwrite"],
        ),
        (
            "a key that is none",
            mirror(json!({"tables": [{"source_table": "votes", "primary_key": ["choice"]}]})),
            ["`primary_key` (choice)", "or none"],
        ),
    ] {
        let (code, message, hint) = fault(&pair, order);
        assert_eq!(code, "no_key", "{name}: {message}");
        let told = format!("{message}\n{hint}");
        for word in words {
            assert!(told.contains(word), "{name}: {told}");
        }
    }
    assert_eq!(multiset(&pair.destination).len(), 0);
}

#[test]
fn mariadb_keeps_no_table_without_a_key() {
    let there = format!("{}{}", table(Kind::Sqlite), rows(&[("ja", 2)]));
    let source = Database::with(Kind::Sqlite, &there);
    let pair = Pair::builder(source, Database::with(Kind::Mariadb, table(Kind::Mariadb))).start();
    let order = json!({"tables": ["votes"], "sync_mode": "mirror"});
    let (code, message, hint) = fault(&pair, order);
    assert_eq!(code, "no_key", "{message}");
    assert!(hint.contains("MariaDB"), "{hint}");
}

#[test]
fn rows_that_sqlite_has_no_number_for_are_refused_by_name() {
    let there = format!("{}{}", table(Kind::Sqlite), rows(&[("ja", 1)]));
    let source = Database::with(Kind::Sqlite, &there);
    let here = "create table votes (choice text primary key, amount decimal(9,2), at timestamp) without rowid;
        insert into votes values ('nein', null, null);";
    let pair = Pair::builder(source, Database::with(Kind::Sqlite, here)).start();
    let order = json!({"tables": ["votes"], "sync_mode": "mirror"});
    let (_, message, _) = fault(&pair, order);
    assert!(message.contains("without rowid"), "{message}");
    assert_eq!(pair.destination.query("select choice from votes"), "nein");
}
