//! The daemon's own state: one SQL text per query, on SQLite or PostgreSQL.
//!
//! Times are microseconds UTC, set by Rust; ids are UUIDv7 as text; lists and objects are JSON as text.

mod audit;
mod connection;
mod quarantine;
mod run;
mod setting;
mod site;
mod token;
mod transfer;

use crate::base::secret::{MasterKey, Secret};

pub use audit::AuditEntry;
pub use connection::{PeerWord, RegistrationAnswer};
pub use run::{RunFilter, RunPage};
pub use site::SiteIdentity;
pub use token::{AdminToken, NewAdminToken};

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
        "another evenkeel daemon is active on this state ({0}); stop it, or start this one with --standby on a PostgreSQL state"
    )]
    InUse(String),
    /// Sealing or opening failed.
    #[error(transparent)]
    Secret(#[from] crate::base::secret::SecretError),
    /// A connection of this name exists.
    #[error("a connection named `{0}` exists already; choose another name")]
    NameTaken(String),
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
#[derive(Clone, Copy, Debug)]
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
}

enum Pool {
    Sqlite(sqlx::SqlitePool),
    Postgres(sqlx::PgPool),
}

impl Store {
    /// Opens the state, migrates it, and takes the lock that keeps a second daemon out; for `serve`.
    /// A SQLite state is copied aside before a migration. With `standby` (PostgreSQL state) waits for the lock.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn open_as_daemon(
        url: &Secret<String>,
        key: MasterKey,
        standby: bool,
    ) -> Result<Self, StoreError> {
        let _ = (url, key, standby);
        todo!()
    }

    /// Opens and migrates the state beside a daemon that may be running; for commands such as `token create`.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn open_beside(url: &Secret<String>, key: MasterKey) -> Result<Self, StoreError> {
        let _ = (url, key);
        todo!()
    }
}
