//! Keys of other types: uuids in each engine's own form, decimals of several scales, moments and bytes together, and texts
//! longer than an index takes.

use serde_json::json;

use crate::live::is_over;
use crate::support::database::{Database, Kind};
use crate::support::is_thorough;
use crate::support::pair::Pair;

/// The tables, by what each engine calls their types.
fn tables(kind: Kind) -> String {
    let [uuid, decimal, moment, bytes, text] = match kind {
        Kind::Postgres => ["uuid", "numeric", "timestamp", "bytea", "text"],
        Kind::Sqlite => ["uuid", "decimal", "timestamp", "blob", "text"],
        Kind::Mariadb => [
            "uuid",
            "decimal(20,4)",
            "datetime(6)",
            "varbinary(40)",
            "varchar(300) collate utf8mb4_nopad_bin",
        ],
    };
    format!(
        "create table marks (id {uuid} not null primary key, word varchar(20));
         create table prices (amount {decimal} not null primary key, word varchar(20));
         create table moments (at {moment} not null, b {bytes} not null, n int not null, word varchar(20), primary key (b, n, at));
         create table texts (id {text} not null primary key, word varchar(20));"
    )
}

fn filled(kind: Kind) -> String {
    let bytes = |hex: &str| match kind {
        Kind::Postgres => format!("'\\x{hex}'"),
        Kind::Sqlite | Kind::Mariadb => format!("x'{hex}'"),
    };
    let moments: Vec<String> = ["", "00", "0000", "20", "ff", "61", "41"]
        .iter()
        .flat_map(|hex| {
            ["1969-12-31 23:59:59.999999", "2024-02-29 10:00:00.000001"]
                .map(|at| format!("('{at}', {}, 7, 'old')", bytes(hex)))
        })
        .collect();
    // SQLite keeps a uuid as it was written; the others do not.
    let texts: Vec<String> = ["a", "b"]
        .map(|last| format!("('{}{last}', 'old')", "l".repeat(254)))
        .into();
    format!(
        "{}
         insert into marks values ('A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', 'old'), ('b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'old');
         insert into prices values ('1.0', 'old'), ('2.50', 'old'), ('-3', 'old'), ('0', 'old'), ('12345678.3456', 'old');
         insert into moments values {};
         insert into texts values {};",
        tables(kind),
        moments.join(", "),
        texts.join(", ")
    )
}

const NAMES: [&str; 4] = ["marks", "prices", "moments", "texts"];

/// How many rows have each word, and that no key is there in two forms.
fn words(database: &Database) -> Vec<String> {
    let words = |table: &&str| {
        database.query(&format!(
            "select word, count(*) from {table} group by word order by word"
        ))
    };
    NAMES.iter().map(words).collect()
}

#[test]
fn keys_of_every_type_are_matched_and_those_that_fit_nowhere_refused() {
    let others = [
        (Kind::Mariadb, Kind::Postgres),
        (Kind::Sqlite, Kind::Postgres),
    ];
    let pairs = [
        (Kind::Postgres, Kind::Postgres),
        (Kind::Postgres, Kind::Sqlite),
        (Kind::Sqlite, Kind::Mariadb),
    ];
    let others = others.into_iter().filter(|_| is_thorough());
    for (from, to) in pairs.into_iter().chain(others) {
        let place = format!("{from:?} to {to:?}");
        let source = Database::with(from, &filled(from));
        let pair = Pair::builder(source, Database::with(to, &tables(to))).start();
        let mirror = || pair.pull_as(&json!({"tables": NAMES, "sync_mode": "mirror"}));
        let mut changes = vec![
            "select 1".to_owned(),
            "update marks set word = 'new'; update moments set word = 'new'; update texts set word = 'new';
             update prices set word = 'new' where amount > 1; delete from moments where at < '2000-01-01'"
                .to_owned(),
        ];
        if from == Kind::Postgres {
            // The same number, and the same key by its own `=`, in another form.
            changes.push("update prices set amount = 1.000 where amount = 1".to_owned());
        }
        for change in changes {
            pair.source.execute(&change);
            let run = mirror();
            assert_eq!(run["status"], "completed", "{place}, {change}: {run:#}");
            for table in run["tables"].as_array().unwrap() {
                assert_eq!(table["proved_equal"], true, "{place}, {change}: {run:#}");
            }
            assert_eq!(
                words(&pair.destination),
                words(&pair.source),
                "{place}, {change}"
            );
        }
        if (from, to) == (Kind::Postgres, Kind::Postgres) {
            let amounts = "select amount from prices order by 1";
            assert_eq!(pair.destination.query(amounts), pair.source.query(amounts));
        }
        too_long(&pair, (from, to));
    }
}

/// A key that the destination's index does not take is refused by name, and all others stay equal.
fn too_long(pair: &Pair, (from, to): (Kind, Kind)) {
    if from == Kind::Mariadb || to == Kind::Sqlite || from == Kind::Postgres {
        return;
    }
    // What cannot be squeezed into the index.
    pair.source.execute(
        "insert into texts select hex(randomblob(4000)), 'long'; insert into texts values ('short', 'new')",
    );
    for _ in 0..2 {
        let run = pair.ask(&json!({"tables": ["texts"], "sync_mode": "mirror"}));
        let run = run.expect(201).json();
        let run = pair.run_until(run["id"].as_str().unwrap(), "the run is over", is_over);
        assert_eq!(run["status"], "completed_with_errors", "{to:?}: {run:#}");
        assert_eq!(run["rows_failed"], 1, "{to:?}: {run:#}");
        let id = run["id"].as_str().unwrap();
        let kept = pair.taker.get(&format!("/runs/{id}/errors"));
        let reason = kept["items"][0]["reason"].as_str().unwrap();
        assert!(!reason.is_empty(), "{kept:#}");
        assert_eq!(pair.destination.count("texts"), 3, "{to:?}");
    }
    println!("{from:?} to {to:?}: a key of 8,000 characters is refused, the others arrive");
}
