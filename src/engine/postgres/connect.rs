//! Connections: how they are made, what is set on each, and how statements run in them.
//!
//! Knows nothing of tables. Invariant: every session begins with the same settings.

use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, Postgres};

use crate::base::secret::Secret;
use crate::config::postgres_options;
use crate::engine::error::EngineError;
use crate::engine::postgres::fault::unreachable;
use crate::engine::session::{self, Server, pool_options};
use crate::engine::sql::{Quoting, Sql};

/// What every connection begins with: texts of values that depend on nothing outside this program, names that are
/// always qualified, and hidden rows (row security) as errors instead of silent gaps. Notices stay away: while a COPY
/// is sent nobody reads, and a trigger that has something to say of each row would fill the line and stop both sides.
pub(super) const SETTINGS: &str = "
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
pub(super) const NOTICE_DISCONNECT: &str = "
select set_config(name, '5s', false)
from pg_settings
where name = 'client_connection_check_interval'";

/// How the database at `url` is connected to.
///
/// # Errors
/// [`EngineError::Url`] for a URL that names no PostgreSQL database.
pub(super) fn options(url: &Secret<String>) -> Result<PgConnectOptions, EngineError> {
    let options =
        postgres_options(url.expose()).map_err(|err| EngineError::Url(err.to_string()))?;
    Ok(options.disable_statement_logging())
}

/// A pool that opens its first connection when the first is asked for.
pub(super) fn pool(options: PgConnectOptions) -> PgPool {
    pool_options::<Postgres>()
        .after_connect(|connection, _| {
            Box::pin(async move {
                connection.execute(sqlx::raw_sql(SETTINGS)).await?;
                // Servers on systems without that ability refuse the setting; nothing else depends on it.
                let _ = connection.execute(sqlx::raw_sql(NOTICE_DISCONNECT)).await;
                Ok(())
            })
        })
        .connect_lazy_with(options)
}

/// An empty statement of this engine.
pub(super) fn sql() -> Sql {
    Sql::new(Quoting::Standard, Some(DEFAULT_SCHEMA))
}

/// The schema whose tables go by their bare names.
pub(super) const DEFAULT_SCHEMA: &str = "public";

/// One connection, taken from the pool for a piece of work; its settings are [`SETTINGS`].
pub(super) type Session = session::Session<Postgres>;

impl Server for Postgres {
    fn unreachable(err: &sqlx::Error) -> EngineError {
        unreachable(err)
    }

    async fn roll_back(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        connection
            .execute(sqlx::raw_sql("rollback"))
            .await
            .map(drop)
    }
}

impl Session {
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
}
