//! The memory that the first copy of `orders` takes in both daemons, small table and large.
//!
//! `cargo bench --bench memory [-- ROWS...]`; 100,000 and 10,000,000 rows. Each size gets fresh daemons; the figure is
//! the kernel's own high-water mark of resident memory (`VmHWM`). Starts and stops everything by itself.
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

use std::time::Instant;

use figures::{fill, make, numbers, pull, server};
use support::daemon::Site;
use support::database::Database;
use support::pair::Pair;

fn main() {
    let mut sizes = numbers();
    if sizes.is_empty() {
        sizes = vec![100_000, 10_000_000];
    }
    let server = server();
    let mut peaks = Vec::new();
    for rows in sizes {
        let (from, to) = (server.database(), server.database());
        fill(&from, rows);
        make(&to);
        let pair = Pair::builder(Database::Postgres(from), Database::Postgres(to))
            .direct()
            .start();
        let idle = (peak(&pair.giver), peak(&pair.taker));
        let begun = Instant::now();
        pull(&pair, rows);
        let took = begun.elapsed();
        let busy = (peak(&pair.giver), peak(&pair.taker));
        println!(
            "{rows:>10} rows in {:6.1} s: peak resident memory of the sender {:5.1} MiB (idle {:.1}), of the receiver {:5.1} MiB (idle {:.1})",
            took.as_secs_f64(),
            busy.0,
            idle.0,
            busy.1,
            idle.1
        );
        peaks.push(busy);
    }
    if let [first, .., last] = peaks.as_slice() {
        println!(
            "large beside small: sender {:.2} times, receiver {:.2} times",
            last.0 / first.0,
            last.1 / first.1
        );
        println!("to reach: at most 96 MiB each, within 10 % of each other; idle at most 32 MiB");
    }
}

/// The high-water mark of a daemon's resident memory in MiB.
fn peak(site: &Site) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", site.process())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kibibytes.expect("Linux tells VmHWM") / 1024.0
}
