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
use crate::engine::postgres::line::Lines;
use crate::engine::postgres::lock::{BEGIN_READING, begin_reading, process, somebody_waits};
use crate::engine::postgres::read::{Reader, Source};
use crate::engine::snapshot::{Ending, Guard, LOOK_EVERY, Life};
use crate::engine::sql::Sql;
use crate::model::table::{Table, TableName};

struct PostgresSnapshot {
    pool: PgPool,
    lines: Lines,
    tasks: Tasks,
    tables: Vec<Table>,
    moment: Moment,
    life: Life,
    _guard: Guard,
}

/// Takes a snapshot of `names`; a task holds it until it is dropped or somebody waits for it.
pub(super) async fn open(
    ways: (&PgPool, &Lines),
    tasks: &Tasks,
    schemas: &[String],
    names: &[TableName],
) -> Result<Box<dyn Snapshot>, EngineError> {
    Ok(Box::new(take(ways, tasks, schemas, names).await?))
}

/// Reads a whole table by a line, in a snapshot of its own.
pub(super) async fn read(
    ways: (&PgPool, &Lines),
    tasks: &Tasks,
    schemas: &[String],
    selection: Selection,
) -> Result<RowStream, EngineError> {
    let names = std::slice::from_ref(&selection.table);
    let snapshot = take(ways, tasks, schemas, names).await?;
    let (reader, source) = snapshot.reading(selection).await?;
    let over = async move { snapshot.ended().await };
    Ok(reader.stream(tasks, source, over))
}

async fn take(
    (pool, lines): (&PgPool, &Lines),
    tasks: &Tasks,
    schemas: &[String],
    names: &[TableName],
) -> Result<PostgresSnapshot, EngineError> {
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
    Ok(PostgresSnapshot {
        pool: pool.clone(),
        lines: lines.clone(),
        tasks: tasks.clone(),
        tables,
        moment,
        life,
        _guard: guard,
    })
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

    /// What begins a transaction that sees it too.
    fn join(&self) -> [Sql; 2] {
        let (mut begin, mut join) = (sql(), sql());
        begin.push(BEGIN_READING);
        join.push("set transaction snapshot ")
            .literal(&self.exported);
        [begin, join]
    }
}

/// Looks in the session itself whether somebody waits, which also shows that it still serves.
async fn hold(mut session: Session, process: i32, life: Life) {
    let ending = loop {
        tokio::select! {
            _ = life.over() => break Ending::Dropped,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        tokio::select! {
            // Half of an answer may have been read: the connection goes with the session.
            _ = life.over() => return,
            waits = somebody_waits(&mut session, process) => match waits {
                Ok(false) => {}
                Ok(true) => break Ending::Yielded,
                Err(err) => break Ending::Lost(err.to_string()),
            },
        }
    };
    life.end(ending);
    match session.run("commit").await {
        Ok(()) => session.release(),
        Err(_) => session.abandon().await,
    }
}

impl PostgresSnapshot {
    async fn reading(&self, selection: Selection) -> Result<(Reader, Source), EngineError> {
        let whole = selection.is_whole();
        let reader = Reader::new(&self.tables, selection)?;
        tokio::select! {
            biased;
            // Without its holder it cannot be joined: that is the better reason.
            err = self.life.over() => Err(err),
            source = self.source(whole) => Ok((reader, source?)),
        }
    }

    /// Where more is read of what the holder sees: for a whole table a line, where there is one.
    async fn source(&self, whole: bool) -> Result<Source, EngineError> {
        let join = self.moment.join();
        if whole && let Some(line) = self.lines.open(join.to_vec()).await {
            return Ok(Source::Line(line));
        }
        let mut session = Session::open(&self.pool).await?;
        for statement in &join {
            if let Err(err) = session.execute(statement).await {
                let err = general(&err);
                session.abandon().await;
                return Err(err);
            }
        }
        Ok(Source::Session(session))
    }
}

#[async_trait::async_trait]
impl Snapshot for PostgresSnapshot {
    async fn table(&self, name: &TableName) -> Result<Option<Table>, EngineError> {
        let mut tables = self.tables.iter();
        Ok(tables.find(|table| table.name == *name).cloned())
    }

    async fn read(&self, selection: Selection) -> Result<RowStream, EngineError> {
        let (reader, source) = self.reading(selection).await?;
        let life = self.life.clone();
        Ok(reader.stream(&self.tasks, source, async move { life.over().await }))
    }

    fn read_point(&self) -> String {
        self.moment.read_point.clone()
    }

    async fn ended(&self) -> EngineError {
        self.life.over().await
    }
}
