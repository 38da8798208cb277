//! Connections: every field comes back, secrets are sealed, names are unique.

use evenkeel::model::connection::{
    Auth, Connection, Direction, Identity, RemoteSite, Status, Totals, Unknown,
};
use evenkeel::model::grant::{Grant, GrantedTables, Limits, Star};
use evenkeel::model::id::{ConnectionId, SiteId};
use evenkeel::model::url::PeerUrl;
use evenkeel::store::{ConnectionEdit, Kept, ListPage, RegistrationAnswer, SignedPeer, StoreError};
use evenkeel::wire::signing::{ConnectionKeys, RootKey};

use super::{
    State, at, hash, names, new_connection, on_both_stores, read_connection, stored_connection,
    table,
};

on_both_stores!(
    every_field_of_a_connection_comes_back,
    a_connection_is_found_by_hash_and_by_url,
    the_state_holds_neither_token_nor_hash,
    the_raw_token_is_forgotten_once_the_peer_has_it,
    a_signed_connection_keeps_its_keys_sealed_and_never_falls_back,
    a_name_is_taken_until_its_connection_is_deleted,
    a_page_begins_where_the_last_one_ended,
    a_value_nobody_wrote_is_named_and_not_shown,
);

const ALL: ListPage<ConnectionId> = ListPage {
    limit: 100,
    before: None,
};

async fn every_field_of_a_connection_comes_back(state: State) {
    let store = state.open().await;
    let full = Connection {
        direction: Direction::Receiver,
        url: PeerUrl::parse("http://127.0.0.1:8080/a b").unwrap(),
        remote_prefix: Some("/api".to_owned()),
        local_status: Status::Suspended,
        remote_status: Status::Severed,
        status_reason: Some("moved — \"gone\" for good".to_owned()),
        auth: Auth::Signed,
        identity: Identity::Proved,
        requested_from: Some("2001:db8::1".to_owned()),
        grant: Grant {
            tables: GrantedTables::All(Star::Star),
            excluded_tables: vec![table("shop.salaries"), table("\"a.b\"")],
            limits: Limits {
                max_records_per_request: Some(7),
                ..Limits::default()
            },
            ..Grant::default()
        },
        remote: Some(RemoteSite {
            site_id: SiteId::generate(),
            site_name: "Zürich".to_owned(),
            version: "0.1.0".to_owned(),
        }),
        approved_at: Some(at(1)),
        approved_by: Some("unix:anna".to_owned()),
        last_contact_at: Some(at(2)),
        unreachable_since: Some(at(3)),
        next_attempt_at: Some(at(4)),
        totals: Totals {
            transfers: 3,
            rows: 5_000_000_000,
            bytes: u64::try_from(i64::MAX).unwrap(),
        },
        epoch: 9,
        acked_epoch: 8,
        remote_epoch: 7,
        unknown: Some(Unknown {
            times: 3,
            since: at(5),
            severed_from: Some(Status::Active),
        }),
        contradicted: true,
        exchanged_at: Some(at(6)),
        registered: true,
        peer_deleted: true,
        ..new_connection("full")
    };
    let plain = new_connection("plain");
    for connection in [&full, &plain] {
        store
            .insert_connection(connection, &hash("h"), Kept::Nothing)
            .await
            .unwrap();
        assert_eq!(&read_connection(&store, connection.id).await, connection);
    }
    assert_eq!(
        store.connection(ConnectionId::generate()).await.unwrap(),
        None
    );
}

async fn a_connection_is_found_by_hash_and_by_url(state: State) {
    let store = state.open().await;
    let berlin = stored_connection(&store, "berlin").await;
    let mut oslo = new_connection("oslo");
    oslo.url = PeerUrl::parse("https://oslo.example.com").unwrap();
    store
        .insert_connection(&oslo, &hash("berlin"), Kept::Nothing)
        .await
        .unwrap();
    assert_eq!(
        names(&store.connections_by_hash("berlin").await.unwrap()),
        ["oslo", "berlin"]
    );
    assert!(
        store
            .connections_by_hash("Berlin")
            .await
            .unwrap()
            .is_empty()
    );
    let same = PeerUrl::parse("https://OSLO.example.com:443/").unwrap();
    assert_eq!(
        names(&store.connections_by_url(&same).await.unwrap()),
        ["oslo"]
    );
    store.mark_deleted(berlin.id, at(1)).await.unwrap();
    assert_eq!(
        names(&store.connections_by_hash("berlin").await.unwrap()),
        ["oslo"]
    );
    assert!(
        store
            .connections_by_url(&berlin.url)
            .await
            .unwrap()
            .is_empty()
    );
}

