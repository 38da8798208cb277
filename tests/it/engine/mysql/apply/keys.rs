//! Keys: unique values, parents, collations, counters.

use evenkeel::engine::driver::Driver;
use evenkeel::model::table::NeutralType::{Int4, Int8};

use super::{assert_equal, database};
use crate::engine::work::{apply, copy, counts, everything, fields, job, stream, table};
use crate::support::mariadb;

#[tokio::test(flavor = "multi_thread")]
async fn unique_values_may_change_places() {
    // A chain that frees itself, a swap, and a ring of three.
    for incoming in [
        vec![(1, Some("b")), (2, Some("z"))],
        vec![(1, Some("b")), (2, Some("a"))],
        vec![(1, Some("b")), (2, Some("c")), (3, Some("a"))],
    ] {
        let schema = "create table t (id int primary key, s varchar(9) unique)";
        let (url, site) = database(&format!(
            "{schema}; insert into t values (1,'a'),(2,'b'),(3,'c')"
        ));
        for size in [1, 10] {
            mariadb::query(&url, "replace into t values (1,'a'),(2,'b'),(3,'c')");
            let changed = u64::try_from(incoming.len()).unwrap();
            let job = job(&table(&site, "t").await, size);
            let applied = apply(&site, job, stream(Int4, &incoming, 1)).await.unwrap();
            assert_eq!(
                (counts(&applied), applied.rejected.len()),
                ((0, changed, 0, 0), 0),
                "{incoming:?}"
            );
            for (id, text) in &incoming {
                assert_eq!(
                    mariadb::query(&url, &format!("select s from t where id = {id}")),
                    text.unwrap()
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swap_that_cannot_be_refuses_its_rows_and_keeps_the_old_values() {
    let schema = "create table t (id int primary key, s varchar(9) unique)";
    let (url, site) = database(&format!(
        "{schema}; insert into t values (1,'a'),(2,'b'),(3,'taken')"
    ));
    let incoming = [(1, Some("b")), (2, Some("taken")), (4, Some("d"))];
    let applied = apply(
        &site,
        job(&table(&site, "t").await, 10),
        stream(Int4, &incoming, 3),
    )
    .await
    .unwrap();
    assert_eq!(
        (counts(&applied), applied.rejected.len()),
        ((1, 0, 0, 0), 2)
    );
    assert_eq!(applied.rejected[0].reason, "Duplicate entry for key 's'");
    assert_eq!(
        mariadb::query(&url, "select * from t order by id"),
        "1|a\n2|b\n3|taken\n4|d"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_may_point_to_rows_that_come_later() {
    let schema = "create table t (id bigint primary key, s text, parent bigint, foreign key (parent) references t (id))";
    let (url, site) = database(schema);
    let number = |number: i64| Some(number.to_be_bytes().to_vec());
    let incoming: Vec<_> = (1..=3_000)
        .map(|id: i64| {
            let parent = if id < 3_000 { number(id + 1) } else { None };
            vec![number(id), Some(b"x".to_vec()), parent]
        })
        .collect();
    let job = job(&table(&site, "t").await, 100);
    let applied = apply(&site, job, fields(&incoming, 50)).await.unwrap();
    assert_eq!(
        (counts(&applied), applied.rejected.len()),
        ((3_000, 0, 0, 0), 0)
    );
    assert_eq!(mariadb::query(&url, "select count(parent) from t"), "2999");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_fold_match_by_the_destination_s_own_equality() {
    let schema = "create table t (id varchar(9) collate utf8mb4_general_ci primary key, s text)";
    let (_, source) = database(&format!(
        "{schema}; insert into t values ('NEW', 'x'), ('Old', 'y'), ('straße ', 'z')"
    ));
    let (_, site) = database(&format!(
        "{schema}; insert into t values ('old', 'y'), ('STRASE', 'z')"
    ));
    assert_eq!(counts(&copy(&source, &site, "t").await), (1, 2, 0, 0));
    assert_equal(&source, &site, "t").await;
    assert_eq!(counts(&copy(&source, &site, "t").await), (0, 0, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn incoming_keys_that_are_equal_here_do_not_replace_each_other() {
    let exact = "create table t (id varchar(9) collate utf8mb4_nopad_bin primary key, s text)";
    let (_, source) = database(&format!(
        "{exact}; insert into t values ('A', '1'), ('a', '2'), ('a ', '3')"
    ));
    for (before, expected) in [
        ("", (1, 0, 2)),
        ("insert into t values ('b', '')", (1, 0, 2)),
        ("insert into t values ('a', '')", (0, 1, 2)),
    ] {
        for rows in [1, 10] {
            let schema =
                "create table t (id varchar(9) collate utf8mb4_general_ci primary key, s text)";
            let (_, site) = database(&format!("{schema}; {before}"));
            let incoming = source
                .read(everything(&table(&source, "t").await))
                .await
                .unwrap();
            let job = job(&table(&site, "t").await, rows);
            let applied = apply(&site, job, incoming).await.unwrap();
            assert_eq!(
                (
                    applied.changes.added,
                    applied.changes.updated,
                    applied.rejected.len()
                ),
                expected,
                "{before} {rows}"
            );
            for row in &applied.rejected {
                assert!(row.reason.starts_with("key_collision"), "{row:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_every_kind_find_their_rows() {
    for (kind, values) in [
        (
            "decimal(30,10)",
            "(12345678901234567890.1234567890), (12345678901234567890.1234567891)",
        ),
        (
            "bigint unsigned",
            "(18446744073709551615), (18446744073709551614), (0)",
        ),
        (
            "datetime(3)",
            "('2024-01-01 00:00:00.123'), ('2024-01-01 00:00:00')",
        ),
        (
            "timestamp(6)",
            "('2024-01-01 00:00:00.123456'), ('2024-01-01 00:00:00')",
        ),
        ("date", "('0001-01-01'), ('9999-12-31')"),
        ("time(6)", "('00:00:00'), ('24:00:00')"),
        ("double", "(0.1), (1e300)"),
        ("float", "(0.1), (16777216)"),
        (
            "uuid",
            "('6a2f41a3-c54c-4ce8-b2d2-0324e1c32e22'), ('00000000-0000-0000-0000-000000000000')",
        ),
        ("enum('a','1')", "('a'), ('1')"),
        ("bit(9)", "(b'1'), (b'100000000')"),
        ("year", "(2024), (0)"),
        ("varbinary(9)", "(x'00'), (x'')"),
        ("char(9)", "('a'), ('')"),
        ("varchar(9) character set latin1", "('é'), ('x')"),
        ("inet6", "('::1'), ('2001:db8::1')"),
        ("tinyint(1)", "(0), (1)"),
    ] {
        let schema = format!("create table t (k {kind} not null primary key, s int)");
        let (from, source) = database(&format!("{schema}; insert into t (k) values {values}"));
        let (_, site) = database(&schema);
        let rows: u64 = mariadb::query(&from, "select count(*) from t")
            .parse()
            .unwrap();
        assert_eq!(
            counts(&copy(&source, &site, "t").await),
            (rows, 0, 0, 0),
            "{kind}"
        );
        assert_eq!(
            counts(&copy(&source, &site, "t").await),
            (0, 0, 0, 0),
            "{kind}"
        );
        mariadb::query(&from, "update t set s = 1");
        assert_eq!(
            counts(&copy(&source, &site, "t").await),
            (0, rows, 0, 0),
            "{kind}"
        );
        assert_equal(&source, &site, "t").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_several_columns_and_one_that_is_not_the_primary_key_serve() {
    for keys in [
        "primary key (b, a)",
        "id int auto_increment primary key, unique (b, a)",
    ] {
        let schema =
            format!("create table t (a int not null, b varchar(9) not null, s text, {keys})");
        let rows =
            "insert into t (a, b, s) select seq % 7, concat('k', seq), 'x' from seq_1_to_700";
        let (from, source) = database(&format!("{schema}; {rows}"));
        let (_, site) = database(&schema);
        for (change, expected) in [
            ("", (700, 0, 0, 0)),
            ("update t set s = 'y' where a = 3", (0, 100, 0, 0)),
            ("", (0, 0, 0, 0)),
        ] {
            if !change.is_empty() {
                mariadb::query(&from, change);
            }
            let rows = source.read(everything(&table(&source, "t").await)).await;
            let mut job = job(&table(&site, "t").await, 1_000);
            job.key = vec!["a".to_owned(), "b".to_owned()];
            let applied = apply(&site, job, rows.unwrap()).await.unwrap();
            assert_eq!(counts(&applied), expected, "{keys}");
        }
        assert_equal(&source, &site, "t").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn counters_end_beyond_the_highest_key_and_zero_stays_zero() {
    let schema = "create table t (id bigint auto_increment primary key, s varchar(9)); insert into t values (5, 'x')";
    let (url, site) = database(schema);
    for (id, next) in [(0, "6"), (30, "31"), (77, "78")] {
        let job = job(&table(&site, "t").await, 10);
        let applied = apply(&site, job, stream(Int8, &[(id, Some("a"))], 1))
            .await
            .unwrap();
        assert_eq!(counts(&applied), (1, 0, 0, 0));
        let inserted = mariadb::query(&url, "insert into t (s) values ('next') returning id");
        assert_eq!(inserted, next);
    }
    assert_eq!(mariadb::query(&url, "select s from t where id = 0"), "a");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_counter_moved_by_an_update_of_its_column_goes_on_beyond() {
    let schema = "create table t (u int not null unique, s varchar(9), id bigint auto_increment primary key)";
    let (from, source) = database(&format!("{schema}; insert into t values (1, 'a', 500)"));
    let (to, site) = database(&format!("{schema}; insert into t values (1, 'a', 5)"));
    let rows = source.read(everything(&table(&source, "t").await)).await;
    let mut job = job(&table(&site, "t").await, 10);
    job.key = vec!["u".to_owned()];
    assert_eq!(
        counts(&apply(&site, job, rows.unwrap()).await.unwrap()),
        (0, 1, 0, 0)
    );
    let next = "insert into t (u) values (2) returning id";
    assert_eq!(mariadb::query(&to, next), mariadb::query(&from, next));
}

#[tokio::test(flavor = "multi_thread")]
async fn partitioned_tables_take_rows_like_any_other() {
    let schema = "create table t (id int primary key, s text) partition by range (id)
        (partition a values less than (10), partition b values less than (20))";
    let (_, site) = database(schema);
    let incoming = [(1, Some("a")), (11, Some("b")), (99, Some("nowhere"))];
    for expected in [(2, 0, 0, 0), (0, 0, 0, 0)] {
        let job = job(&table(&site, "t").await, 10);
        let applied = apply(&site, job, stream(Int4, &incoming, 3)).await.unwrap();
        assert_eq!((counts(&applied), applied.rejected.len()), (expected, 1));
        assert_eq!(applied.rejected[0].key, serde_json::json!({"id": "99"}));
    }
    let changed = [(1, Some("x")), (11, Some("y"))];
    let job = job(&table(&site, "t").await, 10);
    let applied = apply(&site, job, stream(Int4, &changed, 3)).await.unwrap();
    assert_eq!(counts(&applied), (0, 2, 0, 0));
}
