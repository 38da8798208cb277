//! Connections of the engines that have a server: how long one is waited for, and that none is used again after
//! something broke off in it.
//!
//! What is set on a connection, and what runs in it, is the engine's own. Invariant: a session goes back to the pool
//! only by [`Session::release`]; in every other case its socket is closed, so that the server rolls back and forgets its
//! temporary tables.

use std::time::Duration;

use sqlx::pool::{PoolConnection, PoolOptions};
use sqlx::{ConnectOptions as _, Connection as _, Database, Pool};

use crate::engine::error::EngineError;

/// Eight of streams, eight of sessions and of what they scan, and as many for this site's own work.
const MAX_CONNECTIONS: u32 = 24;
const PATIENCE: Duration = Duration::from_secs(8);
const LONGEST_FAREWELL: Duration = Duration::from_secs(2);

/// A kind of server.
pub(super) trait Server: Database {
    /// What a fault while connecting means.
    fn unreachable(err: &sqlx::Error) -> EngineError;

    /// Undoes the open transaction, if there is one.
    fn roll_back(
        connection: &mut Self::Connection,
    ) -> impl Future<Output = Result<(), sqlx::Error>> + Send;
}

/// How every pool of connections to a site database is kept.
pub(super) fn pool_options<DB: Database>() -> PoolOptions<DB> {
    PoolOptions::new()
        .max_connections(MAX_CONNECTIONS)
        .acquire_timeout(PATIENCE)
        .idle_timeout(Duration::from_secs(300))
        .max_lifetime(Duration::from_secs(3_600))
}

/// One connection, taken from the pool for a piece of work.
pub(super) struct Session<DB: Server> {
    connection: Option<PoolConnection<DB>>,
}

impl<DB: Server> Session<DB> {
    /// Takes a connection with the engine's settings in force and no transaction open.
    ///
    /// # Errors
    /// [`EngineError::Unreachable`] when there is none to be had within a few seconds.
    pub(super) async fn open(pool: &Pool<DB>) -> Result<Self, EngineError> {
        match pool.acquire().await {
            Ok(connection) => Ok(Self {
                connection: Some(connection),
            }),
            Err(sqlx::Error::PoolTimedOut) => Err(why_none(pool).await),
            Err(err) => Err(DB::unreachable(&err)),
        }
    }

    /// The connection for work that must have it to itself; this session is of no use until it is given back.
    pub(super) fn lend(&mut self) -> Self {
        Self {
            connection: self.connection.take(),
        }
    }

    /// The connection itself.
    ///
    /// # Errors
    /// Never while the session is open and not lent.
    pub(super) fn raw(&mut self) -> Result<&mut DB::Connection, sqlx::Error> {
        self.connection
            .as_deref_mut()
            .ok_or(sqlx::Error::PoolClosed)
    }

    /// Gives the connection back; only after everything begun in it has ended.
    pub(super) fn release(mut self) {
        drop(self.connection.take());
    }

    /// Rolls back what was begun, as far as the connection still serves, and closes it.
    pub(super) async fn abandon(mut self) {
        if let Some(connection) = self.connection.take() {
            let mut connection = connection.detach();
            // The server rolls back by itself when the connection goes; asking first only makes it certain sooner.
            let ended = async {
                DB::roll_back(&mut connection).await?;
                connection.close().await
            };
            let _ = tokio::time::timeout(LONGEST_FAREWELL, ended).await;
        }
    }

    /// Gives the connection back after what went well, and closes it after what did not.
    pub(super) async fn end<T, E>(self, outcome: Result<T, E>) -> Result<T, E> {
        match outcome {
            Ok(_) => self.release(),
            Err(_) => self.abandon().await,
        }
        outcome
    }
}

impl<DB: Server> Drop for Session<DB> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            drop(connection.detach());
        }
    }
}

/// The pool retries a refused connection until its patience ends and then only says so: ask once more, directly.
async fn why_none<DB: Server>(pool: &Pool<DB>) -> EngineError {
    let options = pool.connect_options();
    match tokio::time::timeout(PATIENCE, options.connect()).await {
        Ok(Err(err)) => DB::unreachable(&err),
        Ok(Ok(connection)) => {
            let _ = connection.close().await;
            EngineError::Unreachable("all connections are in use".into())
        }
        Err(_) => EngineError::Unreachable(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}
