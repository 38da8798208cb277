//! A run's life: one writer per table, waiting, cancelling, history on both sides, retries, and being taken over.

use serde_json::{Value, json};

use crate::support::daemon::Site;
use crate::support::database::{Database, Kind};
use crate::support::pair::{Pair, changes, connect, connection, pull};
use crate::support::proxy::Link;
use crate::support::wait;

/// Enough for a stream that can be stopped in its middle; every row tells what it must look like.
const ROWS: u64 = 60_000;
/// Bytes after which the stream has begun and is far from its end.
const EARLY: usize = 1_500_000;

const EMPTY: &str = "create table notes (id bigint primary key, body text not null)";

fn notes() -> String {
    format!(
        "{EMPTY}; insert into notes select i, 'note ' || i || repeat('.', 60) from generate_series(1, {ROWS}) i;"
    )
}

/// A pair over PostgreSQL with many notes to pull in transactions of 5,000 rows.
fn pair_with_notes() -> Pair {
    let source = Database::with(Kind::Postgres, &notes());
    let destination = Database::with(Kind::Postgres, EMPTY);
    Pair::builder(source, destination)
        .taker("apply.transaction_rows", 5_000)
        .start()
}

/// Orders a pull of the notes and waits until rows have come in and no more do.
fn stalled(pair: &Pair) -> String {
    pair.link.set(Link::StallAfter(EARLY));
    let id = pair.order(&["notes"]);
    pair.run_until(&id, "rows come in", |run| {
        run["progress"]["rows"].as_u64() > Some(0)
    });
    id
}

fn error_code(run: &Value) -> &str {
    run["error"]["code"].as_str().unwrap_or_default()
}

#[test]
fn a_second_writer_is_refused_by_name_unless_sharing_is_meant() {
    let source =
        "create table stock (id integer primary key, n integer); insert into stock values (1, 1)";
    let pair = Pair::builder(
        Database::with(Kind::Postgres, source),
        Database::with(
            Kind::Sqlite,
            "create table stock (id integer primary key, n integer)",
        ),
    )
    .start();
    let other = Database::with(
        Kind::Sqlite,
        "create table stock (id integer primary key, n integer); insert into stock values (1, 2)",
    );
    let madrid = Site::builder("madrid").database(&other.url()).start();
    connect(&madrid, &pair.taker, &json!({"tables": "*"}));

    pair.pull(&["stock"]).completed();
    let refused = pair.taker.cli(&["pull", "madrid", "stock"]);
    assert_eq!(refused.code, 4, "{refused:#?}");
    for words in ["stock", "berlin", "--shared"] {
        assert!(refused.stderr.contains(words), "{words}: {refused:#?}");
    }
    assert_eq!(pair.destination.query("select n from stock"), "1");

    let shared = pull(&pair.taker, "madrid", &["stock", "--shared"]).completed();
    assert_eq!(shared.changes(), (0, 1, 0));
    assert_eq!(pair.destination.query("select n from stock"), "2");
}

#[test]
fn of_two_sites_ordered_before_either_wrote_the_second_is_refused() {
    let stock = |n: u32| {
        format!(
            "create table stock (id integer primary key, n integer); insert into stock values (1, {n})"
        )
    };
    let empty = "create table stock (id integer primary key, n integer)";
    let destination = Database::with(Kind::Sqlite, empty);
    let pair = Pair::builder(Database::with(Kind::Sqlite, &stock(1)), destination).start();
    let other = Database::with(Kind::Sqlite, &stock(2));
    let madrid = Site::builder("madrid").database(&other.url()).start();
    connect(&madrid, &pair.taker, &json!({"tables": "*"}));

    pair.link.set(Link::StallAfter(0));
    let first = pair.order(&["stock"]);
    pair.run_is(&first, "running");
    let id = connection(&pair.taker, "madrid")["id"].clone();
    let target = format!("/connections/{}/pull", id.as_str().unwrap());
    let second = pair.taker.post(&target, &json!({"tables": ["stock"]}));
    let second = second.expect(201).json()["id"].as_str().unwrap().to_owned();
    pair.run_until(&second, "it waits", |run| {
        error_code(run) == "waiting_for_run"
    });

    pair.link.set(Link::Whole);
    pair.run_is(&first, "completed");
    let refused = pair.run_is(&second, "failed");
    assert_eq!(error_code(&refused), "other_writer", "{refused:#}");
    assert_eq!(pair.destination.query("select n from stock"), "1");
}

