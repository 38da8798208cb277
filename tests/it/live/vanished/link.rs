//! A link that breaks off at every stage of a session, and somebody on it who says that the source is empty.

use evenkeel::wire::frame::{FrameKind, FrameWriter, RowSum};
use evenkeel::wire::tally::{Children, write_children};
use serde_json::json;

use super::{CODES, Guard, ROWS, STOCK, Scene, filled, rows_of};
use crate::live::{completes, first_attempt};
use crate::support::daemon::Site;
use crate::support::database::{Database, Kind};
use crate::support::impostor::Impostor;
use crate::support::pair::{connect, pull};
use crate::support::proxy::Link;
use crate::support::sqlite;

#[test]
fn a_session_that_is_cut_at_any_byte_deletes_nothing() {
    let source = Database::with(Kind::Sqlite, &filled());
    let scene = Scene::start(source, Kind::Postgres, None);
    scene.guarded_by(Guard::Open);
    let Scene { pair, sync, .. } = &scene;
    let (mut cuts, mut completed) = (0, 0);
    let mut bytes = 0;
    // Until a connection comes through whole: then every stage was cut.
    for version in 1.. {
        let change = format!("update stock set word = 'version {version} of ' || id");
        pair.source.execute(&change);
        pair.link.set(Link::CutAfter(bytes));
        let run = first_attempt(pair, sync);
        pair.link.set(Link::Whole);
        let rows = "select count(*), count(distinct id), min(id), max(id) from stock";
        let expected = format!("{ROWS}|{ROWS}|1|{ROWS}");
        assert_eq!(pair.destination.query(rows), expected, "{bytes}: {run:#}");
        assert_eq!(pair.destination.count("codes"), 5, "{bytes}: {run:#}");
        if run["status"] == "completed" {
            completed += 1;
            break;
        }
        let code = run["error"]["code"].as_str().unwrap();
        assert!(
            ["stream_cut", "peer_unreachable"].contains(&code),
            "{bytes}: {run:#}"
        );
        assert!(run["error"]["hint"].is_string(), "{run:#}");
        cuts += 1;
        bytes += 700;
    }
    completes(pair, sync);
    assert_eq!(rows_of(&pair.destination), rows_of(&pair.source));
    assert!(cuts > 3 && completed == 1, "{cuts}");
    println!("sessions cut at {cuts} places, 0 rows deleted");
}

/// A whole answer of sums that are all of no rows.
fn empty_sums() -> Vec<u8> {
    let mut frames = FrameWriter::new(false);
    let mut sums = Vec::new();
    write_children(&Children::default(), &mut sums);
    let head = json!({"session": "x"}).to_string().into_bytes();
    let pieces = [
        frames.frame(FrameKind::Head, 0, vec![head.into()]),
        frames.frame(FrameKind::Sums, 0, vec![sums.into()]),
        frames.end(RowSum::default()),
    ];
    let mut answer =
        b"HTTP/1.1 200 OK\r\ncontent-type: application/vnd.evenkeel.rows\r\nconnection: close\r\n\r\n"
            .to_vec();
    answer.extend(pieces.concat().concat());
    answer
}

#[test]
fn whoever_says_that_the_source_is_empty_is_not_believed() {
    let fill = |path: &std::path::Path| sqlite::execute(path, &filled());
    let builder = Site::builder("berlin").sqlite(fill);
    let impostor = Impostor::before(builder.port());
    let giver = builder.with("site.url", impostor.url()).start();
    let taker = Site::builder("paris")
        .sqlite(|path| sqlite::execute(path, &format!("create table stock {STOCK}; {CODES}")))
        .with("runs.give_up_after", "1s")
        .start();
    connect(&giver, &taker, &json!({"tables": "*"}));
    let mirror = ["stock", "codes", "--mode", "mirror"];
    pull(&taker, "berlin", &mirror).completed();
    let here = || sqlite::query(&taker.site_database(), "select * from stock order by id");
    let before = here();
    let answers: [(&str, &'static str, Vec<u8>); 4] = [
        ("sums of an empty table", "tally", empty_sums()),
        (
            "a session over nothing",
            "open-session",
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n\
              {\"success\":true,\"session\":\"x\",\"tables\":[]}"
                .to_vec(),
        ),
        (
            "no rows",
            "pull-data",
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n\
              {\"success\":true,\"data\":[]}"
                .to_vec(),
        ),
        (
            "that the connection is gone",
            "tally",
            b"HTTP/1.1 403 Forbidden\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n\
              {\"success\":false,\"error\":\"Connection is not active\"}"
                .to_vec(),
        ),
    ];
    for (name, endpoint, answer) in &answers {
        let change = format!("update stock set word = '{name}' where id = 7");
        sqlite::execute(&giver.site_database(), &change);
        impostor.answer(endpoint, answer);
        let run = pull(&taker, "berlin", &mirror).run;
        assert_eq!(run["status"], "failed", "{name}: {run:#}");
        let code = run["error"]["code"].as_str().unwrap();
        assert!(
            ["peer_unproved", "peer_nonsense"].contains(&code),
            "{name}: {run:#}"
        );
        assert!(run["error"]["hint"].is_string(), "{name}: {run:#}");
        assert_eq!(here(), before, "{name}");
    }
    impostor.answer("nothing", b"");
    pull(&taker, "berlin", &mirror).completed();
    println!(
        "{} lies about an empty source, 0 were believed",
        answers.len()
    );
}
