//! Applications that write at the source in long transactions, while one sync runs again and again.
//!
//! Keys and times are drawn long before their rows are committed, transactions commit in another order than they began,
//! stay open while runs end, and some are undone. In the end not a row is missing. And every run copied one moment: in the
//! books of the application each transfer has two entries whose amounts cancel each other, and every account's balance is
//! what its entries say; after each run that holds at the destination too, across both tables. Whatever a run ever wrote,
//! the source had committed in just that form.

mod work;

use std::collections::HashSet;
use std::time::Duration;

use serde_json::{Value, json};

use self::work::{ACCOUNTS, SESSIONS, Work};
use super::{completes, ends_completed, sync};
use crate::support::database::{Database, Kind};
use crate::support::pair::Pair;
use crate::support::wait;
use crate::syncs::runs;

/// More than a planned minute.
const NEXT: Duration = Duration::from_secs(150);

/// What makes the runs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Began {
    ByHand,
    BySchedule,
}

#[test]
fn no_row_that_a_long_transaction_commits_on_postgresql_is_missed() {
    nothing_is_missed(Kind::Postgres, Kind::Sqlite, 50, Began::ByHand);
}

#[test]
fn no_row_that_a_long_transaction_commits_on_mariadb_is_missed() {
    nothing_is_missed(Kind::Mariadb, Kind::Mariadb, 15, Began::ByHand);
}

#[test]
fn no_row_is_missed_by_runs_of_a_schedule() {
    let Some(runs) = std::env::var_os("EVENKEEL_SCHEDULED_RUNS") else {
        println!(
            "NOT TESTED: runs of a schedule; EVENKEEL_SCHEDULED_RUNS=50 waits for fifty, one a minute"
        );
        return;
    };
    let runs = runs.to_str().and_then(|runs| runs.parse().ok());
    let runs = runs.expect("EVENKEEL_SCHEDULED_RUNS is a number");
    nothing_is_missed(Kind::Postgres, Kind::Postgres, runs, Began::BySchedule);
}

/// Waits for the next run that the schedule makes, which has to complete.
fn next_completes(pair: &Pair, sync: &str) -> Value {
    let before = runs(pair, sync).len();
    let id = wait::until("the schedule makes a run", NEXT, || {
        let made = runs(pair, sync).into_iter().nth(before)?;
        assert!(made["planned_at"].is_string(), "{made:#}");
        Some(made["id"].as_str().expect("an id").to_owned())
    });
    ends_completed(pair, &id)
}

fn nothing_is_missed(from: Kind, to: Kind, runs: u32, began: Began) {
    let source = Database::with(from, &work::books(from));
    let destination = Database::with(to, &work::copy(to));
    let pair = Pair::builder(source, destination).start();
    let mut fields = json!({"sync_mode": "mirror", "guard": {"percent": 100, "rows": 1_000_000}});
    if began == Began::BySchedule {
        fields["schedule"] = "* * * * *".into();
    }
    let sync = sync(&pair, &json!(["accounts", "entries"]), &fields);
    let work = Work::begin(&pair.source);
    let mut written = 0;
    for number in 1..=runs {
        let run = match began {
            Began::ByHand => completes(&pair, &sync),
            Began::BySchedule => next_completes(&pair, &sync),
        };
        work.say(number);
        for told in ["added", "updated", "deleted"] {
            written += run["changes"][told].as_u64().unwrap();
        }
        one_moment(&pair.destination, number);
    }
    work.end();
    completes(&pair, &sync);
    one_moment(&pair.destination, runs + 1);

    let [there, here] = [&pair.source, &pair.destination].map(work::rows);
    let missing = there.difference(&here).count();
    let rows = there.len();
    assert_eq!((missing, here.difference(&there).count()), (0, 0));
    only_what_was_committed(&pair);
    let ask = |sql: &str| -> u64 { pair.source.query(sql).parse().unwrap() };
    let transactions = ask("select count(*) from committed");
    let across = ask("select count(*) from committed where ended > began");
    assert!(
        across > u64::from(runs.min(20)),
        "{across} of {transactions} lasted beyond a run"
    );
    println!(
        "{from:?} to {to:?}: {runs} runs beside {SESSIONS} sessions; {transactions} transactions committed, {across} of them \
         open while runs ended; {written} rows written by runs; {rows} rows in the end, 0 missing, 0 too many, 0 that were never committed"
    );
}

/// The copy is of one moment of both tables.
fn one_moment(here: &Database, run: u32) {
    let halves =
        "select token from entries group by token having count(*) <> 2 or sum(amount) <> 0";
    assert_eq!(here.query(halves), "", "run {run}: half of a transfer");
    let books = "select a.id from accounts a left join entries e on e.account = a.id
                 group by a.id, a.balance having a.balance <> 1000 + coalesce(sum(e.amount), 0)";
    assert_eq!(
        here.query(books),
        "",
        "run {run}: an account and its entries are of two moments"
    );
    assert_eq!(here.count("accounts"), u64::from(ACCOUNTS));
}

/// Every form of a row that was ever written here is one that was committed there.
fn only_what_was_committed(pair: &Pair) {
    let forms = |database: &Database| -> HashSet<String> {
        let forms = database.query("select distinct form from forms");
        forms.lines().map(str::to_owned).collect()
    };
    let (there, here) = (forms(&pair.source), forms(&pair.destination));
    let strange: Vec<_> = here.difference(&there).take(5).collect();
    assert!(strange.is_empty(), "never committed: {strange:#?}");
    assert!(!here.is_empty(), "what is written here is noted");
}
