//! The daemon as the unit's user in the unit's folders, and who may do what there.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::support::http::{Address, Request};
use crate::support::{cleanup, ports, sqlite, wait};

/// No such users are needed on this machine: rights go by number.
const DAEMON: u32 = 61_010;
const STRANGER: u32 = 61_011;

/// The folders of `evenkeel.tmpfiles` and the unit below another root, with the daemon running in them.
struct Installed {
    root: tempfile::TempDir,
    daemon: Child,
    port: u16,
}

impl Installed {
    fn start() -> Self {
        let root = tempfile::tempdir().unwrap();
        cleanup::folder(root.path());
        std::fs::set_permissions(root.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let at = |path: &str| root.path().join(path);
        folder(&at("etc"), 0, DAEMON, 0o750);
        folder(&at("state"), DAEMON, DAEMON, 0o700);
        folder(&at("run"), DAEMON, DAEMON, 0o750);
        folder(&at("site"), DAEMON, DAEMON, 0o700);
        folder(&at("credentials"), DAEMON, 0, 0o500);
        std::fs::copy(env!("CARGO_BIN_EXE_evenkeel"), at("evenkeel")).unwrap();
        sqlite::execute(
            &at("site/site.db"),
            "create table t (id integer primary key)",
        );
        own(&at("site/site.db"), DAEMON, 0o600);
        let port = ports::free();
        let text = format!(
            "site.url = 'http://127.0.0.1:{port}'
            site.database = 'sqlite://{root}/site/site.db'
            server.listen = '127.0.0.1:{port}'
            admin = {{ listen = '127.0.0.1:0', socket = '{root}/run/admin.sock' }}
            state.url = 'sqlite://{root}/state/state.db'",
            root = root.path().display()
        );
        std::fs::write(at("etc/evenkeel.toml"), text).unwrap();
        own(&at("etc/evenkeel.toml"), DAEMON, 0o400);
        let key = "c3".repeat(32);
        for (path, owner, mode) in [
            ("etc/secret.key", 0, 0o600),
            ("credentials/evenkeel.key", DAEMON, 0o400),
        ] {
            std::fs::write(at(path), &key).unwrap();
            own(&at(path), owner, mode);
        }
        let daemon = as_user(DAEMON, DAEMON, root.path())
            .arg("serve")
            .env("CREDENTIALS_DIRECTORY", at("credentials"))
            .stderr(std::fs::File::create(at("log")).unwrap())
            .spawn()
            .unwrap();
        cleanup::started(&daemon, "KILL");
        let installed = Self { root, daemon, port };
        wait::until("the daemon answers", wait::LONG, || {
            installed.peer(&Request::new("GET", "/healthz"))
        });
        installed
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    fn peer(&self, request: &Request) -> Option<u16> {
        let to = Address::Tcp(([127, 0, 0, 1], self.port).into());
        request.send(&to).ok().map(|answer| answer.status)
    }

    /// How a command of this user ends, and what it printed.
    fn command(&self, user: u32, group: u32, arguments: &[&str]) -> (i32, String) {
        let output = as_user(user, group, self.root.path())
            .args(arguments)
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        (output.status.code().unwrap_or(-1), said)
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        self.daemon.kill().expect("the daemon can be killed");
        self.daemon.wait().expect("a status");
        cleanup::ended(&self.daemon);
        if std::thread::panicking() {
            eprintln!(
                "{}",
                std::fs::read_to_string(self.at("log")).unwrap_or_default()
            );
        }
    }
}

/// The binary as this user, who gains no rights, with the installed settings.
fn as_user(user: u32, group: u32, root: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", &user.to_string(), "--regid", &group.to_string()])
        .args(["--clear-groups", "--no-new-privs"]);
    if user != 0 {
        command.args(["--bounding-set=-all", "--inh-caps=-all"]);
    }
    command
        .arg(root.join("evenkeel"))
        .arg("--config")
        .arg(root.join("etc/evenkeel.toml"))
        .current_dir("/")
        .stdin(Stdio::null());
    command
}

fn folder(path: &Path, user: u32, group: u32, mode: u32) {
    std::fs::create_dir(path).unwrap();
    chown(path, Some(user), Some(group)).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn own(path: &Path, user: u32, mode: u32) {
    chown(path, Some(user), Some(user)).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn the_daemon_works_as_a_user_without_rights_and_root_leaves_nothing_it_cannot_use() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("NOT TESTED: only root may start a daemon as another user");
        return;
    }
    let installed = Installed::start();
    // The key in /etc is root's alone. The settings name no key file, so root's command finds it where the default is:
    // here it has to be told.
    let key = installed.at("etc/secret.key");
    let mut create = as_user(0, 0, installed.root.path());
    let made = create
        .args(["token", "create", "--role", "viewer", "--name", "by-root"])
        .env("EVENKEEL__STATE__KEY_FILE", &key)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    for entry in std::fs::read_dir(installed.at("state")).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(
            entry.metadata().unwrap().uid(),
            DAEMON,
            "{:?}",
            entry.file_name()
        );
    }
    let kept = std::fs::metadata(&key).unwrap();
    assert_eq!((kept.uid(), kept.permissions().mode() & 0o777), (0, 0o600));
    // The daemon knows the token: it was made with the same key.
    let text = std::fs::read_to_string(installed.at("run/listening.json")).unwrap();
    let listening: serde_json::Value = serde_json::from_str(&text).unwrap();
    let admin = Address::Tcp(listening["admin"].as_str().unwrap().parse().unwrap());
    let token = format!("Bearer {}", String::from_utf8(made.stdout).unwrap().trim());
    let site = Request::new("GET", "/api/v1/site").header("authorization", &token);
    assert_eq!(
        site.send(&admin).unwrap().expect(200).json()["role"],
        "viewer"
    );
}

#[test]
fn root_administers_the_group_operates_and_a_stranger_finds_the_folder_closed() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("NOT TESTED: only root may start a daemon as another user");
        return;
    }
    let installed = Installed::start();
    let socket = installed.at("run/admin.sock");
    let server = ["--config", "/dev/null"];
    let settings = ["settings", "set", "incoming_mode", "deny_all"];
    for (user, group, looks, changes) in [
        (0, 0, 0, 0),
        (DAEMON, DAEMON, 0, 0),
        (STRANGER, DAEMON, 0, 4),
        (STRANGER, STRANGER, 3, 3),
    ] {
        let run = |arguments: &[&str]| {
            let mut command = Command::new("setpriv");
            command.args([
                "--reuid",
                &user.to_string(),
                "--regid",
                &group.to_string(),
                "--clear-groups",
            ]);
            let output = command
                .arg(installed.at("evenkeel"))
                .args(server)
                .args(arguments)
                .env("EVENKEEL__ADMIN__SOCKET", &socket)
                .output()
                .unwrap();
            output.status.code().unwrap_or(-1)
        };
        assert_eq!(run(&["connections"]), looks, "{user}:{group} looks");
        assert_eq!(run(&settings), changes, "{user}:{group} changes");
    }
}
