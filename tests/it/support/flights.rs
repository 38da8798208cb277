//! Real data for tests: the flights that left New York City in 2013, loaded into any engine and compared in full.
//!
//! One definition of the tables serves all engines; `tests/data/flights/README.md` says where the data is from.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rusqlite::types::{Value, ValueRef};
use tempfile::TempDir;

use super::{cleanup, mariadb, postgres, sqlite};

/// How much of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All flights.
    Year,
    /// Flights and weather of the first month: what MariaDB's pairs need to show in a twelfth of the time.
    January,
}

/// A table of the data set. The words of `columns` mean the same to PostgreSQL and to SQLite.
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// How many rows the data set has.
    rows: usize,
    /// Column definitions in the order of the file.
    pub columns: &'static str,
    /// The columns of the primary key, in its order.
    pub key: &'static str,
    /// Foreign keys: column and the column it names.
    pub references: &'static [(&'static str, &'static str)],
}

/// The five tables, parents first.
pub const TABLES: [Table; 5] = [
    Table {
        name: "airlines",
        rows: 16,
        columns: "carrier text not null; name text not null",
        key: "carrier",
        references: &[],
    },
    Table {
        name: "airports",
        rows: 1_458,
        columns: "faa text not null; name text not null; lat double precision not null; \
                  lon double precision not null; alt integer; tz smallint; dst text; tzone text",
        key: "faa",
        references: &[],
    },
    Table {
        name: "planes",
        rows: 3_322,
        columns: "tailnum text not null; year smallint; type text; manufacturer text; model text; \
                  engines smallint; seats integer; speed integer; engine text",
        key: "tailnum",
        references: &[],
    },
    Table {
        name: "weather",
        rows: 26_115,
        columns: "origin text not null; year smallint; month smallint; day smallint; hour smallint; \
                  temp numeric(5,2); dewp numeric(5,2); humid numeric(5,2); wind_dir smallint; \
                  wind_speed double precision; wind_gust double precision; precip numeric(4,2); \
                  pressure numeric(5,1); visib numeric(4,2); time_hour timestamptz not null",
        key: "origin, time_hour",
        references: &[("origin", "airports (faa)")],
    },
    Table {
        name: "flights",
        rows: 336_776,
        columns: "year smallint not null; month smallint not null; day smallint not null; dep_time smallint; \
                  sched_dep_time smallint; dep_delay integer; arr_time smallint; sched_arr_time smallint; \
                  arr_delay integer; carrier text not null; flight integer not null; tailnum text; \
                  origin text not null; dest text not null; air_time integer; distance integer; \
                  hour smallint; minute smallint; time_hour timestamptz not null",
        key: "time_hour, carrier, flight",
        references: &[
            ("carrier", "airlines (carrier)"),
            ("origin", "airports (faa)"),
        ],
    },
];

impl Table {
    /// How many rows there are in `part`.
    pub fn rows(&self, part: Part) -> usize {
        match (part, self.name) {
            (Part::January, "flights") => 27_004,
            (Part::January, "weather") => 2_226,
            _ => self.rows,
        }
    }

    /// Name and type of each column, in order.
    pub fn columns(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let definition = |text: &'static str| {
            text.trim()
                .trim_end_matches(" not null")
                .split_once(' ')
                .expect("a type")
        };
        self.columns.split(';').map(definition)
    }

    /// The statement that makes the table in MariaDB, which keys no text without a length, and has other words for
    /// moments.
    fn create_in_mariadb(&self) -> String {
        let types = [
            (" text", " varchar(100)"),
            (" double precision", " double"),
            (" timestamptz", " timestamp"),
        ];
        types.iter().fold(self.create(), |text, (there, here)| {
            text.replace(there, here)
        })
    }

    /// The statement that makes the table in PostgreSQL and SQLite.
    pub fn create(&self) -> String {
        let foreign = self
            .references
            .iter()
            .map(|(column, to)| format!(",\n  foreign key ({column}) references {to}"));
        let columns = self
            .columns
            .split(';')
            .map(|column| format!("  {},\n", column.trim()));
        let (columns, foreign): (String, String) = (columns.collect(), foreign.collect());
        format!(
            "create table {} (\n{columns}  primary key ({}){foreign}\n)",
            self.name, self.key
        )
    }

    /// The file's CSV, or that of a part: a header line, `NA` for NULL.
    pub fn csv(&self, part: Part) -> Vec<u8> {
        let file = format!(
            "{}/tests/data/flights/{}.csv.zst",
            env!("CARGO_MANIFEST_DIR"),
            self.name
        );
        let compressed = std::fs::read(&file).unwrap_or_else(|err| panic!("{file}: {err}"));
        let csv = zstd::stream::decode_all(compressed.as_slice()).expect("zstd data");
        let month = self.columns().position(|(name, _)| name == "month");
        let (Part::January, Some(month)) = (part, month) else {
            return csv;
        };
        let lines = csv.split_inclusive(|byte| *byte == b'\n').enumerate();
        let is_january = |line: &[u8]| line.split(|byte| *byte == b',').nth(month) == Some(b"1");
        let kept = lines.filter(|(at, line)| *at == 0 || is_january(line));
        kept.flat_map(|(_, line)| line).copied().collect()
    }
}

