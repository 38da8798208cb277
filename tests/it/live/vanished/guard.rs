//! What the guard counts: all that was deleted within 24 hours, whatever became of the attempts that did it.

use serde_json::json;

use super::{Guard, Scene, filled};
use crate::live::{completes, first_attempt, sync};
use crate::support::database::{Database, Kind};
use crate::support::pair::Pair;
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
    let fill = "create table stock (id integer primary key);
        with recursive n (id) as (select 1 union all select id + 1 from n where id < 1000)
            insert into stock select id from n;";
    let source = Database::with(Kind::Sqlite, fill);
    let destination = Database::with(
        Kind::Postgres,
        "create table stock (id integer primary key)",
    );
    let pair = Pair::builder(source, destination)
        .taker("apply.transaction_rows", 10)
        .start();
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
