//! What the database would change without an error: refused by table, key and column, or stored exactly.

use evenkeel::model::table::NeutralType;
use evenkeel::wire::{datetime, numeric};

use super::database;
use crate::engine::work::{apply, counts, fields, job, table};
use crate::support::mariadb;

fn text(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

fn moment(text: &str) -> Vec<u8> {
    datetime::timestamp_from_text(text, false).unwrap().to_vec()
}

/// Column, its kind, a value the column would change or cannot hold, and one it keeps.
fn cases() -> Vec<(&'static str, NeutralType, Vec<u8>, Vec<u8>)> {
    use NeutralType::{
        Bytea, Date, Float4, Float8, Int2, Int4, Json, Numeric, Other, Text, Time, Timestamp,
        Timestamptz, Uuid,
    };
    let number = |text: &str| numeric::encode(text).unwrap();
    let int2 = |number: i16| number.to_be_bytes().to_vec();
    let int4 = |number: i32| number.to_be_bytes().to_vec();
    let float = |number: f32| number.to_be_bytes().to_vec();
    let double = |number: f64| number.to_be_bytes().to_vec();
    let time = |text: &str| datetime::time_from_text(text).unwrap().to_vec();
    let date = |text: &str| datetime::date_from_text(text).unwrap().to_vec();
    let uuid = |text: &str| uuid::Uuid::parse_str(text).unwrap().as_bytes().to_vec();
    let long = |letters: usize, after: &str| text(&format!("{}{after}", "x".repeat(letters)));
    vec![
        ("char(5)", Text, text("ab "), text(" ab")),
        ("char(5)", Text, text("abcdef"), text("größe")),
        ("varchar(3)", Text, text("abc  "), text("ab ")),
        ("varchar(3)", Text, text("abcd"), text("ü😀ü")),
        (
            "varchar(3) character set latin1",
            Text,
            text("☃"),
            text("€"),
        ),
        (
            "varchar(3) character set utf8mb3",
            Text,
            text("😀"),
            text("☃"),
        ),
        ("varchar(3) character set ascii", Text, text("ü"), text("u")),
        ("varchar(3) character set sjis", Text, text("ü"), text("漢")),
        ("tinytext", Text, long(255, " "), long(254, " ")),
        ("tinytext", Text, long(256, ""), long(255, "")),
        ("text", Text, long(65_535, "  "), long(65_535, "")),
        ("binary(4)", Bytea, text("abc"), text("abcd")),
        ("varbinary(4)", Bytea, text("abcd "), text("abc ")),
        ("tinyblob", Bytea, long(255, " "), long(255, "")),
        ("decimal(5,2)", Numeric, number("1.005"), number("1.00")),
        ("decimal(5,2)", Numeric, number("1000"), number("-999.99")),
        (
            "decimal(5,2) unsigned",
            Numeric,
            number("-1"),
            number("1.00"),
        ),
        (
            "bigint unsigned",
            Numeric,
            number("18446744073709551616"),
            number("18446744073709551615"),
        ),
        ("tinyint", Int2, int2(128), int2(-128)),
        ("smallint unsigned", Int4, int4(-1), int4(65_535)),
        ("mediumint", Int4, int4(8_388_608), int4(8_388_607)),
        ("year", Int2, int2(5), int2(2005)),
        ("float", Float4, float(f32::NAN), float(f32::MAX)),
        ("float", Float4, float(-0.0), float(0.0)),
        ("float(7,3)", Float4, float(1.2345), float(1.0)),
        ("double", Float8, double(-0.0), double(5e-324)),
        ("double(7,3)", Float8, double(1.2345), double(1.25)),
        (
            "datetime(3)",
            Timestamp,
            moment("2024-01-01 00:00:00.0001"),
            moment("2024-01-01 00:00:00.001"),
        ),
        (
            "datetime",
            Timestamp,
            moment("2024-01-01 00:00:00.6"),
            moment("2024-01-01 00:00:00"),
        ),
        (
            "datetime(6)",
            Timestamp,
            moment("2024-01-01 00:00:00 BC"),
            moment("0001-01-01 00:00:00"),
        ),
        (
            "datetime(6)",
            Timestamp,
            moment("10000-01-01 00:00:00"),
            moment("9999-12-31 23:59:59.999999"),
        ),
        (
            "datetime(6)",
            Timestamp,
            moment("infinity"),
            moment("2024-02-29 00:00:00"),
        ),
        (
            "timestamp(6)",
            Timestamptz,
            moment("2038-01-19 03:14:08"),
            moment("2038-01-19 03:14:07.999999"),
        ),
        (
            "timestamp(6)",
            Timestamptz,
            moment("1970-01-01 00:00:00"),
            moment("1970-01-01 00:00:00.000001"),
        ),
        (
            "timestamp",
            Timestamptz,
            moment("2024-01-01 00:00:00.5"),
            moment("2024-01-01 00:00:00"),
        ),
        ("time(3)", Time, time("10:00:00.0001"), time("10:00:00.001")),
        ("date", Date, date("0001-12-31 BC"), date("0001-01-01")),
        ("enum('a','b','0')", Other, text("1"), text("0")),
        ("enum('a','b')", Other, text(""), text("b")),
        ("enum('a','b')", Other, text("A"), text("a")),
        ("set('a','b','c')", Other, text("c,a"), text("a,c")),
        ("set('a','b','c')", Other, text("3"), text("")),
        ("bit(9)", Other, text("101"), text("000000101")),
        ("inet6", Other, text("0:0:0:0:0:0:0:1"), text("::1")),
        ("json", Json, text("{no"), text("{\"b\":1, \"a\":1.00}")),
        (
            "uuid",
            Uuid,
            uuid("eccbc87e-4b5c-e2fe-2830-8fd9f2a7baf3"),
            uuid("eccbc87e-4b5c-42fe-a830-8fd9f2a7baf3"),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_is_kept_or_refused_by_key_and_column_in_an_empty_table_and_a_full_one() {
    let key = |id: i32| Some(id.to_be_bytes().to_vec());
    for (native, kind, changed, kept) in cases() {
        for before in ["", "insert into t values (1, null), (2, null)"] {
            let (url, site) = database(&format!(
                "create table t (id int primary key, v {native} null); {before}"
            ));
            let found = table(&site, "t").await;
            assert_eq!(found.columns[1].kind, kind, "{native}");
            let incoming = [
                vec![key(1), Some(changed.clone())],
                vec![key(2), Some(kept.clone())],
            ];
            let applied = apply(&site, job(&found, 10), fields(&incoming, 2))
                .await
                .unwrap();
            let keys: Vec<_> = applied.rejected.iter().map(|row| row.key.clone()).collect();
            assert_eq!(keys, [serde_json::json!({"id": "1"})], "{native} {before}");
            let row = &applied.rejected[0];
            // A check of MariaDB's json names its column by another word.
            let named = row.column.as_deref() == Some("v")
                || row.reason.contains("`t.v`")
                || row.reason.contains("t.v");
            assert!(named, "{native}: {row:?}");
            let rest =
                "select coalesce(group_concat(id), '') from t where id = 1 and v is not null";
            assert_eq!(mariadb::query(&url, rest), "", "{native}");
            // What was kept is kept to the byte: it comes again and nothing changes.
            let again = apply(&site, job(&found, 10), fields(&incoming[1..], 2))
                .await
                .unwrap();
            assert_eq!(
                (counts(&again), again.rejected.len()),
                ((0, 0, 0, 0), 0),
                "{native}: {:?}",
                again.rejected
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn null_is_never_replaced_by_what_the_column_makes_up() {
    let key = |id: i32| Some(id.to_be_bytes().to_vec());
    for native in [
        "timestamp not null default current_timestamp",
        "int not null auto_increment unique",
        "int not null default 5",
        "varchar(9) not null",
    ] {
        let (url, site) = database(&format!("create table t (id int primary key, v {native})"));
        let found = table(&site, "t").await;
        let incoming = [vec![key(1), None], vec![key(2), None]];
        let applied = apply(&site, job(&found, 10), fields(&incoming, 2))
            .await
            .unwrap();
        assert_eq!(applied.rejected.len(), 2, "{native}");
        assert_eq!(applied.rejected[0].column.as_deref(), Some("v"), "{native}");
        assert_eq!(mariadb::query(&url, "select count(*) from t"), "0");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn values_the_database_calls_equal_but_that_look_different_are_updates() {
    let number = |number: f64| Some(number.to_be_bytes().to_vec());
    let (url, site) = database(
        "create table t (id int primary key, s varchar(9) collate utf8mb4_general_ci, j json, f double);
         insert into t values (1, 'a', '1', 0), (2, 'a', '1', 0), (3, 'a', '1', 0), (4, 'a', '1', 0)",
    );
    let row = |id: i32, s: &str, j: &str, f: f64| {
        vec![
            Some(id.to_be_bytes().to_vec()),
            Some(text(s)),
            Some(text(j)),
            number(f),
        ]
    };
    let incoming = [
        row(1, "a ", "1", 0.0),
        row(2, "A", "1", 0.0),
        row(3, "a", "1 ", 0.0),
        row(4, "a", "1", 5e-324),
    ];
    let found = table(&site, "t").await;
    for expected in [(0, 4, 0, 0), (0, 0, 0, 0)] {
        let applied = apply(&site, job(&found, 10), fields(&incoming, 4))
            .await
            .unwrap();
        assert_eq!(counts(&applied), expected);
    }
    assert_eq!(
        mariadb::query(&url, "select count(*) from t where s = 'a'"),
        "4"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_local_value_that_is_no_value_is_replaced() {
    let (url, site) = database(
        "create table t (id int primary key, d date, b tinyint(1)); set sql_mode = '';
         insert into t values (1, '0000-00-00', 1), (2, '2024-01-00', 7)",
    );
    let date = datetime::date_from_text("2024-01-01").unwrap().to_vec();
    let row = |id: i32| {
        vec![
            Some(id.to_be_bytes().to_vec()),
            Some(date.clone()),
            Some(vec![1]),
        ]
    };
    let found = table(&site, "t").await;
    let incoming = [row(1), row(2)];
    let applied = apply(&site, job(&found, 10), fields(&incoming, 2))
        .await
        .unwrap();
    assert_eq!(counts(&applied), (0, 2, 0, 0));
    assert_eq!(
        mariadb::query(&url, "select * from t order by id"),
        "1|2024-01-01|1\n2|2024-01-01|1"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_its_column_cannot_hold_is_refused_alone() {
    for before in ["", "insert into t values ('here', 1)"] {
        let (url, site) = database(&format!(
            "create table t (id varchar(9) character set latin1 primary key, v int); {before}"
        ));
        let found = table(&site, "t").await;
        let incoming = ["☃", "ok", "é"].map(|key| vec![Some(text(key)), None]);
        let applied = apply(&site, job(&found, 10), fields(&incoming, 3))
            .await
            .unwrap();
        assert_eq!(
            (counts(&applied), applied.rejected.len()),
            ((2, 0, 0, 0), 1)
        );
        assert_eq!(applied.rejected[0].key, serde_json::json!({"id": "☃"}));
        let reason = &applied.rejected[0].reason;
        assert!(reason.contains("character set"), "{reason}");
        assert_eq!(
            mariadb::query(&url, "select count(*) from t where v is null"),
            "2"
        );
    }
}
