//! A site database in a temporary folder, for the tests of this engine.

use std::time::Duration;

use rusqlite::Connection;
use rusqlite::types::ValueRef;
use tokio::sync::{mpsc, watch};

use crate::base::secret::Secret;
use crate::engine::driver::{
    Applied, ApplyBudget, ApplyJob, ApplyProgress, DiskRoom, Driver, Flow, RowFilter, RowOrder,
    RowStream, Selection,
};
use crate::engine::error::EngineError;
use crate::engine::sqlite::SqliteDriver;
use crate::model::run::{ConflictStrategy, SyncMode};
use crate::model::table::{Table, TableName};
use crate::wire::row::{RowBatch, RowWriter};
use crate::wire::scope::Scope;

/// The fields of one row.
pub(super) type TestRow = Vec<Option<Vec<u8>>>;

pub(super) struct Site {
    _folder: tempfile::TempDir,
    pub path: std::path::PathBuf,
    pub driver: SqliteDriver,
}

impl Site {
    /// A database in WAL mode made by `schema`.
    pub(super) fn new(schema: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("site.db");
        let room = DiskRoom {
            folder: folder.path().to_owned(),
            bytes: 1 << 30,
        };
        let driver =
            SqliteDriver::open(&Secret::new(format!("sqlite://{}", path.display())), room).unwrap();
        let site = Self {
            _folder: folder,
            path,
            driver,
        };
        let connection = site.application();
        connection
            .pragma_update(None, "journal_mode", "wal")
            .unwrap();
        connection.execute_batch(schema).unwrap();
        site
    }

    /// A connection as the site's own application has it.
    pub(super) fn application(&self) -> Connection {
        let connection = Connection::open(&self.path).unwrap();
        connection.busy_timeout(Duration::from_secs(5)).unwrap();
        connection
    }

    /// The first column of a query's first row, with its class.
    pub(super) fn stored(&self, query: &str) -> String {
        let show = |row: &rusqlite::Row<'_>| {
            Ok(match row.get_ref(0)? {
                ValueRef::Text(text) => format!("Text({:?})", String::from_utf8_lossy(text)),
                ValueRef::Blob(bytes) => format!("Blob({bytes:?})"),
                value => format!("{value:?}"),
            })
        };
        self.application().query_row(query, [], show).unwrap()
    }

    pub(super) fn number(&self, query: &str) -> i64 {
        self.application()
            .query_row(query, [], |row| row.get(0))
            .unwrap()
    }

    pub(super) async fn table(&self, name: &str) -> Table {
        self.driver
            .table(&TableName::bare(name))
            .await
            .unwrap()
            .unwrap()
    }

    /// All columns that can be sent, of all rows.
    pub(super) async fn selection(&self, name: &str) -> Selection {
        let table = self.table(name).await;
        let sent = table.columns.into_iter().filter(|column| !column.generated);
        Selection {
            table: table.name,
            columns: sent.map(|column| (column.name, column.kind)).collect(),
            rows: RowFilter::All,
            scope: Scope::default(),
            order: RowOrder::Found,
            page: None,
        }
    }

    pub(super) async fn rows(&self, name: &str) -> Result<Vec<TestRow>, EngineError> {
        let selection = self.selection(name).await;
        rows_of(self.driver.read(selection).await?).await
    }

    /// A job that upserts all columns by the first usable key.
    pub(super) async fn job(&self, name: &str) -> ApplyJob {
        let table = self.table(name).await;
        let key = table
            .usable_keys()
            .next()
            .map(|key| key.columns.clone())
            .unwrap();
        ApplyJob {
            columns: table
                .columns
                .iter()
                .filter(|column| !column.generated)
                .cloned()
                .collect(),
            key,
            table,
            mode: SyncMode::Upsert,
            conflict: ConflictStrategy::Overwrite,
            budget: ApplyBudget {
                transaction_rows: 100_000,
                transaction_bytes: 64 << 20,
                quarantine_rows: 10,
            },
        }
    }

    pub(super) async fn apply(
        &self,
        job: ApplyJob,
        rows: &[TestRow],
    ) -> Result<Applied, EngineError> {
        self.driver
            .apply(
                job,
                stream(rows),
                watch::channel(ApplyProgress::default()).0,
            )
            .await
    }
}

/// The rows of a whole stream.
pub(super) async fn rows_of(mut stream: RowStream) -> Result<Vec<TestRow>, EngineError> {
    let mut rows = Vec::new();
    while let Some(item) = stream.recv().await {
        match item? {
            Flow::End => return Ok(rows),
            Flow::Rows(batch) => {
                for tuple in batch.tuples() {
                    let (fields, _) = crate::wire::row::split_tuple(tuple.unwrap()).unwrap();
                    rows.push(
                        fields
                            .into_iter()
                            .map(|field| field.map(<[u8]>::to_vec))
                            .collect(),
                    );
                }
            }
        }
    }
    Err(EngineError::Cut(TableName::bare("stream")))
}

pub(super) fn batch(rows: &[TestRow]) -> RowBatch {
    let mut writer = RowWriter::default();
    for row in rows {
        writer.begin(u16::try_from(row.len()).unwrap());
        for field in row {
            writer.field(field.as_deref());
        }
    }
    writer.take()
}

/// A stream of one batch and its end.
pub(super) fn stream(rows: &[TestRow]) -> RowStream {
    let (sender, receiver) = mpsc::channel(2);
    sender.try_send(Ok(Flow::Rows(batch(rows)))).unwrap();
    sender.try_send(Ok(Flow::End)).unwrap();
    receiver
}

#[expect(clippy::unnecessary_wraps, reason = "a field may be NULL")]
pub(super) fn int(number: i64) -> Option<Vec<u8>> {
    Some(number.to_be_bytes().to_vec())
}

#[expect(clippy::unnecessary_wraps, reason = "a field may be NULL")]
pub(super) fn text(text: &str) -> Option<Vec<u8>> {
    Some(text.as_bytes().to_vec())
}
