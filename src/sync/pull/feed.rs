//! From the peer's stream to the applying side: each value converted and checked for width on the way.
//!
//! Invariant: `End` is passed on only after the peer's own end.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::sync::mpsc;

use crate::engine::driver::Flow;
use crate::engine::error::EngineError;
use crate::model::fault::FaultCode;
use crate::model::run::QuarantinedRow;
use crate::model::table::TableName;
use crate::remote::IncomingRows;
use crate::sync::SyncError;
use crate::sync::contract::{Contract, refuse};
use crate::sync::pull::whole::{Piece, WholeTable};
use crate::wire::InvalidValue;
use crate::wire::frame::{RowSum, TARGET_BYTES};
use crate::wire::json::field_to_text;
use crate::wire::row::{RowBatch, RowWriter, split_tuple};
use crate::wire::scope::Condition;

/// What came in so far; read by whoever reports progress.
#[derive(Debug, Default)]
pub(super) struct Received {
    rows: AtomicU64,
    bytes: AtomicU64,
    declared: OnceLock<RowSum>,
}

impl Received {
    pub(super) fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// More rows, and how many bytes there are now.
    pub(super) fn came(&self, rows: u64, bytes: u64) {
        self.rows.fetch_add(rows, Ordering::Relaxed);
        self.bytes.store(bytes, Ordering::Relaxed);
    }

    /// What the stream's end declared: in a session the sum of the rows' hashes.
    pub(super) fn declared(&self) -> Option<RowSum> {
        self.declared.get().copied()
    }
}

/// Where rows come from.
pub(super) enum Incoming {
    /// A stream of frames.
    Frames(Box<IncomingRows>),
    /// JSON answers.
    Json(Box<WholeTable>),
}

impl Incoming {
    async fn next(&mut self) -> Result<Option<Piece>, SyncError> {
        match self {
            Self::Frames(rows) => Ok(rows.next().await?.map(|batch| Piece {
                batch,
                refused: Vec::new(),
            })),
            Self::Json(rows) => rows.next().await,
        }
    }

    fn bytes(&self) -> u64 {
        match self {
            Self::Frames(rows) => rows.bytes(),
            Self::Json(rows) => rows.bytes(),
        }
    }

    fn declared(&self) -> Option<RowSum> {
        match self {
            Self::Frames(rows) => rows.declared(),
            Self::Json(_) => None,
        }
    }
}

/// Where converted rows go, and by which rules they are converted.
pub(super) struct Feed {
    pub(super) table: TableName,
    pub(super) contract: Contract,
    /// What must hold of the field at each of these places: the row filter, as far as its columns travel.
    pub(super) checks: Vec<(usize, Condition)>,
    pub(super) max_rejected: usize,
    pub(super) received: Arc<Received>,
    pub(super) sink: mpsc::Sender<Result<Flow, EngineError>>,
}

impl Feed {
    /// Passes all rows on; returns those that do not fit their destination's width.
    pub(super) async fn run(self, mut rows: Incoming) -> Result<Vec<QuarantinedRow>, SyncError> {
        let mut rejected = Vec::new();
        let mut writer = RowWriter::for_batches_of(TARGET_BYTES);
        loop {
            let piece = rows.next().await?;
            let Some(Piece { batch, refused }) = piece else {
                break;
            };
            let came = u64::from(batch.rows)
                .saturating_add(u64::try_from(refused.len()).unwrap_or(u64::MAX));
            self.received.came(came, rows.bytes());
            rejected.extend(refused);
            let batch = self.converted(batch, &mut writer, &mut rejected)?;
            if rejected.len() > self.max_rejected {
                let limit = self.max_rejected;
                return Err(EngineError::too_many_rejected(&self.table, limit, &rejected).into());
            }
            if batch.rows > 0 && self.sink.send(Ok(Flow::Rows(batch))).await.is_err() {
                // The applying side has ended; its own error tells why.
                return Ok(rejected);
            }
        }
        self.received.came(0, rows.bytes());
        if let Some(declared) = rows.declared() {
            self.received.declared.get_or_init(|| declared);
        }
        let _ = self.sink.send(Ok(Flow::End)).await;
        Ok(rejected)
    }

    fn converted(
        &self,
        batch: RowBatch,
        writer: &mut RowWriter,
        rejected: &mut Vec<QuarantinedRow>,
    ) -> Result<RowBatch, SyncError> {
        self.refuse_strays(&batch)?;
        if self.contract.conversion.is_pass() {
            return Ok(batch);
        }
        for tuple in batch.tuples() {
            let tuple = tuple.map_err(|err| self.nonsense(&err))?;
            if let Err((at, misfit)) = self.contract.conversion.convert(tuple, writer) {
                let table = (&self.table, &self.contract);
                let row = misfit_row(table, tuple, at, &misfit);
                rejected.push(row.map_err(|err| self.nonsense(&err))?);
            }
        }
        Ok(writer.take())
    }

    /// A peer that sends rows which were not asked for is not to be trusted with the others.
    fn refuse_strays(&self, batch: &RowBatch) -> Result<(), SyncError> {
        if self.checks.is_empty() {
            return Ok(());
        }
        for tuple in batch.tuples() {
            let tuple = tuple.map_err(|err| self.nonsense(&err))?;
            refuse_stray((&self.table, &self.checks), tuple)?;
        }
        Ok(())
    }

    fn nonsense(&self, err: &InvalidValue) -> SyncError {
        unreadable(&self.table, err)
    }
}

/// Refuses a row of `table` that was not asked for, as the peer sent it.
///
/// # Errors
/// That, or that it is no row.
pub(super) fn refuse_stray(
    (table, checks): (&TableName, &[(usize, Condition)]),
    tuple: &[u8],
) -> Result<(), SyncError> {
    if checks.is_empty() {
        return Ok(());
    }
    let (fields, _) = split_tuple(tuple).map_err(|err| unreadable(table, &err))?;
    for (at, condition) in checks {
        let field = fields.get(*at).copied().flatten();
        let holds = condition.holds(field);
        if !holds.map_err(|err| unreadable(table, &err))? {
            let column = &condition.column;
            let message =
                format!("the peer sent a row that the row filter leaves out, by its {column}");
            return Err(nonsense(table, message));
        }
    }
    Ok(())
}

/// A row whose value in the field at `at` has no place in its destination.
///
/// # Errors
/// When it is no row.
pub(super) fn misfit_row(
    (table, contract): (&TableName, &Contract),
    tuple: &[u8],
    at: usize,
    misfit: &InvalidValue,
) -> Result<QuarantinedRow, InvalidValue> {
    let (fields, _) = split_tuple(tuple)?;
    let both = contract.source.iter().zip(&contract.target).zip(fields);
    let key = both
        .filter(|((_, here), _)| contract.key.contains(&here.name))
        .map(|((there, here), field)| (here.name.clone(), field_to_text(there.kind, field).into()))
        .collect();
    Ok(QuarantinedRow {
        table: table.clone(),
        key: serde_json::Value::Object(key),
        column: contract.target.get(at).map(|column| column.name.clone()),
        reason: misfit.to_string(),
    })
}

/// A row that a peer sent for `table` is none.
pub(super) fn unreadable(table: &TableName, err: &InvalidValue) -> SyncError {
    let message = format!("the peer sent a row that cannot be read: {err}");
    nonsense(table, message)
}

/// What a peer sent for `table` is not what it may send.
pub(super) fn nonsense(table: &TableName, message: String) -> SyncError {
    refuse(
        table,
        FaultCode::PeerNonsense,
        message,
        "look at the peer's log and version",
    )
}
