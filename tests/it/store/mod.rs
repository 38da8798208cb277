//! The daemon's own state: every case runs on SQLite and on PostgreSQL.

use evenkeel::base::secret::{MasterKey, Secret};
use evenkeel::model::connection::{Connection, Direction, Status};
use evenkeel::model::id::{ConnectionId, RunId};
use evenkeel::model::order::TableOrder;
use evenkeel::model::run::{Progress, Run, RunError, RunOrder, RunStatus, RunTable};
use evenkeel::model::table::TableName;
use evenkeel::model::url::PeerUrl;
use evenkeel::store::{Kept, Store, StoreError};
use jiff::Timestamp;
use tempfile::TempDir;

use crate::support::{postgres, sqlite};

mod alert;
mod altered;
mod approval;
mod connection;
mod decision;
mod difference;
mod identity;
mod look;
mod open;
mod outcome;
mod receipt;
mod record;
mod run;
mod sync;
mod turn;
mod writer;

/// Makes of each case, an async function of a [`State`], one test per database.
macro_rules! on_both_stores {
    ($($case:ident),+ $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test]
            async fn $case() {
                super::$case(crate::store::State::sqlite()).await;
            })+
        }

        mod on_postgres {
            $(#[tokio::test]
            async fn $case() {
                super::$case(crate::store::State::postgres()).await;
            })+
        }
    };
}
use on_both_stores;

/// A state that no store has opened yet.
pub struct State {
    url: Secret<String>,
    /// Where the SQLite file will be; removed with this.
    folder: Option<TempDir>,
}

impl State {
    fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite://{}", folder.path().join("state.db").display());
        Self {
            url: Secret::new(url),
            folder: Some(folder),
        }
    }

    fn postgres() -> Self {
        Self {
            url: Secret::new(postgres::shared().database()),
            folder: None,
        }
    }

    async fn open(&self) -> Store {
        self.try_open().await.expect("the state opens")
    }

    async fn try_open(&self) -> Result<Store, StoreError> {
        Store::open_as_daemon(&self.url, key(), false).await
    }

    async fn open_beside(&self) -> Result<Store, StoreError> {
        Store::open_beside(&self.url, key()).await
    }

    /// Makes the state as the first version left it.
    async fn make_first_version(&self) {
        let migrations = sqlx::migrate!();
        match &self.folder {
            Some(folder) => {
                let options = sqlx::sqlite::SqliteConnectOptions::new()
                    .filename(folder.path().join("state.db"))
                    .create_if_missing(true);
                let pool = sqlx::SqlitePool::connect_with(options).await;
                let pool = pool.expect("a SQLite state");
                migrations.run_to(1, &pool).await.expect("migration 1");
                pool.close().await;
            }
            None => {
                let pool = sqlx::PgPool::connect(self.url.expose()).await;
                let pool = pool.expect("a PostgreSQL state");
                migrations.run_to(1, &pool).await.expect("migration 1");
                pool.close().await;
            }
        }
    }

    /// What another program sees: a line per row, `|` between columns, NULL as nothing.
    fn query(&self, sql: &str) -> String {
        match &self.folder {
            Some(folder) => sqlite::query(&folder.path().join("state.db"), sql),
            None => postgres::query(self.url.expose(), sql),
        }
    }

    /// What another program does.
    fn execute(&self, sql: &str) {
        match &self.folder {
            Some(folder) => sqlite::execute(&folder.path().join("state.db"), sql),
            None => drop(postgres::query(self.url.expose(), sql)),
        }
    }
}

fn key() -> MasterKey {
    MasterKey::from_bytes(&[7; 32])
}

/// `seconds` after an arbitrary moment, with a fraction that only microseconds hold.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_microsecond(1_763_720_000_123_456 + seconds * 1_000_000).expect("a time")
}

fn table(name: &str) -> TableName {
    name.parse().expect("a table's name")
}

fn hash(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

/// A new connection that waits for both sides, not registered yet.
fn new_connection(name: &str) -> Connection {
    let url = PeerUrl::parse("https://hq.example.com/site").expect("a URL");
    Connection {
        local_status: Status::Active,
        epoch: 1,
        ..Connection::new(Direction::Sender, name.to_owned(), url, at(0))
    }
}

/// A connection of that name in the store.
async fn stored_connection(store: &Store, name: &str) -> Connection {
    let connection = new_connection(name);
    store
        .insert_connection(&connection, &hash(name), Kept::Nothing)
        .await
        .expect("the connection is new");
    connection
}

/// The connection as the store has it.
async fn read_connection(store: &Store, id: ConnectionId) -> Connection {
    let found = store.connection(id).await.expect("the row can be read");
    found.expect("the connection exists")
}

fn names(connections: &[Connection]) -> Vec<&str> {
    connections
        .iter()
        .map(|connection| connection.name.as_str())
        .collect()
}

/// A new run that is due at once.
fn new_run(connection: ConnectionId) -> Run {
    Run {
        id: RunId::generate(),
        connection_id: connection,
        order: RunOrder {
            create_missing: true,
            ..RunOrder::of(vec![
                TableOrder::of(table("orders")),
                TableOrder::of(table("shop.items")),
            ])
        },
        status: RunStatus::Pending,
        sync_id: None,
        planned_at: None,
        give_up_at: None,
        triggered_by: "unix:anna".to_owned(),
        attempt: 0,
        next_attempt_at: None,
        created_at: at(1),
        started_at: None,
        completed_at: None,
        progress: Progress::default(),
        error: None,
        tables: vec![RunTable::waiting(table("orders"))],
        plan_hash: None,
        approved_plan: None,
        cancel_requested: false,
        looks: false,
    }
}

fn error(code: &str) -> RunError {
    RunError {
        code: code.to_owned(),
        message: "table orders: the peer \"hq\" does not answer".to_owned(),
        hint: Some("try later".to_owned()),
        retry_after: Some(30),
    }
}
