//! What becomes of a connection: our decisions, the peer's word, and who has yet to hear of what.

use evenkeel::model::connection::Status;
use evenkeel::model::grant::Grant;
use evenkeel::model::url::PeerUrl;
use evenkeel::store::{ConnectionEdit, Kept, PeerWord};

use super::{
    State, at, hash, names, new_connection, on_both_stores, read_connection, stored_connection,
    table,
};

on_both_stores!(
    a_decision_counts_the_epoch_up_and_revoked_is_final,
    the_peers_word_is_kept_apart_from_ours,
    the_peer_is_told_until_it_confirms,
    a_silent_peer_is_asked_until_it_answers_unless_the_connection_ended,
    an_unreachable_peer_is_left_alone_until_its_next_attempt,
    a_move_forgets_the_prefix_and_a_grant_is_replaced,
);

async fn a_decision_counts_the_epoch_up_and_revoked_is_final(state: State) {
    let store = state.open().await;
    let id = stored_connection(&store, "berlin").await.id;
    let approved = store.set_local_status(id, Status::Active, None, Some("unix:anna"), at(5));
    approved.await.unwrap();
    let suspended = store.set_local_status(id, Status::Suspended, Some("audit"), None, at(6));
    suspended.await.unwrap();
    let found = read_connection(&store, id).await;
    assert_eq!((found.local_status, found.epoch), (Status::Suspended, 3));
    assert_eq!(
        (found.approved_by.as_deref(), found.approved_at),
        (Some("unix:anna"), Some(at(5)))
    );
    assert_eq!(found.status_reason.as_deref(), Some("audit"));
    store
        .set_local_status(id, Status::Revoked, None, None, at(7))
        .await
        .unwrap();
    store
        .set_local_status(id, Status::Active, None, Some("unix:bob"), at(8))
        .await
        .unwrap();
    let found = read_connection(&store, id).await;
    assert_eq!((found.local_status, found.epoch), (Status::Revoked, 4));
    assert_eq!(found.approved_by.as_deref(), Some("unix:anna"));
}

async fn the_peers_word_is_kept_apart_from_ours(state: State) {
    let store = state.open().await;
    let id = stored_connection(&store, "berlin").await.id;
    store.set_unreachable(id, at(9), at(3)).await.unwrap();
    let word = |status, reason: Option<&str>| PeerWord {
        status,
        deleted: false,
        reason: reason.map(str::to_owned),
    };
    let ended = word(Status::Revoked, Some("contract\0 ended"));
    store.set_peer_word(id, &ended, at(4)).await.unwrap();
    let found = read_connection(&store, id).await;
    assert_eq!(
        (found.local_status, found.remote_status),
        (Status::Active, Status::Severed)
    );
    assert_eq!(found.status_reason.as_deref(), Some("contract ended"));
    assert_eq!(
        (found.last_contact_at, found.unreachable_since),
        (Some(at(4)), None)
    );
    assert_eq!((found.next_attempt_at, found.epoch), (None, 1));
    store
        .set_peer_word(id, &word(Status::Active, None), at(5))
        .await
        .unwrap();
    let found = read_connection(&store, id).await;
    assert_eq!(
        (found.status(), found.status_reason),
        (Status::Active, None)
    );
}

async fn the_peer_is_told_until_it_confirms(state: State) {
    let store = state.open().await;
    let told = async || names(&store.connections_to_tell(at(50)).await.unwrap()).join(" ");
    let unregistered = stored_connection(&store, "unregistered").await;
    let mut registered = new_connection("registered");
    registered.registered = true;
    store
        .insert_connection(&registered, &hash("h"), Kept::Nothing)
        .await
        .unwrap();
    assert_eq!(told().await, "unregistered registered");
    store.set_acked(registered.id, 1).await.unwrap();
    assert_eq!(told().await, "unregistered");
    store.mark_deleted(registered.id, at(1)).await.unwrap();
    store.mark_deleted(registered.id, at(2)).await.unwrap();
    store.mark_deleted(unregistered.id, at(1)).await.unwrap();
    let deleted = store.connections_to_tell(at(50)).await.unwrap();
    assert_eq!(names(&deleted), ["registered"]);
    assert_eq!((deleted[0].epoch, deleted[0].deleted_at), (2, Some(at(1))));
    assert!(store.credentials(registered.id).await.unwrap().is_some());
    store.set_acked(registered.id, 2).await.unwrap();
    store.set_acked(registered.id, 1).await.unwrap();
    assert_eq!(told().await, "");
}

