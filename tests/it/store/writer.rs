//! The two-writers rule: who wrote a table first is known, and forgotten with its connection.

use evenkeel::model::connection::Status;
use evenkeel::model::id::ConnectionId;
use evenkeel::model::run::{Changes, RunStatus, RunTable};
use evenkeel::model::standing::Standing;
use evenkeel::model::sync::Consequence;
use evenkeel::model::table::TableName;
use evenkeel::store::{StandingStep, Store};

use super::{State, at, error, new_run, on_both_stores, stored_connection, table};

on_both_stores!(
    the_first_writer_of_a_table_is_told_to_all_but_itself,
    a_table_that_failed_untouched_has_no_writer,
    a_run_between_two_attempts_is_a_writer_already,
    a_writer_counts_no_more_when_its_connection_ended,
);

/// A run of `connection`, made at `seconds`, after which `table` has this status and so many rows added.
async fn ran(store: &Store, connection: ConnectionId, seconds: i64, outcome: (RunStatus, u64)) {
    let mut run = new_run(connection);
    run.created_at = at(seconds);
    store.insert_run(&run).await.unwrap();
    store.start_run(run.id, at(seconds)).await.unwrap();
    let (status, added) = outcome;
    run.tables = vec![RunTable {
        status,
        changes: Changes {
            added,
            ..Changes::default()
        },
        ..RunTable::waiting(orders())
    }];
    run.status = status;
    store
        .finish_run(&run, Consequence::None, at(seconds + 1))
        .await
        .unwrap();
}

fn orders() -> TableName {
    table("orders")
}

async fn the_first_writer_of_a_table_is_told_to_all_but_itself(state: State) {
    let store = state.open().await;
    let berlin = stored_connection(&store, "berlin").await.id;
    let oslo = stored_connection(&store, "oslo").await.id;
    assert_eq!(store.other_writer(&orders(), oslo).await.unwrap(), None);
    ran(&store, berlin, 10, (RunStatus::Completed, 0)).await;
    assert_eq!(
        store.other_writer(&orders(), oslo).await.unwrap(),
        Some(berlin)
    );
    assert_eq!(store.other_writer(&orders(), berlin).await.unwrap(), None);
    assert_eq!(
        store.other_writer(&table("items"), oslo).await.unwrap(),
        None
    );
    // Let in as shared, the second does not lock out the first.
    ran(&store, oslo, 20, (RunStatus::Completed, 5)).await;
    ran(&store, berlin, 30, (RunStatus::Completed, 5)).await;
    assert_eq!(store.other_writer(&orders(), berlin).await.unwrap(), None);
    assert_eq!(
        store.other_writer(&orders(), oslo).await.unwrap(),
        Some(berlin)
    );
}

async fn a_table_that_failed_untouched_has_no_writer(state: State) {
    let store = state.open().await;
    let berlin = stored_connection(&store, "berlin").await.id;
    let oslo = stored_connection(&store, "oslo").await.id;
    ran(&store, berlin, 10, (RunStatus::Failed, 0)).await;
    assert_eq!(store.other_writer(&orders(), oslo).await.unwrap(), None);
    ran(&store, berlin, 20, (RunStatus::Failed, 1)).await;
    assert_eq!(
        store.other_writer(&orders(), oslo).await.unwrap(),
        Some(berlin)
    );
}

async fn a_run_between_two_attempts_is_a_writer_already(state: State) {
    let store = state.open().await;
    let berlin = stored_connection(&store, "berlin").await.id;
    let oslo = stored_connection(&store, "oslo").await.id;
    let mut run = new_run(berlin);
    store.insert_run(&run).await.unwrap();
    store.start_run(run.id, at(1)).await.unwrap();
    for (added, expected) in [(0, None), (5, Some(berlin))] {
        let mut table = RunTable::waiting(orders());
        (table.status, table.changes.added) = (RunStatus::Failed, added);
        run.tables = vec![table];
        store
            .postpone_run(&run, at(9), &error("stream_cut"), at(2))
            .await
            .unwrap();
        assert_eq!(store.other_writer(&orders(), oslo).await.unwrap(), expected);
        store.start_run(run.id, at(9)).await.unwrap();
    }
}

async fn a_writer_counts_no_more_when_its_connection_ended(state: State) {
    let store = state.open().await;
    let oslo = stored_connection(&store, "oslo").await.id;
    for case in ["deleted", "revoked", "severed"] {
        let known = stored_connection(&store, case).await;
        let ended = known.id;
        ran(&store, ended, 10, (RunStatus::Completed, 1)).await;
        assert_eq!(
            store.other_writer(&orders(), oslo).await.unwrap(),
            Some(ended),
            "{case}"
        );
        let before = Standing::from(&known);
        let severed = StandingStep {
            before,
            after: before.heard_plainly(Status::Revoked, false),
            reason: None,
        };
        match case {
            "deleted" => store.mark_deleted(ended, at(20)).await,
            "revoked" => {
                store
                    .set_local_status(ended, Status::Revoked, None, None, at(20))
                    .await
            }
            _ => store.set_standing(ended, &severed, at(20)).await.map(drop),
        }
        .unwrap();
        assert_eq!(
            store.other_writer(&orders(), oslo).await.unwrap(),
            None,
            "{case}"
        );
    }
}
