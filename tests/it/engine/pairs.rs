//! Values through every pair of engines: read from one, converted by contract, applied to the other, read back.
//!
//! The path is that of a pull without its daemons. Nothing here asks the code under test what a value means but the
//! row layout itself.

mod cases;
mod change;
mod concurrent;
mod create;
mod fidelity;
mod keys;
mod large;
mod normal;
mod random;
mod same;
mod scope;

use std::collections::BTreeMap;
use std::sync::Arc;

use evenkeel::engine::driver::{
    Applied, ApplyBudget, ApplyJob, ApplyProgress, Driver, Flow, RowFilter, RowOrder, RowStream,
    Selection,
};
use evenkeel::model::run::{ConflictStrategy, SyncMode};
use evenkeel::model::table::{Column, Engine, Table};
use evenkeel::sync::SyncError;
use evenkeel::sync::contract::{Contract, agree};
use evenkeel::wire::convert::RowConversion;
use evenkeel::wire::json::field_to_text;
use evenkeel::wire::messages::{Catalogue, CatalogueColumn, CatalogueForeignKey};
use evenkeel::wire::row::{RowWriter, split_tuple};
use evenkeel::wire::scope::Scope;
use tokio::sync::{mpsc, watch};

use crate::engine::work::open;
use crate::support::database::{Database, KINDS, Kind};

/// The fields of one row.
type Row = Vec<Option<Vec<u8>>>;

/// A database and a driver on it.
struct Site {
    database: Database,
    driver: Arc<dyn Driver>,
}

impl Site {
    async fn with(kind: Kind, sql: &str) -> Self {
        let database = Database::with(kind, sql);
        let driver = open(&database.url()).await;
        Self { database, driver }
    }

    async fn table(&self, name: &str) -> Table {
        let found = self.driver.table(&name.parse().unwrap()).await.unwrap();
        found.unwrap_or_else(|| panic!("no table {name}"))
    }

    async fn rows(&self, table: &Table, columns: &[Column]) -> Result<Vec<Row>, SyncError> {
        let selection = Selection {
            table: table.name.clone(),
            columns: columns
                .iter()
                .map(|column| (column.name.clone(), column.kind))
                .collect(),
            rows: RowFilter::All,
            scope: Scope::default(),
            order: RowOrder::Found,
            page: None,
        };
        let mut stream = self.driver.read(selection).await?;
        let mut rows = Vec::new();
        loop {
            match stream.recv().await.expect("the stream is not cut")? {
                Flow::End => return Ok(rows),
                Flow::Rows(batch) => {
                    rows.extend(batch.tuples().map(|tuple| row(tuple.unwrap())));
                }
            }
        }
    }
}

/// A transfer between two tables: what both agreed on, and the rows as the source gave them.
struct Plan {
    contract: Contract,
    target: Table,
    /// By the text of the key.
    sent: BTreeMap<String, Row>,
    /// The same in the form the destination is to hold them.
    expected: BTreeMap<String, Row>,
    /// Rows that conversion refused: column and reason.
    misfits: BTreeMap<String, String>,
}

/// What became of a plan.
struct Outcome {
    applied: Applied,
    /// All refused rows, by the text of the key.
    refused: BTreeMap<String, String>,
    /// The destination's rows afterwards.
    found: BTreeMap<String, Row>,
}

impl Outcome {
    fn counts(&self) -> (u64, u64) {
        (self.applied.changes.added, self.applied.changes.updated)
    }
}

impl Plan {
    /// All of a table's columns by its first key, and no rows.
    fn empty(target: &Table) -> Self {
        Self {
            contract: Contract {
                source: target.columns.clone(),
                target: target.columns.clone(),
                conversion: RowConversion::default(),
                key: target.usable_keys().next().expect("a key").columns.clone(),
            },
            target: target.clone(),
            sent: BTreeMap::new(),
            expected: BTreeMap::new(),
            misfits: BTreeMap::new(),
        }
    }

    /// Agrees on a contract and reads and converts the source's rows.
    async fn make(
        from: &Site,
        source: &Table,
        to: &Site,
        target: &Table,
    ) -> Result<Self, SyncError> {
        let contract = agree(
            &catalogue(from.driver.engine(), source),
            target,
            to.driver.engine(),
            SyncMode::Upsert,
        )?;
        let mut plan = Self {
            contract,
            ..Self::empty(target)
        };
        for row in from.rows(source, &plan.contract.source).await? {
            plan.add(row);
        }
        Ok(plan)
    }

