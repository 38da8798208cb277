//! The PostgreSQL driver against a real server.

pub(super) mod apply;
mod catalogue;
mod create;
mod faults;
mod lines;
mod paths;
mod read;
mod straight;

use evenkeel::base::secret::Secret;
use evenkeel::engine::postgres::PostgresDriver;

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

/// Both databases print the same rows of `name`: the scale of numbers, padding and signs of zero included.
fn assert_equal(one: &str, other: &str, name: &str) {
    let image = format!("select image::text from {name} image order by 1");
    assert_eq!(
        postgres::query(one, &image),
        postgres::query(other, &image),
        "{name}"
    );
}
