//! Flights of 2013 from one site to another, over each pair of engines: from PostgreSQL to SQLite those of the year, over
//! the others those of January; with `EVENKEEL_ALL_PAIRS=1` of the year wherever MariaDB takes no part.

use crate::support::database::{Database, Kind};
use crate::support::flights::{self, Part, TABLES};
use crate::support::is_thorough;
use crate::support::pair::{Pair, changes};

const NAMES: [&str; 5] = ["flights", "weather", "planes", "airports", "airlines"];

#[test]
fn every_flight_arrives_from_postgresql_in_postgresql() {
    let pair = every_flight_arrives(Kind::Postgres, Kind::Postgres);
    for table in &TABLES {
        assert_eq!(
            pair.destination.column_types(table.name),
            pair.source.column_types(table.name),
            "{}",
            table.name
        );
    }
}

#[test]
fn every_flight_arrives_from_sqlite_in_sqlite() {
    every_flight_arrives(Kind::Sqlite, Kind::Sqlite);
}

#[test]
fn every_flight_arrives_from_postgresql_in_sqlite() {
    every_flight_arrives(Kind::Postgres, Kind::Sqlite);
}

#[test]
fn every_flight_arrives_from_sqlite_in_postgresql() {
    every_flight_arrives(Kind::Sqlite, Kind::Postgres);
}

#[test]
fn every_flight_arrives_from_mariadb_in_mariadb() {
    every_flight_arrives(Kind::Mariadb, Kind::Mariadb);
}

#[test]
fn every_flight_arrives_from_postgresql_in_mariadb() {
    every_flight_arrives(Kind::Postgres, Kind::Mariadb);
}

#[test]
fn every_flight_arrives_from_mariadb_in_postgresql() {
    every_flight_arrives(Kind::Mariadb, Kind::Postgres);
}

#[test]
fn every_flight_arrives_from_sqlite_in_mariadb() {
    every_flight_arrives(Kind::Sqlite, Kind::Mariadb);
}

#[test]
fn every_flight_arrives_from_mariadb_in_sqlite() {
    every_flight_arrives(Kind::Mariadb, Kind::Sqlite);
}

fn every_flight_arrives(from: Kind, to: Kind) -> Pair {
    let is_whole = match (from, to) {
        (Kind::Mariadb, _) | (_, Kind::Mariadb) => false,
        (Kind::Postgres, Kind::Sqlite) => true,
        _ => is_thorough(),
    };
    let part = if is_whole { Part::Year } else { Part::January };
    let pair = Pair::builder(Database::flights(from, part), Database::empty(to)).start();

    // Named children first: the order is the daemon's business.
    let first = pair
        .pull(&[&NAMES[..], &["--create", "--yes"]].concat())
        .completed();
    for table in &TABLES {
        let pulled = first.table(table.name);
        let rows = u64::try_from(table.rows(part)).unwrap();
        assert_eq!(changes(pulled), (rows, 0, 0), "{pulled:#}");
        assert_eq!(pulled["rows_destination"], rows, "{pulled:#}");
        assert_eq!(pulled["proved_equal"], true, "{pulled:#}");
    }
    keys_and_precision_arrived(&pair.destination);
    assert_equal(&pair);

    let second = pair.pull(&NAMES).completed();
    assert_eq!(second.changes(), (0, 0, 0), "{:#}", second.run);

    change_100_and_add_50(&pair.source);
    let third = pair.pull(&["flights"]).completed();
    assert_eq!(third.changes(), (50, 100, 0), "{:#}", third.run);
    assert_equal(&pair);
    pair
}

fn assert_equal(pair: &Pair) {
    flights::assert_equal(&pair.source.url(), &pair.destination.url());
}

fn keys_and_precision_arrived(destination: &Database) {
    for table in &TABLES {
        let name = table.name;
        assert_eq!(destination.primary_key(name), table.key, "{name}");
        let references = table.references.iter();
        let expected: Vec<String> = references
            .map(|(from, to)| format!("{from} {to}"))
            .collect();
        assert_eq!(
            destination.foreign_keys(name),
            expected.join("\n"),
            "{name}"
        );
        let types = destination.column_types(name);
        for (column, kind) in table.columns() {
            let Some((_, digits)) = kind.split_once('(') else {
                continue;
            };
            let made = ["numeric", "decimal"].map(|word| format!("{column} {word}({digits}"));
            let found = types
                .lines()
                .any(|line| made.iter().any(|made| made == line));
            assert!(found, "{name}: one of {made:?} in\n{types}");
        }
    }
}

fn change_100_and_add_50(source: &Database) {
    source.execute(
        "update flights
         set dep_delay = coalesce(dep_delay, 0) + 1, tailnum = null
         where (time_hour, carrier, flight) in
             (select * from
                  (select time_hour, carrier, flight from flights order by flight, carrier, time_hour limit 100) chosen)",
    );
    let columns: Vec<&str> = TABLES[4].columns().map(|(name, _)| name).collect();
    let taken = columns.iter().map(|name| match *name {
        "flight" => "flight + 20000",
        name => name,
    });
    source.execute(&format!(
        "insert into flights ({})
         select {} from flights order by time_hour, carrier, flight limit 50",
        columns.join(", "),
        taken.collect::<Vec<_>>().join(", ")
    ));
}
