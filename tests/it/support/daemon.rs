//! Sites of a test: the real binary, its own configuration and state in a temporary folder, on free ports.
//!
//! The peer listener keeps its port over restarts, so that the other site still finds it.
//! A site that is dropped is killed; one whose test process dies is killed too.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::http::{Address, Answer, Request};
use super::{cleanup, ports, wait};

/// A site in the making.
pub struct SiteBuilder {
    name: String,
    settings: toml::Table,
    environment: Vec<(String, String)>,
    folder: TempDir,
    port: u16,
    url: String,
}

/// A site: a folder with configuration, state and log, and usually a running daemon.
pub struct Site {
    name: String,
    folder: TempDir,
    port: u16,
    url: String,
    environment: Vec<(String, String)>,
    daemon: Option<Child>,
    token: OnceLock<String>,
}

/// What a command left behind.
#[derive(Clone, Debug)]
pub struct Output {
    /// The exit code; -1 when a signal ended it.
    pub code: i32,
    /// What it printed as data.
    pub stdout: String,
    /// What it printed for people.
    pub stderr: String,
}

impl SiteBuilder {
    /// Lets the site own its database file `site.db` in its folder, which `fill` may prepare.
    pub fn sqlite(mut self, fill: impl FnOnce(&Path)) -> Self {
        let path = self.folder.path().join("site.db");
        super::sqlite::execute(&path, "select 1");
        fill(&path);
        self.set("site.database", format!("sqlite://{}", path.display()));
        self
    }

    /// Points the site at the database with this URL.
    pub fn database(mut self, url: &str) -> Self {
        self.set("site.database", url);
        self
    }

    /// Keeps the daemon's own state in the database with this URL instead of in a SQLite file.
    pub fn state(mut self, url: &str) -> Self {
        self.set("state.url", url);
        self
    }

    /// Sets any key, as `section.key`.
    pub fn with(mut self, key: &str, value: impl Into<toml::Value>) -> Self {
        self.set(key, value);
        self
    }

    /// Leaves a key to its default.
    pub fn without(mut self, key: &str) -> Self {
        let (section, key) = key.split_once('.').expect("section.key");
        let section = self.settings.get_mut(section).expect("a section");
        section.as_table_mut().expect("a section").remove(key);
        self
    }

    /// Sets an environment variable for the daemon and every command.
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The port on which peers will reach the site.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder the site will have.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Has peers reach the site at `url`.
    pub fn reached_at(mut self, url: &str) -> Self {
        url.clone_into(&mut self.url);
        self.with("site.url", url)
    }

    /// Writes the configuration without starting anything.
    pub fn build(self) -> Site {
        let Self {
            name,
            settings,
            environment,
            folder,
            port,
            url,
        } = self;
        let site = Site {
            name,
            folder,
            port,
            url,
            environment,
            daemon: None,
            token: OnceLock::new(),
        };
        let text = toml::to_string(&settings).expect("settings as TOML");
        std::fs::write(site.config(), text).expect("the configuration is written");
        site
    }

    /// Writes the configuration, starts the daemon, and waits until it is ready.
    pub fn start(self) -> Site {
        let mut site = self.build();
        site.start();
        site
    }

    fn set(&mut self, key: &str, value: impl Into<toml::Value>) {
        let (section, key) = key.rsplit_once('.').expect("section.key");
        let table = section.split('.').fold(&mut self.settings, |table, part| {
            let entry = table
                .entry(part)
                .or_insert_with(|| toml::Table::new().into());
            entry.as_table_mut().expect("a section")
        });
        table.insert(key.to_owned(), value.into());
    }
}

impl Site {
    /// A site of this name with settings for loopback; it still needs a database.
    pub fn builder(name: &str) -> SiteBuilder {
        let folder = tempfile::Builder::new()
            .prefix("evenkeel-site-")
            .tempdir()
            .expect("a temporary folder");
        cleanup::folder(folder.path());
        let path = |file: &str| folder.path().join(file).display().to_string();
        let port = ports::free();
        let url = format!("http://127.0.0.1:{port}");
        // Tests ask more often than strangers do.
        let often: toml::Value = 1_000_000.into();
        let values: [(&str, toml::Value); 12] = [
            ("site.name", name.into()),
            ("site.url", url.as_str().into()),
            ("server.listen", format!("127.0.0.1:{port}").into()),
            ("admin.listen", "127.0.0.1:0".into()),
            ("admin.socket", path("admin.sock").into()),
            ("state.url", format!("sqlite://{}", path("state.db")).into()),
            ("state.key_file", path("secret.key").into()),
            ("outgoing.allowed_networks", vec!["127.0.0.0/8"].into()),
            ("limits.strangers_per_minute", often.clone()),
            ("limits.strangers_burst", often.clone()),
            ("limits.passwords_per_minute", often.clone()),
            ("limits.tokens_per_minute", often),
        ];
        let (settings, environment) = (toml::Table::new(), Vec::new());
        let mut builder = SiteBuilder {
            name: name.to_owned(),
            settings,
            environment,
            folder,
            port,
            url,
        };
        for (key, value) in values {
            builder.set(key, value);
        }
        builder
    }

    /// The site's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where peers reach the site.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// The folder with `evenkeel.toml`, `state.db`, `secret.key`, `admin.sock`, `site.db` (if any) and `log`.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The site's own database file, if it was made by [`SiteBuilder::sqlite`].
    pub fn site_database(&self) -> PathBuf {
        self.folder().join("site.db")
    }

