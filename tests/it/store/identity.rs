//! Who a peer is, and with which keys it signs: what is stored of it, on both databases.

use evenkeel::model::connection::{Auth, Connection, Identity, Status};
use evenkeel::model::rotation::Stage;
use evenkeel::model::url::PeerUrl;
use evenkeel::store::{Kept, NextKey, SignedPeer, Store, StoreError};
use evenkeel::wire::signing::{ConnectionKeys, RootKey};

use super::{State, at, hash, new_connection, on_both_stores, read_connection, table};

on_both_stores!(
    what_is_wanted_and_when_it_is_proved_comes_back,
    a_proof_holds_only_for_the_url_that_was_asked,
    a_key_is_offered_once_adopted_once_and_then_forgotten,
    claims_alone_make_way_and_expire,
    a_move_holds_only_from_where_the_peer_was,
);

async fn stored(store: &Store, connection: Connection) -> Connection {
    let peer = SignedPeer {
        root_key: RootKey::of_token(&hash("token")),
        receipt_key: "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=".to_owned(),
    };
    let kept = match connection.auth {
        Auth::Signed => Kept::Keys(&peer),
        Auth::TokenHash => Kept::Nothing,
    };
    let name = hash(&connection.name);
    store
        .insert_connection(&connection, &name, kept)
        .await
        .expect("the connection is new");
    read_connection(store, connection.id).await
}

fn signed(name: &str) -> Connection {
    Connection {
        auth: Auth::Signed,
        registered: true,
        ..new_connection(name)
    }
}

fn claim(name: &str) -> Connection {
    Connection {
        local_status: Status::Pending,
        requested_from: Some("192.0.2.7".to_owned()),
        ..signed(name)
    }
}

async fn what_is_wanted_and_when_it_is_proved_comes_back(state: State) {
    let store = state.open().await;
    let full = Connection {
        wanted_tables: vec![table("shop.orders"), table("\"a.b\"")],
        requires_signed: true,
        prove_at: Some(at(9)),
        prove_attempts: 3,
        key_generation: Some(1),
        ..signed("full")
    };
    for connection in [full, claim("claim"), new_connection("plain")] {
        let expected = Connection {
            key_generation: (connection.auth == Auth::Signed).then_some(1),
            ..connection.clone()
        };
        assert_eq!(stored(&store, connection).await, expected);
    }
}

