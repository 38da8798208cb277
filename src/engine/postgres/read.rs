//! Reading: one snapshot, one binary COPY, its tuples passed on as they come.
//!
//! Does not decode rows. Invariant: a stream ends with `Flow::End` only after the database said that this was all.

use bytes::Bytes;
use futures_util::TryStreamExt;
use sqlx::postgres::PgPool;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::instrument::WithSubscriber as _;
use tracing::subscriber::NoSubscriber;

use crate::base::task::Tasks;
use crate::engine::driver::{CHANNEL_BATCHES, Flow, RowStream, Selection};
use crate::engine::error::EngineError;
use crate::engine::postgres::connect::{Session, sql};
use crate::engine::postgres::cutter::{CutFault, Cutter};
use crate::engine::postgres::fault::{fault, is_missing_table, refused};
use crate::engine::postgres::line::{Line, LineFault};
use crate::engine::postgres::lock::{begin_reading, process, somebody_waits};
use crate::engine::postgres::select::copy_out;
use crate::engine::snapshot::LOOK_EVERY;
use crate::engine::sql::Sql;
use crate::model::table::{NeutralType, Table, TableName};
use crate::wire::frame::MAX_ROW_BYTES;
use crate::wire::row::{RowBatch, split_tuple};

type Sender = mpsc::Sender<Result<Flow, EngineError>>;

/// Begins to read `selection`; the rest happens in a task that ends when the stream is dropped.
pub(super) async fn read(
    pool: &PgPool,
    tasks: &Tasks,
    schemas: &[String],
    selection: Selection,
) -> Result<RowStream, EngineError> {
    let mut session = Session::open(pool).await?;
    let names = std::slice::from_ref(&selection.table);
    let begun = async {
        let process = process(&mut session).await?;
        let tables = begin_reading(&mut session, schemas, names).await?;
        Ok((process, Reader::new(&tables, selection.clone())?))
    };
    match begun.await {
        Ok((process, reader)) => {
            let pool = pool.clone();
            let over = async move { yields(&pool, process).await };
            Ok(reader.stream(tasks, Source::Session(session), over))
        }
        Err(err) => {
            session.abandon().await;
            Err(err)
        }
    }
}

/// Waits until somebody waits for what `process` holds. That one is busy: others are asked.
pub(super) async fn yields(pool: &PgPool, process: i32) -> EngineError {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        // What cannot be asked now can be asked later; a database that is gone is told by the reading itself.
        if let Ok(mut session) = Session::open(pool).await
            && let Ok(waits) = somebody_waits(&mut session, process).await
        {
            session.release();
            if waits {
                return EngineError::Yielded;
            }
        }
    }
}

/// A transaction that has begun, and in which nothing else happens.
pub(super) enum Source {
    /// On the driver's connection.
    Session(Session),
    /// On one of this program's own.
    Line(Line),
}

/// Reads one selection in a transaction that has begun.
pub(super) struct Reader {
    table: Table,
    selection: Selection,
    statement: Sql,
}

impl Reader {
    /// Of one of `tables`.
    ///
    /// # Errors
    /// [`EngineError::NoTable`] when it is none of them, [`EngineError::SchemaChanged`] when it is not as `selection` says.
    pub(super) fn new(tables: &[Table], selection: Selection) -> Result<Self, EngineError> {
        let table = tables.iter().find(|table| table.name == selection.table);
        let table = table.ok_or_else(|| EngineError::NoTable(selection.table.clone()))?;
        if !selection.fits(table) {
            return Err(EngineError::SchemaChanged(selection.table));
        }
        Ok(Self {
            statement: copy_out(&selection, table)?,
            table: table.clone(),
            selection,
        })
    }

    /// Reads in a task of its own, and ends the transaction. `over` ends the reading early, and tells why.
    pub(super) fn stream(
        self,
        tasks: &Tasks,
        source: Source,
        over: impl Future<Output = EngineError> + Send + 'static,
    ) -> RowStream {
        let (sender, receiver) = mpsc::channel(CHANNEL_BATCHES);
        tasks.spawn("postgres read", async move {
            let ended = tokio::select! {
                ended = self.read(source, &sender) => ended,
                // Nobody listens any more. A COPY cannot be left half read: the connection goes with the reading.
                () = sender.closed() => return,
                err = over => Err(err),
            };
            // A receiver that is gone needs no last word.
            let _ = sender.send(ended.map(|()| Flow::End)).await;
        });
        receiver
    }

    async fn read(&self, source: Source, sender: &Sender) -> Result<(), EngineError> {
        match source {
            Source::Session(mut session) => {
                self.copy(&mut session, sender).await?;
                if session.run("commit").await.is_ok() {
                    session.release();
                }
                Ok(())
            }
            Source::Line(line) => self.copy_by(line, sender).await,
        }
    }

    async fn copy(&self, session: &mut Session, sender: &Sender) -> Result<(), EngineError> {
        let engine = |err| fault(err, &self.table.name);
        let connection = session.raw().map_err(engine)?;
        // sqlx has the stream enter the span it was begun in anew for every message, which is for every row.
        let mut messages = connection
            .copy_out_raw(self.statement.text())
            .with_subscriber(NoSubscriber::new())
            .await
            .map_err(engine)?;
        let mut cutter = Cutter::default();
        while let Some(message) = messages.try_next().await.map_err(engine)? {
            cutter.push(&message).map_err(|err| self.uncut(err))?;
            if let Some(batch) = cutter.full() {
                pass_on(sender, batch).await;
            }
        }
        if let Some(batch) = cutter.take() {
            pass_on(sender, batch).await;
        }
        self.ended(&cutter)
    }

