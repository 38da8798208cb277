//! Runs that wait for a person: approved with what that person saw, replaced, or waited for too long.

use evenkeel::model::difference::{DifferenceKind, DifferentRow, mark};
use evenkeel::model::outcome::Comparison;
use evenkeel::model::run::{Apply, Changes, Run, RunStatus};
use evenkeel::model::sync::Consequence;
use evenkeel::store::{Store, Taken};
use serde_json::json;

use super::sync::{run_of, stored_sync, turn};
use super::{State, at, error, new_run, on_both_stores, stored_connection, table};

on_both_stores!(
    a_run_that_waits_is_not_over_and_keeps_its_plan,
    only_the_plan_that_was_seen_is_approved,
    a_sync_has_one_run_at_a_time_also_when_one_is_approved,
    the_next_run_of_a_sync_takes_the_place_of_one_that_waits,
    a_run_that_was_to_stop_does_not_wait,
    one_that_waits_too_long_is_cancelled_and_says_why,
    what_was_only_compared_is_no_last_word_about_runs,
    a_run_that_only_compares_writes_nothing,
);

const HASH: &str = "5f00";

/// A run that found something and asks, and its plan for one table.
async fn waiting(store: &Store, run: Run) -> Run {
    store.insert_run(&run).await.unwrap();
    ask(store, run).await
}

async fn ask(store: &Store, mut run: Run) -> Run {
    store.start_run(run.id, at(2)).await.unwrap();
    run.status = RunStatus::NeedsApproval;
    run.plan_hash = Some(HASH.to_owned());
    run.error = Some(error("needs_approval"));
    for table in &mut run.tables {
        table.status = RunStatus::NeedsApproval;
        table.changes.deleted = 50;
    }
    let orders = table("orders");
    store.keep_plan(run.id, &orders, b"plan").await.unwrap();
    store
        .finish_run(&run, Consequence::None, at(3))
        .await
        .unwrap();
    read(store, &run).await
}

async fn stored(store: &Store, name: &str) -> Run {
    let connection = stored_connection(store, name).await;
    waiting(store, new_run(connection.id)).await
}

async fn read(store: &Store, run: &Run) -> Run {
    store.run(run.id).await.unwrap().expect("the run exists")
}

async fn plan(store: &Store, run: &Run) -> Option<Vec<u8>> {
    store.plan(run.id, &table("orders")).await.unwrap()
}

async fn a_run_that_waits_is_not_over_and_keeps_its_plan(state: State) {
    let store = state.open().await;
    let run = stored(&store, "berlin").await;
    assert_eq!(run.status, RunStatus::NeedsApproval);
    assert_eq!((run.completed_at, run.approved_plan.as_ref()), (None, None));
    assert_eq!(run.plan_hash.as_deref(), Some(HASH));
    assert!(plan(&store, &run).await.is_some());
    assert_eq!(store.due_runs(at(9)).await.unwrap(), []);
    assert_eq!(store.take_over_running(at(9)).await.unwrap(), 0);
    assert_eq!(
        store.runs_to_tell().await.unwrap(),
        std::slice::from_ref(&run)
    );
    // It wrote nothing yet, so it is no writer, and there is no last word about its tables.
    let oslo = stored_connection(&store, "oslo").await.id;
    let orders = table("orders");
    assert_eq!(store.other_writer(&orders, oslo).await.unwrap(), None);
    assert_eq!(store.outcomes(run.connection_id).await.unwrap(), []);
    assert!(store.request_cancel(run.id, at(9)).await.unwrap());
    let over = read(&store, &run).await;
    assert_eq!(
        (over.status, over.completed_at),
        (RunStatus::Cancelled, Some(at(9)))
    );
    store.forget_differences(at(0)).await.unwrap();
    assert_eq!(plan(&store, &run).await, None);
}

async fn only_the_plan_that_was_seen_is_approved(state: State) {
    let store = state.open().await;
    let run = stored(&store, "berlin").await;
    assert!(!store.approve_run(run.id, "another", at(90)).await.unwrap());
    assert_eq!(read(&store, &run).await, run);
    assert!(store.approve_run(run.id, HASH, at(90)).await.unwrap());
    let approved = read(&store, &run).await;
    assert_eq!(approved.status, RunStatus::Pending);
    assert_eq!(approved.approved_plan.as_deref(), Some(HASH));
    assert_eq!((approved.give_up_at, approved.error), (Some(at(90)), None));
    assert!(plan(&store, &run).await.is_some());
    // Nobody approves it twice, and once it is over its plan is gone.
    assert!(!store.approve_run(run.id, HASH, at(90)).await.unwrap());
    store.start_run(run.id, at(10)).await.unwrap();
    let mut done = read(&store, &run).await;
    done.status = RunStatus::Completed;
    store
        .finish_run(&done, Consequence::None, at(11))
        .await
        .unwrap();
    assert_eq!(plan(&store, &run).await, None);
    assert!(!store.approve_run(run.id, HASH, at(90)).await.unwrap());
}

