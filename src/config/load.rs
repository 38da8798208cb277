//! Builds a [`Config`] from `config/evenkeel.toml` (the defaults), the operator's file and the environment.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::base::secret::{KeyPlace, Secret};
use crate::base::telemetry::LogFormat;
use crate::config::alerts::read_alerts;
use crate::config::environment::key_credential;
use crate::config::fault::{ConfigFault, ConfigFaults};
use crate::config::layers::layered;
use crate::config::live::{Live, read_live};
use crate::config::mysql::mysql_options;
use crate::config::postgres::postgres_options;
use crate::config::reader::{
    Reader, bytes, duration, filled, list, networks, number, parsed, span, switch, text,
};
use crate::config::sessions::{read_compare, read_sessions};
use crate::config::tls::{Files, read_ca_file, read_tls};
use crate::config::{
    Admin, Apply, Config, Grants, Loaded, Log, Outgoing, Peer, Quarantine, Receipts, Runs, Server,
    Site, State,
};
use crate::model::grant::Withheld;
use crate::model::url::PeerUrl;

/// Where the settings are looked for unless a command names a file.
pub const DEFAULT_FILE: &str = "/etc/evenkeel/evenkeel.toml";

/// The commented file with every key: what holds when nothing else is set.
pub const DEFAULT_TEXT: &str = include_str!("../../config/evenkeel.toml");

const RUN_FOLDER: &str = "/run/evenkeel";

/// Reads the settings: defaults, then `file` (or [`DEFAULT_FILE`] if it exists), then `EVENKEEL__SECTION__KEY`.
/// Certificates and keys that they name are read too.
///
/// # Errors
/// Every fault at once, with its key and the file or variable.
pub fn load(file: Option<&Path>) -> Result<Loaded, ConfigFaults> {
    build(reader(file, variables()), Files::Opened)
}

/// As [`load`], for a command that has no need of certificates and perhaps no right to read keys.
///
/// # Errors
/// As [`load`].
pub fn settings(file: Option<&Path>) -> Result<Loaded, ConfigFaults> {
    build(reader(file, variables()), Files::Left)
}

/// Reads `[state]` alone, for commands that work on the state of a site that may not be set up yet.
///
/// # Errors
/// The faults of that section, and of a file that cannot be read.
pub fn state(file: Option<&Path>) -> Result<State, ConfigFaults> {
    let mut reader = reader(file, variables());
    let state = read_state(&mut reader, None);
    finish(state, reader.finish_part()).map(|(state, _)| state)
}

/// Finds the socket on which the daemon of `file` is reached, whatever else is wrong with its settings.
///
/// # Errors
/// The faults of `admin.socket` and `state.url`, and of a file that cannot be read.
pub fn admin_socket(file: Option<&Path>) -> Result<PathBuf, ConfigFaults> {
    // A caller who may not read the daemon's settings can still be let in at the default socket.
    let file = if is_closed(file) {
        Some(Path::new("/dev/null"))
    } else {
        file
    };
    let mut reader = reader(file, variables());
    let state = read_state(&mut reader, None);
    let socket = read_socket(&mut reader, state.as_ref());
    finish(Some(socket), reader.finish_part()).map(|(socket, _)| socket)
}

/// Whether the settings are in [`DEFAULT_FILE`], and this user may not read them.
#[must_use]
pub fn is_closed(file: Option<&Path>) -> bool {
    let opened = || std::fs::File::open(DEFAULT_FILE);
    file.is_none() && opened().is_err_and(|err| err.kind() == ErrorKind::PermissionDenied)
}

/// The networks of `file` that may be called although they are private; none where that cannot be told.
#[must_use]
pub fn allowed_networks(file: Option<&Path>) -> Vec<ipnet::IpNet> {
    let mut reader = reader(file, variables());
    reader
        .optional("outgoing.allowed_networks", networks)
        .unwrap_or_default()
}

/// The file a SQLite URL names; `None` when the URL is not one.
#[must_use]
pub fn sqlite_file(url: &str) -> Option<PathBuf> {
    let rest = url.strip_prefix("sqlite://")?;
    let path = rest.split('?').next().unwrap_or(rest);
    (!path.is_empty()).then(|| PathBuf::from(path))
}

/// `std::env::vars` panics at text that is not Unicode; here such a variable is none of ours or has no value.
fn variables() -> HashMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            Some((name, value.into_string().unwrap_or_default()))
        })
        .collect()
}

fn reader(file: Option<&Path>, variables: HashMap<String, String>) -> Reader {
    let default = Path::new(DEFAULT_FILE);
    // One that this user may not even see is there, and reading it says so.
    let is_there = || default.try_exists().unwrap_or(true);
    let file = file.or_else(|| is_there().then_some(default));
    let mut faults = Vec::new();
    let settings = layered(DEFAULT_TEXT, file, variables, &mut faults);
    Reader::new(settings, faults)
}

