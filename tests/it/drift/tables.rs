//! The two tables, in each engine: what they hold at first, and how a test sees their rows.

use std::collections::BTreeMap;

use crate::support::database::{Database, Kind};

/// Rows of `items`; a twentieth of them for each way to change one.
pub(super) const ITEMS: u32 = 4_000;
/// How keys of `shelves` begin: one letter, in ways that sort, fold and pad to one another.
pub(super) const REGIONS: [&str; 5] = ["a", "A", "a ", "\u{e4}", "a\u{308}"];
/// Keys that begin alike.
pub(super) const SHELVES: u32 = 60;

/// The rows of a table by their keys, as text that tells each stored value from every other.
pub(super) type Rows = BTreeMap<String, String>;

/// A table of the test.
#[derive(Clone, Copy)]
pub(super) struct Table {
    pub(super) name: &'static str,
    /// Its key as text.
    key: &'static str,
}

pub(super) const TABLES: [Table; 2] = [
    Table {
        name: "items",
        key: "concat(id, '')",
    },
    Table {
        name: "shelves",
        key: "concat(region, '/', number)",
    },
];

/// A text with its spaces, told from NULL.
const WORD: &str = "case when word is null then 'null' else concat('\"', word, '\"') end";

impl Table {
    /// Exactly as they are stored.
    pub(super) fn rows(&self, database: &Database) -> Rows {
        let values = match (self.name, database.kind()) {
            ("shelves", _) => WORD.to_owned(),
            (_, Kind::Postgres) => {
                format!("{WORD}, amount::text, to_char(at, 'YYYY-MM-DD HH24:MI:SS.US')")
            }
            (_, Kind::Sqlite) => format!("{WORD}, typeof(amount), amount, typeof(at), at"),
            (_, Kind::Mariadb) => {
                format!("{WORD}, amount, date_format(at, '%Y-%m-%d %H:%i:%s.%f')")
            }
        };
        let Self { name, key } = self;
        let lines = database.query(&format!("select {key}, {values} from {name}"));
        let row = |line: &str| {
            let (key, values) = line.split_once('|').unwrap();
            (key.to_owned(), values.to_owned())
        };
        lines.lines().map(row).collect()
    }

    /// In words that are the same in every engine, in the order of their bytes.
    pub(super) fn common(&self, database: &Database) -> String {
        let values = match (self.name, database.kind()) {
            ("shelves", _) => WORD.to_owned(),
            (_, Kind::Postgres) => {
                format!("{WORD}, round(amount, 2), to_char(at, 'YYYY-MM-DD HH24:MI:SS.US')")
            }
            (_, Kind::Sqlite) => format!("{WORD}, printf('%.2f', amount), at"),
            (_, Kind::Mariadb) => {
                format!("{WORD}, amount, date_format(at, '%Y-%m-%d %H:%i:%s.%f')")
            }
        };
        // What is NULL is printed as nothing by every engine but by SQLite's printf.
        let values = values.replace(
            "printf('%.2f', amount)",
            "case when amount is not null then printf('%.2f', amount) end",
        );
        let Self { name, key } = self;
        let lines = database.query(&format!("select {key}, {values} from {name}"));
        let mut lines: Vec<&str> = lines.lines().collect();
        lines.sort_unstable();
        lines.join("\n")
    }
}

/// The statements that make both tables.
pub(super) fn empty(kind: Kind) -> String {
    let (amount, at, region) = match kind {
        Kind::Postgres => ("numeric", "timestamp", "text"),
        Kind::Sqlite => ("decimal text", "timestamp text", "text"),
        Kind::Mariadb => ("decimal(9,2)", "datetime(6)", "varchar(20)"),
    };
    format!(
        "create table items (id int not null primary key, word text, amount {amount}, at {at});
        create table shelves (region {region} not null, number int not null, word text, primary key (region, number));"
    )
}

/// The same, with rows in them.
pub(super) fn filled(kind: Kind) -> String {
    let items = (1..=ITEMS).map(|id| {
        let word = match id % 20 {
            3 => "null".to_owned(),
            4 => "''".to_owned(),
            7 => format!("'row {id} '"),
            11 => format!("'caf\u{e9} {id}'"),
            _ => format!("'row {id}'"),
        };
        let amount = if id % 20 == 12 { "null" } else { "'1.0'" };
        let at = match id % 20 {
            13 => "null",
            _ => "'2024-01-01 10:00:00.000001'",
        };
        format!("({id}, {word}, {amount}, {at})")
    });
    let shelves = REGIONS.iter().flat_map(|region| {
        (1..=SHELVES).map(move |number| format!("('{region}', {number}, 'shelf {number}')"))
    });
    let mut sql = empty(kind);
    for (table, rows) in [
        ("items", items.collect::<Vec<_>>()),
        ("shelves", shelves.collect()),
    ] {
        for rows in rows.chunks(500) {
            sql.push_str(&format!("insert into {table} values {};", rows.join(", ")));
        }
    }
    sql
}

/// The statements after which each write of a row is noted.
pub(super) fn log(kind: Kind) -> String {
    let number = match kind {
        Kind::Postgres => "serial primary key",
        Kind::Sqlite => "integer primary key autoincrement",
        Kind::Mariadb => "int auto_increment primary key",
    };
    let mut sql = format!(
        "create table touched (number {number}, what varchar(10), of_table varchar(10), of_key varchar(50));"
    );
    for Table { name, key } in TABLES {
        for (event, what, row) in [
            ("insert", "added", "new"),
            ("update", "updated", "new"),
            ("delete", "deleted", "old"),
        ] {
            let key = ["id", "region", "number"]
                .iter()
                .fold(key.to_owned(), |key, column| {
                    key.replace(column, &format!("{row}.{column}"))
                });
            // PostgreSQL's triggers fire without a search path.
            let schema = match kind {
                Kind::Postgres => "public.",
                Kind::Sqlite | Kind::Mariadb => "",
            };
            let note = format!(
                "insert into {schema}touched (what, of_table, of_key) values ('{what}', '{name}', {key})"
            );
            let begin =
                format!("create trigger {name}_{event} after {event} on {name} for each row");
            sql.push_str(&match kind {
                Kind::Postgres => format!(
                    "create function {name}_{event}() returns trigger language plpgsql as
                    $$ begin {note}; return null; end $$;
                    {begin} execute function {name}_{event}();"
                ),
                Kind::Sqlite => format!("{begin} begin {note}; end;"),
                Kind::Mariadb => format!("{begin} {note};"),
            });
        }
    }
    sql
}
