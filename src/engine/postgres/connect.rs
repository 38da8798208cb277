//! Connections: how they are made, what is set on each, and that none is used again after something broke off in it.
//!
//! Knows nothing of tables. Invariant: a session goes back to the pool only by [`Session::release`]; in every other
//! case its socket is closed, so that the server rolls back and forgets its temporary tables.

use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnection, PgPool, PgPoolOptions, PgRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, Postgres};

use crate::base::secret::Secret;
use crate::config::postgres_options;
use crate::engine::error::EngineError;
use crate::engine::postgres::fault::unreachable;
use crate::engine::sql::{Quoting, Sql};

const MAX_CONNECTIONS: u32 = 16;
const PATIENCE: Duration = Duration::from_secs(8);

/// What every connection begins with: texts of values that depend on nothing outside this program, names that are
/// always qualified, and hidden rows (row security) as errors instead of silent gaps. Notices stay away: while a COPY
/// is sent nobody reads, and a trigger that has something to say of each row would fill the line and stop both sides.
const SETTINGS: &str = "
set timezone = 'UTC';
set datestyle = 'ISO, YMD';
set intervalstyle = 'iso_8601';
set extra_float_digits = 1;
set bytea_output = 'hex';
set xmloption = 'content';
set lc_monetary = 'C';
set standard_conforming_strings = on;
set search_path = '';
set row_security = off;
set client_min_messages = 'error';
set application_name = 'evenkeel';
set statement_timeout = 0;
set lock_timeout = '5s';
set idle_in_transaction_session_timeout = '10min'";

/// Lets the server notice within seconds that this side is gone, also while it works (PostgreSQL 14 and later).
const NOTICE_DISCONNECT: &str = "
select set_config(name, '5s', false)
from pg_settings
where name = 'client_connection_check_interval'";

/// A pool that opens its first connection when the first is asked for.
///
/// # Errors
/// [`EngineError::Url`] for a URL that names no PostgreSQL database.
pub(super) fn pool(url: &Secret<String>) -> Result<PgPool, EngineError> {
    let options = postgres_options(url.expose())
        .map_err(|err| EngineError::Url(err.to_string()))?
        .disable_statement_logging();
    Ok(PgPoolOptions::new()
        .max_connections(MAX_CONNECTIONS)
        .acquire_timeout(PATIENCE)
        .idle_timeout(Duration::from_secs(300))
        .max_lifetime(Duration::from_secs(3_600))
        .after_connect(|connection, _| {
            Box::pin(async move {
                connection.execute(sqlx::raw_sql(SETTINGS)).await?;
                // Servers on systems without that ability refuse the setting; nothing else depends on it.
                let _ = connection.execute(sqlx::raw_sql(NOTICE_DISCONNECT)).await;
                Ok(())
            })
        })
        .connect_lazy_with(options))
}

/// An empty statement of this engine.
pub(super) fn sql() -> Sql {
    Sql::new(Quoting::Standard, Some(DEFAULT_SCHEMA))
}

/// The schema whose tables go by their bare names.
pub(super) const DEFAULT_SCHEMA: &str = "public";

/// One connection, taken from the pool for a piece of work.
pub(super) struct Session {
    connection: Option<PoolConnection<Postgres>>,
}

impl Session {
    /// Takes a connection.
    ///
    /// # Errors
    /// [`EngineError::Unreachable`] when there is none to be had within a few seconds.
    pub(super) async fn open(pool: &PgPool) -> Result<Self, EngineError> {
        match pool.acquire().await {
            Ok(connection) => Ok(Self {
                connection: Some(connection),
            }),
            Err(sqlx::Error::PoolTimedOut) => Err(why_none(pool).await),
            Err(err) => Err(unreachable(&err)),
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
    pub(super) fn raw(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        self.connection
            .as_deref_mut()
            .ok_or(sqlx::Error::PoolClosed)
    }

    /// Runs one or more statements of this program.
    pub(super) async fn run(&mut self, statements: &'static str) -> Result<(), sqlx::Error> {
        self.raw()?
            .execute(sqlx::raw_sql(statements))
            .await
            .map(drop)
    }

    /// Runs a built statement; how many rows it touched.
    pub(super) async fn execute(&mut self, statement: &Sql) -> Result<u64, sqlx::Error> {
        let statement = AssertSqlSafe(statement.text().to_owned());
        Ok(self
            .raw()?
            .execute(sqlx::raw_sql(statement))
            .await?
            .rows_affected())
    }

    /// Runs a built query that answers with one row, whose values come as text.
    pub(super) async fn one(&mut self, query: &Sql) -> Result<PgRow, sqlx::Error> {
        let query = AssertSqlSafe(query.text().to_owned());
        self.raw()?.fetch_one(sqlx::raw_sql(query)).await
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
                connection.execute(sqlx::raw_sql("rollback")).await?;
                connection.close().await
            };
            let _ = tokio::time::timeout(Duration::from_secs(2), ended).await;
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            drop(connection.detach());
        }
    }
}

/// The pool retries a refused connection until its patience ends and then only says so: ask once more, directly.
async fn why_none(pool: &PgPool) -> EngineError {
    let options = pool.connect_options();
    match tokio::time::timeout(PATIENCE, options.connect()).await {
        Ok(Err(err)) => unreachable(&err),
        Ok(Ok(connection)) => {
            let _ = connection.close().await;
            EngineError::Unreachable("all connections are in use".into())
        }
        Err(_) => EngineError::Unreachable(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}
