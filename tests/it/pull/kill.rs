//! Whatever is killed in the middle of a pull: whole transactions stay, and the next run completes them.
//!
//! The moments are random, drawn from a printed seed; `EVENKEEL_TEST_SEED` repeats them.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::support::database::{Database, Kind};
use crate::support::pair::Pair;
use crate::support::postgres::{self, Postgres};
use crate::support::wait;

const ROWS: u64 = 50_000;
const TRANSACTION: u64 = 2_500;
const TRIALS: u64 = 10;

const EMPTY: &str = "create table ledger (
    id bigint primary key, account integer not null, amount numeric(12,2) not null, booked timestamptz not null, memo text)";
/// What row `id` must look like; in both databases the same words.
const CONTENT: &str = "(id % 977)::int, (id * 7 % 100000)::numeric(12,2) / 4, timestamptz '2013-01-01Z' + id * interval '1 minute',
    case when id % 3 > 0 then 'memo of ' || id end";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Giver,
    Taker,
    Database,
}

/// A generator that needs no crate: xorshift64*.
struct Random(u64);

impl Random {
    fn seeded() -> Self {
        let given = std::env::var_os("EVENKEEL_TEST_SEED");
        let given = given.and_then(|seed| seed.to_str()?.parse().ok());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let seed = given.unwrap_or(u64::from(now.subsec_nanos())).max(1);
        println!("kill trials: EVENKEEL_TEST_SEED={seed}");
        Self(seed)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) % bound
    }
}

#[test]
fn whatever_is_killed_whole_transactions_stay_and_the_next_run_completes_them() {
    let fill = format!(
        "{EMPTY}; insert into ledger select id, {CONTENT} from generate_series(1, {ROWS}) id;"
    );
    let server = Postgres::start();
    let url = server.database();
    postgres::query(&url, EMPTY);
    let source = Database::with(Kind::Postgres, &fill);
    let mut pair = Pair::builder(source, Database::Postgres(url))
        .taker(
            "apply.transaction_rows",
            i64::try_from(TRANSACTION).unwrap(),
        )
        .start();
    let whole = bytes_of_a_pull(&pair);

    let mut random = Random::seeded();
    let (mut equal, mut partly) = (0, 0);
    for trial in 0..TRIALS {
        let victim =
            [Victim::Giver, Victim::Taker, Victim::Database][usize::try_from(trial % 3).unwrap()];
        pair.destination.execute("truncate ledger");
        let moment = pair.link.passed() + whole / 50 + random.below(whole * 7 / 10);
        let id = pair.order(&["ledger"]);
        wait::until("the moment has come", wait::LONG, || {
            let over = pair.run(&id)["completed_at"].is_string();
            (over || pair.link.passed() >= moment).then_some(())
        });
        let kept = kill(&mut pair, &server, victim, &id);
        let note = format!("trial {trial}, {victim:?} killed at byte {moment}, {kept} rows kept");
        println!("{note}");
        only_whole_transactions(&pair, &note);
        partly += u64::from((1..ROWS).contains(&kept));
        complete(&pair, victim, trial, &id, &note);
        assert_eq!(pair.destination.count("ledger"), ROWS, "{note}");
        assert_eq!(wrong_rows(&pair), "0", "{note}");
        equal += 1;
    }
    println!(
        "kill trials: {TRIALS}, equal after the next run: {equal} ({partly} in the middle of the rows)"
    );
}

/// How much passes the link while everything is pulled; leaves the destination filled.
fn bytes_of_a_pull(pair: &Pair) -> u64 {
    let before = pair.link.passed();
    pair.pull(&["ledger"]).completed();
    pair.link.passed() - before
}

/// Kills, brings back, and returns how many rows the destination holds before anybody goes on.
fn kill(pair: &mut Pair, server: &Postgres, victim: Victim, run: &str) -> u64 {
    match victim {
        Victim::Giver => {
            pair.giver.kill9();
            pair.run_until(run, "the attempt is over", |run| run["status"] != "running");
            pair.giver.start();
        }
        Victim::Taker => {
            pair.taker.kill9();
            nobody_else_is_connected(&pair.destination);
        }
        Victim::Database => {
            server.kill9();
            pair.run_until(run, "the attempt is over", |run| run["status"] != "running");
            server.restart();
        }
    }
    let kept = pair.destination.count("ledger");
    if victim == Victim::Taker {
        pair.taker.start();
    }
    kept
}

/// What a killed client had begun is rolled back once the server notices.
fn nobody_else_is_connected(destination: &Database) {
    let others = "select count(*) from pg_stat_activity
                  where datname = current_database() and pid <> pg_backend_pid()";
    wait::until("the server has noticed", wait::LONG, || {
        (destination.query(others) == "0").then_some(())
    });
}

/// Every row is one of the source, none is there twice, and no transaction wrote more rows than it may.
fn only_whole_transactions(pair: &Pair, note: &str) {
    assert_eq!(wrong_rows(pair), "0", "{note}");
    let sizes = "select count(*) from ledger group by xmin::text order by 1 desc";
    let sizes = pair.destination.query(sizes);
    let sizes = sizes.lines().map(|size| size.parse::<u64>().unwrap());
    let sizes: Vec<u64> = sizes.collect();
    assert!(
        sizes.iter().all(|size| *size <= TRANSACTION),
        "{note}: {sizes:?}"
    );
    let partial = sizes.iter().filter(|size| **size < TRANSACTION).count();
    assert!(partial <= 1, "{note}: {sizes:?}");
}

/// How many rows of the destination are not as the source has them.
fn wrong_rows(pair: &Pair) -> String {
    pair.destination.query(&format!(
        "select count(*) from ledger
         where id not between 1 and {ROWS}
            or row(account, amount, booked, memo) is distinct from row({CONTENT})"
    ))
}

/// The run itself goes on, or, where it would only pause first, it is cancelled for a new one.
fn complete(pair: &Pair, victim: Victim, trial: u64, id: &str, note: &str) {
    let goes_on = victim == Victim::Taker || trial < 3;
    let is_over = |run: &Value| run["status"] == "completed";
    if goes_on || is_over(&pair.run(id)) {
        pair.run_is(id, "completed");
        return;
    }
    let cancelled = pair.taker.cli(&["runs", "cancel", id]);
    assert!(
        cancelled.code == 0 || is_over(&pair.run(id)),
        "{note}: {cancelled:#?}"
    );
    pair.pull(&["ledger"]).completed();
}
