//! The memory that `orders` takes in both daemons, small table and large: copied, then compared and repaired twice.
//!
//! `cargo bench --bench memory [-- ROWS...]`; 2,000,000 and 10,000,000 rows. Each size gets fresh daemons; the figures
//! are the kernel's own high-water mark of resident memory (`VmHWM`). Starts and stops everything by itself.
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

use figures::{completed, fill, make, numbers, pull, server};
use support::daemon::Site;
use support::database::Database;
use support::pair::Pair;
use support::postgres;

/// Rows that differ when both sides are compared first; then it is a tenth of all.
const CHANGED: u64 = 200;

fn main() {
    let mut sizes = numbers();
    if sizes.is_empty() {
        sizes = vec![2_000_000, 10_000_000];
    }
    let server = server();
    let mut peaks = Vec::new();
    for rows in sizes {
        let (from, to) = (server.database(), server.database());
        fill(&from, rows);
        make(&to);
        let pair = Pair::builder(Database::Postgres(from.clone()), Database::Postgres(to))
            .direct()
            .start();
        print(&pair, rows, "idle");
        pull(&pair, rows);
        print(&pair, rows, "copied and proved");
        let [few, _] = [CHANGED, rows / 10].map(|changed| {
            let every = rows / changed;
            let change = format!("update orders set total = total + 1 where id % {every} = 0");
            postgres::query(&from, &change);
            let run = completed(&pair);
            assert_eq!(run["changes"]["updated"], changed, "{run:#}");
            print(&pair, rows, &format!("{changed} repaired"))
        });
        peaks.push(few);
    }
    if let [first, .., last] = peaks.as_slice() {
        let [sender, receiver] = [last[0] / first[0], last[1] / first[1]];
        println!("large beside small: sender {sender:.2} times, receiver {receiver:.2} times");
        println!("to reach: at most 96 MiB each, within 10 % of each other; idle at most 32 MiB");
    }
}

/// Prints and returns the peaks so far.
fn print(pair: &Pair, rows: u64, what: &str) -> [f64; 2] {
    let [sender, receiver] = [&pair.giver, &pair.taker].map(peak);
    println!("{rows:>10} rows, {what:<22} sender {sender:5.1} MiB, receiver {receiver:5.1} MiB");
    [sender, receiver]
}

/// The high-water mark of a daemon's resident memory in MiB.
fn peak(site: &Site) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", site.process())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kibibytes.expect("Linux tells VmHWM") / 1024.0
}
