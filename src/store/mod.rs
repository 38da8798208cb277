//! The daemon's own state: one SQL text per query, on SQLite or PostgreSQL.
//!
//! Times are microseconds UTC, set by Rust; ids are UUIDv7 as text; lists and objects are JSON as text. It decides
//! nothing. Invariant: nobody migrates without holding the lock, and one daemon holds it for life.

mod alert;
mod altered;
mod approval;
mod audit;
mod connection;
mod deleting;
mod difference;
mod key;
mod lock;
mod open;
mod outcome;
mod pool;
mod proof;
mod quarantine;
mod receipt;
mod record;
mod run;
mod setting;
mod site;
mod sync;
mod token;
mod transfer;
mod usage;
mod writer;

use crate::base::secret::{MasterKey, Secret};
use crate::store::lock::Lock;
use crate::store::open::Address;
use crate::store::pool::{Pool, on_pool};

pub use altered::AlteredRow;
pub use audit::AuditEntry;
pub use connection::{
    AcceptedKeys, ConnectionEdit, ExpiredClaim, Kept, NextKey, RegistrationAnswer, SecondKey,
    SignedPeer, StandingStep,
};
pub use deleting::{Deleting, Unsettled};
pub use proof::{KeptProof, KeptRows};
pub use receipt::{KeptReceipt, ReceiptFilter};
pub use run::{RunFilter, RunPage};
pub use site::SiteIdentity;
pub use sync::{DeletedSync, TableTaken, Taken, Turn};
pub use token::{AdminToken, NewAdminToken};
pub use usage::Usage;

/// What can go wrong with the state.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database does not answer, or broke off.
    #[error("the state database: {0}")]
    Database(#[from] sqlx::Error),
    /// Migrating failed.
    #[error("the state database cannot be migrated: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// `state.url` names no database this build can open.
    #[error("state.url: {0}")]
    Url(String),
    /// A newer program has been here.
    #[error(
        "the state was written by a newer version of Evenkeel (migration {found}; this one knows {known}); install that version or restore the copy made before its upgrade"
    )]
    Newer {
        /// The newest migration in the database.
        found: i64,
        /// The newest this program knows.
        known: i64,
    },
    /// Another daemon holds the state.
    #[error(
        "another evenkeel daemon is active on this state ({0}); stop it, or start this one with --standby to wait for its end"
    )]
    InUse(String),
    /// The state was made with another key.
    #[error(
        "the state was made with another key than the one given (state.key_file, or the systemd credential evenkeel.key); restore that key from its backup, or start with an empty state"
    )]
    OtherKey,
    /// The key file is gone.
    #[error(
        "the key file {0} is missing, and the state was made with a key: restore it from its backup, or start with an empty state"
    )]
    KeyMissing(std::path::PathBuf),
    /// The key cannot be read, or sealing or opening failed.
    #[error(transparent)]
    Secret(#[from] crate::base::secret::SecretError),
    /// A connection of this name exists.
    #[error(
        "a connection named `{0}` exists already; choose another name (--name), or change that one with `evenkeel connections edit {0}`"
    )]
    NameTaken(String),
    /// A sync of this name exists.
    #[error(
        "a sync named `{0}` exists already; choose another name, or change that one with `evenkeel sync edit {0}`"
    )]
    SyncNameTaken(String),
    /// A stored value is none this program wrote.
    #[error("the state database holds a value this version cannot read: {0}")]
    Corrupt(String),
    /// A file beside the state cannot be written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// A page of a list, newest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListPage<Id> {
    /// Items at most.
    pub limit: u32,
    /// Only items older than this one.
    pub before: Option<Id>,
}

/// The daemon's own state.
pub struct Store {
    pool: Pool,
    key: MasterKey,
    lock: Option<Lock>,
}

impl Store {
    /// Opens the state, migrates it, and takes the lock that keeps a second daemon out; for `serve`.
    /// A SQLite state is copied aside before a migration. With `standby` waits for the lock, however long that takes.
    ///
    /// # Errors
    /// [`StoreError::Newer`] before anything is touched, [`StoreError::InUse`] when another daemon is active,
    /// [`StoreError::OtherKey`] when `key` is not the one this state was made with; else what kept it from being opened.
    pub async fn open_as_daemon(
        url: &Secret<String>,
        key: MasterKey,
        standby: bool,
    ) -> Result<Self, StoreError> {
        let address = Address::parse(url)?;
        address.is_behind().await?;
        let lock = if standby {
            address.wait_for_lock().await?
        } else {
            address.lock().await?
        };
        // Whoever held the lock until now may have been a newer version.
        if address.is_behind().await? {
            address.migrate().await?;
        }
        let store = Self {
            pool: address.open().await?,
            key,
            lock: Some(lock),
        };
        store.check_key().await?;
        Ok(store)
    }

    /// Opens the state beside a daemon that may be running, for commands such as `token create`; migrates a state that
    /// is empty or behind, which no daemon of this version is active on.
    ///
    /// # Errors
    /// [`StoreError::Newer`] before anything is touched, [`StoreError::InUse`] when an older daemon is active,
    /// [`StoreError::OtherKey`] when `key` is not the one this state was made with; else what kept it from being opened.
    pub async fn open_beside(url: &Secret<String>, key: MasterKey) -> Result<Self, StoreError> {
        let address = Address::parse(url)?;
        address.catch_up().await?;
        let store = Self {
            pool: address.open().await?,
            key,
            lock: None,
        };
        store.check_key().await?;
        Ok(store)
    }

    /// Whether the database answers, for readiness.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        on_pool!(self, |db| {
            sqlx::query("select 1").execute(db).await?;
        });
        Ok(())
    }

    /// Ends when the lock of [`Self::open_as_daemon`] is lost, so that another daemon may be active: the process must
    /// stop at once. Never ends for a SQLite state, whose lock is lost only with the process.
    pub async fn lock_lost(&self) {
        match (&self.lock, &self.pool) {
            (Some(lock), Pool::Postgres(pool)) => lock.lost(pool).await,
            _ => std::future::pending().await,
        }
    }

    /// Finishes what runs and closes the database; the lock goes with the store itself.
    pub async fn close(&self) {
        on_pool!(self, |db| db.close().await);
    }
}
