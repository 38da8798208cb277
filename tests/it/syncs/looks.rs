//! Data healing: a sync compares on its second schedule, and repairs what is found twice in the same way.

use serde_json::{Value, json};

use super::{create, runs, show, stock};
use crate::support::pair::Pair;
use crate::support::{sqlite, wait};

/// A pair with an equal stock, and a sync by hand that compares every hour; `fields` as well.
fn healing(second_look: &str, fields: Value) -> (Pair, String) {
    let pair = stock().taker("runs.second_look", second_look).start();
    let mut all = json!({"compare_schedule": "hourly"});
    let more = fields.as_object().expect("an object").clone();
    all.as_object_mut().expect("an object").extend(more);
    let sync = create(&pair, "stock", all);
    let triggered = pair.taker.cli(&["sync", "trigger", "stock"]);
    assert_eq!(triggered.code, 0, "{triggered:#?}");
    (pair, sync)
}

/// What time has to do for a test: the sync is to compare at once.
fn look_now(pair: &mut Pair, sync: &str) {
    pair.taker.stop();
    let path = pair.taker.folder().join("state.db");
    let at = jiff::Timestamp::now().as_second() - 1;
    sqlite::execute(
        &path,
        &format!(
            "update sync
             set compare_planned_at = {at} * 1000000, compare_starts_at = {at} * 1000000
             where id = '{sync}'"
        ),
    );
    pair.taker.start();
}

/// Waits until the last look found this, and returns it.
fn found(pair: &Pair, sync: &str, finding: &str) -> Value {
    wait::until(finding, wait::LONG, || {
        let look = show(pair, sync)["last_look"].clone();
        (look["finding"] == finding).then_some(look)
    })
}

fn drift(pair: &Pair, sql: &str) {
    pair.destination.execute(sql);
}

#[test]
fn what_drifted_is_found_twice_and_then_repaired() {
    let (mut pair, sync) = healing("1s", json!({}));
    look_now(&mut pair, &sync);
    found(&pair, &sync, "equal");
    drift(
        &pair,
        "update stock set n = 99 where id = 2; delete from stock where id = 3",
    );
    let by_hand = show(&pair, &sync)["last_run_id"].clone();
    look_now(&mut pair, &sync);
    let look = found(&pair, &sync, "repairs");
    assert_eq!((&look["rows"], &look["drifted"]), (&json!(2), &json!(2)));
    let repair = look["repair_run"].as_str().expect("a run");
    let done = pair.run_is(repair, "completed");
    assert_eq!(
        (&done["triggered_by"], &done["apply"]),
        (&json!("healing"), &json!("yes"))
    );
    assert_eq!(
        (&done["changes"]["updated"], &done["changes"]["added"]),
        (&json!(1), &json!(1))
    );
    let rows = pair
        .destination
        .query("select id, n from stock order by id");
    assert_eq!(rows, "1|10\n2|20\n3|30");
    // The looks stand beside the sync's runs: they are none of its last ones, and told by nobody.
    assert_ne!(show(&pair, &sync)["last_run_id"], by_hand);
    let looked = |run: &&Value| run["triggered_by"] == "compare_schedule";
    let all = runs(&pair, &sync);
    assert_eq!(all.iter().filter(looked).count(), 3, "{all:#?}");
    assert!(all.iter().filter(looked).all(|run| run["apply"] == "no"));
    assert_eq!(pair.taker.cli(&["status"]).code, 0);
}

#[test]
fn what_is_on_its_way_is_no_drift() {
    let (mut pair, sync) = healing("3s", json!({}));
    drift(&pair, "update stock set n = 99 where id = 2");
    look_now(&mut pair, &sync);
    let first = found(&pair, &sync, "unsettled");
    pair.source.execute("update stock set n = 98 where id = 2");
    let second = wait::until("the second look", wait::LONG, || {
        let look = show(&pair, &sync)["last_look"].clone();
        (look["run_id"] != first["run_id"]).then_some(look)
    });
    assert_eq!(second["finding"], "unsettled", "{second:#}");
    assert_eq!(
        (&second["rows"], &second["drifted"]),
        (&json!(1), &json!(0))
    );
    assert_eq!(
        pair.destination.query("select n from stock where id = 2"),
        "99"
    );
    // From here on it looks when its schedule says so.
    let next = show(&pair, &sync)["next_look_at"].clone();
    let next: jiff::Timestamp = next.as_str().unwrap().parse().unwrap();
    assert!(next.as_second() % 3_600 == 0, "{next}");
}

