//! Rows of which the destination makes something else: told by every run, and written again only when a side changed them.

use serde_json::Value;

use crate::support::database::{Database, KINDS, Kind};
use crate::support::pair::{Pair, Pulled};

const TABLE: &str = "create table t (id integer primary key, name varchar(40));";

/// Names in lower case, as long as there is something in `meddling`.
fn meddler(kind: Kind) -> String {
    let triggers = match kind {
        Kind::Postgres => {
            "create function meddle() returns trigger language plpgsql as $$ begin
               if exists (select from meddling) then new.name = lower(new.name); end if;
               return new;
             end $$;
             create trigger meddler before insert or update on t for each row when (new.id in (2, 3)) execute function meddle();"
                .to_owned()
        }
        Kind::Mariadb => ["insert", "update"]
            .map(|event| {
                format!(
                    "\ndelimiter //\ncreate trigger meddler_{event} before {event} on t for each row
                     if new.id in (2, 3) and exists (select 1 from meddling) then set new.name = lower(new.name); end if//\ndelimiter ;\n"
                )
            })
            .concat(),
        Kind::Sqlite => ["insert", "update"]
            .map(|event| {
                format!(
                    "create trigger meddler_{event} after {event} on t
                     when new.id in (2, 3) and new.name <> lower(new.name) and exists (select 1 from meddling)
                     begin update t set name = lower(name) where id = new.id; end;"
                )
            })
            .concat(),
    };
    format!("create table meddling (n integer); insert into meddling values (1); {triggers}")
}

/// What a run that could not write all told of the others.
fn refused(pair: &Pair, pulled: &Pulled) -> Vec<(String, String)> {
    assert_eq!(pulled.run["status"], "completed_with_errors", "{pulled:#?}");
    let id = pulled.run["id"].as_str().unwrap();
    let errors = pair.taker.get(&format!("/runs/{id}/errors"));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let items = errors["items"].as_array().unwrap().iter();
    let refused = items.map(|item| (text(&item["key"]["id"]), text(&item["reason"])));
    let mut refused: Vec<_> = refused.collect();
    refused.sort();
    refused
}

#[test]
fn an_altered_row_is_told_by_each_run_and_written_again_only_when_a_side_changed_it() {
    for kind in KINDS {
        let there = "insert into t values (1, 'ONE'), (2, 'TWO'), (3, 'THREE');";
        let here = "insert into t values (1, 'one'), (2, 'two');";
        let source = Database::with(Kind::Postgres, &format!("{TABLE}{there}"));
        let destination = Database::with(kind, &format!("{TABLE}{here}{}", meddler(kind)));
        let pair = Pair::builder(source, destination).start();
        let rows = || pair.destination.query("select id, name from t order by id");

        let first = pair.pull(&["t"]);
        assert_eq!(first.changes(), (0, 1, 0), "{kind:?}");
        let told = refused(&pair, &first);
        assert_eq!(told.len(), 2, "{kind:?}: {told:?}");
        assert_eq!(rows(), "1|ONE\n2|two", "{kind:?}");

        // From here on they would fit. That they do not come shows that nobody tried.
        pair.destination.execute("delete from meddling");
        let second = pair.pull(&["t"]);
        assert_eq!(second.changes(), (0, 0, 0), "{kind:?}");
        let again = refused(&pair, &second);
        for ((id, reason), (same, told)) in again.iter().zip(&told) {
            assert_eq!(id, same, "{kind:?}");
            assert!(reason.starts_with(told.as_str()), "{kind:?}: {reason}");
            assert!(reason.contains("it was not written again"), "{reason}");
        }
        assert_eq!((again.len(), rows()), (2, "1|ONE\n2|two".to_owned()));

        // One changes there, the other is still passed over.
        pair.source
            .execute("update t set name = 'DREI' where id = 3");
        let third = pair.pull(&["t"]);
        assert_eq!(third.changes(), (1, 0, 0), "{kind:?}");
        assert_eq!(refused(&pair, &third).len(), 1, "{kind:?}");
        assert_eq!(rows(), "1|ONE\n2|two\n3|DREI", "{kind:?}");

        // The other changes here.
        pair.destination
            .execute("update t set name = 'deux' where id = 2");
        let fourth = pair.pull(&["t"]).completed();
        assert_eq!(fourth.changes(), (0, 1, 0), "{kind:?}");
        assert_eq!(rows(), "1|ONE\n2|TWO\n3|DREI", "{kind:?}");
    }
}

#[test]
fn more_rows_than_are_kept_apart_fail_the_table_whichever_run_met_them() {
    let source = Database::with(
        Kind::Postgres,
        &format!("{TABLE} insert into t values (1, 'ONE'), (2, 'TWO')"),
    );
    let here = "insert into t values (1, 'one');";
    let destination = Database::with(
        Kind::Sqlite,
        &format!("{TABLE}{here}{}", meddler(Kind::Sqlite)),
    );
    let pair = Pair::builder(source, destination)
        .taker("quarantine.max_rows", 1)
        .start();
    assert_eq!(refused(&pair, &pair.pull(&["t"])).len(), 1);
    pair.source.execute("insert into t values (3, 'THREE')");
    let failed = pair.pull(&["t"]);
    assert_eq!(failed.run["status"], "failed", "{failed:#?}");
    pair.source.execute("delete from t where id = 3");
    let told = refused(&pair, &pair.pull(&["t"]));
    assert!(told[0].1.contains("it was not written again"), "{told:?}");
}
