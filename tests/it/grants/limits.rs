//! Each bound of a grant: its words, its place in the order of refusals, and what it outlives.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp, ToSpan as _};
use serde_json::{Value, json};

use evenkeel::wire::frame::FrameKind;

use super::{Giving, SHOP, unframed};
use crate::support::daemon::Site;
use crate::support::database::{Database, Kind};
use crate::support::http::Answer;
use crate::support::wait;

const DATA: [&str; 4] = ["list-tables", "table-schema", "table-records", "pull-data"];

fn giving(limits: Value) -> Giving {
    Giving::start(
        Kind::Sqlite,
        &json!({"tables": ["people", "orders"], "limits": limits}),
    )
}

/// A refusal's status, words, code, and whether it says when to come again.
fn told(answer: &Answer) -> (u16, String, String, bool) {
    let body = answer.json();
    let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
    assert_eq!(body["success"], false, "{body}");
    (
        answer.status,
        text("error"),
        text("error_code"),
        answer.header("retry-after").is_some(),
    )
}

fn expected(status: u16, words: &str, code: &str, again: bool) -> (u16, String, String, bool) {
    (status, words.to_owned(), code.to_owned(), again)
}

#[test]
fn who_may_ask_when_and_from_where_is_asked_on_every_path_after_the_grant_and_before_the_filter() {
    let past = Timestamp::now() - SignedDuration::from_secs(1);
    let hour = |hours: i64| {
        (Timestamp::now() + hours.hours())
            .strftime("%H:%M")
            .to_string()
    };
    let (start, end) = (hour(2), hour(3));
    let off_hours = format!("This connection may be used from {start} to {end} only (UTC)");
    for (limits, refusal) in [
        (
            json!({"expires_at": past.to_string()}),
            expected(403, "This connection has expired", "expired", false),
        ),
        (
            json!({"networks": ["192.0.2.0/24", "2001:db8::/32"]}),
            expected(
                403,
                "This connection may not be used from this network",
                "network_not_allowed",
                false,
            ),
        ),
        (
            json!({"hours": {"start": start, "end": end}}),
            expected(403, &off_hours, "outside_hours", true),
        ),
    ] {
        let giving = giving(limits);
        for endpoint in DATA {
            let wanted = json!({"table_name": "orders", "ids": "no filter"});
            assert_eq!(told(&giving.ask(endpoint, wanted)), refusal, "{endpoint}");
            if endpoint != "list-tables" {
                let other = giving
                    .ask(endpoint, json!({"table_name": "salaries"}))
                    .expect(403)
                    .json();
                assert_eq!(
                    other["error"],
                    "This connection is not authorised to access that table"
                );
            }
        }
        assert_eq!(told(&giving.ask_frames(json!({}), "orders")), refusal);
        // What is no request for data is bound by networks alone.
        let asked = json!({"receiver_url": giving.site.url()});
        let status = giving.ask("get-connection-status", asked);
        assert_eq!(
            status.status == 200,
            refusal.2 != "network_not_allowed",
            "{}",
            status.json()
        );
        let shown = giving.site.get(&format!("/connections/{}", giving.id));
        let is_expired = refusal.2 == "expired";
        assert_eq!(shown["status"] == "expired", is_expired, "{shown}");
        let heard = status.json();
        assert_eq!(heard["status"] == "expired", is_expired, "{heard}");
        assert_eq!(
            giving
                .site
                .cli(&["status"])
                .stdout
                .contains("its time is over"),
            is_expired
        );
        // Suspended comes before all of it, and a grant without the bound gives again.
        let target = format!("/connections/{}", giving.id);
        giving
            .site
            .post(&format!("{target}/suspend"), &json!({}))
            .expect(200);
        let halted = giving.ask("list-tables", json!({})).expect(403).json();
        assert_eq!(halted["error"], "Connection is not active");
        giving
            .site
            .post(&format!("{target}/reactivate"), &json!({}))
            .expect(200);
        giving.grant(&json!({"tables": ["orders"]})).expect(200);
        assert_eq!(giving.rows("orders").len(), 5);
    }
}