/// Makes and fills the five tables in the PostgreSQL database at `url`.
fn load_postgres(url: &str, part: Part) {
    for table in &TABLES {
        postgres::query(url, &table.create());
        postgres::copy_csv(url, table.name, &table.csv(part));
    }
    postgres::query(url, "vacuum analyze");
}

/// Makes and fills the five tables, flights of January, in the MariaDB database at `url`.
fn load_mariadb(url: &str) {
    mariadb::query(url, "alter database default collate utf8mb4_nopad_bin");
    for table in &TABLES {
        mariadb::query(url, &table.create_in_mariadb());
        let columns: Vec<(&str, &str)> = table.columns().collect();
        mariadb::load_csv(url, table.name, &columns, &table.csv(Part::January));
    }
}

/// Makes and fills the five tables in the SQLite database at `path`.
fn load_sqlite(path: &Path, part: Part) {
    let mut db = sqlite::open(path);
    for table in &TABLES {
        let tx = db.transaction().expect("a transaction");
        tx.execute_batch(&table.create())
            .expect("the table is made");
        let types: Vec<&str> = table.columns().map(|(_, kind)| kind).collect();
        let marks = vec!["?"; types.len()].join(", ");
        let mut insert = tx
            .prepare(&format!("insert into {} values ({marks})", table.name))
            .expect("an insert");
        for record in csv::Reader::from_reader(table.csv(part).as_slice()).records() {
            let record = record.expect("a record");
            let values = record
                .iter()
                .zip(&types)
                .map(|(text, kind)| value(text, kind));
            insert
                .execute(rusqlite::params_from_iter(values))
                .expect("a row");
        }
        drop(insert);
        tx.commit().expect("the rows stay");
    }
}

/// A fresh database with the flights of `part` on the shared server: loaded once, then copied. Its URL.
pub fn postgres_database(part: Part) -> String {
    static TEMPLATES: [OnceLock<String>; 2] = [const { OnceLock::new() }; 2];
    let template = TEMPLATES[part as usize].get_or_init(|| {
        let url = postgres::shared().database();
        load_postgres(&url, part);
        url
    });
    postgres::shared().database_like(template)
}

/// A fresh database with the flights of January on the shared MariaDB server; its URL.
pub fn mariadb_database() -> String {
    static TEMPLATE: OnceLock<String> = OnceLock::new();
    let template = TEMPLATE.get_or_init(|| {
        let url = mariadb::shared().database();
        load_mariadb(&url);
        url
    });
    let url = mariadb::shared().database();
    mariadb::query(&url, "alter database default collate utf8mb4_nopad_bin");
    let from = template.rsplit('/').next().expect("a name");
    for table in &TABLES {
        mariadb::query(&url, &table.create_in_mariadb());
        let copy = format!("insert into {0} select * from {from}.{0}", table.name);
        mariadb::query(&url, &copy);
    }
    url
}

/// Writes a database with the flights of `part` to `path`: loaded once, then copied.
pub fn sqlite_database(path: &Path, part: Part) {
    static TEMPLATES: [OnceLock<(TempDir, PathBuf)>; 2] = [const { OnceLock::new() }; 2];
    let (_, template) = TEMPLATES[part as usize].get_or_init(|| {
        let folder = tempfile::Builder::new()
            .prefix("evenkeel-flights-")
            .tempdir()
            .expect("a temporary folder");
        cleanup::folder(folder.path());
        let path = folder.path().join("flights.db");
        load_sqlite(&path, part);
        sqlite::execute(&path, "pragma wal_checkpoint(truncate)");
        (folder, path)
    });
    std::fs::copy(template, path).expect("the database is copied");
}

