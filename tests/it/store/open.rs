//! Opening the state: one daemon at a time, no newer schema, nothing migrated without a copy.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use evenkeel::base::secret::{KeyPlace, MasterKey, Secret};
use evenkeel::store::{Store, StoreError};

use super::{State, at, key, on_both_stores, stored_connection};
use crate::support::{postgres, sqlite, wait};

on_both_stores!(
    everything_is_there_after_a_restart,
    a_second_daemon_is_refused,
    a_standby_takes_over_when_the_daemon_ends,
    a_command_works_beside_the_daemon_and_before_it,
    many_that_open_an_empty_state_make_one_schema,
    a_newer_schema_is_refused_and_left_alone,
    a_state_that_is_behind_is_not_migrated_under_a_daemon,
    an_open_state_answers,
    a_state_opens_only_with_the_key_it_was_made_with,
    no_key_is_made_beside_a_state_that_has_one,
);

async fn everything_is_there_after_a_restart(state: State) {
    let store = state.open().await;
    let connection = stored_connection(&store, "berlin").await;
    store
        .set_settings(&[("peer.enabled", Some("false"))])
        .await
        .unwrap();
    store.close().await;
    drop(store);
    let store = state.open().await;
    assert_eq!(
        store.connection(connection.id).await.unwrap(),
        Some(connection)
    );
    assert_eq!(
        store.setting("peer.enabled").await.unwrap().as_deref(),
        Some("false")
    );
}

async fn a_second_daemon_is_refused(state: State) {
    let first = state.open().await;
    let refused = state.try_open().await.err().expect("one daemon is enough");
    assert!(matches!(refused, StoreError::InUse(_)), "{refused}");
    first.ping().await.unwrap();
    drop(first);
    state.open().await;
}

async fn a_standby_takes_over_when_the_daemon_ends(state: State) {
    let daemon = state.open().await;
    let connection = stored_connection(&daemon, "berlin").await;
    let mut standby = Box::pin(Store::open_as_daemon(&state.url, key(), true));
    let early = tokio::time::timeout(Duration::from_millis(800), &mut standby).await;
    assert!(
        early.is_err(),
        "the standby took over from a daemon that is active"
    );
    drop(daemon);
    let standby = tokio::time::timeout(wait::LONG, standby).await;
    let standby = standby.expect("the standby takes over").unwrap();
    assert_eq!(
        standby.connection(connection.id).await.unwrap(),
        Some(connection)
    );
}

async fn a_command_works_beside_the_daemon_and_before_it(state: State) {
    let before = state.open_beside().await.unwrap();
    before.set_settings(&[("a", Some("1"))]).await.unwrap();
    let daemon = state.open().await;
    let beside = state.open_beside().await.unwrap();
    beside.set_settings(&[("b", Some("2"))]).await.unwrap();
    for (name, value) in [("a", "1"), ("b", "2")] {
        assert_eq!(daemon.setting(name).await.unwrap().as_deref(), Some(value));
    }
}

async fn many_that_open_an_empty_state_make_one_schema(state: State) {
    let open = || state.open_beside();
    let (one, two, three, daemon) = tokio::join!(open(), open(), open(), state.try_open());
    for store in [one, two, three, daemon] {
        store.unwrap().site_identity(at(1)).await.unwrap();
    }
    assert_eq!(state.query("select count(*) from site"), "1");
}

async fn a_newer_schema_is_refused_and_left_alone(state: State) {
    let store = state.open().await;
    store.close().await;
    drop(store);
    state.execute(
        "update _sqlx_migrations set version = 9999 where version = 1;
        drop table audit;",
    );
    for opened in [state.try_open().await, state.open_beside().await] {
        let refused = opened.err().expect("the schema is newer");
        assert!(
            matches!(refused, StoreError::Newer { found: 9999, .. }),
            "{refused}"
        );
    }
    let newest = "select max(version) from _sqlx_migrations";
    assert_eq!(state.query(newest), "9999");
}

async fn a_state_that_is_behind_is_not_migrated_under_a_daemon(state: State) {
    let daemon = state.open().await;
    state.execute("delete from _sqlx_migrations");
    let refused = state
        .open_beside()
        .await
        .err()
        .expect("the daemon is older");
    assert!(matches!(refused, StoreError::InUse(_)), "{refused}");
    drop(daemon);
}

async fn an_open_state_answers(state: State) {
    state.open().await.ping().await.unwrap();
}

