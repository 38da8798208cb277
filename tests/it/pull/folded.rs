//! Mirrors where the database calls keys equal whose bytes differ: the row in whose place another comes stays, or becomes it.

use crate::support::database::{Database, KINDS, Kind};
use crate::support::pair::Pair;

/// A table whose key folds case, with these columns besides.
fn folded(kind: Kind, columns: &str) -> String {
    let (before, collation) = match kind {
        Kind::Postgres => (
            "create collation folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false);",
            "folded",
        ),
        Kind::Sqlite => ("", "nocase"),
        Kind::Mariadb => ("", "utf8mb4_general_ci"),
    };
    format!(
        "{before} create table t (code varchar(9) collate {collation} not null primary key, {columns});"
    )
}

const OTHER: &str = "create table other (id integer primary key);";

#[test]
fn nothing_is_deleted_from_the_place_of_a_row_that_is_refused() {
    let there = format!(
        "{OTHER} create table t (code varchar(9) primary key, n varchar(9));
         insert into t values ('abc', 'toolong'), ('def', 'bad'), ('ghi', 'ok')"
    );
    let rows = "insert into t values ('ABC', 'x'), ('DEF', 'y'), ('GHI', 'z'), ('JKL', 'w')";
    for kind in KINDS {
        let table = folded(kind, "n varchar(3) check (n <> 'bad')");
        for strategy in ["overwrite", "merge", "skip"] {
            for tables in [&["t"][..], &["t", "other"]] {
                let source = Database::with(Kind::Postgres, &there);
                let here = Database::with(kind, &format!("{OTHER}{table}{rows}"));
                let pair = Pair::builder(source, here).start();
                let options = ["--mode", "mirror", "--conflict", strategy];
                for run in ["first", "second"] {
                    let pulled = pair.pull(&[tables, &options].concat());
                    let left = match strategy {
                        "skip" => "ABC|x\nDEF|y\nGHI|z",
                        _ => "ABC|x\nDEF|y\nghi|ok",
                    };
                    let rows = pair.destination.query("select code, n from t order by n");
                    assert_eq!(rows.len(), left.len(), "{kind:?} {strategy}: {rows}");
                    let mut rows: Vec<&str> = rows.lines().collect();
                    rows.sort_unstable();
                    assert_eq!(rows.join("\n"), left, "{kind:?} {strategy}: {pulled:#?}");
                    let deleted = u64::from(run == "first");
                    assert_eq!(pulled.run["changes"]["deleted"], deleted, "{pulled:#?}");
                    let refused = if strategy == "skip" { 1 } else { 2 };
                    assert_eq!(pulled.run["rows_failed"], refused, "{pulled:#?}");
                }
            }
        }
    }
}

#[test]
fn a_row_that_waits_for_a_unique_value_keeps_the_columns_of_its_place() {
    let columns = "u integer unique, n integer, own varchar(9)";
    for kind in KINDS {
        for tables in [&["t"][..], &["t", "other"]] {
            let there = format!(
                "{OTHER} create table t (code varchar(9) primary key, u integer, n integer);
                 insert into t values ('abc', 2, null), ('mno', 6, 1), ('xyz', 5, 1)"
            );
            let here = format!(
                "{OTHER}{} insert into t values ('ABC', 1, 7, 'one'), ('zzz', 2, 8, 'two'),
                 ('MNO', 5, 1, 'three'), ('XYZ', 6, 1, 'four')",
                folded(kind, columns)
            );
            let source = Database::with(Kind::Postgres, &there);
            let pair = Pair::builder(source, Database::with(kind, &here)).start();
            let pulled = pair.pull(&[tables, &["--mode", "mirror"]].concat());
            let pulled = pulled.completed();
            let rows = "select code, u, coalesce(n, 0), own from t order by u";
            assert_eq!(
                pair.destination.query(rows),
                "abc|2|0|one\nxyz|5|1|four\nmno|6|1|three",
                "{kind:?}: {pulled:#?}"
            );
            let changes = &pulled.run["changes"];
            let told = ["added", "updated", "deleted"].map(|what| changes[what].as_u64().unwrap());
            assert_eq!(told, [0, 3, 1], "{kind:?}: {pulled:#?}");
        }
    }
}

#[test]
fn nothing_is_deleted_from_the_place_of_a_row_that_becomes_something_else() {
    let there = "create table t (code varchar(9) primary key, n varchar(9)); insert into t values ('abc', 'y')";
    let here = format!(
        "{} insert into t values ('ABC', 'x');
         create trigger other after update on t begin update t set n = 'odd' where code = new.code; end",
        folded(Kind::Sqlite, "n varchar(9)")
    );
    let source = Database::with(Kind::Postgres, there);
    let pair = Pair::builder(source, Database::with(Kind::Sqlite, &here)).start();
    for run in ["first", "second"] {
        let pulled = pair.pull(&["t", "--mode", "mirror"]);
        assert_eq!(
            pair.destination.query("select * from t"),
            "ABC|x",
            "{run}: {pulled:#?}"
        );
        assert_eq!(pulled.run["rows_failed"], 1, "{run}: {pulled:#?}");
    }
}
