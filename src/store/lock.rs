//! What keeps a second daemon out: a lock on a file beside a SQLite state, an advisory lock in a PostgreSQL one.
//!
//! The operating system or the server ends the lock with its holder, however that ends. Invariant: the lock file is
//! never deleted, or two daemons could each lock a file of that name.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgConnection, PgPool};

use crate::store::StoreError;

/// The advisory lock's number: `Evenkeel` in ASCII.
const ADVISORY: i64 = 0x4576_656e_6b65_656c;
/// How often the PostgreSQL lock is looked after.
const WATCH: Duration = Duration::from_secs(1);
/// How many looks in a row may go without an answer: a database that is away this long may have come back without
/// our lock.
const PATIENCE: u32 = 5;

/// The lock on the state; dropping it gives the state free.
pub(super) enum Lock {
    #[expect(dead_code, reason = "held for its lock")]
    File(File),
    #[expect(dead_code, reason = "the connection is held for its lock")]
    Session {
        connection: PgConnection,
        backend: i32,
    },
}

/// The file that is locked for the SQLite state at `state`.
pub(super) fn lock_file(state: &Path) -> PathBuf {
    let mut name = state.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

/// Locks the SQLite state at `state`, unless somebody has.
pub(super) fn try_file(state: &Path) -> Result<Option<Lock>, StoreError> {
    let path = lock_file(state);
    let opened = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path);
    let io = |source| StoreError::Io {
        path: path.clone(),
        source,
    };
    let file = opened.map_err(io)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(Lock::File(file))),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(errno) => Err(io(errno.into())),
    }
}

/// Locks the PostgreSQL state, unless somebody has.
pub(super) async fn try_session(options: &PgConnectOptions) -> Result<Option<Lock>, StoreError> {
    let mut connection = options.connect().await?;
    let (locked, backend): (bool, i32) =
        sqlx::query_as("select pg_try_advisory_lock($1), pg_backend_pid()")
            .bind(ADVISORY)
            .fetch_one(&mut connection)
            .await?;
    keep_alive(&mut connection).await?;
    Ok(locked.then_some(Lock::Session {
        connection,
        backend,
    }))
}

/// Has the server notice within half a minute that our machine is gone, so that a standby can take over; keeps
/// firewalls from forgetting the idle connection, and the server from ending it.
async fn keep_alive(connection: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query(
        "select set_config(pg_settings.name, wanted.setting, false)
        from pg_settings
        join (
            values
                ('tcp_keepalives_idle', '15'),
                ('tcp_keepalives_interval', '5'),
                ('tcp_keepalives_count', '3'),
                ('idle_session_timeout', '0')
        ) as wanted (name, setting) on wanted.name = pg_settings.name",
    )
    .execute(connection)
    .await?;
    Ok(())
}

impl Lock {
    /// Ends when the server no longer counts the lock as ours, or is away for longer than a moment.
    pub(super) async fn lost(&self, pool: &PgPool) {
        let Self::Session { backend, .. } = self else {
            return std::future::pending().await;
        };
        let mut unanswered = 0;
        while unanswered < PATIENCE {
            let held: Result<bool, sqlx::Error> = sqlx::query_scalar(
                "select exists (
                    select 1
                    from pg_locks
                    where locktype = 'advisory'
                      and pid = $1
                      and granted
                )",
            )
            .bind(backend)
            .fetch_one(pool)
            .await;
            match held {
                Ok(true) => unanswered = 0,
                Ok(false) => return,
                Err(_) => unanswered += 1,
            }
            tokio::time::sleep(WATCH).await;
        }
    }
}
