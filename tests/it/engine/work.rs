//! Reading and applying by a driver, whatever its engine, in as few words as a test wants.

use std::sync::Arc;

use evenkeel::base::secret::Secret;
use evenkeel::engine::EngineError;
use evenkeel::engine::driver::{
    Applied, ApplyBudget, ApplyJob, ApplyProgress, CHANNEL_BATCHES, DiskRoom, Driver, Flow,
    RowFilter, RowOrder, RowStream, Selection,
};
use evenkeel::model::run::{ConflictStrategy, SyncMode};
use evenkeel::model::table::{NeutralType, Table};
use evenkeel::wire::row::{RowBatch, RowWriter};
use evenkeel::wire::scope::Scope;
use tokio::sync::{mpsc, watch};

pub async fn table(driver: &dyn Driver, name: &str) -> Table {
    driver
        .table(&name.parse().unwrap())
        .await
        .unwrap()
        .unwrap_or_else(|| panic!("no table {name}"))
}

/// A driver on the database at `url`, with more room on the disk than any test needs.
pub async fn open(url: &str) -> Arc<dyn Driver> {
    let room = DiskRoom {
        folder: std::env::temp_dir(),
        bytes: 1 << 30,
    };
    let url = Secret::new(url.to_owned());
    evenkeel::engine::open(&url, &[], room).await.unwrap()
}

/// Everything of a table but its generated columns.
pub fn everything(table: &Table) -> Selection {
    let columns = table.columns.iter().filter(|column| !column.generated);
    Selection {
        table: table.name.clone(),
        columns: columns
            .map(|column| (column.name.clone(), column.kind))
            .collect(),
        rows: RowFilter::All,
        scope: Scope::default(),
        order: RowOrder::Found,
        page: None,
    }
}

/// All batches of a stream, or what it failed with; panics when it is cut.
pub async fn outcome(mut rows: RowStream) -> Result<Vec<RowBatch>, EngineError> {
    let mut batches = Vec::new();
    loop {
        match rows.recv().await.expect("the stream is not cut")? {
            Flow::Rows(batch) => batches.push(batch),
            Flow::End => return Ok(batches),
        }
    }
}

/// All batches of a stream; panics when it is cut.
pub async fn collect(rows: RowStream) -> Vec<RowBatch> {
    outcome(rows).await.unwrap()
}

/// An upsert of all of a table's columns by its first usable key, in transactions of `rows` rows.
pub fn job(table: &Table, rows: u64) -> ApplyJob {
    ApplyJob {
        columns: table
            .columns
            .iter()
            .filter(|column| !column.generated)
            .cloned()
            .collect(),
        key: table.usable_keys().next().expect("a key").columns.clone(),
        table: table.clone(),
        mode: SyncMode::Upsert,
        conflict: ConflictStrategy::Overwrite,
        budget: ApplyBudget {
            transaction_rows: rows,
            transaction_bytes: 64 << 20,
            quarantine_rows: 100,
        },
    }
}

pub async fn apply(
    driver: &dyn Driver,
    job: ApplyJob,
    rows: RowStream,
) -> Result<Applied, EngineError> {
    driver
        .apply(job, rows, watch::Sender::new(ApplyProgress::default()))
        .await
}

/// Copies `name` from one database to the other.
pub async fn copy(from: &dyn Driver, to: &dyn Driver, name: &str) -> Applied {
    let rows = from
        .read(everything(&table(from, name).await))
        .await
        .unwrap();
    apply(to, job(&table(to, name).await, 10_000), rows)
        .await
        .unwrap()
}

/// (added, updated, skipped, conflicts)
pub fn counts(applied: &Applied) -> (u64, u64, u64, u64) {
    let changes = &applied.changes;
    (
        changes.added,
        changes.updated,
        changes.skipped,
        changes.conflicts,
    )
}

/// A whole stream of rows of fields, in batches of `size`.
pub fn fields(rows: &[Vec<Option<Vec<u8>>>], size: usize) -> RowStream {
    let (sender, receiver) = mpsc::channel(CHANNEL_BATCHES + rows.len());
    for chunk in rows.chunks(size) {
        let mut writer = RowWriter::default();
        for row in chunk {
            writer.begin(u16::try_from(row.len()).unwrap());
            for field in row {
                writer.field(field.as_deref());
            }
        }
        sender.try_send(Ok(Flow::Rows(writer.take()))).unwrap();
    }
    sender.try_send(Ok(Flow::End)).unwrap();
    receiver
}

/// A whole stream of (integer, text) rows in batches of `size`.
pub fn stream(kind: NeutralType, rows: &[(i64, Option<&str>)], size: usize) -> RowStream {
    let rows: Vec<_> = rows
        .iter()
        .map(|(id, text)| {
            let id = match kind {
                NeutralType::Int4 => i32::try_from(*id).unwrap().to_be_bytes().to_vec(),
                _ => id.to_be_bytes().to_vec(),
            };
            vec![Some(id), text.map(|text| text.as_bytes().to_vec())]
        })
        .collect();
    fields(&rows, size)
}

/// Rows for [`stream`] that every table of such columns takes.
pub fn numbered(rows: std::ops::RangeInclusive<i64>) -> Vec<(i64, Option<&'static str>)> {
    rows.map(|id| (id, Some("fine"))).collect()
}

/// The rows of a stream without its end, and the way to send more.
pub async fn endless(mut whole: RowStream) -> (mpsc::Sender<Result<Flow, EngineError>>, RowStream) {
    let (sender, receiver) = mpsc::channel(500);
    while let Some(Ok(Flow::Rows(batch))) = whole.recv().await {
        sender.try_send(Ok(Flow::Rows(batch))).unwrap();
    }
    (sender, receiver)
}