#[test]
fn of_more_than_its_budget_a_person_decides() {
    let (mut pair, sync) = healing("1s", json!({"repair": {"rows": 1}}));
    drift(&pair, "update stock set n = 99 where id > 1");
    look_now(&mut pair, &sync);
    let look = found(&pair, &sync, "asks");
    let waiting = look["repair_run"].as_str().expect("a run").to_owned();
    let run = pair.run_is(&waiting, "needs_approval");
    assert_eq!(run["triggered_by"], "healing");
    assert_eq!(
        pair.destination.query("select n from stock where id = 2"),
        "99"
    );
    // The next look finds the same, and does not overtake whoever is about to approve.
    look_now(&mut pair, &sync);
    wait::until("another look", wait::LONG, || {
        let now = show(&pair, &sync)["last_look"].clone();
        (now["run_id"] != look["run_id"]).then_some(())
    });
    let approved = pair.taker.cli(&["runs", "approve", &waiting, "--yes"]);
    assert_eq!(approved.code, 0, "{approved:#?}");
    assert_eq!(pair.destination.query("select sum(n) from stock"), "60");
}

#[test]
fn a_sync_that_repairs_nothing_tells_what_drifted() {
    let (mut pair, sync) = healing("1s", json!({"repair": null}));
    drift(&pair, "update stock set n = 99 where id = 2");
    look_now(&mut pair, &sync);
    let look = found(&pair, &sync, "left");
    assert_eq!(look["repair_run"], Value::Null);
    let status = pair.taker.cli(&["--json", "status"]);
    assert_eq!(status.code, 1);
    let told: Value = serde_json::from_str(status.stdout.trim()).unwrap();
    assert_eq!(told["event"], "drift_found", "{told:#}");
    let kept = pair
        .taker
        .cli(&["runs", "differences", look["run_id"].as_str().unwrap()]);
    assert_eq!(kept.stdout, "stock\t~\tid=2\tn\n");
    // A run by hand repairs it, and the next look takes the word back.
    assert_eq!(pair.taker.cli(&["sync", "trigger", "stock"]).code, 0);
    look_now(&mut pair, &sync);
    found(&pair, &sync, "equal");
    assert_eq!(pair.taker.cli(&["status"]).code, 0);
}

#[test]
fn a_sync_shows_how_it_heals_and_takes_other_words_for_it() {
    let (pair, sync) = healing("1s", json!({}));
    let fields = |sync: &Value| {
        let field = |name: &str| sync[name].clone();
        [field("guard"), field("repair"), field("compare_schedule")]
    };
    let hourly = json!({"frequency": "hourly"});
    let default = [
        json!({"percent": 10, "rows": 10_000}),
        json!({"rows": 1_000, "bytes": 16_777_216}),
        hourly,
    ];
    let shown = show(&pair, &sync);
    assert_eq!(fields(&shown)[..2], default[..2]);
    assert!(shown["next_look_at"].is_string());
    let edit = |options: &[&str]| {
        let output = pair
            .taker
            .cli(&[&["sync", "edit", "stock"], options].concat());
        assert_eq!(output.code, 0, "{output:#?}");
        fields(&show(&pair, &sync))
    };
    let changed = edit(&[
        "--guard",
        "5%,7",
        "--repair",
        "none",
        "--compare-schedule",
        "none",
    ]);
    assert_eq!(
        changed,
        [json!({"percent": 5, "rows": 7}), Value::Null, Value::Null]
    );
    assert_eq!(show(&pair, &sync)["next_look_at"], Value::Null);
    // What is not said stays.
    let kept = edit(&["--mode", "mirror"]);
    assert_eq!(kept, changed);
}
