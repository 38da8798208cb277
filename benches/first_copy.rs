//! The first copy of `orders` from one PostgreSQL database to another: two daemons beside `psql copy | psql copy`.
//!
//! `cargo bench --bench first_copy [-- ROWS REPETITIONS] [--tls]`; 2,000,000 rows, 5 times each, alternating. Starts its
//! own server, databases and daemons, and stops by itself. The time of a pull is that from the order to the end of the
//! run, as a client of the admin API sees it: contract, stream, commit, and the count of the rows afterwards.
//! With `--tls` a second pair of daemons does the same over TLS.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    clippy::needless_pass_by_value,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a figure that cannot be measured should stop where it stands, and printing is its purpose"
)]
#![allow(
    dead_code,
    reason = "the tests' support is written as a whole, and a figure uses a part of it"
)]

#[path = "figures/mod.rs"]
mod figures;
#[path = "../tests/it/support/mod.rs"]
mod support;

use std::time::Duration;

use figures::{empty, fill, make, median, numbers, pipe, pull, server};
use support::database::Database;
use support::pair::Pair;
use support::postgres;
use support::tls::Authority;

fn main() {
    let numbers = numbers();
    let rows = numbers.first().copied().unwrap_or(2_000_000);
    let repetitions = numbers.get(1).copied().unwrap_or(5);
    let server = server();
    let (from, to) = (server.database(), server.database());
    println!(
        "settings of the server, for both sides:{}",
        figures::SETTINGS
    );
    fill(&from, rows);
    make(&to);
    let sites = (
        Database::Postgres(from.clone()),
        Database::Postgres(to.clone()),
    );
    let encrypted = std::env::args()
        .any(|argument| argument == "--tls")
        .then(|| {
            let builder = Pair::builder(
                Database::Postgres(from.clone()),
                Database::Postgres(to.clone()),
            );
            builder.encrypted(&Authority::new()).direct().start()
        });
    let pair = Pair::builder(sites.0, sites.1).direct().start();

    let (mut ours, mut binary, mut text) = (Vec::new(), Vec::new(), Vec::new());
    let mut over_tls = Vec::new();
    for repetition in 1..=repetitions {
        let measure = |name: &str, times: &mut Vec<Duration>, copy: &dyn Fn() -> Duration| {
            empty(&to);
            let took = copy();
            assert_eq!(
                postgres::query(&to, "select count(*) from orders"),
                rows.to_string()
            );
            println!("{repetition}: {name:<24} {:6.2} s", took.as_secs_f64());
            times.push(took);
        };
        measure("psql | psql, binary", &mut binary, &|| {
            pipe(&from, &to, "binary")
        });
        measure("evenkeel", &mut ours, &|| pull(&pair, rows));
        if let Some(pair) = &encrypted {
            measure("evenkeel over TLS", &mut over_tls, &|| pull(pair, rows));
        }
        measure("psql | psql, text", &mut text, &|| pipe(&from, &to, "text"));
    }
    println!("\nfirst copy of {rows} rows, PostgreSQL to PostgreSQL, median of {repetitions}");
    let beside = median(&binary).as_secs_f64();
    for (name, times) in [
        ("psql | psql, binary", &binary),
        ("psql | psql, text", &text),
        ("evenkeel", &ours),
        ("evenkeel over TLS", &over_tls),
    ] {
        if times.is_empty() {
            continue;
        }
        let took = median(times).as_secs_f64();
        println!("{name:<24} {took:6.2} s   {:5.2} times", took / beside);
    }
    println!("to reach: at most 1.15 times, over TLS 1.25 times");
}
