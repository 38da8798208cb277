//! SQLite: rusqlite, each piece of work with a connection and a blocking thread of its own.
//!
//! `connect` opens, `introspect` describes, `snapshot` holds one moment, `read` streams out, `apply` writes, `create` makes tables, `check` looks
//! around, `caller` knows when to stop; `types` says what a declared type counts as, `image` and `stored` turn values into fields and back.
//! Invariant: nothing is ever left in the user's database but rows, and tables that were asked for.

mod apply;
mod caller;
mod check;
mod connect;
mod create;
mod fault;
mod image;
mod introspect;
mod keys;
mod read;
mod select;
mod snapshot;
mod stored;
mod types;

use tokio::sync::watch;

use crate::base::secret::Secret;
use crate::base::task::Tasks;
use crate::engine::driver::{
    Applied, ApplyJob, ApplyProgress, Creation, DiskRoom, Driver, EnactJob, Enacted, NewTable,
    RowCount, RowStream, Selection, Snapshot,
};
use crate::engine::error::EngineError;
use crate::engine::plan::PlanStream;
use crate::engine::sqlite::connect::Location;
use crate::model::finding::{Finding, TablesInUse};
use crate::model::table::{Engine, Table, TableName};

/// A SQLite file as the site's database.
#[derive(Debug)]
pub struct SqliteDriver {
    location: Location,
    tasks: Tasks,
}

impl SqliteDriver {
    /// Takes `sqlite:///absolute/path` or `sqlite://relative/path`. The file is not looked at: whether it is there
    /// shows with each call. `room` is for copies, and for what the write-ahead log grows by while it is read.
    ///
    /// # Errors
    /// [`EngineError::Url`] when the text is no such path, or carries options.
    pub fn open(url: &Secret<String>, room: DiskRoom) -> Result<Self, EngineError> {
        Ok(Self {
            location: Location::parse(url, room)?,
            tasks: Tasks::default(),
        })
    }

    /// Runs `work` on a blocking thread. A caller that is gone lets it run to its end: it is short and only reads,
    /// or one transaction.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Location) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let location = self.location.clone();
        tokio::task::spawn_blocking(move || work(&location))
            .await
            .map_err(|_| EngineError::Lost("the database thread ended".to_owned()))?
    }
}

#[async_trait::async_trait]
impl Driver for SqliteDriver {
    fn engine(&self) -> Engine {
        Engine::Sqlite
    }

    async fn version(&self) -> Result<String, EngineError> {
        self.blocking(|location| {
            location.open_reader()?;
            Ok(rusqlite::version().to_owned())
        })
        .await
    }

    async fn check(&self, used: &TablesInUse) -> Result<Vec<Finding>, EngineError> {
        let used = used.clone();
        self.blocking(move |location| check::check(location, &used))
            .await
    }

    async fn tables(&self) -> Result<Vec<Table>, EngineError> {
        self.blocking(|location| {
            let connection = location.open_reader()?;
            let described = introspect::tables(&connection).map_err(|err| location.fault(&err))?;
            Ok(described
                .into_iter()
                .map(|described| described.table)
                .collect())
        })
        .await
    }

    async fn table(&self, name: &TableName) -> Result<Option<Table>, EngineError> {
        let name = name.clone();
        self.blocking(move |location| {
            let connection = location.open_reader()?;
            let described =
                introspect::table(&connection, &name).map_err(|err| location.fault(&err))?;
            Ok(described.map(|described| described.table))
        })
        .await
    }

    async fn count(&self, name: &TableName, exact_to: u64) -> Result<RowCount, EngineError> {
        let name = name.clone();
        self.blocking(move |location| check::count(&location.open_reader()?, &name, exact_to))
            .await
    }

    async fn read(&self, selection: Selection) -> Result<RowStream, EngineError> {
        snapshot::read(&self.location, &self.tasks, selection).await
    }

    async fn snapshot(&self, tables: &[TableName]) -> Result<Box<dyn Snapshot>, EngineError> {
        let snapshot = snapshot::open(&self.location, &self.tasks, tables.to_vec()).await?;
        Ok(Box::new(snapshot))
    }

    async fn apply(
        &self,
        job: ApplyJob,
        rows: RowStream,
        progress: watch::Sender<ApplyProgress>,
    ) -> Result<Applied, EngineError> {
        apply::apply(self.location.clone(), job, rows, progress).await
    }

    async fn enact(
        &self,
        job: EnactJob,
        plan: PlanStream,
        progress: watch::Sender<ApplyProgress>,
    ) -> Result<Enacted, EngineError> {
        apply::enact::enact(self.location.clone(), job, plan, progress).await
    }

    async fn plan_creation(&self, tables: &[NewTable]) -> Result<Creation, EngineError> {
        let tables = tables.to_vec();
        self.blocking(move |location| create::plan(&location.open_reader()?, &tables))
            .await
    }

    async fn create(&self, tables: &[NewTable]) -> Result<(), EngineError> {
        let tables = tables.to_vec();
        self.blocking(move |location| create::create(&mut location.open_writer()?, &tables))
            .await
    }
}

#[cfg(test)]
pub(in crate::engine::sqlite) mod test_site;
