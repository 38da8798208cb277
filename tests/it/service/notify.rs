//! What the daemon tells its service manager (sd_notify(3)), read from the socket that systemd would listen on.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;
use sd_notify::NotifyState;

use crate::support::daemon::{Site, SiteBuilder};
use crate::support::http::Request;
use crate::support::{sqlite, wait};

/// The manager's end of the socket.
struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl Manager {
    fn listen() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        Self {
            socket,
            path,
            _folder: folder,
        }
    }

    /// A site that would tell this manager.
    fn site(&self) -> SiteBuilder {
        Site::builder("berlin")
            .sqlite(|path| sqlite::execute(path, "create table t (id integer primary key)"))
            .environment("NOTIFY_SOCKET", self.path.to_str().unwrap())
    }

    /// The next message, as its lines.
    fn next(&self) -> Vec<String> {
        self.within(wait::LONG).expect("a message")
    }

    fn within(&self, patience: Duration) -> Option<Vec<String>> {
        self.socket.set_read_timeout(Some(patience)).unwrap();
        let mut bytes = [0; 4096];
        match self.socket.recv(&mut bytes) {
            Ok(length) => {
                let text = std::str::from_utf8(&bytes[..length]).unwrap();
                Some(text.lines().map(str::to_owned).collect())
            }
            Err(err) => {
                assert!(matches!(
                    err.kind(),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut
                ));
                None
            }
        }
    }
}

fn starts<'a>(message: &'a [String], with: &str) -> &'a str {
    let line = message.iter().find_map(|line| line.strip_prefix(with));
    line.unwrap_or_else(|| panic!("{with} is not in {message:?}"))
}

#[test]
fn ready_is_said_when_the_daemon_is_ready_and_stopping_when_it_is_told_to_end() {
    let manager = Manager::listen();
    let mut site = manager.site().with("limits.drain_timeout", "20s").build();
    site.spawn(&[]);
    let message = manager.next();
    assert_eq!(message[0], "READY=1");
    let ready = Request::new("GET", "/readyz").send(&site.admin_address());
    ready.unwrap().expect(200);
    let status = starts(&message, "STATUS=");
    let peers = site.url().trim_start_matches("http://").to_owned();
    let socket = site.folder().join("admin.sock").display().to_string();
    assert!(
        status.contains(&peers) && status.contains(&socket),
        "{status}"
    );
    // Nobody asked for signs of life.
    assert_eq!(manager.within(Duration::from_millis(300)), None);
    assert!(site.stop().success());
    let message = manager.next();
    assert_eq!(message[0], "STOPPING=1");
    let patience: u64 = starts(&message, "EXTEND_TIMEOUT_USEC=").parse().unwrap();
    assert!((25_000_000..60_000_000).contains(&patience), "{patience}");
    assert_eq!(manager.within(Duration::from_millis(1)), None);
}

#[test]
fn a_reload_is_announced_with_its_time_and_followed_by_ready() {
    let manager = Manager::listen();
    let site = manager.site().start();
    assert_eq!(manager.next()[0], "READY=1");
    let now = || match NotifyState::monotonic_usec_now() {
        Ok(NotifyState::MonotonicUsec(micros)) => micros,
        other => panic!("{other:?}"),
    };
    let before = now();
    site.signal(Signal::HUP);
    let message = manager.next();
    assert_eq!(message[0], "RELOADING=1");
    let micros: i128 = starts(&message, "MONOTONIC_USEC=").parse().unwrap();
    assert!((before..=now()).contains(&micros), "{micros}");
    assert_eq!(manager.next()[0], "READY=1");
}

#[test]
fn a_daemon_that_is_watched_gives_signs_of_life_and_one_that_stands_still_does_not() {
    let manager = Manager::listen();
    let site = manager
        .site()
        .environment("WATCHDOG_USEC", "600000")
        .start();
    // Between them it may say that it is ready.
    let sign_of_life = || {
        wait::until("a sign of life", Duration::from_secs(5), || {
            (manager.next()[0] == "WATCHDOG=1").then_some(())
        });
    };
    for _ in 0..4 {
        sign_of_life();
    }
    site.signal(Signal::STOP);
    // What was sent before is read to its end.
    wait::until("silence", Duration::from_secs(5), || {
        manager
            .within(Duration::from_millis(600))
            .is_none()
            .then_some(())
    });
    site.signal(Signal::CONT);
    sign_of_life();
}

#[test]
fn a_standby_is_ready_to_stand_by_and_says_so() {
    let manager = Manager::listen();
    let mut active = Site::builder("berlin")
        .sqlite(|path| sqlite::execute(path, "create table t (id integer primary key)"))
        .start();
    let state = format!("sqlite://{}", active.folder().join("state.db").display());
    let key = active.folder().join("secret.key").display().to_string();
    let mut standby = manager
        .site()
        .state(&state)
        .with("state.key_file", key)
        .build();
    standby.spawn(&["--standby"]);
    let message = manager.next();
    assert_eq!(message[0], "READY=1");
    assert!(
        starts(&message, "STATUS=").contains("standing by"),
        "{message:?}"
    );
    active.stop();
    let message = manager.next();
    assert_eq!(message[0], "READY=1");
    assert!(
        starts(&message, "STATUS=").contains("peers on"),
        "{message:?}"
    );
}

#[test]
fn the_key_comes_as_a_credential_unless_a_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let credential = folder.path().join("evenkeel.key");
    std::fs::write(&credential, "5a".repeat(32)).unwrap();
    // As systemd leaves it where the right to read is an access list.
    std::fs::set_permissions(&credential, std::fs::Permissions::from_mode(0o440)).unwrap();
    let directory = folder.path().to_str().unwrap();
    let site = |builder: SiteBuilder| {
        builder
            .environment("CREDENTIALS_DIRECTORY", directory)
            .sqlite(|path| sqlite::execute(path, "create table t (id integer primary key)"))
            .start()
    };
    let keyless = site(Site::builder("berlin").without("state.key_file"));
    assert!(!keyless.folder().join("secret.key").exists());
    let findings = keyless.get("/doctor")["findings"].to_string();
    assert!(findings.contains("systemd credential"), "{findings}");
    let named = site(Site::builder("paris"));
    assert!(named.folder().join("secret.key").exists());
}
