//! Tables that cannot be pulled: each is refused before any row, or row by row, with words that name what and where.

use serde_json::json;

use crate::support::daemon::Site;
use crate::support::database::{Database, Kind};
use crate::support::pair::{Pair, connection};

const THERE: &str = "
create table fine (id integer primary key, name text);
insert into fine values (1, 'one');
create table private (id integer primary key);
create table absent (id integer primary key);
create table keyless (id integer, name text);
create table nullkey (id integer unique, name text);
create table wider (id integer primary key, name text, colour text, size text);
create table kinds (id integer primary key, amount text);
create table blobs (id integer primary key, body bytea);
create table unfilled (id integer primary key);
create table otherkey (id integer primary key, code text not null);
create table narrow (
    region text, id bigint, name varchar(40), amount numeric(12,4), n bigint, primary key (region, id));
insert into narrow values
    ('north', 1, 'fits', 1.25, 1),
    ('north', 2, 'this name is too long', 1.25, 2),
    ('south', 3, 'amount', 123456.7800, 3),
    ('south', 4, 'digits', 1.2345, 4),
    ('south', 5, 'n', 1.25, 5000000000),
    ('south', 6, 'fits as well', 999.9900, 6);
";

const HERE: &str = "
create table fine (id integer primary key, name text);
create table private (id integer primary key);
create table keyless (id integer, name text);
create table nullkey (id integer unique, name text);
create table wider (id integer primary key, name text);
create table kinds (id integer primary key, amount integer);
create table blobs (id integer primary key, body text);
create table unfilled (id integer primary key, added text not null);
create table otherkey (id integer, code text primary key);
create table narrow (
    region text, id bigint, name varchar(12), amount numeric(5,2), n integer, primary key (region, id));
create table family (id integer primary key);
create table child () inherits (family);
";

/// A pull that fails as a whole.
struct Case {
    name: &'static str,
    arguments: &'static [&'static str],
    /// The run's `error.code`.
    error: &'static str,
    /// What the message has to name.
    words: &'static [&'static str],
}

const CASES: [Case; 11] = [
    Case {
        name: "unknown there",
        arguments: &["ghosts"],
        error: "unknown_table",
        words: &["ghosts", "127.0.0.1", "evenkeel tables"],
    },
    Case {
        name: "not granted",
        arguments: &["private"],
        error: "not_granted",
        words: &["private", "grant"],
    },
    Case {
        name: "missing here",
        arguments: &["absent"],
        error: "missing_here",
        words: &["absent", "--create"],
    },
    Case {
        name: "without a key",
        arguments: &["keyless"],
        error: "no_key",
        words: &["keyless", "no usable key", "primary key"],
    },
    Case {
        name: "with a key that may be NULL",
        arguments: &["nullkey"],
        error: "no_key",
        words: &["nullkey", "no usable key"],
    },
    Case {
        name: "with another key here",
        arguments: &["otherkey"],
        error: "no_key",
        words: &["otherkey", "(id)", "(code)"],
    },
    Case {
        name: "with columns that are missing here",
        arguments: &["wider"],
        error: "missing_column",
        words: &["wider", "colour", "size"],
    },
    Case {
        name: "text into a number",
        arguments: &["kinds"],
        error: "kind_mismatch",
        words: &["kinds", "amount", "text", "integer"],
    },
    Case {
        name: "bytes into text",
        arguments: &["blobs"],
        error: "kind_mismatch",
        words: &["blobs", "body", "bytea", "text"],
    },
    Case {
        name: "a column only here that takes nothing",
        arguments: &["unfilled"],
        error: "unfilled_column",
        words: &["unfilled", "added", "default"],
    },
    Case {
        name: "a good table beside a bad one",
        arguments: &["fine", "kinds"],
        error: "kind_mismatch",
        words: &["kinds", "amount"],
    },
];

fn pair() -> Pair {
    let source = Database::with(Kind::Postgres, THERE);
    source.execute("create table family (id integer primary key)");
    Pair::builder(source, Database::with(Kind::Postgres, HERE))
        .grant(json!({"tables": "*", "excluded_tables": ["private"]}))
        .start()
}

