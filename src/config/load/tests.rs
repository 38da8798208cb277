//! Tests of `load`: the defaults, the commented file, and faults reported all at once.

use std::collections::HashMap;

use std::time::Duration;

use super::{
    DEFAULT_TEXT, Files, KeyPlace, LogFormat, Path, PathBuf, RUN_FOLDER, Reader, Secret, State,
    read_socket, reader,
};
use crate::config::{ConfigFaults, Loaded};
use crate::model::policy::IncomingMode;

/// The files that the settings name are none of these tests' concern.
fn build(reader: Reader) -> Result<Loaded, ConfigFaults> {
    super::build(reader, Files::Left)
}

fn variables(pairs: &[(&str, &str)]) -> HashMap<String, String> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn reader_of(text: &str, pairs: &[(&str, &str)]) -> (tempfile::TempDir, Reader) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("evenkeel.toml");
    std::fs::write(&file, text).unwrap();
    let reader = reader(Some(&file), variables(pairs));
    (folder, reader)
}

const LEAST: &str = "[site]\nurl = \"https://a.example\"\ndatabase = \"sqlite:///tmp/site.db\"\n";

/// The commented keys of the default file, made live.
fn uncommented() -> String {
    DEFAULT_TEXT
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest)
                if rest
                    .split_once(" = ")
                    .is_some_and(|(key, _)| !key.contains(' ')) =>
            {
                rest
            }
            _ => line,
        })
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn the_least_configuration_gives_the_defaults() {
    let loaded = build(reader_of(LEAST, &[]).1).unwrap();
    let (config, live) = (loaded.config, loaded.live);
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:7440");
    assert_eq!(config.server.prefixes, ["/phoenix_kit"]);
    assert_eq!(config.server.max_connections, 512);
    assert_eq!(config.admin.listen.unwrap().to_string(), "127.0.0.1:7441");
    assert_eq!(config.admin.max_connections, 64);
    assert_eq!(
        config.state.url.expose(),
        "sqlite:///var/lib/evenkeel/state.db"
    );
    assert_eq!(
        config.state.key,
        KeyPlace::File(PathBuf::from("/etc/evenkeel/secret.key"))
    );
    assert!(config.peer.enabled);
    assert_eq!(live.incoming.mode, IncomingMode::RequireApproval);
    assert_eq!(live.healing.interval, Duration::from_secs(60));
    assert!(config.alerts.channel.is_none());
    assert_eq!(config.alerts.after, Duration::from_secs(30));
    assert_eq!(config.alerts.timeout, Duration::from_secs(10));
    assert_eq!(config.runs.parallel, 2);
    assert_eq!(config.runs.give_up_after, Duration::from_secs(900));
    assert_eq!(config.runs.jitter, Duration::from_secs(300));
    assert_eq!(config.runs.second_look, Duration::from_secs(300));
    assert_eq!(
        (config.compare.memory, config.compare.spool),
        (24 << 20, 16 << 30)
    );
    assert_eq!(config.sessions.idle, Duration::from_secs(60));
    assert_eq!(config.sessions.max_hold, Duration::from_secs(4 * 3_600));
    assert_eq!(config.apply.transaction_rows, 1_000_000);
    assert_eq!(config.apply.transaction_bytes, 256 << 20);
    assert_eq!(config.quarantine.max_rows, 1_000);
    assert_eq!(config.log.format, LogFormat::Text);
    assert!(!config.site.name.is_empty());
    assert_eq!(
        live.set_in.keys().collect::<Vec<_>>(),
        ["site.database", "site.url"]
    );
}

#[test]
fn the_commented_file_equals_the_defaults_and_has_every_key() {
    let keys = reader_of(&uncommented(), &[]).1.keys();
    let from_file = build(reader_of(&uncommented(), &[]).1).unwrap();
    let defaults = build(reader_of(LEAST, &[]).1).unwrap();
    assert_eq!(
        format!("{:?}", from_file.live.incoming),
        format!("{:?}", defaults.live.incoming)
    );
    assert_eq!(
        format!("{:?}", from_file.config.peer),
        format!("{:?}", defaults.config.peer)
    );
    let asked = asked_for();
    assert!(asked.len() > 25);
    for key in asked {
        assert!(keys.contains(&key), "config/evenkeel.toml lacks {key}");
    }
    let documentation = include_str!("../../../docs/configuration.md");
    for key in keys {
        assert!(
            documentation.contains(&format!("`{key}`")),
            "docs/configuration.md lacks {key}"
        );
    }
}

/// Every key that building a configuration asks for.
fn asked_for() -> Vec<String> {
    let reader = reader_of(LEAST, &[]).1;
    let asked = std::rc::Rc::clone(&reader.asked);
    build(reader).unwrap();
    asked.borrow().clone()
}

