//! The site's own application writes between the scan and the plan's end.

use std::sync::Arc;

use super::{Row, Site, int, text, written};
use crate::support::database::KINDS;

fn named(id: i64, name: &str) -> Row {
    vec![int(id), text(name), None]
}

const SCHEMA: &str = "create table t (id bigint primary key, name varchar(40), note varchar(40))";

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_not_what_the_scan_saw_are_left_as_they_are() {
    for kind in KINDS {
        let site = Site::with(
            kind,
            &format!("{SCHEMA}; insert into t (id, name) values (1, 'old'), (2, 'old'), (3, 'old'), (4, 'old'), (5, 'old'), (6, 'old')"),
        )
        .await;
        let wanted = [1, 2, 3, 7, 8].map(|id| named(id, "new"));
        let plan = site.plan(&wanted).await;
        site.database.execute(
            "update t set note = 'local' where id in (1, 4);
             delete from t where id in (2, 5);
             insert into t values (7, 'local', null)",
        );
        let enacted = site.enact(plan).await.unwrap();
        assert_eq!(written(&enacted.changes), (1, 1, 1, 5), "{kind:?}");
        assert_eq!(enacted.changes.skipped + enacted.changes.conflicts, 0);
        assert_eq!(
            site.query("select id, name, note from t order by id"),
            "1|old|local\n3|new|\n4|old|local\n7|local|\n8|new|",
            "{kind:?}"
        );
        // The next one knows, and decides.
        let enacted = site.enact(site.plan(&wanted).await).await.unwrap();
        assert_eq!(written(&enacted.changes), (1, 2, 1, 0), "{kind:?}");
        assert_eq!(site.query("select distinct name, note from t"), "new|");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_write_of_an_application_beside_it_is_lost() {
    const ROWS: i64 = 3_000;
    for kind in KINDS {
        let site = Site::with(kind, SCHEMA).await;
        let old: Vec<Row> = (1..=ROWS).map(|id| named(id, "old")).collect();
        let new: Vec<Row> = (1..=ROWS).map(|id| named(id, "new")).collect();
        site.enact(site.plan(&old).await).await.unwrap();
        let mut plan = site.plan(&new).await;
        plan.job.budget.transaction_rows = 100;
        // From the far end on, so that both meet somewhere.
        let application = tokio::task::spawn_blocking({
            let database = Arc::clone(&site.database);
            move || {
                for first in (1..=ROWS).rev().step_by(150) {
                    let last = first - 149;
                    database.execute(&format!(
                        "update t set note = 'local' where id between {last} and {first}"
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
        assert_eq!(count("note = 'local'"), 3_000, "{kind:?}");
        assert_eq!(count("name = 'new'"), enacted.changes.updated, "{kind:?}");
        assert_eq!(count("name = 'old'"), enacted.changes.moved, "{kind:?}");
        println!(
            "{kind:?}: {} of {ROWS} rows had moved",
            enacted.changes.moved
        );
    }
}
