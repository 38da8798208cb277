//! Reading against a real server.

use evenkeel::engine::EngineError;
use evenkeel::engine::driver::{BATCH_BYTES, Driver, KeyValue, Page, RowFilter};
use evenkeel::model::table::{NeutralType, TableName};
use evenkeel::wire::row::{RowBatch, split_tuple};
use sqlx::{Connection, Executor};

use super::{database, driver};
use crate::engine::work::{collect, everything, table};
use crate::support::{postgres, wait};

const LETTERS: &str = "create table t (id int primary key, code text not null);
    insert into t select g, chr(96 + g) from generate_series(1, 9) g";
const LARGE: &str = "create table t (id int primary key, filler text);
    insert into t select g, repeat('x', 4000) from generate_series(1, 20000) g";

fn ids(batches: &[RowBatch]) -> Vec<i32> {
    let mut ids = Vec::new();
    for batch in batches {
        let before = ids.len();
        for tuple in batch.tuples() {
            let (fields, _) = split_tuple(tuple.unwrap()).unwrap();
            ids.push(i32::from_be_bytes(fields[0].unwrap().try_into().unwrap()));
        }
        assert_eq!(usize::try_from(batch.rows).unwrap(), ids.len() - before);
    }
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_and_pages_give_exactly_their_rows() {
    let (_, site) = database(LETTERS).await;
    let t = table(&site, "t").await;
    let by_id = |limit, offset| {
        Some(Page {
            order_by: vec!["id".into()],
            limit,
            offset,
        })
    };
    let text = |text: &str| KeyValue::Text(text.to_owned());
    let number = KeyValue::Integer;
    for (rows, page, expected) in [
        (RowFilter::All, by_id(3, 2), vec![3, 4, 5]),
        (
            RowFilter::Between {
                column: "id".into(),
                start: Some(8),
                end: None,
            },
            by_id(9, 0),
            vec![8, 9],
        ),
        (
            RowFilter::Between {
                column: "id".into(),
                start: Some(2),
                end: Some(3),
            },
            by_id(9, 0),
            vec![2, 3],
        ),
        (
            RowFilter::In {
                column: "id".into(),
                values: vec![number(4), number(i64::MAX)],
            },
            None,
            vec![4],
        ),
        (
            RowFilter::In {
                column: "code".into(),
                values: vec![text("b"), text("it's")],
            },
            None,
            vec![2],
        ),
        (
            RowFilter::In {
                column: "code".into(),
                values: vec![text("\0b")],
            },
            None,
            vec![],
        ),
        (
            RowFilter::In {
                column: "id".into(),
                values: vec![text("7")],
            },
            None,
            vec![7],
        ),
        (
            RowFilter::After {
                columns: vec!["id".into()],
                values: vec![number(6)],
            },
            by_id(2, 0),
            vec![7, 8],
        ),
    ] {
        let mut selection = everything(&t);
        (selection.rows, selection.page) = (rows, page);
        let words = format!("{selection:?}");
        assert_eq!(
            ids(&collect(site.read(selection).await.unwrap()).await),
            expected,
            "{words}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_table_comes_in_small_batches_and_shows_one_moment() {
    let (url, site) = database(LARGE).await;
    let rows = site
        .read(everything(&table(&site, "t").await))
        .await
        .unwrap();
    postgres::query(
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
    let mut found = ids(&batches);
    found.sort_unstable();
    assert_eq!(found, (1..=20_000).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_a_stream_ends_the_reading() {
    let (url, site) = database(LARGE).await;
    let mut rows = site
        .read(everything(&table(&site, "t").await))
        .await
        .unwrap();
    rows.recv().await.unwrap().unwrap();
    drop(rows);
    let reading = "select count(*) from pg_stat_activity where application_name = 'evenkeel'
        and state <> 'idle' and query like 'copy%' and datname = current_database()";
    wait::until("no session reads", wait::LONG, || {
        (postgres::query(&url, reading) == "0").then_some(())
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_said_at_once() {
    let (url, site) = database(LETTERS).await;
    let t = table(&site, "t").await;
    let mut selection = everything(&t);
    selection.columns.push(("none".into(), NeutralType::Text));
    assert!(matches!(
        site.read(selection.clone()).await.unwrap_err(),
        EngineError::SchemaChanged(_)
    ));
    selection.table = TableName::bare("absent");
    assert!(matches!(
        site.read(selection).await.unwrap_err(),
        EngineError::NoTable(_)
    ));

    let mut holder = sqlx::PgConnection::connect(&url).await.unwrap();
    holder
        .execute(sqlx::raw_sql(
            "begin; lock table t in access exclusive mode",
        ))
        .await
        .unwrap();
    assert!(matches!(
        site.read(everything(&t)).await.unwrap_err(),
        EngineError::Locked { .. }
    ));

    let nobody = driver("postgresql://nobody:hunter2@127.0.0.1:1/shop", &[]).await;
    let err = nobody.read(everything(&t)).await.unwrap_err();
    assert!(matches!(&err, EngineError::Unreachable(_)), "{err}");
    assert!(
        err.to_string().contains("refused") && !err.to_string().contains("hunter2"),
        "{err}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_hidden_by_row_security_are_an_error_and_no_gap() {
    let (url, _) = database(
        "create table t (id int primary key); insert into t values (1); alter table t enable row level security;
         create policy none on t using (false);
         do $$ begin create role reader login; exception when duplicate_object then null; end $$;
         grant select on t to reader",
    )
    .await;
    let reader = driver(&url.replace("postgres@", "reader@"), &[]).await;
    let mut rows = reader
        .read(everything(&table(&reader, "t").await))
        .await
        .unwrap();
    let first = rows.recv().await.unwrap();
    assert!(matches!(&first, Err(EngineError::Denied(_))), "{first:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_above_the_limit_is_refused_by_its_key() {
    let schema = "create table t (id int primary key, filler text)";
    let (_, site) = database(&format!(
        "{schema}; insert into t values (7, repeat('x', 17 * 1024 * 1024))"
    ))
    .await;
    let mut rows = site
        .read(everything(&table(&site, "t").await))
        .await
        .unwrap();
    let err = rows.recv().await.unwrap().unwrap_err();
    assert!(
        matches!(&err, EngineError::RowTooLarge { key, .. } if key == "id=7"),
        "{err}"
    );
}
