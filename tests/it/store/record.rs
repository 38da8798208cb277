//! The small tables: identity, settings, tokens, transfers, quarantine, audit.

use evenkeel::base::secret::token_hash;
use evenkeel::model::id::TransferId;
use evenkeel::model::role::Role;
use evenkeel::model::run::{
    Changes, QuarantinedRow, RunStatus, RunTable, Transfer, TransferDirection,
};
use evenkeel::store::{AuditEntry, Deleting, ListPage, NewAdminToken, Unsettled};

use super::{State, at, error, new_run, on_both_stores, stored_connection, table};

on_both_stores!(
    a_site_is_the_same_after_a_restart,
    a_setting_is_set_changed_and_removed,
    a_token_works_until_it_expires_or_is_revoked,
    a_transfer_ends_once_and_counts_once,
    an_interrupted_transfer_is_marked_failed,
    what_an_interrupted_transfer_deleted_is_what_its_run_noted,
    until_it_is_settled_a_transfer_counts_as_having_deleted_all_that_it_noted,
    what_a_run_quarantines_of_a_table_is_replaced,
    the_newest_decision_comes_first,
    many_that_write_at_once_all_get_through,
);

const ALL: ListPage<TransferId> = ListPage {
    limit: 100,
    before: None,
};

async fn a_site_is_the_same_after_a_restart(state: State) {
    let store = state.open().await;
    let first = store.site_identity(at(1)).await.unwrap();
    assert_eq!(first.created_at, at(1));
    store.close().await;
    drop(store);
    let store = state.open().await;
    assert_eq!(store.site_identity(at(2)).await.unwrap(), first);
}

async fn a_setting_is_set_changed_and_removed(state: State) {
    let store = state.open().await;
    for value in [None, Some("deny_all"), Some("auto_accept"), None] {
        let changes = [("incoming.mode", value), ("peer.enabled", Some("true"))];
        store.set_settings(&changes).await.unwrap();
        assert_eq!(
            store.setting("incoming.mode").await.unwrap().as_deref(),
            value
        );
        assert_eq!(store.setting("incoming").await.unwrap(), None);
    }
}

async fn a_token_works_until_it_expires_or_is_revoked(state: State) {
    let store = state.open().await;
    let new = |name: &str, expires_at| NewAdminToken {
        name: name.to_owned(),
        role: Role::Operator,
        expires_at,
    };
    let (backup, secret) = store
        .create_token(&new("backup", None), at(1))
        .await
        .unwrap();
    let (short, expiring) = store
        .create_token(&new("short", Some(at(10))), at(2))
        .await
        .unwrap();
    assert_eq!(
        store.tokens().await.unwrap(),
        [short.clone(), backup.clone()]
    );
    assert_eq!(
        store.token(secret.expose(), at(99)).await.unwrap(),
        Some(backup.clone())
    );
    assert_eq!(
        store.token(expiring.expose(), at(9)).await.unwrap(),
        Some(short)
    );
    assert_eq!(store.token(expiring.expose(), at(10)).await.unwrap(), None);
    assert_eq!(
        store
            .token(token_hash(secret.expose()).expose(), at(3))
            .await
            .unwrap(),
        None
    );
    let lookup = state.query("select token_lookup from admin_token");
    assert!(!lookup.contains(secret.expose().as_str()));
    assert!(!lookup.contains(token_hash(secret.expose()).expose().as_str()));
    assert!(store.revoke_token(backup.id).await.unwrap());
    assert!(!store.revoke_token(backup.id).await.unwrap());
    assert_eq!(store.token(secret.expose(), at(3)).await.unwrap(), None);
}

/// A transfer of `orders` that begins.
async fn begun(store: &evenkeel::store::Store, name: &str) -> Transfer {
    let connection = stored_connection(store, name).await;
    let run = new_run(connection.id);
    store.insert_run(&run).await.unwrap();
    let transfer = Transfer {
        id: TransferId::generate(),
        direction: TransferDirection::Receive,
        run_id: Some(run.id),
        connection_id: connection.id,
        table: table("shop.orders"),
        status: RunStatus::Running,
        rows: 0,
        bytes_on_wire: 0,
        changes: Changes::default(),
        started_at: at(1),
        completed_at: None,
        error: None,
    };
    store.insert_transfer(&transfer).await.unwrap();
    transfer
}

