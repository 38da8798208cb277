//! Runs: a queue in which a run has one starter, and a history in which the final stays as it is.

use evenkeel::model::connection::Connection;
use evenkeel::model::guard::Guard;
use evenkeel::model::order::TableOrder;
use evenkeel::model::run::{
    Apply, Changes, ConflictStrategy, Progress, Run, RunOrder, RunStatus, RunTable, SyncMode,
};
use evenkeel::model::sync::Consequence;
use evenkeel::store::{RunFilter, RunPage, Store};

use super::{State, at, error, new_run, on_both_stores, stored_connection, table};

on_both_stores!(
    every_field_of_a_run_comes_back,
    runs_are_listed_newest_first_by_connection_status_and_time,
    of_two_starters_one_gets_the_run,
    a_run_is_due_when_its_next_attempt_has_come,
    a_postponed_run_keeps_its_error_and_what_it_did,
    a_waiting_run_counts_no_attempt,
    a_peer_that_is_back_makes_its_runs_due_at_once,
    a_pending_run_is_cancelled_at_once_and_a_running_one_when_it_stops,
    a_final_run_stays_as_it_is,
    a_run_found_running_is_taken_over,
);

const ALL: RunPage = RunPage {
    limit: 100,
    before: None,
};

async fn read(store: &Store, run: &Run) -> Run {
    store.run(run.id).await.unwrap().expect("the run exists")
}

async fn stored_run(store: &Store) -> Run {
    let connections = store.connections(evenkeel::store::ListPage {
        limit: 1,
        before: None,
    });
    let connection: Connection = match connections.await.unwrap().pop() {
        Some(connection) => connection,
        None => stored_connection(store, "berlin").await,
    };
    let run = new_run(connection.id);
    store.insert_run(&run).await.unwrap();
    run
}

async fn every_field_of_a_run_comes_back(state: State) {
    let store = state.open().await;
    let plain = stored_run(&store).await;
    let full = Run {
        order: RunOrder {
            tables: vec![TableOrder::of(table("\"a.b\"")), mapped()],
            sync_mode: SyncMode::Update,
            conflict_strategy: ConflictStrategy::Merge,
            apply: Apply::Ask,
            create_missing: false,
            shared: true,
            guard: Guard {
                percent: 3,
                rows: 7,
            },
            keep: Some(9),
        },
        status: RunStatus::CompletedWithErrors,
        attempt: 4,
        next_attempt_at: Some(at(2)),
        started_at: Some(at(3)),
        completed_at: Some(at(4)),
        progress: Progress {
            rows: 5,
            rows_total: Some(u64::MAX),
            eta_seconds: Some(0),
            ..Progress::default()
        },
        error: Some(error("peer_unreachable")),
        tables: vec![RunTable {
            changes: Changes {
                added: 3,
                ..Changes::default()
            },
            proved_equal: Some(false),
            error: Some(error("value_too_wide")),
            ..RunTable::waiting(table("shop.items"))
        }],
        cancel_requested: true,
        looks: true,
        plan_hash: Some("a1".to_owned()),
        approved_plan: Some("b2".to_owned()),
        ..new_run(plain.connection_id)
    };
    store.insert_run(&full).await.unwrap();
    assert_eq!(read(&store, &plain).await, plain);
    assert_eq!(read(&store, &full).await, full);
}

async fn runs_are_listed_newest_first_by_connection_status_and_time(state: State) {
    let store = state.open().await;
    let first = stored_run(&store).await;
    let second = stored_run(&store).await;
    let other = stored_connection(&store, "oslo").await;
    let third = Run {
        created_at: at(100),
        ..new_run(other.id)
    };
    store.insert_run(&third).await.unwrap();
    store.start_run(second.id, at(5)).await.unwrap();
    let cases = [
        (
            "all",
            RunFilter::default(),
            ALL,
            vec![third.id, second.id, first.id],
        ),
        (
            "limit",
            RunFilter::default(),
            RunPage {
                limit: 1,
                before: None,
            },
            vec![third.id],
        ),
        (
            "older",
            RunFilter::default(),
            RunPage {
                limit: 9,
                before: Some(second.id),
            },
            vec![first.id],
        ),
        (
            "connection",
            RunFilter {
                connection: Some(other.id),
                ..RunFilter::default()
            },
            ALL,
            vec![third.id],
        ),
        (
            "status",
            RunFilter {
                status: Some(RunStatus::Running),
                ..RunFilter::default()
            },
            ALL,
            vec![second.id],
        ),
        (
            "since",
            RunFilter {
                since: Some(at(100)),
                ..RunFilter::default()
            },
            ALL,
            vec![third.id],
        ),
    ];
    for (name, filter, page, expected) in cases {
        let found = store.runs(&filter, page).await.unwrap();
        let found: Vec<_> = found.iter().map(|run| run.id).collect();
        assert_eq!(found, expected, "{name}");
    }
}

