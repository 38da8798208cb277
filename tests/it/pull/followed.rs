//! Rows that change because others were written, by foreign keys and triggers: no table is proved on what it was before.

use serde_json::{Value, json};

use crate::support::database::{Database, KINDS, Kind};
use crate::support::pair::{Pair, Pulled};

/// Names and proofs of the tables of a run.
fn proved(run: &Value) -> Vec<(&str, bool)> {
    let tables = run["tables"].as_array().unwrap().iter();
    let told = |table: &'_ Value| table["proved_equal"].as_bool().unwrap_or(false);
    tables
        .map(|table| (table["table"].as_str().unwrap(), told(table)))
        .collect()
}

/// A pull whose one table `name` ends unproved, though nothing of it was refused.
fn unproved(pulled: &Pulled, name: &str) {
    let tables = proved(&pulled.run);
    let unproved: Vec<_> = tables.iter().filter(|(_, proved)| !proved).collect();
    assert_eq!(unproved, [&(name, false)], "{pulled:#?}");
    assert_eq!(pulled.run["status"], "completed_with_errors", "{pulled:#?}");
}

#[test]
fn a_table_whose_rows_followed_those_they_point_to_is_not_called_equal() {
    let tables = "create table parent (id integer primary key, code varchar(9) unique);";
    let child = "create table child (id integer primary key, code varchar(9)";
    let there = format!(
        "{tables}{child}); insert into parent values (1, 'y'), (2, 'x'); insert into child values (1, 'x');"
    );
    let here = format!(
        "{tables}{child}, foreign key (code) references parent (code) on update cascade);
         insert into parent values (1, 'x'); insert into child values (1, 'x');"
    );
    for kind in KINDS {
        let source = Database::with(Kind::Postgres, &there);
        let destination = Database::with(kind, &here);
        let pair = Pair::builder(source, destination).start();
        let code = || pair.destination.query("select code from child");
        let first = pair.pull(&["parent", "child"]);
        unproved(&first, "child");
        assert_eq!(code(), "y", "{kind:?}");
        pair.pull(&["parent", "child"]).completed();
        assert_eq!(code(), "x", "{kind:?}");
    }
}

#[test]
fn rows_also_follow_through_a_table_that_is_not_pulled() {
    let table = |name: &str, parent: &str| {
        let points = match parent {
            "" => String::new(),
            parent => format!(", foreign key (code) references {parent} (code) on update cascade"),
        };
        format!("create table {name} (id integer primary key, code varchar(9) unique{points});")
    };
    let rows = "insert into g values (1, 'old'); insert into p values (1, 'old'); insert into c values (1, 'old');";
    let there = format!(
        "{}{}{}{rows} update g set code = 'new'",
        table("g", ""),
        table("p", ""),
        table("c", "")
    );
    let here = format!(
        "{}{}{}{rows}",
        table("g", ""),
        table("p", "g"),
        table("c", "p")
    );
    for kind in KINDS {
        let source = Database::with(Kind::Postgres, &there);
        let destination = Database::with(kind, &here);
        let pair = Pair::builder(source, destination).start();
        let pulled = pair.pull(&["g", "c"]);
        assert_eq!(pair.destination.query("select code from c"), "new");
        unproved(&pulled, "c");
    }
}

#[test]
fn what_a_table_committed_before_it_failed_is_followed_too() {
    let there = "create table p (id int primary key, code text not null, v int);
        create table c (id int primary key, code text);
        insert into p select i, 'n' || i, case when i > 400 then -1 else 1 end from generate_series(1, 500) i;
        insert into c select i, 'o' || i from generate_series(1, 20) i";
    let here =
        "create table p (id int primary key, code text not null unique, v int check (v > 0));
        create table c (id int primary key, code text references p (code) on update cascade);
        insert into p select i, 'o' || i, 1 from generate_series(1, 500) i;
        insert into c select i, 'o' || i from generate_series(1, 20) i";
    let source = Database::with(Kind::Postgres, there);
    let destination = Database::with(Kind::Postgres, here);
    let pair = Pair::builder(source, destination)
        .taker("apply.transaction_rows", 100)
        .taker("quarantine.max_rows", 5)
        .start();
    let pulled = pair.pull(&["p", "c"]);
    assert_eq!(pulled.run["status"], "failed", "{pulled:#?}");
    let followed = "select count(*) from c where code like 'n%'";
    assert_eq!(pair.destination.query(followed), "20");
    assert_eq!(proved(&pulled.run), [("p", false), ("c", false)]);
}

#[test]
fn what_triggers_change_is_seen_before_a_table_is_proved() {
    let tables = "create table a (id integer primary key, v integer); create table b (id integer primary key, v integer);";
    let there =
        format!("{tables} insert into a values (1, 5), (2, 7); insert into b values (1, 12);");
    for (changes, differs) in [
        ("update b set v = v + 1", "b"),
        ("update a set v = 0 where id <> new.id", "a"),
    ] {
        for kind in [Kind::Postgres, Kind::Sqlite] {
            let trigger = match kind {
                Kind::Postgres => format!(
                    "create function change() returns trigger language plpgsql as $$ begin {changes}; return null; end $$;
                     create trigger change after insert on a for each row execute function change()"
                ),
                _ => format!("create trigger change after insert on a begin {changes}; end"),
            };
            let here = format!(
                "{tables} insert into a values (1, 5); insert into b values (1, 12); {trigger}"
            );
            let source = Database::with(Kind::Postgres, &there);
            let pair = Pair::builder(source, Database::with(kind, &here)).start();
            unproved(&pair.pull(&["a", "b"]), differs);
        }
    }
}

#[test]
fn a_table_that_an_earlier_round_proved_is_not_called_equal_once_its_rows_followed() {
    let there = "create table s (id int primary key, code text not null); create table t (id int primary key, code text);
        insert into s values (1, 'new'); insert into t values (1, 'old')";
    let here = "create table first (id int primary key, code text not null);
        create table parent (id int primary key, code text not null unique);
        create table child (id int primary key, code text references parent (code) on update cascade);
        insert into parent values (1, 'old'); insert into child values (1, 'old')";
    let source = Database::with(Kind::Postgres, there);
    let pair = Pair::builder(source, Database::with(Kind::Postgres, here)).start();
    let table = |from, to| json!({"source_table": from, "destination_table": to});
    let tables = [
        table("s", "first"),
        table("t", "child"),
        table("s", "parent"),
    ];
    let run = pair.pull_as(&json!({"tables": tables}));
    assert_eq!(pair.destination.query("select code from child"), "new");
    let told = proved(&run);
    assert!(told.contains(&("child", false)), "{run:#}");
    assert!(told.contains(&("parent", true)), "{run:#}");
    assert_eq!(run["status"], "completed_with_errors", "{run:#}");
}

#[test]
fn a_local_row_that_came_meanwhile_does_not_take_a_proof_away() {
    let table = "create table t (id integer primary key, v integer);";
    let there = format!("{table} insert into t values (1, 1), (2, 2)");
    // Whatever is written brings a row that only this site has, which an upsert leaves.
    let here = format!(
        "{table} insert into t values (1, 1); create trigger bring after insert on t when new.id < 100
         begin insert into t values (new.id + 100, 0); end"
    );
    let source = Database::with(Kind::Postgres, &there);
    let pair = Pair::builder(source, Database::with(Kind::Sqlite, &here)).start();
    pair.pull(&["t"]).completed();
    assert_eq!(
        pair.destination.query("select id from t order by id"),
        "1\n2\n102"
    );
}
