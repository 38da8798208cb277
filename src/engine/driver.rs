//! What every site database can do, made for three engines.
//!
//! Rows cross this border only in the row layout, each field in its column's neutral type.

use std::path::PathBuf;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};

use crate::engine::error::EngineError;
use crate::engine::plan::{Ending, Fingerprint, LeftInPlace, PlanStream, Waiting};
use crate::model::finding::{Finding, TablesInUse};
use crate::model::run::{Changes, ConflictStrategy, QuarantinedRow, SyncMode};
use crate::model::table::{Column, Engine, NeutralType, Table, TableName};
use crate::wire::row::RowBatch;
use crate::wire::scope::Scope;
use crate::wire::tally::RowHash;

/// A reader passes its rows on once it has so many bytes of them: a quarter of a frame, so that little waits in memory.
pub const BATCH_BYTES: usize = 256 << 10;
/// Batches held between a reader and whoever takes its rows.
pub const CHANNEL_BATCHES: usize = 2;

/// A piece of a stream of rows. A stream that ends without [`Flow::End`] was cut.
#[derive(Debug)]
pub enum Flow {
    /// Some rows.
    Rows(RowBatch),
    /// That was all of them.
    End,
}

/// A bounded stream of rows.
pub type RowStream = mpsc::Receiver<Result<Flow, EngineError>>;

/// Which rows and columns of one table to read.
#[derive(Clone, Debug)]
pub struct Selection {
    /// The table.
    pub table: TableName,
    /// Names and types in the order wanted; never generated columns.
    pub columns: Vec<(String, NeutralType)>,
    /// Which rows, by their key.
    pub rows: RowFilter,
    /// Of these only those that [`crate::wire::scope::Condition::holds`] for every condition; an engine gives them exactly, whatever its
    /// collations, its paddings and its idea of NaN.
    pub scope: Scope,
    /// In which order, where no page says it.
    pub order: RowOrder,
    /// Ordered by these columns, with at most `limit` rows after `offset`; `None`: all, in any order.
    pub page: Option<Page>,
}

impl Selection {
    /// Whether it is a whole table, or what a scope leaves of it.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        matches!(self.rows, RowFilter::All) && self.page.is_none()
    }

    /// Whether `table` still has what is to be read of it, and what its rows are chosen by.
    #[must_use]
    pub fn fits(&self, table: &Table) -> bool {
        let sent = self
            .columns
            .iter()
            .map(|(name, kind)| (name.as_str(), *kind));
        let asked = self.scope.conditions().iter();
        let mut checked = self.checked_columns();
        table.has(sent.chain(asked.map(|condition| (condition.column.as_str(), condition.kind))))
            && checked.all(|name| table.column(name).is_some())
    }

    /// The columns whose values say whether a row is meant, where not all engines can leave that to SQL: those of the
    /// scope, then those of the keys.
    pub fn checked_columns(&self) -> impl Iterator<Item = &str> {
        let key = match &self.rows {
            RowFilter::Keys { columns, .. } => columns.as_slice(),
            _ => &[],
        };
        let conditions = self.scope.conditions().iter();
        conditions
            .map(|condition| condition.column.as_str())
            .chain(key.iter().map(String::as_str))
    }
}

/// What reading may take of this machine's disk, where an engine has to keep something for it.
#[derive(Clone, Debug)]
pub struct DiskRoom {
    /// Where files are made; they have no names.
    pub folder: PathBuf,
    /// Bytes of each snapshot at most.
    pub bytes: u64,
}

/// The order of rows that no page orders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RowOrder {
    /// As the database finds them.
    #[default]
    Found,
    /// A new one each time, that tells nothing of what the rows hold or when they came.
    Shuffled,
}

/// Order and extent of a page.
#[derive(Clone, Debug)]
pub struct Page {
    /// Usually the primary key; empty leaves the order to the database.
    pub order_by: Vec<String>,
    /// Rows at most.
    pub limit: u64,
    /// Rows left out before.
    pub offset: u64,
}

/// A key value in a filter, already of the column's type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyValue {
    /// For integer columns.
    Integer(i64),
    /// For text columns, and for any other as the text its engine casts from.
    Text(String),
}

