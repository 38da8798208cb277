//! Applying against a real server: what is written and how it is counted.

mod faults;
mod keys;
mod sessions;
mod silent;

use evenkeel::engine::driver::Driver;
use evenkeel::engine::mysql::MysqlDriver;
use evenkeel::model::run::{ConflictStrategy, SyncMode};
use evenkeel::model::table::NeutralType::Int4;

use super::{database, driver, lines};
use crate::engine::work::{apply, copy, counts, everything, fields, job, stream, table};
use crate::support::mariadb;

/// Both databases give the same rows of `name`, value for value.
async fn assert_equal(one: &MysqlDriver, other: &MysqlDriver, name: &str) {
    let mut sides = Vec::new();
    for side in [one, other] {
        let mut rows = lines(side, &everything(&table(side, name).await)).await;
        rows.sort_unstable();
        sides.push(rows);
    }
    assert_eq!(sides[0], sides[1], "{name}");
}

const EVERY_TYPE: &str = "
create table every (
  id int primary key, b tinyint(1), bb bit(1), i1 tinyint, i1u tinyint unsigned, i2 smallint, i2u smallint unsigned,
  i3 mediumint, i4u int unsigned, i8 bigint, i8u bigint unsigned, f4 float, f73 float(7,3), f8 double,
  n decimal(12,2), n2 decimal(65,30), c char(5), v varchar(5), tt tinytext, t longtext, l varchar(9) character set latin1,
  u3 varchar(9) character set utf8mb3, sj varchar(9) character set sjis, bin binary(4), raw varbinary(9), bl longblob,
  day date, tm time(6), tm0 time, ts datetime(6), ts0 datetime, tz timestamp(6) null, y year, u uuid, j json,
  e enum('sad','ok','1','it''s'), s set('a','b','c'), bits bit(12), i6 inet6, p point, g geometry,
  doubled int generated always as (id * 2) stored);
";

const EVERY_VALUE: &str = r#"
insert into every (id) select seq from seq_1_to_3;
update every set b = 1, bb = b'1', i1 = -128, i1u = 255, i2 = -32768, i2u = 65535, i3 = -8388608, i4u = 4294967295,
  i8 = -9223372036854775808, i8u = 18446744073709551615, f4 = 0.1, f73 = 1.235, f8 = 5e-324, n = 12.30,
  n2 = '-12345678901234567890123456789012345.000000000000000000000000000001', c = 'a', v = 'ab   ',
  tt = 'x', t = 'tab\t "quotes" \\ ü 😀 \0', l = '€ü', u3 = 'ü', sj = '漢字', bin = x'00ff0000', raw = x'00ff20', bl = x'00',
  day = '0001-01-01', tm = '23:59:59.999999', tm0 = '24:00:00', ts = '9999-12-31 23:59:59.999999',
  ts0 = '2024-02-29 23:59:59', tz = '2038-01-19 03:14:07.999999', y = 2155, u = '6a2f41a3-c54c-4ce8-b2d2-0324e1c32e22',
  j = '{"b": 1,  "a": 1.0}', e = '1', s = 'a,c', bits = b'000000000101', i6 = '2001:db8::ff00:42:8329',
  p = st_geomfromtext('point(1.5 -2)', 4326), g = st_geomfromtext('linestring(0 0,1 1)')
where id = 1;
update every set b = 0, bb = b'0', f4 = 3.4028234663852886e38, f8 = -1.7976931348623157e308, n = -0.01, c = '', v = '', t = '',
  raw = '', day = '9999-12-31', tm = '00:00:00', ts = '0001-01-01 00:00:00', tz = '1970-01-01 00:00:00.000001', y = 0,
  s = '', e = 'it''s', u = '00000000-0000-0000-0000-000000000000', j = 'null'
where id = 2;
"#;

