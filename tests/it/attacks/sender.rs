//! An approved peer that gives, and means harm: its answers must not stop, hang or fill the site that pulls.

use evenkeel::model::connection::Direction;
use evenkeel::wire::frame::{Frame, FrameKind, RowSum};
use evenkeel::wire::tally::{
    Children, EqualRows, Listed, RowHash, read_children, read_equal_rows, write_children,
    write_equal_rows, write_listed,
};
use serde_json::{Value, json};

use crate::support::daemon::Site;
use crate::support::impostor::{Impostor, Lie};
use crate::support::pair::{connect, pull};
use crate::support::signer::Key;
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

/// Tells other sums.
fn sums(frame: &mut Frame, other: impl Fn(RowSum) -> RowSum) {
    if frame.kind == FrameKind::Sums {
        let told = read_children(&frame.payload).unwrap();
        let mut payload = Vec::new();
        for children in told {
            let children: Children = children.map(&other);
            write_children(&children, &mut payload);
        }
        frame.payload = payload.into();
    }
}

fn many(rows: u64) -> RowSum {
    RowSum { rows, sum: 7 }
}

fn times(sum: RowSum, times: u64) -> RowSum {
    RowSum {
        rows: sum.rows * times,
        sum: sum.sum.wrapping_mul(u128::from(times)),
    }
}

/// So many rows, as a listing has them.
fn made_up(rows: u32) -> Vec<u8> {
    let mut payload = Vec::new();
    for row in 0..rows {
        let key = [&[0, 1, 0, 0, 0, 4][..], &row.to_be_bytes()].concat();
        let hash = RowHash(row.into());
        write_listed(Listed { key: &key, hash }, &mut payload);
    }
    payload
}

/// As often as it is there, a row of a table without a key is there so many times.
const TIMES: u64 = 1_000_000_000_000;

#[test]
fn a_signed_peer_whose_sums_and_listings_contradict_each_other_has_nothing_written() {
    let giving = Site::builder("berlin").sqlite(|path| {
        sqlite::execute(
            path,
            "create table notes (id integer primary key, body text);
             insert into notes values (1, 'new'), (2, 'new'), (3, 'new'), (4, 'new'), (5, 'new');
             create table plain (body text);
             insert into plain values ('one');",
        );
    });
    let impostor = Impostor::before(giving.port());
    let giver = giving.with("site.url", impostor.url()).start();
    let taking = Site::builder("paris").sqlite(|path| {
        sqlite::execute(
            path,
            "create table notes (id integer primary key, body text);
             with recursive n (id) as (select 1 union all select id + 1 from n where id < 11)
                 insert into notes select id, 'old' from n;
             create table plain (body text);
             insert into plain values ('other');",
        );
    });
    let listening = Impostor::before(taking.port());
    let taker = taking.reached_at(&listening.url()).start();
    connect(&giver, &taker, &json!({"tables": "*"}));
    let keys = Key::of(listening.token()).keys;
    let lies: [(&str, &str, &str, Lie); 10] = [
        (
            "10^12 rows below each node",
            "notes",
            "peer_nonsense",
            |frame| {
                sums(frame, |_| many(1_000_000_000_000));
            },
        ),
        (
            "2^60 rows below each node",
            "notes",
            "peer_nonsense",
            |frame| {
                sums(frame, |_| many(1 << 60));
            },
        ),
        (
            "2^64 - 1 rows below each node",
            "notes",
            "peer_nonsense",
            |frame| {
                sums(frame, |_| many(u64::MAX));
            },
        ),
        ("sums of no rows", "notes", "peer_nonsense", |frame| {
            sums(frame, |_| many(0));
        }),
        ("no listed rows", "notes", "peer_nonsense", |frame| {
            if frame.kind == FrameKind::Keys {
                frame.payload = Vec::new().into();
            }
        }),
        ("each row listed twice", "notes", "peer_nonsense", |frame| {
            if frame.kind == FrameKind::Keys {
                frame.payload = frame.payload.repeat(2).into();
            }
        }),
        (
            "more rows listed than there are",
            "notes",
            "peer_nonsense",
            |frame| {
                if frame.kind == FrameKind::Keys {
                    frame.payload = made_up(1_000).into();
                }
            },
        ),
        (
            "listings that unpack to gibibytes",
            "notes",
            "peer_nonsense",
            |frame| {
                if frame.kind == FrameKind::Keys {
                    frame.payload = vec![0; 16 << 20].into();
                }
            },
        ),
        (
            "more rows than are listed, all the way down",
            "notes",
            "peer_nonsense",
            |frame| {
                sums(frame, |sum| times(sum, 1_000_000));
            },
        ),
        ("10^12 equal rows", "plain", "copy_too_large", |frame| {
            sums(frame, |sum| times(sum, TIMES));
            if frame.kind == FrameKind::Keys {
                let mut payload = Vec::new();
                for EqualRows { hash, rows } in read_equal_rows(&frame.payload).unwrap() {
                    let rows = rows * TIMES;
                    write_equal_rows(EqualRows { hash, rows }, &mut payload);
                }
                frame.payload = payload.into();
            }
        }),
    ];
    let here = || {
        let all =
            "select group_concat(id || body) || (select group_concat(body) from plain) from notes";
        sqlite::query(&taker.site_database(), all)
    };
    let before = here();
    for (name, table, code, lie) in lies {
        impostor.lie("tally", keys.signing(Direction::Sender), lie);
        let run = pull(&taker, "berlin", &[table, "--mode", "mirror", "--yes"]).run;
        assert_eq!(run["error"]["code"], code, "{name}: {run:#}");
        assert_eq!(here(), before, "{name}");
    }
    let most = most_memory(taker.process());
    assert!(most < 300 << 10, "the daemon took {most} KiB");
    impostor.answer("nothing", b"");
    pull(
        &taker,
        "berlin",
        &["notes", "plain", "--mode", "mirror", "--yes"],
    )
    .completed();
    assert_eq!(here(), "1new,2new,3new,4new,5newone");
}
