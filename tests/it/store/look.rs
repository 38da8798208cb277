//! A sync's looks: their planned times, what stands beside them, and what came of them.

use evenkeel::model::drift::Finding;
use evenkeel::model::run::{Apply, Run, RunStatus};
use evenkeel::model::sync::{Consequence, SyncDefinition};
use evenkeel::store::{Store, Taken};

use super::sync::{look, planned, read, run_of, stored_sync, turn};
use super::{State, at, on_both_stores};

on_both_stores!(
    a_look_stands_beside_the_other_runs_of_its_sync,
    a_look_has_one_run_whoever_makes_it,
    what_came_of_the_newest_look_that_is_over_is_kept,
    a_second_look_comes_sooner_but_never_later,
    a_sync_that_only_compares_runs_by_itself,
);

/// A sync that looks next at second 20.
async fn looking(store: &Store, name: &str) -> SyncDefinition {
    let mut sync = stored_sync(store, name, &[name]).await;
    sync.compare_schedule = Some("hourly".parse().unwrap());
    sync.next_look = Some(planned(20));
    store.update_sync(&sync).await.unwrap();
    sync
}

fn look_of(sync: &SyncDefinition, due: i64) -> Run {
    let mut run = run_of(sync, Some(at(due)));
    run.looks = true;
    run.order.apply = Apply::No;
    run
}

async fn take(store: &Store, sync: &SyncDefinition, due: i64) -> (Taken, Run) {
    let run = look_of(sync, due);
    let times = (planned(due), Some(planned(due + 10)));
    let taken = store.take_look(sync.id, times, Some(&run)).await.unwrap();
    (taken, run)
}

async fn a_look_stands_beside_the_other_runs_of_its_sync(state: State) {
    let store = state.open().await;
    let sync = looking(&store, "nightly").await;
    let (taken, look) = take(&store, &sync, 20).await;
    assert_eq!(taken, Taken::Begun);
    let found = read(&store, sync.id).await;
    assert_eq!(found.next_look, Some(planned(30)));
    // Neither its newest run nor one that is in the way of the next.
    assert_eq!((found.last_run_id, found.next), (None, sync.next));
    assert_eq!(store.unfinished_run(sync.id).await.unwrap(), None);
    assert_eq!(turn(&store, &sync, 10, None).await, Taken::Begun);
    assert!(store.run(look.id).await.unwrap().unwrap().looks);
    // Deleted with its sync, as any run.
    let deleted = store.delete_sync(sync.id, at(50)).await.unwrap().unwrap();
    assert_eq!(deleted.stopped.len(), 2);
    assert!(deleted.stopped.contains(&look.id));
}

async fn a_look_has_one_run_whoever_makes_it(state: State) {
    let store = state.open().await;
    let beside = state.open_beside().await.unwrap();
    let sync = looking(&store, "nightly").await;
    let (one, other) = tokio::join!(take(&store, &sync, 20), take(&beside, &sync, 20));
    let mut both = [one.0, other.0];
    both.sort_by_key(|taken| *taken != Taken::Begun);
    assert_eq!(both, [Taken::Begun, Taken::TooLate]);
    // The one before goes on: the time is left behind.
    assert_eq!(take(&store, &sync, 30).await.0, Taken::PassedOver);
    let times = (planned(40), Some(planned(50)));
    let without = store.take_look(sync.id, times, None).await.unwrap();
    assert_eq!(without, Taken::PassedOver);
    let next = read(&store, sync.id).await.next_look;
    assert_eq!(next, Some(planned(50)));
    store
        .plan_look(sync.id, Some(planned(40)), planned(60))
        .await
        .unwrap();
    assert_eq!(read(&store, sync.id).await.next_look, next);
    store.plan_look(sync.id, next, planned(60)).await.unwrap();
    let moved = read(&store, sync.id).await.next_look;
    assert_eq!(moved, Some(planned(60)));
}

async fn what_came_of_the_newest_look_that_is_over_is_kept(state: State) {
    let store = state.open().await;
    let sync = looking(&store, "nightly").await;
    assert_eq!(store.newest_look(sync.id).await.unwrap(), None);
    let (_, mut run) = take(&store, &sync, 20).await;
    assert_eq!(store.newest_look(sync.id).await.unwrap(), None);
    store.start_run(run.id, at(21)).await.unwrap();
    run.status = RunStatus::Completed;
    store
        .finish_run(&run, Consequence::None, at(22))
        .await
        .unwrap();
    let newest = store.newest_look(sync.id).await.unwrap().unwrap();
    assert_eq!(newest.id, run.id);

    for finding in [Finding::Unsettled, Finding::Left] {
        let found = look(run.id, finding);
        store.note_look(sync.id, &found, None).await.unwrap();
        assert_eq!(read(&store, sync.id).await.last_look, Some(found));
    }
    // What a person changes leaves it alone.
    store.update_sync(&sync).await.unwrap();
    let kept = read(&store, sync.id).await.last_look;
    assert_eq!(kept, Some(look(run.id, Finding::Left)));
}

async fn a_second_look_comes_sooner_but_never_later(state: State) {
    let store = state.open().await;
    for (name, sooner, expected) in [
        ("none", None, (20, 23)),
        ("sooner", Some(at(12)), (12, 12)),
        ("later", Some(at(24)), (20, 23)),
    ] {
        let sync = looking(&store, name).await;
        let run = look_of(&sync, 5);
        let found = look(run.id, Finding::Unsettled);
        store.note_look(sync.id, &found, sooner).await.unwrap();
        let next = read(&store, sync.id).await.next_look.unwrap();
        let expected = (at(expected.0), at(expected.1));
        assert_eq!((next.planned_at, next.starts_at), expected, "{name}");
    }
}

async fn a_sync_that_only_compares_runs_by_itself(state: State) {
    let store = state.open().await;
    let mut sync = looking(&store, "nightly").await;
    (sync.schedule, sync.next) = (None, None);
    store.update_sync(&sync).await.unwrap();
    assert_eq!(store.scheduled_syncs().await.unwrap(), [sync.id]);
    sync.compare_schedule = None;
    store.update_sync(&sync).await.unwrap();
    assert_eq!(store.scheduled_syncs().await.unwrap(), []);
}