async fn a_state_opens_only_with_the_key_it_was_made_with(state: State) {
    let first = state.open_beside().await.unwrap();
    first.close().await;
    let other = || MasterKey::from_bytes(&[8; 32]);
    for opened in [
        Store::open_beside(&state.url, other()).await,
        Store::open_as_daemon(&state.url, other(), false).await,
    ] {
        let refused = opened.err().expect("another key");
        assert!(matches!(refused, StoreError::OtherKey), "{refused}");
    }
    state.open().await;
}

async fn no_key_is_made_beside_a_state_that_has_one(state: State) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret.key");
    let place = KeyPlace::File(path.clone());
    let made = Store::key(&state.url, &place).await.unwrap();
    let store = Store::open_as_daemon(&state.url, made, false).await;
    store.unwrap().close().await;
    let kept = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let refused = Store::key(&state.url, &place).await.unwrap_err();
    assert!(matches!(refused, StoreError::KeyMissing(_)), "{refused}");
    assert!(!path.exists());
    std::fs::write(&path, kept).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let restored = Store::key(&state.url, &place).await.unwrap();
    Store::open_beside(&state.url, restored).await.unwrap();
}

#[tokio::test]
async fn a_sqlite_state_is_copied_aside_before_it_is_migrated_and_no_copy_is_overwritten() {
    let state = State::sqlite();
    let folder = state.folder.as_ref().unwrap().path();
    let path = folder.join("state.db");
    for (copy, content) in [
        ("state.db.before-1", "first"),
        ("state.db.before-1.2", "second"),
    ] {
        sqlite::execute(
            &path,
            &format!("create table old as select '{content}' as content"),
        );
        let store = state.open().await;
        store.site_identity(at(1)).await.unwrap();
        store.close().await;
        drop(store);
        let copy = folder.join(copy);
        assert_eq!(
            std::fs::metadata(&copy).unwrap().permissions().mode() & 0o777,
            0o600
        );
        for name in ["state.db", "state.db-wal", "state.db-shm"] {
            let _ = std::fs::remove_file(folder.join(name));
        }
        assert_eq!(sqlite::query(&copy, "select content from old"), content);
    }
    assert_eq!(
        sqlite::query(&folder.join("state.db.before-1"), "select content from old"),
        "first"
    );
}

#[tokio::test]
async fn a_new_sqlite_state_is_readable_by_its_owner_only_and_needs_no_copy() {
    let state = State::sqlite();
    let store = state.open().await;
    stored_connection(&store, "berlin").await;
    let mut names = Vec::new();
    for entry in std::fs::read_dir(state.folder.as_ref().unwrap()).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        assert_eq!(
            entry.metadata().unwrap().permissions().mode() & 0o077,
            0,
            "{name}"
        );
        names.push(name);
    }
    names.sort();
    assert_eq!(
        names,
        ["state.db", "state.db-shm", "state.db-wal", "state.db.lock"]
    );
    assert_eq!(state.query("pragma journal_mode"), "wal");
}

#[tokio::test]
async fn a_url_that_names_no_state_is_refused_without_being_repeated() {
    let cases = [
        (
            "mysql://root:hunter2@localhost/db",
            "write sqlite:///folder/state.db or postgresql://",
        ),
        ("sqlite://state.db", "three slashes"),
        ("sqlite:///nowhere/at/hunter2/../state.db", "does not exist"),
        ("postgresql://localhost/hunter2", "name the user"),
        ("postgresql://anna:hunter2@localhost:port/db", "not a valid"),
    ];
    for (url, part) in cases {
        let opened = Store::open_as_daemon(&Secret::new(url.to_owned()), key(), false).await;
        let refused = opened.err().expect("no state").to_string();
        assert!(refused.contains(part), "{url}: {refused}");
        assert!(
            url.contains("nowhere") || !refused.contains("hunter2"),
            "{refused}"
        );
    }
}

#[tokio::test]
async fn a_daemon_learns_that_the_server_ended_its_lock() {
    let state = State::postgres();
    let store = state.open().await;
    let still = tokio::time::timeout(Duration::from_millis(1_500), store.lock_lost()).await;
    assert!(still.is_err(), "the lock is held");
    postgres::query(
        state.url.expose(),
        "select pg_terminate_backend(pg_locks.pid)
        from pg_locks
        join pg_database on pg_database.oid = pg_locks.database
        where locktype = 'advisory'
          and datname = current_database()",
    );
    let lost = tokio::time::timeout(wait::LONG, store.lock_lost()).await;
    lost.expect("the loss is noticed");
}
