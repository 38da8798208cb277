//! Row filters that mean harm: SQL, questions about what is not granted, shapes that would cost more than they say;
//! and senders that do not keep to the filter they were given.

use serde_json::{Value, json};

use evenkeel::wire::frame::{FrameKind, FrameReader, FrameWriter, MEDIA_TYPE, RowSum};
use evenkeel::wire::row::RowWriter;

use crate::peer::stranger::Stranger;
use crate::support::daemon::Site;
use crate::support::database::{Database, KINDS, Kind};
use crate::support::http::{Answer, Request};
use crate::support::impostor::Impostor;
use crate::support::pair::{connect, connection};
use crate::support::{sqlite, wait};

const TABLES: &str = "
create table notes (id integer primary key, owner varchar(20), twice integer generated always as (id * 2) stored);
insert into notes (id, owner) values (1, 'anna'), (2, 'ben'), (3, null);
create table salaries (id integer primary key, amount integer);
insert into salaries values (1, 4711);
";

/// A site that gives `notes` alone to a stranger.
struct Giving {
    site: Site,
    database: Database,
    hash: String,
    _stranger: Stranger,
}

impl Giving {
    fn start(kind: Kind) -> Self {
        let stranger = Stranger::start();
        let database = Database::with(kind, TABLES);
        let site = Site::builder("berlin").database(&database.url()).start();
        let offer =
            json!({"url": stranger.url(), "name": "hamburg", "grant": {"tables": ["notes"]}});
        site.post("/connections", &offer).expect(201);
        Self {
            site,
            database,
            hash: stranger.token_hash(),
            _stranger: stranger,
        }
    }

    fn ask(&self, table: &str, filter: &Value) -> Answer {
        let body = json!({"auth_token_hash": self.hash, "table_name": table, "filter": filter});
        let request = Request::new("POST", "/sync/api/pull-data")
            .header("accept", MEDIA_TYPE)
            .json(&body);
        self.site.peer(&request).expect("an answer")
    }

    /// The refusal of a filter, in words.
    fn refusal(&self, filter: &Value) -> String {
        let answer = self.ask("notes", filter).expect(400).json();
        assert_eq!(answer["error_code"], "invalid_filter", "{answer}");
        answer["error"].as_str().unwrap().to_owned()
    }

    /// How many rows come.
    fn rows(&self, filter: &Value) -> u64 {
        let answer = self.ask("notes", filter).expect(200);
        let mut reader = FrameReader::default();
        reader.push(&answer.body);
        let mut frames = Vec::new();
        while let Some(frame) = reader.next_frame().expect("frames") {
            frames.push(frame);
        }
        let head: Value = serde_json::from_slice(&frames[0].payload).unwrap();
        assert_eq!(head["filter"], *filter);
        let last = frames.last().unwrap();
        assert_eq!(last.kind, FrameKind::End, "{filter}");
        RowSum::from_end(&last.payload).unwrap().rows
    }
}

fn term(column: &str, op: &str, value: Value) -> Value {
    json!({"column": column, "op": op, "value": value})
}

#[test]
fn sql_in_a_filter_is_a_name_or_a_value_like_any_other() {
    for kind in KINDS {
        let giving = Giving::start(kind);
        for sql in [
            "' or '1'='1",
            "anna' --",
            "x'); drop table notes; --",
            "\\'; select 1; --",
            "$1",
            "?1",
            "\u{0}' or 1=1",
        ] {
            assert_eq!(giving.rows(&term("owner", "=", json!(sql))), 0, "{sql}");
            let listed = term("owner", "in", json!([sql, "anna"]));
            assert_eq!(giving.rows(&listed), 1, "{sql}");
        }
        for column in [
            "owner\" or 1=1 --",
            "id) or (1",
            "*",
            "notes.id",
            "rowid",
            "ctid",
            "1",
        ] {
            let words = giving.refusal(&term(column, "is_null", json!(true)));
            assert!(words.contains("there is none of this name"), "{words}");
        }
        for op in ["like", "= 1 or 1 =", "!=", "is not null", "IN"] {
            let words = giving.refusal(&term("owner", op, json!("anna")));
            assert!(words.contains("`op` is one of"), "{words}");
        }
        let value = giving.refusal(&term("id", "=", json!("1 or 1=1")));
        assert!(value.contains("a whole number"), "{value}");
        assert_eq!(giving.database.count("notes"), 3);
    }
}

