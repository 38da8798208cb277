//! Looking first: what a run would do, told, approved and carried out, and nothing else.

use serde_json::{Value, json};

use crate::support::daemon::Output;
use crate::support::database::{Database, KINDS, Kind};
use crate::support::pair::{Pair, connection};

const TABLE: &str =
    "create table prices (id integer primary key, name varchar(40), changed integer)";

fn table(rows: &str) -> String {
    format!("{TABLE}; insert into prices values {rows}")
}

const THERE: &str = "(1, 'equal', 5), (2, 'theirs', 7), (3, 'only there', 1), (4, 'older', 2)";
const HERE: &str = "(1, 'equal', 5), (2, 'ours', 6), (4, 'newer', 3), (9, 'only here', 1)";

fn pair(kind: Kind) -> Pair {
    let source = Database::with(Kind::Postgres, &table(THERE));
    Pair::builder(source, Database::with(kind, &table(HERE))).start()
}

fn rows(database: &Database) -> String {
    database.query("select id, name, changed from prices order by id")
}

/// The lines of a command, which come in no particular order.
fn lines(output: &Output) -> Vec<String> {
    let mut lines: Vec<String> = output.stdout.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// Orders a pull that asks, and gives the run that waits.
fn asked(pair: &Pair, mode: &str) -> Value {
    let body = json!({"tables": ["prices"], "sync_mode": mode, "apply": "ask"});
    let run = pair.ask(&body).expect(201).json();
    pair.run_is(run["id"].as_str().unwrap(), "needs_approval")
}

fn approve(pair: &Pair, run: &Value, hash: &str) -> crate::support::http::Answer {
    let target = format!("/runs/{}/approve", run["id"].as_str().unwrap());
    pair.taker.post(&target, &json!({ "plan_hash": hash }))
}

#[test]
fn a_diff_names_every_row_that_differs_and_changes_nothing() {
    for kind in KINDS {
        let pair = pair(kind);
        let before = rows(&pair.destination);
        let output = pair.taker.cli(&["diff", "berlin", "prices"]);
        assert_eq!(output.code, 1, "{kind:?}: {output:#?}");
        let expected = [
            "prices\t+\tid=3\t",
            "prices\t-\tid=9\t",
            "prices\t~\tid=2\tname, changed",
            "prices\t~\tid=4\tname, changed",
        ];
        assert_eq!(lines(&output), expected, "{kind:?}");
        assert!(
            output.stderr.contains("1 to add, 2 to update, 1 to delete"),
            "{output:#?}"
        );
        assert_eq!(rows(&pair.destination), before, "{kind:?}");
        let few = pair.taker.cli(&["diff", "berlin", "prices", "--rows", "2"]);
        assert_eq!(lines(&few).len(), 2, "{few:#?}");
        assert!(few.stderr.contains("runs differences"), "{few:#?}");

        pair.pull(&["prices", "--mode", "mirror"]).completed();
        assert_eq!(rows(&pair.destination), rows(&pair.source), "{kind:?}");
        let equal = pair.taker.cli(&["diff", "berlin", "prices"]);
        assert_eq!((equal.code, equal.stdout.as_str()), (0, ""), "{equal:#?}");
    }
}

#[test]
fn a_dry_run_tells_what_its_mode_would_do() {
    let pair = pair(Kind::Sqlite);
    let before = rows(&pair.destination);
    for (options, expected) in [
        (&["--mode", "insert"][..], &["prices\t+\tid=3\t"][..]),
        (
            &["--mode", "update"],
            &[
                "prices\t~\tid=2\tname, changed",
                "prices\t~\tid=4\tname, changed",
            ],
        ),
        (&["--mode", "update", "--conflict", "skip"], &[]),
    ] {
        let command = [&["pull", "berlin", "prices", "--dry-run"], options].concat();
        let output = pair.taker.cli(&command);
        assert_eq!(lines(&output), expected, "{options:?}: {output:#?}");
        assert_eq!(output.code, i32::from(!expected.is_empty()), "{output:#?}");
    }
    let json = pair
        .taker
        .cli(&["--json", "pull", "berlin", "prices", "--dry-run"]);
    let last: Value = serde_json::from_str(json.stdout.lines().last().unwrap()).unwrap();
    assert_eq!((json.code, &last["apply"]), (1, &json!("no")), "{last:#}");
    assert_eq!(last["status"], "completed");
    assert_eq!(rows(&pair.destination), before);
    // What was only looked at was written by nobody.
    let listed = pair.taker.cli(&["status"]);
    assert_eq!(listed.code, 0, "{listed:#?}");
}

#[test]
fn what_is_approved_is_done_and_rows_that_moved_are_left() {
    for kind in KINDS {
        let pair = pair(kind);
        let before = rows(&pair.destination);
        let run = asked(&pair, "mirror");
        assert_eq!(run["completed_at"], Value::Null);
        assert_eq!(run["changes"]["deleted"], 1, "{run:#}");
        assert_eq!(rows(&pair.destination), before, "{kind:?}");
        let hash = run["plan_hash"].as_str().expect("a hash");
        approve(&pair, &run, &"0".repeat(64)).expect(409);

        pair.destination
            .execute("update prices set name = 'meanwhile' where id = 2");
        pair.source
            .execute("update prices set name = 'later' where id = 4");
        pair.source
            .execute("insert into prices values (5, 'later', 1)");
        approve(&pair, &run, hash).expect(200);
        let id = run["id"].as_str().unwrap();
        let done = pair.run_until(id, "the run is over", |run| run["completed_at"].is_string());
        let expected = "1|equal|5\n2|meanwhile|6\n3|only there|1\n4|newer|3";
        assert_eq!(rows(&pair.destination), expected, "{kind:?}: {done:#}");
        assert_eq!(done["changes"]["moved"], 3, "{kind:?}: {done:#}");
        assert_eq!(done["status"], "completed_with_errors", "{kind:?}");
        assert_eq!(done["tables"][0]["error"]["code"], "rows_moved", "{done:#}");
        approve(&pair, &run, hash).expect(409);
    }
}

#[test]
fn rows_that_came_after_the_plan_are_told_and_left_to_the_next_run() {
    let pair = pair(Kind::Sqlite);
    let run = asked(&pair, "upsert");
    pair.source
        .execute("insert into prices values (5, 'later', 1)");
    let id = run["id"].as_str().unwrap();
    let approved = pair.taker.cli(&["runs", "approve", id, "--yes"]);
    assert_eq!(approved.code, 1, "{approved:#?}");
    for told in [
        "1 rows are no longer",
        "the next run decides",
        "stay as they are here",
    ] {
        assert!(approved.stderr.contains(told), "{approved:#?}");
    }
    let status = pair.taker.cli(&["status"]);
    assert!(!status.stdout.contains("quarantined"), "{status:#?}");
    pair.pull(&["prices"]).completed();
    assert_eq!(pair.taker.cli(&["status"]).code, 0);
}

#[test]
fn a_row_that_came_after_the_plan_gives_its_place_to_none_of_it() {
    let table = |rows: &str, collation: &str| {
        format!(
            "create table t (code varchar(9) {collation} primary key not null, name varchar(9)); insert into t values {rows}"
        )
    };
    let here = ["c", "d", "e", "f", "g", "h", "i", "j"].map(|code| format!("('{code}', 'ours')"));
    let source = Database::with(Kind::Postgres, &table("('ABC', 'theirs'), ('Y', 'y')", ""));
    let destination = Database::with(Kind::Sqlite, &table(&here.join(","), "collate nocase"));
    let pair = Pair::builder(source, destination).start();
    let body = json!({"tables": ["t"], "apply": "ask"});
    let run = pair.ask(&body).expect(201).json();
    let run = pair.run_is(run["id"].as_str().unwrap(), "needs_approval");
    pair.destination
        .execute("insert into t values ('abc', 'added'), ('zz', 'added')");
    approve(&pair, &run, run["plan_hash"].as_str().unwrap()).expect(200);
    let id = run["id"].as_str().unwrap();
    let done = pair.run_until(id, "the run is over", |run| run["completed_at"].is_string());
    assert_eq!(done["status"], "completed_with_errors", "{done:#}");
    let told = ["added", "updated", "moved"].map(|what| &done["changes"][what]);
    assert_eq!(told, [1, 0, 0], "{done:#}");
    let errors = pair.taker.get(&format!("/runs/{id}/errors"));
    let reason = errors["items"][0]["reason"].as_str().unwrap();
    assert!(reason.starts_with("key_collision"), "{errors:#}");
    let rows = "select code, name from t where code in ('abc', 'Y') order by code";
    assert_eq!(pair.destination.query(rows), "abc|added\nY|y");
}

#[test]
fn what_an_approval_lets_go_on_also_fills_the_tables_that_were_empty() {
    let tables = format!(
        "{TABLE}; create table sold (id integer primary key, price integer references prices (id))"
    );
    let there = format!(
        "{tables}; insert into prices values {THERE}; insert into sold values (1, 3), (2, 4)"
    );
    let many: Vec<String> = (10..=40).map(|id| format!("({id}, 'x', 1)")).collect();
    let here = format!("{tables}; insert into prices values {}", many.join(","));
    for kind in KINDS {
        let source = Database::with(Kind::Postgres, &there);
        let pair = Pair::builder(source, Database::with(kind, &here)).start();
        let body = json!({"tables": ["prices", "sold"], "sync_mode": "mirror"});
        let run = pair.ask(&body).expect(201).json();
        let run = pair.run_is(run["id"].as_str().unwrap(), "needs_approval");
        assert_eq!(run["changes"]["added"], 6, "{run:#}");
        assert_eq!(run["changes"]["deleted"], 31, "{run:#}");
        let id = run["id"].as_str().unwrap();
        let approved = pair.taker.cli(&["runs", "approve", id, "--yes"]);
        assert_eq!(approved.code, 0, "{kind:?}: {approved:#?}");
        assert_eq!(rows(&pair.destination), rows(&pair.source), "{kind:?}");
        let sold = "select id, price from sold order by id";
        assert_eq!(pair.destination.query(sold), "1|3\n2|4", "{kind:?}");
    }
}

#[test]
fn what_is_done_already_of_what_was_approved_has_not_moved() {
    for kind in KINDS {
        let pair = pair(kind);
        let run = asked(&pair, "mirror");
        // As by an attempt that was killed in the middle of it.
        pair.destination.execute(
            "insert into prices values (3, 'only there', 1); delete from prices where id = 9",
        );
        let hash = run["plan_hash"].as_str().expect("a hash");
        approve(&pair, &run, hash).expect(200);
        let id = run["id"].as_str().unwrap();
        let done = pair.run_until(id, "the run is over", |run| run["completed_at"].is_string());
        assert_eq!(done["status"], "completed", "{kind:?}: {done:#}");
        assert_eq!(done["tables"][0]["proved_equal"], true, "{done:#}");
        let changes = ["added", "updated", "deleted", "moved"].map(|what| &done["changes"][what]);
        assert_eq!(changes, [0, 2, 0, 0], "{done:#}");
        assert_eq!(rows(&pair.destination), rows(&pair.source), "{kind:?}");
    }
}

#[test]
fn nothing_waits_where_there_is_nothing_to_do() {
    let pair = pair(Kind::Sqlite);
    pair.pull(&["prices"]).completed();
    let body = json!({"tables": ["prices"], "apply": "ask"});
    let run = pair.pull_as(&body);
    assert_eq!(
        (&run["status"], &run["apply"]),
        (&json!("completed"), &json!("ask"))
    );
}

#[test]
fn a_run_that_waits_is_told_shown_and_approved_by_the_command() {
    let pair = pair(Kind::Sqlite);
    let run = asked(&pair, "upsert");
    let id = run["id"].as_str().unwrap();
    let status = pair.taker.cli(&["status"]);
    assert_eq!(status.code, 1);
    let command = format!("evenkeel runs approve {id}");
    assert!(status.stdout.contains(&command), "{status:#?}");
    let listed = pair.taker.cli(&["runs", "differences", id]);
    assert_eq!(lines(&listed).len(), 3, "{listed:#?}");
    let of_one = pair
        .taker
        .get(&format!("/runs/{id}/differences?table=prices&limit=2"));
    assert_eq!(of_one["items"].as_array().unwrap().len(), 2);
    assert!(of_one["next_cursor"].is_string());
    let of_none = pair
        .taker
        .get(&format!("/runs/{id}/differences?table=other"));
    assert_eq!(of_none["items"], json!([]));

    // Nobody is there to be asked.
    let unasked = pair.taker.cli(&["runs", "approve", id]);
    assert_eq!(unasked.code, 2, "{unasked:#?}");
    let other = pair
        .taker
        .cli(&["runs", "approve", id, "--yes", "--plan", "5f00"]);
    assert_eq!(other.code, 4, "{other:#?}");
    let approved = pair.taker.cli(&["runs", "approve", id, "--yes"]);
    assert_eq!(approved.code, 0, "{approved:#?}");
    let expected = "1|equal|5\n2|theirs|7\n3|only there|1\n4|older|2\n9|only here|1";
    assert_eq!(rows(&pair.destination), expected);
    assert_eq!(pair.taker.cli(&["status"]).code, 0);
    let again = pair.taker.cli(&["runs", "approve", id, "--yes"]);
    assert_eq!(again.code, 4, "{again:#?}");
}

#[test]
fn a_mirror_asks_before_it_deletes_much_and_an_unapproved_run_can_be_turned_down() {
    let many: Vec<String> = (1..=40).map(|id| format!("({id}, 'x', 1)")).collect();
    let source = Database::with(Kind::Sqlite, &table(&many[..20].join(",")));
    let destination = Database::with(Kind::Sqlite, &table(&many.join(",")));
    let pair = Pair::builder(source, destination).start();
    let refused = pair
        .taker
        .cli(&["pull", "berlin", "prices", "--mode", "mirror"]);
    assert_eq!(refused.code, 4, "{refused:#?}");
    assert!(refused.stderr.contains("20 of 40 rows"), "{refused:#?}");
    assert!(refused.stderr.contains("runs approve"), "{refused:#?}");
    assert_eq!(pair.destination.count("prices"), 40);
    let runs = pair.taker.get("/runs?status=needs_approval");
    let id = runs["items"][0]["id"].as_str().unwrap();
    assert_eq!(pair.taker.cli(&["runs", "cancel", id]).code, 0);
    assert_eq!(pair.run(id)["status"], "cancelled");
    assert_eq!(pair.taker.cli(&["status"]).code, 0);
    assert_eq!(pair.destination.count("prices"), 40);
    // Few go at once.
    pair.destination.execute("delete from prices where id > 25");
    pair.pull(&["prices", "--mode", "mirror"]).completed();
    assert_eq!(pair.destination.count("prices"), 20);
}

#[test]
fn the_newer_row_wins_and_ours_at_a_tie() {
    for kind in KINDS {
        let pair = pair(kind);
        pair.source
            .execute("update prices set name = 'another' where id = 1");
        let newest = [
            "prices",
            "--conflict",
            "newest",
            "--version-column",
            "changed",
        ];
        let pulled = pair.pull(&newest);
        let expected = "1|equal|5\n2|theirs|7\n3|only there|1\n4|newer|3\n9|only here|1";
        assert_eq!(rows(&pair.destination), expected, "{kind:?}: {pulled:#?}");
        assert_eq!(pulled.run["status"], "completed", "{pulled:#?}");
    }
    // What another version column says is looked at anew, though no row has changed.
    let table = |row: &str| {
        format!(
            "create table t (id integer primary key, name varchar(9), v integer, w integer); insert into t values {row}"
        )
    };
    let source = Database::with(Kind::Sqlite, &table("(1, 'theirs', 1, 9)"));
    let destination = Database::with(Kind::Sqlite, &table("(1, 'ours', 5, 5)"));
    let two = Pair::builder(source, destination).start();
    for (version, expected) in [("v", "ours"), ("w", "theirs")] {
        let newest = ["t", "--conflict", "newest", "--version-column", version];
        two.pull(&newest).completed();
        assert_eq!(two.destination.query("select name from t"), expected);
    }
    let pair = pair(Kind::Sqlite);
    let unknown = [
        "prices",
        "--conflict",
        "newest",
        "--version-column",
        "colour",
    ];
    let refused = pair.pull(&unknown);
    assert_eq!(refused.run["status"], "failed", "{refused:#?}");
    let message = refused.run["error"]["message"].as_str().unwrap();
    assert!(message.contains("version column colour"), "{message}");
    assert_eq!(connection(&pair.taker, "berlin")["status"], "active");
}