async fn of_two_starters_one_gets_the_run(state: State) {
    let store = state.open().await;
    let beside = state.open_beside().await.unwrap();
    for _ in 0..20 {
        let run = stored_run(&store).await;
        let (one, other) = tokio::join!(
            store.start_run(run.id, at(5)),
            beside.start_run(run.id, at(5))
        );
        assert!(
            one.unwrap() != other.unwrap(),
            "both or none started the run"
        );
        let started = read(&store, &run).await;
        assert_eq!((started.status, started.attempt), (RunStatus::Running, 1));
        assert_eq!(started.started_at, Some(at(5)));
    }
}

async fn a_run_is_due_when_its_next_attempt_has_come(state: State) {
    let store = state.open().await;
    assert_eq!(store.next_attempt().await.unwrap(), None);
    let now = stored_run(&store).await;
    for seconds in [20, 10] {
        let later = Run {
            next_attempt_at: Some(at(seconds)),
            ..new_run(now.connection_id)
        };
        store.insert_run(&later).await.unwrap();
    }
    assert_eq!(store.next_attempt().await.unwrap(), Some(at(10)));
    for (seconds, due) in [(0, 1), (10, 2), (19, 2), (20, 3)] {
        let found = store.due_runs(at(seconds)).await.unwrap();
        assert_eq!(found.len(), due, "after {seconds} s");
        assert_eq!(found[0].id, now.id, "the oldest comes first");
    }
}

async fn a_postponed_run_keeps_its_error_and_what_it_did(state: State) {
    let store = state.open().await;
    let mut run = stored_run(&store).await;
    store.start_run(run.id, at(5)).await.unwrap();
    run.progress.rows = 42;
    run.tables[0].rows_synced = 42;
    store
        .postpone_run(&run, at(10), &error("peer_unreachable"), at(6))
        .await
        .unwrap();
    let found = read(&store, &run).await;
    assert_eq!((found.status, found.attempt), (RunStatus::Pending, 1));
    assert_eq!(
        (found.next_attempt_at, found.completed_at),
        (Some(at(10)), None)
    );
    assert_eq!(found.error, Some(error("peer_unreachable")));
    assert_eq!((found.progress, &found.tables), (run.progress, &run.tables));
    assert!(store.start_run(run.id, at(11)).await.unwrap());
    let found = read(&store, &run).await;
    assert_eq!(
        (found.attempt, found.started_at, found.error),
        (2, Some(at(5)), None)
    );
}

async fn a_waiting_run_counts_no_attempt(state: State) {
    let store = state.open().await;
    let run = stored_run(&store).await;
    store
        .set_waiting(run.id, &error("waiting_for_run"), at(9))
        .await
        .unwrap();
    let found = read(&store, &run).await;
    assert_eq!((found.status, found.attempt), (RunStatus::Pending, 0));
    assert_eq!(found.error.unwrap().code, "waiting_for_run");
    assert_eq!(found.next_attempt_at, Some(at(9)));
}

async fn a_peer_that_is_back_makes_its_runs_due_at_once(state: State) {
    let store = state.open().await;
    let waiting = stored_run(&store).await;
    let other = stored_connection(&store, "madrid").await;
    let elsewhere = new_run(other.id);
    store.insert_run(&elsewhere).await.unwrap();
    for run in [&waiting, &elsewhere] {
        let error = error("peer_unreachable");
        store.set_waiting(run.id, &error, at(90)).await.unwrap();
    }
    assert_eq!(store.due_runs(at(50)).await.unwrap(), []);
    store
        .hurry_runs(waiting.connection_id, at(50))
        .await
        .unwrap();
    let due = store.due_runs(at(50)).await.unwrap();
    assert_eq!(
        due.iter().map(|run| run.id).collect::<Vec<_>>(),
        [waiting.id]
    );
}