    /// What the daemon logged, over all its starts.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder().join("log")).unwrap_or_default()
    }

    /// The daemon's process id.
    pub fn process(&self) -> u32 {
        self.daemon.as_ref().expect("the daemon runs").id()
    }

    /// Starts the daemon and waits until `/readyz` answers 200.
    pub fn start(&mut self) {
        self.spawn(&[]);
        wait::until(&format!("{} is ready", self.name), wait::LONG, || {
            let ended = self
                .daemon
                .as_mut()
                .and_then(|daemon| daemon.try_wait().expect("a status"));
            assert!(
                ended.is_none(),
                "{} ended with {ended:?}:\n{}",
                self.name,
                self.log()
            );
            // The socket is there whatever else the site has, and never encrypted.
            let answer = Request::new("GET", "/readyz").send(&self.socket()).ok()?;
            (answer.status == 200).then_some(())
        });
    }

    /// Starts the daemon with further arguments to `serve` and waits for nothing.
    pub fn spawn(&mut self, arguments: &[&str]) {
        assert!(self.daemon.is_none(), "{} still runs", self.name);
        drop(std::fs::remove_file(self.folder().join("listening.json")));
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.folder().join("log"))
            .expect("a log");
        let mut command = self.command();
        command.arg("serve").args(arguments).stdin(Stdio::null());
        command
            .stdout(log.try_clone().expect("the log twice"))
            .stderr(log);
        let daemon = command.spawn().expect("the daemon starts");
        cleanup::started(&daemon, "KILL");
        self.daemon = Some(daemon);
    }

    /// Kills the daemon as a power cut would.
    pub fn kill9(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.kill().expect("the daemon can be killed");
            daemon.wait().expect("a status");
            cleanup::ended(&daemon);
        }
    }

    /// Asks the daemon to end (SIGTERM) and waits until it has.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Waits until the daemon has ended by itself.
    pub fn wait(&mut self) -> ExitStatus {
        let mut daemon = self.daemon.take().expect("the daemon runs");
        let status = wait::within(wait::LONG, || daemon.try_wait().expect("a status"));
        if status.is_none() {
            daemon.kill().expect("the daemon can be killed");
            daemon.wait().expect("a status");
        }
        cleanup::ended(&daemon);
        status.unwrap_or_else(|| panic!("{} does not end:\n{}", self.name, self.log()))
    }

    /// Stops the daemon in order and starts it again.
    pub fn restart(&mut self) {
        self.stop();
        self.start();
    }

    /// Sends the daemon a signal.
    pub fn signal(&self, signal: Signal) {
        let daemon = self.daemon.as_ref().expect("the daemon runs");
        kill_process(Pid::from_child(daemon), signal).expect("the daemon can be signalled");
    }

    /// Runs a command against this site, by its configuration, to its end.
    pub fn cli(&self, arguments: &[&str]) -> Output {
        let output = self
            .command()
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .expect("the command starts");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Output {
            code: output.status.code().unwrap_or(-1),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// The binary with this site's configuration, for a test that runs it in its own way.
    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_evenkeel"));
        command
            .arg("--config")
            .arg(self.config())
            .current_dir(self.folder());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// An administrator's token, made on the first call.
    pub fn token(&self) -> &str {
        self.token.get_or_init(|| {
            let made = self.cli(&["token", "create", "--role", "admin", "--name", "test"]);
            assert_eq!(made.code, 0, "{}", made.stderr);
            made.stdout.trim().to_owned()
        })
    }

    /// Calls the admin API: `target` follows `/api/v1`. Panics when nobody answers.
    pub fn admin(&self, method: &str, target: &str, body: Option<&Value>) -> Answer {
        let authorization = format!("Bearer {}", self.token());
        let request = Request::new(method, &format!("/api/v1{target}"))
            .header("authorization", &authorization);
        let request = body
            .iter()
            .fold(request, |request, body| request.json(body));
        let answer = request.send(&self.admin_address());
        answer.unwrap_or_else(|err| {
            panic!("{method} {target} of {}: {err}\n{}", self.name, self.log())
        })
    }

    /// `GET` on the admin API, which must answer 200.
    pub fn get(&self, target: &str) -> Value {
        self.admin("GET", target, None).expect(200).json()
    }

    /// `POST` on the admin API.
    pub fn post(&self, target: &str, body: &Value) -> Answer {
        self.admin("POST", target, Some(body))
    }

    /// Sends `request` to the peer listener, as another site or a stranger would.
    pub fn peer(&self, request: &Request) -> io::Result<Answer> {
        request.send(&Address::Tcp(([127, 0, 0, 1], self.port).into()))
    }

    /// Where the admin listener of the running daemon is.
    pub fn admin_address(&self) -> Address {
        self.try_admin().expect("the daemon listens")
    }

    /// Where the daemon's Unix socket is.
    pub fn socket(&self) -> Address {
        Address::Unix(self.folder().join("admin.sock"))
    }

    fn try_admin(&self) -> Option<Address> {
        let text = std::fs::read(self.folder().join("listening.json")).ok()?;
        let listening: Value = serde_json::from_slice(&text).ok()?;
        Some(Address::Tcp(
            listening.get("admin")?.as_str()?.parse().ok()?,
        ))
    }

    /// Its configuration.
    pub fn config(&self) -> PathBuf {
        self.folder().join("evenkeel.toml")
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.kill9();
        if std::thread::panicking() {
            // The test has failed: its output is the last chance to see why.
            eprintln!("== log of {}\n{}", self.name, self.log());
        }
    }
}
