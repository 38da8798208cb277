//! From `state.url` to an open database of this program's schema.
//!
//! Invariant: a state of a newer schema is refused before anything in it, or beside it, is touched; a SQLite state is
//! copied aside before it is migrated, and no such copy is ever overwritten.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use tokio::time::Instant;

use crate::base::secret::Secret;
use crate::base::service;
use crate::config::postgres_options;
use crate::store::StoreError;
use crate::store::lock::{self, Lock};
use crate::store::pool::Pool;

/// Embedded, so that a program knows its own schema.
static MIGRATIONS: Migrator = sqlx::migrate!();

/// How long a database may take to connect, and a connection to become free.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a SQLite statement waits for another writer.
const BUSY: Duration = Duration::from_secs(30);
/// How long a held lock is tried again: a daemon that just ended may hold it for a moment longer.
const GRACE: Duration = Duration::from_secs(2);
/// How often a held lock is tried.
const RETRY: Duration = Duration::from_millis(100);
/// How often a standby tries.
const STANDBY: Duration = Duration::from_millis(500);

/// Where the state lives.
pub(super) enum Address {
    Sqlite(PathBuf),
    Postgres(Box<PgConnectOptions>),
}

impl Address {
    /// Reads `state.url`; a message never repeats it.
    pub(super) fn parse(url: &Secret<String>) -> Result<Self, StoreError> {
        let url = url.expose();
        if let Some(path) = url.strip_prefix("sqlite://") {
            sqlite_path(path)
        } else if url.starts_with("postgresql://") || url.starts_with("postgres://") {
            postgres_address(url)
        } else {
            Err(StoreError::Url(
                "write sqlite:///folder/state.db or postgresql://user@host/database".to_owned(),
            ))
        }
    }

    /// Whether migrations are pending; an empty or missing state is behind, too. Changes nothing.
    ///
    /// # Errors
    /// [`StoreError::Newer`] when a newer program has been here.
    pub(super) async fn is_behind(&self) -> Result<bool, StoreError> {
        let found = self.newest().await?;
        let known = MIGRATIONS.iter().map(|migration| migration.version).max();
        if let (Some(found), Some(known)) = (found, known)
            && found > known
        {
            return Err(StoreError::Newer { found, known });
        }
        Ok(found < known)
    }

    /// Whether a program has been here. Changes nothing.
    pub(super) async fn is_made(&self) -> Result<bool, StoreError> {
        Ok(self.newest().await?.is_some())
    }

