//! First copies beside an application that writes to the table meanwhile: what it wrote is treated as any other row here.

use crate::support::database::{Database, Kind};
use crate::support::pair::Pair;
use crate::support::wait;

#[test]
fn a_mirrors_first_copy_deletes_nothing_that_was_written_here_meanwhile() {
    let table = "create table t (id integer primary key, name text);";
    let rows = "insert into t values (1, 'one'), (2, 'two'), (3, 'three')";
    let meanwhile = "insert into t values (9, 'ours')";
    for kind in [Kind::Postgres, Kind::Sqlite] {
        let trigger = match kind {
            Kind::Postgres => format!(
                "create function meanwhile() returns trigger language plpgsql as $$ begin {meanwhile}; return null; end $$;
                 create trigger meanwhile after insert on t for each row when (new.id = 1) execute function meanwhile()"
            ),
            _ => format!(
                "create trigger meanwhile after insert on t when new.id = 1 begin {meanwhile}; end"
            ),
        };
        let source = Database::with(Kind::Sqlite, &format!("{table}{rows}"));
        let destination = Database::with(kind, &format!("{table}{trigger}"));
        let pair = Pair::builder(source, destination).start();
        let first = pair.pull(&["t", "--mode", "mirror"]);
        assert_eq!(first.run["status"], "completed_with_errors", "{first:#?}");
        assert_eq!(first.run["changes"]["added"], 3, "{first:#?}");
        assert_eq!(first.run["changes"]["deleted"], 0, "{first:#?}");
        assert_eq!(first.run["changes"]["moved"], 1, "{first:#?}");
        assert_eq!(first.run["rows_synced"], 3, "{first:#?}");
        let ids = || pair.destination.query("select id from t order by id");
        assert_eq!(ids(), "1\n2\n3\n9", "{kind:?}");
        // From now on it is a row like any other that is only here.
        let second = pair.pull(&["t", "--mode", "mirror"]).completed();
        assert_eq!(second.run["changes"]["deleted"], 1, "{second:#?}");
        assert_eq!(ids(), "1\n2\n3", "{kind:?}");
    }
}

#[test]
fn a_row_that_a_first_copy_leaves_is_counted_once() {
    let table = "create table t (id integer primary key, name text);";
    let rows = "insert into t values (1, 'one'), (2, 'two'), (3, 'three')";
    let trigger = "create trigger meanwhile after insert on t when new.id = 1 begin insert into t values (2, 'ours'); end";
    let source = Database::with(Kind::Sqlite, &format!("{table}{rows}"));
    let destination = Database::with(Kind::Sqlite, &format!("{table}{trigger}"));
    let pair = Pair::builder(source, destination).start();
    for added in [2, 0] {
        let pulled = pair.pull(&["t", "--conflict", "skip"]).completed();
        let changes = &pulled.run["changes"];
        let told = ["added", "updated", "skipped", "conflicts"].map(|what| &changes[what]);
        assert_eq!(told, [added, 0, 1, 1], "{pulled:#?}");
        assert_eq!(pulled.run["rows_synced"], 2, "{pulled:#?}");
    }
}

#[test]
fn a_row_that_came_meanwhile_is_compared_by_the_strategy() {
    let table = "create table t (id int primary key, name varchar(9), ver int);";
    let rows = "insert into t values (1, 'one', 1), (2, 'theirs', 1), (3, 'three', 1)";
    for (kind, pause, paused) in [
        (
            Kind::Postgres,
            "select pg_sleep(4)",
            "select count(*) from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()",
        ),
        (
            Kind::Mariadb,
            "do sleep(4)",
            "select count(*) from information_schema.processlist where info = 'do sleep(4)'",
        ),
    ] {
        for (options, name) in [
            (
                &["--conflict", "newest", "--version-column", "ver"][..],
                "ours",
            ),
            (&["--conflict", "overwrite"], "theirs"),
        ] {
            let source = Database::with(Kind::Postgres, &format!("{table}{rows}"));
            let pair = Pair::builder(source, Database::with(kind, table)).start();
            let here = &pair.destination;
            // Not seen before it is committed, and waited for by who would write the same key.
            let write = format!("begin; insert into t values (2, 'ours', 2); {pause}; commit");
            let pulled = std::thread::scope(|scope| {
                scope.spawn(|| here.execute(&write));
                wait::until("the row is written", wait::LONG, || {
                    (here.query(paused) == "1").then_some(())
                });
                assert_eq!(here.count("t"), 0);
                pair.pull(&[&["t"], options].concat()).completed()
            });
            assert_eq!(
                here.query("select name from t where id = 2"),
                name,
                "{pulled:#?}"
            );
            let changes = &pulled.run["changes"];
            let told = ["added", "updated", "conflicts"].map(|what| &changes[what]);
            let updated = u64::from(name == "theirs");
            assert_eq!(told, [2, updated, 1 - updated], "{pulled:#?}");
        }
    }
}

#[test]
fn what_this_database_made_of_a_copied_row_is_not_called_its_own() {
    let table = "create table t (id integer primary key, v integer, ver integer);";
    let rows = "insert into t values (1, 1, 1), (2, 13, 1), (3, 3, 1)";
    let trigger = "create trigger other after insert on t when new.v = 13 begin update t set v = 666 where id = new.id; end";
    for options in [
        &["--mode", "insert"][..],
        &["--conflict", "skip"],
        &["--mode", "mirror", "--conflict", "skip"],
        &["--conflict", "newest", "--version-column", "ver"],
    ] {
        let source = Database::with(Kind::Postgres, &format!("{table}{rows}"));
        let here = Database::with(Kind::Sqlite, &format!("{table}{trigger}"));
        let pair = Pair::builder(source, here).start();
        let pulled = pair.pull(&[&["t"], options].concat());
        assert_eq!(pulled.run["status"], "completed_with_errors", "{pulled:#?}");
        assert_eq!(pulled.run["changes"]["moved"], 1, "{pulled:#?}");
        assert_eq!(pulled.table("t")["proved_equal"], false, "{pulled:#?}");
    }
}