fn everything_but_key() -> &'static str {
    "b, bb, i1, i1u, i2, i2u, i3, i4u, i8, i8u, f4, f73, f8, n, n2, c, v, tt, t, l, u3, sj, bin, raw, bl,
            day, tm, tm0, ts, ts0, tz, y, u, j, e, s, bits, i6, p, g"
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_arrives_as_it_was_and_a_second_copy_changes_nothing() {
    let (_, source) = database(&format!("{EVERY_TYPE}{EVERY_VALUE}"));
    let (_, site) = database(EVERY_TYPE);
    let applied = copy(&source, &site, "every").await;
    assert_eq!((counts(&applied), applied.rejected), ((3, 0, 0, 0), vec![]));
    assert_equal(&source, &site, "every").await;
    assert_eq!(counts(&copy(&source, &site, "every").await), (0, 0, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_is_updated_to_what_came_row_by_row_and_many_at_once() {
    for rows in [1, 40] {
        let columns = everything_but_key();
        let more = format!(
            "{EVERY_TYPE}{EVERY_VALUE} delete from every where id > 1;
             insert into every (id, {columns}) select seq, {columns} from every, seq_1_to_{rows} where seq > 1"
        );
        let (_, source) = database(&more);
        let (_, site) = database(&format!(
            "{EVERY_TYPE} insert into every (id) select seq from seq_1_to_{rows}"
        ));
        let applied = copy(&source, &site, "every").await;
        assert_eq!(
            (counts(&applied), applied.rejected),
            ((0, rows, 0, 0), vec![])
        );
        assert_equal(&source, &site, "every").await;
        assert_eq!(counts(&copy(&source, &site, "every").await), (0, 0, 0, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn merging_keeps_local_values_of_every_type_row_by_row_and_many_at_once() {
    for rows in [1, 40] {
        let columns = everything_but_key();
        let (_, source) = database(&format!(
            "{EVERY_TYPE} insert into every (id, tt) select seq, 'new' from seq_1_to_{rows}"
        ));
        let full = format!(
            "{EVERY_TYPE}{EVERY_VALUE} delete from every where id > 1;
             insert into every (id, {columns}) select seq, {columns} from every, seq_1_to_{rows} where seq > 1;"
        );
        let (_, site) = database(&full);
        let (_, expected) = database(&format!("{full} update every set tt = 'new'"));
        let incoming = source
            .read(everything(&table(&source, "every").await))
            .await;
        let mut job = job(&table(&site, "every").await, 100);
        job.conflict = ConflictStrategy::Merge;
        let applied = apply(&site, job, incoming.unwrap()).await.unwrap();
        assert_eq!(
            (counts(&applied), applied.rejected),
            ((0, rows, 0, 0), vec![])
        );
        assert_equal(&expected, &site, "every").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_table_is_filled_straight_and_nothing_else_is_left_behind() {
    let schema = "create table t (id bigint auto_increment primary key, s text)";
    let rows = "insert into t (s) select concat('row ', seq) from seq_1_to_50000";
    let (_, source) = database(&format!("{schema}; {rows}"));
    let (to, site) = database(schema);
    let applied = copy(&source, &site, "t").await;
    assert_eq!(
        (applied.rows, counts(&applied)),
        (50_000, (50_000, 0, 0, 0))
    );
    assert_equal(&source, &site, "t").await;
    assert_eq!(
        mariadb::query(
            &to,
            "select count(*) from information_schema.tables where table_schema = database()"
        ),
        "1"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_what_differs_is_written() {
    let schema = "create table t (id int primary key, s text)";
    let rows = "insert into t select seq, concat('row ', seq) from seq_1_to_30000";
    let (from, source) = database(&format!("{schema}; {rows}"));
    let (_, site) = database(&format!("{schema}; {rows}"));
    mariadb::query(
        &from,
        "update t set s = concat(s, ' changed') where id % 300 = 0;
         insert into t select seq, 'new' from seq_30001_to_30050",
    );
    assert_eq!(counts(&copy(&source, &site, "t").await), (50, 100, 0, 0));
    assert_equal(&source, &site, "t").await;
    assert_eq!(counts(&copy(&source, &site, "t").await), (0, 0, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn modes_and_strategies_write_what_they_say_and_count_what_they_leave() {
    use ConflictStrategy::{Merge, Overwrite, Skip};
    use SyncMode::{Insert, Update, Upsert};
    // 1 is equal, 2 differs, 3 is NULL there and not here, 4 is new.
    let incoming = [(1, Some("a")), (2, Some("new")), (3, None), (4, Some("d"))];
    for (mode, conflict, expected, after) in [
        (Upsert, Overwrite, (1, 2, 0, 0), "1a 2new 3 4d"),
        (Upsert, Skip, (1, 0, 2, 2), "1a 2b 3c 4d"),
        (Upsert, Merge, (1, 1, 1, 1), "1a 2new 3c 4d"),
        (Insert, Overwrite, (1, 0, 2, 2), "1a 2b 3c 4d"),
        (Update, Overwrite, (0, 2, 1, 0), "1a 2new 3"),
        (Update, Skip, (0, 0, 3, 2), "1a 2b 3c"),
    ] {
        let schema = "create table t (id int primary key, s text); insert into t values (1,'a'),(2,'b'),(3,'c')";
        let (url, site) = database(schema);
        let mut job = job(&table(&site, "t").await, 2);
        (job.mode, job.conflict) = (mode, conflict);
        let applied = apply(&site, job, stream(Int4, &incoming, 3)).await.unwrap();
        assert_eq!(counts(&applied), expected, "{mode:?} {conflict:?}");
        let found = mariadb::query(
            &url,
            "select group_concat(concat(id, coalesce(s, '')) order by id separator ' ') from t",
        );
        assert_eq!(found, after, "{mode:?} {conflict:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn merging_many_rows_keeps_local_values_where_none_come_and_times_as_they_are() {
    let schema = "create table t (id int primary key, s text,
        at timestamp(6) not null default '2024-01-01 00:00:00' on update current_timestamp(6))";
    for rows in [2, 40] {
        let (url, site) = database(&format!(
            "{schema}; insert into t (id, s) select seq, 'here' from seq_1_to_{rows}"
        ));
        let mut job = job(&table(&site, "t").await, 100);
        job.conflict = ConflictStrategy::Merge;
        let at = evenkeel::wire::datetime::timestamp_from_text("2024-01-01 00:00:00", false);
        let incoming: Vec<_> = (1..=rows)
            .map(|id: i32| {
                let text = (id % 2 == 0).then(|| b"new".to_vec());
                vec![
                    Some(id.to_be_bytes().to_vec()),
                    text,
                    Some(at.clone().unwrap().to_vec()),
                ]
            })
            .collect();
        let applied = apply(&site, job, fields(&incoming, 100)).await.unwrap();
        let half = u64::try_from(rows / 2).unwrap();
        assert_eq!(counts(&applied), (0, half, half, half), "{rows}");
        assert_eq!(
            mariadb::query(
                &url,
                "select s, at, count(*) from t group by s, at order by s"
            ),
            format!(
                "here|2024-01-01 00:00:00.000000|{half}\nnew|2024-01-01 00:00:00.000000|{half}"
            )
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_that_are_not_sent_stay_as_they_are() {
    let schema = "create table t (id int primary key, s text, mine varchar(9) default 'default')";
    let (url, site) = database(&format!("{schema}; insert into t values (1, 'a', 'kept')"));
    let mut job = job(&table(&site, "t").await, 10);
    job.columns.truncate(2);
    let applied = apply(&site, job, stream(Int4, &[(1, Some("b")), (2, None)], 2))
        .await
        .unwrap();
    assert_eq!(counts(&applied), (1, 1, 0, 0));
    assert_eq!(
        mariadb::query(&url, "select * from t order by id"),
        "1|b|kept\n2||default"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_without_temporary_tables_writes_the_same() {
    let url = mariadb::shared().database();
    let schema = url.rsplit('/').next().unwrap();
    mariadb::query(
        &url,
        &format!(
            "create table t (id int primary key, s text);
             insert into t select seq, 'here' from seq_1_to_500;
             create user plain_{schema}@'127.0.0.1';
             grant select, insert, update on {schema}.* to plain_{schema}@'127.0.0.1'"
        ),
    );
    let plain = driver(&url.replace("root@", &format!("plain_{schema}@")), &[]);
    let incoming: Vec<_> = (251..=600).map(|id| (id, Some("new"))).collect();
    let applied = apply(
        &plain,
        job(&table(&plain, "t").await, 100),
        stream(Int4, &incoming, 50),
    )
    .await
    .unwrap();
    assert_eq!(counts(&applied), (100, 250, 0, 0));
    assert_eq!(
        mariadb::query(&url, "select s, count(*) from t group by s order by s"),
        "here|250\nnew|350"
    );
}
