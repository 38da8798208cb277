//! `pull --create`: what is made here after a stranger's table, and what is left out and said.

use serde_json::json;

use crate::support::database::{Database, KINDS, Kind};
use crate::support::pair::Pair;

const RICH: &str = r#"
create type mood as enum ('sad', 'glad');
create domain short as text check (length(value) < 10);
create function touch() returns trigger language plpgsql as 'begin new.changed := now(); return new; end';
create table owners (id integer primary key, name text not null);
insert into owners values (1, 'anna');
create table unpulled (id integer primary key);
insert into unpulled values (7);
create table pets (
    id bigint generated always as identity primary key,
    owner integer not null references owners (id) on delete cascade,
    other integer references unpulled (id),
    name varchar(40) not null default 'rex',
    weight numeric(5,2) check (weight > 0),
    feeling mood not null default 'glad',
    label short,
    twice numeric generated always as (weight * 2) stored,
    changed timestamptz default now(),
    unique (owner, name)
);
create trigger touched before insert or update on pets for each row execute function touch();
insert into pets (owner, other, weight, feeling, label) values (1, 7, 12.50, 'sad', 'soft');
"#;

fn rich(to: Kind) -> Pair {
    Pair::builder(Database::with(Kind::Postgres, RICH), Database::empty(to)).start()
}

#[test]
fn only_names_types_and_keys_are_taken_from_a_stranger() {
    let pair = rich(Kind::Postgres);
    let pulled = pair
        .pull(&["pets", "owners", "--create", "--yes"])
        .completed();
    assert_eq!(pulled.changes(), (2, 0, 0), "{pulled:#?}");

    let here = &pair.destination;
    assert_eq!(here.primary_key("pets"), "id");
    assert_eq!(here.foreign_keys("pets"), "owner owners (id)");
    let types = here.column_types("pets");
    for line in [
        "id bigint",
        "owner integer",
        "name character varying(40)",
        "weight numeric(5,2)",
    ] {
        assert!(
            types.lines().any(|found| found == line),
            "{line} in\n{types}"
        );
    }
    for nothing in [
        "select conname from pg_constraint where contype = 'c' and connamespace = 'public'::regnamespace",
        "select tgname from pg_trigger where not tgisinternal",
        "select typname from pg_type where typtype in ('e', 'd') and typnamespace = 'public'::regnamespace",
        "select proname from pg_proc where pronamespace = 'public'::regnamespace",
        "select column_name, column_default from information_schema.columns
         where table_name = 'pets' and column_default is not null",
    ] {
        assert_eq!(here.query(nothing), "", "{nothing}");
    }
    let unique = "select count(*) from pg_index where indrelid = 'pets'::regclass and indisunique";
    assert_eq!(here.query(unique), "2");
    let row = "select owner, other, name, weight, feeling, label from pets";
    assert_eq!(here.query(row), pair.source.query(row));

    // Identity is taken over, and goes on above the highest key.
    here.execute("insert into pets (owner, name, feeling) values (1, 'new', 'sad')");
    assert_eq!(here.query("select id from pets where name = 'new'"), "2");
    assert_eq!(
        pair.pull(&["pets", "owners"]).completed().changes(),
        (0, 0, 0)
    );
}

#[test]
fn what_is_left_out_is_said_before_anything_is_made() {
    for to in KINDS {
        let pair = rich(to);
        let asked = pair
            .taker
            .cli(&["pull", "berlin", "pets", "owners", "--create"]);
        assert_eq!(asked.code, 2, "nobody can be asked: {asked:#?}");
        assert!(asked.stderr.contains("--yes"), "{asked:#?}");
        let statements = asked.stderr.to_lowercase();
        let quote = |name: &str| match to {
            Kind::Mariadb => format!("{name}`"),
            _ => format!("{name}\""),
        };
        let (owners, pets) = (
            statements.find(&quote("owners")),
            statements.find(&quote("pets")),
        );
        assert!(owners < pets, "parents first: {statements}");
        for word in [
            "create table",
            "Left out",
            "unpulled",
            "defaults",
            "indexes",
        ] {
            assert!(
                asked.stderr.contains(word),
                "{to:?}: `{word}` is missing: {asked:#?}"
            );
        }
        let listed = pair.taker.cli(&["--json", "tables", "berlin"]);
        assert!(
            !listed.stdout.contains("\"local\":{"),
            "nothing was made: {listed:#?}"
        );
        assert!(
            pair.taker.get("/runs")["items"]
                .as_array()
                .unwrap()
                .is_empty()
        );
    }
}

