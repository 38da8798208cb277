//! Settings: a TOML file and the environment become one valid [`Config`], or a list of all faults.
//!
//! `load` layers the sources, `reader` turns text into checked values, `live` is the part that may change while the
//! daemon runs. Nothing here opens a database or a port.
//! Invariant: a `Config` cannot be wrong; secrets in it do not print; the environment is read here and nowhere else.

mod alerts;
mod environment;
mod fault;
mod layers;
mod live;
mod load;
mod mysql;
mod postgres;
mod reader;
mod reading;
mod sessions;
mod tls;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;

use crate::base::certificate::CertificateFiles;
use crate::base::secret::{KeyPlace, Secret};
use crate::base::telemetry::LogFormat;
use crate::model::grant::Withheld;
use crate::model::policy::IncomingMode;
use crate::model::url::PeerUrl;

pub use alerts::{AlertChannel, Alerts};
pub use environment::{Access, access};
pub use fault::{ConfigFault, ConfigFaults};
pub use live::{Live, LiveSettings};
pub use load::{
    DEFAULT_FILE, DEFAULT_TEXT, admin_socket, allowed_networks, is_closed, load, settings,
    sqlite_file, state,
};
pub use mysql::{InvalidMysqlUrl, mysql_options};
pub use postgres::{InvalidPostgresUrl, is_local, postgres_options};
pub use reading::{Changes, Reading};
pub use sessions::{Compare, Sessions};

/// What was read.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What holds until the daemon ends.
    pub config: Config,
    /// What holds until it is told to reload.
    pub live: Live,
    /// What is valid, but will not serve: a certificate that has expired.
    pub warnings: Vec<ConfigFault>,
    /// The values themselves, to be compared with a later reading.
    pub reading: Reading,
}

/// What an operator can set, but for the part in [`Live`]. Keys and defaults stand in `config/evenkeel.toml`.
#[derive(Clone, Debug)]
#[expect(
    missing_docs,
    reason = "one field per section of config/evenkeel.toml, where each key is explained"
)]
pub struct Config {
    pub site: Site,
    pub server: Server,
    pub admin: Admin,
    pub state: State,
    pub peer: Peer,
    pub outgoing: Outgoing,
    pub alerts: Alerts,
    pub grants: Grants,
    pub runs: Runs,
    pub compare: Compare,
    pub sessions: Sessions,
    pub apply: Apply,
    pub quarantine: Quarantine,
    pub receipts: Receipts,
    pub log: Log,
}

impl Config {
    /// Where the daemon keeps what is its own, besides its state: beside the socket.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.admin.socket.parent().unwrap_or(Path::new("."))
    }
}

/// `[site]`
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "explained in config/evenkeel.toml")]
pub struct Site {
    pub name: String,
    pub url: PeerUrl,
    pub database: Secret<String>,
    pub timezone: jiff::tz::TimeZone,
    pub schemas: Vec<String>,
}

/// `[server]`: what peers reach.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "explained in config/evenkeel.toml")]
pub struct Server {
    pub listen: SocketAddr,
    pub prefixes: Vec<String>,
    pub trusted_proxies: Vec<IpNet>,
    pub max_connections: usize,
    pub tls: Option<CertificateFiles>,
}

/// `[admin]`: what people reach. `listen` is `None` for the socket only.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "explained in config/evenkeel.toml")]
pub struct Admin {
    pub listen: Option<SocketAddr>,
    pub socket: PathBuf,
    pub max_connections: usize,
    pub tls: Option<CertificateFiles>,
}

/// `[state]`: the daemon's own database and the key that seals it.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "explained in config/evenkeel.toml")]
pub struct State {
    pub url: Secret<String>,
    pub key: KeyPlace,
}

/// `[peer]`
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "explained in config/evenkeel.toml")]
pub struct Peer {
    pub enabled: bool,
}

/// `[incoming]`
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "explained in config/evenkeel.toml")]
pub struct Incoming {
    pub mode: IncomingMode,
}

/// `[outgoing]`
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "explained in config/evenkeel.toml")]
pub struct Outgoing {
    pub allowed_networks: Vec<IpNet>,
    pub ca_file: Option<PathBuf>,
    pub connect_timeout: Duration,
    pub idle_timeout: Duration,
}

/// `[healing]`
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "explained in config/evenkeel.toml")]
pub struct Healing {
    pub interval: Duration,
}

/// `[grants]`
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "explained in config/evenkeel.toml")]
pub struct Grants {
    pub withheld: Withheld,
}

/// `[limits]`
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "explained in config/evenkeel.toml")]
pub struct Limits {
    pub max_body_bytes: usize,
    pub header_timeout: Duration,
    pub body_timeout: Duration,
    pub drain_timeout: Duration,
}

/// `[limits]`, as far as it says how often somebody may ask; by address, a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "explained in config/evenkeel.toml")]
pub struct Rates {
    pub strangers_per_minute: u32,
    pub strangers_burst: u32,
    pub passwords_per_minute: u32,
    pub tokens_per_minute: u32,
}

/// `[runs]`
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "explained in config/evenkeel.toml")]
pub struct Runs {
    pub parallel: usize,
    pub give_up_after: Duration,
    pub jitter: Duration,
    pub second_look: Duration,
}

/// `[apply]`
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "explained in config/evenkeel.toml")]
pub struct Apply {
    pub transaction_rows: u64,
    pub transaction_bytes: u64,
}

/// `[quarantine]`
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "explained in config/evenkeel.toml")]
pub struct Quarantine {
    pub max_rows: usize,
}

/// `[receipts]`
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "explained in config/evenkeel.toml")]
pub struct Receipts {
    pub keep: Duration,
}

/// `[log]`, but for its level.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "explained in config/evenkeel.toml")]
pub struct Log {
    pub format: LogFormat,
}