#[test]
fn a_run_waits_for_the_one_that_writes_its_table() {
    let pair = pair_with_notes();
    let first = stalled(&pair);
    let second = pair.order(&["notes"]);
    let waiting = pair.run_until(&second, "it waits", |run| {
        error_code(run) == "waiting_for_run"
    });
    assert_eq!(waiting["status"], "pending", "{waiting:#}");
    let message = waiting["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("notes") && message.contains(&first),
        "{message}"
    );

    pair.link.set(Link::Whole);
    assert_eq!(changes(&pair.run_is(&first, "completed")), (ROWS, 0, 0));
    let second = pair.run_is(&second, "completed");
    assert_eq!(changes(&second), (0, 0, 0), "{second:#}");
    assert!(second["error"].is_null(), "{second:#}");
}

#[test]
fn what_waits_for_a_peer_is_due_as_soon_as_somebody_found_it_back() {
    let mut pair = pair_with_notes();
    pair.giver.stop();
    let id = pair.order(&["notes"]);
    pair.run_until(&id, "it waits", |run| {
        error_code(run) == "peer_unreachable" && run["next_attempt_at"].is_string()
    });
    pair.giver.start();
    let verified = pair.taker.cli(&["connections", "verify", "berlin"]);
    assert_eq!(verified.code, 0, "{verified:#?}");
    let run = pair.taker.get(&format!("/runs/{id}"));
    let now = jiff::Timestamp::now();
    let next = run["next_attempt_at"].as_str();
    assert!(
        next.is_none_or(|next| next.parse::<jiff::Timestamp>().unwrap() <= now),
        "{run:#}"
    );
    assert_eq!(changes(&pair.run_is(&id, "completed")), (ROWS, 0, 0));
}

#[test]
fn a_cancelled_run_keeps_whole_transactions_and_its_place_in_the_history() {
    let pair = pair_with_notes();
    let id = stalled(&pair);
    let cancelled = pair.taker.cli(&["runs", "cancel", &id]);
    assert_eq!(cancelled.code, 0, "{cancelled:#?}");
    let run = pair.run_is(&id, "cancelled");
    pair.link.set(Link::Whole);
    let kept = pair.destination.count("notes");
    assert!(
        kept < ROWS && kept.is_multiple_of(5_000),
        "{kept} of {run:#}"
    );

    let again = pair.taker.cli(&["runs", "cancel", &id]);
    assert_eq!(again.code, 4, "{again:#?}");
    assert!(again.stderr.contains("cancelled"), "{again:#?}");
    assert_eq!(
        pair.pull(&["notes"]).completed().changes(),
        (ROWS - kept, 0, 0)
    );

    let listed = pair.taker.get("/runs");
    let statuses = listed["items"].as_array().unwrap().iter();
    let statuses: Vec<&str> = statuses
        .map(|run| run["status"].as_str().unwrap())
        .collect();
    assert_eq!(statuses, ["completed", "cancelled"]);
}

