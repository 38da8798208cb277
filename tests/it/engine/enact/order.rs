//! Rows that fit only once others are there, or gone.

use evenkeel::engine::driver::EnactJob;
use evenkeel::engine::plan::{Change, Ending};

use super::{Row, Site, enact_job, int, progress, refused, stream, text, written};
use crate::support::database::{KINDS, Kind};

fn coded(id: i64, code: &str) -> Row {
    vec![int(id), text(code)]
}

const CODES: &str = "create table t (id bigint primary key, code varchar(9) unique)";

#[tokio::test(flavor = "multi_thread")]
async fn unique_values_change_places() {
    for kind in KINDS {
        let site = Site::with(
            kind,
            &format!(
                "{CODES}; insert into t values (1, 'a'), (2, 'b'), (3, 'c'), (8, 'x'), (9, 'z')"
            ),
        )
        .await;
        // 1, 2 and 3 pass theirs on; 4 takes that of a row that goes; 5 wants one that stays.
        let wanted = [(1, "b"), (2, "c"), (3, "a"), (4, "x"), (9, "z"), (5, "z")]
            .map(|(id, code)| coded(id, code));
        let enacted = site.enact(site.plan(&wanted).await).await.unwrap();
        assert_eq!(
            written(&enacted.changes),
            (1, 3, 1, 0),
            "{kind:?}: {enacted:?}"
        );
        let refused = refused(&enacted);
        assert_eq!(refused.len(), 1, "{refused:?}");
        assert_eq!(refused[0].0, "5");
        assert_eq!(
            site.query("select id, code from t order by id"),
            "1|b\n2|c\n3|a\n4|x\n9|z",
            "{kind:?}"
        );
    }
}

const TREE: &str =
    "create table t (id bigint primary key, parent bigint, foreign key (parent) references t (id))";

fn node(id: i64, parent: Option<i64>) -> Row {
    vec![int(id), parent.and_then(int)]
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_point_to_each_other_come_and_go_in_any_order() {
    for kind in KINDS {
        for rule in ["", " on delete cascade", " on delete set null"] {
            let schema = TREE.replace("(id))", &format!("(id){rule})"));
            let site = Site::with(kind, &schema).await;
            // Each points to the next.
            let chain: Vec<Row> = (1..=240)
                .map(|id| node(id, (id < 240).then_some(id + 1)))
                .collect();
            let mut plan = site.plan(&chain).await;
            plan.job.budget.transaction_rows = 100;
            let enacted = site.enact(plan).await.unwrap();
            assert_eq!(written(&enacted.changes), (240, 0, 0, 0), "{kind:?}{rule}");
            let rest = [node(239, Some(240)), node(240, None)];
            let mut plan = site.plan(&rest).await;
            plan.job.budget.transaction_rows = 100;
            // Those that are pointed to first.
            plan.changes.reverse();
            let enacted = site.enact(plan).await.unwrap();
            assert_eq!(
                written(&enacted.changes),
                (0, 0, 238, 0),
                "{kind:?}{rule}: {:?}",
                refused(&enacted)
            );
            assert_eq!(
                site.query("select id, parent from t order by id"),
                "239|240\n240|"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_is_not_deleted_while_rows_outside_the_plan_point_to_it() {
    for kind in KINDS {
        for rule in [
            "",
            " on delete restrict",
            " on delete cascade",
            " on delete set null",
        ] {
            let site = Site::with(
                kind,
                &format!(
                    "create table t (id bigint primary key, name varchar(9));
                     create table child (id bigint primary key, t_id bigint, foreign key (t_id) references t (id){rule});
                     insert into t values (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd');
                     insert into child values (10, 2), (11, 2), (12, null)"
                ),
            )
            .await;
            let kept = [coded(1, "a")];
            let enacted = site.enact(site.plan(&kept).await).await.unwrap();
            assert_eq!(written(&enacted.changes), (0, 0, 2, 0), "{kind:?}{rule}");
            let refused = refused(&enacted);
            assert_eq!(refused.len(), 1, "{refused:?}");
            assert_eq!(refused[0].0, "2");
            assert!(
                refused[0].2.starts_with("still_referenced: "),
                "{kind:?}{rule}: {refused:?}"
            );
            assert_eq!(
                site.query("select id from t order by id"),
                "1\n2",
                "{kind:?}{rule}"
            );
            assert_eq!(
                site.query("select id, t_id from child order by id"),
                "10|2\n11|2\n12|"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_back_is_done_by_the_next_call() {
    for kind in KINDS {
        let site = Site::with(
            kind,
            "create table p (id bigint primary key);
             create table t (id bigint primary key, p bigint, foreign key (p) references p (id));
             insert into p values (1); insert into t values (5, 1)",
        )
        .await;
        let wanted = [
            node(5, Some(2)),
            node(6, Some(2)),
            node(7, Some(1)),
            node(8, Some(3)),
        ];
        let plan = site.plan(&wanted).await;
        let target = plan.job.clone();
        let job = EnactJob {
            ending: Ending::GiveBack,
            ..enact_job(plan.job)
        };
        let first = site
            .driver
            .enact(job, stream(plan.changes), progress())
            .await
            .unwrap();
        assert_eq!(written(&first.changes), (1, 0, 0, 0), "{kind:?}");
        assert_eq!((first.waiting.len(), first.rejected.len()), (3, 0));
        site.database.execute("insert into p values (2)");
        let job = EnactJob {
            waiting: first.waiting,
            ..enact_job(target)
        };
        let second = site
            .driver
            .enact(job, stream(vec![]), progress())
            .await
            .unwrap();
        assert_eq!(written(&second.changes), (1, 1, 0, 0), "{kind:?}");
        assert_eq!(second.rows, 3);
        assert_eq!(refused(&second)[0].0, "8", "{kind:?}");
        assert_eq!(
            site.query("select id, p from t order by id"),
            "5|2\n6|2\n7|1"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_local_row_keeps_what_the_plan_does_not_carry_and_sequences_go_on_behind() {
    for (kind, schema) in [
        (
            Kind::Postgres,
            "create table t (id bigserial primary key, name varchar(9), mine bigint default 7)",
        ),
        (
            Kind::Sqlite,
            "create table t (id integer primary key autoincrement, name varchar(9), mine bigint default 7)",
        ),
        (
            Kind::Mariadb,
            "create table t (id bigint auto_increment primary key, name varchar(9), mine bigint default 7)",
        ),
    ] {
        let site = Site::with(
            kind,
            &format!("{schema}; insert into t (name, mine) values ('a', 1)"),
        )
        .await;
        let mut plan = site.plan(&[]).await;
        plan.job.columns.truncate(2);
        let here = super::hash(&super::tuple(&coded(1, "a")));
        plan.changes = vec![
            Change::Update {
                row: super::tuple(&coded(1, "b")),
                here,
            },
            Change::Insert {
                row: super::tuple(&coded(50, "c")),
            },
        ];
        let enacted = site.enact(plan).await.unwrap();
        assert_eq!(written(&enacted.changes), (1, 1, 0, 0), "{kind:?}");
        site.database.execute("insert into t (name) values ('d')");
        assert_eq!(
            site.query("select * from t order by id"),
            "1|b|1\n50|c|7\n51|d|7",
            "{kind:?}"
        );
    }
}
