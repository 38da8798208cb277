//! Reading against a real server.

use evenkeel::engine::EngineError;
use evenkeel::engine::driver::{BATCH_BYTES, Driver, KeyValue, Page, RowFilter};
use evenkeel::model::table::{NeutralType, TableName};
use sqlx::{Connection, Executor};

use super::{database, driver, lines};
use crate::engine::work::{collect, everything, outcome, table};
use crate::support::{mariadb, wait};

const LETTERS: &str = "create table t (id int primary key, code varchar(9) not null unique);
    insert into t select seq, char(96 + seq) from seq_1_to_9;
    insert into t values (10, 'it''s'), (11, 'x ')";
const LARGE: &str = "create table t (id int primary key, filler text);
    insert into t select seq, repeat('x', 4000) from seq_1_to_20000";

const EVERY: &str = "create table t (
  id int primary key, bo tinyint(1), b1 bit(1), ti tinyint, tu tinyint unsigned, su smallint unsigned,
  mi mediumint, mu mediumint unsigned, iu int unsigned, bi bigint, bu bigint unsigned, bits bit(12), y year,
  f float, d double, de decimal(65,30), du decimal(5,1) unsigned zerofill, c char(5), v varchar(9) character set latin1,
  tx longtext character set utf16, vb varbinary(9), bl longblob, da date, tm time(6), dt datetime(6), ts timestamp(6) null,
  e enum('a','it''s'), s set('x','y'), j json, u uuid, i6 inet6, g geometry);
set time_zone = '+05:00';
insert into t values (1, 1, 1, -128, 255, 65535, -8388608, 16777215, 4294967295, -9223372036854775808,
  18446744073709551615, b'100000000011', 2155, 1.5, -0.1,
  -12345678901234567890123456789012345.678901234567890123456789012345, 12.3, 'ab ', 'größe', '🙂 é', x'00ff',
  repeat('z', 300), '9999-12-31', '23:59:59.999999', '1000-01-01 00:00:00.000001', '2024-02-29 05:00:00.5',
  'it''s', 'x,y', '{\"b\": 1.0,  \"a\": [\"ü\"]}', '0198C0DE-0000-7000-8000-000000000001', '::1',
  st_geomfromtext('POINT(1 2)', 4326));
insert into t (id) values (2);
insert into t (id, bo, b1, f, d, c, v, tx, vb, tm, s, y, e) values (3, 0, 0, -0.0, 0, '', '', '', '', '24:00:00', '', 0, 'a')";

