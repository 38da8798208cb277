//! Connections: how they are made, what is set on each, and how statements run in them.
//!
//! Knows nothing of tables. Invariant: every session begins with the same settings.

use sqlx::mysql::{MySqlArguments, MySqlConnectOptions, MySqlConnection, MySqlPool, MySqlRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, FromRow, MySql};

use crate::base::secret::Secret;
use crate::config::mysql_options;
use crate::engine::error::EngineError;
use crate::engine::mysql::fault::unreachable;
use crate::engine::session::{self, Server, pool_options};
use crate::engine::sql::{Quoting, Sql};

/// What every connection begins with, whatever the server's own settings are.
///
/// The modes are exactly these: a value that does not fit is an error and never another value; 0 stays 0 in an
/// auto-increment column; backslashes in literals escape, as `Quoting::Backtick` writes them. Modes that refuse zero
/// dates are left out: none is ever written, and tables whose defaults are zero dates must stay usable.
/// Messages come in the language in which the columns they name are found.
/// Literals take the collation of the column they meet; text made by a cast compares by its bytes.
/// The server waits for a slow reader, because a batch may have to cross a thin line first.
/// What only one of the two databases knows stands in comments that only it reads; MySQL would show statistics of
/// yesterday.
const SETTINGS: &str = "
set names utf8mb4 collate utf8mb4_bin;
set session
  sql_mode = 'STRICT_TRANS_TABLES,STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_AUTO_VALUE_ON_ZERO,NO_ENGINE_SUBSTITUTION',
  lc_messages = 'en_US',
  time_zone = '+00:00',
  autocommit = 1,
  completion_type = 'NO_CHAIN',
  foreign_key_checks = 1,
  unique_checks = 1,
  sql_safe_updates = 0,
  sql_big_selects = 1,
  sql_select_limit = 18446744073709551615,
  max_sort_length = 4096,
  group_concat_max_len = 1048576,
  innodb_lock_wait_timeout = 5,
  lock_wait_timeout = 5,
  net_read_timeout = 120,
  net_write_timeout = 1800,
  wait_timeout = 600
  /*M!100300 , max_statement_time = 0 , idle_transaction_timeout = 0 , innodb_strict_mode = 1 */
  /*!80000 , max_execution_time = 0 , information_schema_stats_expiry = 0 */;
set session transaction isolation level repeatable read";

/// A pool that opens its first connection when the first is asked for.
///
/// # Errors
/// [`EngineError::Url`] for a URL that names no MySQL or MariaDB database.
pub(super) fn pool(url: &Secret<String>) -> Result<MySqlPool, EngineError> {
    let options = options(url)?;
    let enter = entering(&options);
    Ok(pool_options::<MySql>()
        .test_before_acquire(false)
        .before_acquire(move |connection, _| {
            let enter = AssertSqlSafe(enter.text().to_owned());
            Box::pin(async move {
                connection.execute(sqlx::raw_sql(enter)).await?;
                Ok(true)
            })
        })
        .after_connect(|connection, _| {
            Box::pin(async move { connection.execute(sqlx::raw_sql(SETTINGS)).await.map(drop) })
        })
        .connect_lazy_with(options))
}

/// Enters the URL's database once more: besides showing that a connection that lay idle still serves, only this has the
/// server read anew which rights on the whole database the account was granted or lost meanwhile.
fn entering(options: &MySqlConnectOptions) -> Sql {
    let mut enter = Sql::new(Quoting::Backtick, None);
    match options.get_database() {
        Some(database) => enter.push("use ").ident(database),
        None => enter.push("do 0"),
    };
    enter
}

/// How to connect; the session's settings are [`SETTINGS`] alone.
fn options(url: &Secret<String>) -> Result<MySqlConnectOptions, EngineError> {
    Ok(mysql_options(url.expose())
        .map_err(|err| EngineError::Url(err.to_string()))?
        .pipes_as_concat(false)
        .no_engine_substitution(false)
        .timezone(None)
        .set_names(false)
        .disable_statement_logging())
}

/// One connection, taken from the pool for a piece of work; its settings are [`SETTINGS`].
pub(super) type Session = session::Session<MySql>;

impl Server for MySql {
    fn unreachable(err: &sqlx::Error) -> EngineError {
        unreachable(err)
    }

    async fn roll_back(connection: &mut MySqlConnection) -> Result<(), sqlx::Error> {
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

    /// Runs a built statement, prepared, with its parameters; how many rows it met.
    pub(super) async fn execute_with(
        &mut self,
        statement: &Sql,
        arguments: MySqlArguments,
    ) -> Result<u64, sqlx::Error> {
        let statement = AssertSqlSafe(statement.text().to_owned());
        let query = sqlx::query_with(statement, arguments);
        Ok(query.execute(self.raw()?).await?.rows_affected())
    }

    /// Runs a built query that answers with one row, whose values come as text.
    pub(super) async fn one(&mut self, query: &Sql) -> Result<MySqlRow, sqlx::Error> {
        let query = AssertSqlSafe(query.text().to_owned());
        self.raw()?.fetch_one(sqlx::raw_sql(query)).await
    }

    /// Runs a built query; its rows, whose values come as text.
    pub(super) async fn all<T>(&mut self, query: &Sql) -> Result<Vec<T>, sqlx::Error>
    where
        T: for<'r> FromRow<'r, MySqlRow>,
    {
        let query = AssertSqlSafe(query.text().to_owned());
        let rows = self.raw()?.fetch_all(sqlx::raw_sql(query)).await?;
        rows.iter().map(T::from_row).collect()
    }
}
