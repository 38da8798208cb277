//! Streaming a table into the row layout, on the thread that has the connection.
//!
//! Knows nothing of transactions. Invariant: it ends soon after its stream was dropped or its life was over.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, Rows};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::engine::driver::{BATCH_BYTES, Flow, Selection};
use crate::engine::error::EngineError;
use crate::engine::keys::Keys;
use crate::engine::snapshot::Life;
use crate::engine::sqlite::fault::engine_error;
use crate::engine::sqlite::image::{Image, image};
use crate::engine::sqlite::introspect::Described;
use crate::engine::sqlite::keys::Picks;
use crate::engine::sqlite::select;
use crate::engine::sqlite::types::Storage;
use crate::model::table::TableName;
use crate::wire::frame::MAX_ROW_BYTES;
use crate::wire::row::{RowBatch, RowWriter};
use crate::wire::scope::Condition;

/// Characters of a key's value that a message shows.
const SHOWN_KEY: usize = 60;

/// Where the rows of a scan go.
pub(super) struct Outlet<'a> {
    pub(super) rows: &'a mpsc::Sender<Result<Flow, EngineError>>,
    pub(super) life: &'a Life,
}

impl Outlet<'_> {
    /// Passes a batch on; false when nobody takes any more.
    fn send(&self, batch: RowBatch) -> bool {
        let sent = async {
            tokio::select! {
                biased;
                _ = self.life.over() => false,
                sent = self.rows.send(Ok(Flow::Rows(batch))) => sent.is_ok(),
            }
        };
        Handle::current().block_on(sent)
    }
}

/// A column of the primary key that the scan reads.
struct KeyColumn {
    at: usize,
    name: String,
    nullable: bool,
}

/// A condition, and where in a row of the query its column stands.
struct Check {
    at: usize,
    storage: Storage,
    condition: Condition,
}

/// Reads one selection.
pub(super) struct Scan {
    table: TableName,
    query: select::Query,
    /// Of the columns of the query: first those that are sent, then those that say whether a row is meant.
    names: Vec<String>,
    storages: Vec<Storage>,
    checks: Vec<Check>,
    picks: Option<Picks>,
    /// Where conditions are checked here, rows to leave out and then to send at most.
    page: Option<(u64, u64)>,
    key: Vec<KeyColumn>,
}

impl Scan {
    /// Of a table that is `described` in the snapshot.
    ///
    /// # Errors
    /// [`EngineError::SchemaChanged`] when it is not as `selection` says.
    pub(super) fn new(selection: Selection, described: &Described) -> Result<Self, EngineError> {
        let mut storages = Vec::with_capacity(selection.columns.len());
        for (name, kind) in &selection.columns {
            match described.table.column(name) {
                Some(column) if column.kind == *kind => {
                    storages.push(Storage::of(column, described.strict));
                }
                _ => return Err(EngineError::SchemaChanged(selection.table)),
            }
        }
        let query = select::query(&selection, described)?;
        let checks = checks(&selection, described)?;
        let picks = Picks::new(&selection, described)?;
        let page = selection.page.as_ref();
        let page = page
            .filter(|_| !checks.is_empty())
            .map(|page| (page.offset, page.limit));
        let sent = selection.columns.iter().map(|(name, _)| name.as_str());
        let names = sent.chain(selection.checked_columns());
        let names: Vec<String> = names.map(str::to_owned).collect();
        let key_names = described
            .table
            .primary_key
            .iter()
            .flat_map(|key| &key.columns);
        let key = key_names
            .filter_map(|name| {
                let at = names.iter().position(|other| other == name)?;
                let nullable = described
                    .table
                    .column(name)
                    .is_none_or(|column| column.nullable);
                Some(KeyColumn {
                    at,
                    name: name.clone(),
                    nullable,
                })
            })
            .collect();
        Ok(Self {
            table: selection.table,
            query,
            names,
            storages,
            checks,
            picks,
            page,
            key,
        })
    }

