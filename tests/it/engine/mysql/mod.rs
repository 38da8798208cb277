//! The MySQL driver against a real MariaDB.

mod apply;
mod catalogue;
mod check;
mod create;
mod faults;
mod read;
mod session;

use evenkeel::base::secret::Secret;
use evenkeel::engine::EngineError;
use evenkeel::engine::driver::{Driver, Flow, RowFilter, RowStream, Selection};
use evenkeel::engine::mysql::MysqlDriver;
use evenkeel::model::table::Table;
use evenkeel::wire::json::field_to_text;
use evenkeel::wire::row::{RowBatch, split_tuple};

use crate::support::mariadb;

/// A fresh database with `schema` in it: its URL and a driver on it.
fn database(schema: &str) -> (String, MysqlDriver) {
    let url = mariadb::shared().database();
    mariadb::query(&url, schema);
    let driver = driver(&url, &[]);
    (url, driver)
}

fn driver(url: &str, schemas: &[&str]) -> MysqlDriver {
    let schemas: Vec<String> = schemas.iter().map(|schema| (*schema).to_owned()).collect();
    MysqlDriver::connect(&Secret::new(url.to_owned()), &schemas).unwrap()
}

async fn table(driver: &MysqlDriver, name: &str) -> Table {
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

/// All batches of a stream, or what it failed with; panics when it is cut.
async fn outcome(mut rows: RowStream) -> Result<Vec<RowBatch>, EngineError> {
    let mut batches = Vec::new();
    loop {
        match rows.recv().await.expect("the stream is not cut")? {
            Flow::Rows(batch) => batches.push(batch),
            Flow::End => return Ok(batches),
        }
    }
}

/// All batches of a stream; panics when it is cut.
async fn collect(rows: RowStream) -> Vec<RowBatch> {
    outcome(rows).await.unwrap()
}

/// Every row that a selection gives, its fields in words joined by `|`.
async fn lines(driver: &MysqlDriver, selection: &Selection) -> Vec<String> {
    let batches = collect(driver.read(selection.clone()).await.unwrap()).await;
    let mut lines = Vec::new();
    for tuple in batches.iter().flat_map(RowBatch::tuples) {
        let (fields, _) = split_tuple(tuple.unwrap()).unwrap();
        let words = fields.iter().zip(&selection.columns);
        let words = words.map(|(field, (_, kind))| field_to_text(*kind, *field));
        lines.push(words.collect::<Vec<_>>().join("|"));
    }
    lines
}
