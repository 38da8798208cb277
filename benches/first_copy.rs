//! The first copy of `orders` from one PostgreSQL database to another: two daemons beside `psql copy | psql copy`.
//!
//! `cargo bench --bench first_copy [-- ROWS REPETITIONS] [--tls]`; 2,000,000 rows, 5 times each, alternating. Starts its
//! own server, databases and daemons, and stops by itself. The time of a pull is that from the order to the end of the
//! run, as a client of the admin API sees it: contract, stream, commit, and what is written down afterwards.
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

use figures::{Side, cpu_of, empty, fill, make, numbers, pipe, pull, server};
use support::database::Database;
use support::pair::Pair;
use support::postgres;
use support::tls::Authority;

const DAEMONS: [&str; 2] = ["sender", "receiver"];

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

    let mut binary = Side::new("psql | psql, binary");
    let mut text = Side::new("psql | psql, text");
    let mut ours = Side::new("evenkeel");
    let mut over_tls = Side::new("evenkeel over TLS");
    let mut own = Vec::new();
    for repetition in 1..=repetitions {
        let measure = |side: &mut Side, copy: &mut dyn FnMut()| {
            empty(&to);
            side.measure(repetition, copy);
            let copied = postgres::query(&to, "select count(*) from orders");
            assert_eq!(copied, rows.to_string());
        };
        measure(&mut binary, &mut || pipe(&from, &to, "binary"));
        measure(&mut ours, &mut || {
            let daemons = [pair.giver.process(), pair.taker.process()];
            let before = daemons.map(cpu_of);
            own.push(pull(&pair, rows)["duration_ms"].as_u64());
            for (name, (daemon, before)) in DAEMONS.iter().zip(daemons.into_iter().zip(before)) {
                let spent = (cpu_of(daemon) - before).as_secs_f64();
                println!("   of the processor time below the {name} took {spent:.2} s");
            }
        });
        if let Some(pair) = &encrypted {
            measure(&mut over_tls, &mut || {
                pull(pair, rows);
            });
        }
        measure(&mut text, &mut || pipe(&from, &to, "text"));
    }
    println!("\nfirst copy of {rows} rows, PostgreSQL to PostgreSQL, medians of {repetitions}");
    for side in [&binary, &text, &ours, &over_tls] {
        side.print(&binary);
    }
    own.sort_unstable();
    if let Some(Some(millis)) = own.get(own.len() / 2) {
        println!("by its own started_at and completed_at a run took {millis} ms");
    }
    println!("to reach: at most 1.15 times, over TLS 1.25 times");
}
