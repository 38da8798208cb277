//! Applying against a real server: what is written and how it is counted.

use evenkeel::engine::driver::Driver;
use evenkeel::model::run::{ConflictStrategy, SyncMode};
use evenkeel::model::table::NeutralType::{Int4, Int8, Other};

use super::{assert_equal, database};
use crate::engine::work::{apply, copy, counts, everything, job, stream, table};
use crate::support::postgres;

pub(in crate::engine) const EVERY_TYPE: &str = "
create extension citext;
create type mood as enum ('sad', 'ok');
create domain cents as numeric(12,2) check (value >= 0);
create table every (
  id int primary key, b boolean, i2 smallint, i8 bigint, f4 real, f8 double precision, n numeric, n2 numeric(12,2),
  d cents, t text, v varchar(5), c char(5), raw bytea, day date, tm time, ts timestamp, tz timestamptz, u uuid, j json,
  jb jsonb, m mood, a int[], ta text[], net inet, iv interval, money money, x xml, ct citext, tt timetz, o oid,
  r int4range, p point, bt bit(3), vb varbit, mac macaddr, ch \"char\", nm name, tv tsvector, lsn pg_lsn,
  doubled int generated always as (id * 2) stored);
";

pub(in crate::engine) const EVERY_VALUE: &str = r#"
insert into every select g from generate_series(1, 3) g;
update every set b = true, i2 = -32768, i8 = 9223372036854775807, f4 = '-0', f8 = 'NaN', n = '1.00', n2 = 12.30, d = 0.5,
  t = E'tab\t "quotes" \\ ü', v = 'abc', c = 'a', raw = '\x00ff', day = 'infinity', tm = '23:59:59.999999',
  ts = '-infinity', tz = '2013-01-01 05:00:00.000001+02', u = '6a2f41a3-c54c-fce8-32d2-0324e1c32e22',
  j = '{"b": 1,  "a": 1.0}', jb = '{"a": 1.00}', m = 'ok', a = '{1,NULL,3}', ta = '{"a b","c\"d"}', net = '10.1.2.3/8',
  iv = '1 day 24:00:00.000001', money = '12.34', x = '<a>b</a>', ct = 'MiXed', tt = '12:00:00.5+02', o = 4294967295,
  r = '[1,5)', p = '(1.1,2.2)', bt = B'101', vb = B'10', mac = '08:00:2b:01:02:03', ch = 'z', nm = 'name',
  tv = 'a:1 b', lsn = '16/B374D848'
where id = 1;
update every set f8 = '-infinity', n = 'NaN', t = '', v = '', c = '', raw = '', day = '4713-01-01 BC', a = '{}', iv = '-1 mon'
where id = 2;
"#;