#[test]
fn a_connection_asks_as_often_as_its_grant_says_whatever_it_asks() {
    let giving = giving(json!({"requests_per_minute": 6}));
    let kinds = [
        "list-tables",
        "table-schema",
        "get-connection-status",
        "pull-data",
        "table-records",
        "list-tables",
    ];
    for endpoint in kinds {
        let fields = json!({"table_name": "orders", "receiver_url": "x"});
        giving.ask(endpoint, fields).expect(200);
    }
    let words = "This connection may make 6 requests a minute; try again later";
    for endpoint in ["list-tables", "pull-data", "get-connection-status"] {
        let fields = json!({"table_name": "orders", "receiver_url": "x"});
        let answer = giving.ask(endpoint, fields);
        assert_eq!(
            told(&answer),
            expected(429, words, "requests_per_minute", true),
            "{endpoint}"
        );
        let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=60).contains(&wait), "{wait}");
    }
    // A table that is not granted is told before, and counts all the same.
    let other = giving.ask("pull-data", json!({"table_name": "salaries"}));
    assert_eq!(other.status, 403);
    // Others are not held up by it.
    let nobody = json!({"auth_token_hash": "0".repeat(64)});
    let request = crate::support::http::Request::new("POST", "/sync/api/list-tables").json(&nobody);
    assert_eq!(giving.site.peer(&request).unwrap().status, 401);
}

#[test]
fn a_days_rows_are_counted_over_all_paths_and_over_a_restart() {
    let mut giving = giving(json!({"rows_per_day": 12}));
    assert_eq!(giving.frames("orders").0.len(), 5);
    assert_eq!(giving.rows("people").len(), 4);
    giving.site.restart();
    // Three are left: an answer holds no more, and says that there are.
    let cut = giving
        .ask("pull-data", json!({"table_name": "orders"}))
        .expect(200)
        .json();
    assert_eq!(
        (cut["data"].as_array().unwrap().len(), &cut["truncated"]),
        (3, &json!(true))
    );
    let words = "This connection may pull 12 rows a day, and no more are left for this";
    let refusal = expected(429, words, "rows_per_day", true);
    for endpoint in DATA {
        let answer = giving.ask(endpoint, json!({"table_name": "orders"}));
        assert_eq!(told(&answer), refusal, "{endpoint}");
        let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=86_400).contains(&wait), "{wait}");
    }
    assert_eq!(told(&giving.ask_frames(json!({}), "orders")), refusal);
    giving.site.kill9();
    giving.site.start();
    assert_eq!(told(&giving.ask("list-tables", json!({}))), refusal);
    // The administrator looks for free.
    let own = giving
        .site
        .get(&format!("/connections/{}/tables/orders/records", giving.id));
    assert_eq!(own["items"].as_array().unwrap().len(), 5);
    giving
        .grant(&json!({"tables": ["orders"], "limits": {"rows_per_day": 17}}))
        .expect(200);
    assert_eq!(giving.records("orders").len(), 5);
    assert_eq!(giving.ask("list-tables", json!({})).status, 429);
}

#[test]
fn a_stream_ends_with_a_fault_before_it_sends_more_than_a_day_may_have() {
    let many = "create table t (id integer primary key, v text);
        insert into t with recursive n (id) as (select 1 union all select id + 1 from n where id < 60000)
        select id, 'a value that takes some room, so that there are several frames of it' from n;";
    for (limits, code) in [
        (json!({"rows_per_day": 30_000}), "rows_per_day"),
        (json!({"bytes_per_day": 3_000_000}), "bytes_per_day"),
    ] {
        let database = Database::with(Kind::Sqlite, many);
        let grant = json!({"tables": ["t"], "limits": limits});
        let giving = Giving::of(Site::builder("berlin"), database, &grant);
        let answer = giving.ask_frames(json!({}), "t").expect(200);
        let (rows, _, last) = unframed(&answer);
        assert_eq!(last, FrameKind::Error, "{code}");
        assert!(
            rows.len() <= 30_000 && !rows.is_empty(),
            "{code}: {}",
            rows.len()
        );
        assert!(
            answer.body.len() < 3_001_000,
            "{code}: {}",
            answer.body.len()
        );
        let text = String::from_utf8_lossy(&answer.body);
        assert!(
            text.contains(&format!("\"error_code\":\"{code}\"")),
            "{code}"
        );
        let transfer = wait::until("the transfer is written down", wait::LONG, || {
            let transfer = giving.site.get("/transfers")["items"][0].clone();
            (transfer["status"] == "failed").then_some(transfer)
        });
        assert_eq!(transfer["error"]["code"], code);
    }
}

