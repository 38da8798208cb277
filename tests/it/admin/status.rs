//! `/status` and the command: what is told, what to type, and when it is over.

use serde_json::{Value, json};

use crate::admin::{problem, site};
use crate::support::daemon::Site;
use crate::support::database::{Database, Kind};
use crate::support::http::Request;
use crate::support::pair::Pair;
use crate::support::wait;

const NOTES: &str = "create table notes (id integer primary key, body text not null);
    insert into notes values (1, 'one'), (2, 'two and more')";

fn told(site: &Site) -> Vec<Value> {
    site.get("/status")["items"].as_array().unwrap().clone()
}

fn only(site: &Site) -> Value {
    let told = told(site);
    assert_eq!(told.len(), 1, "{told:#?}");
    told.into_iter().next().unwrap()
}

/// The command of a hint after `before`, without its `evenkeel`, as words.
fn command<'a>(hint: &'a str, before: &str) -> Vec<&'a str> {
    let (_, rest) = hint.split_once(before).unwrap_or_else(|| panic!("{hint}"));
    let end = rest.find([';', '(', ')', ',']).unwrap_or(rest.len());
    let words: Vec<&str> = rest[..end].split_whitespace().collect();
    assert_eq!(words[0], "evenkeel", "{hint}");
    words[1..].to_vec()
}

#[test]
fn a_healthy_site_tells_nothing() {
    let site = site();
    assert_eq!(
        site.get("/status"),
        json!({"items": [], "next_cursor": null})
    );
    let output = site.cli(&["--json", "status"]);
    assert_eq!(
        (output.code, output.stdout.as_str()),
        (0, ""),
        "{output:#?}"
    );
}

#[test]
fn a_failed_run_is_told_until_what_it_says_to_type_was_typed() {
    let pair = Pair::builder(
        Database::with(Kind::Sqlite, NOTES),
        Database::empty(Kind::Sqlite),
    )
    .start();
    let site = &pair.taker;
    assert_eq!(pair.pull(&["notes"]).output.code, 1);
    let failed = only(site);
    assert_eq!(failed["event"], "run_failed", "{failed:#}");
    assert_eq!(failed["what"], "notes from berlin", "{failed:#}");
    assert!(
        failed["cause"].as_str().unwrap().starts_with("run_failed:"),
        "{failed:#}"
    );
    assert!(
        failed["since"].is_string() && failed["next_attempt_at"].is_null(),
        "{failed:#}"
    );
    let line = site.cli(&["status"]);
    assert_eq!(
        (line.code, line.stdout.lines().count()),
        (1, 1),
        "{line:#?}"
    );
    let as_json: Value = serde_json::from_str(&site.cli(&["--json", "status"]).stdout).unwrap();
    assert_eq!(as_json, failed);

    assert_eq!(pair.pull(&["notes"]).output.code, 1);
    assert_eq!(
        only(site)["cause"],
        failed["cause"],
        "the same cause as before"
    );

    pair.destination
        .execute("create table notes (id integer primary key, body text not null)");
    let typed = site.cli(&command(failed["hint"].as_str().unwrap(), "again: "));
    assert_eq!(typed.code, 0, "{typed:#?}");
    assert_eq!(told(site), [Value::Null; 0]);
}

#[test]
fn quarantined_rows_are_told_with_where_they_stand_until_somebody_knows() {
    let narrow = "create table notes (id integer primary key, body varchar(5) not null)";
    let pair = Pair::builder(
        Database::with(Kind::Sqlite, NOTES),
        Database::with(Kind::Postgres, narrow),
    )
    .start();
    let site = &pair.taker;
    assert_eq!(pair.pull(&["notes"]).output.code, 1);
    let left = only(site);
    assert_eq!(left["event"], "rows_quarantined", "{left:#}");
    assert_eq!(left["message"], "1 rows quarantined in notes", "{left:#}");
    let hint = left["hint"].as_str().unwrap();
    let rows = site.cli(&command(hint, ""));
    assert!(
        rows.code == 0 && rows.stdout.contains("notes\tid=2\tbody"),
        "{rows:#?}"
    );

    let known = site.cli(&command(hint, "(or: "));
    assert_eq!(known.code, 0, "{known:#?}");
    assert_eq!(told(site), [Value::Null; 0]);
    assert_eq!(site.get("/audit")["items"][0]["action"], "run.dismiss");

    let tables = site.cli(&["--json", "tables", "berlin"]);
    let table: Value = serde_json::from_str(&tables.stdout).unwrap();
    assert_eq!(table["local"]["rows"], 1, "{table:#}");
    assert_eq!(table["comparison"], "different", "{table:#}");
    assert!(table["compared_at"].is_string(), "{table:#}");
}

#[test]
fn a_run_that_is_not_over_cannot_be_dismissed() {
    let mut pair = Pair::builder(
        Database::with(Kind::Sqlite, NOTES),
        Database::with(Kind::Sqlite, NOTES),
    )
    .start();
    pair.giver.stop();
    let id = pair.order(&["notes"]);
    pair.run_until(&id, "the first attempt fails", |run| {
        !run["error"].is_null()
    });
    let refused = pair.taker.post(&format!("/runs/{id}/dismiss"), &json!({}));
    problem(refused, 409, "run-not-over");

    let waits = told(&pair.taker);
    let run = waits
        .iter()
        .find(|item| item["event"] == "run_waiting")
        .unwrap_or_else(|| panic!("{waits:#?}"));
    assert!(run["next_attempt_at"].is_string(), "{run:#}");
    let stopped = pair
        .taker
        .cli(&command(run["hint"].as_str().unwrap(), "(or: "));
    assert_eq!(stopped.code, 0, "{stopped:#?}");
    assert!(
        told(&pair.taker)
            .iter()
            .all(|item| item["event"] != "run_waiting")
    );
}

#[test]
fn a_peer_that_answers_again_is_told_no_more_without_anybody_asking() {
    let source = Database::with(Kind::Sqlite, NOTES);
    let pair = Pair::builder(source, Database::with(Kind::Sqlite, NOTES));
    let mut pair = pair.taker("healing.interval", "1s").start();
    pair.giver.stop();
    let id = pair.order(&["notes"]);
    wait::until("the peer is missed", wait::LONG, || {
        let told = told(&pair.taker);
        told.iter()
            .any(|item| item["event"] == "peer_unreachable")
            .then_some(())
    });
    pair.taker.cli(&["runs", "cancel", &id]);
    assert_eq!(only(&pair.taker)["event"], "peer_unreachable");
    pair.giver.start();
    wait::until("nothing is left to tell", wait::LONG, || {
        told(&pair.taker).is_empty().then_some(())
    });
}

#[test]
fn metrics_count_what_is_told_by_kind() {
    let pair = Pair::builder(
        Database::with(Kind::Sqlite, NOTES),
        Database::empty(Kind::Sqlite),
    )
    .start();
    let metric = |event: &str| {
        let answer = Request::new("GET", "/metrics")
            .send(&pair.taker.admin_address())
            .unwrap();
        let text = answer.expect(200).text();
        let begin = format!("evenkeel_status{{event=\"{event}\"}} ");
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(&begin).map(str::to_owned));
        line.unwrap_or_else(|| panic!("{begin}\n{text}"))
    };
    assert_eq!(
        (metric("run_failed"), metric("peer_unreachable")),
        ("0".to_owned(), "0".to_owned())
    );
    assert_eq!(pair.pull(&["notes"]).output.code, 1);
    assert_eq!(
        (metric("run_failed"), metric("peer_unreachable")),
        ("1".to_owned(), "0".to_owned())
    );
}
