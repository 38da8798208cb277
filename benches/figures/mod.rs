//! What the figures share: the table `orders`, servers as an operator would run them, and how results are printed.

pub mod mariadb;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::pair::Pair;
use crate::support::postgres::{self, Postgres};
use crate::support::wait;

/// PostgreSQL's defaults (durable: `fsync`, `synchronous_commit` and `full_page_writes` are on), but with room for a
/// bulk load. Both sides of a comparison use the same server.
pub const SETTINGS: &str = "
shared_buffers = 512MB
max_wal_size = 8GB
checkpoint_timeout = 30min
timezone = 'UTC'
";

/// As `measures` defines it.
const ORDERS: &str = "create table orders (
    id bigint primary key, customer_id int, ref uuid, status text, total numeric(12,2), note text null, tags jsonb,
    paid boolean, created_at timestamptz, updated_at timestamptz)";

/// Makes the empty table.
pub fn make(url: &str) {
    postgres::query(url, ORDERS);
}

/// Makes the table and fills it with `rows` rows, always the same, about 152 bytes each as binary COPY.
pub fn fill(url: &str, rows: u64) {
    make(url);
    postgres::query(
        url,
        &format!(
            "insert into orders
             select i, (i * 7919 % 50000)::int, md5(i::text)::uuid,
                 (array['new', 'paid', 'shipped', 'cancelled'])[1 + i % 4], (i * 37 % 1000000)::numeric / 100,
                 case when i % 3 > 0 then 'leave it with the neighbour, no. ' || i % 100 end,
                 jsonb_build_object('gift', i % 2 = 0, 'lane', i % 12), i % 4 > 0,
                 timestamptz '2013-01-01Z' + i * interval '13 seconds',
                 timestamptz '2013-01-02Z' + i * interval '17 seconds'
             from generate_series(1::bigint, {rows}) i;
             vacuum analyze orders;
             checkpoint"
        ),
    );
}

/// Empties the table, and lets the server write down what it still holds back.
pub fn empty(url: &str) {
    postgres::query(url, "truncate orders; checkpoint");
}

/// A server with [`SETTINGS`].
pub fn server() -> Postgres {
    Postgres::with_settings(SETTINGS)
}

/// Pulls `orders` and returns how long it took from the order to the run's end.
pub fn pull(pair: &Pair, rows: u64) -> Duration {
    let begun = Instant::now();
    let id = pair.order(&["orders"]);
    let run = wait::until("the run is over", Duration::from_secs(3600), || {
        let run: Value = pair.run(&id);
        let over = !matches!(run["status"].as_str(), Some("pending" | "running"));
        over.then_some(run)
    });
    let took = begun.elapsed();
    assert_eq!(run["status"], "completed", "{run:#}");
    assert_eq!(run["changes"]["added"], rows, "{run:#}");
    took
}

/// `psql copy | psql copy` in the binary format, or in the text format.
pub fn pipe(from: &str, to: &str, format: &str) -> Duration {
    let psql = postgres::programs().join("psql");
    let script = r#""$0" -X -q -d "$1" -c "copy orders to stdout (format $3)" | "$0" -X -q -d "$2" -c "copy orders from stdin (format $3)""#;
    let begun = Instant::now();
    let status = Command::new("sh")
        .args(["-c", script])
        .arg(psql)
        .args([from, to, format])
        .stdin(Stdio::null())
        .status()
        .expect("sh starts");
    let took = begun.elapsed();
    assert!(status.success(), "psql | psql");
    took
}

/// The numbers among the arguments: `cargo bench` adds words of its own.
pub fn numbers() -> Vec<u64> {
    let arguments = std::env::args().skip(1);
    arguments.filter_map(|text| text.parse().ok()).collect()
}

/// The middle one.
pub fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
