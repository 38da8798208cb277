//! Carrying out a plan of many rows: inserting half of `orders` beside the other half, and updating a tenth of all.
//!
//! `cargo bench --bench enact [-- ROWS] [postgres] [mariadb] [sqlite]`; 2,000,000 rows in all, each engine once. Beside
//! each stands the database's own `insert ... select`, or `update`, of the same rows in the same order, which is none.
//! Starts its own servers, and stops by itself.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    clippy::needless_pass_by_value,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a figure that cannot be measured should stop where it stands, and printing is its purpose"
)]
#![allow(
    dead_code,
    reason = "the tests' support is written as a whole, and a figure uses a part of it"
)]

#[path = "figures/mod.rs"]
mod figures;
#[path = "../tests/it/support/mod.rs"]
mod support;

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use evenkeel::base::secret::Secret;
use evenkeel::engine::driver::{
    ApplyBudget, ApplyJob, ApplyProgress, DiskRoom, Driver, EnactJob, Flow, RowFilter, RowOrder,
    Selection,
};
use evenkeel::engine::plan::{Change, Ending, Planned, Waiting};
use evenkeel::model::run::{Changes, ConflictStrategy, SyncMode};
use evenkeel::wire::scope::Scope;
use evenkeel::wire::signing::{ConnectionKeys, RootKey};
use evenkeel::wire::tally::{RowHash, TallyKey};
use figures::{COLUMNS, Side, numbers};
use support::database::{Database, Kind};
use tokio::sync::{mpsc, watch};

#[tokio::main]
async fn main() {
    let rows = numbers().first().copied().unwrap_or(2_000_000);
    let words: Vec<String> = std::env::args().collect();
    let is_wanted = |name: &str| {
        let all = ["postgres", "mariadb", "sqlite"];
        let named = words.iter().any(|word| all.contains(&word.as_str()));
        !named || words.iter().any(|word| word == name)
    };
    if is_wanted("postgres") {
        let server = figures::server();
        let url = server.database();
        figures::fill(&url, rows);
        measure("PostgreSQL", &Database::Postgres(url), rows).await;
    }
    if is_wanted("mariadb") {
        let server = figures::mariadb::server();
        let url = server.database();
        figures::mariadb::fill(&url, rows);
        measure("MariaDB", &Database::Mariadb(url), rows).await;
    }
    if is_wanted("sqlite") {
        let database = Database::empty(Kind::Sqlite);
        figures::sqlite::fill(&figures::sqlite::file_of(&database.url()), "wal", rows);
        measure("SQLite", &database, rows).await;
    }
}

async fn measure(engine: &str, database: &Database, rows: u64) {
    for (table, condition) in [
        ("other", "id % 2 = 1"),
        ("missing", "id % 2 = 0"),
        ("changed", "id % 10 = 0"),
    ] {
        make(database, table, condition);
    }
    database.execute("update changed set total = total + 1");
    let room = DiskRoom {
        folder: std::env::temp_dir(),
        bytes: 1 << 30,
    };
    let url = Secret::new(database.url());
    let driver = evenkeel::engine::open(&url, &[], room).await.unwrap();

    println!("\n{engine}: {} rows missing of {rows}", rows / 2);
    let (mut theirs, mut ours) = (Side::new("insert ... select"), Side::new("evenkeel"));
    half(database);
    theirs.measure(1, || {
        database.execute("insert into orders select * from missing");
    });
    half(database);
    let missing = read(&driver, "missing").await;
    let begun = figures::Began::now();
    let changes = enact(&driver, missing, HashMap::new()).await;
    ours.add(1, begun.took());
    assert_eq!(changes.added, rows / 2, "{changes:?}");
    ours.print(&theirs);

    println!("{engine}: {} of {rows} rows changed", rows / 10);
    let (mut theirs, mut ours) = (Side::new("update ... from"), Side::new("evenkeel"));
    theirs.measure(1, || database.execute(&update(database.kind())));
    database.execute("update orders set total = total - 1 where id % 10 = 0");
    settled(database);
    let (changed, here) = (read(&driver, "changed").await, hashes(&driver).await);
    let begun = figures::Began::now();
    let changes = enact(&driver, changed, here).await;
    ours.add(1, begun.took());
    assert_eq!(changes.updated, rows / 10, "{changes:?}");
    ours.print(&theirs);
}

/// Some rows of `orders`, in no order, in a table without a key.
fn make(database: &Database, table: &str, condition: &str) {
    let (create, order) = match database {
        Database::Postgres(_) => ("create table {} as", "md5(id::text)"),
        Database::Mariadb(_) => ("create table {} as", "md5(id)"),
        Database::Sqlite(_) => ("insert into {}", "id * 7919 % 1000003"),
    };
    if database.kind() == Kind::Sqlite {
        let orders = figures::sqlite::ORDERS.replace(" primary key", "");
        database.execute(&orders.replace("table orders", &format!("table {table}")));
    }
    let create = create.replace("{}", table);
    database.execute(&format!(
        "{create} select * from orders where {condition} order by {order}"
    ));
}

