//! By the real clock: a sync of every minute, whatever happens to the daemon meanwhile.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::support::database::{Database, Kind};
use crate::support::pair::Pair;
use crate::support::proxy::Link;
use crate::support::wait;
use crate::syncs::{create, runs, show};

const ROWS: u64 = 60_000;
const EMPTY: &str = "create table stock (id bigint primary key, n text not null)";
/// A planned minute, and what belongs to it.
const MINUTES: Duration = Duration::from_secs(150);
const MINUTE: SignedDuration = SignedDuration::from_secs(60);

fn pair() -> Pair {
    let fill = format!(
        "{EMPTY}; insert into stock select i, 'piece ' || i || repeat('.', 60) from generate_series(1, {ROWS}) i"
    );
    let source = Database::with(Kind::Postgres, &fill);
    Pair::builder(source, Database::with(Kind::Postgres, EMPTY))
        .taker("runs.jitter", "0s")
        .taker("apply.transaction_rows", 5_000)
        .start()
}

fn time(run: &Value, field: &str) -> Timestamp {
    let text = run[field].as_str();
    let text = text.unwrap_or_else(|| panic!("{field} of {run:#}"));
    text.parse().expect("a time")
}

/// Waits until the sync has a run that is as `is` says and planned after `after`; returns it.
fn run_after(pair: &Pair, sync: &str, after: Timestamp, is: impl Fn(&Value) -> bool) -> Value {
    wait::until("a planned run comes", MINUTES, || {
        let found = runs(pair, sync).into_iter();
        let mut found = found.filter(|run| time(run, "planned_at") > after && is(run));
        found.next()
    })
}

fn is_completed(run: &Value) -> bool {
    assert_ne!(run["status"], "failed", "{run:#}");
    run["status"] == "completed"
}

#[test]
fn a_sync_of_every_minute_runs_on_across_restarts_and_kills_and_nothing_runs_twice() {
    let mut pair = pair();
    pair.link.set(Link::StallAfter(1_500_000));
    let begun = Timestamp::now();
    let sync = create(&pair, "minutely", json!({"schedule": "* * * * *"}));

    // Killed while its first run is running.
    let has_rows = |run: &Value| run["progress"]["rows"].as_u64() > Some(0);
    let first = run_after(&pair, &sync, begun, has_rows);
    assert_eq!(first["status"], "running", "{first:#}");
    pair.taker.kill9();
    pair.link.set(Link::Whole);
    pair.taker.start();
    let first = run_after(&pair, &sync, begun, is_completed);
    assert_eq!(first["attempt"], 2, "{first:#}");

    // Restarted between two runs; killed shortly before the planned time, and started after it.
    pair.taker.restart();
    pair.source
        .execute("update stock set n = 'changed' where id <= 100");
    let next = time(&first, "planned_at") + MINUTE;
    wait::until("the minute is nearly over", MINUTES, || {
        (Timestamp::now() + SignedDuration::from_secs(2) > next).then_some(())
    });
    pair.taker.kill9();
    wait::until("the minute is over", MINUTES, || {
        (Timestamp::now() > next).then_some(())
    });
    pair.taker.start();
    let second = run_after(&pair, &sync, time(&first, "planned_at"), is_completed);
    assert_eq!(time(&second, "planned_at"), next, "{second:#}");
    assert_eq!(second["changes"]["updated"], 100, "{second:#}");
    the_history_has_each_planned_time_once(&pair, &sync);
}

fn the_history_has_each_planned_time_once(pair: &Pair, sync: &str) {
    let history = runs(pair, sync);
    for run in &history {
        assert_eq!(
            (&run["triggered_by"], &run["sync_id"]),
            (&json!("schedule"), &json!(sync))
        );
        println!(
            "planned {} begun {} ended {} attempts {}",
            run["planned_at"], run["started_at"], run["completed_at"], run["attempt"]
        );
    }
    for pair in history.windows(2) {
        let (earlier, later) = (&pair[0], &pair[1]);
        let pause = time(earlier, "planned_at").duration_until(time(later, "planned_at"));
        assert!(
            pause >= MINUTE && pause.as_secs() % 60 == 0,
            "{pause:#} {later:#}"
        );
        assert!(
            time(later, "created_at") >= time(earlier, "completed_at"),
            "{later:#}"
        );
    }
    // Nor did any row come twice, or not at all.
    assert_eq!(pair.destination.count("stock"), ROWS);
    let sum = "select count(*), count(*) filter (where n = 'changed') from stock";
    assert_eq!(pair.destination.query(sum), format!("{ROWS}|100"));
}

#[test]
fn a_scheduled_run_gives_up_when_its_next_time_comes_and_the_next_one_begins_anew() {
    let mut pair = pair();
    pair.giver.stop();
    let begun = Timestamp::now();
    let sync = create(&pair, "minutely", json!({"schedule": "* * * * *"}));
    let is_over = |run: &Value| run["completed_at"].is_string();
    let first = run_after(&pair, &sync, begun, is_over);
    assert_eq!(first["status"], "failed", "{first:#}");
    assert_eq!(first["error"]["code"], "peer_unreachable", "{first:#}");
    assert!(first["attempt"].as_u64() > Some(1), "{first:#}");
    let next = time(&first, "planned_at") + MINUTE;
    assert!(
        time(&first, "completed_at") <= next + SignedDuration::from_secs(2),
        "{first:#}"
    );
    let after = show(&pair, &sync);
    assert_eq!(after["status"], "active", "{after:#}");
    pair.giver.start();
    let second = run_after(&pair, &sync, time(&first, "planned_at"), |run| {
        run["status"] == "completed"
    });
    assert!(time(&second, "planned_at") >= next, "{second:#}");
}
