//! What the figures share: the table `orders`, servers as an operator would run them, and how results are printed.

pub mod mariadb;
pub mod sqlite;

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
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

/// Its columns but the key.
pub const COLUMNS: [&str; 9] = [
    "customer_id",
    "ref",
    "status",
    "total",
    "note",
    "tags",
    "paid",
    "created_at",
    "updated_at",
];

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

/// A server with [`SETTINGS`], which everyone reaches by its socket.
pub fn server() -> Postgres {
    Postgres::with_settings(SETTINGS).by_socket()
}

/// What something took.
#[derive(Clone, Copy, Debug)]
pub struct Took {
    /// From beginning to end.
    pub wall: Duration,
    /// Of processor time, by this program and everything it has started: tools, daemons and servers. Other load on the
    /// machine changes it far less than the wall clock.
    pub cpu: Duration,
}

/// A moment from which is measured.
#[derive(Clone, Copy, Debug)]
pub struct Began {
    at: Instant,
    cpu: Duration,
}

impl Began {
    /// Now.
    pub fn now() -> Self {
        Self {
            at: Instant::now(),
            cpu: cpu(),
        }
    }

    /// What it took until now.
    pub fn took(self) -> Took {
        Took {
            wall: self.at.elapsed(),
            cpu: cpu() - self.cpu,
        }
    }
}

/// Looks twenty times a second whether the last row of `orders` can be seen, which is once it is committed.
pub struct Commit {
    psql: Child,
    seen: JoinHandle<Option<Took>>,
}

impl Commit {
    /// Of a copy of `rows` rows that begins now.
    pub fn of(url: &str, rows: u64) -> Self {
        let began = Began::now();
        let mut command = Command::new(postgres::programs().join("psql"));
        command.args(["-X", "-q", "-A", "-t", "-d", url]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut psql = command.spawn().expect("psql starts");
        let mut script = psql.stdin.take().expect("a pipe");
        let look = format!("select 'there' from orders where id = {rows} \\watch 0.05\n");
        script.write_all(look.as_bytes()).expect("psql reads");
        let told = BufReader::new(psql.stdout.take().expect("a pipe"));
        let seen = thread::spawn(move || {
            let mut lines = told.lines().map_while(Result::ok);
            lines.any(|line| line == "there").then(|| began.took())
        });
        Self { psql, seen }
    }

    /// What it took; the copy has ended.
    pub fn took(mut self) -> Took {
        wait::until("the commit is seen", Duration::from_secs(10), || {
            self.seen.is_finished().then_some(())
        });
        self.psql.kill().expect("psql ends");
        self.psql.wait().expect("psql ends");
        let seen = self.seen.join().expect("a thread");
        seen.expect("the last row was seen")
    }
}

/// The times of one side of a comparison.
#[derive(Debug)]
pub struct Side {
    name: &'static str,
    took: Vec<Took>,
}

impl Side {
    /// Nothing measured yet.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            took: Vec::new(),
        }
    }

    /// Takes one more time, and prints it.
    pub fn measure(&mut self, repetition: u64, copy: impl FnOnce()) {
        let begun = Began::now();
        copy();
        self.add(repetition, begun.took());
    }

    /// Adds a time, and prints it.
    pub fn add(&mut self, repetition: u64, took: Took) {
        let (wall, cpu) = (took.wall.as_secs_f64(), took.cpu.as_secs_f64());
        println!(
            "{repetition}: {:<26} {wall:6.2} s  cpu {cpu:6.2} s",
            self.name
        );
        self.took.push(took);
    }

    /// The medians, and how many times those of `beside` they are; nothing if nothing was measured.
    pub fn print(&self, beside: &Self) {
        if self.took.is_empty() {
            return;
        }
        let (wall, cpu) = self.medians();
        let (wall_beside, cpu_beside) = beside.medians();
        println!(
            "{:<29} {wall:6.2} s {:5.2} times  cpu {cpu:6.2} s {:5.2} times",
            self.name,
            wall / wall_beside,
            cpu / cpu_beside
        );
    }

    /// The median of the clock.
    pub fn wall(&self) -> f64 {
        self.medians().0
    }

    fn medians(&self) -> (f64, f64) {
        let median = |of: fn(&Took) -> Duration| {
            let mut times: Vec<Duration> = self.took.iter().map(of).collect();
            times.sort_unstable();
            times
                .get(times.len() / 2)
                .copied()
                .unwrap_or_default()
                .as_secs_f64()
        };
        (median(|took| took.wall), median(|took| took.cpu))
    }
}

