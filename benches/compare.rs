//! Comparing `orders` at two sites with a PostgreSQL database each: nothing changed, and 200 rows changed and repaired.
//!
//! `cargo bench --bench compare [-- ROWS REPETITIONS]`; 2,000,000 rows, 3 times each, alternating. Nothing changed stands
//! beside psql reading both sides' table in the binary format at the same time; 200 changed rows beside `reladiff`, which
//! only compares: that of the environment variable EVENKEEL_RELADIFF, of the path, or one that pip installs for this once.
//! What went over the wire is counted by a relay between both daemons, headers included. Starts its own server, databases
//! and daemons, and stops by itself.
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
#[path = "figures/reladiff.rs"]
mod reladiff;
#[path = "../tests/it/support/mod.rs"]
mod support;

use figures::{Side, completed, discarded, fill, numbers, server};
use reladiff::Reladiff;
use serde_json::Value;
use support::database::Database;
use support::pair::Pair;
use support::postgres;

const COPY: &str = "copy orders to stdout (format binary)";
/// Rows that change at the source.
const CHANGED: u64 = 200;

fn main() {
    let numbers = numbers();
    let rows = numbers.first().copied().unwrap_or(2_000_000);
    let repetitions = numbers.get(1).copied().unwrap_or(3);
    let server = server();
    let (from, to) = (server.database(), server.database());
    println!(
        "settings of the server, for both sides:{}",
        figures::SETTINGS
    );
    fill(&from, rows);
    fill(&to, rows);
    let sites = (
        Database::Postgres(from.clone()),
        Database::Postgres(to.clone()),
    );
    let pair = Pair::builder(sites.0, sites.1).start();
    nothing_changed(&pair, (&from, &to), repetitions);
    some_changed(&pair, (&from, &to), rows, repetitions);
}

fn nothing_changed(pair: &Pair, (from, to): (&str, &str), repetitions: u64) {
    let mut copies = Side::new("psql, both sides at once");
    let mut ours = Side::new("evenkeel, nothing changed");
    let mut wire = Vec::new();
    for repetition in 1..=repetitions {
        copies.measure(repetition, || {
            for mut copy in [from, to].map(|url| discarded(url, COPY)) {
                assert!(copy.wait().expect("psql ends").success());
            }
        });
        ours.measure(repetition, || {
            wire.push(pulled(pair, 0));
        });
    }
    println!("\nnothing changed, medians of {repetitions}");
    for side in [&copies, &ours] {
        side.print(&copies);
    }
    println!("to reach: at most 1.4 times");
    print_wire(&wire, 16);
}

fn some_changed(pair: &Pair, (from, to): (&str, &str), rows: u64, repetitions: u64) {
    let mut theirs = Side::new("reladiff, compares only");
    let mut ours = Side::new("evenkeel, compares and repairs");
    let mut wire = Vec::new();
    let reladiff = Reladiff::found();
    for repetition in 1..=repetitions {
        let every = rows / CHANGED;
        let change = format!("update orders set total = total + 1 where id % {every} = 0");
        postgres::query(from, &change);
        postgres::query(from, "vacuum analyze orders; checkpoint");
        if let Ok(reladiff) = &reladiff {
            theirs.measure(repetition, || {
                // Each changed row is told twice: as it is on either side.
                assert_eq!(reladiff.differences(from, to), 2 * CHANGED);
            });
        }
        ours.measure(repetition, || {
            wire.push(pulled(pair, CHANGED));
        });
    }
    println!("\n{CHANGED} of {rows} rows changed, medians of {repetitions}");
    ours.print(&ours);
    match &reladiff {
        Ok(reladiff) => {
            theirs.print(&ours);
            println!(
                "{}: {:.1} times as long as evenkeel",
                reladiff.told(),
                theirs.wall() / ours.wall()
            );
        }
        Err(reason) => println!("reladiff: NOT MEASURED: {reason}"),
    }
    println!("to reach: reladiff takes at least 8 times as long");
    print_wire(&wire, 512);
}

/// Pulls, and looks that so many rows were updated and none else touched; what went over the wire.
fn pulled(pair: &Pair, updated: u64) -> u64 {
    let before = pair.link.carried();
    let run = completed(pair);
    let changes = |what: &str| run["changes"][what].as_u64();
    assert_eq!(
        (changes("added"), changes("updated"), changes("deleted")),
        (Some(0), Some(updated), Some(0)),
        "{run:#}"
    );
    assert_eq!(
        run["tables"][0]["proved_equal"],
        Value::Bool(true),
        "{run:#}"
    );
    pair.link.carried() - before
}

fn print_wire(bytes: &[u64], kibibytes: u64) {
    let most = bytes.iter().max().copied().unwrap_or_default();
    println!(
        "on the wire, headers included: {most} bytes ({:.1} KiB); to reach: at most {kibibytes} KiB",
        f64::from(u32::try_from(most).unwrap_or(u32::MAX)) / 1024.0
    );
}
