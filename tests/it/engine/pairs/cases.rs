//! The types, their edge values, and the types they are sent to.

mod mariadb;
mod postgres;
mod sqlite;

use crate::support::database::Kind;

/// One type of a source.
pub(super) struct Case {
    /// As it is declared.
    pub(super) source: &'static str,
    /// As SQL writes them.
    pub(super) values: &'static [&'static str],
    /// Types of destinations made by hand.
    pub(super) postgres: &'static [&'static str],
    pub(super) sqlite: &'static [&'static str],
    pub(super) mariadb: &'static [&'static str],
}

const fn case(
    source: &'static str,
    values: &'static [&'static str],
    postgres: &'static [&'static str],
    sqlite: &'static [&'static str],
    mariadb: &'static [&'static str],
) -> Case {
    Case {
        source,
        values,
        postgres,
        sqlite,
        mariadb,
    }
}

/// The source's types in groups that each make one table.
pub(super) fn cases(from: Kind) -> [&'static [Case]; 2] {
    match from {
        Kind::Postgres => [postgres::PLAIN, postgres::OTHER],
        Kind::Sqlite => [sqlite::PLAIN, sqlite::OTHER],
        Kind::Mariadb => [mariadb::PLAIN, mariadb::OTHER],
    }
}

/// What has to be there before the tables.
pub(super) fn prelude(kind: Kind) -> &'static str {
    match kind {
        Kind::Postgres => {
            "create extension citext; create type mood as enum ('sad', 'o k');
             create domain cents as numeric(12,2) check (value >= 0);
             create domain code as char(4);"
        }
        Kind::Sqlite | Kind::Mariadb => "",
    }
}

const TEXTS: &[&str] = &[
    "''",
    "'a'",
    "'A'",
    "'a '",
    "' a'",
    "'   '",
    "'007'",
    "'1e5'",
    "'1.0'",
    "'inf'",
    "'null'",
    "'true'",
    "'é'",
    "'e\u{301}'",
    "'😀😀'",
    "'\"q'' \\n \\\\'",
    "'tab\tline\nend\r\n'",
    "'abcdefghij'",
    "'{\"a\": 1}'",
    "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'",
    "'2024-01-01'",
    "null",
];

const MOMENTS: &[&str] = &[
    "'2024-02-29 23:59:59.999999'",
    "'1969-12-31 23:59:59.000001'",
    "'1999-12-31 23:59:59.9'",
    "'2000-01-01 00:00:00'",
    "'0001-01-01 00:00:00'",
    "'2024-01-01 10:00:00.123'",
    "'2024-01-01 10:00:00.1234'",
    "'infinity'",
    "'-infinity'",
];

const JSONS: &[&str] = &[
    "'{\"b\":1,\"a\":2}'",
    "'{\"a\":1,\"a\":2}'",
    "'{\"x\":[{\"a\":1,\"a\":1}]}'",
    "'{\"a\":1,\"\\u0061\":2}'",
    "'1'",
    "'1.0'",
    "'1e2'",
    "'-0'",
    "'12345678901234567890.123456789'",
    "' [1, 2 ] '",
    "'null'",
    "'\"\\u0000\"'",
    "'\"\\ud83d\\ude00\"'",
    "'\"é\"'",
    "'true'",
    "'\"\"'",
    "null",
];