#[test]
fn a_filter_tells_nothing_about_what_is_not_granted() {
    for kind in KINDS {
        let giving = Giving::start(kind);
        // A table that is there, one that is not, and one whose filter is none: all the same.
        let words: Vec<Value> = [
            ("salaries", term("amount", "=", json!(4711))),
            ("salaries", term("nothing", "=", json!(4711))),
            ("no_such_table", term("amount", "=", json!(4711))),
            ("salaries", json!({"or": 1})),
        ]
        .iter()
        .map(|(table, filter)| giving.ask(table, filter).expect(403).json())
        .collect();
        assert!(words.iter().all(|answer| *answer == words[0]), "{words:#?}");
        // A column that is computed and one that is not there.
        let refusals: Vec<String> = ["twice", "thrice"]
            .iter()
            .map(|column| {
                let words = giving.refusal(&term(column, "is_null", json!(false)));
                words.replace(column, "it")
            })
            .collect();
        assert_eq!(refusals[0], refusals[1]);
        // No value of a filter comes back, and none is logged.
        let secret = "correct horse battery staple";
        let words = giving.refusal(&term("id", "=", json!(secret)));
        assert!(!words.contains("horse"), "{words}");
        giving.rows(&term("owner", "=", json!(secret)));
        assert!(!giving.site.log().contains("horse"));
    }
}

#[test]
fn a_filter_that_is_deeper_longer_or_wider_than_any_is_refused_at_once() {
    let giving = Giving::start(Kind::Sqlite);
    let one = term("id", "=", json!(1));
    let nested = (0..20).fold(one.clone(), |inner, _| json!({"and": [inner]}));
    for (filter, words) in [
        (nested, "more than 8 deep"),
        (json!({"and": vec![one; 65]}), "more than 64 conditions"),
        (
            term("id", "in", json!((0..1_001).collect::<Vec<_>>())),
            "more than 1000 values",
        ),
        (
            term("owner", "=", json!("x".repeat(5_000))),
            "more than 4096 bytes",
        ),
        (
            term(&"x".repeat(5_000), "=", json!(1)),
            "no name of a column",
        ),
    ] {
        let refused = giving.refusal(&filter);
        assert!(refused.contains(words), "{refused}");
        assert!(refused.len() < 200, "{refused}");
    }
    let both = json!({"auth_token_hash": giving.hash, "table_name": "notes", "ids": [1],
        "filter": term("id", "=", json!(1))});
    let request = Request::new("POST", "/sync/api/pull-data")
        .header("accept", MEDIA_TYPE)
        .json(&both);
    let answer = giving.site.peer(&request).unwrap().expect(400).json();
    assert_eq!(answer["error_code"], "invalid_filter");
    // As JSON there is no row filter: to leave it out would show more than was asked for.
    let rows = json!({"auth_token_hash": giving.hash, "table_name": "notes", "filter": term("id", "=", json!(1))});
    let request = Request::new("POST", "/sync/api/pull-data").json(&rows);
    let answer = giving.site.peer(&request).unwrap().expect(400).json();
    assert_eq!(answer["error_code"], "invalid_filter");
    // Deeper than any reader of JSON goes.
    let deep = format!(
        r#"{{"auth_token_hash":"{}","table_name":"notes","filter":{}1{}}}"#,
        giving.hash,
        r#"{"and":["#.repeat(50_000),
        "]}".repeat(50_000)
    );
    let request = Request::new("POST", "/sync/api/pull-data").body(deep.into_bytes());
    assert_eq!(giving.site.peer(&request).unwrap().status, 400);
    // As much as is allowed is answered.
    let most: Vec<Value> = (0..63)
        .map(|_| term("owner", "is_null", json!(false)))
        .chain([term("id", "in", json!((1..=1_000).collect::<Vec<_>>()))])
        .collect();
    assert_eq!(giving.rows(&json!({"and": most})), 2);
    assert!(!giving.site.log().contains("panicked"));
}

