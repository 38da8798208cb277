//! A sync's turns: one run at a time and one for each planned time, whoever asks.

use evenkeel::model::run::{Run, RunStatus};
use evenkeel::model::sync::{Consequence, SyncDefinition, SyncStatus};
use evenkeel::store::{ListPage, RunFilter, Store, Taken};

use super::sync::{planned, read, run_of, stored_sync, turn};
use super::{State, at, error, on_both_stores};

on_both_stores!(
    a_planned_time_has_one_run_whoever_takes_it,
    a_sync_has_one_run_at_a_time,
    a_run_between_attempts_makes_room_for_the_next_planned_time,
    a_run_that_was_just_begun_makes_no_room,
    the_end_of_a_run_tells_on_its_sync,
    a_sync_runs_by_itself_only_when_active_and_scheduled,
);

async fn runs(store: &Store, sync: &SyncDefinition) -> Vec<Run> {
    let filter = RunFilter {
        sync: Some(sync.id),
        ..RunFilter::default()
    };
    let page = ListPage {
        limit: 100,
        before: None,
    };
    store.runs(&filter, page).await.unwrap()
}

async fn a_planned_time_has_one_run_whoever_takes_it(state: State) {
    let store = state.open().await;
    let beside = state.open_beside().await.unwrap();
    let sync = stored_sync(&store, "nightly", &["orders"]).await;
    for due in (10..60).step_by(10) {
        let (one, other) = tokio::join!(
            turn(&store, &sync, due, None),
            turn(&beside, &sync, due, None)
        );
        let mut both = [one, other];
        both.sort_by_key(|taken| *taken != Taken::Begun);
        assert_eq!(both, [Taken::Begun, Taken::TooLate], "{due}");
        let made = store.unfinished_run(sync.id).await.unwrap().unwrap();
        assert_eq!(made.planned_at, Some(at(due)));
        store.request_cancel(made.id, at(due)).await.unwrap();
    }
    let found = read(&store, sync.id).await;
    assert_eq!(found.next, Some(planned(60)));
    assert_eq!(runs(&store, &sync).await.len(), 5);
    // However its next time comes to be one that had its run, it gets no second one.
    let again = SyncDefinition {
        next: Some(planned(30)),
        ..found
    };
    store.update_sync(&again).await.unwrap();
    assert_eq!(turn(&store, &sync, 30, None).await, Taken::PassedOver);
    assert_eq!(read(&store, sync.id).await.next, Some(planned(40)));
    assert_eq!(runs(&store, &sync).await.len(), 5);
}

async fn a_sync_has_one_run_at_a_time(state: State) {
    let store = state.open().await;
    let beside = state.open_beside().await.unwrap();
    let sync = stored_sync(&store, "nightly", &["orders"]).await;
    let (first, second) = (run_of(&sync, None), run_of(&sync, None));
    let (one, other) = tokio::join!(
        store.insert_run_of_sync(&first, sync.id),
        beside.insert_run_of_sync(&second, sync.id)
    );
    assert!(one.unwrap() != other.unwrap(), "both or none was added");
    let mut going_on = store.unfinished_run(sync.id).await.unwrap().unwrap();
    assert_eq!(read(&store, sync.id).await.last_run_id, Some(going_on.id));
    for running in [false, true] {
        if running {
            store.start_run(going_on.id, at(5)).await.unwrap();
        }
        let third = run_of(&sync, None);
        assert!(!store.insert_run_of_sync(&third, sync.id).await.unwrap());
    }
    assert_eq!(turn(&store, &sync, 10, None).await, Taken::PassedOver);
    assert_eq!(read(&store, sync.id).await.next, Some(planned(20)));
    going_on.status = RunStatus::Completed;
    let (over, none) = (going_on, Consequence::None);
    store.finish_run(&over, none, at(15)).await.unwrap();
    assert_eq!(store.unfinished_run(sync.id).await.unwrap(), None);
    assert_eq!(turn(&store, &sync, 20, None).await, Taken::Begun);
}

