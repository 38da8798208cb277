//! Syncs: their fields, their names, and tables with one writer.

use std::time::Duration;

use evenkeel::model::drift::{Budget, Finding, Look};
use evenkeel::model::id::{ConnectionId, RunId, SyncId};
use evenkeel::model::order::TableOrder;
use evenkeel::model::run::{ConflictStrategy, Run, RunOrder, RunStatus, SyncMode};
use evenkeel::model::schedule::Planned;
use evenkeel::model::sync::{Consequence, SyncDefinition, SyncStatus};
use evenkeel::store::{DeletedSync, ListPage, Store, StoreError, TableTaken, Taken, Turn};
use jiff::Timestamp;

use super::{State, at, error, new_run, on_both_stores, stored_connection, table};

on_both_stores!(
    every_field_of_a_sync_comes_back,
    a_name_is_taken_only_while_its_sync_exists,
    what_a_person_changes_is_written_and_nothing_else,
    a_sync_claims_its_tables_until_it_lets_go_of_them,
    no_run_of_a_deleted_sync_goes_on,
    of_two_syncs_made_at_once_one_gets_the_table,
    a_sync_whose_peer_is_away_is_halted_and_due_at_once_when_it_is_back,
    a_state_of_the_first_version_goes_on_with_its_rows,
);

pub(super) fn planned(seconds: i64) -> Planned {
    Planned {
        planned_at: at(seconds),
        starts_at: at(seconds + 3),
    }
}

pub(super) fn new_sync(name: &str, connection: ConnectionId, tables: &[&str]) -> SyncDefinition {
    let tables = tables.iter().map(|name| TableOrder::of(table(name)));
    SyncDefinition {
        id: SyncId::generate(),
        name: name.to_owned(),
        description: None,
        connection_id: connection,
        order: RunOrder::of(tables.collect()),
        schedule: Some("hourly".parse().unwrap()),
        compare_schedule: None,
        repair: None,
        max_age: None,
        status: SyncStatus::Active,
        status_error: None,
        created_by: "unix:anna".to_owned(),
        created_at: at(1),
        updated_at: at(1),
        active_since: Some(at(1)),
        last_synced_at: None,
        proved_equal_at: None,
        last_run_id: None,
        next: Some(planned(10)),
        next_look: None,
        last_look: None,
    }
}

pub(super) fn look(run: RunId, finding: Finding) -> Look {
    Look {
        run_id: run,
        at: at(41),
        finding,
        rows: 5,
        drifted: 2,
        repair_run: Some(run),
        error: Some(error("no_key")),
    }
}

pub(super) async fn stored_sync(store: &Store, name: &str, tables: &[&str]) -> SyncDefinition {
    let connection = stored_connection(store, &format!("peer of {name}")).await;
    let sync = new_sync(name, connection.id, tables);
    assert_eq!(store.insert_sync(&sync).await.unwrap(), None);
    sync
}

pub(super) async fn read(store: &Store, id: SyncId) -> SyncDefinition {
    store.sync(id).await.unwrap().expect("the sync exists")
}

pub(super) fn run_of(sync: &SyncDefinition, planned_at: Option<Timestamp>) -> Run {
    let mut run = new_run(sync.connection_id);
    (run.sync_id, run.planned_at) = (Some(sync.id), planned_at);
    run
}

/// Takes the turn of `due` with a new run.
pub(super) async fn turn(
    store: &Store,
    sync: &SyncDefinition,
    due: i64,
    replaced: Option<&Run>,
) -> Taken {
    let run = run_of(sync, Some(at(due)));
    let turn = Turn {
        sync: sync.id,
        due: planned(due),
        next: Some(planned(due + 10)),
        replaced,
        run: Some(&run),
    };
    store.take_turn(&turn, at(due + 3)).await.unwrap()
}

async fn every_field_of_a_sync_comes_back(state: State) {
    let store = state.open().await;
    let plain = stored_sync(&store, "plain", &["orders"]).await;
    let full = SyncDefinition {
        description: Some("every night".to_owned()),
        order: RunOrder {
            sync_mode: SyncMode::Insert,
            conflict_strategy: ConflictStrategy::Skip,
            shared: true,
            ..plain.order.clone()
        },
        schedule: Some("daily@02:30".parse().unwrap()),
        max_age: Some(Duration::from_secs(7_200)),
        status: SyncStatus::Error,
        status_error: Some(error("not_granted")),
        updated_at: at(5),
        active_since: None,
        last_synced_at: Some(at(4)),
        last_run_id: Some(new_run(plain.connection_id).id),
        next: None,
        compare_schedule: Some("daily@04:00".parse().unwrap()),
        repair: Some(Budget { rows: 3, bytes: 4 }),
        next_look: Some(planned(40)),
        last_look: Some(look(new_run(plain.connection_id).id, Finding::Left)),
        ..new_sync("full", plain.connection_id, &["orders", "\"a.b\""])
    };
    store.insert_sync(&full).await.unwrap();
    assert_eq!(read(&store, plain.id).await, plain);
    assert_eq!(read(&store, full.id).await, full);
    let all = |before, limit| store.syncs(ListPage { limit, before });
    assert_eq!(all(None, 9).await.unwrap(), [full.clone(), plain.clone()]);
    assert_eq!(all(None, 1).await.unwrap(), std::slice::from_ref(&full));
    assert_eq!(all(Some(full.id), 9).await.unwrap(), [plain]);
}