    async fn copy_by(&self, mut line: Line, sender: &Sender) -> Result<(), EngineError> {
        let _cut = line
            .cut()
            .map_err(|fault| self.broken(Broken::Line(fault)))?;
        let statement = self.statement.clone();
        let sender = sender.clone();
        // Once this reading is over the line is cut, and the thread ends, whether it waits for the server or for the
        // receiver: a line that stays open, its buffers full, would have the server keep the table locked.
        let over = CancellationToken::new();
        let _over = over.clone().drop_guard();
        let copied = tokio::task::spawn_blocking(move || {
            let runtime = Handle::current();
            let mut cutter = Cutter::default();
            let pass_on = |batch| {
                let sent = over.run_until_cancelled(sender.send(Ok(Flow::Rows(batch))));
                match runtime.block_on(sent) {
                    Some(Ok(())) => Ok(()),
                    Some(Err(_)) | None => Err(Broken::Unwanted),
                }
            };
            line.copy_out(&statement, |message| {
                cutter.push(message)?;
                cutter.full().map_or(Ok(()), pass_on)
            })?;
            cutter.take().map_or(Ok(()), pass_on)?;
            Ok(cutter)
        });
        let copied = copied
            .await
            .map_err(|err| EngineError::Lost(err.to_string()))?;
        let cutter = copied.map_err(|err| self.broken(err))?;
        self.ended(&cutter)
    }

    fn ended(&self, cutter: &Cutter) -> Result<(), EngineError> {
        if cutter.has_ended() {
            Ok(())
        } else {
            Err(EngineError::Cut(self.table.name.clone()))
        }
    }

    fn broken(&self, err: Broken) -> EngineError {
        match err {
            Broken::Cut(err) => self.uncut(err),
            Broken::Line(LineFault::Refused { code, message }) => {
                refused(&code, &message, &self.table.name)
            }
            Broken::Line(fault) => EngineError::Lost(fault.to_string()),
            Broken::Unwanted => EngineError::Lost("reading was given up".to_owned()),
        }
    }

    fn uncut(&self, err: CutFault) -> EngineError {
        match err {
            CutFault::Malformed(err) => EngineError::Lost(err.to_string()),
            CutFault::TooLarge(tuple) => EngineError::RowTooLarge {
                table: self.table.name.clone(),
                key: describe_key(&self.table, &self.selection.columns, &tuple),
                bytes: tuple.len(),
                limit: MAX_ROW_BYTES,
            },
        }
    }
}

/// Why a reading broke off.
#[derive(Debug)]
enum Broken {
    Cut(CutFault),
    Line(LineFault),
    /// Nobody takes its rows.
    Unwanted,
}

impl From<CutFault> for Broken {
    fn from(err: CutFault) -> Self {
        Self::Cut(err)
    }
}

impl From<LineFault> for Broken {
    fn from(err: LineFault) -> Self {
        Self::Line(err)
    }
}

async fn pass_on(sender: &Sender, batch: RowBatch) {
    // A receiver that is gone is noticed by whoever reads.
    let _ = sender.send(Ok(Flow::Rows(batch))).await;
}

/// The key of a tuple in words, as far as its columns were selected and are easily told.
fn describe_key(table: &Table, columns: &[(String, NeutralType)], tuple: &Bytes) -> String {
    let fields = split_tuple(tuple)
        .map(|(fields, _)| fields)
        .unwrap_or_default();
    let Some(key) = table.usable_keys().next() else {
        return "(none)".into();
    };
    let parts = key.columns.iter().map(|name| {
        let found = columns
            .iter()
            .zip(&fields)
            .find(|((column, _), _)| column == name);
        let value = found.and_then(|((_, kind), field)| describe_value(*kind, (*field)?));
        format!("{name}={}", value.unwrap_or_else(|| "?".into()))
    });
    parts.collect::<Vec<_>>().join(", ")
}

fn describe_value(kind: NeutralType, value: &[u8]) -> Option<String> {
    match kind {
        NeutralType::Int2 => Some(i16::from_be_bytes(value.try_into().ok()?).to_string()),
        NeutralType::Int4 => Some(i32::from_be_bytes(value.try_into().ok()?).to_string()),
        NeutralType::Int8 => Some(i64::from_be_bytes(value.try_into().ok()?).to_string()),
        NeutralType::Text | NeutralType::Other => {
            Some(String::from_utf8_lossy(value).chars().take(64).collect())
        }
        NeutralType::Uuid => Some(uuid::Uuid::from_slice(value).ok()?.to_string()),
        _ => None,
    }
}

/// Counts rows up to `limit`.
pub(super) async fn count(
    session: &mut Session,
    name: &TableName,
    limit: u64,
) -> Result<u64, EngineError> {
    let mut query = sql();
    query
        .push("select count(*)::int8 from (select 1 from ")
        .table(name)
        .push(" limit ")
        .number(limit)
        .push(") counted");
    let row = session.one(&query).await.map_err(|err| {
        let missing = is_missing_table(&err);
        if missing {
            EngineError::NoTable(name.clone())
        } else {
            fault(err, name)
        }
    })?;
    let rows: i64 = sqlx::Row::try_get(&row, 0).map_err(|err| fault(err, name))?;
    Ok(u64::try_from(rows).unwrap_or_default())
}