#[test]
fn a_grant_that_changes_ends_the_streams_that_began_under_another() {
    let many = "create table t (id integer primary key, v text, w text);
        insert into t with recursive n (id) as (select 1 union all select id + 1 from n where id < 2000000)
        select id, 'a value that takes some room, so that the stream waits for its reader', 'w' from n;";
    for (changed, code) in [
        (
            json!({"tables": ["t"], "columns": {"t": {"id": "allow", "v": "allow", "w": "drop"}}}),
            "grant_changed",
        ),
        (
            json!({"tables": ["t"], "row_filter": {"t": {"column": "id", "op": "<", "value": 5}}}),
            "grant_changed",
        ),
        (
            json!({"tables": ["t"], "limits": {"expires_at": "2026-01-01T00:00:00Z"}}),
            "expired",
        ),
    ] {
        let database = Database::with(Kind::Sqlite, many);
        let giving = Giving::of(Site::builder("berlin"), database, &json!({"tables": ["t"]}));
        let (request, site) = (
            giving.request("pull-data", json!({"table_name": "t"})),
            &giving.site,
        );
        let request = request.header("accept", evenkeel::wire::frame::MEDIA_TYPE);
        // What the stranger does not read yet, the site cannot send.
        let stream =
            std::net::TcpStream::connect(site.url().trim_start_matches("http://")).unwrap();
        stream.set_read_timeout(Some(wait::LONG)).unwrap();
        let slow = Slow {
            stream: stream.try_clone().unwrap(),
            granted: std::cell::Cell::new(false),
            grant: &|| {
                giving.grant(&changed).expect(200);
                // The site looks every five seconds.
                wait::within(Duration::from_secs(6), || None::<()>);
            },
        };
        let answer = request.exchange(slow, "berlin").unwrap().expect(200);
        let end = &answer.body[answer.body.len() - 300..];
        let text = String::from_utf8_lossy(end);
        assert!(
            text.contains(&format!("\"error_code\":\"{code}\"")),
            "{code}: {text}"
        );
        drop(stream.shutdown(std::net::Shutdown::Both));
    }
}

/// A reader that has the grant changed after the first bytes, and goes on when the site may have looked.
struct Slow<'a> {
    stream: std::net::TcpStream,
    granted: std::cell::Cell<bool>,
    grant: &'a dyn Fn(),
}

impl std::io::Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.stream.read(buffer)?;
        if !self.granted.replace(true) {
            (self.grant)();
        }
        Ok(read)
    }
}

impl std::io::Write for Slow<'_> {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        self.stream.write(buffer)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.stream.flush()
    }
}

#[test]
fn a_grant_that_cannot_be_carried_out_is_refused_with_the_field_and_changes_nothing() {
    let giving = Giving::of(
        Site::builder("berlin"),
        Database::with(Kind::Postgres, SHOP),
        &json!({"tables": ["orders"]}),
    );
    for (grant, field, words) in [
        (
            json!({"tables": ["orders"], "columns": {"orders": {"colour": "drop"}}}),
            "grant.columns",
            "no column colour",
        ),
        (
            json!({"tables": ["orders"], "row_filter": {"orders": {"column": "total", "op": "=", "value": "x"}}}),
            "grant.row_filter",
            "total",
        ),
        (
            json!({"tables": ["orders"], "limits": {"networks": ["10.0.0.0/99"]}}),
            "grant.limits.networks",
            "",
        ),
        (
            json!({"tables": ["orders"], "limits": {"hours": {"start": "8", "end": "9"}}}),
            "grant.limits.hours",
            "08:30",
        ),
        (
            json!({"tables": ["orders"], "colums": {}}),
            "grant",
            "colums",
        ),
    ] {
        let problem = giving.grant(&grant);
        assert!(
            [400, 422].contains(&problem.status),
            "{grant}: {}",
            problem.json()
        );
        let fault = problem.json()["errors"][0].clone();
        let found = fault["field"].as_str().unwrap_or_default();
        assert!(found.starts_with(field), "{grant}: {fault}");
        assert!(
            fault["message"]
                .as_str()
                .unwrap_or_default()
                .contains(words),
            "{grant}: {fault}"
        );
    }
    assert_eq!(giving.rows("orders").len(), 5);
}