/// Leaves half of the rows in `orders`.
fn half(database: &Database) {
    database.execute(match database.kind() {
        Kind::Sqlite => "delete from orders",
        Kind::Postgres | Kind::Mariadb => "truncate orders",
    });
    database.execute("insert into orders select * from other");
    settled(database);
}

/// Lets the server tidy up what was done before.
fn settled(database: &Database) {
    database.execute(match database.kind() {
        Kind::Postgres => "vacuum analyze orders; checkpoint",
        Kind::Mariadb => "analyze table orders",
        Kind::Sqlite => "analyze orders; pragma wal_checkpoint(truncate)",
    });
}

fn update(kind: Kind) -> String {
    let set = |before: &str| {
        let columns = COLUMNS.map(|name| format!("{before}{name} = c.{name}"));
        columns.join(", ")
    };
    match kind {
        Kind::Mariadb => format!(
            "update changed c straight_join orders o on o.id = c.id set {}",
            set("o.")
        ),
        Kind::Postgres | Kind::Sqlite => {
            format!(
                "update orders set {} from changed c where orders.id = c.id",
                set("")
            )
        }
    }
}

fn key() -> TallyKey {
    let root = RootKey::of_token(&Secret::new("token".to_owned()));
    TallyKey::of(&ConnectionKeys::derive(&root, 1).row())
}

/// All rows of a table, as they are found.
async fn read(driver: &Arc<dyn Driver>, name: &str) -> Vec<Bytes> {
    let table = driver.table(&name.parse().unwrap()).await.unwrap().unwrap();
    let columns = table.columns.iter();
    let selection = Selection {
        table: table.name.clone(),
        columns: columns
            .map(|column| (column.name.clone(), column.kind))
            .collect(),
        rows: RowFilter::All,
        scope: Scope::default(),
        order: RowOrder::Found,
        page: None,
    };
    let mut stream = driver.read(selection).await.unwrap();
    let mut rows = Vec::new();
    while let Flow::Rows(batch) = stream.recv().await.unwrap().unwrap() {
        rows.extend(
            batch
                .tuples()
                .map(|tuple| batch.data.slice_ref(tuple.unwrap())),
        );
    }
    rows
}

/// The bytes of `id`, which stands first.
fn id(tuple: &[u8]) -> [u8; 8] {
    tuple[6..14].try_into().unwrap()
}

/// What the rows are that will be updated.
async fn hashes(driver: &Arc<dyn Driver>) -> HashMap<[u8; 8], RowHash> {
    let key = key();
    let rows = read(driver, "orders").await;
    let rows = rows
        .iter()
        .filter(|row| i64::from_be_bytes(id(row)) % 10 == 0);
    rows.map(|row| (id(row), key.hash(row))).collect()
}

/// Inserts these rows, or updates those that are `here`.
async fn enact(
    driver: &Arc<dyn Driver>,
    rows: Vec<Bytes>,
    here: HashMap<[u8; 8], RowHash>,
) -> Changes {
    let table = driver
        .table(&"orders".parse().unwrap())
        .await
        .unwrap()
        .unwrap();
    let (sink, plan) = mpsc::channel(4);
    let feeding = async move {
        for rows in rows.chunks(256) {
            let change = |row: &Bytes| match here.get(&id(row)) {
                None => Change::Insert { row: row.clone() },
                Some(here) => Change::Update {
                    here: *here,
                    row: row.clone(),
                },
            };
            let changes = rows.iter().map(change).collect();
            sink.send(Ok(Planned::Changes(changes))).await.unwrap();
        }
        sink.send(Ok(Planned::End)).await.unwrap();
    };
    let key = key();
    let job = EnactJob {
        target: ApplyJob {
            columns: table.columns.clone(),
            key: vec!["id".to_owned()],
            table,
            mode: SyncMode::Upsert,
            conflict: ConflictStrategy::Overwrite,
            budget: ApplyBudget {
                transaction_rows: 1_000_000,
                transaction_bytes: 256 << 20,
                quarantine_rows: 1_000,
            },
        },
        version_column: None,
        fingerprint: Arc::new(move |row| Ok(key.hash(row))),
        waiting: Waiting::default(),
        ending: Ending::Refuse,
    };
    let progress = watch::Sender::new(ApplyProgress::default());
    let ((), enacted) = tokio::join!(feeding, driver.enact(job, plan, progress));
    enacted.unwrap().changes
}