#[test]
fn a_table_that_cannot_be_pulled_is_refused_before_any_row_and_by_name() {
    let pair = pair();
    for case in CASES {
        let name = case.name;
        let pulled = pair.pull(case.arguments);
        assert_eq!(pulled.output.code, 1, "{name}: {pulled:#?}");
        assert_eq!(pulled.run["status"], "failed", "{name}: {:#}", pulled.run);
        assert_eq!(
            pulled.run["error"]["code"], case.error,
            "{name}: {:#}",
            pulled.run
        );
        assert_eq!(pulled.changes(), (0, 0, 0), "{name}");

        let said = pair
            .taker
            .cli(&[&["pull", "berlin"], case.arguments].concat());
        assert_eq!(said.code, 1, "{name}: {said:#?}");
        for word in case.words {
            assert!(
                said.stderr.contains(word),
                "{name}: `{word}` is missing: {said:#?}"
            );
        }
    }
    assert_eq!(
        pair.destination.count("fine"),
        0,
        "nothing was written for a run that cannot be done as a whole"
    );

    let family = pair.pull(&["family"]);
    assert_eq!(family.run["error"]["code"], "not_writable", "{family:#?}");
}

#[test]
fn a_value_that_is_too_wide_keeps_its_row_out_and_no_other() {
    let pair = pair();
    let pulled = pair.pull(&["narrow"]);
    assert_eq!(pulled.output.code, 1, "{pulled:#?}");
    assert_eq!(pulled.run["status"], "completed_with_errors", "{pulled:#?}");
    assert_eq!(pulled.changes(), (2, 0, 0), "{pulled:#?}");
    assert_eq!(pulled.table("narrow")["rows_failed"], 4, "{pulled:#?}");
    assert_eq!(pulled.run["rows_failed"], 4, "{pulled:#?}");
    let here = "select id, name, amount, n from narrow order by id";
    assert_eq!(
        pair.destination.query(here),
        "1|fits|1.25|1\n6|fits as well|999.99|6"
    );

    let id = pulled.run["id"].as_str().unwrap();
    let errors = pair.taker.get(&format!("/runs/{id}/errors"));
    let mut found: Vec<(String, String)> = Vec::new();
    for item in errors["items"].as_array().unwrap() {
        assert_eq!(item["table"], "narrow", "{errors:#}");
        assert!(!item["key"]["region"].is_null(), "{errors:#}");
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        assert!(
            !text(&item["reason"]).contains("too long"),
            "no values in a reason: {errors:#}"
        );
        found.push((text(&item["key"]["id"]), text(&item["column"])));
    }
    found.sort();
    let expected = [("2", "name"), ("3", "amount"), ("4", "amount"), ("5", "n")];
    assert_eq!(
        found,
        expected.map(|(id, column)| (id.to_owned(), column.to_owned()))
    );

    let shown = pair.taker.cli(&["runs", "errors", id]);
    assert_eq!(shown.code, 0, "{shown:#?}");
    for word in ["narrow", "south", "amount"] {
        assert!(shown.stdout.contains(word), "{shown:#?}");
    }

    // The same rows are tried again, and fit once they have been mended.
    pair.source
        .execute("update narrow set name = 'short', amount = 1, n = 1");
    assert_eq!(pair.pull(&["narrow"]).completed().changes(), (4, 2, 0));
}

#[test]
fn a_row_that_the_destination_refuses_keeps_no_other_out() {
    let there = "create table parts (id integer primary key, grade integer, code text not null);
        insert into parts select i, i, 'code ' || i from generate_series(1, 500) i;";
    let here = "create table parts (id integer primary key, grade integer check (grade not in (17, 333)), code text unique);
        insert into parts values (1001, 1, 'code 50');";
    for to in [Kind::Postgres, Kind::Sqlite] {
        let pair = Pair::builder(
            Database::with(Kind::Postgres, there),
            Database::with(to, here),
        )
        .start();
        let pulled = pair.pull(&["parts"]);
        assert_eq!(
            pulled.run["status"], "completed_with_errors",
            "{to:?}: {pulled:#?}"
        );
        assert_eq!(pulled.changes(), (497, 0, 0), "{to:?}: {pulled:#?}");
        let id = pulled.run["id"].as_str().unwrap();
        let errors = pair.taker.get(&format!("/runs/{id}/errors"));
        let items = errors["items"].as_array().unwrap().iter();
        let mut keys: Vec<&str> = items
            .map(|item| item["key"]["id"].as_str().unwrap())
            .collect();
        keys.sort_unstable();
        assert_eq!(keys, ["17", "333", "50"], "{to:?}: {errors:#}");
        assert_eq!(pair.destination.count("parts"), 498, "{to:?}");
    }
}

