//! The first copy of `orders` from one MariaDB database to another: two daemons beside `mariadb-dump | mariadb`.
//!
//! `cargo bench --bench first_copy_mariadb [-- ROWS REPETITIONS]`; 1,000,000 rows, 5 times each, alternating. Starts its own
//! server, databases and daemons, and stops by itself. The time of a pull is that from the order to the end of the run,
//! as a client of the admin API sees it: contract, stream, commit, and the count of the rows afterwards.
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

use figures::mariadb::{SETTINGS, dump, fill, make, server};
use figures::{median, numbers, pull};
use support::database::Database;
use support::mariadb;
use support::pair::Pair;

fn main() {
    let numbers = numbers();
    let rows = numbers.first().copied().unwrap_or(1_000_000);
    let repetitions = numbers.get(1).copied().unwrap_or(5);
    let server = server();
    let (from, to) = (server.database(), server.database());
    println!(
        "settings of the server, for both sides: {}",
        SETTINGS.join(" ")
    );
    fill(&from, rows);
    make(&to);
    let pair = Pair::builder(
        Database::Mariadb(from.clone()),
        Database::Mariadb(to.clone()),
    )
    .direct()
    .start();

    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for repetition in 1..=repetitions {
        let measure = |name: &str, times: &mut Vec<Duration>, copy: &dyn Fn() -> Duration| {
            mariadb::query(&to, "truncate orders");
            let took = copy();
            assert_eq!(
                mariadb::query(&to, "select count(*) from orders"),
                rows.to_string()
            );
            println!("{repetition}: {name:<24} {:6.2} s", took.as_secs_f64());
            times.push(took);
        };
        measure("mariadb-dump | mariadb", &mut theirs, &|| dump(&from, &to));
        measure("evenkeel", &mut ours, &|| pull(&pair, rows));
    }
    println!("\nfirst copy of {rows} rows, MariaDB to MariaDB, median of {repetitions}");
    let beside = median(&theirs).as_secs_f64();
    for (name, times) in [("mariadb-dump | mariadb", &theirs), ("evenkeel", &ours)] {
        let took = median(times).as_secs_f64();
        println!("{name:<24} {took:6.2} s   {:5.2} times", took / beside);
    }
    println!("to reach: less than 1 time");
}
