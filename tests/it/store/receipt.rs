//! Receipts in the state.

use std::slice::from_ref;

use evenkeel::base::secret::Secret;
use evenkeel::model::id::{ConnectionId, ReceiptId, RunId};
use evenkeel::model::run::{RunStatus, RunTable, SyncMode};
use evenkeel::model::sync::{Consequence, SyncDefinition};
use evenkeel::store::{KeptReceipt, ListPage, ReceiptFilter, Store};
use evenkeel::wire::receipt::{Receipt, Signer, sign};
use evenkeel::wire::signing::ReceiptKey;

use super::sync::{read, run_of, stored_sync};
use super::{State, at, on_both_stores, stored_connection, table};

on_both_stores!(
    receipts_are_listed_newest_first_by_connection_run_and_table,
    a_receipt_that_is_told_twice_is_kept_once_and_never_replaced,
    receipts_are_forgotten_when_their_time_is_over,
    a_connection_whose_peer_announced_no_key_has_none,
    a_sync_knows_since_when_all_its_tables_are_equal,
);

fn receipt(connection: ConnectionId, run: RunId, name: &str, kept: i64) -> KeptReceipt {
    let terms = format!("{{\"table\":\"{name}\",\"at\":{kept}}}");
    let key = ReceiptKey::from_seed(Secret::new([1; 32]));
    KeptReceipt {
        id: ReceiptId::generate(),
        connection_id: connection,
        run_id: run,
        table: table(name),
        proved_at: at(kept - 1),
        kept_at: at(kept),
        receipt: Receipt {
            signatures: vec![sign(&terms, Signer::Source, &key)],
            terms,
        },
    }
}

async fn listed(store: &Store, filter: ReceiptFilter) -> Vec<KeptReceipt> {
    let page = ListPage {
        limit: 10,
        before: None,
    };
    store.receipts(&filter, page).await.unwrap()
}

async fn receipts_are_listed_newest_first_by_connection_run_and_table(state: State) {
    let store = state.open().await;
    let berlin = stored_connection(&store, "berlin").await.id;
    let hq = stored_connection(&store, "hq").await.id;
    let (one, other) = (RunId::generate(), RunId::generate());
    let all = [
        receipt(berlin, one, "orders", 10),
        receipt(berlin, one, "shop.items", 11),
        receipt(hq, other, "orders", 12),
    ];
    store.keep_receipts(&all).await.unwrap();
    let [orders, items, of_hq] = all;

    let none = ReceiptFilter::default;
    let newest_first = [of_hq.clone(), items.clone(), orders.clone()];
    assert_eq!(listed(&store, none()).await, newest_first);
    for (filter, expected) in [
        (
            ReceiptFilter {
                connection: Some(berlin),
                ..none()
            },
            vec![items.clone(), orders.clone()],
        ),
        (
            ReceiptFilter {
                run: Some(other),
                ..none()
            },
            vec![of_hq.clone()],
        ),
        (
            ReceiptFilter {
                table: Some(table("shop.items")),
                ..none()
            },
            vec![items.clone()],
        ),
    ] {
        assert_eq!(listed(&store, filter.clone()).await, expected, "{filter:?}");
    }
    let page = ListPage {
        limit: 1,
        before: Some(of_hq.id),
    };
    assert_eq!(store.receipts(&none(), page).await.unwrap(), [items]);
}

async fn a_receipt_that_is_told_twice_is_kept_once_and_never_replaced(state: State) {
    let store = state.open().await;
    let berlin = stored_connection(&store, "berlin").await.id;
    let run = RunId::generate();
    let first = receipt(berlin, run, "orders", 10);
    let bytes = async || store.receipt_bytes(berlin, at(10)).await.unwrap();
    assert_eq!(bytes().await, 0);
    store.keep_receipts(from_ref(&first)).await.unwrap();
    let once = bytes().await;
    assert!(once > 100, "{once}");
    let again = KeptReceipt {
        id: ReceiptId::generate(),
        kept_at: at(20),
        ..first.clone()
    };
    store.keep_receipts(&[again]).await.unwrap();
    assert_eq!(
        listed(&store, ReceiptFilter::default()).await,
        *from_ref(&first)
    );
    assert_eq!(bytes().await, once);
    // Of the same run and table, but of another moment: both stand.
    let later = receipt(berlin, run, "orders", 30);
    store.keep_receipts(from_ref(&later)).await.unwrap();
    assert_eq!(
        listed(&store, ReceiptFilter::default()).await,
        [later, first]
    );
    assert_eq!(store.receipt_bytes(berlin, at(11)).await.unwrap(), once);
}

async fn receipts_are_forgotten_when_their_time_is_over(state: State) {
    let store = state.open().await;
    let berlin = stored_connection(&store, "berlin").await.id;
    let run = RunId::generate();
    let (old, young) = (
        receipt(berlin, run, "orders", 10),
        receipt(berlin, run, "orders", 20),
    );
    store.keep_receipts(&[old, young.clone()]).await.unwrap();
    assert_eq!(store.forget_receipts(at(20)).await.unwrap(), 1);
    assert_eq!(listed(&store, ReceiptFilter::default()).await, [young]);
}

async fn a_connection_whose_peer_announced_no_key_has_none(state: State) {
    let store = state.open().await;
    let berlin = stored_connection(&store, "berlin").await.id;
    assert_eq!(store.peer_receipt_key(berlin).await.unwrap(), None);
    let unknown = ConnectionId::generate();
    assert_eq!(store.peer_receipt_key(unknown).await.unwrap(), None);
}

async fn a_sync_knows_since_when_all_its_tables_are_equal(state: State) {
    let store = state.open().await;
    let sync = stored_sync(&store, "nightly", &["orders", "items"]).await;
    let known = async || read(&store, sync.id).await.proved_equal_at;
    let end = async |made: i64, proofs: [Option<i64>; 2]| {
        let mut run = run_of(&sync, None);
        (run.order, run.created_at) = (sync.order.clone(), at(made));
        run.tables = ["orders", "items"]
            .map(|name| RunTable::waiting(table(name)))
            .into();
        for (table, proof) in run.tables.iter_mut().zip(proofs) {
            (table.proved_at, table.status) = (proof.map(at), RunStatus::Completed);
        }
        store.insert_run(&run).await.unwrap();
        store.start_run(run.id, at(made)).await.unwrap();
        run.status = RunStatus::Completed;
        let ended = store.finish_run(&run, Consequence::CameThrough, at(made + 9));
        ended.await.unwrap();
    };
    end(2, [Some(5), None]).await;
    assert_eq!(known().await, None);
    end(12, [Some(15), Some(14)]).await;
    assert_eq!(known().await, Some(at(14)));
    end(22, [None, Some(25)]).await;
    assert_eq!(known().await, Some(at(14)));

    let change = async |change: &dyn Fn(&mut SyncDefinition)| {
        let mut changed = read(&store, sync.id).await;
        changed.updated_at = at(30);
        change(&mut changed);
        assert_eq!(store.update_sync(&changed).await.unwrap(), None);
    };
    change(&|sync| sync.name = "every night".to_owned()).await;
    assert_eq!(known().await, Some(at(14)), "its tables are the same");
    end(29, [Some(31), Some(31)]).await;
    assert_eq!(
        known().await,
        Some(at(14)),
        "that run was of the sync before it was changed"
    );
    end(32, [Some(33), Some(34)]).await;
    assert_eq!(known().await, Some(at(33)));
    change(&|sync| sync.order.sync_mode = SyncMode::Mirror).await;
    assert_eq!(known().await, None, "other rules prove other things");
}