    /// Sends all rows; false when nobody takes them any more.
    pub(super) fn stream(
        &self,
        connection: &Connection,
        outlet: &Outlet<'_>,
    ) -> Result<bool, EngineError> {
        let mut sink = Sink {
            writer: RowWriter::for_batches_of(BATCH_BYTES),
            page: self.page.unwrap_or((0, u64::MAX)),
            outlet,
        };
        let goes_on = match &self.picks {
            Some(picks) => self.pick(connection, picks, &mut sink)?,
            None => self.all(connection, &mut sink, |row| self.passes(row))?,
        };
        let rest = sink.writer.take();
        Ok(goes_on && (rest.rows == 0 || outlet.send(rest)))
    }

    /// The rows of the query that are `meant`.
    fn all(
        &self,
        connection: &Connection,
        sink: &mut Sink<'_>,
        meant: impl FnMut(&Row<'_>) -> Result<bool, EngineError>,
    ) -> Result<bool, EngineError> {
        let fault = |err: rusqlite::Error| engine_error(&err, &self.table);
        let mut statement = connection.prepare(self.query.sql.text()).map_err(fault)?;
        let rows = statement
            .query(rusqlite::params_from_iter(&self.query.parameters))
            .map_err(fault)?;
        self.pour(rows, sink, meant)
    }

    /// Each key by its index. A value can be stored in several forms, of which only one is looked up: what is not found so
    /// is found by reading everything.
    fn pick(
        &self,
        connection: &Connection,
        picks: &Picks,
        sink: &mut Sink<'_>,
    ) -> Result<bool, EngineError> {
        let fault = |err: rusqlite::Error| engine_error(&err, &self.table);
        let keys = picks.keys(&self.table)?;
        let mut missing = picks.keys(&self.table)?;
        let mut statement = connection.prepare(picks.statement()).map_err(fault)?;
        for fields in keys.fields() {
            let Some(bound) = picks.bound(&fields) else {
                continue;
            };
            let rows = statement
                .query(rusqlite::params_from_iter(bound))
                .map_err(fault)?;
            if !self.pour(rows, sink, |row| self.is_picked(row, picks, &mut missing))? {
                return Ok(false);
            }
        }
        if missing.is_empty() || picks.have_one_form() {
            return Ok(true);
        }
        self.all(connection, sink, |row| {
            self.is_picked(row, picks, &mut missing)
        })
    }

    fn is_picked(
        &self,
        row: &Row<'_>,
        picks: &Picks,
        missing: &mut Keys,
    ) -> Result<bool, EngineError> {
        let mut images = Vec::with_capacity(picks.storages().len());
        let first = self.storages.len() + self.checks.len();
        for (at, storage) in (first..).zip(picks.storages()) {
            let value = row
                .get_ref(at)
                .map_err(|err| engine_error(&err, &self.table))?;
            images.push(image(storage, value).map_err(|reason| self.unreadable(row, at, reason))?);
        }
        // Found is found, also where the scope then leaves it out.
        Ok(missing.take(images.iter().map(Image::field)) && self.passes(row)?)
    }

    /// Sends those of `rows` that are `meant`; false when nobody takes them any more.
    fn pour(
        &self,
        mut rows: Rows<'_>,
        sink: &mut Sink<'_>,
        mut meant: impl FnMut(&Row<'_>) -> Result<bool, EngineError>,
    ) -> Result<bool, EngineError> {
        let fields = u16::try_from(self.storages.len()).map_err(|_| self.too_many_columns())?;
        while let Some(row) = rows.next().map_err(|err| engine_error(&err, &self.table))? {
            if !meant(row)? {
                continue;
            }
            let (skip, left) = &mut sink.page;
            if *skip > 0 {
                *skip -= 1;
                continue;
            }
            if *left == 0 {
                break;
            }
            *left -= 1;
            let before = sink.writer.len();
            sink.writer.begin(fields);
            self.write(row, &mut sink.writer)?;
            let bytes = sink.writer.len() - before;
            if bytes > MAX_ROW_BYTES {
                return Err(EngineError::RowTooLarge {
                    table: self.table.clone(),
                    key: self.key_text(row),
                    bytes,
                    limit: MAX_ROW_BYTES,
                });
            }
            if sink.writer.len() >= BATCH_BYTES && !sink.outlet.send(sink.writer.take()) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn passes(&self, row: &Row<'_>) -> Result<bool, EngineError> {
        for check in &self.checks {
            let value = row
                .get_ref(check.at)
                .map_err(|err| engine_error(&err, &self.table))?;
            let image = image(&check.storage, value)
                .map_err(|reason| self.unreadable(row, check.at, reason))?;
            let holds = check.condition.holds(image.field());
            if !holds.map_err(|err| self.unreadable(row, check.at, err.to_string()))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn write(&self, row: &Row<'_>, writer: &mut RowWriter) -> Result<(), EngineError> {
        for (at, storage) in self.storages.iter().enumerate() {
            let value = row
                .get_ref(at)
                .map_err(|err| engine_error(&err, &self.table))?;
            let image = image(storage, value).map_err(|reason| self.unreadable(row, at, reason))?;
            writer.field(image.field());
        }
        for column in self.key.iter().filter(|column| column.nullable) {
            if matches!(row.get_ref(column.at), Ok(ValueRef::Null)) {
                return Err(self.unreadable(row, column.at, "the key is NULL".to_owned()));
            }
        }
        Ok(())
    }

    fn unreadable(&self, row: &Row<'_>, at: usize, reason: String) -> EngineError {
        EngineError::Unreadable {
            table: self.table.clone(),
            key: self.key_text(row),
            column: self.names.get(at).cloned().unwrap_or_default(),
            reason,
        }
    }

    fn too_many_columns(&self) -> EngineError {
        EngineError::Statement {
            table: self.table.to_string(),
            message: "it has too many columns".to_owned(),
        }
    }

    /// `id=5, part=a`, as far as the key is among what is read.
    fn key_text(&self, row: &Row<'_>) -> String {
        if self.key.is_empty() {
            return "not read".to_owned();
        }
        let parts: Vec<String> = self
            .key
            .iter()
            .map(|column| match row.get_ref(column.at) {
                Ok(value) => format!("{}={}", column.name, shown(value)),
                Err(_) => format!("{}=?", column.name),
            })
            .collect();
        parts.join(", ")
    }
}

/// What a scan has not sent yet.
struct Sink<'a> {
    writer: RowWriter,
    /// Rows to leave out, and then to send at most.
    page: (u64, u64),
    outlet: &'a Outlet<'a>,
}

/// The conditions of `selection`, each with its column behind those that are sent.
fn checks(selection: &Selection, described: &Described) -> Result<Vec<Check>, EngineError> {
    let conditions = selection.scope.conditions().iter();
    let check = |(at, condition): (usize, &Condition)| {
        let column = described.table.column(&condition.column);
        let column = column
            .filter(|column| column.kind == condition.kind)
            .ok_or_else(|| EngineError::SchemaChanged(selection.table.clone()))?;
        Ok(Check {
            at,
            storage: Storage::of(column, described.strict),
            condition: condition.clone(),
        })
    };
    (selection.columns.len()..)
        .zip(conditions)
        .map(check)
        .collect()
}

fn shown(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "null".to_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(text) => String::from_utf8_lossy(text)
            .chars()
            .filter(|letter| !letter.is_control())
            .take(SHOWN_KEY)
            .collect(),
        ValueRef::Blob(bytes) => format!(
            "\\x{}",
            hex::encode(bytes.get(..SHOWN_KEY / 2).unwrap_or(bytes))
        ),
    }
}

#[cfg(test)]
mod tests;
