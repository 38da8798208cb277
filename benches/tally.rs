//! What a tally costs beside reading the table: rows of `orders` that are in memory already, hashed one by one, hashed
//! many at a time, and counted into a tally with the room that a daemon has.
//!
//! `cargo bench --bench tally [-- ROWS]`; 2,000,000 rows, in one thread. Times are those of the processor, so that other
//! load on the machine hardly counts.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a figure that cannot be measured should stop where it stands, and printing is its purpose"
)]
#![allow(
    dead_code,
    reason = "what the figures share is written as a whole, and a figure uses a part of it"
)]

use evenkeel::base::secret::Secret;
use evenkeel::engine::spool::SpoolBudget;
use evenkeel::engine::tally::Tally;
use evenkeel::wire::frame::RowSum;
use evenkeel::wire::signing::{ConnectionKeys, RootKey};
use evenkeel::wire::tally::{KeyFields, RowHasher, TallyKey};

#[path = "figures/rows.rs"]
mod rows;

use rows::{orders, processor};

fn main() {
    let rows: u32 = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(2_000_000);
    let root = RootKey::of_token(&Secret::new("a token".to_owned()));
    let key = TallyKey::of(&ConnectionKeys::derive(&root, 1).row());
    let batches = orders(rows.into());
    let one_by_one = || {
        let mut sum = RowSum::default();
        for tuple in batches.iter().flat_map(|batch| batch.tuples()) {
            sum.count(key.hash(tuple.unwrap()).0);
        }
        sum
    };
    let many_at_a_time = || {
        let (mut sum, mut hasher) = (RowSum::default(), RowHasher::new(key.clone()));
        for batch in &batches {
            for hash in hasher.hashes(batch.tuples()).unwrap() {
                sum.count(hash.0);
            }
        }
        sum
    };
    let tallied = || {
        let budget = SpoolBudget {
            memory: 24 << 20,
            disk: u64::MAX,
            folder: std::env::temp_dir(),
        };
        let mut tally = Tally::new(key.clone(), KeyFields::new(vec![0]), budget);
        for batch in &batches {
            tally.add(batch).unwrap();
        }
        tally.total()
    };
    let sums: [RowSum; 3] = [
        measured("hashed one by one", rows, one_by_one),
        measured("hashed many at a time", rows, many_at_a_time),
        measured("counted into a tally", rows, tallied),
    ];
    assert!(sums.iter().all(|sum| *sum == sums[0]));
}

/// Prints the best of three.
fn measured(name: &str, rows: u32, work: impl Fn() -> RowSum) -> RowSum {
    let mut sum = RowSum::default();
    let mut once = || {
        let begun = processor();
        sum = work();
        processor() - begun
    };
    let took = (0..3).map(|_| once()).fold(f64::INFINITY, f64::min);
    println!(
        "{rows} rows, {name:<22} {took:.3} s of processor time, {:.0} ns a row",
        took * 1e9 / f64::from(rows)
    );
    sum
}