fn build(mut reader: Reader, files: Files) -> Result<Loaded, ConfigFaults> {
    let site = read_site(&mut reader);
    let server = read_server(&mut reader, files);
    let state = read_state(&mut reader, site.as_ref());
    let admin = read_admin(&mut reader, state.as_ref(), files);
    let peer = Peer {
        enabled: reader.optional("peer.enabled", switch).unwrap_or(true),
    };
    let outgoing = Outgoing {
        allowed_networks: reader.value("outgoing.allowed_networks", Vec::new(), networks),
        ca_file: read_ca_file(&mut reader, files),
        connect_timeout: span(&mut reader, "outgoing.connect_timeout"),
        idle_timeout: span(&mut reader, "outgoing.idle_timeout"),
    };
    let alerts = read_alerts(&mut reader);
    let withheld = reader.value("grants.withheld", Vec::new(), list);
    let runs = Runs {
        parallel: reader.value("runs.parallel", 1, |value| number(value, &(1..=64))),
        give_up_after: span(&mut reader, "runs.give_up_after"),
        jitter: reader.value("runs.jitter", Duration::ZERO, |value| match text(value) {
            Ok(none) if none.trim() == "0s" => Ok(Duration::ZERO),
            _ => duration(value),
        }),
        second_look: span(&mut reader, "runs.second_look"),
    };
    let compare = read_compare(&mut reader);
    let sessions = read_sessions(&mut reader);
    let apply = Apply {
        transaction_rows: reader.value("apply.transaction_rows", 1, |value| {
            number(value, &(1..=1_000_000_000))
        }),
        transaction_bytes: reader.value("apply.transaction_bytes", 1, bytes),
    };
    let quarantine = Quarantine {
        max_rows: reader.value("quarantine.max_rows", 1, |value| {
            number(value, &(0..=1_000_000))
        }),
    };
    let receipts = Receipts {
        keep: span(&mut reader, "receipts.keep"),
    };
    let log = read_log(&mut reader);
    let live = read_live(&mut reader);
    let ((site, state), finished) = finish(site.zip(state), reader.finish())?;
    Ok(Loaded {
        config: Config {
            site,
            server,
            admin,
            state,
            peer,
            outgoing,
            alerts,
            grants: Grants {
                withheld: Withheld::new(&withheld),
            },
            runs,
            compare,
            sessions,
            apply,
            quarantine,
            receipts,
            log,
        },
        live: Live {
            set_in: finished.set_in,
            ..live
        },
        warnings: finished.warnings,
        reading: finished.reading,
    })
}

/// A part is absent only after a fault, so that the second arm never meets good faults with no part.
fn finish<T, S>(part: Option<T>, end: Result<S, ConfigFaults>) -> Result<(T, S), ConfigFaults> {
    match (part, end?) {
        (Some(part), end) => Ok((part, end)),
        (None, _) => Err(ConfigFaults(vec![ConfigFault {
            key: String::new(),
            place: None,
            problem: "the settings are incomplete".to_owned(),
        }])),
    }
}

fn read_site(reader: &mut Reader) -> Option<Site> {
    let name = reader
        .optional("site.name", filled)
        .unwrap_or_else(host_name);
    let url = reader.required(
        "site.url",
        "is not set; write the URL where peers reach this site, such as https://berlin.example.com",
        |value| PeerUrl::parse(&text(value)?).map_err(|err| err.to_string()),
    );
    let database = reader.required(
        "site.database",
        "is not set; write the URL of the site database, such as postgresql://shop@localhost/shop",
        |value| database(value, true),
    );
    let timezone = reader.value("site.timezone", TimeZone::UTC, |value| {
        let name = text(value)?;
        TimeZone::get(&name)
            .map_err(|_| format!("`{name}` is not a time zone such as Europe/Berlin"))
    });
    let schemas = reader.value("site.schemas", Vec::new(), list);
    Some(Site {
        name,
        url: url?,
        database: database?,
        timezone,
        schemas,
    })
}

fn read_server(reader: &mut Reader, files: Files) -> Server {
    Server {
        listen: reader.value("server.listen", any_port(), |value| {
            parsed(value, "an address and port such as 127.0.0.1:7440")
        }),
        prefixes: reader.value("server.prefixes", Vec::new(), prefixes),
        trusted_proxies: reader.value("server.trusted_proxies", Vec::new(), networks),
        max_connections: reader.value("server.max_connections", 1, |value| {
            number(value, &(1..=65_536))
        }),
        tls: read_tls(reader, "server", files),
    }
}