async fn the_state_holds_neither_token_nor_hash(state: State) {
    let store = state.open().await;
    let (token, token_hash) = (hash("the-raw-token"), hash("the-hash-of-it"));
    let connection = new_connection("berlin");
    store
        .insert_connection(&connection, &token_hash, Kept::Unsent(&token))
        .await
        .unwrap();
    let columns = state.query("select token_lookup, token_hash, token from connection");
    assert!(!columns.contains("the-"), "{columns}");
    assert!(
        columns.split('|').all(|column| column.len() > 40),
        "{columns}"
    );
    let credentials = store.credentials(connection.id).await.unwrap().unwrap();
    assert_eq!(credentials.token_hash, token_hash);
    assert_eq!(
        store.unsent_token(connection.id).await.unwrap(),
        Some(token)
    );

    let other = stored_connection(&store, "oslo").await;
    state.execute(&format!(
        "update connection set token_hash = (select token_hash from connection where id = '{}')",
        connection.id
    ));
    let refused = store.credentials(other.id).await.unwrap_err();
    assert!(matches!(refused, StoreError::Secret(_)), "{refused}");
}

async fn the_raw_token_is_forgotten_once_the_peer_has_it(state: State) {
    let store = state.open().await;
    let connection = new_connection("berlin");
    let token = hash("token");
    store
        .insert_connection(&connection, &hash("h"), Kept::Unsent(&token))
        .await
        .unwrap();
    let answer = RegistrationAnswer {
        remote_status: Status::Active,
        remote: None,
        remote_prefix: "/evenkeel".to_owned(),
        signed: None,
    };
    store
        .set_registered(connection.id, &answer, at(5))
        .await
        .unwrap();
    assert_eq!(store.unsent_token(connection.id).await.unwrap(), None);
    let found = read_connection(&store, connection.id).await;
    assert_eq!(found.remote_prefix.as_deref(), Some("/evenkeel"));
    assert_eq!((found.registered, found.status()), (true, Status::Active));
    assert_eq!(found.last_contact_at, Some(at(5)));

    let mut registered = new_connection("oslo");
    registered.registered = true;
    store
        .insert_connection(&registered, &hash("h"), Kept::Unsent(&token))
        .await
        .unwrap();
    assert_eq!(store.unsent_token(registered.id).await.unwrap(), None);
}

async fn a_signed_connection_keeps_its_keys_sealed_and_never_falls_back(state: State) {
    let store = state.open().await;
    let peer = |token: &str| SignedPeer {
        root_key: RootKey::of_token(&hash(token)),
        receipt_key: "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=".to_owned(),
    };
    let answer = |signed| RegistrationAnswer {
        remote_status: Status::Active,
        remote: None,
        remote_prefix: String::new(),
        signed,
    };
    let expected = ConnectionKeys::derive(&RootKey::of_token(&hash("token")), 1);
    let given = stored_connection(&store, "berlin").await;
    let mut taken = new_connection("oslo");
    taken.auth = Auth::Signed;
    let kept = peer("token");
    store
        .insert_connection(&taken, &hash("h"), Kept::Keys(&kept))
        .await
        .unwrap();
    // An answer that came twice, and one without signing after one with it, change nothing.
    for signed in [Some(peer("token")), Some(peer("another")), None] {
        let answer = answer(signed);
        store
            .set_registered(given.id, &answer, at(5))
            .await
            .unwrap();
    }
    for id in [given.id, taken.id] {
        let found = read_connection(&store, id).await;
        assert_eq!(found.auth, Auth::Signed);
        let credentials = store.credentials(id).await.unwrap().unwrap();
        assert_eq!(credentials.keys, Some(expected.clone()));
    }
    let sealed = state.query("select root_key from connection order by id");
    let plain = kept.root_key.to_text();
    assert!(!sealed.contains(plain.expose()), "{sealed}");

    let unsigned = stored_connection(&store, "hamburg").await;
    store
        .set_registered(unsigned.id, &answer(None), at(5))
        .await
        .unwrap();
    let found = read_connection(&store, unsigned.id).await;
    assert_eq!(found.auth, Auth::TokenHash);
    let credentials = store.credentials(unsigned.id).await.unwrap().unwrap();
    assert_eq!(credentials.keys, None);
    state.execute(&format!(
        "update connection set root_key = (select root_key from connection where id = '{}'), key_generation = 1,
             auth = 'signed' where id = '{}'",
        given.id, unsigned.id
    ));
    let refused = store.credentials(unsigned.id).await.unwrap_err();
    assert!(matches!(refused, StoreError::Secret(_)), "{refused}");
}

