//! Reading real database files.

use std::time::Duration;

use crate::engine::driver::{Driver, Flow, KeyValue, Page, RowCount, RowFilter, RowOrder};
use crate::engine::error::EngineError;
use crate::engine::sqlite::test_site::{Site, TestRow, int, rows_of, text};
use crate::model::filter::Filter;
use crate::model::table::{NeutralType, TableName};
use crate::wire::row::RowWriter;
use crate::wire::scope::Scope;

const ITEMS: &str =
    "create table items (code text, part int, note text, primary key (code, part)) without rowid;
    insert into items values ('a', 1, null), ('a', 2, ''), ('b', 1, 'x'), ('c', 7, 'y')";

async fn codes(site: &Site, rows: RowFilter, page: Option<Page>) -> Vec<String> {
    let mut selection = site.selection("items").await;
    (selection.rows, selection.page) = (rows, page);
    let rows = rows_of(site.driver.read(selection).await.unwrap())
        .await
        .unwrap();
    let show = |row: TestRow| {
        let part = i64::from_be_bytes(row[1].clone().unwrap().try_into().unwrap());
        format!(
            "{}{part}",
            String::from_utf8(row[0].clone().unwrap()).unwrap()
        )
    };
    rows.into_iter().map(show).collect()
}

#[tokio::test]
async fn filters_and_pages_give_the_rows_asked_for() {
    let site = Site::new(ITEMS);
    let words = |words: &[&str]| {
        words
            .iter()
            .map(|word| (*word).to_owned())
            .collect::<Vec<String>>()
    };
    let order = || words(&["code", "part"]);
    let page = |limit, offset| {
        Some(Page {
            order_by: order(),
            limit,
            offset,
        })
    };
    let texts = |values: &[&str]| {
        values
            .iter()
            .map(|value| KeyValue::Text((*value).to_owned()))
            .collect::<Vec<_>>()
    };
    assert_eq!(codes(&site, RowFilter::All, page(2, 1)).await, ["a2", "b1"]);
    let after = RowFilter::After {
        columns: order(),
        values: vec![KeyValue::Text("a".into()), KeyValue::Integer(2)],
    };
    assert_eq!(codes(&site, after, page(9, 0)).await, ["b1", "c7"]);
    let within = RowFilter::In {
        column: "code".into(),
        values: texts(&["c", "a", "' or 1"]),
    };
    assert_eq!(codes(&site, within, page(9, 0)).await, ["a1", "a2", "c7"]);
    let none = RowFilter::In {
        column: "code".into(),
        values: vec![],
    };
    assert!(codes(&site, none, None).await.is_empty());
    for (start, end, expected) in [
        (Some(2), None, vec!["a2", "c7"]),
        (Some(2), Some(2), vec!["a2"]),
        (None, None, vec!["a1", "a2", "b1", "c7"]),
    ] {
        assert_eq!(
            codes(
                &site,
                RowFilter::Between {
                    column: "part".into(),
                    start,
                    end
                },
                page(9, 0)
            )
            .await,
            expected
        );
    }
    assert_eq!(
        site.rows("items").await.unwrap()[1],
        vec![text("a"), int(2), text("")]
    );
    assert_eq!(
        site.rows("items").await.unwrap()[0],
        vec![text("a"), int(1), None]
    );
}

