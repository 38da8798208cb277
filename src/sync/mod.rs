//! The use cases: connections, contracts, serving and pulling tables. The heart.
//!
//! Knows the case, and neither SQL nor HTTP: both are below, behind `engine` and `remote`.

pub mod active;
pub mod alerts;
mod compare;
pub mod connections;
pub mod contract;
pub mod doctor;
pub mod error;
pub mod healing;
mod mapping;
mod plan;
pub mod pull;
pub mod receipt;
pub mod retry;
mod scan;
pub mod serve;
pub mod status;
pub mod syncs;
pub mod throttle;

use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;

use crate::base::certificate::LiveCertificate;
use crate::base::task::{Tasks, Waker};
use crate::config::{Config, LiveSettings};
use crate::engine::driver::Driver;
use crate::engine::spool::SpoolBudget;
use crate::remote::Remote;
use crate::store::{AuditEntry, SiteIdentity, Store};
use crate::sync::active::ActiveRuns;
use crate::sync::connections::Nonces;
use crate::sync::serve::{DailyUsage, Sessions};
use crate::sync::throttle::Throttle;
use crate::wire::messages::EvenkeelHello;
use crate::wire::signing::ReceiptKey;

pub use error::SyncError;
pub use scan::ScanError;

/// Everything a use case needs; built once in `app`.
pub struct Ctx {
    /// Settings that hold until the daemon ends.
    pub config: Config,
    /// Settings that a reload takes over.
    pub live: LiveSettings,
    /// The certificates that the listeners show.
    pub certificates: Certificates,
    /// Our own state.
    pub store: Store,
    /// The site database.
    pub driver: Arc<dyn Driver>,
    /// Calls peers.
    pub remote: Remote,
    /// Who this site is.
    pub identity: SiteIdentity,
    /// With which this site signs receipts.
    pub receipt_key: ReceiptKey,
    /// When this daemon took over its state: what peers signed until then it may have taken before.
    pub started_at: Timestamp,
    /// The nonces that peers used.
    pub nonces: Nonces,
    /// Who asked lately.
    pub throttle: Throttle,
    /// What peers took today.
    pub usage: DailyUsage,
    /// What peers hold open to compare and to read.
    pub sessions: Sessions,
    /// Owns background tasks.
    pub tasks: Tasks,
    /// Wakes the runner: a run was made or became due.
    pub runner: Waker,
    /// Wakes the scheduler: a sync was changed, or may go on.
    pub scheduler: Waker,
    /// Wakes the healing loop: a peer has something to hear.
    pub healer: Waker,
    /// Wakes the janitor: a peer is to prove who it is.
    pub janitor: Waker,
    /// Wakes the alerter: what there is to tell may have changed.
    pub alerter: Waker,
    /// The runs at work.
    pub active: ActiveRuns,
}

/// The certificates of the listeners that have TLS.
#[derive(Clone, Debug, Default)]
pub struct Certificates {
    /// That of `server.listen`.
    pub server: Option<Arc<LiveCertificate>>,
    /// That of `admin.listen`.
    pub admin: Option<Arc<LiveCertificate>>,
}

/// Version of the peer protocol's extension.
pub const PROTOCOL: u32 = 1;

impl Ctx {
    /// What this site says of itself to peers.
    #[must_use]
    pub fn hello(&self) -> EvenkeelHello {
        EvenkeelHello {
            protocol: PROTOCOL,
            site_id: self.identity.id.to_string(),
            site_name: self.config.site.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            receipt_key: Some(self.receipt_key.public()),
            wants: None,
            tables: None,
        }
    }

    /// Writes down who decided what. A decision stands even where its audit entry cannot be written: that is logged.
    pub async fn audit(&self, actor: &Actor, action: &str, subject: &str, detail: Option<String>) {
        let entry = AuditEntry {
            at: Timestamp::now(),
            actor: actor.name.clone(),
            address: actor.address.map(|address| address.to_string()),
            action: action.to_owned(),
            subject: subject.to_owned(),
            detail,
        };
        if let Err(err) = self.store.audit(&entry).await {
            tracing::error!(%err, action, subject, "an audit entry was not written");
        }
    }
}

/// What a comparison may take of memory and disk.
fn spool_budget(ctx: &Ctx) -> SpoolBudget {
    let compare = ctx.config.compare;
    SpoolBudget {
        memory: compare.memory,
        disk: compare.spool,
        folder: ctx.config.folder().to_owned(),
    }
}

/// Who asks for something.
#[derive(Clone, Debug)]
pub struct Actor {
    /// `unix:anna`, `token:backup`, `peer:berlin`, `evenkeel`, `healer`.
    pub name: String,
    /// Where the request came from, when by network.
    pub address: Option<IpAddr>,
}

impl Actor {
    /// The peer, under the name its connection has here.
    #[must_use]
    pub fn peer(connection: &str, address: Option<IpAddr>) -> Self {
        Self {
            name: format!("peer:{connection}"),
            address,
        }
    }

    /// The daemon itself.
    #[must_use]
    pub fn daemon() -> Self {
        Self::of_process("evenkeel")
    }

    /// The daemon's healing loop.
    #[must_use]
    pub fn healer() -> Self {
        Self::of_process("healer")
    }

    fn of_process(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            address: None,
        }
    }
}
