//! Applications that write at the source in long transactions, while one sync runs again and again.
//!
//! Keys and times are drawn long before their rows are committed, transactions commit in another order than they began,
//! stay open while runs end, and some are undone. In the end not a row is missing. And every run copied one moment: in the
//! books of the application each transfer has two entries whose amounts cancel each other, and every account's balance is
//! what its entries say; after each run that holds at the destination too, across both tables. Whatever a run ever wrote,
//! the source had committed in just that form.

mod work;

use std::collections::HashSet;

use serde_json::json;

use self::work::{ACCOUNTS, SESSIONS, Work};
use super::{completes, sync};
use crate::support::database::{Database, Kind};
use crate::support::pair::Pair;

#[test]
fn no_row_that_a_long_transaction_commits_on_postgresql_is_missed() {
    nothing_is_missed(Kind::Postgres, Kind::Sqlite, 50);
}

#[test]
fn no_row_that_a_long_transaction_commits_on_mariadb_is_missed() {
    nothing_is_missed(Kind::Mariadb, Kind::Mariadb, 15);
}

fn nothing_is_missed(from: Kind, to: Kind, runs: u32) {
    let source = Database::with(from, &work::books(from));
    let destination = Database::with(to, &work::copy(to));
    let pair = Pair::builder(source, destination).start();
    let fields = json!({"sync_mode": "mirror", "guard": {"percent": 100, "rows": 1_000_000}});
    let sync = sync(&pair, &json!(["accounts", "entries"]), &fields);
    let work = Work::begin(&pair.source);
    let mut written = 0;
    for number in 1..=runs {
        let run = completes(&pair, &sync);
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
        across > 20,
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
