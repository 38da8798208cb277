//! PostgreSQL: read by binary COPY from one snapshot, written by binary COPY, straight or through a temporary table.
//!
//! Invariant: nothing stays behind in the database but the rows that were to be written; names are always qualified.

mod apply;
mod catalogue;
mod check;
mod connect;
mod create;
mod cutter;
mod fault;
mod introspect;
mod keys;
mod line;
mod lock;
mod read;
mod scope;
mod select;
mod snapshot;
mod types;

use sqlx::postgres::PgPool;
use tokio::sync::watch;

use crate::base::secret::Secret;
use crate::base::task::Tasks;
use crate::engine::driver::{
    Applied, ApplyJob, ApplyProgress, Creation, Driver, EnactJob, Enacted, NewTable, RowCount,
    RowStream, Selection, Snapshot,
};
use crate::engine::error::EngineError;
use crate::engine::plan::PlanStream;
use crate::engine::postgres::connect::{DEFAULT_SCHEMA, Session};
use crate::engine::postgres::line::Lines;
use crate::model::finding::{Finding, TablesInUse};
use crate::model::table::{Engine, Table, TableName};

/// A PostgreSQL site database, version 13 or later.
#[derive(Debug)]
pub struct PostgresDriver {
    pool: PgPool,
    lines: Lines,
    schemas: Vec<String>,
    tasks: Tasks,
}

impl PostgresDriver {
    /// The database at `url`; `schemas` are those to be looked at, none means `public`. Nothing is connected yet: a
    /// database that is down shows itself in the calls.
    ///
    /// # Errors
    /// [`EngineError::Url`] when `url` names no PostgreSQL database.
    #[expect(
        clippy::unused_async,
        reason = "opening a site database is asynchronous for the other engines"
    )]
    pub async fn connect(url: &Secret<String>, schemas: &[String]) -> Result<Self, EngineError> {
        let schemas = if schemas.is_empty() {
            vec![DEFAULT_SCHEMA.to_owned()]
        } else {
            schemas.to_vec()
        };
        let options = connect::options(url)?;
        Ok(Self {
            lines: Lines::new(&options),
            pool: connect::pool(options),
            schemas,
            tasks: Tasks::default(),
        })
    }

    fn ways(&self) -> (&PgPool, &Lines) {
        (&self.pool, &self.lines)
    }
}

#[async_trait::async_trait]
impl Driver for PostgresDriver {
    fn engine(&self) -> Engine {
        Engine::Postgres
    }

    async fn version(&self) -> Result<String, EngineError> {
        let mut session = Session::open(&self.pool).await?;
        let version = check::version(&mut session).await?;
        session.release();
        Ok(version)
    }

    async fn check(&self, used: &TablesInUse) -> Result<Vec<Finding>, EngineError> {
        let mut session = Session::open(&self.pool).await?;
        let findings = check::check(&mut session, &self.schemas, used).await?;
        session.release();
        Ok(findings)
    }

    async fn tables(&self) -> Result<Vec<Table>, EngineError> {
        let mut session = Session::open(&self.pool).await?;
        let connection = session.raw().map_err(|err| fault::general(&err))?;
        let tables = introspect::tables(connection, &self.schemas)
            .await
            .map_err(|err| fault::general(&err))?;
        session.release();
        Ok(tables)
    }

    async fn table(&self, name: &TableName) -> Result<Option<Table>, EngineError> {
        let mut session = Session::open(&self.pool).await?;
        let connection = session.raw().map_err(|err| fault::fault(err, name))?;
        let table = introspect::table(connection, &self.schemas, name)
            .await
            .map_err(|err| fault::fault(err, name))?;
        session.release();
        Ok(table)
    }

    async fn count(&self, name: &TableName, exact_to: u64) -> Result<RowCount, EngineError> {
        let mut session = Session::open(&self.pool).await?;
        let rows = read::count(&mut session, name, exact_to.saturating_add(1)).await?;
        session.release();
        if rows <= exact_to {
            return Ok(RowCount { rows, exact: true });
        }
        let estimate = self.table(name).await?.and_then(|table| table.row_estimate);
        Ok(RowCount::beyond(exact_to, estimate))
    }

    async fn read(&self, selection: Selection) -> Result<RowStream, EngineError> {
        if selection.is_whole() && self.lines.are_there() {
            return snapshot::read(self.ways(), &self.tasks, &self.schemas, selection).await;
        }
        read::read(&self.pool, &self.tasks, &self.schemas, selection).await
    }

    async fn snapshot(&self, tables: &[TableName]) -> Result<Box<dyn Snapshot>, EngineError> {
        snapshot::open(self.ways(), &self.tasks, &self.schemas, tables).await
    }

    async fn apply(
        &self,
        job: ApplyJob,
        rows: RowStream,
        progress: watch::Sender<ApplyProgress>,
    ) -> Result<Applied, EngineError> {
        apply::apply(&self.pool, &self.schemas, job, rows, progress).await
    }

    async fn enact(
        &self,
        job: EnactJob,
        plan: PlanStream,
        progress: watch::Sender<ApplyProgress>,
    ) -> Result<Enacted, EngineError> {
        let (pool, schemas) = (&self.pool, &self.schemas);
        match job.target.is_keyless() {
            false => apply::enact::enact(pool, schemas, job, plan, progress).await,
            true => apply::keyless::enact(pool, schemas, job, plan, progress).await,
        }
    }

    async fn plan_creation(&self, tables: &[NewTable]) -> Result<Creation, EngineError> {
        let mut session = Session::open(&self.pool).await?;
        let plan = create::plan(&mut session, &self.schemas, tables).await?;
        session.release();
        Ok(plan.creation())
    }

    async fn create(&self, tables: &[NewTable]) -> Result<(), EngineError> {
        create::create(&self.pool, &self.schemas, tables).await
    }
}
