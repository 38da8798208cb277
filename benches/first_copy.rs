//! The first copy of `orders` from one PostgreSQL database to another: two daemons beside `psql copy | psql copy`.
//!
//! `cargo bench --bench first_copy [-- ROWS REPETITIONS] [--tls]`; 2,000,000 rows, 5 times each, alternating. Starts its
//! own server, databases and daemons, and stops by itself. The time of a pull is that from the order to the end of the
//! run, as a client of the admin API sees it: contract, stream, commit, proof, and what is written down afterwards; that
//! up to the commit is over when another client of the database sees the last row.
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

use figures::{Commit, Side, cpu_of, empty, fill, make, numbers, pipe, pull, server};
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
    let mut ours = Ours::new("evenkeel, committed", "evenkeel, proved");
    let mut over_tls = Ours::new("over TLS, committed", "over TLS, proved");
    for repetition in 1..=repetitions {
        let measure = |side: &mut Side, copy: &mut dyn FnMut()| {
            empty(&to);
            side.measure(repetition, copy);
            let copied = postgres::query(&to, "select count(*) from orders");
            assert_eq!(copied, rows.to_string());
        };
        measure(&mut binary, &mut || pipe(&from, &to, "binary"));
        empty(&to);
        ours.measure(repetition, &pair, (&to, rows));
        if let Some(pair) = &encrypted {
            empty(&to);
            over_tls.measure(repetition, pair, (&to, rows));
        }
        measure(&mut text, &mut || pipe(&from, &to, "text"));
    }
    println!("\nfirst copy of {rows} rows, PostgreSQL to PostgreSQL, medians of {repetitions}");
    for side in [&binary, &text, &ours.committed, &ours.proved] {
        side.print(&binary);
    }
    for side in [&over_tls.committed, &over_tls.proved] {
        side.print(&binary);
    }
    println!(
        "to reach: committed at most 1.15 times, over TLS 1.25 times; proved at most 1.7 times"
    );
}

/// Our side: of one copy both times.
struct Ours {
    committed: Side,
    proved: Side,
}

impl Ours {
    fn new(committed: &'static str, proved: &'static str) -> Self {
        Self {
            committed: Side::new(committed),
            proved: Side::new(proved),
        }
    }

    fn measure(&mut self, repetition: u64, pair: &Pair, (to, rows): (&str, u64)) {
        let daemons = [pair.giver.process(), pair.taker.process()];
        let before = daemons.map(cpu_of);
        let commit = Commit::of(to, rows);
        self.proved.measure(repetition, || {
            pull(pair, rows);
        });
        self.committed.add(repetition, commit.took());
        for (name, (daemon, before)) in DAEMONS.iter().zip(daemons.into_iter().zip(before)) {
            let spent = (cpu_of(daemon) - before).as_secs_f64();
            println!("   of the processor time the {name} took {spent:.2} s");
        }
        let copied = postgres::query(to, "select count(*) from orders");
        assert_eq!(copied, rows.to_string());
    }
}
