//! Every effect in every mode and by every strategy.

use evenkeel::model::run::ConflictStrategy::{Merge, Newest, Overwrite, Skip};
use evenkeel::model::run::SyncMode::{Insert, Mirror, Update, Upsert};
use evenkeel::model::run::{Changes, ConflictStrategy, SyncMode};

use super::{Row, Site, int, text};
use crate::support::database::KINDS;

const SCHEMA: &str = "create table t (id bigint primary key, name varchar(40), note varchar(40), v bigint);
insert into t values (1, 'one', null, 1), (2, 'two', 'b', 5), (4, 'four', 'd', 1), (5, 'five', 'e', 1), (6, 'six', null, 2)";

const SHOWN: &str = "select id, name, note, v from t order by id";

fn person(id: i64, name: &str, note: Option<&str>, version: Option<i64>) -> Row {
    vec![
        int(id),
        text(name),
        note.and_then(text),
        version.and_then(int),
    ]
}

/// 1 is equal; 2 differs and is older; 3 is only there; 4 differs only by a note that is not there; 5 is only here; 6 is
/// newer.
fn wanted() -> [Row; 5] {
    [
        person(1, "one", None, Some(1)),
        person(2, "TWO", None, Some(4)),
        person(3, "three", None, None),
        person(4, "four", None, Some(1)),
        person(6, "SIX", Some("f"), Some(3)),
    ]
}

fn changes(added: u64, updated: u64, deleted: u64, skipped: u64, conflicts: u64) -> Changes {
    Changes {
        added,
        updated,
        deleted,
        skipped,
        conflicts,
        moved: 0,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mode_and_strategy_say_which_changes_are_made_and_all_are_counted() {
    let (one, two, three) = ("1|one||1", "2|two|b|5", "3|three||");
    let (four, five, six) = ("4|four|d|1", "5|five|e|1", "6|six||2");
    let (new_two, new_four, new_six) = ("2|TWO||4", "4|four||1", "6|SIX|f|3");
    let cases: [(SyncMode, ConflictStrategy, Changes, Vec<&str>); 11] = [
        (
            Mirror,
            Overwrite,
            changes(1, 3, 1, 0, 0),
            vec![one, new_two, three, new_four, new_six],
        ),
        (
            Mirror,
            Skip,
            changes(1, 0, 1, 3, 3),
            vec![one, two, three, four, six],
        ),
        (
            Mirror,
            Merge,
            changes(1, 2, 1, 1, 2),
            vec![one, "2|TWO|b|4", three, four, new_six],
        ),
        (
            Mirror,
            Newest,
            changes(1, 1, 1, 2, 2),
            vec![one, two, three, four, new_six],
        ),
        (
            Upsert,
            Overwrite,
            changes(1, 3, 0, 1, 0),
            vec![one, new_two, three, new_four, five, new_six],
        ),
        (
            Upsert,
            Newest,
            changes(1, 1, 0, 3, 2),
            vec![one, two, three, four, five, new_six],
        ),
        (
            Upsert,
            Skip,
            changes(1, 0, 0, 4, 3),
            vec![one, two, three, four, five, six],
        ),
        (
            Insert,
            Overwrite,
            changes(1, 0, 0, 4, 3),
            vec![one, two, three, four, five, six],
        ),
        (
            Insert,
            Merge,
            changes(1, 0, 0, 4, 3),
            vec![one, two, three, four, five, six],
        ),
        (
            Update,
            Overwrite,
            changes(0, 3, 0, 2, 0),
            vec![one, new_two, new_four, five, new_six],
        ),
        (
            Update,
            Skip,
            changes(0, 0, 0, 5, 3),
            vec![one, two, four, five, six],
        ),
    ];
    for kind in KINDS {
        for (mode, conflict, expected, left) in &cases {
            let site = Site::with(kind, SCHEMA).await;
            let plan = site.plan(&wanted()).await.mode(*mode, *conflict);
            let enacted = site.enact(plan).await.unwrap();
            assert_eq!(enacted.changes, *expected, "{kind:?} {mode} {conflict}");
            assert_eq!(
                site.query(SHOWN),
                left.join("\n"),
                "{kind:?} {mode} {conflict}"
            );
            assert_eq!((enacted.rows, enacted.rejected.len()), (5, 0));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_in_place_makes_up_for_the_difference_between_both_sides() {
    for kind in KINDS {
        for mode in [Upsert, Insert, Update, Mirror] {
            for conflict in [Overwrite, Skip, Merge, Newest] {
                let site = Site::with(kind, SCHEMA).await;
                let plan = site.plan(&wanted()).await.mode(mode, conflict);
                let left = site.enact(plan).await.unwrap().left;
                let name = format!("{kind:?} {mode} {conflict}");
                site.assert_explained(&wanted(), &left, &name).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_plan_finds_nothing_to_do() {
    for kind in KINDS {
        let site = Site::with(kind, SCHEMA).await;
        let rows: Vec<Row> = (1..=2_500)
            .map(|id| {
                person(
                    id,
                    &format!("name {id}"),
                    (id % 3 == 0).then_some(""),
                    Some(id),
                )
            })
            .collect();
        let enacted = site.enact(site.plan(&rows).await).await.unwrap();
        assert_eq!(enacted.changes, changes(2_495, 5, 0, 0, 0), "{kind:?}");
        assert_eq!(site.plan(&rows).await.changes, [], "{kind:?}");
        let halved: Vec<Row> = rows.into_iter().step_by(2).collect();
        let enacted = site.enact(site.plan(&halved).await).await.unwrap();
        assert_eq!(enacted.changes, changes(0, 0, 1_250, 0, 0), "{kind:?}");
        assert_eq!(
            site.query("select count(*), min(id), max(id) from t"),
            "1250|1|2499"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn newest_needs_a_column_to_go_by() {
    for kind in KINDS {
        let site = Site::with(kind, "create table t (id bigint primary key)").await;
        let plan = site.plan(&[vec![int(1)]]).await.mode(Upsert, Newest);
        let err = site.enact(plan).await.unwrap_err().to_string();
        assert!(err.contains("column v"), "{err}");
    }
}
