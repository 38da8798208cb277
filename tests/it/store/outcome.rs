//! The last word about a table: whose it is, what it keeps, and when it is told no more.

use evenkeel::model::id::ConnectionId;
use evenkeel::model::outcome::{Comparison, Outcome};
use evenkeel::model::run::{Changes, Run, RunStatus, RunTable};
use evenkeel::model::sync::Consequence;
use evenkeel::store::Store;

use super::{State, at, error, new_run, on_both_stores, stored_connection, table};

on_both_stores!(
    a_run_that_ends_says_what_became_of_each_table,
    a_run_made_earlier_never_overrules_one_made_later,
    a_run_that_failed_keeps_the_last_count_and_one_that_was_cancelled_says_nothing,
    a_dismissed_run_is_told_no_more_until_the_next_one_fails,
    runs_that_wait_after_a_fault_are_told_newest_first,
);

/// A run of one table over `connection` that ended so.
async fn ended(store: &Store, connection: ConnectionId, status: RunStatus) -> Run {
    let mut run = new_run(connection);
    store.insert_run(&run).await.unwrap();
    end(store, &mut run, status).await;
    run
}

async fn end(store: &Store, run: &mut Run, status: RunStatus) {
    run.status = status;
    for table in &mut run.tables {
        table.status = status;
        let counted = !matches!(status, RunStatus::Failed | RunStatus::Cancelled);
        table.rows_destination = counted.then_some(7);
    }
    store.start_run(run.id, at(2)).await.unwrap();
    store
        .finish_run(run, Consequence::None, at(3))
        .await
        .unwrap();
}

async fn only(store: &Store, connection: ConnectionId) -> Outcome {
    let mut outcomes = store.outcomes(connection).await.unwrap();
    assert_eq!(outcomes.len(), 1, "{outcomes:#?}");
    outcomes.pop().unwrap()
}

async fn a_run_that_ends_says_what_became_of_each_table(state: State) {
    let store = state.open().await;
    let connection = stored_connection(&store, "berlin").await;
    let mut run = new_run(connection.id);
    run.tables.push(RunTable {
        status: RunStatus::CompletedWithErrors,
        rows_failed: 2,
        rows_destination: Some(5),
        changes: Changes::default(),
        ..RunTable::waiting(table("shop.items"))
    });
    store.insert_run(&run).await.unwrap();
    run.tables[0].status = RunStatus::Completed;
    run.tables[0].rows_destination = Some(7);
    run.status = RunStatus::CompletedWithErrors;
    store.start_run(run.id, at(2)).await.unwrap();
    store
        .finish_run(&run, Consequence::None, at(3))
        .await
        .unwrap();

    let good = Outcome {
        connection_id: connection.id,
        table: table("orders"),
        run_id: run.id,
        status: RunStatus::Completed,
        comparison: None,
        ended_at: at(3),
        rows: Some(7),
        counted_at: Some(at(3)),
        dismissed_at: None,
    };
    let bad = Outcome {
        table: table("shop.items"),
        status: RunStatus::CompletedWithErrors,
        comparison: Some(Comparison::Different),
        rows: Some(5),
        ..good.clone()
    };
    assert_eq!(
        store.outcomes(connection.id).await.unwrap(),
        [good, bad.clone()]
    );
    assert_eq!(store.outcomes_to_tell().await.unwrap(), [bad]);
    let runs = store.runs_to_tell().await.unwrap();
    assert_eq!(runs.iter().map(|run| run.id).collect::<Vec<_>>(), [run.id]);
}

async fn a_run_made_earlier_never_overrules_one_made_later(state: State) {
    let store = state.open().await;
    let connection = stored_connection(&store, "berlin").await.id;
    let mut early = new_run(connection);
    store.insert_run(&early).await.unwrap();
    let late = ended(&store, connection, RunStatus::Completed).await;
    end(&store, &mut early, RunStatus::Failed).await;
    assert_eq!(only(&store, connection).await.run_id, late.id);
    assert_eq!(store.outcomes_to_tell().await.unwrap(), []);
}

async fn a_run_that_failed_keeps_the_last_count_and_one_that_was_cancelled_says_nothing(
    state: State,
) {
    let store = state.open().await;
    let connection = stored_connection(&store, "berlin").await.id;
    ended(&store, connection, RunStatus::Completed).await;
    let failed = ended(&store, connection, RunStatus::Failed).await;
    ended(&store, connection, RunStatus::Cancelled).await;
    let said = only(&store, connection).await;
    assert_eq!((said.run_id, said.status), (failed.id, RunStatus::Failed));
    assert_eq!((said.rows, said.counted_at), (Some(7), Some(at(3))));
}

async fn a_dismissed_run_is_told_no_more_until_the_next_one_fails(state: State) {
    let store = state.open().await;
    let connection = stored_connection(&store, "berlin").await.id;
    let failed = ended(&store, connection, RunStatus::Failed).await;
    store.dismiss_run(failed.id, at(4)).await.unwrap();
    assert_eq!(only(&store, connection).await.dismissed_at, Some(at(4)));
    assert_eq!(store.outcomes_to_tell().await.unwrap(), []);
    assert_eq!(store.runs_to_tell().await.unwrap(), []);
    let again = ended(&store, connection, RunStatus::Failed).await;
    assert_eq!(store.outcomes_to_tell().await.unwrap()[0].run_id, again.id);
}

async fn runs_that_wait_after_a_fault_are_told_newest_first(state: State) {
    let store = state.open().await;
    let connection = stored_connection(&store, "berlin").await.id;
    let fresh = new_run(connection);
    store.insert_run(&fresh).await.unwrap();
    let mut waiting = Vec::new();
    for _ in 0..2 {
        let run = new_run(connection);
        store.insert_run(&run).await.unwrap();
        store
            .set_waiting(run.id, &error("waiting_for_run"), at(9))
            .await
            .unwrap();
        waiting.insert(0, run.id);
    }
    let told = store.runs_to_tell().await.unwrap();
    assert_eq!(told.iter().map(|run| run.id).collect::<Vec<_>>(), waiting);
}