async fn a_transfer_ends_once_and_counts_once(state: State) {
    let store = state.open().await;
    let mut transfer = begun(&store, "berlin").await;
    assert_eq!(
        store.transfers(None, ALL).await.unwrap(),
        [transfer.clone()]
    );
    transfer.status = RunStatus::Completed;
    transfer.rows = 7;
    transfer.bytes_on_wire = 5_000_000_000;
    transfer.changes.added = 7;
    transfer.completed_at = Some(at(2));
    store.finish_transfer(&transfer).await.unwrap();
    store.finish_transfer(&transfer).await.unwrap();
    let found = store
        .transfers(Some(transfer.connection_id), ALL)
        .await
        .unwrap();
    assert_eq!(found, [transfer.clone()]);
    let totals = store
        .connection(transfer.connection_id)
        .await
        .unwrap()
        .unwrap()
        .totals;
    assert_eq!(
        (totals.transfers, totals.rows, totals.bytes),
        (1, 7, 5_000_000_000)
    );

    let mut sent = Transfer {
        id: TransferId::generate(),
        direction: TransferDirection::Send,
        run_id: None,
        completed_at: None,
        ..transfer
    };
    store.insert_transfer(&sent).await.unwrap();
    sent.status = RunStatus::Failed;
    sent.error = Some(error("stream_cut"));
    sent.completed_at = Some(at(3));
    store.finish_transfer(&sent).await.unwrap();
    assert_eq!(
        store
            .transfers(
                None,
                ListPage {
                    limit: 1,
                    before: None
                }
            )
            .await
            .unwrap(),
        [sent.clone()]
    );
    let totals = store
        .connection(sent.connection_id)
        .await
        .unwrap()
        .unwrap()
        .totals;
    assert_eq!((totals.transfers, totals.rows), (1, 14));
    let older = ListPage {
        limit: 9,
        before: Some(sent.id),
    };
    assert_eq!(store.transfers(None, older).await.unwrap().len(), 1);
}

async fn an_interrupted_transfer_is_marked_failed(state: State) {
    let store = state.open().await;
    let mut ended = begun(&store, "berlin").await;
    ended.status = RunStatus::Completed;
    ended.completed_at = Some(at(2));
    store.finish_transfer(&ended).await.unwrap();
    let open = begun(&store, "oslo").await;
    store.fail_open_transfers(at(9)).await.unwrap();
    let found = store
        .transfers(Some(open.connection_id), ALL)
        .await
        .unwrap();
    assert_eq!(
        (found[0].status, found[0].completed_at),
        (RunStatus::Failed, Some(at(9)))
    );
    assert_eq!(found[0].error.as_ref().unwrap().code, "interrupted");
    assert_eq!(
        store
            .transfers(Some(ended.connection_id), ALL)
            .await
            .unwrap(),
        [ended]
    );
}

async fn what_an_interrupted_transfer_deleted_is_what_its_run_noted(state: State) {
    let store = state.open().await;
    let mut first = begun(&store, "berlin").await;
    let id = first.run_id.unwrap();
    let deleting = |deleted| Changes {
        deleted,
        ..Changes::default()
    };
    (first.status, first.completed_at) = (RunStatus::Failed, Some(at(2)));
    first.changes = deleting(4);
    store.finish_transfer(&first).await.unwrap();
    let second = Transfer {
        id: TransferId::generate(),
        status: RunStatus::Running,
        completed_at: None,
        changes: Changes::default(),
        ..first.clone()
    };
    store.insert_transfer(&second).await.unwrap();
    assert!(store.start_run(id, at(2)).await.unwrap());
    let mut run = store.run(id).await.unwrap().unwrap();
    run.tables = vec![RunTable::waiting(first.table.clone())];
    run.tables[0].changes = deleting(11);
    store.save_progress(&run).await.unwrap();

    store.fail_open_transfers(at(3)).await.unwrap();
    let deleted = store.deleted_since(first.connection_id, &first.table, at(0));
    assert_eq!(deleted.await.unwrap(), 11);
    let found = store.transfers(None, ALL).await.unwrap();
    let deleted: Vec<u64> = found.iter().map(|found| found.changes.deleted).collect();
    assert_eq!(deleted, [7, 4]);
}

