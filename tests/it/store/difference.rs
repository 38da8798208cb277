//! What runs found to differ, and plans that wait for a person.

use evenkeel::model::difference::{DifferenceKind, DifferentRow, FoundDifference, KEPT, mark};
use evenkeel::model::run::{Run, RunStatus};
use evenkeel::model::sync::Consequence;
use evenkeel::store::Store;
use jiff::Timestamp;
use serde_json::json;

use super::{State, at, new_run, on_both_stores, stored_connection, table};

on_both_stores!(
    differences_come_back_by_table_page_by_page,
    what_a_later_attempt_finds_replaces_what_an_earlier_one_found,
    of_too_many_differences_the_first_are_kept,
    a_plan_of_any_size_comes_back_as_it_was,
    differences_go_when_they_are_old_and_plans_when_their_run_is_over,
);

async fn stored_run(store: &Store, name: &str) -> Run {
    let connection = stored_connection(store, name).await;
    let run = new_run(connection.id);
    store.insert_run(&run).await.unwrap();
    run
}

fn row(number: u32, kind: DifferenceKind) -> DifferentRow {
    DifferentRow {
        key: json!({"id": number.to_string()}),
        kind,
        columns: (kind == DifferenceKind::Updated)
            .then(|| vec!["price".to_owned(), "a \"b\"".to_owned()]),
        mark: mark(Some(number.into()), None),
    }
}

async fn keep(store: &Store, run: &Run, name: &str, rows: &[DifferentRow], found_at: Timestamp) {
    let table = table(name);
    let kept = store.keep_differences(run.id, &table, rows, found_at);
    kept.await.unwrap();
}

async fn all(store: &Store, run: &Run) -> Vec<FoundDifference> {
    store.differences(run.id, None, 1_000_000, 0).await.unwrap()
}

async fn differences_come_back_by_table_page_by_page(state: State) {
    let store = state.open().await;
    let run = stored_run(&store, "berlin").await;
    let other = stored_run(&store, "oslo").await;
    let kinds = DifferenceKind::ALL;
    let rows: Vec<_> = (0..).zip(kinds).map(|(n, kind)| row(n, *kind)).collect();
    for (run, name) in [(&run, "orders"), (&run, "items"), (&other, "orders")] {
        keep(&store, run, name, &rows, at(1)).await;
    }
    let expected: Vec<_> = ["items", "orders"]
        .iter()
        .flat_map(|name| {
            rows.iter().map(|row| FoundDifference {
                table: table(name),
                row: row.clone(),
            })
        })
        .collect();
    assert_eq!(all(&store, &run).await, expected);
    let page = store.differences(run.id, None, 3, 2).await.unwrap();
    assert_eq!(page, expected[2..5]);
    assert_eq!(store.differences(run.id, None, 3, 8).await.unwrap(), []);
    let orders = table("orders");
    let of_one = store.differences(run.id, Some(&orders), 9, 1);
    assert_eq!(of_one.await.unwrap(), expected[5..]);
}

async fn what_a_later_attempt_finds_replaces_what_an_earlier_one_found(state: State) {
    let store = state.open().await;
    let run = stored_run(&store, "berlin").await;
    let found = [row(1, DifferenceKind::Added), row(2, DifferenceKind::Added)];
    let orders = table("orders");
    for rows in [&found[..], &found[1..]] {
        let kept = store.keep_differences(run.id, &orders, rows, at(1));
        kept.await.unwrap();
        store
            .keep_plan(run.id, &orders, &vec![7; rows.len() << 20])
            .await
            .unwrap();
    }
    let kept: Vec<_> = all(&store, &run)
        .await
        .into_iter()
        .map(|found| found.row)
        .collect();
    assert_eq!(kept, found[1..]);
    assert_eq!(
        store.plan(run.id, &orders).await.unwrap(),
        Some(vec![7; 1 << 20])
    );
}

async fn of_too_many_differences_the_first_are_kept(state: State) {
    let store = state.open().await;
    let run = stored_run(&store, "berlin").await;
    let rows: Vec<_> = (0..10_002).map(|n| row(n, DifferenceKind::Added)).collect();
    keep(&store, &run, "orders", &rows, at(1)).await;
    let found = all(&store, &run).await;
    assert_eq!(found.len(), KEPT);
    assert_eq!(found[9_999].row, rows[9_999]);
}

async fn a_plan_of_any_size_comes_back_as_it_was(state: State) {
    let store = state.open().await;
    let run = stored_run(&store, "berlin").await;
    assert_eq!(store.plan(run.id, &table("none")).await.unwrap(), None);
    for size in [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 5 << 20] {
        let packed: Vec<u8> = (0_u32..size).map(|at| (at % 251) as u8).collect();
        let orders = table("orders");
        store.keep_plan(run.id, &orders, &packed).await.unwrap();
        let found = store.plan(run.id, &orders).await.unwrap();
        assert!(found == Some(packed), "{size} bytes");
    }
}

async fn differences_go_when_they_are_old_and_plans_when_their_run_is_over(state: State) {
    let store = state.open().await;
    let mut over = stored_run(&store, "berlin").await;
    let waiting = stored_run(&store, "oslo").await;
    for (run, found_at) in [(&over, at(1)), (&waiting, at(9))] {
        let rows = [row(1, DifferenceKind::Deleted)];
        keep(&store, run, "orders", &rows, found_at).await;
        store
            .keep_plan(run.id, &table("orders"), b"plan")
            .await
            .unwrap();
    }
    over.status = RunStatus::Failed;
    store
        .finish_run(&over, Consequence::None, at(10))
        .await
        .unwrap();
    store.forget_differences(at(9)).await.unwrap();
    assert_eq!(all(&store, &over).await, []);
    assert_eq!(all(&store, &waiting).await.len(), 1);
    let plan = |run: &Run| {
        let id = run.id;
        let store = &store;
        async move { store.plan(id, &table("orders")).await.unwrap() }
    };
    assert_eq!(plan(&over).await, None);
    assert_eq!(plan(&waiting).await, Some(b"plan".to_vec()));
}