async fn a_sync_has_one_run_at_a_time_also_when_one_is_approved(state: State) {
    let store = state.open().await;
    let sync = stored_sync(&store, "nightly", &["orders"]).await;
    let waits = waiting(&store, run_of(&sync, None)).await;
    // As if the two had met: a run that is made otherwise takes the place of the one that waits.
    let other = run_of(&sync, None);
    store.insert_run(&other).await.unwrap();
    assert!(!store.approve_run(waits.id, HASH, at(90)).await.unwrap());
    store.request_cancel(other.id, at(9)).await.unwrap();
    assert!(store.approve_run(waits.id, HASH, at(90)).await.unwrap());
}

async fn the_next_run_of_a_sync_takes_the_place_of_one_that_waits(state: State) {
    let store = state.open().await;
    for (name, by_hand) in [("by hand", true), ("on schedule", false)] {
        let sync = stored_sync(&store, name, &[name]).await;
        let waits = waiting(&store, run_of(&sync, None)).await;
        assert_eq!(store.unfinished_run(sync.id).await.unwrap(), None);
        let to_approve = store.run_to_approve(sync.id).await.unwrap();
        assert_eq!(to_approve.map(|run| run.id), Some(waits.id), "{name}");
        if by_hand {
            let run = run_of(&sync, None);
            assert!(store.insert_run_of_sync(&run, sync.id).await.unwrap());
        } else {
            assert_eq!(turn(&store, &sync, 10, None).await, Taken::Begun);
        }
        let over = read(&store, &waits).await;
        assert_eq!(over.status, RunStatus::Cancelled, "{name}");
        assert_eq!(over.error.unwrap().code, "superseded", "{name}");
        assert!(over.completed_at.is_some(), "{name}");
        assert_eq!(store.run_to_approve(sync.id).await.unwrap(), None);
    }
}

async fn a_run_that_was_to_stop_does_not_wait(state: State) {
    let store = state.open().await;
    let connection = stored_connection(&store, "berlin").await;
    let run = new_run(connection.id);
    store.insert_run(&run).await.unwrap();
    store.start_run(run.id, at(2)).await.unwrap();
    assert!(store.request_cancel(run.id, at(2)).await.unwrap());
    let over = ask(&store, run).await;
    assert_eq!(
        (over.status, over.completed_at),
        (RunStatus::Cancelled, Some(at(3)))
    );
}

async fn one_that_waits_too_long_is_cancelled_and_says_why(state: State) {
    let store = state.open().await;
    let run = stored(&store, "berlin").await;
    let made = run.created_at;
    let expire = |until| store.expire_approvals(until, at(99));
    assert_eq!(expire(made).await.unwrap(), 0);
    let later = made + jiff::SignedDuration::from_secs(1);
    assert_eq!(expire(later).await.unwrap(), 1);
    let over = read(&store, &run).await;
    assert_eq!(over.status, RunStatus::Cancelled);
    assert_eq!(over.error.unwrap().code, "approval_expired");
}

async fn what_was_only_compared_is_no_last_word_about_runs(state: State) {
    let store = state.open().await;
    let connection = stored_connection(&store, "berlin").await;
    let ended = async |apply, status, changes: Changes| {
        let mut run = new_run(connection.id);
        run.order.apply = apply;
        run.tables.truncate(1);
        store.insert_run(&run).await.unwrap();
        store.start_run(run.id, at(2)).await.unwrap();
        (run.status, run.tables[0].status) = (status, status);
        run.tables[0].changes = changes;
        let finished = store.finish_run(&run, Consequence::None, at(3));
        finished.await.unwrap();
        run
    };
    let nothing = Changes::default();
    let failed = ended(Apply::Yes, RunStatus::Failed, nothing).await;
    let differs = Changes {
        deleted: 1,
        ..nothing
    };
    for (changes, expected) in [(differs, Some(Comparison::Different)), (nothing, None)] {
        ended(Apply::No, RunStatus::Completed, changes).await;
        let outcomes = store.outcomes(connection.id).await.unwrap();
        let told = &outcomes[0];
        assert_eq!((told.run_id, told.status), (failed.id, RunStatus::Failed));
        if expected.is_some() {
            assert_eq!(told.comparison, expected);
        }
    }
    assert_eq!(store.runs_to_tell().await.unwrap().len(), 1);
}

async fn a_run_that_only_compares_writes_nothing(state: State) {
    let store = state.open().await;
    let connection = stored_connection(&store, "berlin").await;
    let oslo = stored_connection(&store, "oslo").await.id;
    let mut run = new_run(connection.id);
    run.order.apply = Apply::No;
    store.insert_run(&run).await.unwrap();
    store.start_run(run.id, at(2)).await.unwrap();
    run.status = RunStatus::Completed;
    run.tables[0].status = RunStatus::Completed;
    run.tables[0].changes.added = 4;
    let rows = [DifferentRow {
        key: json!({"id": "1"}),
        kind: DifferenceKind::Added,
        columns: None,
        mark: mark(None, Some(1)),
    }];
    let orders = table("orders");
    let kept = store.keep_differences(run.id, &orders, &rows, at(2));
    kept.await.unwrap();
    store
        .finish_run(&run, Consequence::None, at(3))
        .await
        .unwrap();
    assert_eq!(store.other_writer(&orders, oslo).await.unwrap(), None);
    // What it found outlives it.
    let found = store.differences(run.id, None, 9, 0).await.unwrap();
    assert_eq!(found.len(), 1);
}
