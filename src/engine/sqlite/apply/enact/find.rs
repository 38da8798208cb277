//! The numbers of rows, by reading the table in pieces: the application's writers get in between.

use bytes::Bytes;
use rusqlite::Connection;

use crate::engine::driver::ApplyJob;
use crate::engine::enact::find::{Finder, Sought};
use crate::engine::error::EngineError;
use crate::engine::sqlite::apply::destination::{Target, targets};
use crate::engine::sqlite::apply::enact::keyless::{NOWHERE, place};
use crate::engine::sqlite::apply::enact::local;
use crate::engine::sqlite::connect::Location;
use crate::engine::sqlite::fault::engine_error;
use crate::engine::sqlite::introspect;
use crate::engine::sqlite::select::statement;
use crate::model::table::TableName;

/// Rows of one piece, and the bytes of them beyond which it has fewer.
const PIECE_ROWS: usize = 10_000;
const PIECE_BYTES: usize = 4 << 20;

/// Finds the rows of a job's table.
pub(super) struct ByNumber {
    pub(super) location: Location,
    pub(super) job: ApplyJob,
}

impl Finder for ByNumber {
    const NOWHERE: &'static [u8] = NOWHERE;

    async fn find(&mut self, sought: &mut Sought) -> Result<(), EngineError> {
        let (location, job) = (self.location.clone(), self.job.clone());
        let mut reading = in_thread(move || Reading::begin(&location, &job)).await?;
        let mut from = Some(i64::MIN);
        while let Some(first) = from.filter(|_| !sought.is_over()) {
            let (given_back, piece) = in_thread(move || {
                let piece = reading.piece(first)?;
                Ok((reading, piece))
            })
            .await?;
            reading = given_back;
            for (number, row) in &piece.rows {
                sought.show(row, || place(*number));
            }
            from = piece.next;
        }
        Ok(())
    }
}

async fn in_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
) -> Result<T, EngineError> {
    let work = tokio::task::spawn_blocking(work).await;
    work.map_err(|_| EngineError::Lost("the reading thread ended".to_owned()))?
}

struct Reading {
    connection: Connection,
    table: TableName,
    targets: Vec<Target>,
    /// Rows from a number on, each before its number.
    query: String,
}

/// Rows with their numbers, and where the next piece begins.
struct Piece {
    rows: Vec<(i64, Bytes)>,
    next: Option<i64>,
}

impl Reading {
    fn begin(location: &Location, job: &ApplyJob) -> Result<Self, EngineError> {
        let (connection, table) = (location.open_reader()?, job.table.name.clone());
        let described = introspect::table(&connection, &table);
        let described = described
            .map_err(|err| engine_error(&err, &table))?
            .ok_or_else(|| EngineError::NoTable(table.clone()))?;
        let changed = || EngineError::SchemaChanged(table.clone());
        let rowid = described.rowid.ok_or_else(changed)?;
        let mut sql = statement();
        sql.push("select ");
        let columns = job.columns.iter().map(|column| column.name.as_str());
        sql.idents(columns.chain([rowid]));
        sql.push(" from ")
            .table(&table)
            .push(" where ")
            .ident(rowid);
        sql.push(" >= ?1 order by ").ident(rowid);
        Ok(Self {
            targets: targets(job, &described)?,
            query: sql.text().to_owned(),
            connection,
            table,
        })
    }

    fn piece(&self, first: i64) -> Result<Piece, EngineError> {
        let fault = |err: rusqlite::Error| engine_error(&err, &self.table);
        let mut statement = self.connection.prepare(&self.query).map_err(fault)?;
        let mut rows = statement.query([first]).map_err(fault)?;
        let (mut read, mut bytes) = (Vec::new(), 0);
        while let Some(row) = rows.next().map_err(fault)? {
            let number: i64 = row.get(self.targets.len()).map_err(fault)?;
            let row = local(&self.targets, row).map_err(fault)?;
            bytes += row.tuple.len();
            // What cannot be read was in no plan.
            if row.readable {
                read.push((number, row.tuple));
            }
            if read.len() >= PIECE_ROWS || bytes >= PIECE_BYTES {
                let next = number.checked_add(1);
                return Ok(Piece { rows: read, next });
            }
        }
        Ok(Piece {
            rows: read,
            next: None,
        })
    }
}
