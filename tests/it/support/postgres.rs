//! Throw-away PostgreSQL servers on free loopback ports, also when run as root; nothing outlives the test process.
//!
//! [`shared`] is one server for the whole test process, to be used by every test that only needs a database.
//! [`Postgres::start`] is a private one for tests that stop or kill it.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;

use super::program::{end, fed, give_away, unprivileged};
use super::{cleanup, ports, wait};

/// Small, fast, and with enough connections for many daemons at once. Nothing here has to survive a power cut of the
/// machine, but what is committed does survive the death of the server's processes.
const SETTINGS: &str = "
fsync = off
full_page_writes = off
wal_level = minimal
max_wal_senders = 0
max_wal_size = 2GB
shared_buffers = 64MB
max_connections = 300
timezone = 'UTC'
log_timezone = 'UTC'
lc_messages = 'C'
";

/// Whom the servers run as when the tests run as root.
const USER: &str = "postgres";

/// A running server; dropping it stops it and removes its files.
pub struct Postgres {
    folder: TempDir,
    /// How a URL names it.
    host: String,
    port: u16,
    small_disk: Option<String>,
    server: Mutex<Option<Child>>,
}

/// The server that all tests of this process share, started by the first that asks.
pub fn shared() -> &'static Postgres {
    static SERVER: OnceLock<Postgres> = OnceLock::new();
    SERVER.get_or_init(Postgres::start)
}

/// Runs `sql` in the database at `url` with psql and returns what it prints: a line per row, `|` between columns,
/// NULL as nothing. Panics with psql's words when a statement fails.
pub fn query(url: &str, sql: &str) -> String {
    try_query(url, sql).unwrap_or_else(|words| panic!("{sql}\n{words}"))
}

/// Like [`query`], but a failure is psql's words as `Err`.
pub fn try_query(url: &str, sql: &str) -> Result<String, String> {
    let mut psql = psql(url);
    let output = fed(psql.arg("--file=-"), sql.as_bytes());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&output.stderr))
    }
}

