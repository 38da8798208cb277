//! Plans carried out in every engine: made of a scan and of rows that are wanted, as two sites would make them.
//!
//! What a database holds before and after is asked in SQL, past the code under test.

mod altered;
mod keyless;
mod keys;
mod modes;
mod moved;
mod order;
mod stopped;
mod types;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use evenkeel::base::secret::Secret;
use evenkeel::engine::EngineError;
use evenkeel::engine::driver::{ApplyBudget, ApplyJob, ApplyProgress, Driver, EnactJob, Enacted};
use evenkeel::engine::plan::{
    Change, Ending, Fingerprint, LeftInPlace, PlanStream, Planned, Waiting,
};
use evenkeel::model::run::{Changes, ConflictStrategy, SyncMode};
use evenkeel::wire::frame::RowSum;
use evenkeel::wire::row::{RowWriter, split_tuple};
use evenkeel::wire::signing::{ConnectionKeys, RootKey};
use evenkeel::wire::tally::{KeyFields, RowHash, TallyKey};
use tokio::sync::{mpsc, watch};

use super::work::{collect, everything, open, table};
use crate::support::database::{Database, Kind};

/// The fields of one row.
type Row = Vec<Option<Vec<u8>>>;
/// Rows by the bytes of their keys.
type Rows = BTreeMap<Vec<u8>, Bytes>;

/// A database, and a driver on it.
struct Site {
    database: Arc<Database>,
    driver: Arc<dyn Driver>,
}

/// A plan for the table `t`.
struct Plan {
    job: ApplyJob,
    changes: Vec<Change>,
}

impl Site {
    async fn with(kind: Kind, sql: &str) -> Self {
        let database = Database::with(kind, sql);
        Self {
            driver: open(&database.url()).await,
            database: Arc::new(database),
        }
    }

    fn query(&self, sql: &str) -> String {
        self.database.query(sql)
    }

    /// All rows of a table.
    async fn scan(&self, name: &str) -> Vec<Bytes> {
        let table = table(&*self.driver, name).await;
        let rows = self.driver.read(everything(&table)).await.unwrap();
        let mut scanned = Vec::new();
        for batch in collect(rows).await {
            let tuples = batch.tuples();
            scanned.extend(tuples.map(|tuple| Bytes::copy_from_slice(tuple.unwrap())));
        }
        scanned
    }

    /// Compares what is here now with what is `wanted`.
    async fn plan(&self, wanted: &[Row]) -> Plan {
        self.plan_by(&[], wanted).await
    }

    /// The same by this key; the first usable one if it is empty.
    async fn plan_by(&self, key: &[&str], wanted: &[Row]) -> Plan {
        let table = table(&*self.driver, "t").await;
        let key = if key.is_empty() {
            table.usable_keys().next().unwrap().columns.clone()
        } else {
            key.iter().map(|name| (*name).to_owned()).collect()
        };
        let columns = table.columns.iter().filter(|column| !column.generated);
        let columns: Vec<_> = columns.cloned().collect();
        let place = |name: &String| columns.iter().position(|column| column.name == *name);
        let fields = KeyFields::new(key.iter().filter_map(place).collect());
        let by_key = |rows: Vec<Bytes>| -> Rows {
            let keyed = rows.into_iter().map(|row| {
                let mut writer = RowWriter::default();
                fields.write(&row, &mut writer).unwrap();
                (writer.take().data.to_vec(), row)
            });
            keyed.collect()
        };
        let scanned = self.scan("t").await;
        let wanted = wanted.iter().map(tuple).collect();
        Plan {
            changes: differences(&by_key(scanned), &by_key(wanted)),
            job: ApplyJob {
                columns,
                key,
                table,
                mode: SyncMode::Mirror,
                conflict: ConflictStrategy::Overwrite,
                budget: ApplyBudget {
                    transaction_rows: 1_000,
                    transaction_bytes: 64 << 20,
                    quarantine_rows: 100,
                },
            },
        }
    }