async fn a_name_is_taken_only_while_its_sync_exists(state: State) {
    let store = state.open().await;
    let first = stored_sync(&store, "nightly", &["orders"]).await;
    let mut second = new_sync("nightly", first.connection_id, &["items"]);
    let taken = store.insert_sync(&second).await.unwrap_err();
    assert!(matches!(&taken, StoreError::SyncNameTaken(name) if name == "nightly"));
    second.name = "daily".to_owned();
    store.insert_sync(&second).await.unwrap();
    second.name = "nightly".to_owned();
    let taken = store.update_sync(&second).await.unwrap_err();
    assert!(matches!(taken, StoreError::SyncNameTaken(_)), "{taken}");
    assert_eq!(read(&store, second.id).await.name, "daily");
    let deleted = Some(DeletedSync { stopped: vec![] });
    assert_eq!(store.delete_sync(first.id, at(9)).await.unwrap(), deleted);
    assert_eq!(store.delete_sync(first.id, at(9)).await.unwrap(), None);
    assert_eq!(store.sync(first.id).await.unwrap(), None);
    assert_eq!(store.update_sync(&second).await.unwrap(), None);
}

async fn what_a_person_changes_is_written_and_nothing_else(state: State) {
    let store = state.open().await;
    let sync = stored_sync(&store, "nightly", &["orders"]).await;
    assert_eq!(turn(&store, &sync, 10, None).await, Taken::Begun);
    let newest = read(&store, sync.id).await.last_run_id;
    let changed = SyncDefinition {
        status: SyncStatus::Paused,
        schedule: None,
        updated_at: at(30),
        next: None,
        // As whoever edits it had read it before.
        last_run_id: None,
        created_by: "somebody else".to_owned(),
        ..sync.clone()
    };
    store.update_sync(&changed).await.unwrap();
    let expected = SyncDefinition {
        last_run_id: newest,
        created_by: sync.created_by.clone(),
        ..changed
    };
    assert!(newest.is_some());
    assert_eq!(read(&store, sync.id).await, expected);
}

async fn a_sync_claims_its_tables_until_it_lets_go_of_them(state: State) {
    let store = state.open().await;
    let mut first = stored_sync(&store, "first", &["orders", "items"]).await;
    let oslo = stored_connection(&store, "oslo").await.id;
    let writer = async |name: &str| store.other_writer(&table(name), oslo).await.unwrap();
    assert_eq!(writer("orders").await, Some(first.connection_id));
    assert_eq!(writer("prices").await, None);
    let orders = table("orders");
    let of_itself = store.other_writer(&orders, first.connection_id);
    assert_eq!(of_itself.await.unwrap(), None);

    let mut second = new_sync("second", oslo, &["prices", "items"]);
    second.created_at = at(5);
    let taken = Some(TableTaken {
        table: table("items"),
        connection: first.connection_id,
    });
    assert_eq!(store.insert_sync(&second).await.unwrap(), taken);
    assert_eq!(store.sync(second.id).await.unwrap(), None);
    second.order.shared = true;
    assert_eq!(store.insert_sync(&second).await.unwrap(), None);
    // Let in as shared, the second does not lock out the first.
    assert_eq!(store.update_sync(&first).await.unwrap(), None);
    second.order.shared = false;
    assert_eq!(store.update_sync(&second).await.unwrap(), taken);

    // What a sync has written is free when the sync lets go of it.
    let mut run = run_of(&first, None);
    store.insert_run_of_sync(&run, first.id).await.unwrap();
    (run.status, run.tables[0].status) = (RunStatus::Completed, RunStatus::Completed);
    store
        .finish_run(&run, Consequence::None, at(20))
        .await
        .unwrap();
    first.order.tables.remove(0);
    store.update_sync(&first).await.unwrap();
    assert_eq!(writer("orders").await, None);
    assert!(writer("items").await.is_some());
    store.delete_sync(first.id, at(30)).await.unwrap();
    assert_eq!(writer("items").await, None);
    // Whoever still edits what is gone claims nothing.
    assert_eq!(store.update_sync(&first).await.unwrap(), None);
    assert_eq!(writer("items").await, None);
    assert_eq!(store.update_sync(&second).await.unwrap(), None);
}

