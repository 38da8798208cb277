//! Reading: prepared statements, one after the other, their rows encoded as they come.
//!
//! Knows nothing of transactions. Invariant: it succeeds only after the database said that this was all.

use std::ops::Range;

use futures_util::TryStreamExt;
use sqlx::mysql::MySqlRow;
use sqlx::{AssertSqlSafe, Decode, MySql, Row, ValueRef};
use tokio::sync::mpsc;

use crate::engine::driver::{BATCH_BYTES, Flow, RowFilter, Selection};
use crate::engine::error::EngineError;
use crate::engine::keys::Keys;
use crate::engine::mysql::connect::Session;
use crate::engine::mysql::fault::{fault, is_missing_table};
use crate::engine::mysql::image::put;
use crate::engine::mysql::keys::Query;
use crate::engine::mysql::schemas::Schemas;
use crate::engine::mysql::select;
use crate::engine::mysql::types::Form;
use crate::model::table::{NeutralType, Table, TableName};
use crate::wire::frame::MAX_ROW_BYTES;
use crate::wire::json::field_to_text;
use crate::wire::row::{RowBatch, RowWriter, split_tuple};
use crate::wire::scope::Condition;

/// Where the rows of a stream go.
pub(super) type Sender = mpsc::Sender<Result<Flow, EngineError>>;

/// Characters of a key's value that a message shows.
const SHOWN_KEY: usize = 64;

/// Reads one selection in the transaction of a session.
#[derive(Debug)]
pub(super) struct Reader {
    table: TableName,
    queries: Vec<Query>,
    /// Those that are sent, and behind them those that say whether a row is meant.
    columns: Vec<(String, NeutralType)>,
    forms: Vec<Form>,
    /// How many are sent; each has its form.
    sent: usize,
    conditions: Vec<Condition>,
    wanted: Option<Keys>,
    /// Where conditions are checked here, rows to leave out and then to send at most.
    page: Option<(u64, u64)>,
    /// Where the columns of a key stand among those that are read.
    key: Vec<usize>,
}

impl Reader {
    /// Of `table` as it is in that transaction.
    ///
    /// # Errors
    /// [`EngineError::SchemaChanged`] when it is not as `selection` says.
    pub(super) fn new(
        schemas: &Schemas,
        selection: &Selection,
        table: &Table,
    ) -> Result<Self, EngineError> {
        if !selection.fits(table) {
            return Err(EngineError::SchemaChanged(table.name.clone()));
        }
        let wanted = match &selection.rows {
            RowFilter::Keys { columns, keys } => Some(Keys::new(&table.name, columns, keys)?),
            _ => None,
        };
        let conditions = selection.scope.conditions().to_vec();
        let checked = selection.checked_columns();
        let checked = checked.filter_map(|name| table.column(name));
        let checked = checked.map(|column| (column.name.clone(), column.kind));
        let columns: Vec<(String, NeutralType)> =
            selection.columns.iter().cloned().chain(checked).collect();
        let forms = columns
            .iter()
            .filter_map(|(name, _)| table.column(name))
            .map(|column| Form::of(column).0)
            .collect();
        let page = selection.page.as_ref().filter(|_| !conditions.is_empty());
        let key = table.usable_keys().next();
        let key = key.iter().flat_map(|key| &key.columns).filter_map(|name| {
            let mut columns = selection.columns.iter();
            columns.position(|(column, _)| column == name)
        });
        Ok(Self {
            queries: select::queries(schemas, selection, table)?,
            key: key.collect(),
            sent: selection.columns.len(),
            page: page.map(|page| (page.offset, page.limit)),
            table: table.name.clone(),
            columns,
            forms,
            conditions,
            wanted,
        })
    }

    /// Sends all rows. A receiver that is gone does not end this: what was asked for has to be taken from the connection.
    pub(super) async fn stream(
        &mut self,
        session: &mut Session,
        sender: &Sender,
    ) -> Result<(), EngineError> {
        let mut writer = RowWriter::for_batches_of(BATCH_BYTES);
        let mut page = self.page.unwrap_or((0, u64::MAX));
        for query in std::mem::take(&mut self.queries) {
            self.ask(query, session, &mut page, (&mut writer, sender))
                .await?;
        }
        if !writer.is_empty() {
            let _ = sender.send(Ok(Flow::Rows(writer.take()))).await;
        }
        Ok(())
    }

    async fn ask(
        &self,
        query: Query,
        session: &mut Session,
        (skip, left): &mut (u64, u64),
        (writer, sender): (&mut RowWriter, &Sender),
    ) -> Result<(), EngineError> {
        let engine = |err| fault(err, &self.table);
        let connection = session.raw().map_err(engine)?;
        // Parameters or not, this is what makes the server answer in the binary protocol.
        let text = AssertSqlSafe(query.sql.text().to_owned());
        // Closing a statement has no answer, and what is sent after it would wait for the server's delayed acknowledgement:
        // those of many keys are kept for the next ones.
        let asked = sqlx::query_with(text, query.arguments).persistent(self.wanted.is_some());
        let mut rows = asked.fetch(connection);
        while let Some(row) = rows.try_next().await.map_err(engine)? {
            if !self.passes(&row)? {
                continue;
            }
            if *skip > 0 {
                *skip -= 1;
                continue;
            }
            // The rest is read all the same: the connection is of use again only at its end.
            if *left == 0 {
                continue;
            }
            *left -= 1;
            self.write(&row, writer)?;
            if writer.len() >= BATCH_BYTES {
                let _ = sender.send(Ok(Flow::Rows(writer.take()))).await;
            }
        }
        Ok(())
    }