/// Copies `csv` (with a header line, `NA` as NULL) into `table` of the database at `url`.
pub fn copy_csv(url: &str, table: &str, csv: &[u8]) {
    let copy = format!("copy {table} from stdin (format csv, header true, null 'NA')");
    let output = fed(psql(url).args(["--command", &copy]), csv);
    assert!(
        output.status.success(),
        "{copy}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

impl Postgres {
    /// Starts a server of its own, for a test that means to stop or kill it.
    pub fn start() -> Self {
        Self::prepared(SETTINGS, None)
    }

    /// Starts a server of its own with these settings instead of the harness's.
    pub fn with_settings(settings: &str) -> Self {
        Self::prepared(settings, None)
    }

    /// From now on its URLs lead to its socket, as those of a site whose database is beside it.
    pub fn by_socket(mut self) -> Self {
        self.host = self.folder.path().display().to_string().replace('/', "%2F");
        self
    }

    /// Starts a server of its own that sees a file system of `size` (such as `4m`) at [`small_disk`](Self::small_disk).
    /// `None` where nobody may make mount namespaces: it takes root, or user namespaces.
    pub fn with_small_disk(size: &str) -> Option<Self> {
        let probe = namespace()
            .args(["mount", "-t", "tmpfs", "tmpfs", "/tmp"])
            .output();
        let allowed = probe.is_ok_and(|output| output.status.success());
        allowed.then(|| Self::prepared(SETTINGS, Some(size.to_owned())))
    }

    /// The folder for a tablespace on the small disk; the server sees it, other processes do not.
    pub fn small_disk(&self) -> String {
        self.folder.path().join("small").display().to_string()
    }

    fn prepared(settings: &str, small_disk: Option<String>) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("evenkeel-postgres-")
            .tempdir()
            .expect("a temporary folder");
        cleanup::folder(folder.path());
        give_away(folder.path(), USER);
        let data = folder.path().join("data");
        let mut initdb = unprivileged(&programs().join("initdb"), USER);
        initdb.args([
            "--auth=trust",
            "--username=postgres",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
        ]);
        let output = initdb
            .arg("--pgdata")
            .arg(&data)
            .output()
            .expect("initdb starts");
        assert!(
            output.status.success(),
            "initdb: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let mut file = File::options()
            .append(true)
            .open(data.join("postgresql.conf"))
            .expect("settings");
        file.write_all(settings.as_bytes())
            .expect("settings are written");
        let server = Self {
            folder,
            host: "127.0.0.1".to_owned(),
            port: ports::free(),
            small_disk,
            server: Mutex::new(None),
        };
        server.restart();
        server
    }

    /// A fresh, empty database of this server; its URL.
    pub fn database(&self) -> String {
        self.database_like("template1")
    }

    /// A fresh database with everything that the database at `template` holds; its URL. Nobody may be connected there.
    pub fn database_like(&self, template: &str) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("db{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let template = template.rsplit('/').next().expect("a name");
        query(
            &self.url("postgres"),
            &format!("create database {name} template {template}"),
        );
        self.url(&name)
    }

    /// The URL of the database `name`, whether it exists or not.
    pub fn url(&self, name: &str) -> String {
        format!("postgresql://postgres@{}:{}/{name}", self.host, self.port)
    }

    /// Ends the server at once, as a power cut would; its processes vanish without a word to their clients.
    pub fn kill9(&self) {
        let mut server = self.server();
        if let Some(child) = server.take() {
            // Those that serve a client would otherwise go on until they look for their parent.
            let serving = children(&child);
            end(child, Signal::KILL);
            for process in serving {
                // It may have ended by itself.
                let _ = kill_process(process, Signal::KILL);
            }
        }
    }

    /// Ends the server in order: sessions are told that it shuts down.
    pub fn stop(&self) {
        let mut server = self.server();
        if let Some(child) = server.take() {
            end(child, Signal::INT);
        }
    }

    /// Starts the server where it was, after [`stop`](Self::stop) or [`kill9`](Self::kill9), and waits until it answers.
    pub fn restart(&self) {
        let mut server = self.server();
        assert!(server.is_none(), "the server still runs");
        // Processes of a killed server may hold its shared memory for a moment: the new one ends and is started again.
        let child = wait::until("PostgreSQL answers", wait::LONG, || self.attempt());
        *server = Some(child);
    }

    /// What the server wrote to its log.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn attempt(&self) -> Option<Child> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join("log"))
            .expect("a log");
        let mut postgres = self.program();
        let mut child = postgres
            .arg("-D")
            .arg(self.folder.path().join("data"))
            .args([
                "-c",
                "listen_addresses=127.0.0.1",
                "-c",
                &format!("port={}", self.port),
                "-k",
            ])
            .arg(self.folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the log twice"))
            .stderr(log)
            .spawn()
            .expect("postgres starts");
        cleanup::started(&child, "QUIT");
        let answers = wait::within(wait::LONG, || {
            if child.try_wait().expect("a status").is_some() {
                return Some(false);
            }
            try_query(&self.url("postgres"), "select 1")
                .is_ok()
                .then_some(true)
        });
        match answers {
            Some(true) => Some(child),
            Some(false) => {
                cleanup::ended(&child);
                None
            }
            None => panic!("PostgreSQL neither answers nor ends:\n{}", self.log()),
        }
    }

    /// The server, in a mount namespace of its own where it has a small disk. Each step becomes the next one, so that
    /// the process that is started is the server.
    fn program(&self) -> Command {
        const SCRIPT: &str = r#"mkdir -p "$0" && mount -t tmpfs -o "size=$1" tmpfs "$0" &&
            chown --reference="$0/.." "$0" && shift && exec "$@""#;
        let server = unprivileged(&programs().join("postgres"), USER);
        let Some(size) = &self.small_disk else {
            return server;
        };
        let mut command = namespace();
        command.args(["sh", "-c", SCRIPT, &self.small_disk(), size]);
        command.arg(server.get_program()).args(server.get_args());
        command.current_dir("/");
        command
    }

    fn server(&self) -> MutexGuard<'_, Option<Child>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(child) = self.server().take() {
            end(child, Signal::QUIT);
        }
    }
}

/// The processes that `parent` has started and that live.
fn children(parent: &Child) -> Vec<Pid> {
    let parent = parent.id();
    let listed = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
    let listed = listed.expect("Linux tells a process's children");
    let numbers = listed.split_whitespace().map(str::parse);
    numbers
        .filter_map(|number| Pid::from_raw(number.expect("a process id")))
        .collect()
}

/// The newest installed server's programs: Debian keeps them out of the path.
pub fn programs() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let versions = std::fs::read_dir("/usr/lib/postgresql")
            .into_iter()
            .flatten()
            .flatten();
        let version = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
        let debian = versions
            .map(|entry| entry.path())
            .filter(|path| path.join("bin/initdb").exists());
        let newest = debian.max_by_key(version).map(|path| path.join("bin"));
        let path = std::env::var_os("PATH").unwrap_or_default();
        let listed = || std::env::split_paths(&path).find(|folder| folder.join("initdb").exists());
        newest
            .or_else(listed)
            .expect("PostgreSQL is installed (tests/run says how)")
    })
}

fn psql(url: &str) -> Command {
    let mut psql = Command::new(programs().join("psql"));
    psql.args([
        "--no-psqlrc",
        "--quiet",
        "--no-align",
        "--tuples-only",
        "--set=ON_ERROR_STOP=1",
    ]);
    psql.args(["--dbname", url])
        .env("PGTZ", "UTC")
        .env("PGCONNECT_TIMEOUT", "10");
    psql
}

/// Runs what follows where its mounts are seen by nobody else.
fn namespace() -> Command {
    let mut command = Command::new("unshare");
    command.args(if geteuid().is_root() {
        &["--mount"][..]
    } else {
        &["--user", "--map-current-user", "--keep-caps", "--mount"][..]
    });
    command
}