    fn add(&mut self, row: Row) {
        let key = self.key_of(&self.contract.source, &row);
        let tuple = tuples(std::slice::from_ref(&row));
        let mut writer = RowWriter::default();
        match self.contract.conversion.convert(&tuple, &mut writer) {
            Ok(()) => {
                let converted = writer.take();
                self.expected
                    .insert(key.clone(), self::row(&converted.data));
            }
            Err((at, misfit)) => {
                let column = &self.contract.target[at].name;
                self.misfits
                    .insert(key.clone(), format!("{column}: {misfit}"));
            }
        }
        self.sent.insert(key, row);
    }

    fn key_of(&self, columns: &[Column], row: &Row) -> String {
        let parts = columns.iter().zip(row);
        let key = parts.filter(|(column, _)| self.contract.key.contains(&column.name));
        key.map(|(column, field)| field_to_text(column.kind, field.as_deref()))
            .collect::<Vec<_>>()
            .join("/")
    }

    fn job(&self) -> ApplyJob {
        ApplyJob {
            table: self.target.clone(),
            columns: self.contract.target.clone(),
            key: self.contract.key.clone(),
            mode: SyncMode::Upsert,
            conflict: ConflictStrategy::Overwrite,
            budget: ApplyBudget {
                transaction_rows: 100_000,
                transaction_bytes: 64 << 20,
                quarantine_rows: 10_000,
            },
        }
    }

    /// Applies the converted rows and reads the destination back.
    async fn apply(&self, to: &Site) -> Result<Outcome, SyncError> {
        self.apply_as(to, self.job()).await
    }

    async fn apply_as(&self, to: &Site, job: ApplyJob) -> Result<Outcome, SyncError> {
        let rows: Vec<Row> = self.expected.values().cloned().collect();
        let applied = to
            .driver
            .apply(
                job,
                stream(&rows),
                watch::channel(ApplyProgress::default()).0,
            )
            .await?;
        let mut refused = self.misfits.clone();
        for rejected in &applied.rejected {
            let parts = rejected.key.as_object().unwrap();
            let key: Vec<&str> = self
                .contract
                .target
                .iter()
                .filter_map(|column| parts.get(&column.name)?.as_str())
                .collect();
            refused.insert(key.join("/"), rejected.reason.clone());
        }
        let found = to.rows(&self.target, &self.contract.target).await?;
        Ok(Outcome {
            found: found
                .into_iter()
                .map(|row| (self.key_of(&self.contract.target, &row), row))
                .collect(),
            applied,
            refused,
        })
    }
}

/// Reads, converts, applies and reads back.
async fn pull(from: &Site, to: &Site, table: &str) -> Result<(Plan, Outcome), SyncError> {
    let plan = Plan::make(from, &from.table(table).await, to, &to.table(table).await).await?;
    let outcome = plan.apply(to).await?;
    Ok((plan, outcome))
}

fn row(tuple: &[u8]) -> Row {
    let (fields, _) = split_tuple(tuple).unwrap();
    let fields = fields.into_iter();
    fields.map(|field| field.map(<[u8]>::to_vec)).collect()
}

fn tuples(rows: &[Row]) -> Vec<u8> {
    batch(rows).data.to_vec()
}

fn batch(rows: &[Row]) -> evenkeel::wire::row::RowBatch {
    let mut writer = RowWriter::default();
    for row in rows {
        writer.begin(u16::try_from(row.len()).unwrap());
        for field in row {
            writer.field(field.as_deref());
        }
    }
    writer.take()
}

/// The rows in batches of a few, and their end.
fn stream(rows: &[Row]) -> RowStream {
    let pieces: Vec<Flow> = rows
        .chunks(100)
        .map(|rows| Flow::Rows(batch(rows)))
        .chain([Flow::End])
        .collect();
    let (sender, receiver) = mpsc::channel(pieces.len());
    for piece in pieces {
        sender.try_send(Ok(piece)).unwrap();
    }
    receiver
}

/// A table as its site tells a peer about it.
fn catalogue(engine: Engine, table: &Table) -> Catalogue {
    let keys = |key: &evenkeel::model::table::UniqueKey| key.columns.clone();
    Catalogue {
        engine,
        columns: table
            .columns
            .iter()
            .map(|column| CatalogueColumn {
                name: column.name.clone(),
                kind: column.kind,
                native: column.native.clone(),
                precision: column.precision,
                scale: column.scale,
                length: column.length,
                nullable: column.nullable,
                generated: column.generated,
                identity: column.identity,
            })
            .collect(),
        primary_key: table.primary_key.as_ref().map(keys).unwrap_or_default(),
        unique: table.unique.iter().map(keys).collect(),
        foreign_keys: Vec::<CatalogueForeignKey>::new(),
        row_estimate: table.row_estimate,
    }
}