/// Pulls `orders` as a client of the admin API does, into an empty table; returns the run when it has completed.
pub fn pull(pair: &Pair, rows: u64) -> Value {
    let run = completed(pair);
    assert_eq!(run["changes"]["added"], rows, "{run:#}");
    run
}

/// Pulls `orders` whatever is there; returns the run when it has completed.
pub fn completed(pair: &Pair) -> Value {
    let id = pair.order(&["orders"]);
    let run = wait::until("the run is over", Duration::from_secs(3600), || {
        let run: Value = pair.run(&id);
        let over = !matches!(run["status"].as_str(), Some("pending" | "running"));
        over.then_some(run)
    });
    assert_eq!(run["status"], "completed", "{run:#}");
    run
}

/// `psql copy | psql copy` in the binary format, or in the text format.
pub fn pipe(from: &str, to: &str, format: &str) {
    let psql = postgres::programs().join("psql");
    let script = r#""$0" -X -q -d "$1" -c "copy orders to stdout (format $3)" | "$0" -X -q -d "$2" -c "copy orders from stdin (format $3)""#;
    let status = Command::new("sh")
        .args(["-c", script])
        .arg(psql)
        .args([from, to, format])
        .stdin(Stdio::null())
        .status()
        .expect("sh starts");
    assert!(status.success(), "psql | psql");
}

/// Has psql run this script against the database, and throws away what it prints.
pub fn discarded(url: &str, script: &str) -> Child {
    let psql = postgres::programs().join("psql");
    let mut command = Command::new(psql);
    command.args(["-X", "-q", "-d", url, "-c", script]);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command.spawn().expect("psql starts")
}

/// Processor time of this program and of everything it has started, ended or still running.
fn cpu() -> Duration {
    let processes: Vec<Process> = std::fs::read_dir("/proc")
        .expect("Linux has /proc")
        .flatten()
        .filter_map(|entry| Process::read(entry.file_name().to_str()?))
        .collect();
    let mut mine = vec![std::process::id()];
    let mut ticks = 0;
    while let Some(id) = mine.pop() {
        for process in &processes {
            if process.parent == id {
                mine.push(process.id);
            }
            if process.id == id {
                ticks += process.ticks;
            }
        }
    }
    time_of(ticks)
}

/// The unit of these figures is a hundredth of a second on every Linux.
fn time_of(ticks: u64) -> Duration {
    Duration::from_millis(ticks * 10)
}

/// Processor time of this one process and of its children that have ended.
pub fn cpu_of(process: u32) -> Duration {
    let process = Process::read(&process.to_string()).expect("a process that runs");
    time_of(process.ticks)
}

/// What the kernel tells of a process (proc(5), `/proc/[pid]/stat`).
struct Process {
    id: u32,
    parent: u32,
    /// Its own time and that of its children that have ended.
    ticks: u64,
}

impl Process {
    /// `None` for what is no process, or no longer one.
    fn read(id: &str) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // The name stands in parentheses, and may hold anything.
        let (_, fields) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let ticks = |at: usize| fields.get(at)?.parse::<u64>().ok();
        Some(Self {
            id: id.parse().ok()?,
            parent: fields.get(1)?.parse().ok()?,
            ticks: (11..=14).map(ticks).sum::<Option<u64>>()?,
        })
    }
}

/// The numbers among the arguments: `cargo bench` adds words of its own.
pub fn numbers() -> Vec<u64> {
    let arguments = std::env::args().skip(1);
    arguments.filter_map(|text| text.parse().ok()).collect()
}
