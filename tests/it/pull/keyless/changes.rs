//! What becomes of single changes: approved and overtaken, altered by triggers, pointed to, in the way of others.

use serde_json::{Value, json};

use super::{approve, completed, counts, mirror, multiset, rows, table, touched, watch};
use crate::support::database::{Database, Kind};
use crate::support::pair::Pair;

const TO: [Kind; 2] = [Kind::Postgres, Kind::Sqlite];

fn pair(to: Kind, there: &[(&str, usize)], here: &[(&str, usize)]) -> Pair {
    let filled = |kind, of| format!("{}{}", table(kind), rows(of));
    let source = Database::with(Kind::Postgres, &filled(Kind::Postgres, there));
    Pair::builder(source, Database::with(to, &filled(to, here))).start()
}

/// What was refused: the key, the reason.
fn refused(pair: &Pair, run: &Value) -> Vec<(Value, String)> {
    assert_eq!(run["status"], "completed_with_errors", "{run:#}");
    let id = run["id"].as_str().unwrap();
    let errors = pair.taker.get(&format!("/runs/{id}/errors"));
    let items = errors["items"].as_array().unwrap().iter();
    let refused = items.map(|item| {
        let reason = item["reason"].as_str().unwrap().to_owned();
        (item["key"].clone(), reason)
    });
    refused.collect()
}

#[test]
fn of_a_plan_that_was_approved_only_as_many_equal_rows_are_deleted_as_it_says() {
    for to in TO {
        let pair = pair(to, &[("ja", 2), ("neu", 2)], &[("ja", 5), ("weg", 1)]);
        let asking = json!({"tables": ["votes"], "sync_mode": "mirror", "apply": "ask"});
        let run = pair.ask(&asking).expect(201).json();
        let run = pair.run_is(run["id"].as_str().unwrap(), "needs_approval");
        assert_eq!(counts(&run), [2, 0, 4, 0], "{to:?}");
        // Meanwhile the application adds what is equal to others, and what is like none.
        pair.destination.execute(&rows(&[("ja", 2), ("eigen", 1)]));
        pair.destination
            .execute("delete from votes where choice = 'weg'");
        watch(&pair.destination);
        let done = approve(&pair, &run);
        assert_eq!(counts(&done), [2, 0, 3, 3], "{to:?}: {done:#}");
        assert_eq!(touched(&pair.destination), ["delete|ja|3", "insert|neu|2"]);
        // The next run decides about the rest.
        assert_eq!(counts(&completed(&pair)), [0, 0, 3, 0], "{to:?}");
        assert_eq!(multiset(&pair.destination), multiset(&pair.source));
    }
}

#[test]
fn a_row_that_a_trigger_alters_is_told_and_not_written_again_until_a_side_changes_it() {
    for to in TO {
        let pair = pair(to, &[("JA", 2), ("ok", 1)], &[("alt", 1)]);
        pair.destination.execute(match to {
            Kind::Postgres => {
                "create table meddling (n int); insert into meddling values (1);
                 create function lower_it() returns trigger language plpgsql as
                 $$ begin if exists (select from meddling) then new.choice = lower(new.choice); end if; return new; end $$;
                 create trigger lower_it before insert on votes for each row execute function lower_it();"
            }
            _ => {
                "create table meddling (n int); insert into meddling values (1);
                 create trigger lower_it after insert on votes
                 when new.choice <> lower(new.choice) and exists (select 1 from meddling)
                 begin update votes set choice = lower(choice) where rowid = new.rowid; end;"
            }
        });
        let told = refused(&pair, &mirror(&pair));
        assert_eq!(told.len(), 2, "{to:?}: {told:?}");
        for (key, reason) in &told {
            assert_eq!(key, &json!({}));
            assert!(reason.starts_with("altered_by_destination: "), "{reason}");
            assert!(
                reason.contains("in choice") && reason.contains("lower_it"),
                "{reason}"
            );
        }
        assert_eq!(pair.destination.query("select choice from votes"), "ok");
        // That they would fit from here on shows that nobody tries.
        pair.destination.execute("delete from meddling");
        let again = refused(&pair, &mirror(&pair));
        assert_eq!(again.len(), 2, "{again:?}");
        assert_eq!(pair.destination.query("select choice from votes"), "ok");
    }
}

