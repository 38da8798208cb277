//! The PostgreSQL driver against a real server.

mod apply;
mod catalogue;
mod create;
mod faults;
mod read;
mod straight;

use evenkeel::base::secret::Secret;
use evenkeel::engine::EngineError;
use evenkeel::engine::driver::{
    Applied, ApplyBudget, ApplyJob, ApplyProgress, CHANNEL_BATCHES, Driver, Flow, RowFilter,
    RowStream, Selection,
};
use evenkeel::engine::postgres::PostgresDriver;
use evenkeel::model::run::{ConflictStrategy, SyncMode};
use evenkeel::model::table::{NeutralType, Table};
use evenkeel::wire::row::{RowBatch, RowWriter};
use tokio::sync::{mpsc, watch};

use crate::support::postgres;

/// A fresh database with `schema` in it: its URL and a driver on it.
async fn database(schema: &str) -> (String, PostgresDriver) {
    let url = postgres::shared().database();
    postgres::query(&url, schema);
    let driver = driver(&url, &[]).await;
    (url, driver)
}

async fn driver(url: &str, schemas: &[&str]) -> PostgresDriver {
    let schemas: Vec<String> = schemas.iter().map(|schema| (*schema).to_owned()).collect();
    PostgresDriver::connect(&Secret::new(url.to_owned()), &schemas)
        .await
        .unwrap()
}

async fn table(driver: &PostgresDriver, name: &str) -> Table {
    driver
        .table(&name.parse().unwrap())
        .await
        .unwrap()
        .unwrap_or_else(|| panic!("no table {name}"))
}

/// Everything of a table but its generated columns.
fn everything(table: &Table) -> Selection {
    let columns = table.columns.iter().filter(|column| !column.generated);
    Selection {
        table: table.name.clone(),
        columns: columns
            .map(|column| (column.name.clone(), column.kind))
            .collect(),
        rows: RowFilter::All,
        page: None,
    }
}

/// An upsert of all of a table's columns by its first usable key, in transactions of `rows` rows.
fn job(table: &Table, rows: u64) -> ApplyJob {
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

async fn apply(
    driver: &PostgresDriver,
    job: ApplyJob,
    rows: RowStream,
) -> Result<Applied, EngineError> {
    driver
        .apply(job, rows, watch::Sender::new(ApplyProgress::default()))
        .await
}

/// Copies `name` from one database to the other.
async fn copy(from: &PostgresDriver, to: &PostgresDriver, name: &str) -> Applied {
    let rows = from
        .read(everything(&table(from, name).await))
        .await
        .unwrap();
    apply(to, job(&table(to, name).await, 10_000), rows)
        .await
        .unwrap()
}

/// (added, updated, skipped, conflicts)
fn counts(applied: &Applied) -> (u64, u64, u64, u64) {
    let changes = &applied.changes;
    (
        changes.added,
        changes.updated,
        changes.skipped,
        changes.conflicts,
    )
}

/// All batches of a stream; panics when it is cut.
async fn collect(mut rows: RowStream) -> Vec<RowBatch> {
    let mut batches = Vec::new();
    loop {
        match rows.recv().await.expect("the stream is not cut").unwrap() {
            Flow::Rows(batch) => batches.push(batch),
            Flow::End => return batches,
        }
    }
}

/// A whole stream of (integer, text) rows in batches of `size`.
fn stream(kind: NeutralType, rows: &[(i64, Option<&str>)], size: usize) -> RowStream {
    let (sender, receiver) = mpsc::channel(CHANNEL_BATCHES + rows.len());
    for chunk in rows.chunks(size) {
        let mut writer = RowWriter::default();
        for (id, text) in chunk {
            writer.begin(2);
            match kind {
                NeutralType::Int4 => writer.field(Some(&i32::try_from(*id).unwrap().to_be_bytes())),
                _ => writer.field(Some(&id.to_be_bytes())),
            }
            writer.field(text.map(str::as_bytes));
        }
        sender.try_send(Ok(Flow::Rows(writer.take()))).unwrap();
    }
    sender.try_send(Ok(Flow::End)).unwrap();
    receiver
}

/// Both databases print the same rows of `name`: the scale of numbers, padding and signs of zero included.
fn assert_equal(one: &str, other: &str, name: &str) {
    let image = format!("select image::text from {name} image order by 1");
    assert_eq!(
        postgres::query(one, &image),
        postgres::query(other, &image),
        "{name}"
    );
}