#[test]
fn hostile_names_stay_names() {
    let names = [
        r#"say "hi"; drop table victims; --"#,
        "select",
        "Größe, 'Maß' und %s $1",
        "a.b",
    ];
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    for (from, to) in [
        (Kind::Postgres, Kind::Postgres),
        (Kind::Sqlite, Kind::Sqlite),
        (Kind::Postgres, Kind::Sqlite),
        (Kind::Mariadb, Kind::Mariadb),
    ] {
        let mut sql = String::new();
        for name in names {
            let (table, column) = (quoted(name), quoted(&format!("{name} column")));
            sql.push_str(&format!(
                "create table {table} ({column} integer primary key, {table} text);
                 insert into {table} values (1, 'one'), (2, null);"
            ));
        }
        let here = Database::with(to, "create table victims (id integer primary key)");
        let pair = Pair::builder(Database::with(from, &sql), here).start();
        // A name with a dot or a quote is written in quotes.
        let written = names.map(|name| {
            if name.contains(['.', '"']) {
                quoted(name)
            } else {
                name.to_owned()
            }
        });
        let mut arguments: Vec<&str> = written.iter().map(String::as_str).collect();
        arguments.extend(["--create", "--yes"]);
        let pulled = pair.pull(&arguments).completed();
        assert_eq!(pulled.changes(), (8, 0, 0), "{from:?} {to:?}: {pulled:#?}");
        for name in names {
            let all = format!("select * from {} order by 1", quoted(name));
            assert_eq!(pair.destination.query(&all), "1|one\n2|", "{name}");
        }
        assert_eq!(pair.destination.count("victims"), 0);
        pair.source
            .execute(&format!("update {} set {0} = 'uno'", quoted(names[0])));
        assert_eq!(pair.pull(&arguments).completed().changes(), (0, 2, 0));
    }
}

#[test]
fn tables_that_point_at_each_other_and_at_themselves_are_made_and_filled() {
    let there = "
        create table people (id integer primary key, boss integer references people (id), name text);
        insert into people values (1, 3, 'anna'), (2, 1, 'bert'), (3, null, 'carl');
        create table teams (id integer primary key, lead integer references people (id));
        insert into teams values (1, 3);";
    for to in KINDS {
        let pair =
            Pair::builder(Database::with(Kind::Postgres, there), Database::empty(to)).start();
        let pulled = pair
            .pull(&["teams", "people", "--create", "--yes"])
            .completed();
        assert_eq!(pulled.changes(), (4, 0, 0), "{to:?}: {pulled:#?}");
        assert_eq!(
            pair.destination.foreign_keys("people"),
            "boss people (id)",
            "{to:?}"
        );
        assert_eq!(
            pair.destination.foreign_keys("teams"),
            "lead people (id)",
            "{to:?}"
        );
        assert_eq!(
            pair.pull(&["teams", "people"]).completed().changes(),
            (0, 0, 0),
            "{to:?}"
        );
    }
}

#[test]
fn a_table_that_cannot_be_made_is_refused_and_none_of_the_others_is_made() {
    let there = "
        create table fine (id integer primary key);
        insert into fine values (1);
        create table keyless (id integer)";
    let pair = Pair::builder(
        Database::with(Kind::Postgres, there),
        Database::empty(Kind::Postgres),
    )
    .start();
    let pulled = pair.pull(&["fine", "keyless", "--create", "--yes"]);
    assert_eq!(
        (pulled.output.code, &pulled.run["status"]),
        (1, &json!("failed")),
        "{pulled:#?}"
    );
    assert_eq!(pulled.run["error"]["code"], "no_key", "{pulled:#?}");
    let made = "select count(*) from pg_tables where schemaname = 'public'";
    assert_eq!(pair.destination.query(made), "0", "{pulled:#?}");
}
