//! Rows without a key: as many of equal ones are deleted as the plan says, and none that it does not mean.

use std::sync::Arc;

use super::{Plan, Row, Site, hash, int, refused, text, tuple, written};
use crate::engine::work::table;
use crate::support::database::Kind;
use bytes::Bytes;
use evenkeel::engine::driver::{ApplyBudget, ApplyJob};
use evenkeel::engine::plan::Change;
use evenkeel::model::run::{ConflictStrategy, SyncMode};

const SCHEMA: &str = "create table t (n bigint, name varchar(40), note varchar(40))";
const ENGINES: [Kind; 2] = [Kind::Postgres, Kind::Sqlite];

fn named(n: i64, name: &str) -> Row {
    vec![int(n), text(name), None]
}

/// A row of nothing but NULL.
fn nothing() -> Row {
    vec![None, None, None]
}

async fn plan(site: &Site, inserts: &[Row], deletes: &[Row]) -> Plan {
    let table = table(&*site.driver, "t").await;
    let insert = |row: &Row| Change::Insert { row: tuple(row) };
    let delete = |row: &Row| Change::Delete {
        key: Bytes::new(),
        here: hash(&tuple(row)),
    };
    Plan {
        changes: inserts
            .iter()
            .map(insert)
            .chain(deletes.iter().map(delete))
            .collect(),
        job: ApplyJob {
            columns: table.columns.clone(),
            key: Vec::new(),
            table,
            mode: SyncMode::Mirror,
            conflict: ConflictStrategy::Overwrite,
            budget: ApplyBudget {
                transaction_rows: 100,
                transaction_bytes: 64 << 20,
                quarantine_rows: 100,
            },
        },
    }
}

fn rows(site: &Site) -> String {
    site.query("select n, name, note, count(*) from t group by 1, 2, 3 order by n, name, note")
}

#[tokio::test(flavor = "multi_thread")]
async fn of_equal_rows_exactly_so_many_are_deleted_and_those_that_are_gone_count_as_moved() {
    for kind in ENGINES {
        let site = Site::with(
            kind,
            &format!(
                "{SCHEMA}; insert into t values (1, 'a', null), (1, 'a', null), (1, 'a', null), (2, 'b', null),
                 (3, 'c', null), (4, 'd', null), (4, 'd', null)"
            ),
        )
        .await;
        site.database
            .execute("insert into t (n) values (null), (null), (null)");
        let inserts = [named(5, "e"), named(5, "e"), nothing(), named(1, "A")];
        let deletes = [
            named(1, "a"),
            named(1, "a"),
            named(2, "b"),
            named(3, "c"),
            named(4, "d"),
            named(4, "d"),
            named(9, "never"),
        ];
        let plan = plan(&site, &inserts, &deletes).await;
        site.database.execute(
            "update t set note = 'local' where n = 2; delete from t where n = 3;
             insert into t values (4, 'd', null)",
        );
        let enacted = site.enact(plan).await.unwrap();
        assert_eq!(written(&enacted.changes), (4, 0, 4, 3), "{kind:?}");
        assert_eq!(refused(&enacted), []);
        let nulls = "|||4";
        let others = "1|A||1\n1|a||1\n2|b|local|1\n4|d||1\n5|e||2";
        let expected = match kind {
            Kind::Postgres => format!("{others}\n{nulls}"),
            _ => format!("{nulls}\n{others}"),
        };
        let found = rows(&site);
        let sorted = |text: &str| {
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(sorted(&found), sorted(&expected), "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_write_of_an_application_beside_it_is_lost() {
    const ROWS: i64 = 2_000;
    for kind in ENGINES {
        let site = Site::with(kind, SCHEMA).await;
        let of = |name: &str| -> Vec<Row> { (0..ROWS).map(|n| named(n % 200, name)).collect() };
        site.enact(plan(&site, &of("old"), &[]).await)
            .await
            .unwrap();
        let plan = plan(&site, &[], &of("old")).await;
        let application = tokio::task::spawn_blocking({
            let database = Arc::clone(&site.database);
            move || {
                for n in (0..200).rev().step_by(10) {
                    database.execute(&format!(
                        "update t set note = 'local' where name = 'old' and n between {n} - 9 and {n}"
                    ));
                }
            }
        });
        let enacted = site.enact(plan).await.unwrap();
        application.await.unwrap();
        let count = |what: &str| -> u64 {
            let count = site.query(&format!("select count(*) from t where {what}"));
            count.parse().unwrap()
        };
        let (added, _, deleted, moved) = written(&enacted.changes);
        assert_eq!((added, deleted + moved), (0, 2_000), "{kind:?}");
        assert_eq!(count("name = 'old'"), moved, "{kind:?}");
        assert_eq!(count("note = 'local'"), moved, "{kind:?}");
        println!("{kind:?}: {moved} of {ROWS} rows had moved");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_partitions_are_told_apart_though_they_are_at_the_same_places() {
    let site = Site::with(
        Kind::Postgres,
        "create table t (n bigint, name varchar(40), note varchar(40)) partition by range (n);
         create table low partition of t for values from (0) to (10);
         create table high partition of t for values from (10) to (20);
         create table other partition of t default;
         insert into t values (1, 'a', null), (1, 'a', null), (11, 'a', null), (11, 'a', null), (99, 'a', null), (99, 'a', null)",
    )
    .await;
    let inserts = [named(2, "b"), named(12, "b"), named(98, "b")];
    let deletes = [named(11, "a"), named(99, "a"), named(99, "a")];
    let plan = plan(&site, &inserts, &deletes).await;
    let enacted = site.enact(plan).await.unwrap();
    assert_eq!(written(&enacted.changes), (3, 0, 3, 0));
    assert_eq!(rows(&site), "1|a||2\n2|b||1\n11|a||1\n12|b||1\n98|b||1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_a_trigger_prevents_is_told_of() {
    for kind in ENGINES {
        let site = Site::with(
            kind,
            &format!(
                "{SCHEMA}; insert into t values (1, 'a', null), (1, 'a', null), (2, 'b', null)"
            ),
        )
        .await;
        site.database.execute(match kind {
            Kind::Postgres => {
                "create function keep() returns trigger language plpgsql as $$ begin return null; end $$;
                 create trigger keep before delete on t for each row when (old.n = 1) execute function keep()"
            }
            _ => "create trigger keep before delete on t when old.n = 1 begin select raise(ignore); end",
        });
        let deletes = [named(1, "a"), named(2, "b")];
        let plan = plan(&site, &[], &deletes).await;
        let enacted = site.enact(plan).await.unwrap();
        assert_eq!(written(&enacted.changes), (0, 0, 1, 0), "{kind:?}");
        let told = refused(&enacted);
        assert_eq!((told.len(), told[0].0.as_str()), (1, ""), "{told:?}");
        assert!(told[0].2.contains("still there"), "{told:?}");
        assert!(told[0].2.contains("keep"), "{told:?}");
        assert_eq!(rows(&site), "1|a||2", "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_may_be_called_as_sqlite_calls_its_row_numbers() {
    let site = Site::with(
        Kind::Sqlite,
        "create table t (rowid bigint, oid varchar(40), note varchar(40));
         insert into t values (7, 'a', null), (7, 'a', null), (8, 'a', null)",
    )
    .await;
    let plan = plan(&site, &[named(9, "b")], &[named(7, "a")]).await;
    let enacted = site.enact(plan).await.unwrap();
    assert_eq!(written(&enacted.changes), (1, 0, 1, 0));
    let query = "select \"rowid\", \"oid\" from t order by 1";
    assert_eq!(site.query(query), "7|a\n8|a\n9|b");
}