async fn a_silent_peer_is_asked_until_it_answers_unless_the_connection_ended(state: State) {
    let store = state.open().await;
    let mut healthy = new_connection("berlin");
    (healthy.registered, healthy.acked_epoch) = (true, 1);
    store
        .insert_connection(&healthy, &hash("h"), Kept::Nothing)
        .await
        .unwrap();
    let asked = async || names(&store.connections_to_tell(at(50)).await.unwrap()).join(" ");
    assert_eq!(asked().await, "");
    let silent = async || {
        let set = store.set_unreachable(healthy.id, at(20), at(10));
        set.await.unwrap();
    };
    silent().await;
    assert_eq!(asked().await, "berlin");
    store.set_contact(healthy.id, None, at(21)).await.unwrap();
    assert_eq!(asked().await, "");
    let severed = PeerWord {
        status: Status::Severed,
        deleted: false,
        reason: None,
    };
    store
        .set_peer_word(healthy.id, &severed, at(22))
        .await
        .unwrap();
    silent().await;
    assert_eq!(asked().await, "");
}

async fn an_unreachable_peer_is_left_alone_until_its_next_attempt(state: State) {
    let store = state.open().await;
    let id = stored_connection(&store, "berlin").await.id;
    store.set_unreachable(id, at(20), at(10)).await.unwrap();
    store.set_unreachable(id, at(30), at(20)).await.unwrap();
    assert!(store.connections_to_tell(at(29)).await.unwrap().is_empty());
    assert_eq!(store.connections_to_tell(at(30)).await.unwrap().len(), 1);
    let found = read_connection(&store, id).await;
    assert_eq!(
        (found.unreachable_since, found.next_attempt_at),
        (Some(at(10)), Some(at(30)))
    );
    store.set_contact(id, Some("/api"), at(31)).await.unwrap();
    store.set_contact(id, None, at(32)).await.unwrap();
    let found = read_connection(&store, id).await;
    assert_eq!(
        (found.unreachable_since, found.next_attempt_at),
        (None, None)
    );
    assert_eq!(found.remote_prefix.as_deref(), Some("/api"));
    assert_eq!(found.last_contact_at, Some(at(32)));
}

async fn a_move_forgets_the_prefix_and_a_grant_is_replaced(state: State) {
    let store = state.open().await;
    let id = stored_connection(&store, "berlin").await.id;
    store.set_contact(id, Some("/api"), at(1)).await.unwrap();
    let url = PeerUrl::parse("https://new.example.com").unwrap();
    let grant = Grant::of(vec![table("orders")]);
    let granted = ConnectionEdit {
        grant: Some(grant.clone()),
        ..ConnectionEdit::default()
    };
    store.edit_connection(id, &granted).await.unwrap();
    let found = read_connection(&store, id).await;
    assert_eq!(
        (found.remote_prefix.as_deref(), found.grant),
        (Some("/api"), grant)
    );
    let moved = ConnectionEdit {
        url: Some(url.clone()),
        ..ConnectionEdit::default()
    };
    store.edit_connection(id, &moved).await.unwrap();
    let found = read_connection(&store, id).await;
    assert_eq!(
        (found.name.as_str(), found.url, found.remote_prefix),
        ("berlin", url, None)
    );
}
