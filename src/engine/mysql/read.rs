//! Reading: one consistent snapshot, one prepared statement, its rows encoded as they come.
//!
//! Invariant: a stream ends with `Flow::End` only after the database said that this was all.

use futures_util::TryStreamExt;
use sqlx::mysql::{MySqlPool, MySqlRow};
use sqlx::{AssertSqlSafe, Decode, MySql, Row, ValueRef};
use tokio::sync::mpsc;

use crate::base::task::Tasks;
use crate::engine::driver::{BATCH_BYTES, CHANNEL_BATCHES, Flow, RowStream, Selection};
use crate::engine::error::EngineError;
use crate::engine::mysql::connect::Session;
use crate::engine::mysql::fault::{fault, is_missing_table};
use crate::engine::mysql::image::put;
use crate::engine::mysql::introspect;
use crate::engine::mysql::schemas::Schemas;
use crate::engine::mysql::select;
use crate::engine::mysql::types::Form;
use crate::engine::sql::Sql;
use crate::model::table::{NeutralType, Table, TableName};
use crate::wire::frame::MAX_ROW_BYTES;
use crate::wire::json::field_to_text;
use crate::wire::row::{RowWriter, split_tuple};
use crate::wire::scope::Condition;

/// Characters of a key's value that a message shows.
const SHOWN_KEY: usize = 64;

/// Begins to read `selection`; the rest happens in a task that ends when the stream is dropped.
pub(super) async fn read(
    pool: &MySqlPool,
    tasks: &Tasks,
    schemas: &Schemas,
    selection: Selection,
) -> Result<RowStream, EngineError> {
    let mut session = Session::open(pool).await?;
    let begun = begin(&mut session, schemas, &selection).await;
    let reader = begun.and_then(|table| Reader::new(schemas, &selection, table));
    let (reader, statement) = match reader {
        Ok(reader) => reader,
        Err(err) => {
            session.abandon().await;
            return Err(err);
        }
    };
    let (sender, receiver) = mpsc::channel(CHANNEL_BATCHES);
    tasks.spawn("mysql read", async move {
        reader.run(session, &statement, &sender).await;
    });
    Ok(receiver)
}

/// Touches the table before anything else: from then on its shape is locked, and the snapshot, which begins with the
/// first row read, is never older than that. The other way round a `truncate` between both would be error 1412.
async fn begin(
    session: &mut Session,
    schemas: &Schemas,
    selection: &Selection,
) -> Result<Table, EngineError> {
    let name = &selection.table;
    let missing = || EngineError::NoTable(name.clone());
    schemas.of(name).ok_or_else(missing)?;
    let engine = |err| fault(err, name);
    session
        .run("start transaction read only")
        .await
        .map_err(engine)?;
    let mut touch = schemas.sql();
    touch.push("select 1 from ").table(name).push(" limit 1");
    if let Err(err) = session.execute(&touch).await {
        let is_missing = is_missing_table(&err);
        return Err(if is_missing { missing() } else { engine(err) });
    }
    let table = introspect::table(session, schemas, name)
        .await
        .map_err(engine)?
        .ok_or_else(missing)?;
    // Without transactions there is no snapshot: whoever writes the table would wait until the last row is read.
    if let Some(reason) = &table.not_writable {
        return Err(EngineError::Statement {
            table: name.to_string(),
            message: format!("{reason}, and it cannot be read without blocking its writers"),
        });
    }
    if !selection.fits(&table) {
        return Err(EngineError::SchemaChanged(name.clone()));
    }
    Ok(table)
}

struct Reader {
    table: TableName,
    /// Those that are sent, and behind them those that conditions are about.
    columns: Vec<(String, NeutralType)>,
    forms: Vec<Form>,
    /// How many are sent; each has its form.
    sent: usize,
    conditions: Vec<Condition>,
    /// Where conditions are checked here, rows to leave out and then to send at most.
    page: Option<(u64, u64)>,
    /// Where the columns of a key stand among those that are read.
    key: Vec<usize>,
}

impl Reader {
    fn new(
        schemas: &Schemas,
        selection: &Selection,
        table: Table,
    ) -> Result<(Self, Sql), EngineError> {
        let statement = select::query(schemas, selection, &table)?;
        let conditions = selection.scope.conditions().to_vec();
        let asked = conditions
            .iter()
            .map(|condition| (condition.column.clone(), condition.kind));
        let columns: Vec<(String, NeutralType)> =
            selection.columns.iter().cloned().chain(asked).collect();
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
        let reader = Self {
            key: key.collect(),
            sent: selection.columns.len(),
            page: page.map(|page| (page.offset, page.limit)),
            columns,
            forms,
            conditions,
            table: table.name,
        };
        Ok((reader, statement))
    }

    async fn run(
        &self,
        mut session: Session,
        statement: &Sql,
        sender: &mpsc::Sender<Result<Flow, EngineError>>,
    ) {
        let outcome = tokio::select! {
            outcome = self.stream(&mut session, statement, sender) => outcome,
            // Nobody listens any more. What was asked for cannot be taken back: the connection goes with the session.
            () = sender.closed() => return,
        };
        let last = match outcome {
            Ok(()) => {
                if session.run("commit").await.is_ok() {
                    session.release();
                }
                Ok(Flow::End)
            }
            Err(err) => {
                drop(session);
                Err(err)
            }
        };
        // A receiver that is gone needs no last word.
        let _ = sender.send(last).await;
    }

    async fn stream(
        &self,
        session: &mut Session,
        statement: &Sql,
        sender: &mpsc::Sender<Result<Flow, EngineError>>,
    ) -> Result<(), EngineError> {
        let engine = |err| fault(err, &self.table);
        let connection = session.raw().map_err(engine)?;
        // Parameters or not, this is what makes the server answer in the binary protocol.
        let query = sqlx::query(AssertSqlSafe(statement.text().to_owned())).persistent(false);
        let mut rows = query.fetch(connection);
        let mut writer = RowWriter::for_batches_of(BATCH_BYTES);
        let (mut skip, mut left) = self.page.unwrap_or((0, u64::MAX));
        while let Some(row) = rows.try_next().await.map_err(engine)? {
            if !self.passes(&row)? {
                continue;
            }
            if skip > 0 {
                skip -= 1;
                continue;
            }
            // The rest is read all the same: the connection is of use again only at its end.
            if left == 0 {
                continue;
            }
            left -= 1;
            self.write(&row, &mut writer)?;
            if writer.len() >= BATCH_BYTES {
                // A receiver that is gone is noticed by `run`.
                let _ = sender.send(Ok(Flow::Rows(writer.take()))).await;
            }
        }
        if !writer.is_empty() {
            let _ = sender.send(Ok(Flow::Rows(writer.take()))).await;
        }
        Ok(())
    }

    fn passes(&self, row: &MySqlRow) -> Result<bool, EngineError> {
        for (at, condition) in (self.sent..).zip(&self.conditions) {
            let mut writer = RowWriter::default();
            writer.begin(1);
            self.field(row, at, &mut writer)?;
            let batch = writer.take();
            let (fields, _) = split_tuple(&batch.data)
                .map_err(|err| self.unreadable(row, at, &err.to_string()))?;
            let holds = condition.holds(fields.first().copied().flatten());
            if !holds.map_err(|err| self.unreadable(row, at, &err.to_string()))? {
                return Ok(false);
            }
        }
        Ok(true)
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