    /// Takes the lock, or gives up after a moment.
    pub(super) async fn lock(&self) -> Result<Lock, StoreError> {
        let deadline = Instant::now() + GRACE;
        loop {
            if let Some(lock) = self.try_lock().await? {
                return Ok(lock);
            }
            if Instant::now() >= deadline {
                return Err(self.in_use());
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Takes the lock, however long another daemon holds it.
    pub(super) async fn wait_for_lock(&self) -> Result<Lock, StoreError> {
        let mut waits = false;
        loop {
            if let Some(lock) = self.try_lock().await? {
                return Ok(lock);
            }
            if !waits {
                tracing::info!("another daemon is active on this state; standing by");
                // To stand by is all that a standby has to be ready for.
                service::ready("standing by: another daemon is active on this state");
                waits = true;
            }
            if service::watchdog().is_some() {
                service::alive();
            }
            tokio::time::sleep(STANDBY).await;
        }
    }

    /// Migrates under the lock what is behind. A daemon that starts at the same time may do it instead.
    pub(super) async fn catch_up(&self) -> Result<(), StoreError> {
        let deadline = Instant::now() + GRACE;
        while self.is_behind().await? {
            if let Some(_lock) = self.try_lock().await? {
                return self.migrate().await;
            }
            if Instant::now() >= deadline {
                return Err(self.in_use());
            }
            tokio::time::sleep(RETRY).await;
        }
        Ok(())
    }

    /// Makes the schema, or brings it up to date; to be called under the lock.
    pub(super) async fn migrate(&self) -> Result<(), StoreError> {
        if let Self::Sqlite(path) = self {
            create_file(path)?;
            copy_aside(path).await?;
        }
        match self.open().await? {
            Pool::Sqlite(pool) => {
                MIGRATIONS.run(&pool).await?;
                pool.close().await;
            }
            Pool::Postgres(pool) => {
                MIGRATIONS.run(&pool).await?;
                pool.close().await;
            }
        }
        Ok(())
    }

    /// Opens the database itself, which must exist.
    pub(super) async fn open(&self) -> Result<Pool, StoreError> {
        match self {
            Self::Sqlite(path) => {
                let pool = SqlitePoolOptions::new().max_connections(4);
                let pool = pool.acquire_timeout(BUSY);
                Ok(Pool::Sqlite(pool.connect_with(sqlite_options(path)).await?))
            }
            Self::Postgres(options) => {
                let pool = PgPoolOptions::new().max_connections(8);
                let pool = pool.acquire_timeout(CONNECT);
                Ok(Pool::Postgres(
                    pool.connect_with(options.as_ref().clone()).await?,
                ))
            }
        }
    }

    /// The newest migration there is.
    async fn newest(&self) -> Result<Option<i64>, StoreError> {
        match self {
            Self::Sqlite(path) => newest_in_sqlite(path).await,
            Self::Postgres(options) => newest_in_postgres(options).await,
        }
    }

    async fn try_lock(&self) -> Result<Option<Lock>, StoreError> {
        match self {
            Self::Sqlite(path) => lock::try_file(path),
            Self::Postgres(options) => in_time(lock::try_session(options)).await,
        }
    }

    fn in_use(&self) -> StoreError {
        StoreError::InUse(match self {
            Self::Sqlite(path) => format!("it holds {}", lock::lock_file(path).display()),
            Self::Postgres(_) => "it holds the database's advisory lock".to_owned(),
        })
    }
}

fn sqlite_path(text: &str) -> Result<Address, StoreError> {
    let path = PathBuf::from(text);
    let folder = path.parent().filter(|_| path.is_absolute());
    let Some(folder) = folder else {
        return Err(StoreError::Url(
            "write three slashes and a whole path: sqlite:///folder/state.db".to_owned(),
        ));
    };
    if !folder.is_dir() {
        return Err(StoreError::Url(format!(
            "the folder {} does not exist; create it and give it to the user the daemon runs as",
            folder.display()
        )));
    }
    Ok(Address::Sqlite(path))
}

fn postgres_address(text: &str) -> Result<Address, StoreError> {
    let options = postgres_options(text).map_err(|err| StoreError::Url(err.to_string()))?;
    let url = url::Url::parse(text).map_err(|err| StoreError::Url(err.to_string()))?;
    let gives_user = url.query_pairs().any(|(key, _)| key == "user");
    if url.username().is_empty() && !gives_user {
        return Err(StoreError::Url(
            "name the user: postgresql://user@host/database".to_owned(),
        ));
    }
    let options = options.application_name("evenkeel");
    Ok(Address::Postgres(Box::new(options)))
}

fn sqlite_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY)
        .foreign_keys(true)
}

/// The newest migration of the file at `path`; `None` without one, or without a file.
async fn newest_in_sqlite(path: &Path) -> Result<Option<i64>, StoreError> {
    if !path.exists() {
        return Ok(None);
    }
    let options = SqliteConnectOptions::new().filename(path).read_only(true);
    let mut connection = options.busy_timeout(BUSY).connect().await?;
    let migrated: i64 =
        sqlx::query_scalar("select count(*) from sqlite_master where name = '_sqlx_migrations'")
            .fetch_one(&mut connection)
            .await?;
    let newest = if migrated > 0 {
        sqlx::query_scalar("select max(version) from _sqlx_migrations")
            .fetch_one(&mut connection)
            .await?
    } else {
        None
    };
    connection.close().await?;
    Ok(newest)
}

/// The newest migration of the database; `None` without one.
async fn newest_in_postgres(options: &PgConnectOptions) -> Result<Option<i64>, StoreError> {
    in_time(async {
        let mut connection = options.connect().await?;
        let migrated: bool =
            sqlx::query_scalar("select to_regclass('_sqlx_migrations') is not null")
                .fetch_one(&mut connection)
                .await?;
        let newest = if migrated {
            sqlx::query_scalar("select max(version) from _sqlx_migrations")
                .fetch_one(&mut connection)
                .await?
        } else {
            None
        };
        connection.close().await?;
        Ok(newest)
    })
    .await
}

async fn in_time<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let late = |_| StoreError::Database(sqlx::Error::PoolTimedOut);
    tokio::time::timeout(CONNECT, work).await.map_err(late)?
}

/// Makes the file, so that it is readable by nobody else from its first moment; SQLite gives its other files the same
/// mode.
fn create_file(path: &Path) -> Result<(), StoreError> {
    let created = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match created {
        Err(source) if source.kind() != std::io::ErrorKind::AlreadyExists => Err(StoreError::Io {
            path: path.to_owned(),
            source,
        }),
        _ => Ok(()),
    }
}

/// Copies what the state holds to `<state>.before-<migration>`, or `….2` and so on where such a copy exists.
async fn copy_aside(path: &Path) -> Result<(), StoreError> {
    let newest = newest_in_sqlite(path).await?;
    let mut pending = MIGRATIONS.iter().map(|migration| migration.version);
    let Some(pending) = pending.find(|version| Some(*version) > newest) else {
        return Ok(());
    };
    let mut connection = sqlite_options(path).connect().await?;
    let content: i64 = sqlx::query_scalar("select count(*) from sqlite_master")
        .fetch_one(&mut connection)
        .await?;
    if content > 0 {
        write_copy(&mut connection, path, pending).await?;
    }
    connection.close().await?;
    Ok(())
}

async fn write_copy(
    connection: &mut SqliteConnection,
    path: &Path,
    migration: i64,
) -> Result<(), StoreError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| StoreError::Io { path, source }
    };
    let folder = path.parent().unwrap_or(Path::new("/"));
    // Written under another name first: what has the name of a copy is whole.
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(io(folder))?;
    sqlx::query("vacuum into $1")
        .bind(file.path().to_str())
        .execute(connection)
        .await?;
    file.as_file().sync_all().map_err(io(file.path()))?;
    for number in 1.. {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".before-{migration}"));
        if number > 1 {
            name.push(format!(".{number}"));
        }
        let target = PathBuf::from(name);
        match file.persist_noclobber(&target) {
            Ok(_) => {
                tracing::info!(copy = %target.display(), "copied the state before migrating it");
                break;
            }
            Err(fault) if fault.error.kind() == std::io::ErrorKind::AlreadyExists => {
                file = fault.file;
            }
            Err(fault) => return Err(io(&target)(fault.error)),
        }
    }
    Ok(())
}
