//! The demo's data: a week of flights out of New York City, with keys and foreign keys as they are in life.
//!
//! `data/README.md` says where it is from.

use rusqlite::{Connection, Params, params_from_iter};

/// One table: how it is made, filled and read back.
pub(super) struct Table {
    /// Its name.
    pub name: &'static str,
    /// Makes it.
    create: &'static str,
    /// Adds a row; values in the order of the file.
    insert: &'static str,
    /// Reads all of it.
    pub select: &'static str,
    /// CSV with a header line, `NA` for NULL, zstd-compressed.
    csv: &'static [u8],
}

/// The five tables, parents first.
pub(super) const TABLES: [Table; 5] = [
    Table {
        name: "airlines",
        create: "create table airlines (
            carrier text not null,
            name text not null,
            primary key (carrier)
        )",
        insert: "insert into airlines values (?, ?)",
        select: "select * from airlines",
        csv: include_bytes!("data/airlines.csv.zst"),
    },
    Table {
        name: "airports",
        create: "create table airports (
            faa text not null,
            name text not null,
            lat real not null,
            lon real not null,
            alt integer,
            tz smallint,
            dst text,
            tzone text,
            primary key (faa)
        )",
        insert: "insert into airports values (?, ?, ?, ?, ?, ?, ?, ?)",
        select: "select * from airports",
        csv: include_bytes!("data/airports.csv.zst"),
    },
    Table {
        name: "planes",
        create: "create table planes (
            tailnum text not null,
            year smallint,
            type text,
            manufacturer text,
            model text,
            engines smallint,
            seats integer,
            speed integer,
            engine text,
            primary key (tailnum)
        )",
        insert: "insert into planes values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        select: "select * from planes",
        csv: include_bytes!("data/planes.csv.zst"),
    },
    Table {
        name: "weather",
        create: "create table weather (
            origin text not null,
            year smallint,
            month smallint,
            day smallint,
            hour smallint,
            temp decimal(5,2),
            dewp decimal(5,2),
            humid decimal(5,2),
            wind_dir smallint,
            wind_speed real,
            wind_gust real,
            precip decimal(4,2),
            pressure decimal(5,1),
            visib decimal(4,2),
            time_hour timestamptz text not null,
            primary key (origin, time_hour),
            foreign key (origin) references airports (faa)
        )",
        insert: "insert into weather values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        select: "select * from weather",
        csv: include_bytes!("data/weather.csv.zst"),
    },
    Table {
        name: "flights",
        create: "create table flights (
            year smallint not null,
            month smallint not null,
            day smallint not null,
            dep_time smallint,
            sched_dep_time smallint,
            dep_delay integer,
            arr_time smallint,
            sched_arr_time smallint,
            arr_delay integer,
            carrier text not null,
            flight integer not null,
            tailnum text,
            origin text not null,
            dest text not null,
            air_time integer,
            distance integer,
            hour smallint,
            minute smallint,
            time_hour timestamptz text not null,
            primary key (time_hour, carrier, flight),
            foreign key (carrier) references airlines (carrier),
            foreign key (origin) references airports (faa)
        )",
        insert: "insert into flights
            values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        select: "select * from flights",
        csv: include_bytes!("data/flights.csv.zst"),
    },
];

/// Makes and fills all tables; gives the number of rows.
pub(super) fn load(db: &mut Connection) -> anyhow::Result<u64> {
    let tx = db.transaction()?;
    let mut rows = 0;
    for table in &TABLES {
        tx.execute_batch(table.create)?;
        let mut insert = tx.prepare(table.insert)?;
        let csv = zstd::stream::read::Decoder::new(table.csv)?;
        for record in csv::Reader::from_reader(csv).into_records() {
            let record = record?;
            insert.execute(params_from_iter(record.iter().map(value)))?;
            rows += 1;
        }
    }
    tx.commit()?;
    Ok(rows)
}

/// The columns' affinity turns digits into numbers; times get the form the site's other times have.
fn value(field: &str) -> Option<String> {
    match field {
        "NA" => None,
        time if time.len() == 20 && time.ends_with('Z') && time.contains('T') => {
            Some(time.replace('T', " ").replace('Z', ".000000Z"))
        }
        other => Some(other.to_owned()),
    }
}

/// What was changed in one table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// The table.
    pub table: &'static str,
    /// Rows that are new.
    pub added: u64,
    /// Rows that are different.
    pub updated: u64,
    /// Rows that are no more.
    pub deleted: u64,
}

