//! Alerts: a real daemon, and the administrator's command or web address.

mod command;
mod webhook;

use serde_json::Value;

use crate::support::database::{Database, Kind};
use crate::support::pair::{Pair, PairBuilder};

const NOTES: &str = "create table notes (id integer primary key, body text not null);
    insert into notes values (1, 'one')";

/// A pair with notes on both sides whose taker is quick to notice and to tell.
fn quick() -> PairBuilder {
    Pair::builder(
        Database::with(Kind::Sqlite, NOTES),
        Database::with(Kind::Sqlite, NOTES),
    )
    .taker("healing.interval", "1s")
    .taker("alerts.after", "1s")
}

fn events(told: &[Value]) -> Vec<&str> {
    told.iter()
        .map(|told| told["event"].as_str().unwrap())
        .collect()
}

/// What the taker's status tells of this kind.
fn status_of(pair: &Pair, event: &str) -> Option<Value> {
    let told = pair.taker.get("/status");
    let items = told["items"].as_array()?;
    items.iter().find(|item| item["event"] == event).cloned()
}
