//! Large values, up to the largest row there is.

use evenkeel::engine::EngineError;
use evenkeel::sync::SyncError;
use evenkeel::wire::frame::MAX_ROW_BYTES;

use super::{KINDS, Site, pull};
use crate::support::database::Kind;

fn schema(kind: Kind) -> &'static str {
    match kind {
        Kind::Postgres => "create table t (id int primary key, s text, b bytea);",
        Kind::Sqlite => "create table t (id int primary key, s text, b blob);",
        Kind::Mariadb => "create table t (id int primary key, s longtext, b longblob);",
    }
}

fn fill(kind: Kind, text: usize) -> String {
    let (empty, one, five, text) = match kind {
        Kind::Postgres => (
            "''".to_owned(),
            "decode(repeat('00ff', 524288), 'hex')",
            "decode(repeat('ab', 5242880), 'hex')",
            format!("repeat('x', {text})"),
        ),
        Kind::Sqlite => (
            "x''".to_owned(),
            "zeroblob(1048576)",
            "randomblob(5242880)",
            format!("replace(hex(zeroblob({text} / 2)), '0', 'x')"),
        ),
        Kind::Mariadb => (
            "''".to_owned(),
            "unhex(repeat('00ff', 524288))",
            "unhex(repeat('ab', 5242880))",
            format!("repeat('x', {text})"),
        ),
    };
    format!(
        "insert into t values (1, '', {empty}); insert into t values (2, null, {one});
         insert into t values (3, 'é', {five}); insert into t values (4, {text}, null);"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn values_up_to_the_largest_row_arrive_whole() {
    for from in KINDS {
        let source = Site::with(
            from,
            &format!("{}{}", schema(from), fill(from, MAX_ROW_BYTES - 64)),
        )
        .await;
        for to in KINDS {
            let site = Site::with(to, schema(to)).await;
            let (plan, outcome) = pull(&source, &site, "t").await.unwrap();
            assert_eq!(outcome.counts(), (4, 0), "{from:?} to {to:?}");
            assert!(outcome.found == plan.expected, "{from:?} to {to:?}");
            if from == to {
                assert_eq!(plan.apply(&site).await.unwrap().counts(), (0, 0));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_beyond_the_limit_is_named() {
    for from in KINDS {
        let source = Site::with(
            from,
            &format!("{}{}", schema(from), fill(from, MAX_ROW_BYTES + 64)),
        )
        .await;
        let site = Site::with(Kind::Sqlite, schema(Kind::Sqlite)).await;
        let Err(SyncError::Engine(EngineError::RowTooLarge { key, .. })) =
            pull(&source, &site, "t").await
        else {
            panic!("{from:?}: it was taken, or refused for another reason");
        };
        assert!(key.contains('4'), "{key}");
    }
}