#[tokio::test(flavor = "multi_thread")]
async fn every_type_arrives_as_it_was_and_a_second_copy_changes_nothing() {
    let (from, source) = database(&format!("{EVERY_TYPE}{EVERY_VALUE}")).await;
    let (to, site) = database(EVERY_TYPE).await;
    assert_eq!(counts(&copy(&source, &site, "every").await), (3, 0, 0, 0));
    assert_equal(&from, &to, "every");
    assert_eq!(counts(&copy(&source, &site, "every").await), (0, 0, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_table_is_filled_straight_and_nothing_else_is_left_behind() {
    let schema = "create table t (id bigint generated always as identity primary key, s text)";
    let rows = "insert into t (s) select 'row ' || g from generate_series(1, 50000) g";
    let (from, source) = database(&format!("{schema}; {rows}")).await;
    let (to, site) = database(schema).await;
    let applied = copy(&source, &site, "t").await;
    assert_eq!(
        (applied.rows, counts(&applied)),
        (50_000, (50_000, 0, 0, 0))
    );
    assert_equal(&from, &to, "t");
    assert_eq!(
        postgres::query(&to, "insert into t (s) values ('next') returning id"),
        "50001"
    );
    assert_eq!(
        postgres::query(
            &to,
            "select count(*) from pg_class where relname like 'evenkeel%'"
        ),
        "0"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_what_differs_is_written() {
    let schema = "create table t (id int primary key, s text)";
    let rows = "insert into t select g, 'row ' || g from generate_series(1, 30000) g";
    let (from, source) = database(&format!("{schema}; {rows}")).await;
    let (to, site) = database(&format!("{schema}; {rows}")).await;
    postgres::query(&from, "update t set s = s || ' changed' where id % 300 = 0");
    postgres::query(
        &from,
        "insert into t select g, 'new' from generate_series(30001, 30050) g",
    );
    assert_eq!(counts(&copy(&source, &site, "t").await), (50, 100, 0, 0));
    assert_equal(&from, &to, "t");
    assert_eq!(counts(&copy(&source, &site, "t").await), (0, 0, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_are_equal_but_look_different_are_updates() {
    let schema =
        "create table t (id int primary key, n numeric, s text, f float8, j jsonb, i interval)";
    for (there, here) in [
        ("1.00, 'a', 0, '1', '1 day'", "1.0, 'a', 0, '1', '1 day'"),
        ("1, 'a ', 0, '1', '1 day'", "1, 'a', 0, '1', '1 day'"),
        ("1, 'a', '-0', '1', '1 day'", "1, 'a', 0, '1', '1 day'"),
        ("1, 'a', 0, '1.0', '1 day'", "1, 'a', 0, '1', '1 day'"),
        ("1, 'a', 0, '1', '24:00'", "1, 'a', 0, '1', '1 day'"),
    ] {
        let (from, source) =
            database(&format!("{schema}; insert into t values (1, {there})")).await;
        let (to, site) = database(&format!("{schema}; insert into t values (1, {here})")).await;
        assert_eq!(
            counts(&copy(&source, &site, "t").await),
            (0, 1, 0, 0),
            "{there}"
        );
        assert_equal(&from, &to, "t");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn modes_and_strategies_write_what_they_say_and_count_what_they_leave() {
    // 1 is equal, 2 differs, 3 is NULL there and not here, 4 is new.
    let incoming = [(1, Some("a")), (2, Some("new")), (3, None), (4, Some("d"))];
    for (mode, conflict, expected, after) in [
        (
            SyncMode::Upsert,
            ConflictStrategy::Overwrite,
            (1, 2, 0, 0),
            "1a 2new 3 4d",
        ),
        (
            SyncMode::Upsert,
            ConflictStrategy::Skip,
            (1, 0, 2, 2),
            "1a 2b 3c 4d",
        ),
        (
            SyncMode::Upsert,
            ConflictStrategy::Merge,
            (1, 1, 1, 1),
            "1a 2new 3c 4d",
        ),
        (
            SyncMode::Insert,
            ConflictStrategy::Overwrite,
            (1, 0, 2, 2),
            "1a 2b 3c 4d",
        ),
        (
            SyncMode::Update,
            ConflictStrategy::Overwrite,
            (0, 2, 1, 0),
            "1a 2new 3",
        ),
        (
            SyncMode::Update,
            ConflictStrategy::Skip,
            (0, 0, 3, 2),
            "1a 2b 3c",
        ),
    ] {
        let schema = "create table t (id int primary key, s text); insert into t values (1,'a'),(2,'b'),(3,'c')";
        let (url, site) = database(schema).await;
        let mut job = job(&table(&site, "t").await, 2);
        (job.mode, job.conflict) = (mode, conflict);
        let applied = apply(&site, job, stream(Int4, &incoming, 3)).await.unwrap();
        assert_eq!(counts(&applied), expected, "{mode:?} {conflict:?}");
        let found = postgres::query(
            &url,
            "select string_agg(id || coalesce(s, ''), ' ' order by id) from t",
        );
        assert_eq!(found, after, "{mode:?} {conflict:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_that_are_not_sent_stay_as_they_are() {
    let schema = "create table t (id int primary key, s text, mine text default 'default')";
    let (url, site) = database(&format!("{schema}; insert into t values (1, 'a', 'kept')")).await;
    let mut job = job(&table(&site, "t").await, 10);
    job.columns.truncate(2);
    let applied = apply(&site, job, stream(Int4, &[(1, Some("b")), (2, None)], 2))
        .await
        .unwrap();
    assert_eq!(counts(&applied), (1, 1, 0, 0));
    assert_eq!(
        postgres::query(&url, "select * from t order by id"),
        "1|b|kept\n2||default"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn unique_values_may_change_places() {
    // A chain that frees itself, a swap, and a ring of three.
    for incoming in [
        vec![(1, Some("b")), (2, Some("z"))],
        vec![(1, Some("b")), (2, Some("a"))],
        vec![(1, Some("b")), (2, Some("c")), (3, Some("a"))],
    ] {
        let schema = "create table t (id int primary key, s text unique)";
        let (url, site) = database(&format!(
            "{schema}; insert into t values (1,'a'),(2,'b'),(3,'c')"
        ))
        .await;
        let changed = u64::try_from(incoming.len()).unwrap();
        let applied = apply(
            &site,
            job(&table(&site, "t").await, 1),
            stream(Int4, &incoming, 1),
        )
        .await
        .unwrap();
        assert_eq!(
            (counts(&applied), applied.rejected.len()),
            ((0, changed, 0, 0), 0),
            "{incoming:?}"
        );
        for (id, text) in incoming {
            assert_eq!(
                postgres::query(&url, &format!("select s from t where id = {id}")),
                text.unwrap()
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swap_that_cannot_be_refuses_its_rows_and_keeps_the_old_values() {
    let schema = "create table t (id int primary key, s text unique)";
    let (url, site) = database(&format!(
        "{schema}; insert into t values (1,'a'),(2,'b'),(3,'taken')"
    ))
    .await;
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
    assert_eq!(
        postgres::query(&url, "select * from t order by id"),
        "1|a\n2|b\n3|taken\n4|d"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_may_point_to_rows_that_come_later() {
    let schema = "create table t (id bigint primary key, s text,
        parent bigint generated always as (nullif(id, 100) + 1) stored references t (id))";
    let (url, site) = database(schema).await;
    let incoming: Vec<(i64, Option<&str>)> = (1..=100).map(|id| (id, Some("x"))).collect();
    let applied = apply(
        &site,
        job(&table(&site, "t").await, 10),
        stream(Int8, &incoming, 5),
    )
    .await
    .unwrap();
    assert_eq!(
        (counts(&applied), applied.rejected.len()),
        ((100, 0, 0, 0), 0)
    );
    assert_eq!(postgres::query(&url, "select count(*) from t"), "100");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_fold_match_by_the_destination_s_own_equality() {
    let schema = "create extension citext; create table t (id citext primary key, s text)";
    let (from, source) = database(&format!(
        "{schema}; insert into t values ('NEW', 'x'), ('Old', 'y')"
    ))
    .await;
    let (to, site) = database(&format!("{schema}; insert into t values ('old', 'y')")).await;
    assert_eq!(counts(&copy(&source, &site, "t").await), (1, 1, 0, 0));
    assert_equal(&from, &to, "t");
}

#[tokio::test(flavor = "multi_thread")]
async fn incoming_keys_that_are_equal_here_do_not_replace_each_other() {
    let exact =
        "create table t (id text primary key, s text); insert into t values ('a', '1'), ('A', '2')";
    let (_, source) = database(exact).await;
    for before in ["", "insert into t values ('b', '')"] {
        let schema = "create extension citext; create table t (id citext primary key, s text)";
        let (_, site) = database(&format!("{schema}; {before}")).await;
        let rows = source
            .read(everything(&table(&source, "t").await))
            .await
            .unwrap();
        let folded = table(&site, "t").await;
        assert_eq!(folded.columns[0].kind, Other);
        let applied = apply(&site, job(&folded, 10), rows).await.unwrap();
        assert_eq!(
            (
                applied.changes.added,
                applied.changes.updated,
                applied.rejected.len()
            ),
            (1, 0, 1),
            "{before}"
        );
        assert!(
            applied.rejected[0].reason.starts_with("key_collision"),
            "{:?}",
            applied.rejected
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sequences_end_beyond_the_highest_key_and_never_go_back() {
    let schema = "create table t (id serial primary key, s text); insert into t values (5, 'x')";
    let (url, site) = database(&format!("{schema}; select setval('t_id_seq', 40)")).await;
    for (id, next) in [(30, "41"), (77, "78")] {
        apply(
            &site,
            job(&table(&site, "t").await, 10),
            stream(Int4, &[(id, Some("a"))], 1),
        )
        .await
        .unwrap();
        assert_eq!(postgres::query(&url, "select nextval('t_id_seq')"), next);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn partitioned_tables_take_rows_like_any_other() {
    let schema = "create table t (id int primary key, s text) partition by range (id);
        create table t1 partition of t for values from (0) to (10);
        create table t2 partition of t for values from (10) to (20)";
    let (_, site) = database(schema).await;
    let incoming = [(1, Some("a")), (11, Some("b")), (99, Some("nowhere"))];
    for expected in [(2, 0, 0, 0), (0, 0, 0, 0)] {
        let applied = apply(
            &site,
            job(&table(&site, "t").await, 10),
            stream(Int4, &incoming, 3),
        )
        .await
        .unwrap();
        assert_eq!((counts(&applied), applied.rejected.len()), (expected, 1));
        assert_eq!(applied.rejected[0].key, serde_json::json!({"id": "99"}));
    }
}