async fn a_proof_holds_only_for_the_url_that_was_asked(state: State) {
    let store = state.open().await;
    let row = Connection {
        prove_at: Some(at(5)),
        ..claim("berlin")
    };
    let row = stored(&store, row).await;
    let unregistered = Connection {
        registered: false,
        prove_at: Some(at(1)),
        ..signed("oslo")
    };
    stored(&store, unregistered).await;
    let due = async |now| {
        let due = store.connections_to_prove(at(now)).await.unwrap();
        due.iter().map(|row| row.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(due(4).await, Vec::<String>::new());
    assert_eq!(due(5).await, ["berlin"]);
    store.set_unproved(row.id, Some(at(8))).await.unwrap();
    assert_eq!(due(5).await, Vec::<String>::new());
    assert_eq!(read_connection(&store, row.id).await.prove_attempts, 1);
    let other = PeerUrl::parse("https://elsewhere.example.com").unwrap();
    assert!(!store.set_proved(row.id, &other).await.unwrap());
    assert_eq!(
        read_connection(&store, row.id).await.identity,
        Identity::Claimed
    );
    assert!(store.set_proved(row.id, &row.url).await.unwrap());
    let proved = read_connection(&store, row.id).await;
    assert_eq!((proved.identity, proved.prove_at), (Identity::Proved, None));
    assert_eq!(due(100).await, Vec::<String>::new());
}

async fn a_key_is_offered_once_adopted_once_and_then_forgotten(state: State) {
    let store = state.open().await;
    let id = stored(&store, signed("berlin")).await.id;
    let (next, other) = (RootKey::fresh().unwrap(), RootKey::fresh().unwrap());
    assert!(store.offer_key(id, 1, &next, at(1)).await.unwrap());
    // Neither a second offer, nor one after a key that is not current, changes the first.
    for (after, now) in [(1, 2), (2, 2), (1, 900_000)] {
        assert!(!store.offer_key(id, after, &other, at(now)).await.unwrap());
    }
    let offered = store.second_key(id).await.unwrap().unwrap();
    assert_eq!((offered.stage, offered.generation), (Stage::Offered, 2));
    assert_eq!(offered.root_key, next);
    let due = async |now| store.connections_to_offer(at(now)).await.unwrap();
    assert_eq!(due(1).await, [id]);
    store.set_offer_due(id, at(30)).await.unwrap();
    assert!(due(29).await.is_empty());
    assert_eq!(due(30).await, [id]);
    let state_text = state.query("select root_key from rotation");
    assert!(
        !state_text.contains(next.to_text().expose()),
        "{state_text}"
    );

    let step = |after, root_key: &RootKey| NextKey {
        after,
        root_key: root_key.clone(),
        accepted_until: at(100),
    };
    assert!(!store.adopt_key(id, &step(2, &next), at(40)).await.unwrap());
    assert!(store.adopt_key(id, &step(1, &next), at(40)).await.unwrap());
    assert!(!store.adopt_key(id, &step(1, &other), at(41)).await.unwrap());
    let keys = store.credentials(id).await.unwrap().unwrap().keys;
    assert_eq!(keys, Some(ConnectionKeys::derive(&next, 2)));
    assert_eq!(read_connection(&store, id).await.key_generation, Some(2));
    let accepted = async |now| store.accepted_keys(id, at(now)).await.unwrap().unwrap();
    let previous = accepted(99).await.second.unwrap();
    assert_eq!((previous.stage, previous.generation), (Stage::Previous, 1));
    assert_eq!(previous.root_key, RootKey::of_token(&hash("token")));
    assert!(accepted(100).await.second.is_none());
    assert!(due(900).await.is_empty());
    // It can become shorter, not longer; and it is in the way of the next until it is over.
    for until in [60, 200] {
        store.shorten_previous_key(id, at(until)).await.unwrap();
    }
    assert!(accepted(59).await.second.is_some());
    assert!(accepted(60).await.second.is_none());
    assert!(!store.offer_key(id, 2, &other, at(59)).await.unwrap());
    assert!(store.forget_previous_keys(at(59)).await.unwrap().is_empty());
    assert_eq!(store.forget_previous_keys(at(60)).await.unwrap(), [id]);
    assert_eq!(state.query("select count(*) from rotation"), "0");
    assert!(store.offer_key(id, 2, &other, at(61)).await.unwrap());
    assert!(!store.withdraw_key(id, 2).await.unwrap());
    assert!(store.withdraw_key(id, 3).await.unwrap());
    let unsigned = stored(&store, new_connection("oslo")).await.id;
    assert!(!store.offer_key(unsigned, 1, &next, at(1)).await.unwrap());
    assert!(
        store
            .accepted_keys(unsigned, at(1))
            .await
            .unwrap()
            .is_none()
    );
}

async fn claims_alone_make_way_and_expire(state: State) {
    let store = state.open().await;
    let approved = Connection {
        approved_at: Some(at(0)),
        ..signed("approved")
    };
    let approved = stored(&store, approved).await;
    let old = stored(&store, claim("old")).await;
    let new = Connection {
        created_at: at(50),
        ..claim("new")
    };
    let new = stored(&store, new).await;
    let mut origins = store.claim_origins().await.unwrap();
    origins.sort();
    assert_eq!(
        origins,
        [Some("192.0.2.7".to_owned()), Some("192.0.2.7".to_owned())]
    );
    assert!(!store.rename_claim("approved", "other").await.unwrap());
    assert!(!store.rename_claim("nobody", "other").await.unwrap());
    let taken = store.rename_claim("old", "approved").await.unwrap_err();
    assert!(matches!(taken, StoreError::NameTaken(_)), "{taken}");
    assert!(store.rename_claim("old", "older").await.unwrap());
    assert_eq!(read_connection(&store, old.id).await.name, "older");
    assert!(store.expire_claims(at(0)).await.unwrap().is_empty());
    let expired = store.expire_claims(at(50)).await.unwrap();
    assert_eq!(expired.len(), 1);
    assert_eq!((expired[0].id, expired[0].name.as_str()), (old.id, "older"));
    assert!(store.connection(old.id).await.unwrap().is_none());
    for id in [approved.id, new.id] {
        assert!(store.connection(id).await.unwrap().is_some());
    }
}

async fn a_move_holds_only_from_where_the_peer_was(state: State) {
    let store = state.open().await;
    let row = Connection {
        identity: Identity::Proved,
        remote_prefix: Some("/shop".to_owned()),
        next_attempt_at: Some(at(4)),
        ..signed("berlin")
    };
    let row = stored(&store, row).await;
    let to = PeerUrl::parse("https://new.example.com").unwrap();
    assert!(
        !store
            .move_connection(row.id, (&to, &row.url), at(7))
            .await
            .unwrap()
    );
    assert!(
        store
            .move_connection(row.id, (&row.url, &to), at(7))
            .await
            .unwrap()
    );
    let moved = read_connection(&store, row.id).await;
    assert_eq!((moved.url, moved.identity), (to, Identity::Claimed));
    assert_eq!((moved.remote_prefix, moved.next_attempt_at), (None, None));
    assert_eq!(moved.prove_at, Some(at(7)));
    // A claim that moves is not called for that.
    let waiting = stored(&store, claim("oslo")).await;
    let to = PeerUrl::parse("https://other.example.com").unwrap();
    store
        .move_connection(waiting.id, (&waiting.url, &to), at(7))
        .await
        .unwrap();
    assert_eq!(read_connection(&store, waiting.id).await.prove_at, None);
    store.call_all_signed(at(9)).await.unwrap();
    assert_eq!(read_connection(&store, waiting.id).await.prove_at, None);
    assert_eq!(read_connection(&store, row.id).await.prove_at, Some(at(9)));
}