async fn until_it_is_settled_a_transfer_counts_as_having_deleted_all_that_it_noted(state: State) {
    let store = state.open().await;
    let open = begun(&store, "berlin").await;
    let (connection, name) = (open.connection_id, &open.table);
    let deleted = || store.deleted_since(connection, name, at(0));
    for marks in [Some(vec![7; 48]), None] {
        let deleting = Deleting { rows: 3, marks };
        store.note_deleting(open.id, "1", &deleting).await.unwrap();
        assert_eq!(deleted().await.unwrap(), 3);
        let unsettled = || store.unsettled(connection, name, "1");
        let ended = usize::from(deleting.marks.is_none());
        assert_eq!(unsettled().await.unwrap().len(), ended);
        store.fail_open_transfers(at(3)).await.unwrap();
        let other = store.unsettled(connection, name, "2").await.unwrap();
        assert_eq!(other, []);
        let expected = Unsettled {
            transfer: open.id,
            run: open.run_id,
            changes: Changes::default(),
            deleting,
        };
        assert_eq!(unsettled().await.unwrap(), [expected]);
        let settled = Changes {
            deleted: 2,
            ..Changes::default()
        };
        store.settle(open.id, &settled).await.unwrap();
        assert_eq!(deleted().await.unwrap(), 2);
        assert_eq!(unsettled().await.unwrap(), []);
        store.settle(open.id, &Changes::default()).await.unwrap();
    }
}

async fn what_a_run_quarantines_of_a_table_is_replaced(state: State) {
    let store = state.open().await;
    let run = new_run(stored_connection(&store, "berlin").await.id);
    store.insert_run(&run).await.unwrap();
    let row = |name: &str, key: &str| QuarantinedRow {
        table: table(name),
        key: serde_json::json!({ "id": key, "größe": null }),
        column: (key == "2").then(|| "name".to_owned()),
        reason: "42 characters do not fit varchar(40)".to_owned(),
    };
    let orders = [row("orders", "1"), row("orders", "2"), row("orders", "3")];
    let items = [row("shop.items", "1")];
    store
        .set_quarantine(run.id, &table("orders"), &items, at(1))
        .await
        .unwrap();
    store
        .set_quarantine(run.id, &table("orders"), &orders, at(2))
        .await
        .unwrap();
    store
        .set_quarantine(run.id, &table("shop.items"), &items, at(3))
        .await
        .unwrap();
    let all = store.quarantined(run.id, 100, 0).await.unwrap();
    assert_eq!(all, [&orders[..], &items].concat());
    assert_eq!(store.quarantined(run.id, 2, 1).await.unwrap(), orders[1..]);
    store
        .set_quarantine(run.id, &table("orders"), &[], at(4))
        .await
        .unwrap();
    assert_eq!(store.quarantined(run.id, 100, 0).await.unwrap(), items);
}

async fn the_newest_decision_comes_first(state: State) {
    let store = state.open().await;
    let entry = |seconds, address: Option<&str>| AuditEntry {
        at: at(seconds),
        actor: "unix:anna".to_owned(),
        address: address.map(str::to_owned),
        action: "connection.approve".to_owned(),
        subject: "berlin".to_owned(),
        detail: address.map(|_| "unproved".to_owned()),
    };
    let (first, second) = (entry(1, None), entry(2, Some("203.0.113.7")));
    store.audit(&first).await.unwrap();
    store.audit(&second).await.unwrap();
    assert_eq!(
        store.audit_entries(9).await.unwrap(),
        [second.clone(), first]
    );
    assert_eq!(store.audit_entries(1).await.unwrap(), [second]);
}

async fn many_that_write_at_once_all_get_through(state: State) {
    let (daemon, beside) = (state.open().await, state.open_beside().await.unwrap());
    let run = new_run(stored_connection(&daemon, "berlin").await.id);
    daemon.insert_run(&run).await.unwrap();
    let row = QuarantinedRow {
        table: table("orders"),
        key: serde_json::json!({ "id": "1" }),
        column: None,
        reason: "no".to_owned(),
    };
    let rows = vec![row; 50];
    let writes = (0..40).map(|number| {
        let (store, rows) = (if number % 2 == 0 { &daemon } else { &beside }, &rows);
        let (table, run) = (table(&format!("t{number}")), run.id);
        async move { store.set_quarantine(run, &table, rows, at(number)).await }
    });
    for written in futures_util::future::join_all(writes).await {
        written.unwrap();
    }
    assert_eq!(
        daemon.quarantined(run.id, 9_999, 0).await.unwrap().len(),
        2_000
    );
}