async fn no_run_of_a_deleted_sync_goes_on(state: State) {
    let store = state.open().await;
    for (name, begun, expected) in [
        ("waiting", false, RunStatus::Cancelled),
        ("at work", true, RunStatus::Running),
    ] {
        let sync = stored_sync(&store, name, &[name]).await;
        let run = run_of(&sync, None);
        store.insert_run_of_sync(&run, sync.id).await.unwrap();
        if begun {
            store.start_run(run.id, at(1)).await.unwrap();
        }
        let deleted = store.delete_sync(sync.id, at(2)).await.unwrap();
        let stopped = DeletedSync {
            stopped: vec![run.id],
        };
        assert_eq!(deleted, Some(stopped), "{name}");
        let found = store.run(run.id).await.unwrap().expect("the run is there");
        assert_eq!((found.status, found.cancel_requested), (expected, true));
    }
    // Killed now, the daemon finds it at its next start.
    assert_eq!(store.take_over_running(at(3)).await.unwrap(), 1);
    assert_eq!(store.due_runs(at(9)).await.unwrap(), []);
}

async fn of_two_syncs_made_at_once_one_gets_the_table(state: State) {
    let store = state.open().await;
    store.site_identity(at(0)).await.unwrap();
    let beside = state.open_beside().await.unwrap();
    let berlin = stored_connection(&store, "berlin").await.id;
    let oslo = stored_connection(&store, "oslo").await.id;
    for name in ["a", "b", "c", "d", "e", "f"] {
        let one = new_sync(&format!("{name} of berlin"), berlin, &[name]);
        let other = new_sync(&format!("{name} of oslo"), oslo, &[name]);
        let (one, other) = tokio::join!(store.insert_sync(&one), beside.insert_sync(&other));
        let made = [one.unwrap(), other.unwrap()];
        let count = made.iter().filter(|taken| taken.is_none()).count();
        assert_eq!(count, 1, "{made:?}");
    }
}

async fn a_state_of_the_first_version_goes_on_with_its_rows(state: State) {
    state.make_first_version().await;
    state.execute(
        "insert into connection (id, name, direction, url, local_status, remote_status, auth, identity,
            access, created_at, total_transfers, total_rows, total_bytes, epoch, acked_epoch,
            registered, peer_deleted, token_lookup, token_hash)
        values ('00000000-0000-7000-8000-00000000000a', 'berlin', 'receiver', 'https://berlin.example/',
            'active', 'active', 'token_hash', 'claimed', '{}', 1, 0, 0, 0, 1, 1, true, false, 'x', 'y');
        insert into run (id, connection_id, instructions, status, triggered_by, attempt, created_at,
            progress, tables, cancel_requested)
        values ('00000000-0000-7000-8000-00000000000b', '00000000-0000-7000-8000-00000000000a',
            '{\"tables\":[\"orders\"],\"sync_mode\":\"upsert\",\"conflict_strategy\":\"overwrite\",\"create_missing\":false,\"shared\":false}',
            'pending', 'unix:anna', 0, 5, '{}', '[]', false)",
    );
    let store = state.open().await;
    let run = store.run("00000000-0000-7000-8000-00000000000b".parse().unwrap());
    let run = run.await.unwrap().expect("the run is there");
    assert_eq!(
        (run.sync_id, run.planned_at, run.give_up_at),
        (None, None, None)
    );
    assert_eq!(run.order.destinations(), [table("orders")]);
    assert_eq!(
        store.due_runs(at(0)).await.unwrap(),
        std::slice::from_ref(&run)
    );
    let sync = new_sync("nightly", run.connection_id, &["orders"]);
    assert_eq!(store.insert_sync(&sync).await.unwrap(), None);
    assert_eq!(turn(&store, &sync, 10, None).await, Taken::Begun);
    if let Some(folder) = &state.folder {
        assert!(folder.path().join("state.db.before-2").exists());
    }
}

async fn a_sync_whose_peer_is_away_is_halted_and_due_at_once_when_it_is_back(state: State) {
    let store = state.open().await;
    let hourly = stored_sync(&store, "hourly", &["a"]).await;
    let mut by_hand = new_sync("by hand", hourly.connection_id, &["b"]);
    (by_hand.schedule, by_hand.next) = (None, None);
    store.insert_sync(&by_hand).await.unwrap();
    let (fault, other) = (error("peer_away"), error("no_key"));
    for sync in [&hourly, &by_hand] {
        assert!(store.halt_sync(sync.id, &fault).await.unwrap());
        assert!(!store.halt_sync(sync.id, &other).await.unwrap());
        let halted = read(&store, sync.id).await;
        assert_eq!(halted.status, SyncStatus::Error);
        assert_eq!(
            (halted.status_error, halted.next),
            (Some(fault.clone()), None)
        );
        assert!(!store.lift_halt(sync.id, &other, at(50)).await.unwrap());
        assert!(store.lift_halt(sync.id, &fault, at(50)).await.unwrap());
        assert!(!store.lift_halt(sync.id, &fault, at(60)).await.unwrap());
        let next = sync.schedule.as_ref().map(|_| Planned {
            planned_at: at(50),
            starts_at: at(50),
        });
        let expected = SyncDefinition {
            active_since: Some(at(50)),
            next,
            ..sync.clone()
        };
        assert_eq!(read(&store, sync.id).await, expected);
    }
}
