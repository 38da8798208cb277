//! Peers that answer nonsense, or stop in the middle: said by name, never counted as done.

use serde_json::json;

use crate::support::daemon::Site;
use crate::support::database::{Database, Kind};
use crate::support::impostor::Impostor;
use crate::support::pair::{Pair, Pulled};
use crate::support::pair::{connect, pull};
use crate::support::proxy::Link;

const EMPTY: &str = "create table notes (id bigint primary key, body text not null)";
const FULL: &str = "create table notes (id bigint primary key, body text not null);
    insert into notes select i, 'note ' || i || repeat('.', 60) from generate_series(1, 60000) i;";

struct Case {
    name: &'static str,
    endpoint: &'static str,
    answer: Vec<u8>,
    /// The run's `error.code`.
    error: &'static [&'static str],
}

fn answer(kind: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// A frame: kind, flags, version, rows, bytes, plain bytes, sequence, payload.
fn frame(kind: u8, rows: u32, sequence: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_le_bytes();
    let header = [
        &[kind, 0][..],
        &1_u16.to_le_bytes(),
        &rows.to_le_bytes(),
        &length,
        &length,
        &sequence.to_le_bytes(),
    ];
    [&header.concat(), payload].concat()
}

fn head(columns: &serde_json::Value) -> Vec<u8> {
    let head = json!({"table": "notes", "columns": columns, "rows_estimate": 1});
    frame(1, 0, 0, head.to_string().as_bytes())
}

fn cases() -> Vec<Case> {
    const ROWS: &str = "application/vnd.evenkeel.rows";
    let columns = json!([{"name": "id", "type": "int8"}, {"name": "body", "type": "text"}]);
    let other = json!([{"name": "id", "type": "int8"}, {"name": "password", "type": "text"}]);
    let case = |name, endpoint, answer, error| Case {
        name,
        endpoint,
        answer,
        error,
    };
    let nonsense = &["peer_nonsense"][..];
    let cut = &["stream_cut", "peer_nonsense"][..];
    vec![
        case(
            "a web page for a schema",
            "table-schema",
            answer("text/html", b"<h1>It works!</h1>"),
            nonsense,
        ),
        case(
            "a web page for rows",
            "pull-data",
            answer("text/html", b"<h1>It works!</h1>"),
            nonsense,
        ),
        case(
            "no HTTP at all",
            "pull-data",
            b"220 mail ESMTP\r\n".to_vec(),
            &["peer_unreachable", "peer_nonsense", "stream_cut"],
        ),
        case(
            "noise as frames",
            "pull-data",
            answer(ROWS, &[0xa5; 4096]),
            nonsense,
        ),
        case(
            "nothing at all as frames",
            "pull-data",
            answer(ROWS, b""),
            cut,
        ),
        case(
            "other columns",
            "pull-data",
            answer(ROWS, &head(&other)),
            &["schema_changed"],
        ),
        case(
            "a head and no end",
            "pull-data",
            answer(ROWS, &head(&columns)),
            cut,
        ),
        case(
            "rows that are none",
            "pull-data",
            answer(
                ROWS,
                &[head(&columns), frame(2, 3, 1, &[0xff; 64])].concat(),
            ),
            nonsense,
        ),
        case(
            "a frame of four gigabytes",
            "pull-data",
            answer(
                ROWS,
                &[
                    head(&columns),
                    vec![
                        2, 0, 1, 0, 1, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255, 1, 0, 0, 0,
                    ],
                ]
                .concat(),
            ),
            nonsense,
        ),
        case(
            "an error page",
            "pull-data",
            b"HTTP/1.1 500 No\r\ncontent-length: 4\r\n\r\noops".to_vec(),
            &["peer_refused"],
        ),
    ]
}

#[test]
fn a_peer_that_answers_nonsense_is_named_and_nothing_is_written() {
    let there = Database::with(Kind::Postgres, FULL);
    let here = Database::with(Kind::Postgres, EMPTY);
    let builder = Site::builder("berlin").database(&there.url());
    let impostor = Impostor::before(builder.port());
    let giver = builder.with("site.url", impostor.url()).start();
    let builder = Site::builder("paris")
        .database(&here.url())
        .with("runs.give_up_after", "1s");
    // What an impostor says would not be believed on a signed connection.
    let earlier = Impostor::of_earlier_version(builder.port());
    let taker = builder.reached_at(&earlier.url()).start();
    connect(&giver, &taker, &json!({"tables": "*"}));
    for case in cases() {
        let name = case.name;
        impostor.answer(case.endpoint, &case.answer);
        let pulled = pull(&taker, "berlin", &["notes"]);
        let code = pulled.run["error"]["code"].as_str().unwrap_or_default();
        assert!(case.error.contains(&code), "{name}: {pulled:#?}");
        refused(name, &pulled);
        assert_eq!(here.count("notes"), 0, "{name}");
    }
    impostor.answer("nothing", b"");
    pull(&taker, "berlin", &["notes"]).completed();
    assert_eq!(here.count("notes"), 60_000);
}

fn refused(name: &str, pulled: &Pulled) {
    assert_eq!(
        (pulled.output.code, &pulled.run["status"]),
        (1, &json!("failed")),
        "{name}: {pulled:#?}"
    );
    let message = pulled.run["error"]["message"].as_str().unwrap_or_default();
    assert!(
        message.contains("127.0.0.1") || message.contains("table notes"),
        "{name}: the message names the peer or the table: {message}"
    );
}

#[test]
fn a_stream_that_stops_in_its_middle_is_never_a_short_success() {
    let (there, here) = (
        Database::with(Kind::Postgres, FULL),
        Database::with(Kind::Postgres, EMPTY),
    );
    let pair = Pair::builder(there, here)
        .taker("apply.transaction_rows", 5_000)
        .start();
    pair.link.set(Link::CutAfter(2_000_000));
    let id = pair.order(&["notes"]);
    let run = pair.run_until(&id, "the cut is noticed", |run| !run["error"].is_null());
    assert_eq!(
        (&run["status"], &run["error"]["code"]),
        (&json!("pending"), &json!("stream_cut")),
        "{run:#}"
    );
    let message = run["error"]["message"].as_str().unwrap();
    assert!(message.contains("127.0.0.1"), "{message}");
    let kept = pair.destination.count("notes");
    assert!(kept.is_multiple_of(5_000) && kept < 60_000, "{kept}");
    assert_eq!(run["changes"]["added"], kept, "{run:#}");

    pair.link.set(Link::Whole);
    let done = pair.run_is(&id, "completed");
    assert_eq!(done["attempt"], 2, "{done:#}");
    assert_eq!(pair.destination.count("notes"), 60_000);
}

#[test]
fn a_peer_that_falls_silent_is_given_up_after_the_time_set_for_it() {
    let (there, here) = (
        Database::with(Kind::Postgres, FULL),
        Database::with(Kind::Postgres, EMPTY),
    );
    let pair = Pair::builder(there, here)
        .taker("outgoing.idle_timeout", "1s")
        .taker("runs.give_up_after", "1s")
        .start();
    pair.link.set(Link::StallAfter(1_000_000));
    let pulled = pair.pull(&["notes"]);
    refused("silence", &pulled);
    pair.link.set(Link::Whole);
    pair.pull(&["notes"]).completed();
}
