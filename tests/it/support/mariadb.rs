//! Throw-away MariaDB servers on free loopback ports, also when run as root; nothing outlives the test process.
//!
//! [`shared`] is one server for the whole test process, to be used by every test that only needs a database.
//! [`Mariadb::start`] is a private one for tests that stop or kill it, or need settings of their own.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use rustix::process::Signal;
use tempfile::TempDir;

use super::program::{end, fed, give_away, unprivileged};
use super::{cleanup, ports, wait};

/// Small, and with enough connections for many daemons at once. What is committed survives the server's death.
const SETTINGS: &[&str] = &[
    "--skip-networking=0",
    "--bind-address=127.0.0.1",
    "--skip-name-resolve",
    "--skip-log-bin",
    "--performance-schema=off",
    "--max-connections=300",
    "--max-allowed-packet=64M",
    "--innodb-buffer-pool-size=64M",
    "--innodb-log-file-size=96M",
    "--key-buffer-size=1M",
    "--aria-pagecache-buffer-size=8M",
    "--character-set-server=utf8mb4",
    "--lc-messages=en_US",
];

/// Whom the servers run as when the tests run as root.
const USER: &str = "mysql";

/// A running server; dropping it ends it and removes its files.
pub struct Mariadb {
    folder: TempDir,
    port: u16,
    settings: Vec<String>,
    server: Mutex<Option<Child>>,
}

/// The server that all tests of this process share, started by the first that asks.
pub fn shared() -> &'static Mariadb {
    static SERVER: OnceLock<Mariadb> = OnceLock::new();
    SERVER.get_or_init(Mariadb::start)
}

/// Runs `sql` in the database at `url` with the `mariadb` client and returns what it prints: a line per row, `|` between
/// columns, NULL as nothing. Panics with the client's words when a statement fails.
pub fn query(url: &str, sql: &str) -> String {
    try_query(url, sql).unwrap_or_else(|words| panic!("{sql}\n{words}"))
}

/// Like [`query`], but a failure is the client's words as `Err`.
pub fn try_query(url: &str, sql: &str) -> Result<String, String> {
    let output = fed(&mut client(url), sql.as_bytes());
    if output.status.success() {
        let text = String::from_utf8_lossy(&output.stdout);
        let lines: Vec<String> = text.lines().map(line).collect();
        Ok(lines.join("\n"))
    } else {
        Err(String::from_utf8_lossy(&output.stderr)
            .trim_end()
            .to_owned())
    }
}

