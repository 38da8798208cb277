//! One site of the demo: a real daemon in a process of its own, with everything it keeps in one folder.
//!
//! Invariant: the daemon ends with the demo, whichever way that ends.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use rusqlite::Connection;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::cli::client::Client;

const POLL: Duration = Duration::from_millis(50);
const START: Duration = Duration::from_secs(15);
const STOP: Duration = Duration::from_secs(5);

/// A site and, once started, its daemon.
pub(super) struct Site {
    /// Its name.
    pub name: &'static str,
    /// Where the other site reaches it.
    pub url: String,
    folder: PathBuf,
    daemon: Option<Child>,
}

/// Free ports of this machine, all different.
pub(super) fn free_ports() -> anyhow::Result<[u16; 2]> {
    let open = || TcpListener::bind(("127.0.0.1", 0));
    let (first, second) = (open()?, open()?);
    Ok([first.local_addr()?.port(), second.local_addr()?.port()])
}

impl Site {
    /// Makes the folder, the settings, and an empty site database.
    pub(super) fn prepare(parent: &Path, name: &'static str, port: u16) -> anyhow::Result<Self> {
        let folder = parent.join(name);
        std::fs::create_dir(&folder)?;
        let url = format!("http://127.0.0.1:{port}");
        let site = Self {
            name,
            url,
            folder,
            daemon: None,
        };
        std::fs::write(site.config(), site.settings(port))?;
        // As most applications do: readers and the writer do not block each other.
        site.open_database()?
            .pragma_update(None, "journal_mode", "wal")?;
        Ok(site)
    }

    fn settings(&self, port: u16) -> String {
        let path = |file: &str| self.folder.join(file).display().to_string();
        let mut settings = toml::Table::new();
        for (section, key, value) in [
            ("site", "name", toml::Value::from(self.name)),
            ("site", "url", self.url.clone().into()),
            (
                "site",
                "database",
                format!("sqlite://{}", path("site.db")).into(),
            ),
            ("server", "listen", format!("127.0.0.1:{port}").into()),
            ("admin", "listen", "".into()),
            ("admin", "socket", path("admin.sock").into()),
            (
                "state",
                "url",
                format!("sqlite://{}", path("state.db")).into(),
            ),
            ("state", "key_file", path("secret.key").into()),
            ("outgoing", "allowed_networks", vec!["127.0.0.0/8"].into()),
        ] {
            let entry = settings
                .entry(section)
                .or_insert_with(|| toml::Table::new().into());
            if let Some(section) = entry.as_table_mut() {
                section.insert(key.to_owned(), value);
            }
        }
        settings.to_string()
    }

    /// The settings file, for `--config`.
    pub(super) fn config(&self) -> PathBuf {
        self.folder.join("evenkeel.toml")
    }

    /// The socket of the admin API.
    pub(super) fn socket(&self) -> PathBuf {
        self.folder.join("admin.sock")
    }

    /// The site database's file.
    pub(super) fn database(&self) -> PathBuf {
        self.folder.join("site.db")
    }

    /// The site database, as its application would open it.
    pub(super) fn open_database(&self) -> anyhow::Result<Connection> {
        let db = Connection::open(self.database())?;
        db.busy_timeout(Duration::from_secs(5))?;
        Ok(db)
    }

    /// The admin API.
    pub(super) fn client(&self) -> anyhow::Result<Client> {
        Client::over_socket(&self.socket())
    }

    /// Starts the daemon, logging into the folder.
    pub(super) fn start(&mut self) -> anyhow::Result<()> {
        let log = std::fs::File::create(self.log())?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--config").arg(self.config()).arg("serve");
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("EVENKEEL_") {
                command.env_remove(name);
            }
        }
        let daemon = command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // Ctrl-C reaches the demo alone, which then stops its daemons in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        self.daemon = Some(daemon);
        Ok(())
    }

    /// Waits until the daemon answers; when it ended instead, the error shows its last words.
    pub(super) async fn ready(&mut self) -> anyhow::Result<()> {
        let client = self.client()?;
        let deadline = Instant::now() + START;
        loop {
            let Err(err) = client.get(&["site"]).await else {
                return Ok(());
            };
            let ended = match &mut self.daemon {
                Some(daemon) => daemon.try_wait()?,
                None => None,
            };
            if let Some(status) = ended {
                anyhow::bail!(
                    "the daemon of {} ended with {status}:\n{}",
                    self.name,
                    self.last_words()
                );
            }
            if Instant::now() >= deadline {
                let words = format!(
                    "the daemon of {} does not answer:\n{}",
                    self.name,
                    self.last_words()
                );
                return Err(err).context(words);
            }
            sleep(POLL).await;
        }
    }

    /// The end of the daemon's log.
    pub(super) fn last_words(&self) -> String {
        let log = std::fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(10).collect();
        lines
            .into_iter()
            .rev()
            .map(|line| format!("  {line}"))
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// Stops the daemon: politely first.
    pub(super) async fn stop(&mut self) {
        let Some(mut daemon) = self.daemon.take() else {
            return;
        };
        let id = daemon
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        if let Some(id) = id {
            // Errors mean that it ended by itself.
            let _ = kill_process(id, Signal::TERM);
        }
        if timeout(STOP, daemon.wait()).await.is_err() {
            let _ = daemon.kill().await;
        }
    }

    fn log(&self) -> PathBuf {
        self.folder.join("log")
    }
}

#[cfg(test)]
mod tests {
    use super::{Site, free_ports};

    #[test]
    fn a_site_is_prepared_with_settings_that_are_valid() {
        let folder = tempfile::tempdir().unwrap();
        let [first, second] = free_ports().unwrap();
        assert_ne!(first, second);
        let site = Site::prepare(folder.path(), "newyork", first).unwrap();
        let config = crate::config::load(Some(&site.config())).unwrap().config;
        assert_eq!(config.site.name, "newyork");
        assert_eq!(config.site.url.to_string(), site.url);
        assert_eq!(config.admin.socket, site.socket());
        assert_eq!(config.admin.listen, None);
        assert!(site.database().exists());
    }
}