#[test]
fn all_faults_are_reported_at_once_with_key_and_place() {
    let text = "[site]\nurl = \"ftp://x\"\nnmae = \"x\"\n[server]\nlisten = \"7440\"\n[server.tls]\ncertificate = \"c\"\n\
                [runs]\nparallel = 0\n[extra]\nx = 1\n";
    let (folder, reader) = reader_of(text, &[("EVENKEEL__HEALING__INTERVAL", "soon")]);
    let file = folder.path().join("evenkeel.toml").display().to_string();
    let faults = build(reader).unwrap_err().0;
    let found: Vec<(&str, Option<&str>)> = faults
        .iter()
        .map(|fault| (fault.key.as_str(), fault.place.as_deref()))
        .collect();
    let file = Some(file.as_str());
    assert_eq!(
        found,
        [
            ("extra.x", file),
            ("healing.interval", Some("EVENKEEL__HEALING__INTERVAL")),
            ("runs.parallel", file),
            ("server.listen", file),
            ("server.tls.key", None),
            ("site.database", None),
            ("site.nmae", file),
            ("site.url", file),
        ]
    );
}

#[test]
fn of_a_file_that_cannot_be_read_only_that_is_told() {
    let (folder, _) = reader_of(LEAST, &[]);
    for (name, text) in [("absent.toml", None), ("no.toml", Some("[site"))] {
        let file = folder.path().join(name);
        if let Some(text) = text {
            std::fs::write(&file, text).unwrap();
        }
        let faults = build(reader(Some(&file), variables(&[]))).unwrap_err().0;
        let places: Vec<Option<&str>> = faults.iter().map(|fault| fault.place.as_deref()).collect();
        assert_eq!(places, [file.to_str()], "{faults:?}");
    }
}

#[test]
fn no_fault_and_no_debug_shows_a_database_url() {
    for url in [
        "mysql://u:hunter2@h",
        "hunter2",
        "postgresql://u:hunter2@:x/y",
        "sqlite:",
    ] {
        let variables = [
            ("EVENKEEL__SITE__DATABASE", url),
            ("EVENKEEL__STATE__URL", url),
        ];
        let faults = build(reader_of("[site]\nurl = \"http://a\"\n", &variables).1).unwrap_err();
        assert!(!faults.to_string().contains("hunter2"), "{faults}");
        assert_eq!(faults.0.len(), 2, "{faults}");
    }
    let variables = [("EVENKEEL__SITE__DATABASE", "postgresql://u:hunter2@h/d")];
    let config = build(reader_of(LEAST, &variables).1).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn the_socket_lies_where_it_is_named_or_beside_a_sqlite_state() {
    let state = |url: &str| State {
        url: Secret::new(url.to_owned()),
        key: KeyPlace::File(PathBuf::new()),
    };
    let socket = |named: &str, url: &str| {
        let (_folder, mut reader) = reader_of(&format!("[admin]\nsocket = \"{named}\"\n"), &[]);
        read_socket(&mut reader, Some(&state(url)))
    };
    assert_eq!(
        socket("/x/a.sock", "sqlite:///s/state.db"),
        Path::new("/x/a.sock")
    );
    let expected = if Path::new(RUN_FOLDER).is_dir() {
        RUN_FOLDER
    } else {
        "/s"
    };
    assert_eq!(
        socket("", "sqlite:///s/state.db?mode=rwc"),
        Path::new(expected).join("admin.sock")
    );
    assert_eq!(
        socket("", "postgresql://h/d"),
        Path::new("/run/evenkeel/admin.sock")
    );
}

#[test]
fn the_withheld_list_keeps_the_usual_business_tables() {
    let loaded = build(reader_of(LEAST, &[]).1).unwrap();
    let withheld = loaded.config.grants.withheld;
    let includes = |name: &str| withheld.includes(&crate::model::table::TableName::bare(name));
    for name in [
        "schema_migrations",
        "oban_jobs",
        "users_tokens",
        "django_session",
        "password_resets",
        "failed_jobs",
    ] {
        assert!(includes(name), "{name}");
    }
    for name in [
        "orders",
        "customers",
        "items",
        "users",
        "flights",
        "weather",
        "jobsites",
        "patients",
        "payments",
    ] {
        assert!(!includes(name), "{name}");
    }
}

#[test]
fn the_state_never_lies_in_the_sites_own_database() {
    for (site, state) in [
        ("sqlite:///srv/shop.db", "sqlite:///srv/shop.db"),
        (
            "postgresql://shop@localhost/shop",
            "postgres://evenkeel@localhost:5432/shop",
        ),
    ] {
        let text = format!(
            "[site]\nurl = \"https://a.example\"\ndatabase = \"{site}\"\n[state]\nurl = \"{state}\"\n"
        );
        let (_folder, reader) = reader_of(&text, &[]);
        let faults = build(reader).unwrap_err().to_string();
        assert!(
            faults.contains("state.url") && faults.contains("own database"),
            "{faults}"
        );
    }
}
