//! Sites at work while runs go on: applications that write on either side, tables that are altered, emptied or lost, keys
//! that the two databases see differently. Each suite prints what it counted.

mod altered;
mod committed;
mod keys;
mod overwritten;
mod vanished;

use serde_json::{Value, json};

use crate::support::pair::{Pair, connection};
use crate::support::wait;

/// Defines a sync of the taker's, and returns its id.
fn sync(pair: &Pair, tables: &Value, fields: &Value) -> String {
    let id = connection(&pair.taker, pair.giver.name())["id"].clone();
    let source = json!({"kind": "connection", "connection_id": id});
    let mut body = json!({"name": "live", "source": source, "tables": tables});
    let more = fields.as_object().expect("an object").clone();
    body.as_object_mut().expect("an object").extend(more);
    let made = pair.taker.post("/syncs", &body).expect(201).json();
    made["id"].as_str().expect("an id").to_owned()
}

/// Has a sync run now, and returns the run's id.
fn triggered(pair: &Pair, sync: &str) -> String {
    let made = pair
        .taker
        .post(&format!("/syncs/{sync}/trigger"), &json!({}));
    let run = made.expect(201).json();
    run["id"].as_str().expect("an id").to_owned()
}

/// Whether nothing more becomes of a run.
fn is_over(run: &Value) -> bool {
    run["completed_at"].is_string()
}

/// Has a sync run now, which has to complete and to prove every table.
fn completes(pair: &Pair, sync: &str) -> Value {
    ends_completed(pair, &triggered(pair, sync))
}

/// Waits for the end of a run, which has to complete and to prove every table.
fn ends_completed(pair: &Pair, id: &str) -> Value {
    let run = pair.run_until(id, "the run is over", is_over);
    assert_eq!(run["status"], "completed", "{run:#}");
    for table in run["tables"].as_array().expect("tables") {
        assert_eq!(table["proved_equal"], true, "{run:#}");
    }
    run
}

/// Has a sync run now, and returns the run once its first attempt has come to an end, whatever that is. What would go on
/// is cancelled.
fn first_attempt(pair: &Pair, sync: &str) -> Value {
    let id = triggered(pair, sync);
    let run = pair.run_until(&id, "its first attempt is over", |run| {
        is_over(run) || run["status"] == "needs_approval" || run["error"].is_object()
    });
    if !is_over(&run) {
        let target = format!("/runs/{id}/cancel");
        pair.taker.post(&target, &json!({})).expect(200);
        wait::until("the run is cancelled", wait::LONG, || {
            is_over(&pair.run(&id)).then_some(())
        });
    }
    run
}