#[test]
fn a_table_with_too_many_bad_rows_fails_and_says_how_they_begin() {
    let there = "create table names (id integer primary key, name text);
        insert into names select i, repeat('x', i % 20) from generate_series(1, 1000) i;";
    let here = "create table names (id integer primary key, name varchar(5))";
    let pair = Pair::builder(
        Database::with(Kind::Postgres, there),
        Database::with(Kind::Postgres, here),
    )
    .taker("quarantine.max_rows", 20)
    .start();
    let pulled = pair.pull(&["names"]);
    assert_eq!(
        (pulled.output.code, &pulled.run["status"]),
        (1, &json!("failed")),
        "{pulled:#?}"
    );
    assert_eq!(
        pulled.run["error"]["code"], "too_many_rejected",
        "{pulled:#?}"
    );
    let message = pulled.run["error"]["message"].as_str().unwrap();
    for word in ["names", "20", "name"] {
        assert!(message.contains(word), "{message}");
    }
}

#[test]
fn a_table_that_cannot_be_read_fails_and_those_beside_it_are_pulled() {
    let tables = "create table bad (id integer primary key, n integer);
        create table fine (id integer primary key, n integer);";
    let there = format!(
        "{tables} insert into bad values (1, 1), (2, 'two'); insert into fine values (1, 1), (2, 2);"
    );
    let full = "insert into bad values (1, 0); insert into fine values (1, 0), (3, 3);";
    for (what, here, changes) in [
        ("copied", tables.to_owned(), (2, 0, 0)),
        ("compared", format!("{tables} {full}"), (1, 1, 0)),
    ] {
        let pair = Pair::builder(
            Database::with(Kind::Sqlite, &there),
            Database::with(Kind::Sqlite, &here),
        )
        .start();
        let pulled = pair.pull(&["bad", "fine", "--mode", "mirror"]);
        assert_eq!(pulled.output.code, 1, "{what}: {pulled:#?}");
        assert_eq!(pulled.run["status"], "failed", "{what}: {pulled:#?}");
        for error in [&pulled.run["error"], &pulled.table("bad")["error"]] {
            assert_eq!(error["code"], "unreadable_value", "{what}: {pulled:#?}");
            let message = error["message"].as_str().unwrap();
            assert!(message.contains("bad"), "{what}: {message}");
        }
        let fine = pulled.table("fine");
        assert_eq!(fine["status"], "completed", "{what}: {pulled:#?}");
        assert_eq!(fine["proved_equal"], true, "{what}: {pulled:#?}");
        assert!(fine["error"].is_null(), "{what}: {pulled:#?}");
        assert_eq!(pulled.changes(), changes, "{what}: {pulled:#?}");
        let rows = "select id, n from fine order by id";
        assert_eq!(pair.destination.query(rows), "1|1\n2|2", "{what}");

        pair.source.execute("update bad set n = 2 where id = 2");
        let both = pair.pull(&["bad", "fine", "--mode", "mirror"]);
        both.completed();
        assert_eq!(pair.destination.count("bad"), 2, "{what}");
    }
}

#[test]
fn a_wrong_password_is_refused_in_the_peers_words_and_leaves_no_connection() {
    let database = || Database::with(Kind::Sqlite, "create table fine (id integer primary key)");
    let (one, other) = (database(), database());
    let rome = Site::builder("rome").database(&one.url()).start();
    let oslo = Site::builder("oslo").database(&other.url()).start();
    let password = oslo.folder().join("password");
    std::fs::write(&password, "open sesame\n").unwrap();
    for words in [
        &["settings", "set", "incoming_mode", "require_password"][..],
        &[
            "settings",
            "set",
            "incoming_password",
            "--password-file",
            password.to_str().unwrap(),
        ],
    ] {
        let set = oslo.cli(words);
        assert_eq!(set.code, 0, "{set:#?}");
        assert!(!set.stdout.contains("sesame"), "{set:#?}");
    }
    let url = oslo.url();
    let connect = |password: Option<&str>| {
        let mut command = rome.command();
        command.args(["connect", &url, "--tables", "fine", "--name", "oslo"]);
        command.envs(password.map(|password| ("EVENKEEL_PASSWORD", password)));
        let output = command.stdin(std::process::Stdio::null()).output().unwrap();
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    for (password, words) in [
        (None, "Password required"),
        (Some("open barley"), "Invalid password"),
    ] {
        let (code, said) = connect(password);
        assert_eq!(code, Some(4), "{said}");
        assert!(said.contains(words), "{said}");
        assert_eq!(rome.get("/connections")["items"], json!([]));
        assert_eq!(oslo.get("/connections")["items"], json!([]));
    }
    let (code, said) = connect(Some("open sesame"));
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(connection(&oslo, "rome")["status"], "pending");
}