#[tokio::test(flavor = "multi_thread")]
async fn every_type_is_read_without_a_change() {
    let (_, site) = database(EVERY);
    let selection = everything(&table(&site, "t").await);
    let mut found = lines(&site, &selection).await;
    found.sort_unstable();
    assert_eq!(
        found[0],
        "1|true|true|-128|255|65535|-8388608|16777215|4294967295|-9223372036854775808|18446744073709551615|\
         100000000011|2155|1.5|-0.1|-12345678901234567890123456789012345.678901234567890123456789012345|12.3|ab|größe|\
         🙂 é|\\x00ff|\\x".to_owned() + &"7a".repeat(300) + "|9999-12-31|23:59:59.999999|1000-01-01 00:00:00.000001|\
         2024-02-29 00:00:00.500000Z|it's|x,y|{\"b\": 1.0,  \"a\": [\"ü\"]}|0198c0de-0000-7000-8000-000000000001|::1|\
         0101000020E6100000000000000000F03F0000000000000040"
    );
    assert_eq!(found[1], format!("2{}", "|null".repeat(31)));
    let null = |columns| "|null".repeat(columns);
    assert_eq!(
        found[2],
        format!(
            "3|false|false{}|0|0.0|0.0{}||||\\x{}|24:00:00.000000{}|a|{}",
            null(9),
            null(2),
            null(2),
            null(2),
            null(4)
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_the_row_layout_cannot_hold_is_refused_by_table_key_and_column() {
    for (declared, value, reason) in [
        ("tinyint(1)", "5", "a bool"),
        ("tinyint(1)", "-1", "a bool"),
        ("date", "'0000-00-00'", "zero date"),
        ("date", "'2024-02-00'", "zero date"),
        ("datetime(3)", "'0000-00-00'", "zero date"),
        ("timestamp", "0", "zero date"),
        ("date", "'0000-01-01'", "no day"),
        ("date", "'2023-02-31'", "no day"),
        ("time", "'24:00:01'", "no time of day"),
        ("time", "'-00:00:01'", "no time of day"),
        ("time(6)", "'838:59:59'", "no time of day"),
    ] {
        let (_, site) = database(&format!(
            "set sql_mode = 'ALLOW_INVALID_DATES';
             create table t (part varchar(9), id int, v {declared} null, primary key (part, id));
             insert into t values ('a', 7, {value})"
        ));
        let selection = everything(&table(&site, "t").await);
        let err = outcome(site.read(selection).await.unwrap())
            .await
            .unwrap_err();
        let words = err.to_string();
        assert!(
            matches!(&err, EngineError::Unreadable { key, column, .. } if key == "part=a, id=7" && column == "v"),
            "{declared} {value}: {words}"
        );
        assert!(words.contains(reason), "{declared} {value}: {words}");
    }
}

fn text(text: &str) -> KeyValue {
    KeyValue::Text(text.to_owned())
}

fn among(column: &str, values: &[KeyValue]) -> RowFilter {
    RowFilter::In {
        column: column.into(),
        values: values.to_vec(),
    }
}

fn between(start: Option<i64>, end: Option<i64>) -> RowFilter {
    RowFilter::Between {
        column: "id".into(),
        start,
        end,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_and_pages_give_exactly_their_rows() {
    let (_, site) = database(LETTERS);
    let t = table(&site, "t").await;
    let number = KeyValue::Integer;
    let page = |order: &[&str], limit, offset| {
        Some(Page {
            order_by: order.iter().map(|&name| name.to_owned()).collect(),
            limit,
            offset,
        })
    };
    let after = |columns: &[&str], values: &[KeyValue]| RowFilter::After {
        columns: columns.iter().map(|&name| name.to_owned()).collect(),
        values: values.to_vec(),
    };
    for (rows, page, expected) in [
        (RowFilter::All, page(&["id"], 3, 2), vec![3, 4, 5]),
        (between(Some(10), None), page(&["id"], 9, 0), vec![10, 11]),
        (between(Some(2), Some(3)), page(&["id"], 9, 0), vec![2, 3]),
        (among("id", &[number(4), number(i64::MAX)]), None, vec![4]),
        (
            among("id", &[text("7"), text("7x"), text("")]),
            None,
            vec![7],
        ),
        (
            among("code", &[text("b"), text("it's")]),
            page(&["id"], 9, 0),
            vec![2, 10],
        ),
        (
            among("code", &[text("B"), text("x"), text("\0b")]),
            None,
            vec![],
        ),
        (among("code", &[text("x ")]), None, vec![11]),
        (
            after(&["id"], &[number(6)]),
            page(&["id"], 2, 0),
            vec![7, 8],
        ),
        (
            after(&["code", "id"], &[text("C"), number(3)]),
            page(&["code", "id"], 2, 0),
            vec![4, 5],
        ),
    ] {
        let mut selection = everything(&t);
        (selection.rows, selection.page) = (rows, page);
        let lines = lines(&site, &selection).await;
        let ids: Vec<i32> = lines
            .iter()
            .map(|line| line.split('|').next().unwrap().parse().unwrap())
            .collect();
        assert_eq!(ids, expected, "{selection:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_follow_keys_of_every_type_that_stands_in_a_cursor() {
    for (declared, values) in [
        (
            "varchar(20) collate utf8mb4_unicode_ci",
            ["a", "B", "Ö", "ß"],
        ),
        (
            "bigint unsigned",
            ["1", "2", "9007199254740993", "18446744073709551615"],
        ),
        (
            "decimal(30,10)",
            [
                "-5.5000000000",
                "0.0000000001",
                "1.0000000000",
                "99999999999999999999.0000000001",
            ],
        ),
        (
            "date",
            ["1000-01-01", "1999-12-31", "2024-02-29", "9999-12-31"],
        ),
        (
            "time(6)",
            [
                "00:00:00.000000",
                "00:00:00.000001",
                "12:00:00.000000",
                "23:59:59.999999",
            ],
        ),
        (
            "datetime(6)",
            [
                "1000-01-01 00:00:00.000000",
                "1970-01-01 00:00:00.000000",
                "2024-02-29 23:59:59.999999",
                "9999-12-31 23:59:59.999999",
            ],
        ),
        (
            "timestamp(6)",
            [
                "1970-01-02 00:00:00.000000",
                "1999-12-31 23:59:59.999999",
                "2024-02-29 00:00:00.000000",
                "2038-01-18 00:00:00.000000",
            ],
        ),
        (
            "uuid",
            [
                "00000000-0000-0000-0000-000000000001",
                "0198c0de-0000-7000-8000-000000000001",
                "a0000000-0000-4000-8000-000000000000",
                "ffffffff-ffff-ffff-ffff-ffffffffffff",
            ],
        ),
    ] {
        let rows: Vec<String> = values.iter().map(|value| format!("('{value}')")).collect();
        let (_, site) = database(&format!(
            "create table t (k {declared} primary key) default charset utf8mb4; insert into t values {}",
            rows.join(", ")
        ));
        let mut selection = everything(&table(&site, "t").await);
        selection.page = Some(Page {
            order_by: vec!["k".into()],
            limit: 1,
            offset: 0,
        });
        let mut found = Vec::new();
        while let Some(line) = lines(&site, &selection).await.pop() {
            let value = text(&line);
            found.push(line);
            selection.rows = RowFilter::After {
                columns: vec!["k".into()],
                values: vec![value],
            };
        }
        let mut sorted = found.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!((found.len(), sorted.len()), (4, 4), "{declared}: {found:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_table_comes_in_small_batches_and_shows_one_moment() {
    let (url, site) = database(LARGE);
    let rows = site
        .read(everything(&table(&site, "t").await))
        .await
        .unwrap();
    mariadb::query(
        &url,
        "delete from t where id > 10; insert into t values (0, 'new')",
    );
    let batches = collect(rows).await;
    assert!(
        batches
            .iter()
            .all(|batch| batch.data.len() < BATCH_BYTES + 5_000)
    );
    assert!(batches.len() > 100, "{}", batches.len());
    assert_eq!(batches.iter().map(|batch| batch.rows).sum::<u32>(), 20_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_a_stream_ends_the_reading() {
    let (url, site) = database(LARGE);
    let mut rows = site
        .read(everything(&table(&site, "t").await))
        .await
        .unwrap();
    rows.recv().await.unwrap().unwrap();
    drop(rows);
    let reading = "select count(*) from information_schema.processlist
        where db = database() and id <> connection_id() and command <> 'Sleep'";
    wait::until("no session reads", wait::LONG, || {
        (mariadb::query(&url, reading) == "0").then_some(())
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_said_at_once() {
    let (url, site) = database(LETTERS);
    let t = table(&site, "t").await;
    let mut selection = everything(&t);
    selection.columns.push(("none".into(), NeutralType::Text));
    assert!(matches!(
        site.read(selection.clone()).await.unwrap_err(),
        EngineError::SchemaChanged(_)
    ));
    for absent in [TableName::bare("absent"), "mysql.user".parse().unwrap()] {
        selection.table = absent;
        assert!(matches!(
            site.read(selection.clone()).await.unwrap_err(),
            EngineError::NoTable(_)
        ));
    }

    let mut holder = sqlx::MySqlConnection::connect(&url).await.unwrap();
    holder
        .execute(sqlx::raw_sql("lock tables t write"))
        .await
        .unwrap();
    let err = site.read(everything(&t)).await.unwrap_err();
    assert!(matches!(&err, EngineError::Locked { .. }), "{err}");

    let nobody = driver("mysql://nobody:hunter2@127.0.0.1:1/shop", &[]);
    let err = nobody.read(everything(&t)).await.unwrap_err();
    assert!(matches!(&err, EngineError::Unreachable(_)), "{err}");
    assert!(
        err.to_string().contains("refused") && !err.to_string().contains("hunter2"),
        "{err}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_above_the_limit_is_refused_by_its_key() {
    let (url, site) = database("create table t (id int primary key, one longtext, two longtext)");
    mariadb::query(
        &url,
        "insert into t values (7, repeat('x', 9 * 1024 * 1024), repeat('x', 9 * 1024 * 1024))",
    );
    let rows = site
        .read(everything(&table(&site, "t").await))
        .await
        .unwrap();
    let err = outcome(rows).await.unwrap_err();
    assert!(
        matches!(&err, EngineError::RowTooLarge { key, .. } if key == "id=7"),
        "{err}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_without_transactions_is_refused_with_what_to_do() {
    let (_, site) = database("create table t (id int primary key) engine = MyISAM");
    let selection = everything(&table(&site, "t").await);
    let words = site.read(selection).await.unwrap_err().to_string();
    assert!(
        words.contains("MyISAM") && words.contains("InnoDB"),
        "{words}"
    );
}