/// Loads `csv` (with a header line, `NA` as NULL) into `table` of the database at `url`; `columns` are names and types.
pub fn load_csv(url: &str, table: &str, columns: &[(&str, &str)], csv: &[u8]) {
    let names = columns.iter().map(|(name, _)| format!("@{name}"));
    let names: Vec<String> = names.collect();
    let values = columns.iter().map(|(name, kind)| match *kind {
        "timestamptz" => format!("{name} = replace(nullif(@{name}, 'NA'), 'Z', '')"),
        _ => format!("{name} = nullif(@{name}, 'NA')"),
    });
    let values: Vec<String> = values.collect();
    let load = format!(
        "load data local infile '/dev/stdin' into table {table} character set utf8mb4
         fields terminated by ',' optionally enclosed by '\"' escaped by '' ignore 1 lines ({}) set {}",
        names.join(", "),
        values.join(", ")
    );
    let mut client = client(url);
    client.args(["--local-infile=1", "--execute", &load]);
    let output = fed(&mut client, csv);
    assert!(
        output.status.success(),
        "{load}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// One line of the client's batch output: tabs between cells, in which tabs, line ends and backslashes are escaped.
fn line(text: &str) -> String {
    let cells = text.split('\t').map(|cell| match cell {
        "NULL" => String::new(),
        _ => cell
            .replace("\\\\", "\u{1}")
            .replace("\\n", "\n")
            .replace("\\t", "\t")
            .replace("\\0", "\0")
            .replace('\u{1}', "\\"),
    });
    cells.collect::<Vec<_>>().join("|")
}

impl Mariadb {
    /// Starts a server of its own, for a test that means to stop or kill it.
    pub fn start() -> Self {
        Self::with_settings(&[])
    }

    /// Starts a server of its own with these options besides the harness's.
    pub fn with_settings(settings: &[&str]) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("evenkeel-mariadb-")
            .tempdir()
            .expect("a temporary folder");
        cleanup::folder(folder.path());
        give_away(folder.path(), USER);
        let mut install = unprivileged(&program("mariadb-install-db"), USER);
        install.args([
            "--no-defaults",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            "--skip-name-resolve",
            "--innodb-log-file-size=96M",
        ]);
        install.arg(option("--datadir", &folder.path().join("data")));
        install.arg(option("--tmpdir", folder.path()));
        let output = install.output().expect("mariadb-install-db starts");
        assert!(
            output.status.success(),
            "mariadb-install-db: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        let server = Self {
            folder,
            port: ports::free(),
            settings: settings.iter().map(|&setting| setting.into()).collect(),
            server: Mutex::new(None),
        };
        server.restart();
        server
    }

    /// A fresh, empty database of this server; its URL.
    pub fn database(&self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("db{}", NEXT.fetch_add(1, Ordering::Relaxed));
        query(&self.url("mysql"), &format!("create database {name}"));
        self.url(&name)
    }

    /// The URL of the database `name`, whether it exists or not.
    pub fn url(&self, name: &str) -> String {
        self.url_of("root", name)
    }

    /// The same for another user than `root`.
    pub fn url_of(&self, user: &str, name: &str) -> String {
        format!("mysql://{user}@127.0.0.1:{}/{name}", self.port)
    }

    /// Ends the server at once, as a power cut would; it vanishes without a word to its clients.
    pub fn kill9(&self) {
        if let Some(child) = self.server().take() {
            end(child, Signal::KILL);
        }
    }

    /// Ends the server in order: sessions are told that it shuts down.
    pub fn stop(&self) {
        if let Some(child) = self.server().take() {
            end(child, Signal::TERM);
        }
    }

    /// Starts the server where it was, after [`stop`](Self::stop) or [`kill9`](Self::kill9), and waits until it answers.
    pub fn restart(&self) {
        let mut server = self.server();
        assert!(server.is_none(), "the server still runs");
        *server = Some(self.begin());
    }

    /// What the server wrote to its log.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn begin(&self) -> Child {
        let folder = self.folder.path();
        let log = File::options()
            .create(true)
            .append(true)
            .open(folder.join("log"))
            .expect("a log");
        let mut child = unprivileged(&program("mariadbd"), USER)
            .arg("--no-defaults")
            .args(SETTINGS)
            .arg(format!("--port={}", self.port))
            .arg(option("--datadir", &folder.join("data")))
            .arg(option("--socket", &folder.join("socket")))
            .arg(option("--pid-file", &folder.join("pid")))
            .arg(option("--tmpdir", folder))
            .args(&self.settings)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the log twice"))
            .stderr(log)
            .spawn()
            .expect("mariadbd starts");
        cleanup::started(&child, "KILL");
        let answers = wait::within(wait::LONG, || {
            if child.try_wait().expect("a status").is_some() {
                return Some(false);
            }
            try_query(&self.url("mysql"), "select 1")
                .is_ok()
                .then_some(true)
        });
        assert_eq!(
            answers,
            Some(true),
            "MariaDB does not answer:\n{}",
            self.log()
        );
        child
    }

    fn server(&self) -> MutexGuard<'_, Option<Child>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Mariadb {
    fn drop(&mut self) {
        self.kill9();
    }
}

/// An installed program; Debian keeps the server out of the path of ordinary users.
fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/bin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|program| program.exists())
        .expect("MariaDB is installed (tests/run says how)")
}

fn option(name: &str, value: &Path) -> String {
    format!("{name}={}", value.display())
}

fn client(url: &str) -> Command {
    let url = url::Url::parse(url).expect("a URL");
    let mut client = Command::new(program("mariadb"));
    client
        .arg("--no-defaults")
        .args(["--batch", "--skip-column-names", "--comments"])
        .args([
            "--connect-timeout=10",
            "--max-allowed-packet=64M",
            "--default-character-set=utf8mb4",
        ])
        .arg("--init-command=set time_zone = '+00:00'")
        .arg(format!("--user={}", url.username()))
        .arg(format!("--host={}", url.host_str().expect("a host")))
        .arg(format!("--port={}", url.port().expect("a port")))
        .arg(format!("--database={}", url.path().trim_start_matches('/')));
    client
}
