//! Tables without a key: mirrored as multisets, in which equal rows are counted and no row ever changes.
//!
//! What is there is told by the databases themselves, as lines in the order of their bytes.

mod changes;
mod refused;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::database::{Database, Kind};
use crate::support::pair::{Pair, connection};

/// A table of votes and other things that nobody numbers.
fn table(kind: Kind) -> &'static str {
    match kind {
        Kind::Postgres => "create table votes (choice text, amount numeric(9,2), at timestamp);",
        Kind::Sqlite => "create table votes (choice text, amount decimal(9,2), at timestamp);",
        Kind::Mariadb => {
            "create table votes (choice varchar(40), amount decimal(9,2), at datetime(6));"
        }
    }
}

const MOMENT: &str = "'2024-01-01 10:00:00.000001'";

/// So many rows of each choice, all equal; one that begins with `null` has nothing but NULL.
fn rows(of: &[(&str, usize)]) -> String {
    let row = |choice: &str| match choice {
        "null" => "(null, null, null)".to_owned(),
        choice => format!("('{choice}', 1.5, {MOMENT})"),
    };
    let rows: Vec<String> = of
        .iter()
        .flat_map(|(choice, times)| vec![row(choice); *times])
        .collect();
    format!("insert into votes values {};", rows.join(", "))
}

/// The rows as text, and how many there are of each.
fn multiset(database: &Database) -> BTreeMap<String, i64> {
    let values = match database.kind() {
        Kind::Postgres => "choice, amount, to_char(at, 'YYYY-MM-DD HH24:MI:SS.US')",
        // As it is stored: the same number in other digits is another row here.
        Kind::Sqlite => "choice, case when amount is not null then printf('%.2f', amount) end, at",
        Kind::Mariadb => "choice, amount, date_format(at, '%Y-%m-%d %H:%i:%s.%f')",
    };
    let lines = database.query(&format!("select {values}, 1 from votes order by 1, 2, 3"));
    let mut rows = BTreeMap::new();
    for line in lines.lines() {
        *rows.entry(line.to_owned()).or_default() += 1;
    }
    rows
}

fn assert_equal(pair: &Pair) {
    assert_eq!(multiset(&pair.destination), multiset(&pair.source));
}

/// From here on every row that anybody writes is noted.
fn watch(database: &Database) {
    database.execute("create table touched (what varchar(10), choice varchar(40));");
    for (event, row) in [("insert", "new"), ("update", "new"), ("delete", "old")] {
        let note = format!("insert into touched values ('{event}', {row}.choice)");
        database.execute(&match database.kind() {
            Kind::Postgres => format!(
                "create function note_{event}() returns trigger language plpgsql as
                 $$ begin {note}; return null; end $$;
                 create trigger note_{event} after {event} on votes for each row execute function note_{event}();"
            ),
            _ => format!("create trigger note_{event} after {event} on votes begin {note}; end;"),
        });
    }
}

/// What was written since it was last asked: how, what, how often.
fn touched(database: &Database) -> Vec<String> {
    let query =
        "select what, coalesce(choice, '-'), count(*) from touched group by 1, 2 order by 1, 2";
    let touched = database.query(query).lines().map(str::to_owned).collect();
    database.execute("delete from touched");
    touched
}

fn mirror(pair: &Pair) -> Value {
    pair.pull_as(&json!({"tables": ["votes"], "sync_mode": "mirror"}))
}

fn completed(pair: &Pair) -> Value {
    let run = mirror(pair);
    assert_eq!(run["status"], "completed", "{run:#}");
    assert_eq!(run["tables"][0]["proved_equal"], true, "{run:#}");
    run
}

fn counts(run: &Value) -> [u64; 4] {
    let changes = &run["tables"][0]["changes"];
    ["added", "updated", "deleted", "moved"].map(|what| changes[what].as_u64().unwrap())
}

/// A comparison, and what it tells: the sign of each row that differs.
fn diff(pair: &Pair) -> (Value, String) {
    let id = connection(&pair.taker, pair.giver.name())["id"].clone();
    let target = format!("/connections/{}/diff", id.as_str().unwrap());
    let run = pair.taker.post(&target, &json!({"tables": ["votes"]}));
    let id = run.expect(201).json()["id"].as_str().unwrap().to_owned();
    let run = pair.run_is(&id, "completed");
    let told = pair.taker.get(&format!("/runs/{id}/differences?limit=200"));
    let mut signs = String::new();
    for row in told["items"].as_array().unwrap() {
        assert_eq!((&row["key"], &row["columns"]), (&json!({}), &Value::Null));
        signs.push_str(if row["kind"] == "added" { "+" } else { "-" });
        assert_ne!(row["kind"], "updated");
    }
    (run, signs)
}