    /// What is here now is what is `wanted`, but for what was `left`.
    async fn assert_explained(&self, wanted: &[Row], left: &LeftInPlace, name: &str) {
        let (mut source, mut here) = (RowSum::default(), RowSum::default());
        for row in wanted {
            source.count(hash(&tuple(row)).0);
        }
        for row in self.scan("t").await {
            here.count(hash(&row).0);
        }
        assert!(left.proves(source, here), "{name}: {left:?}");
    }

    async fn enact(&self, plan: Plan) -> Result<Enacted, EngineError> {
        let job = enact_job(plan.job);
        self.driver
            .enact(job, stream(plan.changes), progress())
            .await
    }
}

impl Plan {
    fn mode(mut self, mode: SyncMode, conflict: ConflictStrategy) -> Self {
        (self.job.mode, self.job.conflict) = (mode, conflict);
        self
    }
}

fn enact_job(target: ApplyJob) -> EnactJob {
    EnactJob {
        version_column: (target.conflict == ConflictStrategy::Newest).then(|| "v".to_owned()),
        target,
        fingerprint: fingerprint(),
        waiting: Waiting::default(),
        ending: Ending::Refuse,
    }
}

fn progress() -> watch::Sender<ApplyProgress> {
    watch::Sender::new(ApplyProgress::default())
}

fn fingerprint() -> Fingerprint {
    let key = tally_key();
    Arc::new(move |row| Ok(key.hash(row)))
}

fn tally_key() -> TallyKey {
    let root = RootKey::of_token(&Secret::new("token".to_owned()));
    TallyKey::of(&ConnectionKeys::derive(&root, 1).row())
}

fn hash(row: &[u8]) -> RowHash {
    tally_key().hash(row)
}

/// What has to become of the rows that are here, by their keys.
fn differences(here: &Rows, wanted: &Rows) -> Vec<Change> {
    let mut changes = Vec::new();
    for (key, row) in wanted {
        match here.get(key) {
            None => changes.push(Change::Insert { row: row.clone() }),
            Some(found) if found == row => {}
            Some(found) => changes.push(Change::Update {
                row: row.clone(),
                here: hash(found),
            }),
        }
    }
    for (key, row) in here.iter().filter(|(key, _)| !wanted.contains_key(*key)) {
        changes.push(Change::Delete {
            key: Bytes::from(key.clone()),
            here: hash(row),
        });
    }
    changes
}

/// A whole plan in pieces of a few changes.
fn stream(changes: Vec<Change>) -> PlanStream {
    let (sender, receiver) = mpsc::channel(changes.len() / 100 + 2);
    for changes in changes.chunks(100) {
        sender
            .try_send(Ok(Planned::Changes(changes.to_vec())))
            .unwrap();
    }
    sender.try_send(Ok(Planned::End)).unwrap();
    receiver
}

fn tuple(row: &Row) -> Bytes {
    let mut writer = RowWriter::default();
    writer.begin(u16::try_from(row.len()).unwrap());
    for field in row {
        writer.field(field.as_deref());
    }
    writer.take().data
}

/// The fields of a tuple.
fn row(tuple: &[u8]) -> Row {
    let (fields, _) = split_tuple(tuple).unwrap();
    let fields = fields.into_iter();
    fields.map(|field| field.map(<[u8]>::to_vec)).collect()
}

#[expect(clippy::unnecessary_wraps, reason = "a field may be NULL")]
fn int(number: i64) -> Option<Vec<u8>> {
    Some(number.to_be_bytes().to_vec())
}

#[expect(clippy::unnecessary_wraps, reason = "a field may be NULL")]
fn text(text: &str) -> Option<Vec<u8>> {
    Some(text.as_bytes().to_vec())
}

/// (added, updated, deleted, moved)
fn written(changes: &Changes) -> (u64, u64, u64, u64) {
    (
        changes.added,
        changes.updated,
        changes.deleted,
        changes.moved,
    )
}

/// Key and reason of the rows that were refused.
fn refused(enacted: &Enacted) -> Vec<(String, Option<&str>, &str)> {
    let rows = enacted.rejected.iter();
    rows.map(|row| {
        let key = row.key.as_object().unwrap().values();
        let key: Vec<&str> = key.filter_map(|value| value.as_str()).collect();
        (key.join("/"), row.column.as_deref(), row.reason.as_str())
    })
    .collect()
}