async fn a_name_is_taken_until_its_connection_is_deleted(state: State) {
    let store = state.open().await;
    let first = stored_connection(&store, "berlin").await;
    let second = new_connection("berlin");
    let refused = store
        .insert_connection(&second, &hash("h"), Kept::Nothing)
        .await
        .unwrap_err();
    assert!(
        matches!(&refused, StoreError::NameTaken(name) if name == "berlin"),
        "{refused}"
    );
    let oslo = stored_connection(&store, "oslo").await;
    let named = |name: &str| ConnectionEdit {
        name: Some(name.to_owned()),
        ..ConnectionEdit::default()
    };
    let refused = store
        .edit_connection(oslo.id, &named("berlin"))
        .await
        .unwrap_err();
    assert!(
        matches!(&refused, StoreError::NameTaken(name) if name == "berlin"),
        "{refused}"
    );
    store.mark_deleted(first.id, at(1)).await.unwrap();
    store
        .insert_connection(&second, &hash("h"), Kept::Nothing)
        .await
        .unwrap();
    store
        .edit_connection(oslo.id, &named("bergen"))
        .await
        .unwrap();
    assert_eq!(
        names(&store.connections(ALL).await.unwrap()),
        ["bergen", "berlin"]
    );
    // An id that exists twice is no name that is taken.
    let twice = Connection {
        name: "new".to_owned(),
        ..second
    };
    let refused = store
        .insert_connection(&twice, &hash("h"), Kept::Nothing)
        .await
        .unwrap_err();
    assert!(matches!(refused, StoreError::Database(_)), "{refused}");
}

async fn a_page_begins_where_the_last_one_ended(state: State) {
    let store = state.open().await;
    for name in ["a", "b", "c"] {
        stored_connection(&store, name).await;
    }
    let first = store
        .connections(ListPage {
            limit: 2,
            before: None,
        })
        .await
        .unwrap();
    assert_eq!(names(&first), ["c", "b"]);
    let before = first.last().map(|connection| connection.id);
    let rest = store
        .connections(ListPage { limit: 2, before })
        .await
        .unwrap();
    assert_eq!(names(&rest), ["a"]);
}

async fn a_value_nobody_wrote_is_named_and_not_shown(state: State) {
    let store = state.open().await;
    let id = stored_connection(&store, "berlin").await.id;
    for (column, was) in [
        ("local_status", "active"),
        ("url", "https://hq.example.com/site"),
        ("access", "{}"),
    ] {
        state.execute(&format!("update connection set {column} = 'rubbish'"));
        let fault = store.connection(id).await.unwrap_err();
        assert!(matches!(fault, StoreError::Corrupt(_)), "{fault}");
        let message = fault.to_string();
        for part in [
            "table connection",
            &id.to_string(),
            &format!("column {column}"),
        ] {
            assert!(message.contains(part), "{message}");
        }
        assert!(!message.contains("rubbish"), "{message}");
        state.execute(&format!("update connection set {column} = '{was}'"));
    }
    state.execute(&format!("update connection set created_at = {}", i64::MAX));
    let fault = store.connections(ALL).await.unwrap_err();
    assert!(fault.to_string().contains("column created_at"), "{fault}");
    state.execute("update connection set created_at = 0, total_rows = -1");
    let fault = store.connections(ALL).await.unwrap_err();
    assert!(fault.to_string().contains("column total_rows"), "{fault}");
}