/// Panics unless all five tables hold the same rows in both databases (URLs), naming the first row that differs.
pub fn assert_equal(one: &str, other: &str) {
    for table in &TABLES {
        let (left, right) = (dump(one, table), dump(other, table));
        if left != right {
            let pair = left
                .lines()
                .zip(right.lines())
                .find(|(left, right)| left != right);
            let counts = (left.lines().count(), right.lines().count());
            panic!(
                "{} differs; rows {counts:?}, first different rows {pair:#?}",
                table.name
            );
        }
    }
}

/// Every row of `table` in the database at `url` in the order of its key, a line each, in words that do not depend on
/// the engine: the database speaks, not the code under test.
pub fn dump(url: &str, table: &Table) -> String {
    match url.strip_prefix("sqlite://") {
        Some(path) => dump_sqlite(Path::new(path), table),
        None if url.starts_with("mysql://") => dump_mariadb(url, table),
        None => dump_postgres(url, table),
    }
}

fn dump_mariadb(url: &str, table: &Table) -> String {
    let shown = table.columns().map(|(name, kind)| match kind {
        "timestamptz" => format!("date_format({name}, '%Y-%m-%d %H:%i:%s.%fZ')"),
        _ => name.to_owned(),
    });
    let shown: Vec<String> = shown.collect();
    let columns = shown.join(", ");
    mariadb::query(
        url,
        &format!(
            "select {columns} from {} order by {}",
            table.name, table.key
        ),
    )
}

fn dump_postgres(url: &str, table: &Table) -> String {
    let shown = table.columns().map(|(name, kind)| match kind {
        "timestamptz" => {
            format!(r#"to_char({name} at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US"Z"')"#)
        }
        _ => name.to_owned(),
    });
    let shown: Vec<String> = shown.collect();
    postgres::query(
        url,
        &format!(
            "select {} from {} order by {}",
            shown.join(", "),
            table.name,
            table.key
        ),
    )
}

fn dump_sqlite(path: &Path, table: &Table) -> String {
    let db = sqlite::open(path);
    let columns: Vec<(&str, &str)> = table.columns().collect();
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let sql = format!(
        "select {} from {} order by {}",
        names.join(", "),
        table.name,
        table.key
    );
    let mut statement = db
        .prepare(&sql)
        .unwrap_or_else(|err| panic!("{sql}\n{err}"));
    let mut rows = statement.query([]).expect("the query runs");
    let mut lines = Vec::new();
    while let Some(row) = rows.next().expect("a row") {
        let values = columns.iter().enumerate();
        let shown =
            values.map(|(at, (_, kind))| canonical(row.get_ref(at).expect("a value"), kind));
        lines.push(shown.collect::<Vec<_>>().join("|"));
    }
    lines.join("\n")
}

/// A SQLite value as PostgreSQL would print it in a column of this type.
fn canonical(value: ValueRef<'_>, kind: &str) -> String {
    let scale = kind
        .strip_prefix("numeric(")
        .and_then(|rest| rest.trim_end_matches(')').split(',').nth(1));
    match (scale.and_then(|scale| scale.parse::<usize>().ok()), value) {
        (Some(scale), ValueRef::Real(number)) => format!("{number:.scale$}"),
        (Some(scale), ValueRef::Integer(number)) if scale > 0 => {
            format!("{number}.{}", "0".repeat(scale))
        }
        (_, value) => sqlite::text(value),
    }
}

/// What an application would store in a SQLite column of this declared type.
fn value(text: &str, kind: &str) -> Value {
    match kind {
        _ if text == "NA" => Value::Null,
        "text" => Value::Text(text.to_owned()),
        "timestamptz" => Value::Text(text.replace('T', " ").replace('Z', ".000000Z")),
        "smallint" | "integer" => Value::Integer(text.parse().expect("a whole number")),
        _ => Value::Real(text.parse().expect("a number")),
    }
}
