//! What runs say of tables.

use jiff::Timestamp;

use super::{Comparison, comparison, proved_equal_at};
use crate::model::fixture;
use crate::model::run::{Changes, Run, RunStatus, RunTable};
use crate::model::table::TableName;

fn table(name: &str, proved_equal: Option<bool>) -> RunTable {
    RunTable {
        status: RunStatus::Completed,
        proved_equal,
        ..RunTable::waiting(TableName::bare(name))
    }
}

#[test]
fn a_table_is_equal_only_when_it_is_proved_and_nothing_was_left_out() {
    let left = Changes {
        skipped: 1,
        ..Changes::default()
    };
    let (equal, different) = (Some(Comparison::Equal), Some(Comparison::Different));
    let sync = fixture::sync(&fixture::active(), &["orders"]);
    let run = Run::new(fixture::active().id, sync.order, "schedule", fixture::now());
    for (proved, left_out, expected) in [
        (Some(true), false, equal),
        (Some(true), true, different),
        (Some(false), false, different),
        (None, false, None),
        (None, true, different),
    ] {
        let mut table = table("orders", proved);
        if left_out {
            table.changes = left;
        }
        assert_eq!(comparison(&run, &table), expected, "{proved:?} {left_out}");
    }
}

#[test]
fn a_sync_is_proved_since_the_oldest_proof_of_its_tables() {
    let at = |text: &str| -> Option<Timestamp> { Some(text.parse().unwrap()) };
    let (early, late) = (at("2026-11-21T10:00:00Z"), at("2026-11-21T11:00:00Z"));
    let connection = fixture::active();
    let sync = fixture::sync(&connection, &["orders", "items"]);
    let mut run = Run::new(connection.id, sync.order, "schedule", fixture::now());
    assert_eq!(proved_equal_at(&run), None, "nothing was done yet");
    run.tables = vec![table("items", Some(true)), table("orders", Some(true))];
    (run.tables[0].proved_at, run.tables[1].proved_at) = (late, early);
    assert_eq!(proved_equal_at(&run), early);
    run.tables[0].proved_at = None;
    assert_eq!(proved_equal_at(&run), None, "one of them was not proved");
    run.tables.remove(0);
    assert_eq!(proved_equal_at(&run), None, "one of them was not looked at");
}
