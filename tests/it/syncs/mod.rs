//! Syncs: by themselves, by hand, by the admin API and by the commands.

mod api;
mod commands;
mod faults;
mod looks;
mod missed;
mod told;

use serde_json::{Value, json};

use crate::support::database::{Database, Kind};
use crate::support::pair::{Pair, PairBuilder, connection};
use crate::support::{sqlite, wait};

const STOCK: &str = "create table stock (id integer primary key, n integer not null)";

/// A pair whose giver has a stock of three, and whose taker begins its runs on time.
fn stock() -> PairBuilder {
    let filled = format!("{STOCK}; insert into stock values (1, 10), (2, 20), (3, 30)");
    let source = Database::with(Kind::Sqlite, &filled);
    let destination = Database::with(Kind::Sqlite, STOCK);
    Pair::builder(source, destination).taker("runs.jitter", "0s")
}

/// The body that makes a sync of one table, with further fields.
fn body(pair: &Pair, name: &str, fields: Value) -> Value {
    let id = connection(&pair.taker, pair.giver.name())["id"].clone();
    let source = json!({"kind": "connection", "connection_id": id});
    let mut body = json!({"name": name, "source": source, "tables": ["stock"]});
    let more = fields.as_object().expect("an object").clone();
    body.as_object_mut().expect("an object").extend(more);
    body
}

/// Makes a sync, and returns its id.
pub(crate) fn create(pair: &Pair, name: &str, fields: Value) -> String {
    let made = pair.taker.post("/syncs", &body(pair, name, fields));
    let made = made.expect(201).json();
    made["id"].as_str().expect("an id").to_owned()
}

pub(crate) fn show(pair: &Pair, sync: &str) -> Value {
    pair.taker.get(&format!("/syncs/{sync}"))
}

/// The runs of a sync, oldest first.
pub(crate) fn runs(pair: &Pair, sync: &str) -> Vec<Value> {
    let listed = pair.taker.get(&format!("/syncs/{sync}/runs?limit=200"));
    let mut runs = listed["items"].as_array().expect("items").clone();
    runs.reverse();
    runs
}

/// Waits until the sync has `count` runs, all of them over, and returns them.
fn runs_over(pair: &Pair, sync: &str, count: usize) -> Vec<Value> {
    wait::until(&format!("{count} runs are over"), wait::LONG, || {
        let runs = runs(pair, sync);
        assert!(runs.len() <= count, "more than {count}: {runs:#?}");
        let over = |run: &Value| run["completed_at"].is_string();
        (runs.len() == count && runs.iter().all(over)).then_some(runs)
    })
}

/// What time has to do for a test: while the daemon is stopped, moves the sync's next time to `seconds` from now.
fn move_next(pair: &Pair, sync: &str, seconds: i64) {
    let path = pair.taker.folder().join("state.db");
    let at = jiff::Timestamp::now().as_second() + seconds;
    sqlite::execute(
        &path,
        &format!(
            "update sync
             set next_planned_at = {at} * 1000000, next_sync_at = {at} * 1000000
             where id = '{sync}'"
        ),
    );
}
