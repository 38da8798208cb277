//! The catalogue of a schema that has one of everything.

use super::{Described, table, tables};
use crate::model::table::NeutralType;
use crate::model::table::TableName;
use crate::model::table::UniqueKey;
use rusqlite::Connection;

const NASTY: &str = r#"
create table "Odd ""Name.x" ("a b" integer primary key, "select" text not null default 'x', "ü" blob);
create table quirk (id text primary key, v);
create table folded (code text collate nocase, part int, primary key (code, part)) without rowid;
create table strict_one (id int primary key, any_value any, r real) strict;
create table sums (
    a integer, b integer, total integer generated always as (a + b) stored, twice generated always as (a * 2),
    unique (a), unique (b collate rtrim)
);
create unique index sums_partial on sums (a, b) where a > 0;
create unique index sums_expression on sums (a, b + 1);
create unique index sums_both on sums (b, a desc);
create table parent (x int, y int, primary key (x, y));
create table child (
    id integer primary key, px int, py int, boss int references CHILD on delete set null,
    foreign key (px, py) references PARENT on delete cascade,
    foreign key (px, py) references parent (X, Y) deferrable initially deferred
);
create trigger child_written after insert on Child begin select 1; end;
create view seen as select * from child;
create virtual table found using fts5 (body);
create table guarded (id integer primary key on conflict replace);
create trigger guarded_written after insert on guarded begin select 1; end;
create table big (id integer primary key);
insert into big select value from json_each('[1,2,3]');
analyze;
"#;

fn nasty() -> Vec<Described> {
    let connection = Connection::open_in_memory().unwrap();
    connection.execute_batch(NASTY).unwrap();
    tables(&connection).unwrap()
}

fn one(name: &str) -> Described {
    nasty()
        .into_iter()
        .find(|found| found.table.name.name == name)
        .unwrap()
}

fn key(columns: &[&str], folded: bool) -> UniqueKey {
    UniqueKey {
        columns: columns.iter().map(|name| (*name).to_owned()).collect(),
        folded,
    }
}

#[test]
fn only_plain_tables_are_listed() {
    let names: Vec<String> = nasty()
        .into_iter()
        .map(|found| found.table.name.name)
        .collect();
    assert_eq!(
        names,
        [
            "Odd \"Name.x",
            "big",
            "child",
            "folded",
            "guarded",
            "parent",
            "quirk",
            "strict_one",
            "sums"
        ]
    );
}

#[test]
fn names_are_matched_exactly_and_only_in_the_main_schema() {
    let connection = Connection::open_in_memory().unwrap();
    connection.execute_batch(NASTY).unwrap();
    let find = |name: TableName| table(&connection, &name).unwrap().is_some();
    assert!(find(TableName::bare("Odd \"Name.x")));
    assert!(!find(TableName::bare("CHILD")));
    assert!(!find(TableName::bare("sqlite_schema")));
    assert!(!find(TableName::bare("found_data")));
    assert!(!find(TableName {
        schema: Some("main".into()),
        name: "child".into()
    }));
}

#[test]
fn keys_say_what_they_compare_and_nullability_follows_sqlite() {
    let odd = one("Odd \"Name.x").table;
    assert_eq!(odd.primary_key, Some(key(&["a b"], false)));
    let alias = odd.column("a b").unwrap();
    assert!(alias.identity && alias.has_default && !alias.nullable);
    assert!(odd.column("select").unwrap().has_default);

    let quirk = one("quirk").table;
    assert_eq!(quirk.primary_key, Some(key(&["id"], false)));
    assert!(quirk.column("id").unwrap().nullable);
    assert_eq!(quirk.column("v").unwrap().kind, NeutralType::Other);

    let folded = one("folded").table;
    assert_eq!(folded.primary_key, Some(key(&["code", "part"], true)));
    assert!(folded.columns.iter().all(|column| !column.nullable));

    assert!(one("strict_one").strict);
    assert!(!one("strict_one").table.column("id").unwrap().identity);

    let sums = one("sums").table;
    assert_eq!(sums.primary_key, None);
    assert_eq!(sums.unique.len(), 3);
    for expected in [
        key(&["a"], false),
        key(&["b"], true),
        key(&["b", "a"], false),
    ] {
        assert!(sums.unique.contains(&expected), "{expected:?}");
    }
    let generated: Vec<bool> = sums.columns.iter().map(|column| column.generated).collect();
    assert_eq!(generated, [false, false, true, true]);
}

#[test]
fn foreign_keys_and_triggers_are_told_as_the_schema_spells_them() {
    let child = one("child");
    assert!(child.defers_foreign_keys);
    assert_eq!(child.table.triggers, ["child_written"]);
    let told: Vec<(String, Vec<String>, Vec<String>, String)> = child
        .table
        .foreign_keys
        .into_iter()
        .map(|key| {
            (
                key.table.name,
                key.columns,
                key.foreign_columns,
                key.on_delete,
            )
        })
        .collect();
    let words = |words: &[&str]| {
        words
            .iter()
            .map(|word| (*word).to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        told[0],
        (
            "child".into(),
            words(&["boss"]),
            words(&["id"]),
            "set null".into()
        )
    );
    assert_eq!(
        told[1],
        (
            "parent".into(),
            words(&["px", "py"]),
            words(&["x", "y"]),
            "cascade".into()
        )
    );
    assert_eq!(
        told[2],
        (
            "parent".into(),
            words(&["px", "py"]),
            words(&["x", "y"]),
            "no action".into()
        )
    );
}

#[test]
fn tables_that_cannot_be_written_say_why() {
    assert!(
        one("guarded")
            .table
            .not_writable
            .unwrap()
            .contains("on conflict")
    );
    assert_eq!(one("child").table.not_writable, None);
    let connection = Connection::open_in_memory().unwrap();
    connection.create_collation_for_test();
    let found = table(&connection, &TableName::bare("t")).unwrap().unwrap();
    assert!(found.table.not_writable.unwrap().contains("german"));
}

#[test]
fn the_last_analyze_gives_the_estimate() {
    assert_eq!(one("big").table.row_estimate, Some(3));
    assert_eq!(one("quirk").table.row_estimate, None);
}

trait ForeignCollation {
    fn create_collation_for_test(&self);
}

impl ForeignCollation for Connection {
    /// A table as an application with its own collation leaves it behind.
    fn create_collation_for_test(&self) {
        self.execute_batch(
            "create table t (a text unique);
             pragma writable_schema = on;
             update sqlite_schema set sql = 'create table t (a text collate german unique)' where name = 't';
             pragma writable_schema = reset;",
        )
        .unwrap();
    }
}