#[test]
fn both_sides_keep_what_was_transferred() {
    let source =
        "create table notes (id integer primary key); insert into notes values (1), (2), (3);
                  create table empty (id integer primary key)";
    let source = Database::with(Kind::Sqlite, source);
    let pair = Pair::builder(source, Database::empty(Kind::Sqlite)).start();
    let pulled = pair
        .pull(&["notes", "empty", "--create", "--yes"])
        .completed();
    let run = pulled.run["id"].as_str().unwrap();
    let found = |site: &Site, direction: &str| {
        wait::until("both transfers are written down", wait::LONG, || {
            let all = site.get("/transfers");
            let items = all["items"].as_array().unwrap();
            let done = items.iter().filter(|item| item["status"] == "completed");
            let mut done: Vec<Value> = done.cloned().collect();
            done.sort_by_key(|item| item["table"].to_string());
            assert!(
                items.iter().all(|item| item["direction"] == direction),
                "{all:#}"
            );
            (done.len() == 2).then_some(done)
        })
    };
    let (sent, received) = (found(&pair.giver, "send"), found(&pair.taker, "receive"));
    for (sent, received) in sent.iter().zip(&received) {
        assert_eq!(sent["table"], received["table"]);
        assert_eq!(sent["rows"], received["rows"]);
        assert_eq!(
            sent["bytes_on_wire"], received["bytes_on_wire"],
            "{sent:#} {received:#}"
        );
        assert_eq!(received["run_id"], run);
        assert!(sent["run_id"].is_null(), "{sent:#}");
        assert!(!sent["completed_at"].is_null() && !received["completed_at"].is_null());
    }
    assert_eq!(received[1]["rows"], 3);
    assert_eq!(changes(&received[1]), (3, 0, 0));
    for (site, peer) in [(&pair.giver, "paris"), (&pair.taker, "berlin")] {
        let totals = connection(site, peer)["totals"].clone();
        assert_eq!(
            (&totals["transfers"], &totals["rows"]),
            (&json!(2), &json!(3)),
            "{totals:#}"
        );
    }
}

#[test]
fn a_run_outlives_its_peers_absence_with_stored_pauses() {
    let mut pair = pair_with_notes();
    pair.giver.stop();
    let id = pair.order(&["notes"]);
    let run = pair.run_until(&id, "the first attempt fails", |run| {
        !run["error"].is_null()
    });
    assert_eq!(run["status"], "pending", "{run:#}");
    assert_eq!(run["attempt"], 1, "{run:#}");
    assert_eq!(error_code(&run), "peer_unreachable", "{run:#}");
    let moment = |name: &str| -> jiff::Timestamp {
        let at = &run["error"].get(name).unwrap_or(&run[name]);
        at.as_str()
            .unwrap_or_else(|| panic!("{name} of {run:#}"))
            .parse()
            .unwrap()
    };
    let pause = moment("next_attempt_at") - moment("created_at");
    let seconds = pause.total(jiff::Unit::Second).unwrap();
    assert!(
        (4.0..8.0).contains(&seconds),
        "5 s give or take a fifth: {seconds}"
    );

    // The pause is kept in the state: a restart neither forgets nor shortens it.
    pair.taker.kill9();
    pair.taker.start();
    let kept = pair.run(&id);
    assert_eq!(kept["attempt"], 1, "{kept:#}");
    assert_eq!(kept["next_attempt_at"], run["next_attempt_at"], "{kept:#}");

    pair.giver.start();
    let done = pair.run_is(&id, "completed");
    assert_eq!(done["attempt"], 2, "{done:#}");
    assert_eq!(changes(&done), (ROWS, 0, 0));
    assert!(
        done["error"].is_null() && done["next_attempt_at"].is_null(),
        "{done:#}"
    );
}

#[test]
fn a_run_whose_daemon_was_killed_is_taken_over_at_the_next_start() {
    let mut pair = pair_with_notes();
    let id = stalled(&pair);
    pair.taker.kill9();
    pair.link.set(Link::Whole);
    pair.taker.start();
    let run = pair.run_is(&id, "completed");
    assert_eq!(run["attempt"], 2, "{run:#}");
    let differs = "select count(*) from notes where body <> 'note ' || id || repeat('.', 60)";
    assert_eq!(pair.destination.query(differs), "0");
    assert_eq!(pair.destination.count("notes"), ROWS);
    let listed = pair.taker.get("/runs");
    assert_eq!(listed["items"].as_array().unwrap().len(), 1, "{listed:#}");
}

#[test]
fn a_daemon_that_is_stopped_in_order_hands_its_run_to_the_next_start() {
    let mut pair = pair_with_notes();
    let id = stalled(&pair);
    assert!(pair.taker.stop().success());
    pair.link.set(Link::Whole);
    pair.taker.start();
    pair.run_is(&id, "completed");
    assert_eq!(pair.destination.count("notes"), ROWS);
}
