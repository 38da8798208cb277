//! What becomes of a connection: our decisions, the peer's word, and who has yet to hear of what.

use evenkeel::model::connection::{Connection, Status, Unknown};
use evenkeel::model::grant::Grant;
use evenkeel::model::standing::{Standing, Word};
use evenkeel::model::url::PeerUrl;
use evenkeel::store::{ConnectionEdit, Kept, StandingStep, Store};

use super::{
    State, at, hash, names, new_connection, on_both_stores, read_connection, stored_connection,
    table,
};

on_both_stores!(
    a_decision_counts_the_epoch_up_and_revoked_is_final,
    what_is_decided_in_the_state_is_what_the_rules_say,
    the_peers_word_is_kept_apart_from_ours,
    every_part_of_a_standing_comes_back,
    a_step_from_another_standing_is_not_taken,
    the_healing_loop_sees_all_that_is_not_over_and_what_is_yet_to_be_told,
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

async fn what_is_decided_in_the_state_is_what_the_rules_say(state: State) {
    let store = state.open().await;
    let id = stored_connection(&store, "berlin").await.id;
    let mut expected = Standing::from(&read_connection(&store, id).await);
    for status in [
        Status::Suspended,
        Status::Active,
        Status::Revoked,
        Status::Active,
    ] {
        store
            .set_local_status(id, status, None, None, at(5))
            .await
            .unwrap();
        expected = expected.decided(status);
        assert_eq!(Standing::from(&read_connection(&store, id).await), expected);
    }
    store.mark_deleted(id, at(6)).await.unwrap();
    expected = expected.discarded();
    let columns = state.query("select epoch, acked_epoch from connection");
    let (epoch, acked) = (expected.epoch, expected.acked_epoch);
    assert_eq!(columns.trim(), format!("{epoch}|{acked}"));
}

/// Takes a step from how the connection stands; whether it was taken.
async fn step(store: &Store, known: &Connection, after: Standing, reason: Option<&str>) -> bool {
    let step = StandingStep {
        before: Standing::from(known),
        after,
        reason: Some(reason.map(str::to_owned)),
    };
    store.set_standing(known.id, &step, at(40)).await.unwrap()
}

fn said(status: Status, epoch: i64) -> Word {
    Word {
        status,
        epoch,
        seen_epoch: 0,
    }
}

async fn the_peers_word_is_kept_apart_from_ours(state: State) {
    let store = state.open().await;
    let known = stored_connection(&store, "berlin").await;
    store.set_unreachable(known.id, at(9), at(3)).await.unwrap();
    let ended = Standing::from(&known).heard(said(Status::Revoked, 1));
    assert!(step(&store, &known, ended, Some("contract\0 ended")).await);
    let found = read_connection(&store, known.id).await;
    assert_eq!(
        (found.local_status, found.remote_status),
        (Status::Active, Status::Severed)
    );
    assert_eq!(found.status_reason.as_deref(), Some("contract ended"));
    assert_eq!(
        (
            found.last_contact_at,
            found.exchanged_at,
            found.unreachable_since
        ),
        (Some(at(40)), Some(at(40)), None)
    );
    assert_eq!((found.next_attempt_at, found.epoch), (None, 1));
}

async fn every_part_of_a_standing_comes_back(state: State) {
    let store = state.open().await;
    let known = stored_connection(&store, "berlin").await;
    let unknown = |severed_from| {
        Some(Unknown {
            times: 4,
            since: at(7),
            severed_from,
        })
    };
    let mut known = known;
    for after in [
        Standing {
            epoch: 9,
            acked_epoch: 8,
            remote: Status::Severed,
            remote_epoch: 7,
            unknown: unknown(Some(Status::Suspended)),
            ..Standing::from(&known)
        },
        Standing {
            unknown: unknown(None),
            contradicted: true,
            ..Standing::from(&known)
        },
        Standing {
            peer_deleted: true,
            ..Standing::from(&known)
        },
    ] {
        assert!(step(&store, &known, after, None).await);
        known = read_connection(&store, known.id).await;
        assert_eq!(Standing::from(&known), after);
    }
}

async fn a_step_from_another_standing_is_not_taken(state: State) {
    let store = state.open().await;
    let known = stored_connection(&store, "berlin").await;
    let heard = Standing::from(&known).heard(said(Status::Active, 1));
    store
        .set_local_status(known.id, Status::Suspended, Some("audit"), None, at(5))
        .await
        .unwrap();
    assert!(!step(&store, &known, heard, Some("late")).await);
    let found = read_connection(&store, known.id).await;
    assert_eq!((found.local_status, found.epoch), (Status::Suspended, 2));
    assert_eq!(found.status_reason.as_deref(), Some("audit"));
    store.mark_deleted(known.id, at(6)).await.unwrap();
    let heard = Standing::from(&found).heard(said(Status::Active, 1));
    assert!(!step(&store, &found, heard, None).await);
}

async fn the_healing_loop_sees_all_that_is_not_over_and_what_is_yet_to_be_told(state: State) {
    let store = state.open().await;
    let seen = async || {
        let found = store.connections_to_heal().await.unwrap();
        names(&found).join(" ")
    };
    stored_connection(&store, "unregistered").await;
    let mut registered = new_connection("registered");
    registered.registered = true;
    store
        .insert_connection(&registered, &hash("h"), Kept::Nothing)
        .await
        .unwrap();
    assert_eq!(seen().await, "unregistered registered");
    store
        .set_local_status(registered.id, Status::Revoked, None, None, at(1))
        .await
        .unwrap();
    assert_eq!(seen().await, "unregistered registered");
    let known = read_connection(&store, registered.id).await;
    let told = Standing::from(&known).acknowledged(2);
    assert!(step(&store, &known, told, None).await);
    assert_eq!(seen().await, "unregistered");
    store.mark_deleted(registered.id, at(1)).await.unwrap();
    store.mark_deleted(registered.id, at(2)).await.unwrap();
    assert_eq!(seen().await, "unregistered registered");
    assert!(store.credentials(registered.id).await.unwrap().is_some());
    let deleted = store.connections_to_heal().await.unwrap().pop().unwrap();
    assert_eq!((deleted.epoch, deleted.deleted_at), (3, Some(at(1))));
    let told = Standing::from(&deleted).acknowledged(3);
    assert!(step(&store, &deleted, told, None).await);
    assert_eq!(seen().await, "unregistered");
}

async fn an_unreachable_peer_is_left_alone_until_its_next_attempt(state: State) {
    let store = state.open().await;
    let id = stored_connection(&store, "berlin").await.id;
    store.set_unreachable(id, at(20), at(10)).await.unwrap();
    store.set_unreachable(id, at(30), at(20)).await.unwrap();
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
