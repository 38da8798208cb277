//! Whether somebody waits for tables that a session reads, and ending what runs in a session.
//!
//! Who waits for a table's definition is told to privileged accounts only. But whoever asks for a table after a waiting
//! `alter` waits behind it: so another session asks, and gives up soon. Invariant: needs no right but that to read.

use sqlx::mysql::MySqlPool;

use crate::engine::error::EngineError;
use crate::engine::mysql::connect::Session;
use crate::engine::mysql::fault::{general, is_wait};
use crate::engine::mysql::schemas::Schemas;
use crate::engine::snapshot::{Ending, LOOK_EVERY, Life};
use crate::engine::sql::Sql;
use crate::model::table::TableName;

/// Tables that one statement asks for: below what a server opens at once.
const TABLES_AT_ONCE: usize = 32;

/// The server's thread behind a session, reached from other sessions.
#[derive(Clone, Debug)]
pub(super) struct Thread {
    pool: MySqlPool,
    schemas: Schemas,
    id: u64,
}

impl Thread {
    /// That of `session`.
    pub(super) async fn of(
        session: &mut Session,
        pool: &MySqlPool,
        schemas: &Schemas,
    ) -> Result<Self, EngineError> {
        let mut query = schemas.sql();
        query.push("select cast(connection_id() as unsigned)");
        let row = session.one(&query).await.map_err(|err| general(&err))?;
        Ok(Self {
            id: sqlx::Row::try_get(&row, 0).map_err(|err| general(&err))?,
            pool: pool.clone(),
            schemas: schemas.clone(),
        })
    }

    /// Ends the statement that runs there; the transaction goes on.
    pub(super) async fn interrupt(&self) {
        self.kill("kill query ").await;
    }

    /// Ends the connection. Its socket alone would be noticed only when the next row is sent.
    pub(super) async fn disconnect(&self) {
        self.kill("kill ").await;
    }

    async fn kill(&self, command: &'static str) {
        let mut kill = self.schemas.sql();
        kill.push(command).number(self.id);
        if let Ok(mut session) = Session::open(&self.pool).await {
            // It may have ended by itself.
            let _ = session.execute(&kill).await;
            session.release();
        }
    }
}

/// Ends `life` when somebody waits for one of `tables`; returns when it is over.
pub(super) async fn watch(pool: MySqlPool, schemas: Schemas, tables: Vec<TableName>, life: Life) {
    let probes: Vec<Sql> = tables
        .chunks(TABLES_AT_ONCE)
        .map(|tables| probe(&schemas, tables))
        .collect();
    loop {
        tokio::select! {
            _ = life.over() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        tokio::select! {
            // The session that asked goes with its answer.
            _ = life.over() => return,
            waits = somebody_waits(&pool, &probes) => if waits {
                life.end(Ending::Yielded);
                return;
            },
        }
    }
}

/// Opens the tables and reads nothing.
fn probe(schemas: &Schemas, tables: &[TableName]) -> Sql {
    let mut sql = schemas.sql();
    sql.list(tables, " union all ", |sql, table| {
        sql.push("select 1 from ").table(table).push(" where false");
    });
    sql
}

/// What cannot be asked now can be asked later; a database that is gone is told by the session itself.
async fn somebody_waits(pool: &MySqlPool, probes: &[Sql]) -> bool {
    let Ok(mut session) = Session::open(pool).await else {
        return false;
    };
    if session
        .run("set session lock_wait_timeout = 1")
        .await
        .is_err()
    {
        return false;
    }
    for probe in probes {
        if let Err(err) = session.execute(probe).await {
            return is_wait(&err);
        }
    }
    if session
        .run("set session lock_wait_timeout = 5")
        .await
        .is_ok()
    {
        session.release();
    }
    false
}
