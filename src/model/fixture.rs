//! Values that tests begin with, of this layer and of those above.

use jiff::Timestamp;

use crate::model::connection::{Connection, Direction, Identity, Status};
use crate::model::id::SyncId;
use crate::model::order::TableOrder;
use crate::model::run::RunOrder;
use crate::model::sync::{SyncDefinition, SyncStatus};
use crate::model::table::{Column, NeutralType, Table, TableName, UniqueKey};
use crate::model::url::PeerUrl;

/// An arbitrary moment.
pub(super) fn now() -> Timestamp {
    "2026-11-21T10:00:00Z".parse().unwrap()
}

/// A receiving connection to `hq`, made at [`now`].
pub(crate) fn connection(local: Status, remote: Status) -> Connection {
    let url = PeerUrl::parse("https://hq.example").unwrap();
    Connection {
        local_status: local,
        remote_status: remote,
        identity: Identity::Proved,
        epoch: 1,
        acked_epoch: 1,
        registered: true,
        ..Connection::new(Direction::Receiver, "hq".to_owned(), url, now())
    }
}

/// One that carries rows.
pub(crate) fn active() -> Connection {
    connection(Status::Active, Status::Active)
}

/// The active, hourly sync `nightly` of these tables, made at [`now`].
pub(crate) fn sync(connection: &Connection, tables: &[&str]) -> SyncDefinition {
    let tables = tables.iter().map(|name| TableName::bare(*name));
    SyncDefinition {
        id: SyncId::generate(),
        name: "nightly".to_owned(),
        description: None,
        connection_id: connection.id,
        order: RunOrder::of(tables.map(TableOrder::of).collect()),
        schedule: Some("hourly".parse().unwrap()),
        compare_schedule: None,
        repair: None,
        max_age: None,
        status: SyncStatus::Active,
        status_error: None,
        created_by: "unix:anna".to_owned(),
        created_at: now(),
        updated_at: now(),
        active_since: Some(now()),
        last_synced_at: None,
        proved_equal_at: None,
        last_run_id: None,
        next: None,
        next_look: None,
        last_look: None,
    }
}

/// A column that may be NULL, with nothing special.
pub(crate) fn column(name: &str, kind: NeutralType) -> Column {
    Column {
        name: name.to_owned(),
        kind,
        native: kind.as_str().to_owned(),
        precision: None,
        scale: None,
        length: None,
        nullable: true,
        generated: false,
        identity: false,
        has_default: false,
    }
}

/// The same, never NULL.
pub(crate) fn required(name: &str, kind: NeutralType) -> Column {
    Column {
        nullable: false,
        ..column(name, kind)
    }
}

/// A unique key that compares bytes.
pub(crate) fn key(columns: &[&str]) -> UniqueKey {
    UniqueKey {
        columns: columns.iter().map(|name| (*name).to_owned()).collect(),
        folded: false,
    }
}

/// A table with nothing special; without key columns it has no primary key.
pub(crate) fn table(name: &str, columns: Vec<Column>, key_columns: &[&str]) -> Table {
    Table {
        name: TableName::bare(name),
        columns,
        primary_key: (!key_columns.is_empty()).then(|| key(key_columns)),
        unique: vec![],
        foreign_keys: vec![],
        triggers: vec![],
        row_estimate: None,
        size_bytes: None,
        not_writable: None,
    }
}