/// Changes the data as an application would: delays, a refitted fleet, and a new airline with its first flights.
pub(super) fn change(db: &mut Connection) -> anyhow::Result<[Change; 3]> {
    let tx = db.transaction()?;
    let airlines = execute(
        &tx,
        "insert into airlines values ('EK', 'Evenkeel Air')",
        [],
    )?;
    let planes = execute(
        &tx,
        "update planes set seats = seats + 2 where manufacturer = 'EMBRAER' and year = 2004",
        [],
    )?;
    let delayed = execute(
        &tx,
        "update flights set arr_delay = arr_delay + 15, dep_delay = dep_delay + 15
         where day = 7 and origin = 'EWR' and arr_delay > 30",
        [],
    )?;
    let new = execute(
        &tx,
        "insert into flights
         select
            year, month, day, null, sched_dep_time, null, null, sched_arr_time, null,
            'EK', flight, null, origin, dest, null, distance, hour, minute, time_hour
         from flights
         where day = 7 and carrier = 'AA' and origin = 'JFK'",
        [],
    )?;
    tx.commit()?;
    let of = |table, added, updated| Change {
        table,
        added,
        updated,
        deleted: 0,
    };
    Ok([
        of("airlines", airlines, 0),
        of("planes", 0, planes),
        of("flights", new, delayed),
    ])
}

/// Breaks the copy as no application would: rows go, come and change in ways that are hard to see; tells what it takes to
/// mend that.
pub(super) fn break_rows(db: &mut Connection) -> anyhow::Result<[Change; 4]> {
    let tx = db.transaction()?;
    let extra = execute(&tx, "insert into airlines values ('ZZ', 'Nobody')", [])?;
    let padded = execute(
        &tx,
        "update airports set name = name || ' ' where faa in ('JFK', 'LGA', 'EWR')",
        [],
    )?;
    let emptied = execute(
        &tx,
        "update planes set type = '' where tailnum in (select tailnum from planes order by tailnum limit 2)",
        [],
    )?;
    let gone = execute(
        &tx,
        "delete from flights where day = 3 and carrier = 'HA'",
        [],
    )?;
    let moved = execute(
        &tx,
        "update flights set minute = minute + 1 where day = 4 and carrier = 'HA'",
        [],
    )?;
    tx.commit()?;
    let of = |table, [added, updated, deleted]: [u64; 3]| Change {
        table,
        added,
        updated,
        deleted,
    };
    Ok([
        of("airlines", [0, 0, extra]),
        of("airports", [0, padded, 0]),
        of("planes", [0, emptied, 0]),
        of("flights", [gone, moved, 0]),
    ])
}

fn execute(db: &Connection, sql: &str, values: impl Params) -> anyhow::Result<u64> {
    Ok(u64::try_from(db.execute(sql, values)?)?)
}

#[cfg(test)]
mod tests {
    use super::{Connection, change, load};

    fn loaded() -> Connection {
        let mut db = Connection::open_in_memory().unwrap();
        assert_eq!(load(&mut db).unwrap(), 16 + 1_458 + 3_322 + 498 + 6_099);
        db
    }

    #[test]
    fn the_data_loads_with_its_keys_and_foreign_keys() {
        let db = loaded();
        let broken: i64 = db
            .query_row("select count(*) from pragma_foreign_key_check", [], |row| {
                row.get(0)
            })
            .unwrap();
        assert_eq!(broken, 0);
        let foreign: i64 = db
            .query_row(
                "select count(*) from pragma_foreign_key_list('flights')",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(foreign, 2);
    }

    #[test]
    fn values_have_the_types_of_their_columns() {
        let db = loaded();
        let types: String = db
            .query_row(
                "select typeof(year) || ' ' || typeof(dep_delay) || ' ' || typeof(carrier) || ' ' || typeof(time_hour)
                 from flights where flight = 1545 and day = 1",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(types, "integer integer text text");
        let odd: i64 = db
            .query_row(
                "select count(*) from flights
                 where time_hour not like '2013-01-0_ __:00:00.000000Z' or dep_time is not null and typeof(dep_time) <> 'integer'",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(odd, 0);
        let missing: i64 = db
            .query_row(
                "select count(*) from flights where dep_time is null",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(missing, 35);
        let reals: i64 = db
            .query_row(
                "select count(*) from airports where typeof(lat) = 'real'",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(reals, 1_458);
    }

    #[test]
    fn changing_the_data_updates_some_rows_and_adds_some() {
        let changes = change(&mut loaded()).unwrap();
        let [airlines, planes, flights] = changes;
        assert_eq!((airlines.added, airlines.updated), (1, 0));
        assert!(planes.updated > 10, "{planes:?}");
        assert!(flights.added > 10 && flights.updated > 10, "{flights:?}");
    }
}
