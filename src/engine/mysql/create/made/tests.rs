//! Types for columns of every kind, alone, in keys and together.

use crate::engine::driver::NewTable;
use crate::engine::mysql::create::made::{Server, columns};
use crate::model::fixture;
use crate::model::table::{Column, Engine, NeutralType, Table};

const MARIADB: Server = Server {
    mariadb: true,
    version: (10, 11),
    lower_case: false,
};

fn column(name: &str, kind: NeutralType, native: &str) -> Column {
    Column {
        native: native.to_owned(),
        ..fixture::column(name, kind)
    }
}

fn table(columns: Vec<Column>, key: &[&str]) -> Table {
    fixture::table("t", columns, key)
}

/// The native type of one column, and what is told of it.
fn made(column: Column, source: Engine, server: Server, key: bool) -> (String, Vec<String>) {
    let name = column.name.clone();
    let key: Vec<&str> = if key { vec![name.as_str()] } else { vec![] };
    let table = table(vec![column], &key);
    let mut made = columns(&NewTable { table, source }, server).unwrap();
    (made.natives.remove(&name).unwrap(), made.left_out)
}

#[test]
fn every_kind_has_a_type() {
    use NeutralType::{
        Bool, Bytea, Date, Float4, Float8, Int2, Int4, Int8, Json, Jsonb, Numeric, Other, Text,
        Time, Timestamp, Timestamptz, Uuid,
    };
    let old = Server {
        version: (10, 6),
        ..MARIADB
    };
    let mysql = Server {
        mariadb: false,
        version: (8, 4),
        lower_case: false,
    };
    let ascii = "char(36) character set ascii collate ascii_general_ci";
    for (kind, native, source, server, alone, in_key) in [
        (
            Bool,
            "boolean",
            Engine::Postgres,
            MARIADB,
            "tinyint(1)",
            "tinyint(1)",
        ),
        (
            Int2,
            "smallint",
            Engine::Postgres,
            MARIADB,
            "smallint",
            "smallint",
        ),
        (Int4, "mediumint(9)", Engine::Mysql, MARIADB, "int", "int"),
        (
            Int8,
            "bigint",
            Engine::Postgres,
            MARIADB,
            "bigint",
            "bigint",
        ),
        (Float4, "real", Engine::Postgres, MARIADB, "float", "float"),
        (Float8, "real", Engine::Sqlite, MARIADB, "double", "double"),
        (
            Text,
            "text",
            Engine::Postgres,
            MARIADB,
            "longtext",
            "varchar(255)",
        ),
        (
            Bytea,
            "bytea",
            Engine::Postgres,
            MARIADB,
            "longblob",
            "varbinary(255)",
        ),
        (Date, "date", Engine::Postgres, MARIADB, "date", "date"),
        (
            Time,
            "time(3)",
            Engine::Postgres,
            MARIADB,
            "time(6)",
            "time(6)",
        ),
        (
            Timestamp,
            "datetime",
            Engine::Sqlite,
            MARIADB,
            "datetime(6)",
            "datetime(6)",
        ),
        (
            Timestamptz,
            "timestamptz",
            Engine::Postgres,
            MARIADB,
            "datetime(6)",
            "datetime(6)",
        ),
        (Uuid, "uuid", Engine::Postgres, MARIADB, "uuid", "uuid"),
        (Uuid, "uuid", Engine::Postgres, old, ascii, ascii),
        (Uuid, "uuid", Engine::Postgres, mysql, ascii, ascii),
        (Json, "json", Engine::Postgres, MARIADB, "json", "json"),
        (Jsonb, "jsonb", Engine::Postgres, mysql, "json", "json"),
        (
            Other,
            "int4range",
            Engine::Postgres,
            MARIADB,
            "longtext",
            "varchar(255)",
        ),
        (
            Other,
            "point",
            Engine::Postgres,
            MARIADB,
            "longtext",
            "longtext",
        ),
        (Other, "point", Engine::Mysql, MARIADB, "point", "point"),
        (
            Other,
            "geomcollection",
            Engine::Mysql,
            MARIADB,
            "geometrycollection",
            "geometrycollection",
        ),
        (Other, "bit(9)", Engine::Mysql, MARIADB, "bit(9)", "bit(9)"),
        (
            Other,
            "bit(9)",
            Engine::Postgres,
            MARIADB,
            "longtext",
            "varchar(255)",
        ),
        (Other, "inet6", Engine::Mysql, MARIADB, "inet6", "inet6"),
        (
            Other,
            "inet4",
            Engine::Mysql,
            old,
            "longtext",
            "varchar(255)",
        ),
        (
            Other,
            "inet6",
            Engine::Mysql,
            mysql,
            "longtext",
            "varchar(255)",
        ),
        (
            Other,
            "enum('a','b')",
            Engine::Mysql,
            MARIADB,
            "longtext",
            "varchar(255)",
        ),
        (
            Numeric,
            "bigint(20) unsigned",
            Engine::Mysql,
            MARIADB,
            "bigint unsigned",
            "bigint unsigned",
        ),
        (
            Numeric,
            "bigint(20) unsigned",
            Engine::Sqlite,
            MARIADB,
            "decimal(65,30)",
            "decimal(65,30)",
        ),
    ] {
        for (key, expected) in [(false, alone), (true, in_key)] {
            let (found, _) = made(column("c", kind, native), source, server, key);
            assert_eq!(found, expected, "{native} of {source}, in a key: {key}");
        }
    }
}