macro_rules! pairs {
    ($($name:ident: $from:ident => $to:ident;)+) => {
        $(#[test]
        fn $name() {
            equal_rows_are_counted_and_the_net_difference_is_written(Kind::$from, Kind::$to);
        })+
    };
}

pairs! {
    from_postgres_to_postgres: Postgres => Postgres;
    from_sqlite_to_postgres: Sqlite => Postgres;
    from_postgres_to_sqlite: Postgres => Sqlite;
    from_mariadb_to_sqlite: Mariadb => Sqlite;
}

fn equal_rows_are_counted_and_the_net_difference_is_written(from: Kind, to: Kind) {
    let there = [
        ("ja", 300),
        ("nein", 3),
        ("vielleicht", 1),
        ("null", 4),
        ("", 2),
        ("Ja", 1),
    ];
    let source = Database::with(from, &format!("{}{}", table(from), rows(&there)));
    let pair = Pair::builder(source, Database::with(to, table(to))).start();

    // The first copy fills an empty table.
    let first = completed(&pair);
    assert_eq!(counts(&first), [311, 0, 0, 0]);
    assert_equal(&pair);
    let id = first["id"].as_str().unwrap();
    let receipts = pair.taker.get(&format!("/runs/{id}/receipts"));
    let terms = receipts["items"][0]["terms"].as_str().unwrap();
    let terms: Value = serde_json::from_str(terms).unwrap();
    assert_eq!(
        (&terms["key"], &terms["committed"]["added"]),
        (&json!([]), &json!(311))
    );
    watch(&pair.destination);

    // Nothing changed: one question, and nothing is written.
    let again = completed(&pair);
    assert_eq!(counts(&again), [0; 4]);
    let bytes = again["tables"][0]["bytes_on_wire"].as_u64().unwrap();
    assert!(bytes < 1_000, "{bytes} bytes for nothing");
    assert_eq!(touched(&pair.destination), Vec::<String>::new());

    // More and fewer of what is there, and others.
    let one = |choice: &str| match to {
        Kind::Postgres => format!("ctid = (select min(ctid) from votes where {choice})"),
        _ => format!("rowid = (select min(rowid) from votes where {choice})"),
    };
    pair.destination.execute(&format!(
        "delete from votes where {}; delete from votes where choice = 'vielleicht';
         update votes set amount = 1.51 where {}; {}",
        one("choice is null"),
        one("choice = 'ja'"),
        rows(&[("nein", 2), ("null", 3), ("nur hier", 2)])
    ));
    touched(&pair.destination);
    let (found, signs) = diff(&pair);
    assert_eq!(counts(&found), [2, 0, 7, 0], "{found:#}");
    assert_eq!(found["tables"][0]["drift_before"], 9);
    assert_eq!(signs.matches('+').count(), 2, "{signs}");
    assert_eq!(signs.len(), 9);
    let printed = pair.taker.cli(&["diff", "berlin", "votes"]).stdout;
    assert_eq!(
        printed.matches("votes\t-\t(no key)\t").count(),
        7,
        "{printed}"
    );
    assert_eq!(
        touched(&pair.destination),
        Vec::<String>::new(),
        "comparing"
    );

    assert_eq!(counts(&completed(&pair)), [2, 0, 7, 0]);
    assert_equal(&pair);
    let expected = [
        "delete|-|2",
        "delete|ja|1",
        "delete|nein|2",
        "delete|nur hier|2",
        "insert|ja|1",
        "insert|vielleicht|1",
    ];
    assert_eq!(touched(&pair.destination), expected, "{from:?} {to:?}");
    assert_eq!(diff(&pair).1, "");

    // Rows that the source has more and fewer of.
    pair.source.execute(&format!(
        "delete from votes where choice = 'ja' or choice = ''; {}",
        rows(&[("ja", 5), ("nein", 1), ("null", 1), ("neu", 3)])
    ));
    // Too many are to be deleted for nobody to look.
    let order = json!({"tables": ["votes"], "sync_mode": "mirror"});
    let asked = pair.ask(&order).expect(201).json();
    let asked = pair.run_is(asked["id"].as_str().unwrap(), "needs_approval");
    approve(&pair, &asked);
    assert_equal(&pair);
    let expected = [
        "delete||2",
        "delete|ja|295",
        "insert|-|1",
        "insert|nein|1",
        "insert|neu|3",
    ];
    assert_eq!(touched(&pair.destination), expected);
    assert_eq!(counts(&completed(&pair)), [0; 4]);
}

/// Lets a run do what it waits to do.
fn approve(pair: &Pair, run: &Value) -> Value {
    let id = run["id"].as_str().unwrap();
    let plan = json!({"plan_hash": run["plan_hash"]});
    pair.taker
        .post(&format!("/runs/{id}/approve"), &plan)
        .expect(200);
    pair.run_until(id, "the run is over", |run| !run["completed_at"].is_null())
}
