//! The first copy of `orders` from one SQLite file to another: two daemons beside `attach` and `insert ... select` in one
//! process and one transaction, and beside `.dump | sqlite3`.
//!
//! `cargo bench --bench first_copy_sqlite [-- ROWS REPETITIONS]`; 1,000,000 rows, 5 times each, alternating; in WAL mode,
//! then with a rollback journal. Makes its own files and daemons, and stops by itself. `.dump` is left out where no
//! `sqlite3` is installed.
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

use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use figures::sqlite::{empty, file_of, fill, open, remove};
use figures::{Began, Side, Took, numbers, pull};
use support::database::{Database, Kind};
use support::pair::Pair;
use support::wait;

fn main() {
    let numbers = numbers();
    let rows = numbers.first().copied().unwrap_or(1_000_000);
    let repetitions = numbers.get(1).copied().unwrap_or(5);
    let sites = (Database::empty(Kind::Sqlite), Database::empty(Kind::Sqlite));
    let [from, to] = [&sites.0, &sites.1].map(|site| file_of(&site.url()));
    let pair = Pair::builder(sites.0, sites.1).direct().start();
    for mode in ["wal", "delete"] {
        fill(&from, mode, rows);
        compare(&pair, (&from, &to), mode, rows, repetitions);
    }
}

fn compare(pair: &Pair, (from, to): (&Path, &Path), mode: &str, rows: u64, repetitions: u64) {
    let mut attached = Side::new("attach, insert ... select");
    let mut dumped = Side::new(".dump | sqlite3");
    let mut committed = Side::new("evenkeel, committed");
    let mut proved = Side::new("evenkeel, proved");
    for repetition in 1..=repetitions {
        empty(to, mode);
        attached.measure(repetition, || attach(from, to));
        if has_sqlite3() {
            remove(to);
            dumped.measure(repetition, || dump(from, to));
        }
        empty(to, mode);
        let commit = commit_of(to, rows);
        proved.measure(repetition, || drop(pull(pair, rows)));
        committed.add(repetition, commit.join().expect("a thread"));
        let count = "select count(*) from orders";
        let copied: Result<i64, _> = open(to).query_row(count, [], |row| row.get(0));
        assert_eq!(copied, Ok(i64::try_from(rows).expect("a number of rows")));
    }
    println!(
        "\nfirst copy of {rows} rows, SQLite to SQLite, journal_mode {mode}, medians of {repetitions}"
    );
    for side in [&attached, &dumped, &committed, &proved] {
        side.print(&attached);
    }
    println!("to reach: at most 3 times\n");
}

/// Looks again and again whether the last row of a copy that begins now can be seen, which is once it is committed.
fn commit_of(to: &Path, rows: u64) -> JoinHandle<Took> {
    let (began, to) = (Began::now(), to.to_owned());
    thread::spawn(move || {
        let look = format!("select 1 from orders where id = {rows}");
        let file = open(&to);
        wait::until(
            "the last row is committed",
            Duration::from_secs(3600),
            || file.query_row(&look, [], |_| Ok(())).ok(),
        );
        began.took()
    })
}

fn attach(from: &Path, to: &Path) {
    let file = open(to);
    let from = from.to_str().expect("a path in UTF-8");
    file.execute("attach ? as source", [from])
        .expect("attached");
    file.execute_batch("insert into main.orders select * from source.orders")
        .expect("copied");
}

fn has_sqlite3() -> bool {
    let mut version = Command::new("sqlite3");
    let version = version.arg("-version").stdout(Stdio::null()).status();
    version.is_ok_and(|status| status.success())
}

fn dump(from: &Path, to: &Path) {
    let status = Command::new("sh")
        .args(["-c", r#"sqlite3 "$0" .dump | sqlite3 "$1""#])
        .args([from, to])
        .status()
        .expect("sh starts");
    assert!(status.success(), ".dump | sqlite3");
}
