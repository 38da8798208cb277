//! The files in `systemd/`: valid, each line with its reason, and as closed as the page says.

use std::path::Path;
use std::process::Command;

use crate::support::daemon::Output;

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd")
}

/// A root file system with the units and what they name, but no systemd.
fn installed() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let at = |path: &str| root.path().join(path);
    for (file, place) in [
        ("evenkeel.service", "etc/systemd/system/evenkeel.service"),
        (
            "evenkeel-key.service",
            "etc/systemd/system/evenkeel-key.service",
        ),
        ("evenkeel.sysusers", "usr/lib/sysusers.d/evenkeel.conf"),
        ("evenkeel.tmpfiles", "usr/lib/tmpfiles.d/evenkeel.conf"),
    ] {
        std::fs::create_dir_all(at(place).parent().unwrap()).unwrap();
        std::fs::copy(folder().join(file), at(place)).unwrap();
    }
    // Theirs are not the point, but they have to be there.
    for target in [
        "sysinit",
        "basic",
        "shutdown",
        "network-online",
        "multi-user",
    ] {
        let unit = at(&format!("etc/systemd/system/{target}.target"));
        std::fs::write(unit, "[Unit]\nDescription=A stand-in\n").unwrap();
    }
    for program in ["usr/local/bin/evenkeel", "bin/kill", "bin/sh"] {
        std::fs::create_dir_all(at(program).parent().unwrap()).unwrap();
        std::fs::copy("/bin/true", at(program)).unwrap();
    }
    root
}

fn run(program: &str, arguments: &[&str]) -> Output {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|err| panic!("{program}: {err}"));
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Output {
        code: output.status.code().unwrap_or(-1),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

#[test]
fn every_setting_of_the_units_says_its_reason() {
    for file in ["evenkeel.service", "evenkeel-key.service"] {
        let text = std::fs::read_to_string(folder().join(file)).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let settings = lines
            .windows(2)
            .filter(|pair| pair[1].contains('=') && !pair[1].starts_with('#'));
        let silent: Vec<&str> = settings
            .filter(|pair| !pair[0].starts_with('#'))
            .map(|pair| pair[1])
            .collect();
        assert_eq!(silent, [""; 0], "{file}");
    }
}

#[test]
fn the_units_are_valid_and_as_closed_as_the_page_says() {
    let root = installed();
    let at_root = format!("--root={}", root.path().display());
    let verified = run(
        "systemd-analyze",
        &[
            "verify",
            &at_root,
            "evenkeel.service",
            "evenkeel-key.service",
        ],
    );
    assert_eq!((verified.code, verified.stderr.as_str()), (0, ""));
    let unit = folder().join("evenkeel.service").display().to_string();
    let most = "12";
    let rated = run(
        "systemd-analyze",
        &[
            "security",
            "--offline=yes",
            &format!("--threshold={most}"),
            "--no-pager",
            &unit,
        ],
    );
    assert_eq!(rated.code, 0, "{rated:#?}");
    let page = include_str!("../../../docs/operations.md");
    assert!(page.contains("exposure with 1.2 of 10"));
}

#[test]
fn the_unit_and_the_daemon_agree_on_times_and_places() {
    let unit = std::fs::read_to_string(folder().join("evenkeel.service")).unwrap();
    let seconds = |key: &str| -> u64 {
        let line = unit
            .lines()
            .find_map(|line| line.strip_prefix(key))
            .unwrap();
        line.trim_end_matches('s').parse().unwrap()
    };
    let settings: toml::Table =
        toml::from_str(include_str!("../../../config/evenkeel.toml")).unwrap();
    let drain = settings["limits"]["drain_timeout"].as_str().unwrap();
    let drain: u64 = drain.trim_end_matches('s').parse().unwrap();
    // The daemon waits 5 s more for what does not know of the setting, and 5 s for closing its state.
    assert!(seconds("TimeoutStopSec=") >= drain + 10);
    assert_eq!(
        settings["state"]["url"].as_str(),
        Some("sqlite:///var/lib/evenkeel/state.db")
    );
    let key = settings["state"]["key_file"].as_str().unwrap();
    assert!(unit.contains(&format!("LoadCredential=evenkeel.key:{key}")));
}

#[test]
fn user_and_folders_are_made_with_the_rights_the_page_shows() {
    let root = installed();
    let at_root = format!("--root={}", root.path().display());
    let user = run("systemd-sysusers", &[&at_root, "evenkeel.conf"]);
    assert_eq!(user.code, 0, "{user:#?}");
    let accounts = std::fs::read_to_string(root.path().join("etc/passwd")).unwrap();
    let account: Vec<&str> = accounts
        .lines()
        .find(|line| line.starts_with("evenkeel:"))
        .unwrap()
        .split(':')
        .collect();
    assert_eq!(
        (account[5], account[6]),
        ("/var/lib/evenkeel", "/usr/sbin/nologin")
    );
    if !rustix::process::geteuid().is_root() {
        eprintln!("NOT TESTED: only root may give folders to another user");
        return;
    }
    let settings = root.path().join("etc/evenkeel");
    std::fs::create_dir(&settings).unwrap();
    for file in ["evenkeel.toml", "secret.key"] {
        std::fs::write(settings.join(file), "").unwrap();
    }
    let made = run("systemd-tmpfiles", &[&at_root, "--create", "evenkeel.conf"]);
    assert_eq!(made.code, 0, "{made:#?}");
    let number = |place: usize| account[place].to_owned();
    for (path, owner, group, mode) in [
        ("etc/evenkeel", "0".to_owned(), number(3), "750"),
        (
            "etc/evenkeel/evenkeel.toml",
            number(2),
            "0".to_owned(),
            "400",
        ),
        (
            "etc/evenkeel/secret.key",
            "0".to_owned(),
            "0".to_owned(),
            "600",
        ),
        ("var/lib/evenkeel", number(2), number(3), "700"),
    ] {
        let path = root.path().join(path).display().to_string();
        let found = run("stat", &["-c", "%u %g %a", &path]);
        assert_eq!(
            found.stdout.trim(),
            format!("{owner} {group} {mode}"),
            "{path}"
        );
    }
}
