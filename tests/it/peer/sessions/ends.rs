//! How sessions end, and how many there may be.

use std::time::Instant;

use evenkeel::wire::frame::FrameKind;
use serde_json::{Value, json};

use super::{agreed, items};
use crate::peer::receiver::Receiver;
use crate::support::daemon::{Site, SiteBuilder};
use crate::support::database::{Database, Kind};
use crate::support::http::{Answer, Request};
use crate::support::wait;

fn site(database: &Database) -> SiteBuilder {
    Site::builder("berlin").database(&database.url())
}

fn told(answer: &Answer) -> (u16, String) {
    let body = answer.json();
    assert_eq!(body["success"], false, "{body}");
    let code = body["error_code"].as_str().unwrap_or_default();
    (answer.status, code.to_owned())
}

/// How many sessions the site holds.
fn held(site: &Site) -> u64 {
    number(site, "evenkeel_sessions ")
}

fn number(site: &Site, name: &str) -> u64 {
    let request = Request::new("GET", "/metrics").send(&site.socket());
    let text = request.expect("an answer").expect(200).text();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.unwrap_or_else(|| panic!("no {name} in {text}"));
    number.trim().parse().expect("a number")
}

fn opened(taker: &Receiver, site: &Site) -> Value {
    taker.open(site, json!([{"table": "items"}]))["session"].clone()
}

fn renewed(taker: &Receiver, site: &Site, session: &Value) -> Answer {
    taker.ask(site, "open-session", json!({"session": session}))
}

#[test]
fn a_decision_about_the_connection_ends_its_sessions_at_once() {
    let database = Database::with(Kind::Sqlite, &items());
    let site = site(&database).start();
    let all = json!({"tables": ["items", "empty"]});
    let narrower =
        json!({"tables": ["items"], "columns": {"items": {"id": "allow", "name": "null"}}});
    let fewer = json!({"tables": ["items"], "row_filter": {"items": {"column": "id", "op": "<", "value": 9}}});
    let other = json!({"tables": ["empty"]});
    for (what, ending, body) in [
        ("suspend", "not_active", json!({})),
        ("revoke", "not_active", json!({})),
        ("delete", "not_active", Value::Null),
        ("the peer suspends", "not_active", Value::Null),
        ("fewer columns", "grant_changed", json!({"grant": narrower})),
        ("fewer rows", "grant_changed", json!({"grant": fewer})),
        ("another table", "grant_changed", json!({"grant": other})),
    ] {
        let taker = Receiver::of(&site, what, all.clone());
        let session = opened(&taker, &site);
        assert_eq!(held(&site), 1, "{what}");
        let counter = format!("evenkeel_sessions_ended_total{{ending=\"{ending}\"}} ");
        let before = number(&site, &counter);
        let target = format!("/connections/{}", taker.id);
        match what {
            "delete" => drop(site.admin("DELETE", &target, None).expect(200)),
            "the peer suspends" => {
                let said = json!({"sender_url": "http://127.0.0.1:9", "status": "suspended"});
                taker.ask(&site, "update-status", said).expect(200);
            }
            "suspend" | "revoke" => {
                site.post(&format!("{target}/{what}"), &body).expect(200);
            }
            _ => drop(site.admin("PATCH", &target, Some(&body)).expect(200)),
        }
        wait::until(what, wait::LONG, || (held(&site) == 0).then_some(()));
        assert_eq!(number(&site, &counter), before + 1, "{what}");
        if ending == "grant_changed" {
            let answer = renewed(&taker, &site, &session);
            assert_eq!(told(&answer), (410, "session_gone".to_owned()), "{what}");
            let words = answer.json()["error"].to_string();
            assert!(words.contains("may see was changed"), "{words}");
        }
    }
    // Of what a session does not show, nothing ends it.
    let taker = Receiver::of(&site, "hamburg", all.clone());
    let session = opened(&taker, &site);
    let wider = json!({"grant": {"tables": "*", "limits": {"requests_per_minute": 1000}}});
    let target = format!("/connections/{}", taker.id);
    site.admin("PATCH", &target, Some(&wider)).expect(200);
    renewed(&taker, &site, &session).expect(200);
}

#[test]
fn a_session_that_nobody_asks_of_ends_and_so_does_one_that_is_held_too_long() {
    let database = Database::with(Kind::Sqlite, &items());
    for (idle, most, ending) in [("1s", "1h", "idle"), ("2s", "2s", "held")] {
        let site = site(&database)
            .with("sessions.idle", idle)
            .with("sessions.max_hold", most)
            .start();
        let taker = Receiver::of(&site, "hamburg", json!({"tables": ["items"]}));
        let (session, begun) = (opened(&taker, &site), Instant::now());
        let mut answers = 0;
        let gone = wait::until(ending, wait::LONG, || {
            // Whoever asks keeps it from being idle, and from nothing else.
            if ending == "idle" {
                return (held(&site) == 0).then(|| renewed(&taker, &site, &session));
            }
            let answer = renewed(&taker, &site, &session);
            answers += 1;
            (answer.status != 200).then_some(answer)
        });
        assert_eq!(told(&gone), (410, "session_gone".to_owned()), "{ending}");
        assert!(begun.elapsed().as_millis() >= 1_000, "{ending}");
        assert!(ending == "idle" || answers > 5, "{answers}");
        let counter = format!("evenkeel_sessions_ended_total{{ending=\"{ending}\"}} ");
        assert_eq!(number(&site, &counter), 1, "{ending}");
    }
}

