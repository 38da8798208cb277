//! Streaming a table into the row layout, from one snapshot, on a thread of its own.
//!
//! Invariant: the thread ends soon after its stream, or the call that asked for it, was dropped.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};
use tokio::sync::{mpsc, oneshot};

use crate::engine::driver::{BATCH_BYTES, CHANNEL_BATCHES, Flow, RowStream, Selection};
use crate::engine::error::EngineError;
use crate::engine::sqlite::caller::{CallerWatch, caller};
use crate::engine::sqlite::connect::Location;
use crate::engine::sqlite::fault::engine_error;
use crate::engine::sqlite::image::image;
use crate::engine::sqlite::introspect::{self, Described};
use crate::engine::sqlite::select;
use crate::engine::sqlite::types::Storage;
use crate::model::table::TableName;
use crate::wire::frame::MAX_ROW_BYTES;
use crate::wire::row::RowWriter;
use crate::wire::scope::Condition;

/// Characters of a key's value that a message shows.
const SHOWN_KEY: usize = 60;

/// Streams what `selection` asks for; the snapshot stands when this returns.
pub(super) async fn read(
    location: Location,
    selection: Selection,
) -> Result<RowStream, EngineError> {
    let (rows, stream) = mpsc::channel(CHANNEL_BATCHES);
    let (opened, ready) = oneshot::channel();
    let (_caller, watch) = caller();
    tokio::task::spawn_blocking(move || match Scan::open(&location, selection, &watch) {
        Ok((connection, scan)) => {
            if opened.send(Ok(())).is_ok() {
                scan.run(&connection, &rows);
            }
        }
        Err(err) => drop(opened.send(Err(err))),
    });
    ready
        .await
        .map_err(|_| EngineError::Lost("the reading thread ended".to_owned()))??;
    Ok(stream)
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

struct Scan {
    table: TableName,
    query: select::Query,
    /// Of the columns of the query: first those that are sent, then those that conditions are about.
    names: Vec<String>,
    storages: Vec<Storage>,
    checks: Vec<Check>,
    /// Where conditions are checked here, rows to leave out and then to send at most.
    page: Option<(u64, u64)>,
    key: Vec<KeyColumn>,
}

impl Scan {
    fn open(
        location: &Location,
        selection: Selection,
        caller: &CallerWatch,
    ) -> Result<(Connection, Self), EngineError> {
        let connection = location.snapshot(caller)?;
        let described = introspect::table(&connection, &selection.table)
            .map_err(|err| location.fault(&err))?
            .ok_or_else(|| EngineError::NoTable(selection.table.clone()))?;
        let scan = Self::new(selection, &described)?;
        // Prepared here too, so that a fault of the statement is the call's and not the stream's.
        connection
            .prepare(scan.query.sql.text())
            .map_err(|err| engine_error(&err, &scan.table))?;
        Ok((connection, scan))
    }

    fn new(selection: Selection, described: &Described) -> Result<Self, EngineError> {
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
        let page = selection
            .page
            .filter(|_| !checks.is_empty())
            .map(|page| (page.offset, page.limit));
        let asked = checks.iter().map(|check| check.condition.column.clone());
        let names: Vec<String> = selection
            .columns
            .into_iter()
            .map(|(name, _)| name)
            .chain(asked)
            .collect();
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
            page,
            key,
        })
    }

    fn run(&self, connection: &Connection, rows: &mpsc::Sender<Result<Flow, EngineError>>) {
        let end = self.stream(connection, rows);
        // A receiver that is gone has nobody to tell.
        let _ = match end {
            Ok(true) => rows.blocking_send(Ok(Flow::End)),
            Ok(false) => Ok(()),
            Err(err) => rows.blocking_send(Err(err)),
        };
    }

    /// Sends all rows; false when nobody takes them any more.
    fn stream(
        &self,
        connection: &Connection,
        stream: &mpsc::Sender<Result<Flow, EngineError>>,
    ) -> Result<bool, EngineError> {
        let fault = |err: rusqlite::Error| engine_error(&err, &self.table);
        let fields = u16::try_from(self.storages.len()).map_err(|_| self.too_many_columns())?;
        let mut statement = connection.prepare(self.query.sql.text()).map_err(fault)?;
        let mut rows = statement
            .query(rusqlite::params_from_iter(&self.query.parameters))
            .map_err(fault)?;
        let mut writer = RowWriter::for_batches_of(BATCH_BYTES);
        let (mut skip, mut left) = self.page.unwrap_or((0, u64::MAX));
        while let Some(row) = rows.next().map_err(fault)? {
            if !self.passes(row)? {
                continue;
            }
            if skip > 0 {
                skip -= 1;
                continue;
            }
            if left == 0 {
                break;
            }
            left -= 1;
            let before = writer.len();
            writer.begin(fields);
            self.write(row, &mut writer)?;
            let bytes = writer.len() - before;
            if bytes > MAX_ROW_BYTES {
                return Err(EngineError::RowTooLarge {
                    table: self.table.clone(),
                    key: self.key_text(row),
                    bytes,
                    limit: MAX_ROW_BYTES,
                });
            }
            if writer.len() >= BATCH_BYTES
                && stream.blocking_send(Ok(Flow::Rows(writer.take()))).is_err()
            {
                return Ok(false);
            }
        }
        Ok(writer.is_empty() || stream.blocking_send(Ok(Flow::Rows(writer.take()))).is_ok())
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