#[tokio::test]
async fn keys_and_a_scope_go_together_however_the_rows_are_found() {
    // The index finds the form that this site writes; the second row has another, and is found by reading everything.
    let site = Site::new(
        "create table t (id uuid text primary key, part int, note text);
         insert into t values ('11111111-1111-1111-1111-111111111111', 1, 'x'),
             ('22222222222222222222222222222222', 2, 'x'), ('33333333-3333-3333-3333-333333333333', 3, 'y')",
    );
    let key = |digit: u8| {
        let mut writer = RowWriter::default();
        writer.begin(1);
        writer.field(Some(&[digit << 4 | digit; 16]));
        writer.take().data
    };
    let filter = |value: &str| {
        let json = format!(r#"{{"column":"note","op":"=","value":"{value}"}}"#);
        Scope::new(&Filter::from_json(&json).unwrap(), |_| {
            Some(NeutralType::Text)
        })
        .unwrap()
    };
    for order in [RowOrder::Found, RowOrder::Shuffled] {
        for (scope, expected) in [
            (Scope::default(), vec![1, 2, 3]),
            (filter("x"), vec![1, 2]),
            (filter("y"), vec![3]),
            (filter("z"), vec![]),
        ] {
            let mut selection = site.selection("t").await;
            selection.rows = RowFilter::Keys {
                columns: vec!["id".into()],
                keys: [1, 2, 3, 4].map(key).into(),
            };
            (selection.scope, selection.order) = (scope, order);
            let read = rows_of(site.driver.read(selection).await.unwrap()).await;
            let mut found = read.unwrap();
            found.sort();
            let parts: Vec<TestRow> = expected.into_iter().map(|part| vec![int(part)]).collect();
            let read: Vec<TestRow> = found.into_iter().map(|row| vec![row[1].clone()]).collect();
            assert_eq!(read, parts);
        }
    }
}

#[tokio::test]
async fn keys_are_found_however_they_are_written() {
    let site = Site::new(
        "create table t (id uuid text primary key, at timestamp text);
         insert into t values ('abababab-abab-abab-abab-abababababab', '2024-01-01 10:00:00.000000')",
    );
    for (column, value) in [
        ("id", "ABABABABABABABABABABABABABABABAB"),
        ("at", "2024-01-01T10:00:00"),
    ] {
        let mut selection = site.selection("t").await;
        selection.rows = RowFilter::In {
            column: column.into(),
            values: vec![KeyValue::Text(value.into())],
        };
        assert_eq!(
            rows_of(site.driver.read(selection).await.unwrap())
                .await
                .unwrap()
                .len(),
            1,
            "{column}"
        );
    }
}

#[tokio::test]
async fn what_cannot_be_read_names_its_place_and_not_its_value() {
    let site = Site::new(
        "create table t (id integer primary key, at datetime, note text);
         insert into t values (1, '2024-01-01', 'hidden'), (7, 4711, 'hidden')",
    );
    let err = site.rows("t").await.unwrap_err();
    assert_eq!(
        err.to_string(),
        "table t, key id=1, column at: not a valid timestamp: it is no moment written as YYYY-MM-DD HH:MM:SS.ffffff"
    );
    site.application()
        .execute_batch("delete from t where id = 1")
        .unwrap();
    let err = site.rows("t").await.unwrap_err();
    assert_eq!(
        err.to_string(),
        "table t, key id=7, column at: an integer stands where timestamp belongs"
    );
    let site = Site::new("create table t (id text primary key); insert into t values (null)");
    assert!(matches!(
        site.rows("t").await,
        Err(EngineError::Unreadable { .. })
    ));
}

#[tokio::test]
async fn unknown_tables_and_columns_are_faults_of_the_call() {
    let site = Site::new(ITEMS);
    let mut selection = site.selection("items").await;
    selection
        .columns
        .push(("nothing".into(), NeutralType::Text));
    assert!(matches!(
        site.driver.read(selection).await,
        Err(EngineError::SchemaChanged(_))
    ));
    let mut selection = site.selection("items").await;
    selection.columns[0].1 = NeutralType::Int8;
    assert!(matches!(
        site.driver.read(selection).await,
        Err(EngineError::SchemaChanged(_))
    ));
    let mut selection = site.selection("items").await;
    selection.page = Some(Page {
        order_by: vec!["nothing".into()],
        limit: 1,
        offset: 0,
    });
    assert!(matches!(
        site.driver.read(selection).await,
        Err(EngineError::SchemaChanged(_))
    ));
    let mut selection = site.selection("items").await;
    selection.table = TableName::bare("nothing");
    assert!(matches!(
        site.driver.read(selection).await,
        Err(EngineError::NoTable(_))
    ));
    std::fs::remove_file(&site.path).unwrap();
    assert!(matches!(
        site.driver.tables().await,
        Err(EngineError::Unreachable(_))
    ));
    assert!(!site.path.exists());
}

#[tokio::test]
async fn large_rows_pass_alone_and_too_large_ones_are_refused() {
    let site = Site::new(
        "create table t (id integer primary key, body blob);
         insert into t values (1, zeroblob(16000000)), (2, zeroblob(10)), (3, zeroblob(17000000))",
    );
    let mut selection = site.selection("t").await;
    selection.rows = RowFilter::Between {
        column: "id".into(),
        start: None,
        end: Some(2),
    };
    let mut stream = site.driver.read(selection).await.unwrap();
    let Some(Ok(Flow::Rows(first))) = stream.recv().await else {
        panic!("rows come first")
    };
    assert_eq!(
        (first.rows, first.data.len()),
        (1, 16_000_000 + 2 + 4 + 8 + 4)
    );
    assert_eq!(rows_of(stream).await.unwrap().len(), 1);
    let err = site.rows("t").await.unwrap_err();
    assert!(
        matches!(err, EngineError::RowTooLarge { ref key, .. } if key == "id=3"),
        "{err}"
    );
}

#[tokio::test]
async fn a_reading_sees_one_state_and_ends_when_it_is_dropped() {
    for mode in ["wal", "delete"] {
        let site = Site::new(
            "create table t (id integer primary key, body text);
             with recursive n (i) as (select 1 union all select i + 1 from n where i < 40000)
             insert into t select i, printf('%0500d', i) from n",
        );
        let application = site.application();
        application
            .pragma_update(None, "journal_mode", mode)
            .unwrap();
        let stream = site.driver.read(site.selection("t").await).await.unwrap();
        application
            .execute_batch("delete from t where id > 20000")
            .unwrap();
        assert_eq!(rows_of(stream).await.unwrap().len(), 40_000, "{mode}");
        let mut stream = site.driver.read(site.selection("t").await).await.unwrap();
        assert!(stream.recv().await.unwrap().is_ok());
        drop(stream);
        // An open reader would keep the checkpoint from truncating the log.
        let quiet = async {
            while site.number("pragma wal_checkpoint(truncate)") == 1 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), quiet)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn counts_are_exact_up_to_their_bound() {
    let site = Site::new(ITEMS);
    let name = TableName::bare("items");
    assert_eq!(
        site.driver.count(&name, 10).await.unwrap(),
        RowCount {
            rows: 4,
            exact: true
        }
    );
    assert_eq!(
        site.driver.count(&name, 4).await.unwrap(),
        RowCount {
            rows: 4,
            exact: true
        }
    );
    assert_eq!(
        site.driver.count(&name, 3).await.unwrap(),
        RowCount {
            rows: 3,
            exact: false
        }
    );
    site.application().execute_batch("analyze").unwrap();
    assert_eq!(
        site.driver.count(&name, 2).await.unwrap(),
        RowCount {
            rows: 4,
            exact: false
        }
    );
    assert!(matches!(
        site.driver.count(&TableName::bare("x"), 2).await,
        Err(EngineError::NoTable(_))
    ));
}
