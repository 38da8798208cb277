//! An approved peer that gives, and means harm: its answers must not stop, hang or fill the site that pulls.

use serde_json::{Value, json};

use crate::support::daemon::Site;
use crate::support::impostor::Impostor;
use crate::support::pair::{connect, pull};
use crate::support::sqlite;

/// What a run may keep of a peer's words, in bytes of JSON.
const KEPT: usize = 30_000;

/// A site that pulls from another, which answers as the impostor before it says.
pub(super) struct Victim {
    pub(super) taker: Site,
    pub(super) impostor: Impostor,
    _giver: Site,
}

impl Victim {
    pub(super) fn start() -> Self {
        let fill = |path: &std::path::Path| {
            sqlite::execute(
                path,
                "create table notes (id integer primary key);
                 create table more (id integer primary key);
                 insert into notes values (1);",
            );
        };
        let builder = Site::builder("berlin").sqlite(fill);
        let impostor = Impostor::before(builder.port());
        let giver = builder.with("site.url", impostor.url()).start();
        let builder = Site::builder("paris")
            .sqlite(fill)
            .with("runs.give_up_after", "1s");
        // What an impostor says would not be believed on a signed connection.
        let earlier = Impostor::of_earlier_version(builder.port());
        let taker = builder.reached_at(&earlier.url()).start();
        connect(&giver, &taker, &json!({"tables": "*"}));
        Self {
            taker,
            impostor,
            _giver: giver,
        }
    }

    /// Pulls while the peer answers `endpoint` so; the run fails, says little, and the next honest one goes through.
    pub(super) fn survives(
        &self,
        endpoint: &'static str,
        answer: &[u8],
        arguments: &[&str],
    ) -> Value {
        self.impostor.answer(endpoint, answer);
        let pulled = pull(&self.taker, "berlin", arguments);
        self.impostor.answer("nothing", b"");
        assert_eq!(pulled.run["status"], "failed", "{:#}", pulled.run);
        let kept = pulled.run.to_string().len();
        assert!(kept < KEPT, "the run keeps {kept} bytes");
        pull(&self.taker, "berlin", &["notes"]).completed();
        let log = self.taker.log();
        assert!(!log.contains("panicked"), "{log}");
        assert!(log.len() < 20 * KEPT, "{} bytes were logged", log.len());
        pulled.run["error"].clone()
    }
}

pub(super) fn answer(status: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
        .into()
}

fn column(name: &str) -> Value {
    json!({"name": name, "type": "int8", "native": "bigint", "precision": null, "scale": null, "length": null,
        "nullable": false, "generated": false, "identity": false})
}

fn schema(mut catalogue: Value) -> Vec<u8> {
    let defaults = json!({"engine": "postgres", "columns": [column("id")], "primary_key": ["id"], "unique": [],
        "foreign_keys": [], "row_estimate": 1});
    for (key, value) in defaults.as_object().unwrap() {
        if catalogue[key].is_null() {
            catalogue[key] = value.clone();
        }
    }
    let body = json!({"success": true, "schema": {}, "evenkeel": catalogue});
    answer("200 OK", &body.to_string())
}

#[test]
fn a_pause_beyond_the_calendar_ends_the_run_and_frees_its_table() {
    let victim = Victim::start();
    let wait = format!("503 No\r\nretry-after: {}", u64::MAX);
    let error = victim.survives("table-schema", &answer(&wait, "{}"), &["notes"]);
    assert_eq!(error["code"], "peer_refused", "{error}");
}

#[test]
fn estimates_that_add_up_to_too_much_are_no_ones_trouble() {
    let victim = Victim::start();
    let schema = schema(json!({"row_estimate": u64::MAX}));
    victim.impostor.answer("table-schema", &schema);
    pull(&victim.taker, "berlin", &["notes", "more"]).completed();
}

#[test]
fn an_error_code_that_is_none_is_not_taken() {
    let victim = Victim::start();
    for code in ["\u{1b}]0;owned\u{7}\n", "Completed", &"x".repeat(500_000)] {
        let body = json!({"success": false, "error": "no\u{1b}[31m", "error_code": code});
        let error = victim.survives(
            "table-schema",
            &answer("400 No", &body.to_string()),
            &["notes"],
        );
        assert_eq!(error["code"], "peer_refused");
        assert!(!error.to_string().contains("\\u001b"), "{error}");
    }
}

#[test]
fn a_catalogue_larger_than_any_tables_is_refused_at_once() {
    let victim = Victim::start();
    let names = |count: usize| (0..count).map(|at| format!("c{at}"));
    let columns: Vec<Value> = names(20_000).map(|name| column(&name)).collect();
    let keys: Vec<Value> = names(100_000).map(|name| json!([name, "z"])).collect();
    let wide: Vec<String> = names(100_000).collect();
    let long = "x".repeat(2_000_000);
    for catalogue in [
        json!({"columns": columns}),
        json!({"unique": keys}),
        json!({"primary_key": wide}),
        json!({"columns": [column("id"), column(&long)]}),
        json!({"engine": long}),
    ] {
        let error = victim.survives("table-schema", &schema(catalogue), &["notes"]);
        assert_eq!(error["code"], "peer_nonsense", "{error}");
    }
}

#[test]
fn thousands_of_columns_that_are_missing_here_are_not_all_named() {
    let victim = Victim::start();
    let columns: Vec<Value> = (0..4_000)
        .map(|at| column(&format!("{}{at}", "c".repeat(200))))
        .collect();
    let error = victim.survives(
        "table-schema",
        &schema(json!({"columns": columns})),
        &["notes"],
    );
    assert_eq!(error["code"], "missing_column", "{error}");
}

#[test]
fn an_answer_that_would_fill_memory_is_left_unread() {
    let victim = Victim::start();
    let bomb = format!(
        r#"{{"success":true,"schema":[{}[]]}}"#,
        "[],".repeat(10_000_000)
    );
    let error = victim.survives("table-schema", &answer("200 OK", &bomb), &["notes"]);
    assert_eq!(error["code"], "peer_nonsense", "{error}");
    let most = most_memory(victim.taker.process());
    assert!(most < 200 << 10, "the daemon took {most} KiB");
}

/// The most memory the process ever took, in KiB.
pub(super) fn most_memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
