//! The first copy of `orders` from one MariaDB database to another: two daemons beside `mariadb-dump | mariadb`.
//!
//! `cargo bench --bench first_copy_mariadb [-- ROWS REPETITIONS]`; 1,000,000 rows, 5 times each, alternating. Starts its own
//! server, databases and daemons, and stops by itself. The time of a pull is that from the order to the end of the run,
//! as a client of the admin API sees it: contract, stream, commit, and what is written down afterwards.
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

use figures::mariadb::{SETTINGS, dump, fill, make, server};
use figures::{Side, numbers, pull};
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

    let mut theirs = Side::new("mariadb-dump | mariadb");
    let mut ours = Side::new("evenkeel");
    for repetition in 1..=repetitions {
        let measure = |side: &mut Side, copy: &mut dyn FnMut()| {
            mariadb::query(&to, "truncate orders");
            side.measure(repetition, copy);
            let copied = mariadb::query(&to, "select count(*) from orders");
            assert_eq!(copied, rows.to_string());
        };
        measure(&mut theirs, &mut || dump(&from, &to));
        measure(&mut ours, &mut || {
            pull(&pair, rows);
        });
    }
    println!("\nfirst copy of {rows} rows, MariaDB to MariaDB, medians of {repetitions}");
    for side in [&theirs, &ours] {
        side.print(&theirs);
    }
    println!("to reach: less than 1 time");
}
