//! Keys and names of every form, and destinations that match or write rows in ways of their own.

use evenkeel::model::run::ConflictStrategy;

use super::{KINDS, Plan, Site, pull};
use crate::support::database::Kind;

/// Table, statements, rows, and one change of one row.
const TABLES: &[(&str, &str, u64, &str)] = &[
    (
        "\"Größe \"\"x\"\" Tab\"",
        "create table \"Größe \"\"x\"\" Tab\" (\"Id a\" int not null, \"ß'\" varchar(9) not null, \"select\" text, primary key (\"Id a\", \"ß'\"));
         |insert into \"Größe \"\"x\"\" Tab\" values (1, 'a', 'x'), (1, 'b', 'y'), (2, 'a', null)",
        3,
        "update \"Größe \"\"x\"\" Tab\" set \"select\" = 'z' where \"ß'\" = 'b'",
    ),
    (
        "u",
        "create table u (id uuid not null primary key, v text);
         |insert into u values ('A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', 'x'), ('b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'y')",
        2,
        "update u set v = 'z' where v = 'x'",
    ),
    (
        "k",
        "create table k (id text not null primary key, v text);
         |insert into k values ('a', '1'), ('A', '2'), ('a ', '3'), (' a', '4'), ('é', '5'), ('e\u{301}', '6'), ('', '7'), ('1', '8'), ('01', '9')",
        9,
        "update k set v = 'z' where id = 'a '",
    ),
    (
        "i",
        "create table i (a int not null, b date not null, v text); create unique index i_key on i (b, a);
         |insert into i values (1, '2024-01-01', 'x'), (2, '2024-01-01', 'y')",
        2,
        "update i set v = 'z' where a = 2",
    ),
    (
        "couple",
        "create table couple (a int not null, b int not null, primary key (b, a));
         |insert into couple values (1, 2), (2, 1)",
        2,
        "insert into couple values (3, 3)",
    ),
    (
        "m",
        "create table m (id timestamp not null primary key, v text);
         |insert into m values ('2024-01-01 10:00:00.000001', 'x'), ('1969-12-31 10:00:00', 'y')",
        2,
        "update m set v = 'z' where v = 'x'",
    ),
];

/// MariaDB keys no text without a length, and its timestamp is another type.
fn dialect(kind: Kind, sql: &str) -> String {
    if kind != Kind::Mariadb {
        return sql.to_owned();
    }
    sql.replace("id text not null", "id varchar(40) not null")
        .replace("timestamp not null", "datetime(6) not null")
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_matched_by_any_usable_key_under_any_name() {
    let statements = |rows: &str| {
        let parts = TABLES
            .iter()
            .map(|(_, statements, ..)| statements.replace('|', rows));
        parts.collect::<Vec<_>>().join(";")
    };
    let without_rows: String = TABLES
        .iter()
        .filter_map(|(_, statements, ..)| statements.split('|').next())
        .collect();
    for from in KINDS {
        for to in KINDS {
            let source = Site::with(from, &dialect(from, &statements(""))).await;
            let site = Site::with(to, &dialect(to, &without_rows)).await;
            for (table, _, rows, change) in TABLES {
                let place = format!("{from:?} to {to:?}, {table}");
                let (plan, outcome) = pull(&source, &site, table).await.unwrap();
                assert_eq!(
                    (outcome.counts(), outcome.found),
                    ((*rows, 0), plan.expected),
                    "{place}"
                );
                source.database.execute(change);
                let (plan, outcome) = pull(&source, &site, table).await.unwrap();
                let expected = if *table == "couple" { (1, 0) } else { (0, 1) };
                assert_eq!(
                    (outcome.counts(), outcome.found),
                    (expected, plan.expected),
                    "{place}"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_a_destination_takes_for_one_are_refused_and_stay_so() {
    for from in KINDS {
        for to in KINDS {
            let source = Site::with(
                from,
                &dialect(from, "create table t (id text not null primary key, v text); insert into t values ('a', '1'), ('A', '2'), ('b', '3')"),
            )
            .await;
            let folded = match to {
                Kind::Postgres => {
                    "create collation folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
                     create table t (id text collate folded primary key, v text);"
                }
                Kind::Sqlite => "create table t (id text collate nocase not null primary key, v text);",
                Kind::Mariadb => {
                    "create table t (id varchar(40) collate utf8mb4_general_ci not null primary key, v text);"
                }
            };
            let site = Site::with(to, &format!("{folded} insert into t values ('B', '3')")).await;
            let (_, outcome) = pull(&source, &site, "t").await.unwrap();
            assert_eq!(
                (outcome.counts(), outcome.refused.len()),
                ((1, 1), 1),
                "{from:?} to {to:?}"
            );
            let (_, again) = pull(&source, &site, "t").await.unwrap();
            assert_eq!(
                (again.counts(), again.refused),
                ((0, 0), outcome.refused),
                "{from:?} to {to:?}"
            );
            assert_eq!(again.found, outcome.found);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_clause_of_the_destination_neither_replaces_nor_drops_rows() {
    for from in KINDS {
        for clause in ["replace", "ignore", "rollback", "fail"] {
            let source = Site::with(
                from,
                "create table t (id int primary key, u text, v text);
                 insert into t values (1, 'taken', 'x'), (2, 'free', null), (3, 'other', 'y')",
            )
            .await;
            let site = Site::with(
                Kind::Sqlite,
                &format!(
                    "create table t (id integer primary key on conflict {clause}, u text unique on conflict {clause},
                       v text default 'made up' not null on conflict {clause});
                     insert into t values (9, 'taken', 'mine')"
                ),
            )
            .await;
            for expected in [(1, 0), (0, 0)] {
                let (_, outcome) = pull(&source, &site, "t").await.unwrap();
                assert_eq!(outcome.counts(), expected, "{clause}");
                assert_eq!(
                    outcome.refused.keys().collect::<Vec<_>>(),
                    ["1", "2"],
                    "{clause}"
                );
                assert_eq!(
                    outcome.found.keys().collect::<Vec<_>>(),
                    ["3", "9"],
                    "{clause}"
                );
                assert_eq!(
                    outcome.found["9"][2].as_deref(),
                    Some(b"mine".as_slice()),
                    "{clause}"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn merging_keeps_local_values_where_null_comes_also_in_json_columns() {
    let schema = |kind| match kind {
        Kind::Postgres => {
            "create table t (id int primary key, j json, b jsonb, s text, c char(4), n numeric(9,2));"
        }
        Kind::Sqlite => {
            "create table t (id int primary key, j json text, b json text, s text, c char(4), n decimal(9,2));"
        }
        Kind::Mariadb => {
            "create table t (id int primary key, j json, b json, s text, c char(4), n decimal(9,2));"
        }
    };
    for from in KINDS {
        for to in KINDS {
            let there = "insert into t values (1, '{\"a\": 1}', null, null, 'x', null), (2, null, null, null, null, null)";
            let here = "insert into t values (1, '[]', '[1]', 'kept', null, 1.5), (2, '[]', '[1]', 'kept', 'y', 2.5)";
            let source = Site::with(from, &format!("{}{there}", schema(from))).await;
            let site = Site::with(to, &format!("{}{here}", schema(to))).await;
            let (from_table, to_table) = (source.table("t").await, site.table("t").await);
            let mut source_table = from_table.clone();
            // A json of SQLite has no place in a jsonb's column but by conversion; NULL has one in any.
            source_table.row_estimate = None;
            let plan = Plan::make(&source, &source_table, &site, &to_table)
                .await
                .unwrap();
            for expected in [(0, 1), (0, 0)] {
                let mut job = plan.job();
                job.conflict = ConflictStrategy::Merge;
                let outcome = plan.apply_as(&site, job).await.unwrap();
                assert_eq!(outcome.counts(), expected, "{from:?} to {to:?}");
                let row = &outcome.found["1"];
                assert_eq!(row[1].as_deref(), Some(b"{\"a\": 1}".as_slice()));
                assert_eq!(row[3].as_deref(), Some(b"kept".as_slice()));
                assert_eq!(row[4].as_deref(), Some(b"x".as_slice()));
                assert!(row.iter().all(Option::is_some));
            }
        }
    }
}
