//! A site's database of any engine, asked by the same words; nothing of the code under test takes part.

use std::path::PathBuf;

use tempfile::TempDir;

use super::flights::{self, Part};
use super::{cleanup, mariadb, postgres, sqlite};

/// A kind of database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// On the shared PostgreSQL server.
    Postgres,
    /// A file of its own.
    Sqlite,
    /// On the shared MariaDB server.
    Mariadb,
}

/// Every kind.
pub const KINDS: [Kind; 3] = [Kind::Postgres, Kind::Sqlite, Kind::Mariadb];

/// Pairs in which each kind gives once and takes once, for what no pair does differently.
pub const CHAIN: [(Kind, Kind); 3] = [
    (Kind::Postgres, Kind::Sqlite),
    (Kind::Sqlite, Kind::Mariadb),
    (Kind::Mariadb, Kind::Postgres),
];

/// Lets MariaDB take the SQL that the others take; what it cannot store is an error.
const STANDARD: &str =
    "set sql_mode = 'ANSI_QUOTES,PIPES_AS_CONCAT,NO_BACKSLASH_ESCAPES,STRICT_ALL_TABLES';";

/// A database of a test.
pub enum Database {
    /// Its URL.
    Postgres(String),
    /// The folder with `site.db`.
    Sqlite(TempDir),
    /// Its URL.
    Mariadb(String),
}

impl Database {
    /// An empty one.
    pub fn empty(kind: Kind) -> Self {
        match kind {
            Kind::Postgres => Self::Postgres(postgres::shared().database()),
            Kind::Sqlite => {
                let database = Self::Sqlite(folder());
                database.execute("select 1");
                database
            }
            Kind::Mariadb => {
                let database = Self::Mariadb(mariadb::shared().database());
                // Texts are equal when their bytes are, as in the other two.
                database.execute("alter database default collate utf8mb4_nopad_bin");
                database
            }
        }
    }

    /// One that holds what these statements make.
    pub fn with(kind: Kind, sql: &str) -> Self {
        let database = Self::empty(kind);
        database.execute(sql);
        database
    }

    /// One with flights of 2013 and their companions; in MariaDB those of January, whatever `part` says.
    pub fn flights(kind: Kind, part: Part) -> Self {
        match kind {
            Kind::Postgres => Self::Postgres(flights::postgres_database(part)),
            Kind::Sqlite => {
                let folder = folder();
                flights::sqlite_database(&folder.path().join("site.db"), part);
                Self::Sqlite(folder)
            }
            Kind::Mariadb => Self::Mariadb(flights::mariadb_database()),
        }
    }

    /// Which kind it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Postgres(_) => Kind::Postgres,
            Self::Sqlite(_) => Kind::Sqlite,
            Self::Mariadb(_) => Kind::Mariadb,
        }
    }

    /// As `site.database` names it.
    pub fn url(&self) -> String {
        match self {
            Self::Postgres(url) | Self::Mariadb(url) => url.clone(),
            Self::Sqlite(folder) => format!("sqlite://{}", path(folder).display()),
        }
    }

    /// Runs statements and forgets what they return.
    pub fn execute(&self, sql: &str) {
        match self {
            Self::Postgres(url) => drop(postgres::query(url, sql)),
            Self::Sqlite(folder) => sqlite::execute(&path(folder), sql),
            Self::Mariadb(url) => drop(mariadb::query(url, &format!("{STANDARD}{sql}"))),
        }
    }

    /// Runs one query: a line per row, `|` between columns, NULL as nothing.
    pub fn query(&self, sql: &str) -> String {
        match self {
            Self::Postgres(url) => postgres::query(url, sql),
            Self::Sqlite(folder) => sqlite::query(&path(folder), sql),
            Self::Mariadb(url) => mariadb::query(url, &format!("{STANDARD}{sql}")),
        }
    }

    /// How many rows `table` has.
    pub fn count(&self, table: &str) -> u64 {
        let count = self.query(&format!("select count(*) from {table}"));
        count.parse().expect("a count")
    }

    /// The columns of the primary key of `table`, as `a, b`, by the database's catalogue.
    pub fn primary_key(&self, table: &str) -> String {
        self.query(&match self {
            Self::Postgres(_) => format!(
                "select string_agg(a.attname, ', ' order by k.at)
                 from pg_index i
                 cross join unnest(i.indkey) with ordinality k(number, at)
                 join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.number
                 where i.indrelid = '{table}'::regclass and i.indisprimary"
            ),
            Self::Sqlite(_) => format!(
                "select group_concat(name, ', ')
                 from (select name from pragma_table_info('{table}') where pk > 0 order by pk)"
            ),
            Self::Mariadb(_) => format!(
                "select group_concat(column_name order by seq_in_index separator ', ')
                 from information_schema.statistics
                 where table_schema = database() and table_name = '{table}' and index_name = 'PRIMARY'"
            ),
        })
    }

    /// The single-column foreign keys of `table`, as lines `column parent (column)`, by the database's catalogue.
    pub fn foreign_keys(&self, table: &str) -> String {
        self.query(&match self {
            Self::Postgres(_) => format!(
                "select a.attname || ' ' || c.confrelid::regclass || ' (' || f.attname || ')'
                 from pg_constraint c
                 join pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[1]
                 join pg_attribute f on f.attrelid = c.confrelid and f.attnum = c.confkey[1]
                 where c.contype = 'f' and c.conrelid = '{table}'::regclass
                 order by 1"
            ),
            Self::Sqlite(_) => format!(
                "select \"from\" || ' ' || \"table\" || ' (' || \"to\" || ')'
                 from pragma_foreign_key_list('{table}')
                 order by 1"
            ),
            Self::Mariadb(_) => format!(
                "select concat(column_name, ' ', referenced_table_name, ' (', referenced_column_name, ')')
                 from information_schema.key_column_usage
                 where table_schema = database() and table_name = '{table}' and referenced_table_name is not null
                 order by 1"
            ),
        })
    }

    /// Name and type of the columns of `table`, as lines `name type`, by the database's catalogue.
    pub fn column_types(&self, table: &str) -> String {
        self.query(&match self {
            Self::Postgres(_) => format!(
                "select attname || ' ' || format_type(atttypid, atttypmod)
                 from pg_attribute
                 where attrelid = '{table}'::regclass and attnum > 0 and not attisdropped
                 order by attnum"
            ),
            Self::Sqlite(_) => {
                format!("select name || ' ' || type from pragma_table_info('{table}') order by cid")
            }
            Self::Mariadb(_) => format!(
                "select concat(column_name, ' ', column_type)
                 from information_schema.columns
                 where table_schema = database() and table_name = '{table}'
                 order by ordinal_position"
            ),
        })
    }
}

fn folder() -> TempDir {
    let folder = tempfile::Builder::new()
        .prefix("evenkeel-database-")
        .tempdir()
        .expect("a temporary folder");
    cleanup::folder(folder.path());
    folder
}

fn path(folder: &TempDir) -> PathBuf {
    folder.path().join("site.db")
}