/// Which rows of a table.
#[derive(Clone, Debug)]
pub enum RowFilter {
    /// All.
    All,
    /// Those whose `column` is one of `values`.
    In {
        /// A key column.
        column: String,
        /// At most 1,000.
        values: Vec<KeyValue>,
    },
    /// Those whose `column` lies between both, each inclusive and each optional.
    Between {
        /// An integer key column.
        column: String,
        /// Not below.
        start: Option<i64>,
        /// Not above.
        end: Option<i64>,
    },
    /// Those after `values` in the order of `columns`.
    After {
        /// The page's order.
        columns: Vec<String>,
        /// The last row of the page before.
        values: Vec<KeyValue>,
    },
    /// Those with one of these keys, byte by byte, whatever the engine calls equal; in any order, and never with a page.
    Keys {
        /// The columns of a key.
        columns: Vec<String>,
        /// Each a tuple of the row layout, in these columns' neutral types. Some thousand at most: beyond a share of the
        /// table a scan is faster.
        keys: Vec<Bytes>,
    },
}

impl RowFilter {
    /// What stands before further conditions in a statement that chooses rows by this.
    pub(in crate::engine) fn glue(&self) -> &'static str {
        match self {
            Self::All => " where ",
            Self::In { .. } | Self::Between { .. } | Self::After { .. } | Self::Keys { .. } => {
                " and "
            }
        }
    }
}

/// How many rows a table has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowCount {
    /// The number.
    pub rows: u64,
    /// Counted rather than estimated.
    pub exact: bool,
}

impl RowCount {
    /// Of a table with more than `exact_to` rows, of which the engine estimates so many.
    #[must_use]
    pub fn beyond(exact_to: u64, estimate: Option<u64>) -> Self {
        Self {
            rows: estimate.unwrap_or_default().max(exact_to),
            exact: false,
        }
    }
}

/// How to apply a stream of rows to one table.
#[derive(Clone, Debug)]
pub struct ApplyJob {
    /// The destination, as [`Driver::table`] gave it.
    pub table: Table,
    /// The columns the rows carry, in their order; values come in these columns' own neutral types, checked for width.
    pub columns: Vec<Column>,
    /// The key's columns: names among `columns`; a usable key of `table`. None: its rows are keyless, in the meaning of
    /// [`KeyFields`](crate::wire::tally::KeyFields), and the mode is a mirror.
    pub key: Vec<String>,
    /// Which rows may be written.
    pub mode: SyncMode,
    /// What becomes of differing rows.
    pub conflict: ConflictStrategy,
    /// Bounds of one transaction and of the quarantine.
    pub budget: ApplyBudget,
}

/// Bounds while applying.
#[derive(Clone, Copy, Debug)]
pub struct ApplyBudget {
    /// Rows of one transaction.
    pub transaction_rows: u64,
    /// Bytes of one transaction.
    pub transaction_bytes: u64,
    /// Rows that may be refused before the table fails.
    pub quarantine_rows: usize,
}

/// What applying did so far; sent after every commit and now and then between.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ApplyProgress {
    /// Rows taken from the stream.
    pub rows_taken: u64,
    /// Rows whose transaction is committed.
    pub rows_committed: u64,
    /// What those transactions changed.
    pub changes: Changes,
}

/// What applying did. The rows that were refused are in `rejected`, all others were committed.
#[derive(Clone, Debug, Default)]
pub struct Applied {
    /// Rows taken from the stream.
    pub rows: u64,
    /// By what became of them.
    pub changes: Changes,
    /// Rows the database refused, with its reason.
    pub rejected: Vec<QuarantinedRow>,
    /// The table held no rows when this began: it now holds those that were added, and what others wrote meanwhile.
    pub began_empty: bool,
}

/// How to carry out a plan.
pub struct EnactJob {
    /// The table, its columns and key, mode, strategy and bounds.
    pub target: ApplyJob,
    /// What [`ConflictStrategy::Newest`] goes by: one of the columns.
    pub version_column: Option<String>,
    /// Tells whether a row still is, and has become, what the plan says.
    pub fingerprint: Fingerprint,
    /// What an earlier call for this table gave back.
    pub waiting: Waiting,
    /// What becomes of changes that do not fit.
    pub ending: Ending,
}

/// What enacting a plan did. All was committed but for the rows that are `rejected` or `waiting`.
#[derive(Debug, Default)]
pub struct Enacted {
    /// Changes taken from the plan, those that had waited included.
    pub rows: u64,
    /// By what became of them.
    pub changes: Changes,
    /// So that both sides' sums can be held against each other.
    pub left: LeftInPlace,
    /// Changes that were refused, by the database or for what it made of them.
    pub rejected: Vec<QuarantinedRow>,
    /// Those of them that read back as something else than was written.
    pub altered: Vec<Altered>,
    /// With [`Ending::GiveBack`]: what did not fit yet.
    pub waiting: Waiting,
}

/// A change of whose row the database makes something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Altered {
    /// Where its row stands among those that were rejected.
    pub place: usize,
    /// What the row is here; `None` where it is not.
    pub here: Option<RowHash>,
    /// What it is in the source; `None` where it is not.
    pub there: Option<RowHash>,
}