/// A whole stream of `notes` with these ids, as a sender says that it filtered it.
fn stream(filter: &Value, ids: &[i64]) -> Vec<u8> {
    let mut frames = FrameWriter::new(false);
    let columns = json!([{"name": "id", "type": "int8"}, {"name": "owner", "type": "text"}]);
    let mut head = json!({"table": "notes", "columns": columns, "rows_estimate": null});
    if !filter.is_null() {
        head["filter"] = filter.clone();
    }
    let mut rows = RowWriter::default();
    for id in ids {
        rows.begin(2);
        rows.field(Some(&id.to_be_bytes()));
        rows.field(None);
    }
    let batch = rows.take();
    let mut sum = RowSum::default();
    for tuple in batch.tuples() {
        sum.add(tuple.unwrap());
    }
    let head = frames.frame(FrameKind::Head, 0, vec![head.to_string().into()]);
    let rows = frames.frame(FrameKind::Rows, batch.rows, vec![batch.data]);
    let body: Vec<u8> = [head, rows, frames.end(sum)].concat().concat();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {MEDIA_TYPE}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body].concat()
}

#[test]
fn a_sender_that_does_not_keep_to_the_filter_is_a_protocol_error() {
    let fill = |path: &std::path::Path| {
        sqlite::execute(
            path,
            "create table notes (id bigint primary key, owner text)",
        );
    };
    let builder = Site::builder("berlin").sqlite(fill);
    let impostor = Impostor::before(builder.port());
    let giver = builder.with("site.url", impostor.url()).start();
    let builder = Site::builder("paris").sqlite(fill);
    // What an impostor says would not be believed on a signed connection.
    let earlier = Impostor::of_earlier_version(builder.port());
    let taker = builder.reached_at(&earlier.url()).start();
    connect(&giver, &taker, &json!({"tables": "*"}));
    let filter = term("id", "<=", json!(2));
    let other = term("id", "<=", json!(3));
    let pull = |answer: &[u8]| {
        impostor.answer("pull-data", answer);
        let id = connection(&taker, "berlin")["id"].clone();
        let target = format!("/connections/{}/pull", id.as_str().unwrap());
        let order = json!({"tables": [{"source_table": "notes", "row_filter": filter}]});
        let run = taker.post(&target, &order).expect(201).json();
        let run = format!("/runs/{}", run["id"].as_str().unwrap());
        wait::until("the run is over", wait::LONG, || {
            Some(taker.get(&run)).filter(|run| !run["completed_at"].is_null())
        })
    };
    for (answer, words) in [
        // Of a version that knows no filters.
        (
            stream(&Value::Null, &[1, 2, 3]),
            "does not keep to the row filter",
        ),
        (
            stream(&other, &[1, 2, 3]),
            "does not keep to the row filter",
        ),
        (
            stream(&filter, &[1, 2, 3]),
            "the row filter leaves out, by its id",
        ),
    ] {
        let run = pull(&answer);
        assert_eq!(run["error"]["code"], "peer_nonsense", "{run:#}");
        let message = run["error"]["message"].as_str().unwrap();
        assert!(message.contains(words), "{message}");
        assert_eq!(
            sqlite::query(&taker.site_database(), "select count(*) from notes"),
            "0"
        );
    }
    assert_eq!(pull(&stream(&filter, &[1, 2]))["status"], "completed");
}
