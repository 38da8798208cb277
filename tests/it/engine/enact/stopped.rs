//! Plans that are cut, connections that are killed, callers that go away.

use evenkeel::engine::EngineError;
use evenkeel::engine::driver::ApplyProgress;
use evenkeel::engine::plan::Planned;
use tokio::sync::{mpsc, watch};

use super::{Plan, Row, Site, enact_job, int, text};
use crate::support::database::{KINDS, Kind};
use crate::support::{mariadb, postgres, wait};

const SCHEMA: &str = "create table t (id bigint primary key, name varchar(40))";
const ROWS: i64 = 1_000;

fn rows(name: &str) -> Vec<Row> {
    (1..=ROWS).map(|id| vec![int(id), text(name)]).collect()
}

/// A table of old rows, and the plan that makes them new in transactions of 100.
async fn begun(kind: Kind) -> (Site, Plan) {
    let site = Site::with(kind, SCHEMA).await;
    site.enact(site.plan(&rows("old")).await).await.unwrap();
    let mut plan = site.plan(&rows("new")).await;
    plan.job.budget.transaction_rows = 100;
    (site, plan)
}

/// Whole transactions only; a new plan does the rest.
async fn go_on(site: &Site, kind: Kind) {
    let new: u64 = site
        .query("select count(*) from t where name = 'new'")
        .parse()
        .unwrap();
    assert_eq!(new % 100, 0, "{kind:?}");
    let rest = site.enact(site.plan(&rows("new")).await).await.unwrap();
    assert_eq!(rest.changes.updated, 1_000 - new, "{kind:?}");
    assert_eq!(
        site.query("select name, count(*) from t group by name"),
        "new|1000",
        "{kind:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_without_its_end_is_an_error_and_leaves_whole_transactions() {
    for kind in KINDS {
        for fails in [false, true] {
            let (site, plan) = begun(kind).await;
            let (sender, receiver) = mpsc::channel(10);
            for changes in plan.changes.chunks(150).take(3) {
                sender
                    .send(Ok(Planned::Changes(changes.to_vec())))
                    .await
                    .unwrap();
            }
            if fails {
                sender
                    .send(Err(EngineError::Lost("the peer".into())))
                    .await
                    .unwrap();
            }
            drop(sender);
            let err = site
                .driver
                .enact(enact_job(plan.job), receiver, super::progress())
                .await
                .unwrap_err();
            let fits = if fails {
                matches!(err, EngineError::Lost(_))
            } else {
                matches!(err, EngineError::Cut(_))
            };
            assert!(fits, "{kind:?}: {err}");
            go_on(&site, kind).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_goes_away_leaves_whole_transactions() {
    for kind in KINDS {
        let (site, plan) = begun(kind).await;
        let (sender, receiver) = mpsc::channel(10);
        let (told, mut seen) = watch::channel(ApplyProgress::default());
        for changes in plan.changes.chunks(150).take(3) {
            sender
                .send(Ok(Planned::Changes(changes.to_vec())))
                .await
                .unwrap();
        }
        let work = site.driver.enact(enact_job(plan.job), receiver, told);
        let committed = async {
            seen.wait_for(|told| told.rows_committed >= 100)
                .await
                .map(|told| *told)
        };
        tokio::select! {
            outcome = work => panic!("{kind:?}: it ended: {outcome:?}"),
            told = committed => assert!(told.unwrap().changes.updated >= 100),
        }
        drop(sender);
        // What was open is rolled back in the background: until then its rows are locked.
        wait::until("nobody holds a lock", wait::LONG, || {
            let free = match kind {
                Kind::Postgres => {
                    site.query("select count(*) from pg_locks where relation = 't'::regclass")
                }
                _ => "0".to_owned(),
            };
            (free == "0").then_some(())
        });
        go_on(&site, kind).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_connection_leaves_whole_transactions() {
    for kind in [Kind::Postgres, Kind::Mariadb] {
        let (site, plan) = begun(kind).await;
        let (sender, receiver) = mpsc::channel(10);
        let (told, mut seen) = watch::channel(ApplyProgress::default());
        let changes = plan.changes.clone();
        let kill = async {
            for changes in changes.chunks(150).take(3) {
                sender
                    .send(Ok(Planned::Changes(changes.to_vec())))
                    .await
                    .unwrap();
            }
            seen.wait_for(|told| told.rows_committed >= 100)
                .await
                .unwrap();
            let url = site.database.url();
            match kind {
                Kind::Postgres => drop(postgres::query(
                    &url,
                    "select pg_terminate_backend(pid) from pg_stat_activity
                     where datname = current_database() and application_name = 'evenkeel'",
                )),
                _ => {
                    let sessions = "select group_concat(concat('kill ', id, ';') separator ' ') from information_schema.processlist
                        where db = database() and id <> connection_id()";
                    let kills = mariadb::query(&url, sessions);
                    mariadb::query(&url, &kills);
                }
            }
            for changes in changes.chunks(150).skip(3) {
                let _ = sender.send(Ok(Planned::Changes(changes.to_vec()))).await;
            }
            let _ = sender.send(Ok(Planned::End)).await;
        };
        let work = site.driver.enact(enact_job(plan.job), receiver, told);
        let (outcome, ()) = tokio::join!(work, kill);
        assert!(
            matches!(outcome, Err(EngineError::Lost(_))),
            "{kind:?}: {outcome:?}"
        );
        go_on(&site, kind).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_altered_between_two_transactions_is_not_written() {
    for kind in KINDS {
        let (site, plan) = begun(kind).await;
        let (sender, receiver) = mpsc::channel(10);
        let (told, mut seen) = watch::channel(ApplyProgress::default());
        let changes = plan.changes.clone();
        let alter = async {
            sender
                .send(Ok(Planned::Changes(changes[..100].to_vec())))
                .await
                .unwrap();
            seen.wait_for(|told| told.rows_committed == 100)
                .await
                .unwrap();
            site.database
                .execute("alter table t rename column name to other");
            sender
                .send(Ok(Planned::Changes(changes[100..].to_vec())))
                .await
                .unwrap();
            let _ = sender.send(Ok(Planned::End)).await;
        };
        let work = site.driver.enact(enact_job(plan.job), receiver, told);
        let (outcome, ()) = tokio::join!(work, alter);
        assert!(
            matches!(outcome, Err(EngineError::SchemaChanged(_))),
            "{kind:?}: {outcome:?}"
        );
        assert_eq!(
            site.query("select count(*) from t where other = 'new'"),
            "100",
            "{kind:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn more_refused_rows_than_the_quarantine_takes_end_the_work() {
    for kind in KINDS {
        let site = Site::with(
            kind,
            "create table t (id bigint primary key, name varchar(40), check (name <> 'bad'))",
        )
        .await;
        let mut plan = site.plan(&rows("bad")).await;
        plan.job.budget.quarantine_rows = 20;
        let err = site.enact(plan).await.unwrap_err();
        assert!(
            matches!(err, EngineError::TooManyRejected { limit: 20, .. }),
            "{kind:?}: {err}"
        );
        assert_eq!(site.query("select count(*) from t"), "0");
    }
}
