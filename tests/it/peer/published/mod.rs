//! The published protocol, row by row: what is asked, and exactly what is answered, at the root and below the prefix.
//!
//! One table of named cases over one check; where a request breaks two rules at once, the one that is told comes first
//! in the published order. What an endpoint does besides answering stands in its own file.

mod connections;
mod data;
mod order;
mod registrations;

use serde_json::{Value, json};

use super::stranger::{Stranger, hash};
use super::{BASES, ask, fill, missing, nonsense, refusal};
use crate::support::daemon::Site;
use crate::support::http::Request;
use crate::support::sqlite;

/// Stands for any value in an expected answer.
const ANY: &str = "*";
/// The token of the site that registered here.
const TOKEN: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const OTHER: &str = "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB";
/// Where the site that registered here says it is.
const CLAIMED: &str = "https://hamburg.example.com";

/// Every endpoint that is asked by POST, with its required fields in the published order.
const ENDPOINTS: [(&str, &[&str]); 9] = [
    (
        "register-connection",
        &["sender_url", "connection_name", "auth_token"],
    ),
    ("delete-connection", &["sender_url", "auth_token_hash"]),
    ("verify-connection", &["sender_url", "auth_token_hash"]),
    (
        "update-status",
        &["sender_url", "auth_token_hash", "status"],
    ),
    (
        "get-connection-status",
        &["receiver_url", "auth_token_hash"],
    ),
    ("list-tables", &["auth_token_hash"]),
    ("pull-data", &["auth_token_hash", "table_name"]),
    ("table-schema", &["auth_token_hash", "table_name"]),
    ("table-records", &["auth_token_hash", "table_name"]),
];

struct Case {
    name: &'static str,
    endpoint: &'static str,
    body: Value,
    status: u16,
    answer: Value,
}

/// What a site answers, and to whom.
struct World {
    site: Site,
    /// An active connection on which the site gives.
    giving: Row,
    /// One that the administrator suspended.
    suspended: Row,
}

/// A connection on which the site gives.
struct Row {
    hash: String,
    stranger: Stranger,
}

fn world() -> World {
    let builder = Site::builder("berlin").sqlite(|path| {
        fill(path);
        sqlite::execute(
            path,
            "create table broken (id integer primary key, at timestamp);
             insert into broken values (1, 'no moment');
             create table gone (id integer primary key);",
        );
    });
    let site = builder.start();
    let tables = ["customers", "orders", "ledger", "words", "broken", "gone"];
    let grant = json!({"tables": tables, "limits": {"max_records_per_request": 2}});
    let giving = given(&site, "hamburg", &grant);
    sqlite::execute(&site.site_database(), "drop table gone");
    let suspended = given(&site, "bremen", &json!({"tables": "*"}));
    let done = site.cli(&["connections", "suspend", "bremen"]);
    assert_eq!(done.code, 0, "{done:?}");
    let offer = json!({"sender_url": CLAIMED, "connection_name": "kiel", "auth_token": TOKEN});
    ask(&site, "register-connection", &offer).expect(200);
    World {
        site,
        giving,
        suspended,
    }
}

fn given(site: &Site, name: &str, grant: &Value) -> Row {
    let stranger = Stranger::start();
    let body = json!({"url": stranger.url(), "name": name, "grant": grant});
    let made = site.post("/connections", &body).expect(201).json();
    assert_eq!(made["status"], "active", "{made}");
    Row {
        hash: stranger.token_hash(),
        stranger,
    }
}

/// Whether `found` is `expected`, of which [`ANY`] stands for anything.
fn is(expected: &Value, found: &Value) -> bool {
    match (expected, found) {
        (Value::String(text), _) if text == ANY => true,
        (Value::Array(expected), Value::Array(found)) => {
            expected.len() == found.len()
                && expected
                    .iter()
                    .zip(found)
                    .all(|(one, other)| is(one, other))
        }
        (Value::Object(expected), Value::Object(found)) => {
            expected.len() == found.len()
                && expected
                    .iter()
                    .all(|(key, value)| found.get(key).is_some_and(|found| is(value, found)))
        }
        (expected, found) => expected == found,
    }
}

/// The one check: the same status, body and form wherever the protocol is mounted.
fn check(site: &Site, case: &Case) {
    for base in BASES {
        let target = format!("{base}/{}", case.endpoint);
        let request = Request::new("POST", &target).json(&case.body);
        let answer = site.peer(&request).expect("an answer");
        let found = answer.json();
        assert!(
            answer.status == case.status && is(&case.answer, &found),
            "{}: {target} {}\nexpected {} {}\nfound {} {found}",
            case.name,
            case.body,
            case.status,
            case.answer,
            answer.status
        );
        let form = answer.header("content-type");
        assert_eq!(
            form,
            Some("application/json; charset=utf-8"),
            "{}",
            case.name
        );
    }
}

fn checked(site: &Site, cases: Vec<Case>) {
    assert!(!cases.is_empty());
    for case in cases {
        check(site, &case);
    }
}

fn case(
    name: &'static str,
    endpoint: &'static str,
    body: Value,
    (status, answer): (u16, Value),
) -> Case {
    Case {
        name,
        endpoint,
        body,
        status,
        answer,
    }
}
