//! MySQL and MariaDB: read in the binary protocol from one snapshot, written in strict transactions. InnoDB only.
//!
//! Invariant: nothing stays behind in the database but the rows that were to be written; names are always qualified.

mod apply;
mod catalogue;
mod check;
mod connect;
mod create;
mod definition;
mod encoder;
mod fault;
mod image;
mod introspect;
mod keys;
mod read;
mod schemas;
mod select;
mod snapshot;
mod types;
mod value;
mod waiting;

use sqlx::mysql::MySqlPool;
use tokio::sync::watch;

use crate::base::secret::Secret;
use crate::base::task::Tasks;
use crate::engine::driver::{
    Applied, ApplyJob, ApplyProgress, Creation, Driver, EnactJob, Enacted, NewTable, RowCount,
    RowStream, Selection, Snapshot,
};
use crate::engine::error::EngineError;
use crate::engine::mysql::connect::Session;
use crate::engine::mysql::schemas::Schemas;
use crate::engine::plan::PlanStream;
use crate::model::finding::{Finding, TablesInUse};
use crate::model::table::{Engine, Table, TableName};

/// A MySQL (8.0 or later) or MariaDB (10.5 or later) site database.
#[derive(Debug)]
pub struct MysqlDriver {
    pool: MySqlPool,
    schemas: Schemas,
    tasks: Tasks,
}

impl MysqlDriver {
    /// The database at `url`; `schemas` are the databases to be looked at, none means the one of the URL. Nothing is
    /// connected yet: a server that is down shows itself in the calls.
    ///
    /// # Errors
    /// [`EngineError::Url`] when `url` names no MySQL or MariaDB database.
    pub fn connect(url: &Secret<String>, schemas: &[String]) -> Result<Self, EngineError> {
        let pool = connect::pool(url)?;
        Ok(Self {
            schemas: Schemas::new(&pool, schemas),
            pool,
            tasks: Tasks::default(),
        })
    }
}

#[async_trait::async_trait]
impl Driver for MysqlDriver {
    fn engine(&self) -> Engine {
        Engine::Mysql
    }

    async fn version(&self) -> Result<String, EngineError> {
        let mut session = Session::open(&self.pool).await?;
        let version = check::version(&mut session, &self.schemas).await?;
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
        let tables = introspect::tables(&mut session, &self.schemas)
            .await
            .map_err(|err| fault::general(&err))?;
        session.release();
        Ok(tables)
    }

    async fn table(&self, name: &TableName) -> Result<Option<Table>, EngineError> {
        let mut session = Session::open(&self.pool).await?;
        let table = introspect::table(&mut session, &self.schemas, name)
            .await
            .map_err(|err| fault::fault(err, name))?;
        session.release();
        Ok(table)
    }

    async fn count(&self, name: &TableName, exact_to: u64) -> Result<RowCount, EngineError> {
        let mut session = Session::open(&self.pool).await?;
        let rows = read::count(
            &mut session,
            &self.schemas,
            name,
            exact_to.saturating_add(1),
        )
        .await?;
        session.release();
        if rows <= exact_to {
            return Ok(RowCount { rows, exact: true });
        }
        let estimate = self.table(name).await?.and_then(|table| table.row_estimate);
        Ok(RowCount::beyond(exact_to, estimate))
    }

    async fn read(&self, selection: Selection) -> Result<RowStream, EngineError> {
        snapshot::read(&self.pool, &self.tasks, &self.schemas, selection).await
    }

    async fn snapshot(&self, tables: &[TableName]) -> Result<Box<dyn Snapshot>, EngineError> {
        let snapshot = snapshot::open(&self.pool, &self.tasks, &self.schemas, tables).await?;
        Ok(Box::new(snapshot))
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
        apply::enact::enact(&self.pool, &self.schemas, job, plan, progress).await
    }

    async fn plan_creation(&self, tables: &[NewTable]) -> Result<Creation, EngineError> {
        let mut session = Session::open(&self.pool).await?;
        let creation = create::plan(&mut session, &self.schemas, tables).await?;
        session.release();
        Ok(creation)
    }

    async fn create(&self, tables: &[NewTable]) -> Result<(), EngineError> {
        create::create(&self.pool, &self.tasks, &self.schemas, tables).await
    }
}
