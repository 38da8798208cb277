//! Rows without a key: looked at, deleted and read back by their numbers.
//!
//! Nobody else can write while a transaction is open, so that a number means the same row until it ends.

use std::future::ready;
use std::time::Duration;

use bytes::Bytes;
use rusqlite::Statement;

use crate::engine::driver::ApplyJob;
use crate::engine::enact::target::{Effect, Local, Look, Pointer, Target};
use crate::engine::error::EngineError;
use crate::engine::fault::Fault;
use crate::engine::sqlite::apply::destination::Destination;
use crate::engine::sqlite::apply::enact::SqliteTarget;
use crate::engine::sqlite::fault::engine_error;
use crate::wire::row::{RowWriter, field_at};

/// Where no row is: one field, NULL.
pub(super) const NOWHERE: &[u8] = &[0, 1, 0xff, 0xff, 0xff, 0xff];

/// Where the row with this number is.
pub(super) fn place(number: i64) -> Bytes {
    let mut writer = RowWriter::default();
    writer.begin(1);
    writer.field(Some(&number.to_be_bytes()));
    writer.take().data
}

fn number(place: &[u8]) -> Option<i64> {
    let field = field_at(place, 0).ok().flatten()?;
    field.try_into().ok().map(i64::from_be_bytes)
}

/// Writes to a table by the numbers of its rows.
pub(super) struct KeylessTarget<'c> {
    rows: SqliteTarget<'c>,
    /// The numbers of the rows that were inserted last; none once others were deleted.
    inserted: Vec<i64>,
}

impl<'c> KeylessTarget<'c> {
    pub(super) fn new(rows: SqliteTarget<'c>) -> Self {
        Self {
            rows,
            inserted: Vec::new(),
        }
    }

    fn look_now(&mut self, why: Look, places: &[Bytes]) -> Result<Vec<Option<Local>>, Fault> {
        self.rows.writer.go_on()?;
        let destination = &mut self.rows.writer.destination;
        if why == Look::ReadBack && !self.inserted.is_empty() {
            let inserted = std::mem::take(&mut self.inserted);
            let found = inserted.into_iter().map(|number| destination.at(number));
            return found.collect();
        }
        let found = places.iter().map(|place| match number(place) {
            Some(number) => destination.at(number),
            None => Ok(None),
        });
        found.collect()
    }

    fn write_now(&mut self, effect: Effect, rows: &[Bytes]) -> Result<Option<Vec<Local>>, Fault> {
        self.inserted.clear();
        let SqliteTarget { writer, delete, .. } = &mut self.rows;
        for row in rows {
            writer.pace.add(row.len());
            match effect {
                Effect::Insert => {
                    writer.destination.insert_row(row)?;
                    self.inserted.push(writer.connection.last_insert_rowid());
                }
                Effect::Delete => writer.destination.delete_at(delete, row)?,
                // Nothing is the same row with another value.
                Effect::Update | Effect::Park => {}
            }
        }
        Ok(None)
    }

    fn pointing_now(&mut self, places: &[Bytes]) -> Result<Vec<(usize, Pointer)>, Fault> {
        let SqliteTarget {
            writer, pointing, ..
        } = &mut self.rows;
        let table = &writer.destination.table;
        let fatal = |err: rusqlite::Error| Fault::Engine(engine_error(&err, table));
        let mut found = Vec::new();
        for (at, place) in places.iter().enumerate() {
            for (table, statement) in pointing.iter_mut() {
                statement
                    .raw_bind_parameter(1, number(place))
                    .map_err(fatal)?;
                // The table's own rows, too: those that are deleted as well are gone when this is asked again.
                if statement.raw_query().next().map_err(fatal)?.is_some() {
                    found.push((at, Pointer::Other(table.clone())));
                }
            }
        }
        Ok(found)
    }
}

impl Destination<'_> {
    /// The row with this number.
    fn at(&mut self, number: i64) -> Result<Option<Local>, Fault> {
        let fatal = |err: rusqlite::Error| Fault::Engine(engine_error(&err, &self.table));
        let probe = &mut self.statements.probe;
        probe.raw_bind_parameter(1, number).map_err(fatal)?;
        self.probed()
    }

    fn insert_row(&mut self, row: &[u8]) -> Result<(), Fault> {
        let values = self.values(row)?;
        self.guarded(|destination| destination.insert(&values).map(drop))
    }

    fn delete_at(&mut self, delete: &mut Statement<'_>, place: &[u8]) -> Result<(), Fault> {
        self.delete_bound(delete, |delete, _| {
            delete.raw_bind_parameter(1, number(place))
        })
    }
}

impl Target for KeylessTarget<'_> {
    const LONGEST: Duration = SqliteTarget::LONGEST;
    const PATIENCE: Duration = SqliteTarget::PATIENCE;
    const PIECE_ROWS: usize = SqliteTarget::PIECE_ROWS;

    fn job(&self) -> &ApplyJob {
        self.rows.job()
    }

    fn is_folded(&self) -> bool {
        false
    }

    // Whether something stands in the place of a row is no question here.
    fn inserts_plainly(&self) -> bool {
        false
    }

    fn can_park(&self) -> bool {
        false
    }

    fn begin(&mut self) -> impl Future<Output = Result<(), EngineError>> + Send {
        self.rows.begin()
    }

    fn commit(&mut self) -> impl Future<Output = Result<(), EngineError>> + Send {
        self.rows.commit()
    }

    fn run(
        &mut self,
        statements: &'static str,
    ) -> impl Future<Output = Result<(), EngineError>> + Send {
        self.rows.run(statements)
    }

    fn look(
        &mut self,
        why: Look,
        rows: &[Bytes],
    ) -> impl Future<Output = Result<Vec<Option<Local>>, Fault>> + Send {
        ready(self.look_now(why, rows))
    }

    fn write(
        &mut self,
        effect: Effect,
        rows: &[Bytes],
    ) -> impl Future<Output = Result<Option<Vec<Local>>, Fault>> + Send {
        ready(self.write_now(effect, rows))
    }

    fn pointing(
        &mut self,
        rows: &[Bytes],
    ) -> impl Future<Output = Result<Vec<(usize, Pointer)>, Fault>> + Send {
        ready(self.pointing_now(rows))
    }

    fn finish(&mut self) -> impl Future<Output = Result<(), EngineError>> + Send {
        self.rows.finish()
    }
}