    fn passes(&self, row: &MySqlRow) -> Result<bool, EngineError> {
        if let Some(wanted) = &self.wanted {
            let at = self.sent + self.conditions.len();
            let batch = self.fields(row, at..self.columns.len())?;
            let (fields, _) = split_tuple(&batch.data)
                .map_err(|err| self.unreadable(row, at, &err.to_string()))?;
            if !wanted.hold(fields.into_iter()) {
                return Ok(false);
            }
        }
        for (at, condition) in (self.sent..).zip(&self.conditions) {
            let batch = self.fields(row, at..at + 1)?;
            let (fields, _) = split_tuple(&batch.data)
                .map_err(|err| self.unreadable(row, at, &err.to_string()))?;
            let holds = condition.holds(fields.first().copied().flatten());
            if !holds.map_err(|err| self.unreadable(row, at, &err.to_string()))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Some fields of a row as a tuple of their own.
    fn fields(&self, row: &MySqlRow, places: Range<usize>) -> Result<RowBatch, EngineError> {
        let mut writer = RowWriter::default();
        writer.begin(u16::try_from(places.len()).unwrap_or(u16::MAX));
        for at in places {
            self.field(row, at, &mut writer)?;
        }
        Ok(writer.take())
    }

    fn write(&self, row: &MySqlRow, writer: &mut RowWriter) -> Result<(), EngineError> {
        let before = writer.len();
        let count = u16::try_from(self.sent).map_err(|_| EngineError::Statement {
            table: self.table.to_string(),
            message: "it has too many columns".to_owned(),
        })?;
        writer.begin(count);
        for at in 0..self.sent {
            self.field(row, at, writer)?;
        }
        let bytes = writer.len() - before;
        if bytes > MAX_ROW_BYTES {
            return Err(EngineError::RowTooLarge {
                table: self.table.clone(),
                key: self.key_text(row),
                bytes,
                limit: MAX_ROW_BYTES,
            });
        }
        Ok(())
    }

    fn field(&self, row: &MySqlRow, at: usize, writer: &mut RowWriter) -> Result<(), EngineError> {
        let bytes = raw(row, at).map_err(|err| fault(err, &self.table))?;
        let (Some(bytes), Some(form)) = (bytes, self.forms.get(at)) else {
            writer.field(None);
            return Ok(());
        };
        put(*form, bytes, writer).map_err(|reason| self.unreadable(row, at, reason))
    }

    fn unreadable(&self, row: &MySqlRow, at: usize, reason: &str) -> EngineError {
        let column = self.columns.get(at).map(|(name, _)| name.clone());
        EngineError::Unreadable {
            table: self.table.clone(),
            key: self.key_text(row),
            column: column.unwrap_or_default(),
            reason: reason.to_owned(),
        }
    }

    /// `id=5, part=a`, as far as the key is among what is read.
    fn key_text(&self, row: &MySqlRow) -> String {
        let parts: Vec<String> = self
            .key
            .iter()
            .map(|&at| {
                let name = self.columns.get(at).map_or("?", |(name, _)| name);
                let value = self.shown(row, at).unwrap_or_else(|| "?".into());
                format!("{name}={value}")
            })
            .collect();
        if parts.is_empty() {
            "(none)".into()
        } else {
            parts.join(", ")
        }
    }

    fn shown(&self, row: &MySqlRow, at: usize) -> Option<String> {
        let ((_, kind), form) = (self.columns.get(at)?, self.forms.get(at)?);
        let mut writer = RowWriter::default();
        writer.begin(1);
        put(*form, raw(row, at).ok()??, &mut writer).ok()?;
        let batch = writer.take();
        let (fields, _) = split_tuple(&batch.data).ok()?;
        let text = field_to_text(*kind, *fields.first()?);
        let plain = text.chars().filter(|letter| !letter.is_control());
        Some(plain.take(SHOWN_KEY).collect())
    }
}

/// The bytes of a value; `None` is NULL. The driver takes a zero date for NULL as well: its bytes tell them apart.
pub(super) fn raw(row: &MySqlRow, at: usize) -> Result<Option<&[u8]>, sqlx::Error> {
    let value = row.try_get_raw(at)?;
    if value.is_null() {
        return Ok(<&[u8] as Decode<'_, MySql>>::decode(value).ok());
    }
    <&[u8] as Decode<'_, MySql>>::decode(value)
        .map(Some)
        .map_err(sqlx::Error::Decode)
}

/// Counts rows up to `limit`.
pub(super) async fn count(
    session: &mut Session,
    schemas: &Schemas,
    name: &TableName,
    limit: u64,
) -> Result<u64, EngineError> {
    let missing = || EngineError::NoTable(name.clone());
    schemas.of(name).ok_or_else(missing)?;
    let mut query = schemas.sql();
    query
        .push("select count(*) from (select 1 from ")
        .table(name)
        .push(" limit ")
        .number(limit)
        .push(") counted");
    let row = session.one(&query).await.map_err(|err| {
        let is_missing = is_missing_table(&err);
        if is_missing {
            missing()
        } else {
            fault(err, name)
        }
    })?;
    let rows: i64 = row.try_get(0).map_err(|err| fault(err, name))?;
    Ok(u64::try_from(rows).unwrap_or_default())
}
