//! Rows by their keys: exactly those that were asked for, whatever the key's type and the database's idea of equal.

use std::collections::BTreeSet;

use bytes::Bytes;
use evenkeel::engine::driver::{Driver, RowFilter, Selection};
use evenkeel::model::table::{NeutralType, Table};
use evenkeel::wire::row::{RowBatch, RowWriter, split_tuple};

use crate::engine::work::{collect, everything, open, table};
use crate::support::database::{Database, KINDS, Kind};

/// A type that can be a key, and keys of it as SQL writes them; no two are the same for any index.
type Keys = (&'static str, &'static [&'static str]);

const POSTGRES: &[Keys] = &[
    ("boolean", &["true", "false"]),
    ("smallint", &["-32768", "0", "32767"]),
    ("integer", &["-7", "0", "2147483647"]),
    ("bigint", &["-9223372036854775808", "5"]),
    (
        "real",
        &["'NaN'", "'-Infinity'", "0.1", "1e-45", "16777217"],
    ),
    ("float8", &["'NaN'", "'Infinity'", "0.1", "5e-324", "1e22"]),
    (
        "numeric",
        &["'NaN'", "0.1", "1.00", "-12.340", "1e30", "1e-20"],
    ),
    ("numeric(12,2)", &["0.10", "-1.00"]),
    ("numeric(6,-2)", &["1200"]),
    (
        "text",
        &[
            "''",
            "'a'",
            "'A'",
            "'a '",
            "'ä'",
            "E'a\\u0308'",
            "'it''s \"\\\\ {x},y'",
            "'null'",
        ],
    ),
    ("varchar(9)", &["'a'", "'A'", "'a '"]),
    ("text collate \"de-x-icu\"", &["'a'", "'A'"]),
    ("char(5)", &["'a'", "'A'", "'  b'"]),
    ("bpchar", &["'a'", "'b '"]),
    ("email", &["'a'", "'A '"]),
    ("name", &["'a'", "'A'"]),
    ("bytea", &["'\\x'", "'\\x00ff'", "'a'"]),
    ("date", &["'0044-03-15 BC'", "'1969-12-31'", "'infinity'"]),
    ("time", &["'00:00'", "'24:00'", "'12:34:56.789012'"]),
    (
        "timestamp",
        &[
            "'0044-03-15 12:00 BC'",
            "'2013-01-01 00:00:00.000001'",
            "'-infinity'",
        ],
    ),
    ("timestamptz", &["'2013-01-01 00:00+02'", "'infinity'"]),
    (
        "uuid",
        &[
            "'ABABABAB-abab-abab-abab-abababababab'",
            "'00000000-0000-0000-0000-000000000000'",
        ],
    ),
    ("jsonb", &["'{\"a\": 1.0}'", "'null'", "'[1, 2]'"]),
    ("inet", &["'::1'", "'10.0.0.0/8'"]),
    ("mood", &["'sad'", "'so so'"]),
    ("int[]", &["'{1,2}'", "'{}'"]),
    ("interval", &["'1 day'", "'1 mon -3 hours'"]),
    ("int4range", &["'[1,5)'", "'empty'"]),
];

const SQLITE: &[Keys] = &[
    ("boolean", &["0", "1"]),
    ("smallint", &["-32768", "7"]),
    ("integer", &["-9223372036854775808", "7"]),
    ("real", &["0.1", "-3.0", "1e300"]),
    ("float4", &["0.5", "0.1"]),
    ("decimal(12,2)", &["0.1", "12", "-7.25"]),
    (
        "decimal text",
        &["'0.10'", "'1'", "'123456789012345678901234567890.5'"],
    ),
    ("decimal text(20,2)", &["'1.5'", "'2.50'", "'7'"]),
    ("text", &["''", "'a'", "'A'", "'a '", "'ä'"]),
    ("text collate nocase", &["'a'", "'B'"]),
    ("text collate rtrim", &["'a'", "'b '"]),
    ("blob", &["x''", "x'00ff'"]),
    ("date", &["'2013-01-01'", "'1969-12-31'"]),
    (
        "datetime",
        &[
            "'2013-01-01 00:00:00'",
            "'2013-01-01T00:00:01'",
            "'2013-01-01 00:00:02.000001'",
        ],
    ),
    (
        "timestamptz",
        &["'2013-01-01 02:00:00+02:00'", "'2013-01-01T00:00:01Z'"],
    ),
    ("time", &["'12:34:56'", "'12:34:56.789012'"]),
    (
        "uuid",
        &[
            "'ABABABAB-abab-abab-abab-abababababab'",
            "x'00000000000000000000000000000007'",
        ],
    ),
    ("json", &["'{\"a\": 1}'", "'7'"]),
    ("geometry", &["'a'", "'B'"]),
];

const MARIADB: &[Keys] = &[
    ("tinyint(1)", &["0", "1"]),
    ("bit(1)", &["b'0'", "b'1'"]),
    ("tinyint unsigned", &["0", "255"]),
    ("smallint", &["-32768", "7"]),
    ("mediumint unsigned", &["16777215"]),
    ("int", &["-7", "2147483647"]),
    ("int unsigned", &["4294967295"]),
    ("bigint", &["-9223372036854775808", "7"]),
    ("bigint unsigned", &["18446744073709551615", "7"]),
    ("float", &["0.1", "16777217", "-3"]),
    ("double", &["0.1", "1e300", "5e-324"]),
    (
        "decimal(30,10)",
        &["0.1", "12345678901234567890.0123456789"],
    ),
    (
        "varchar(9) collate utf8mb4_nopad_bin",
        &["''", "'a'", "'A'", "'a '", "'ä'", "'it''s \\'"],
    ),
    (
        "varchar(9) collate utf8mb4_general_ci",
        &["'a'", "'B'", "'c '"],
    ),
    ("varchar(9) character set latin1", &["'a'", "'ß'"]),
    ("char(5) collate utf8mb4_bin", &["'a'", "'A'"]),
    ("varbinary(9)", &["x''", "x'00ff'", "'a'", "'a '"]),
    ("binary(3)", &["x'000000'", "'abc'"]),
    ("date", &["'2013-01-01'", "'1000-01-01'"]),
    ("time(6)", &["'00:00:00'", "'12:34:56.789012'"]),
    (
        "datetime(6)",
        &["'2013-01-01 00:00:00.000001'", "'1969-12-31'"],
    ),
    ("timestamp(6)", &["'2013-01-01 00:00:00.5'"]),
    ("year", &["0", "2013"]),
    ("uuid", &["'ABABABAB-abab-abab-abab-abababababab'"]),
    ("enum('a','b c')", &["'a'", "'b c'"]),
    ("set('a','b')", &["'a'", "'a,b'", "''"]),
    ("bit(9)", &["b'101'", "b'111111111'"]),
    ("inet6", &["'::1'", "'::ffff:10.0.0.1'"]),
];

/// Everything of a table that is chosen so.
fn chosen(table: &Table, rows: RowFilter) -> Selection {
    Selection {
        rows,
        ..everything(table)
    }
}

fn by_key(columns: &[&str], keys: Vec<Bytes>) -> RowFilter {
    RowFilter::Keys {
        columns: columns.iter().map(|name| (*name).to_owned()).collect(),
        keys,
    }
}

fn tuples(batches: &[RowBatch]) -> Vec<Bytes> {
    let tuples = batches.iter().flat_map(RowBatch::tuples);
    tuples
        .map(|tuple| Bytes::copy_from_slice(tuple.unwrap()))
        .collect()
}

fn tuple(fields: &[Option<&[u8]>]) -> Bytes {
    let mut writer = RowWriter::default();
    writer.begin(u16::try_from(fields.len()).unwrap());
    for field in fields {
        writer.field(*field);
    }
    writer.take().data
}

/// The fields at `places` of a row.
fn part(row: &[u8], places: &[usize]) -> Bytes {
    let (fields, _) = split_tuple(row).unwrap();
    let fields: Vec<_> = places.iter().map(|&at| fields[at]).collect();
    tuple(&fields)
}

async fn read(driver: &dyn Driver, selection: Selection) -> Vec<Bytes> {
    let words = format!("{selection:?}");
    let stream = driver.read(selection).await;
    tuples(&collect(stream.unwrap_or_else(|err| panic!("{words}: {err}"))).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_every_type_find_their_rows_and_no_others() {
    let prepare = "create domain email as varchar(20); create type mood as enum ('sad', 'so so');";
    let [one, other, third] = [
        (Kind::Postgres, prepare, POSTGRES),
        (Kind::Sqlite, "", SQLITE),
        (Kind::Mariadb, "", MARIADB),
    ]
    .map(|(kind, prepare, cases)| {
        let database = filled(kind, prepare, cases);
        async move { every_type(&database, cases).await }
    });
    tokio::join!(one, other, third);
}

/// A table for each type, with two rows for each key.
fn filled(kind: Kind, prepare: &str, cases: &[Keys]) -> Database {
    let mut script = format!("{prepare} begin;");
    for (at, (native, keys)) in cases.iter().enumerate() {
        // Composite, so that the part in front and the part behind both have to be right.
        script.push_str(&format!(
            "create table t{at} (part int not null, k {native} not null, note text, primary key (k, part));\n"
        ));
        for (number, key) in keys.iter().enumerate() {
            for part in 0..2 {
                script.push_str(&format!(
                    "insert into t{at} values ({part}, {key}, 'row {number}');\n"
                ));
            }
        }
    }
    script.push_str("commit");
    Database::with(kind, &script)
}

async fn every_type(database: &Database, cases: &[Keys]) {
    let kind = database.kind();
    let driver = open(&database.url()).await;
    for (at, (native, keys)) in cases.iter().enumerate() {
        let words = format!("{kind:?} {native}");
        let found = table(&*driver, &format!("t{at}")).await;
        let all = read(&*driver, everything(&found)).await;
        assert_eq!(all.len(), 2 * keys.len(), "{words}");
        for row in &all {
            let picked = by_key(&["k", "part"], vec![part(row, &[1, 0])]);
            assert_eq!(
                read(&*driver, chosen(&found, picked)).await,
                [row],
                "{words}"
            );
        }
        let every = all.iter().map(|row| part(row, &[1, 0])).collect();
        let mut picked = read(&*driver, chosen(&found, by_key(&["k", "part"], every))).await;
        picked.sort();
        let mut expected = all.clone();
        expected.sort();
        assert_eq!(picked, expected, "{words}");
        // The columns of the key need not be sent, and come in any order.
        let mut selection = chosen(&found, by_key(&["part", "k"], vec![part(&all[0], &[0, 1])]));
        selection.columns.retain(|(name, _)| name == "note");
        assert_eq!(
            read(&*driver, selection).await,
            [part(&all[0], &[2])],
            "{words}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_only_the_index_calls_equal_finds_nothing() {
    for (kind, native, key) in [
        (Kind::Postgres, "bpchar", "a "),
        (Kind::Postgres, "folded_text", "A"),
        (Kind::Sqlite, "text collate nocase", "A"),
        (Kind::Sqlite, "text collate rtrim", "a "),
        (Kind::Mariadb, "varchar(9) collate utf8mb4_general_ci", "A"),
        (Kind::Mariadb, "varchar(9) collate utf8mb4_bin", "a "),
        (Kind::Mariadb, "varchar(9) collate utf8mb4_unicode_ci", "ä"),
    ] {
        let collation = "create collation folding (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
            create domain folded_text as text collate folding;";
        let prepare = if kind == Kind::Postgres {
            collation
        } else {
            ""
        };
        let site = Database::with(
            kind,
            &format!(
                "{prepare} create table t (k {native} primary key); insert into t values ('a'), ('b')"
            ),
        );
        let driver = open(&site.url()).await;
        let found = table(&*driver, "t").await;
        for (key, expected) in [(key, 0), ("a", 1), ("b", 1)] {
            let keys = vec![tuple(&[Some(key.as_bytes())])];
            let picked = read(&*driver, chosen(&found, by_key(&["k"], keys))).await;
            assert_eq!(picked.len(), expected, "{kind:?} {native} {key:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_keys_are_picked_from_a_snapshot_by_the_index() {
    for kind in KINDS {
        let fill = match kind {
            Kind::Mariadb => "insert into t select seq, concat('key ', seq), 'x' from seq_1_to_200000",
            Kind::Postgres => {
                "insert into t select g, 'key ' || g, 'x' from generate_series(1, 200000) g; analyze t"
            }
            Kind::Sqlite => {
                "insert into t with recursive n (id) as (select 1 union all select id + 1 from n where id < 200000)
                 select id, 'key ' || id, 'x' from n"
            }
        };
        let schema =
            "create table t (id int not null, k varchar(40) not null, s text, primary key (k, id))";
        let database = Database::with(kind, &format!("{schema}; {fill}"));
        let driver = open(&database.url()).await;
        let found = table(&*driver, "t").await;
        let snapshot = driver
            .snapshot(std::slice::from_ref(&found.name))
            .await
            .unwrap();
        database.execute("delete from t where id < 100000");
        let wide = found.column("id").unwrap().kind == NeutralType::Int8;
        let key = |id: i32| {
            let text = format!("key {id}");
            let (four, eight) = (id.to_be_bytes(), i64::from(id).to_be_bytes());
            let id: &[u8] = if wide { &eight } else { &four };
            tuple(&[Some(text.as_bytes()), Some(id)])
        };
        let wanted: Vec<i32> = (0..3_000).map(|at| at * 97 + 1).collect();
        let keys = wanted.iter().map(|id| key(*id)).collect();
        let begun = std::time::Instant::now();
        let stream = snapshot
            .read(chosen(&found, by_key(&["k", "id"], keys)))
            .await;
        let picked = tuples(&collect(stream.unwrap()).await);
        let took = begun.elapsed();
        let all = begun_scan(&*snapshot, &found).await;
        println!("{kind:?}: 3000 keys of 200000 rows took {took:?}, all rows {all:?}");
        let picked: BTreeSet<Bytes> = picked.iter().map(|row| part(row, &[1, 0])).collect();
        let there = wanted.iter().filter(|id| **id <= 200_000);
        assert_eq!(picked, there.map(|id| key(*id)).collect(), "{kind:?}");
    }
}

async fn begun_scan(
    snapshot: &dyn evenkeel::engine::driver::Snapshot,
    table: &Table,
) -> std::time::Duration {
    let begun = std::time::Instant::now();
    let all = collect(snapshot.read(everything(table)).await.unwrap()).await;
    assert_eq!(all.iter().map(|batch| batch.rows).sum::<u32>(), 200_000);
    begun.elapsed()
}
