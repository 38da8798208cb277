//! What the guard counts: all that was deleted within 24 hours, whatever became of the attempts that did it.

use serde_json::json;

use super::{Guard, Scene, filled};
use crate::live::{completes, ends_completed, first_attempt, sync, triggered};
use crate::support::database::{Database, Kind};
use crate::support::pair::{Pair, PairBuilder};
use crate::support::sqlite;
use crate::support::wait;

#[test]
fn a_source_that_loses_a_few_rows_each_hour_is_noticed_within_the_day() {
    let source = Database::with(Kind::Postgres, &filled());
    let scene = Scene::start(source, Kind::Sqlite, None);
    let Scene { pair, sync, .. } = &scene;
    for (lost, left) in [(6, 114), (10, 110)] {
        pair.source
            .execute(&format!("delete from stock where id <= {lost}"));
        let run = completes(pair, sync);
        assert_eq!(pair.destination.count("stock"), left, "{run:#}");
    }
    pair.source.execute("delete from stock where id <= 13");
    let run = first_attempt(pair, sync);
    let message = run["error"]["message"].as_str().unwrap();
    assert_eq!(run["error"]["code"], "needs_approval", "{run:#}");
    assert!(message.contains("13 of 120 rows"), "{message}");
    assert_eq!(pair.destination.count("stock"), 110);
    // A bound of rows counts in the same way.
    scene.edit(&json!({"guard": {"percent": 100, "rows": 12}}));
    let run = first_attempt(pair, sync);
    let message = run["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("13 rows would be deleted within 24 hours, more than 12"),
        "{message}"
    );
    assert_eq!(pair.destination.count("stock"), 110);
    scene.guarded_by(Guard::Open);
    scene.is_equal();
}

/// A thousand rows in SQLite, and where they are to go in PostgreSQL.
fn thousand() -> PairBuilder {
    let stock = "create table stock (id integer primary key);";
    let fill = "with recursive n (id) as (select 1 union all select id + 1 from n where id < 1000)
        insert into stock select id from n;";
    Pair::builder(
        Database::with(Kind::Sqlite, &format!("{stock} {fill}")),
        Database::with(Kind::Postgres, stock),
    )
}

/// After so many deletions the server ends the session, in the middle of a transaction of ten.
const DIES: &str = "
create sequence deletions;
create function die() returns trigger language plpgsql as $$
begin
    if nextval('public.deletions') = 41 then perform pg_terminate_backend(pg_backend_pid()); end if;
    return old;
end $$;
create trigger die before delete on stock for each row execute function die();";

#[test]
fn what_an_attempt_deleted_before_it_failed_counts_as_well() {
    let pair = thousand().taker("apply.transaction_rows", 10).start();
    let sync = sync(&pair, &json!(["stock"]), &json!({"sync_mode": "mirror"}));
    completes(&pair, &sync);
    pair.source.execute("delete from stock where id <= 60");
    pair.destination.execute(DIES);
    let run = first_attempt(&pair, &sync);
    assert_eq!(run["error"]["code"], "database_lost", "{run:#}");
    wait::until("what was under way is undone", wait::LONG, || {
        (pair.destination.count("stock") == 960).then_some(())
    });
    pair.destination.execute("drop trigger die on stock");
    pair.source.execute("delete from stock where id <= 120");
    let run = first_attempt(&pair, &sync);
    assert_eq!(pair.destination.count("stock"), 960, "{run:#}");
    let message = run["error"]["message"].as_str().unwrap();
    assert!(message.contains("120 of 1000 rows"), "{message}");
}

/// Deletions wait, in the middle of their transaction, until `gate` is empty.
const GATE: &str = "
create table gate (shut integer);
create function pass() returns trigger language plpgsql as $$
begin
    while exists (select from public.gate) loop perform pg_sleep(0.01); end loop;
    return null;
end $$;
create trigger pass before delete on stock for each statement execute function pass();";

/// Deletes up to `last` at the source, and kills the receiver that mirrors it: before it commits that, or after it did
/// and before it could note it. The run.
fn killed(pair: &mut Pair, sync: &str, last: u32, is_committed: bool) -> String {
    pair.destination.execute("insert into gate values (1)");
    let delete = format!("delete from stock where id <= {last}");
    pair.source.execute(&delete);
    let id = triggered(pair, sync);
    let sessions = "select count(*) from pg_stat_activity where datname = current_database()";
    let waits = format!("{sessions} and wait_event = 'PgSleep'");
    wait::until("it is deleting", wait::LONG, || {
        (pair.destination.query(&waits) != "0").then_some(())
    });
    let state = sqlite::open(&pair.taker.folder().join("state.db"));
    state.execute_batch("begin immediate").unwrap();
    if !is_committed {
        pair.taker.kill9();
    }
    pair.destination.execute("delete from gate");
    if is_committed {
        let left = u64::from(1000 - last);
        wait::until("it has deleted", wait::LONG, || {
            (pair.destination.count("stock") == left).then_some(())
        });
        pair.taker.kill9();
    }
    let others = format!("{sessions} and pid <> pg_backend_pid() and state = 'active'");
    wait::until("nobody writes any more", wait::LONG, || {
        (pair.destination.query(&others) == "0").then_some(())
    });
    id
}

#[test]
fn what_a_receiver_deleted_that_was_killed_before_it_noted_it_counts_once() {
    let mut pair = thousand().start();
    let sync = sync(&pair, &json!(["stock"]), &json!({"sync_mode": "mirror"}));
    completes(&pair, &sync);
    pair.destination.execute(GATE);
    for (last, is_committed, deleted) in [(60, false, 60), (100, true, 40)] {
        let id = killed(&mut pair, &sync, last, is_committed);
        pair.taker.start();
        let run = ends_completed(&pair, &id);
        assert_eq!(run["attempt"], 2, "{run:#}");
        assert_eq!(run["changes"]["deleted"], deleted, "{run:#}");
        let left = u64::from(1000 - last);
        assert_eq!(pair.destination.count("stock"), left, "{run:#}");
    }
    pair.source.execute("delete from stock where id <= 120");
    let run = first_attempt(&pair, &sync);
    let message = run["error"]["message"].as_str().unwrap();
    assert!(message.contains("120 of 1000 rows"), "{message}");
    assert_eq!(pair.destination.count("stock"), 900, "{run:#}");
}