async fn a_run_between_attempts_makes_room_for_the_next_planned_time(state: State) {
    let store = state.open().await;
    let sync = stored_sync(&store, "nightly", &["orders"]).await;
    turn(&store, &sync, 10, None).await;
    let run = store.unfinished_run(sync.id).await.unwrap().unwrap();
    store.start_run(run.id, at(13)).await.unwrap();
    let mut run = store.run(run.id).await.unwrap().unwrap();
    store
        .postpone_run(&run, at(18), &error("peer_unreachable"), at(14))
        .await
        .unwrap();
    run.end(RunStatus::Failed);
    assert_eq!(turn(&store, &sync, 20, Some(&run)).await, Taken::Begun);
    let given_up = store.run(run.id).await.unwrap().unwrap();
    assert_eq!(
        (given_up.status, given_up.completed_at),
        (RunStatus::Failed, Some(at(23)))
    );
    assert_eq!(given_up.error, Some(error("peer_unreachable")));
    assert_eq!(given_up.tables[0].status, RunStatus::Failed);
    let new = store.unfinished_run(sync.id).await.unwrap().unwrap();
    assert_eq!(new.planned_at, Some(at(20)));
}

async fn a_run_that_was_just_begun_makes_no_room(state: State) {
    let store = state.open().await;
    let sync = stored_sync(&store, "nightly", &["orders"]).await;
    turn(&store, &sync, 10, None).await;
    let mut seen = store.unfinished_run(sync.id).await.unwrap().unwrap();
    store.start_run(seen.id, at(13)).await.unwrap();
    seen.end(RunStatus::Failed);
    assert_eq!(
        turn(&store, &sync, 20, Some(&seen)).await,
        Taken::PassedOver
    );
    let found = store.run(seen.id).await.unwrap().unwrap();
    assert_eq!(found.status, RunStatus::Running);
}

async fn the_end_of_a_run_tells_on_its_sync(state: State) {
    let store = state.open().await;
    let sync = stored_sync(&store, "nightly", &["orders"]).await;
    // A run that ended at `seconds`, made a second before.
    let ended = async |seconds: i64, consequence: Consequence| {
        let mut run = run_of(&sync, None);
        run.created_at = at(seconds - 1);
        assert!(store.insert_run_of_sync(&run, sync.id).await.unwrap());
        run.status = RunStatus::Failed;
        run.error = Some(error("not_granted"));
        store
            .finish_run(&run, consequence, at(seconds))
            .await
            .unwrap();
        read(&store, sync.id).await
    };
    let found = ended(20, Consequence::CameThrough).await;
    assert_eq!(found.last_synced_at, Some(at(20)));
    assert_eq!((found.status, found.next), (SyncStatus::Active, sync.next));
    let found = ended(30, Consequence::None).await;
    assert_eq!(found.last_synced_at, Some(at(20)));
    let found = ended(40, Consequence::Stops).await;
    assert_eq!((found.status, found.next), (SyncStatus::Error, None));
    assert_eq!(found.status_error, Some(error("not_granted")));
    assert_eq!(store.scheduled_syncs().await.unwrap(), []);
    let found = ended(50, Consequence::CameThrough).await;
    assert_eq!(
        (found.status, found.status_error),
        (SyncStatus::Active, None)
    );
    assert_eq!(
        (found.active_since, found.last_synced_at),
        (Some(at(50)), Some(at(50)))
    );
    // Its next time is planned when the scheduler finds it without one, and only then.
    store.plan_sync(sync.id, None, planned(60)).await.unwrap();
    store.plan_sync(sync.id, None, planned(70)).await.unwrap();
    assert_eq!(read(&store, sync.id).await.next, Some(planned(60)));
    let known = Some(planned(60));
    store.plan_sync(sync.id, known, planned(80)).await.unwrap();
    assert_eq!(read(&store, sync.id).await.next, Some(planned(80)));
    // What a person has changed meanwhile is not stopped by a run that was made before.
    let edited = SyncDefinition {
        updated_at: at(90),
        ..read(&store, sync.id).await
    };
    store.update_sync(&edited).await.unwrap();
    assert_eq!(
        ended(90, Consequence::Stops).await.status,
        SyncStatus::Active
    );
    assert_eq!(
        ended(92, Consequence::Stops).await.status,
        SyncStatus::Error
    );
}

async fn a_sync_runs_by_itself_only_when_active_and_scheduled(state: State) {
    let store = state.open().await;
    let mut sync = stored_sync(&store, "nightly", &["orders"]).await;
    assert_eq!(store.scheduled_syncs().await.unwrap(), [sync.id]);
    for status in [SyncStatus::Draft, SyncStatus::Paused, SyncStatus::Error] {
        sync.status = status;
        store.update_sync(&sync).await.unwrap();
        assert_eq!(store.scheduled_syncs().await.unwrap(), [], "{status}");
        assert_eq!(turn(&store, &sync, 10, None).await, Taken::TooLate);
    }
    (sync.status, sync.schedule) = (SyncStatus::Active, None);
    store.update_sync(&sync).await.unwrap();
    assert_eq!(store.scheduled_syncs().await.unwrap(), []);
}