/// A table to make here after one of a peer: names, neutral types, keys; nothing else is taken from a stranger.
#[derive(Clone, Debug)]
pub struct NewTable {
    /// Name, columns (neutral), primary key, unique and foreign keys. `native` is used only for [`NeutralType::Other`]
    /// and only when the source has the same engine and this database knows the type as built in.
    pub table: Table,
    /// The source's engine.
    pub source: Engine,
}

/// What making a table would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Creation {
    /// For people to read and to confirm.
    pub statements: Vec<String>,
    /// What of the source's table is not taken over, one sentence each.
    pub left_out: Vec<String>,
}

/// One moment of some tables, as they were for every transaction that had committed and for no other.
///
/// Contract: nobody who uses the database waits for it longer than a few seconds. Rather it ends by itself, and every
/// stream that is still read from it with it ([`EngineError::Yielded`]). Dropping it ends it at once, and with it the
/// streams; nothing is left behind in the database, and no lock.
#[async_trait::async_trait]
pub trait Snapshot: Send + Sync {
    /// What the catalogue says of one of the tables at this moment; `None` of any other.
    async fn table(&self, name: &TableName) -> Result<Option<Table>, EngineError>;

    /// Streams the selected rows, in batches of about [`BATCH_BYTES`]; one row alone may be larger, up to
    /// [`crate::wire::frame::MAX_ROW_BYTES`]. As often as wanted, and always the same rows. PostgreSQL reads several
    /// streams at once; the others read one after the other in the order asked for, so there a stream that nobody takes
    /// from keeps the next one waiting. Dropping a stream ends it alone.
    async fn read(&self, selection: Selection) -> Result<RowStream, EngineError>;

    /// The moment in the database's own words, with the time: for people, and for a receipt.
    fn read_point(&self) -> String;

    /// Waits until the snapshot has ended by itself: somebody waits for its tables, or the database broke off.
    async fn ended(&self) -> EngineError;
}

/// One site database. Cheap to call from many tasks at once.
///
/// Contract: dropping a call's future ends its work and rolls back what it had not committed;
/// nothing is ever left behind in the database (no tables, slots, triggers or settings).
#[async_trait::async_trait]
pub trait Driver: Send + Sync {
    /// Its kind.
    fn engine(&self) -> Engine;

    /// The server's version, for people. Fails when the database cannot be used now.
    async fn version(&self) -> Result<String, EngineError>;

    /// What `doctor` tells about this database: rights, settings, versions. What stands in nobody's way is well.
    async fn check(&self, used: &TablesInUse) -> Result<Vec<Finding>, EngineError>;

    /// All tables of the schemas this site looks at, by name. Never scans rows.
    async fn tables(&self) -> Result<Vec<Table>, EngineError>;

    /// One table of those schemas, or `None`.
    async fn table(&self, name: &TableName) -> Result<Option<Table>, EngineError>;

    /// Exact up to `exact_to` rows, beyond that the engine's estimate (never below `exact_to`).
    async fn count(&self, name: &TableName, exact_to: u64) -> Result<RowCount, EngineError>;

    /// A snapshot of one table, read once: see [`Snapshot::read`]. Dropping the stream ends both.
    async fn read(&self, selection: Selection) -> Result<RowStream, EngineError>;

    /// One moment of all of `tables`, held until it is dropped.
    ///
    /// Fails with [`EngineError::NoTable`] when one of them is not there, and with [`EngineError::Locked`] when one cannot
    /// be had within seconds.
    async fn snapshot(&self, tables: &[TableName]) -> Result<Box<dyn Snapshot>, EngineError>;

    /// Applies a stream in whole transactions. A cut stream is an error; what was committed before it stays.
    async fn apply(
        &self,
        job: ApplyJob,
        rows: RowStream,
        progress: watch::Sender<ApplyProgress>,
    ) -> Result<Applied, EngineError>;

    /// Carries out a plan by compare-and-set, in whole transactions: a row is written only while it is what the plan says it
    /// is, and committed only if it reads back as what it was to become. Inserts and updates come first, deletes after
    /// them, then what waited for either. Parents' deletes come after their children's if the caller orders the tables so.
    /// Cut or killed, what was committed stays, and a new plan finds the rest.
    async fn enact(
        &self,
        job: EnactJob,
        plan: PlanStream,
        progress: watch::Sender<ApplyProgress>,
    ) -> Result<Enacted, EngineError>;

    /// What [`Self::create`] would run, parents first as given.
    async fn plan_creation(&self, tables: &[NewTable]) -> Result<Creation, EngineError>;

    /// Makes the tables, all or none.
    async fn create(&self, tables: &[NewTable]) -> Result<(), EngineError>;
}
