//! Single changes at the source: each arrives as exactly one.

use super::{KINDS, Site, pull};
use crate::support::database::Kind;

fn schema(kind: Kind) -> String {
    let (decimal, moment) = match kind {
        Kind::Postgres => ("numeric", "timestamp"),
        Kind::Sqlite => ("decimal text", "timestamp text"),
        Kind::Mariadb => ("decimal(9,2)", "datetime(6)"),
    };
    format!("create table t (id int primary key, s text, n {decimal}, at {moment});")
}

fn rows() -> String {
    let row = |id| {
        format!("insert into t values ({id}, 'row {id}', '1.0', '2024-01-01 10:00:00.000001');")
    };
    (1..=30).map(row).collect()
}

const CHANGES: &[(&str, (u64, u64))] = &[
    ("insert into t values (31, 'new', '1', null)", (1, 0)),
    ("update t set s = 'other' where id = 2", (0, 1)),
    ("update t set s = null where id = 3", (0, 1)),
    ("update t set s = '' where id = 3", (0, 1)),
    ("update t set s = null where id = 3", (0, 1)),
    ("update t set s = upper(s) where id = 4", (0, 1)),
    ("update t set s = s || ' ' where id = 5", (0, 1)),
    ("update t set s = ' ' || s where id = 5", (0, 1)),
    ("update t set n = '1.00' where id = 6", (0, 1)),
    ("update t set n = '1.0' where id = 6", (0, 1)),
    ("update t set n = '-1.0' where id = 7", (0, 1)),
    (
        "update t set at = '2024-01-01 10:00:00.000002' where id = 8",
        (0, 1),
    ),
    ("update t set s = s where id = 9", (0, 0)),
    ("update t set s = 'many' where id > 20", (0, 11)),
    ("insert into t values (32, null, null, null)", (1, 0)),
    ("delete from t where id = 1", (0, 0)),
];

#[tokio::test(flavor = "multi_thread")]
async fn each_change_at_the_source_arrives_as_exactly_that() {
    for from in KINDS {
        for to in KINDS {
            let source = Site::with(from, &format!("{}{}", schema(from), rows())).await;
            let site = Site::with(to, &schema(to)).await;
            let (_, first) = pull(&source, &site, "t").await.unwrap();
            assert_eq!(first.counts(), (30, 0));
            for (change, expected) in CHANGES {
                source.database.execute(change);
                // How many digits stand behind the point is said by MariaDB's columns, not by their values.
                let shown = change.contains("n = '1.0") && [from, to].contains(&Kind::Mariadb);
                let expected = if shown { (0, 0) } else { *expected };
                for expected in [expected, (0, 0)] {
                    let (plan, outcome) = pull(&source, &site, "t").await.unwrap();
                    assert_eq!(outcome.counts(), expected, "{from:?} to {to:?}: {change}");
                    for (key, row) in &plan.expected {
                        assert_eq!(
                            outcome.found.get(key),
                            Some(row),
                            "{from:?} to {to:?}: {change}"
                        );
                    }
                }
            }
        }
    }
}
