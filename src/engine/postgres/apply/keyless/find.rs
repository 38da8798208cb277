//! Where rows are, by one reading of the table.

use sqlx::postgres::PgPool;

use crate::engine::enact::find::{Finder, Sought};
use crate::engine::error::EngineError;
use crate::engine::fault::Fault;
use crate::engine::postgres::apply::keyless::copied::{Split, copied_out};
use crate::engine::postgres::connect::Session;
use crate::engine::postgres::lock::{begin_reading, process};
use crate::engine::postgres::read::yields;
use crate::engine::sql::Sql;
use crate::model::table::TableName;
use crate::wire::row::RowBatch;

/// Reads `table` by `statement`, which gives each row behind the two fields of its place.
pub(super) struct InPlaces {
    pub(super) pool: PgPool,
    pub(super) schemas: Vec<String>,
    pub(super) table: TableName,
    pub(super) statement: Sql,
}

impl Finder for InPlaces {
    // Two fields, both NULL.
    const NOWHERE: &'static [u8] = &[0, 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];

    async fn find(&mut self, sought: &mut Sought) -> Result<(), EngineError> {
        let mut session = Session::open(&self.pool).await?;
        let read = self.read(&mut session, sought).await;
        // The transaction ends, and the lock on the table with it.
        session.abandon().await;
        read
    }
}

impl InPlaces {
    async fn read(&self, session: &mut Session, sought: &mut Sought) -> Result<(), EngineError> {
        let process = process(session).await?;
        let table = std::slice::from_ref(&self.table);
        begin_reading(session, &self.schemas, table).await?;
        let malformed = |err| EngineError::of_table(&self.table, format!("{err}"));
        let see = |batch: RowBatch| {
            for tuple in batch.tuples() {
                let split = tuple.and_then(|tuple| Split::of(tuple, 2));
                let split = split.map_err(malformed)?;
                sought.show(&split.rest(), || split.first());
            }
            Ok(())
        };
        tokio::select! {
            read = copied_out(session, &self.table, &self.statement, see) => read.map_err(|fault| match fault {
                Fault::Engine(err) => err,
                Fault::Row(refusal) => EngineError::of_table(&self.table, refusal.reason),
            }),
            err = yields(&self.pool, process) => Err(err),
        }
    }
}
