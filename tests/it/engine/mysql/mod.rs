//! The MySQL driver against a real MariaDB.

mod apply;
mod catalogue;
mod check;
mod create;
mod faults;
mod read;
mod session;
mod tls;

use evenkeel::base::secret::Secret;
use evenkeel::engine::driver::{Driver, Selection};
use evenkeel::engine::mysql::MysqlDriver;
use evenkeel::wire::json::field_to_text;
use evenkeel::wire::row::{RowBatch, split_tuple};

use crate::engine::work::collect;
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