#[test]
fn a_session_gives_way_to_whoever_waits_for_its_table() {
    let database = Database::with(Kind::Postgres, &items());
    let site = site(&database).start();
    let taker = Receiver::of(&site, "hamburg", json!({"tables": ["items"]}));
    let session = opened(&taker, &site);
    let begun = Instant::now();
    database.execute("alter table items add column more text");
    assert!(begun.elapsed().as_secs() < 10);
    let gone = renewed(&taker, &site, &session);
    assert_eq!(told(&gone), (410, "session_yielded".to_owned()));
    let tally = json!({"session": session, "tables": [{"table": "items", "agreed": agreed(), "level": 1, "prefixes": [""]}]});
    let answer = taker.frames(&site, "tally", tally).unwrap_err();
    assert_eq!(told(&answer), (410, "session_yielded".to_owned()));
    // The next one sees the table as it is now.
    let opened = taker.open(&site, json!([{"table": "items"}]));
    let columns = opened["tables"][0]["evenkeel"]["columns"]
        .as_array()
        .unwrap();
    assert_eq!(columns.last().unwrap()["name"], "more");
}

#[test]
fn so_many_sessions_and_no_more_are_held_for_one_peer_and_for_all() {
    let database = Database::with(Kind::Sqlite, &items());
    let site = site(&database).start();
    let takers: Vec<Receiver> = ["oslo", "rome", "bern", "kyiv"]
        .iter()
        .map(|name| Receiver::of(&site, name, json!({"tables": ["items"]})))
        .collect();
    let ask = |taker: &Receiver| {
        taker.ask(
            &site,
            "open-session",
            json!({"tables": [{"table": "items"}]}),
        )
    };
    let mut sessions = Vec::new();
    for taker in &takers[..3] {
        for _ in 0..2 {
            sessions.push(ask(taker).expect(200).json()["session"].clone());
        }
    }
    let refused = ask(&takers[3]);
    assert_eq!(told(&refused), (429, "too_many_sessions".to_owned()));
    assert!(refused.header("retry-after").is_some());
    // A receiver that lost its way begins anew: its oldest one makes room.
    sessions.push(ask(&takers[0]).expect(200).json()["session"].clone());
    let gone = renewed(&takers[0], &site, &sessions[0]);
    assert_eq!(told(&gone), (410, "session_gone".to_owned()));
    assert!(
        gone.json()["error"]
            .as_str()
            .unwrap()
            .contains("in its place")
    );
    assert_eq!(
        number(&site, "evenkeel_sessions_ended_total{ending=\"replaced\"} "),
        1
    );
    let close = |taker: &Receiver, session: &Value| {
        taker
            .ask(&site, "close-session", json!({"session": session}))
            .expect(200)
    };
    close(&takers[0], &sessions[1]);
    ask(&takers[3]).expect(200);
    // One that cannot be opened gives its place back.
    close(&takers[0], &sessions[6]);
    let unknown = json!({"tables": [{"table": "items", "filter": {"column": "none", "op": "=", "value": 1}}]});
    for _ in 0..8 {
        let refused = takers[0].ask(&site, "open-session", unknown.clone());
        assert_eq!(told(&refused), (400, "invalid_filter".to_owned()));
    }
    ask(&takers[0]).expect(200);
    assert_eq!(held(&site), 6);
}

#[test]
fn a_session_counts_once_against_the_rate_and_with_what_it_tells_against_the_day() {
    let database = Database::with(Kind::Sqlite, &items());
    let site = site(&database).start();
    let grant =
        json!({"tables": ["items"], "limits": {"requests_per_minute": 1, "bytes_per_day": 2_000}});
    let taker = Receiver::of(&site, "hamburg", grant);
    let session = opened(&taker, &site);
    let tally = json!({"session": session, "tables": [{"table": "items", "agreed": agreed(), "level": 1, "prefixes": [""]}]});
    let mut told_bytes = 0;
    let refused = wait::until("the day is used up", wait::LONG, || {
        match taker.tally(&site, &tally) {
            Ok(frames) => {
                told_bytes += frames.payloads(FrameKind::Sums)[0].len();
                None
            }
            Err(answer) => Some(answer),
        }
    });
    assert_eq!(told(&refused), (429, "bytes_per_day".to_owned()));
    assert!((800..=2_000).contains(&told_bytes), "{told_bytes}");
    let another = taker.ask(
        &site,
        "open-session",
        json!({"tables": [{"table": "items"}]}),
    );
    assert_eq!(
        another.expect(429).json()["error_code"],
        "requests_per_minute"
    );
}