#[test]
fn a_key_that_only_one_side_has_makes_no_difference_to_what_a_mirror_writes() {
    for to in TO {
        let there = "create table votes (id int, choice text); insert into votes values (1, 'ja'), (2, 'nein'), (3, 'neu');";
        let here = "create table votes (id int primary key, choice text); insert into votes values (1, 'ja'), (2, 'alt'), (9, 'weg');";
        let source = Database::with(Kind::Postgres, there);
        let pair = Pair::builder(source, Database::with(to, here)).start();
        // The row with key 2 is another one: the old one goes before the new one fits.
        assert_eq!(counts(&completed(&pair)), [2, 0, 2, 0], "{to:?}");
        let rows = |database: &Database| database.query("select id, choice from votes order by id");
        assert_eq!(rows(&pair.destination), rows(&pair.source), "{to:?}");
    }
}

#[test]
fn foreign_keys_of_rows_without_a_key_hold() {
    for to in TO {
        let source = "create table people (id int primary key);
            create table votes (choice text, person int);
            insert into people values (1), (2);
            insert into votes values ('ja', 1), ('ja', 1), ('nein', 2), ('nein', 3), (null, null);";
        let here = "create table people (id int primary key);
            create table votes (choice text, person int references people (id));
            insert into people values (5);
            insert into votes values ('alt', 5), ('alt', 5);";
        let source = Database::with(Kind::Postgres, source);
        let pair = Pair::builder(source, Database::with(to, here)).start();
        let order = json!({"tables": ["votes", "people"], "sync_mode": "mirror"});
        let told = refused(&pair, &pair.pull_as(&order));
        assert_eq!(told.len(), 1, "{to:?}: {told:?}");
        assert_eq!(told[0].0, json!({}));
        assert!(told[0].1.to_lowercase().contains("foreign key"), "{told:?}");
        let query = "select choice, person from votes order by person, choice";
        let expected = match to {
            Kind::Postgres => "ja|1\nja|1\nnein|2\n|",
            _ => "|\nja|1\nja|1\nnein|2",
        };
        assert_eq!(pair.destination.query(query), expected, "{to:?}");
        assert_eq!(
            pair.destination.query("select id from people order by id"),
            "1\n2"
        );
        pair.source.execute("insert into people values (3)");
        let done = pair.pull_as(&order);
        assert_eq!(done["status"], "completed", "{to:?}: {done:#}");
    }
}

#[test]
fn a_row_that_others_point_to_stays_and_is_told_of() {
    for to in TO {
        // No key: it may be NULL.
        let code = "create table votes (choice text unique, amount int);";
        let source = format!("{code} insert into votes values ('ja', 1), (null, 2), (null, 2);");
        let here = format!(
            "{code} create table notes (id int primary key, choice text references votes (choice) on delete cascade);
             insert into votes values ('ja', 1), ('weg', 1), ('frei', 1), (null, 2), (null, 2), (null, 2);
             insert into notes values (1, 'weg');"
        );
        let source = Database::with(Kind::Postgres, &source);
        let pair = Pair::builder(source, Database::with(to, &here)).start();
        let told = refused(&pair, &mirror(&pair));
        assert_eq!(told.len(), 1, "{to:?}: {told:?}");
        assert!(told[0].1.starts_with("still_referenced: "), "{told:?}");
        assert!(told[0].1.contains("notes"), "{told:?}");
        let left = "select coalesce(choice, '-') from votes order by 1";
        assert_eq!(pair.destination.query(left), "-\n-\nja\nweg", "{to:?}");
        assert_eq!(pair.destination.count("notes"), 1);
        pair.destination.execute("delete from notes");
        assert_eq!(counts(&completed(&pair)), [0, 0, 1, 0], "{to:?}");
    }
}