fn read_admin(reader: &mut Reader, state: Option<&State>, files: Files) -> Admin {
    let listen = reader.value("admin.listen", None, |value| {
        if text(value)?.is_empty() {
            return Ok(None);
        }
        parsed(
            value,
            "an address and port such as 127.0.0.1:7441, or empty",
        )
        .map(Some)
    });
    Admin {
        listen,
        socket: read_socket(reader, state),
        max_connections: reader.value("admin.max_connections", 1, |value| {
            number(value, &(1..=65_536))
        }),
        tls: read_tls(reader, "admin", files),
    }
}

fn read_socket(reader: &mut Reader, state: Option<&State>) -> PathBuf {
    let named = reader.value("admin.socket", String::new(), text);
    if !named.is_empty() {
        return PathBuf::from(named);
    }
    let run_folder = Path::new(RUN_FOLDER);
    let beside_state = state
        .and_then(|state| sqlite_file(state.url.expose()))
        .filter(|_| !run_folder.is_dir());
    let folder = beside_state
        .as_deref()
        .and_then(Path::parent)
        .unwrap_or(run_folder);
    folder.join("admin.sock")
}

fn read_state(reader: &mut Reader, site: Option<&Site>) -> Option<State> {
    let url = reader.required("state.url", "has no value", |value| {
        let state = database(value, false)?;
        let own = site.is_none_or(|site| !is_same_database(&site.database, &state));
        own.then_some(state).ok_or_else(|| {
            "is the site's own database, whose tables peers may be granted; name another".to_owned()
        })
    });
    let named = reader.value("state.key_file", String::new(), filled);
    let credential = key_credential().filter(|_| !reader.is_set("state.key_file"));
    Some(State {
        url: url?,
        key: credential.map_or_else(
            || KeyPlace::File(PathBuf::from(named)),
            KeyPlace::Credential,
        ),
    })
}

/// Whether both URLs lead to one database, as far as they show.
fn is_same_database(one: &Secret<String>, other: &Secret<String>) -> bool {
    let place = |url: &Secret<String>| {
        let options = postgres_options(url.expose()).ok()?;
        let host = options.get_socket().map_or_else(
            || options.get_host().to_owned(),
            |socket| socket.display().to_string(),
        );
        let database = options
            .get_database()
            .unwrap_or_else(|| options.get_username());
        Some((host, options.get_port(), database.to_owned()))
    };
    match (sqlite_file(one.expose()), sqlite_file(other.expose())) {
        (Some(one), Some(other)) => one == other,
        _ => place(one).is_some_and(|one| place(other) == Some(one)),
    }
}

fn read_log(reader: &mut Reader) -> Log {
    Log {
        format: reader.value("log.format", LogFormat::Text, |value| {
            match text(value)?.as_str() {
                "text" => Ok(LogFormat::Text),
                "json" => Ok(LogFormat::Json),
                _ => Err("must be text or json".to_owned()),
            }
        }),
    }
}

fn any_port() -> std::net::SocketAddr {
    std::net::SocketAddr::from(([127, 0, 0, 1], 0))
}

fn prefixes(value: &config::ValueKind) -> Result<Vec<String>, String> {
    let prefixes = list(value)?;
    let is_path = |prefix: &String| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
        prefix.starts_with('/')
            && !prefix.ends_with('/')
            && !prefix.contains("//")
            && prefix.bytes().all(plain)
    };
    match prefixes.iter().find(|prefix| !is_path(prefix)) {
        Some(prefix) => Err(format!("`{prefix}` is not a path such as /phoenix_kit")),
        None => Ok(prefixes),
    }
}

/// The URL of a database this version can open. It may hold a password, so no fault quotes it.
fn database(value: &config::ValueKind, is_site: bool) -> Result<Secret<String>, String> {
    let url = filled(value)?;
    let scheme = url.split(':').next().unwrap_or_default().to_lowercase();
    match scheme.as_str() {
        "sqlite" if sqlite_file(&url).is_some() => Ok(Secret::new(url)),
        "sqlite" => {
            Err("names no file; write for example sqlite:///var/lib/shop/shop.db".to_owned())
        }
        "postgres" | "postgresql" => match postgres_options(&url) {
            Ok(_) => Ok(Secret::new(url)),
            Err(err) => Err(err.to_string()),
        },
        "mysql" | "mariadb" if is_site => match mysql_options(&url) {
            Ok(_) => Ok(Secret::new(url)),
            Err(err) => Err(err.to_string()),
        },
        _ if is_site => Err("must begin with postgresql://, mysql:// or sqlite://".to_owned()),
        _ => Err("must begin with postgresql:// or sqlite://".to_owned()),
    }
}

fn host_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests;