async fn a_pending_run_is_cancelled_at_once_and_a_running_one_when_it_stops(state: State) {
    let store = state.open().await;
    let pending = stored_run(&store).await;
    assert!(store.request_cancel(pending.id, at(3)).await.unwrap());
    let found = read(&store, &pending).await;
    assert_eq!(
        (found.status, found.completed_at),
        (RunStatus::Cancelled, Some(at(3)))
    );
    assert!(!store.request_cancel(pending.id, at(4)).await.unwrap());
    assert!(!store.start_run(pending.id, at(4)).await.unwrap());

    let running = stored_run(&store).await;
    store.start_run(running.id, at(5)).await.unwrap();
    assert!(store.request_cancel(running.id, at(6)).await.unwrap());
    let found = read(&store, &running).await;
    assert_eq!(
        (found.status, found.cancel_requested),
        (RunStatus::Running, true)
    );
    assert_eq!(found.completed_at, None);
    store
        .postpone_run(&running, at(20), &error("peer_unreachable"), at(7))
        .await
        .unwrap();
    let found = read(&store, &running).await;
    assert_eq!(
        (found.status, found.completed_at),
        (RunStatus::Cancelled, Some(at(7)))
    );
}

async fn a_final_run_stays_as_it_is(state: State) {
    let store = state.open().await;
    let mut run = stored_run(&store).await;
    store.start_run(run.id, at(5)).await.unwrap();
    run.progress.tables_done = 1;
    store.save_progress(&run).await.unwrap();
    assert_eq!(read(&store, &run).await.progress, run.progress);
    run.status = RunStatus::Failed;
    run.error = Some(error("unknown_table"));
    store
        .finish_run(&run, Consequence::None, at(6))
        .await
        .unwrap();
    let ended = read(&store, &run).await;
    assert_eq!(
        (ended.status, ended.completed_at),
        (RunStatus::Failed, Some(at(6)))
    );
    assert_eq!(ended.error, run.error);
    run.status = RunStatus::Completed;
    run.progress.rows = 99;
    store
        .finish_run(&run, Consequence::None, at(7))
        .await
        .unwrap();
    store.save_progress(&run).await.unwrap();
    store
        .postpone_run(&run, at(9), &error("late"), at(8))
        .await
        .unwrap();
    assert_eq!(store.take_over_running(at(9)).await.unwrap(), 0);
    assert_eq!(read(&store, &run).await, ended);
}

async fn a_run_found_running_is_taken_over(state: State) {
    let store = state.open().await;
    let (interrupted, cancelled) = (stored_run(&store).await, stored_run(&store).await);
    for run in [&interrupted, &cancelled] {
        store.start_run(run.id, at(5)).await.unwrap();
    }
    store.request_cancel(cancelled.id, at(6)).await.unwrap();
    store.close().await;
    drop(store);
    let store = state.open().await;
    assert_eq!(store.take_over_running(at(7)).await.unwrap(), 2);
    let found = read(&store, &interrupted).await;
    assert_eq!((found.status, found.attempt), (RunStatus::Pending, 1));
    assert_eq!(store.due_runs(at(7)).await.unwrap(), [found]);
    let found = read(&store, &cancelled).await;
    assert_eq!(
        (found.status, found.completed_at),
        (RunStatus::Cancelled, Some(at(7)))
    );
}

/// A table that says everything one can.
fn mapped() -> TableOrder {
    serde_json::from_value(serde_json::json!({
        "source_table": "orders", "destination_table": "shop.orders", "primary_key": ["id"],
        "field_mapping": [{"source_column": "nr", "destination_field": "id", "type_cast": "numeric"}],
        "row_filter": {"and": [
            {"column": "n", "op": "<", "value": "0.1234567890123456789"}, {"column": "b", "op": "is_null"},
        ]},
    }))
    .unwrap()
}