#[test]
fn a_stranger_s_type_is_never_more_than_a_word_of_this_program() {
    for native in [
        "point); drop table t; --",
        "bit(9); drop table t",
        "bit(99)",
        "enum('a') default (sleep(9))",
        "inet6 x",
    ] {
        let (found, told) = made(
            column("c", NeutralType::Other, native),
            Engine::Mysql,
            MARIADB,
            false,
        );
        let words = ["longtext", "point", "inet6"];
        assert!(words.contains(&found.as_str()), "{native}: {found}");
        assert!(found != "longtext" || told.len() == 1);
    }
}

#[test]
fn digits_are_kept_or_the_table_is_refused_by_its_column() {
    let number = |precision, scale| Column {
        precision,
        scale,
        ..column("total", NeutralType::Numeric, "numeric")
    };
    for (precision, scale, expected) in [
        (Some(12), Some(2), "decimal(12,2)"),
        (Some(65), Some(30), "decimal(65,30)"),
        (Some(3), Some(5), "decimal(5,5)"),
        (Some(8), None, "decimal(8,0)"),
        (None, None, "decimal(65,30)"),
    ] {
        let (found, told) = made(number(precision, scale), Engine::Postgres, MARIADB, false);
        assert_eq!(found, expected);
        assert_eq!(told.len(), usize::from(precision.is_none()));
    }
    for (precision, scale) in [(66, 2), (40, 31)] {
        let new = NewTable {
            table: table(vec![number(Some(precision), Some(scale))], &[]),
            source: Engine::Postgres,
        };
        let reason = columns(&new, MARIADB).unwrap_err();
        assert!(reason.contains("column total"), "{reason}");
    }
}

#[test]
fn lengths_are_kept_as_far_as_keys_and_rows_have_room() {
    let text = |name: &str, length| Column {
        length: Some(length),
        ..column(name, NeutralType::Text, "varchar")
    };
    for (length, key, expected, told) in [
        (40, false, "varchar(40)", 0),
        (40, true, "varchar(40)", 0),
        (300, true, "varchar(255)", 1),
        (10_000, false, "varchar(10000)", 0),
        (20_000, false, "longtext", 1),
    ] {
        let (found, words) = made(text("c", length), Engine::Postgres, MARIADB, key);
        assert_eq!(
            (found.as_str(), words.len()),
            (expected, told),
            "{length} {words:?}"
        );
    }
    // Together they are too long for a row: the longest goes.
    let wide = table(vec![text("a", 9_000), text("b", 8_000), text("c", 5)], &[]);
    let source = Engine::Postgres;
    let found = columns(
        &NewTable {
            table: wide,
            source,
        },
        MARIADB,
    )
    .unwrap();
    assert_eq!(found.natives["a"], "longtext");
    assert_eq!(found.natives["b"], "varchar(8000)");
    // Five texts share the room of a key.
    let names = ["a", "b", "c", "d", "e"];
    let shared = names
        .map(|name| column(name, NeutralType::Text, "text"))
        .to_vec();
    let new = NewTable {
        table: table(shared, &names),
        source,
    };
    assert_eq!(columns(&new, MARIADB).unwrap().natives["a"], "varchar(153)");
}
