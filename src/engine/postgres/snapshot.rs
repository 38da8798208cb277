//! One moment of several tables: a session that holds their locks and exports what it sees, and further ones that read.
//!
//! Invariant: no stream reads what the holder does not see, and none outlives it.

use sqlx::Row;
use sqlx::postgres::PgPool;

use crate::base::task::Tasks;
use crate::engine::driver::{RowStream, Selection, Snapshot};
use crate::engine::error::EngineError;
use crate::engine::postgres::connect::{Session, sql};
use crate::engine::postgres::fault::general;
use crate::engine::postgres::lock::{begin_reading, process, somebody_waits};
use crate::engine::postgres::read::Reader;
use crate::engine::snapshot::{Ending, Guard, LOOK_EVERY, Life};
use crate::model::table::{Table, TableName};

struct PostgresSnapshot {
    pool: PgPool,
    tasks: Tasks,
    tables: Vec<Table>,
    moment: Moment,
    life: Life,
    _guard: Guard,
}

/// Takes a snapshot of `names`; a task holds it until it is dropped or somebody waits for it.
pub(super) async fn open(
    pool: &PgPool,
    tasks: &Tasks,
    schemas: &[String],
    names: &[TableName],
) -> Result<Box<dyn Snapshot>, EngineError> {
    let mut session = Session::open(pool).await?;
    let begun = async {
        let process = process(&mut session).await?;
        let tables = begin_reading(&mut session, schemas, names).await?;
        Ok((process, tables, Moment::export(&mut session).await?))
    };
    let (process, tables, moment) = match begun.await {
        Ok(begun) => begun,
        Err(err) => {
            session.abandon().await;
            return Err(err);
        }
    };
    let (life, guard) = Life::new();
    tasks.spawn("postgres snapshot", hold(session, process, life.clone()));
    Ok(Box::new(PostgresSnapshot {
        pool: pool.clone(),
        tasks: tasks.clone(),
        tables,
        moment,
        life,
        _guard: guard,
    }))
}

/// What a transaction sees.
struct Moment {
    /// By which other sessions may see the same.
    exported: String,
    read_point: String,
}

impl Moment {
    /// That of the open transaction, for as long as it is open.
    async fn export(session: &mut Session) -> Result<Self, EngineError> {
        let mut query = sql();
        query.push(
            "select pg_export_snapshot(),
               pg_current_snapshot()::text || ' at ' || to_char(now(), 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')",
        );
        let row = session.one(&query).await.map_err(|err| general(&err))?;
        Ok(Self {
            exported: row.try_get(0).map_err(|err| general(&err))?,
            read_point: row.try_get(1).map_err(|err| general(&err))?,
        })
    }

    /// Begins a transaction that sees it too.
    async fn join(&self, session: &mut Session) -> Result<(), EngineError> {
        let begun = async {
            session
                .run("begin isolation level repeatable read, read only")
                .await?;
            let mut join = sql();
            join.push("set transaction snapshot ")
                .literal(&self.exported);
            session.execute(&join).await
        };
        begun.await.map(drop).map_err(|err| general(&err))
    }
}

/// Looks in the session itself whether somebody waits, which also shows that it still serves.
async fn hold(mut session: Session, process: i32, life: Life) {
    loop {
        tokio::select! {
            _ = life.over() => break,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        let ending = tokio::select! {
            // Half of an answer may have been read: the connection goes with the session.
            _ = life.over() => return,
            waits = somebody_waits(&mut session, process) => match waits {
                Ok(false) => continue,
                Ok(true) => Ending::Yielded,
                Err(err) => Ending::Lost(err.to_string()),
            },
        };
        life.end(ending);
        break;
    }
    session.abandon().await;
}

#[async_trait::async_trait]
impl Snapshot for PostgresSnapshot {
    async fn table(&self, name: &TableName) -> Result<Option<Table>, EngineError> {
        let mut tables = self.tables.iter();
        Ok(tables.find(|table| table.name == *name).cloned())
    }

    async fn read(&self, selection: Selection) -> Result<RowStream, EngineError> {
        let reader = Reader::new(&self.tables, selection)?;
        let joined = async {
            let mut session = Session::open(&self.pool).await?;
            match self.moment.join(&mut session).await {
                Ok(()) => Ok(session),
                Err(err) => {
                    session.abandon().await;
                    Err(err)
                }
            }
        };
        let session = tokio::select! {
            biased;
            // Without its holder it cannot be joined: that is the better reason.
            err = self.life.over() => return Err(err),
            joined = joined => joined?,
        };
        let life = self.life.clone();
        Ok(reader.stream(&self.tasks, session, async move { life.over().await }))
    }

    fn read_point(&self) -> String {
        self.moment.read_point.clone()
    }

    async fn ended(&self) -> EngineError {
        self.life.over().await
    }
}
