//! Tables with more rows than a PhoenixKit site gives at once: completed, or told; never a short success.

use serde_json::{Value, json};

use super::{Taking, taking, taking_from};
use crate::support::database::{Database, Kind};
use crate::support::phoenix::{Phoenix, Version};
use crate::support::postgres;

const NOTES: &str = "create table notes (id bigint primary key, body text not null);";

fn notes(rows: u32) -> String {
    format!("{NOTES} insert into notes select i, 'note ' || i from generate_series(1, {rows}) i;")
}

/// Such a site that gives at most `most` rows at once.
fn cutting(version: Version, source: &str, here: &str, most: u64) -> Taking {
    let source = Database::with(Kind::Postgres, source);
    let phoenix = Phoenix::giving_at_most(version, &source.url(), most);
    taking_from(phoenix, source, Database::with(Kind::Postgres, here))
}

const SUM: &str = "select count(*), md5(string_agg(id || body, ',' order by id)) from notes";

#[test]
fn what_an_old_version_cuts_off_in_silence_is_completed_page_by_page() {
    let taking = taking(Version::Old, &notes(25_000), NOTES);
    let pulled = taking.pull(&["notes"]).completed();
    assert_eq!(pulled.changes(), (25_000, 0, 0), "{pulled:#?}");
    assert_eq!(pulled.table("notes")["rows_source"], 25_000);
    taking.same(SUM);
    let pages = taking.phoenix.heard("table-records");
    assert!((250..300).contains(&pages.len()), "{}", pages.len());
    assert!(pages.iter().all(|page| page["limit"] == 100));
}

#[test]
fn what_a_later_version_cuts_off_is_asked_for_by_ranges_of_the_key() {
    let taking = taking(Version::New, &notes(25_000), NOTES);
    let pulled = taking.pull(&["notes"]).completed();
    assert_eq!(pulled.changes(), (25_000, 0, 0), "{pulled:#?}");
    taking.same(SUM);
    let pulls = taking.phoenix.heard("pull-data");
    let starts: Vec<&Value> = pulls.iter().map(|body| &body["id_start"]).collect();
    assert_eq!(starts, [&Value::Null, &json!(10_001), &json!(20_001)]);
    assert!(taking.phoenix.heard("table-records").is_empty());
}

#[test]
fn keys_that_are_no_numbers_are_completed_page_by_page_too() {
    let made =
        "create table words (word text, lang char(2), n int not null, primary key (word, lang));";
    let rows = "insert into words select md5(i::text), 'de', i from generate_series(1, 700) i;";
    for version in [Version::Old, Version::New] {
        let taking = cutting(version, &format!("{made}{rows}"), made, 300);
        let pulled = taking.pull(&["words"]).completed();
        assert_eq!(pulled.changes(), (700, 0, 0), "{version:?} {pulled:#?}");
        taking.same("select count(*), sum(n) from words");
    }
}

#[test]
fn a_table_that_grew_beyond_the_limit_since_it_was_counted_is_not_taken_for_whole() {
    let taking = cutting(Version::Old, &notes(350), NOTES, 300);
    // As many as the site gives at once, by its own count of a moment ago.
    taking.phoenix.spoil("list-tables", |answer| {
        answer["tables"][0]["row_count"] = json!(300);
    });
    taking.pull(&["notes"]).completed();
    taking.same(SUM);
}

#[test]
fn rows_that_come_and_go_meanwhile_hide_none_of_those_that_stay() {
    let taking = cutting(Version::Old, &notes(2_000), NOTES, 300);
    let source = taking.source.url();
    taking.phoenix.after_page(move |offset| {
        // Three of the first rows go after each page, and others come behind all.
        let (from, to) = (offset / 99 * 3 + 1, offset / 99 * 3 + 3);
        let sql = format!(
            "delete from notes where id between {from} and {to};
             insert into notes values ({}, 'later') on conflict do nothing;",
            10_000 + offset
        );
        drop(postgres::query(&source, &sql));
    });
    taking.pull(&["notes"]).completed();
    let stayed = taking
        .source
        .query("select id from notes where body <> 'later' order by id");
    let here = taking.destination.query("select id from notes order by id");
    let here: Vec<&str> = here.lines().collect();
    let missed: Vec<&str> = stayed.lines().filter(|id| !here.contains(id)).collect();
    assert_eq!(missed, Vec::<&str>::new());
}

#[test]
fn what_cannot_be_completed_fails_and_says_why() {
    let double = "create table notes (id bigint not null, body text not null);
        insert into notes select i / 2, 'note ' || i from generate_series(2, 801) i;";
    for (most, code) in [(1_000, "no_key"), (300, "no_key")] {
        let taking = cutting(Version::Old, double, NOTES, most);
        let pulled = taking.pull(&["notes"]);
        assert_eq!(
            (
                pulled.output.code,
                &pulled.run["status"],
                &pulled.run["error"]["code"]
            ),
            (1, &json!("failed"), &json!(code)),
            "{most}: {pulled:#?}"
        );
    }
}

#[test]
fn a_table_that_fails_by_itself_keeps_none_beside_it_from_being_pulled() {
    let double = "create table double (id bigint not null, body text not null);
        insert into double select i / 2, 'double ' || i from generate_series(2, 9) i;";
    let here = format!("create table double (id bigint primary key, body text not null); {NOTES}");
    let taking = taking(Version::Old, &format!("{double}{}", notes(7)), &here);
    let pulled = taking.pull(&["double", "notes"]);
    assert_eq!(
        (&pulled.run["status"], &pulled.run["error"]["code"]),
        (&json!("failed"), &json!("no_key")),
        "{pulled:#?}"
    );
    assert_eq!(pulled.table("double")["status"], "failed");
    assert_eq!(pulled.table("notes")["status"], "completed");
    assert_eq!(taking.destination.query(SUM), taking.source.query(SUM));
}

#[test]
fn an_order_that_changes_with_each_page_is_no_success() {
    let taking = cutting(Version::Old, &notes(2_000), NOTES, 300);
    taking.phoenix.forget_order();
    let pulled = taking.pull(&["notes"]);
    assert_eq!(pulled.run["status"], "failed", "{pulled:#?}");
    let message = pulled.run["error"]["message"].as_str().unwrap();
    assert!(message.contains("another order each time"), "{message}");
}
