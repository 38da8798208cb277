//! What becomes of held rows: tried again, let change places, at last refused by key and reason.
//!
//! Invariant: bounded by the job's quarantine; a row is either written or among the refused, never both.

use bytes::{Bytes, BytesMut};
use serde_json::{Map, Value};
use sqlx::Row;

use crate::engine::error::EngineError;
use crate::engine::fault::Fault;
use crate::engine::postgres::apply::copying::copy_in;
use crate::engine::postgres::apply::write::Writer;
use crate::engine::postgres::apply::write::held::HeldRow;
use crate::model::run::QuarantinedRow;
use crate::wire::row::{RowWriter, split_tuple};

/// How often a set of rows is tried with unique values parked.
const PARKING_ROUNDS: u32 = 3;
/// So many held rows are asked about when there are too many: more are not told.
const FIRST: usize = 10;

const SAVE: &str = "savepoint evenkeel_outer";
const KEEP: &str = "release savepoint evenkeel_outer";
const UNDO: &str = "rollback to savepoint evenkeel_outer; release savepoint evenkeel_outer";

impl Writer {
    /// Held rows once more, all of them; those that still do not fit stay held, unless there are too many, or they
    /// are too large to be kept any longer.
    pub(super) async fn retry_held(&mut self) -> Result<(), EngineError> {
        let tuples: Vec<Bytes> = self.held.take().into_iter().map(|row| row.tuple).collect();
        self.halve(&tuples, None).await?;
        if self.held.rows.len() + self.applied.rejected.len() > self.job.budget.quarantine_rows {
            return Err(self.too_many().await);
        }
        if self.held.is_heavy() {
            self.reject_held().await?;
        }
        Ok(())
    }

    /// Tries held rows as long as some of them go in; those that never do are refused.
    pub(in crate::engine::postgres::apply) async fn settle(&mut self) -> Result<(), EngineError> {
        self.leave_straight().await?;
        let mut before = usize::MAX;
        while !self.held.rows.is_empty() && self.held.rows.len() < before {
            before = self.held.rows.len();
            self.retry_held().await?;
        }
        self.change_places().await?;
        self.reject_held().await
    }

    async fn reject_held(&mut self) -> Result<(), EngineError> {
        for row in self.held.take() {
            let rejected = self.reject(row).await?;
            self.applied.rejected.push(rejected);
        }
        Ok(())
    }

    /// Unique values that change places: emptied first, then written together. All rows whose values were emptied are
    /// written, or none is and nothing was emptied.
    async fn change_places(&mut self) -> Result<(), EngineError> {
        let parkable = self.destination.parkable.clone();
        if parkable.is_empty() || !self.destination.statements.updates() {
            return Ok(());
        }
        let mut hopeless = Vec::new();
        for _ in 0..PARKING_ROUNDS {
            let rows = self.held.take();
            if rows.is_empty() {
                break;
            }
            self.run(SAVE).await?;
            let (fitting, failing) = self.park_and_write(rows, &parkable).await?;
            hopeless.extend(failing);
            if fitting.is_empty() {
                break;
            }
            // These did fit but for the others: they are tried again without them.
            self.held.rows = fitting;
        }
        for row in hopeless {
            self.held.hold(&row.tuple, row.refusal);
        }
        Ok(())
    }

    /// Ends the outer savepoint either way. Gives back nothing when all were written; else the rows that could have
    /// been and those that could not.
    async fn park_and_write(
        &mut self,
        rows: Vec<HeldRow>,
        parkable: &[String],
    ) -> Result<(Vec<HeldRow>, Vec<HeldRow>), EngineError> {
        let tuples: Vec<Bytes> = rows.iter().map(|row| row.tuple.clone()).collect();
        match self.park(&tuples, parkable).await {
            Ok(()) => {}
            Err(Fault::Row(_)) => {
                self.run(UNDO).await?;
                return Ok((Vec::new(), rows));
            }
            Err(Fault::Engine(err)) => return Err(err),
        }
        match self.attempt(&tuples).await {
            Ok(changes) => {
                self.run(KEEP).await?;
                self.applied.changes.add(&changes);
                return Ok((Vec::new(), Vec::new()));
            }
            Err(Fault::Engine(err)) => return Err(err),
            Err(Fault::Row(_)) => {}
        }
        let (mut fitting, mut failing) = (Vec::new(), Vec::new());
        for mut row in rows {
            match self.attempt(std::slice::from_ref(&row.tuple)).await {
                Ok(_) => fitting.push(row),
                Err(Fault::Row(refusal)) => {
                    row.refusal = refusal;
                    failing.push(row);
                }
                Err(Fault::Engine(err)) => return Err(err),
            }
        }
        self.run(UNDO).await?;
        Ok((fitting, failing))
    }

    async fn park(&mut self, tuples: &[Bytes], columns: &[String]) -> Result<(), Fault> {
        self.stage(tuples).await?;
        let park = self.destination.statements.park(columns);
        self.touch(&park).await?;
        self.clear_stage().await
    }

    /// The error for more held rows than allowed, with the first of them in words.
    async fn too_many(&mut self) -> EngineError {
        let already = self.applied.rejected.iter();
        let mut rejected: Vec<QuarantinedRow> = already.take(FIRST).cloned().collect();
        for row in self.held.take().into_iter().take(FIRST) {
            match self.reject(row).await {
                Ok(row) => rejected.push(row),
                Err(err) => return err,
            }
        }
        EngineError::too_many_rejected(self.table(), self.job.budget.quarantine_rows, &rejected)
    }

    async fn reject(&mut self, row: HeldRow) -> Result<QuarantinedRow, EngineError> {
        Ok(QuarantinedRow {
            table: self.table().clone(),
            key: self.key_text(&row.tuple).await?,
            column: row.refusal.column,
            reason: row.refusal.reason,
        })
    }

    /// The key as the database prints it; hexadecimal where it cannot even read it.
    async fn key_text(&mut self, tuple: &Bytes) -> Result<Value, EngineError> {
        if self.job.is_keyless() {
            return Ok(Value::Object(Map::new()));
        }
        self.ready_stage().await?;
        let (fields, _) = split_tuple(tuple).map_err(|err| self.job.malformed(&err))?;
        let names: Vec<String> = self
            .destination
            .statements
            .key_names()
            .map(str::to_owned)
            .collect();
        let values: Vec<Option<&[u8]>> = names
            .iter()
            .map(|name| {
                let position = self.destination.statements.position(name)?;
                fields.get(position).copied().flatten()
            })
            .collect();
        self.run(SAVE).await?;
        let texts = match self.print_key(&values).await {
            Ok(texts) => texts,
            // A connection that is gone shows itself in the statement that follows.
            Err(_) => values.iter().map(|value| value.map(hex::encode)).collect(),
        };
        self.run(UNDO).await?;
        let pairs = names.into_iter().zip(texts);
        Ok(Value::Object(
            pairs
                .map(|(name, text)| (name, text.map_or(Value::Null, Value::String)))
                .collect::<Map<_, _>>(),
        ))
    }

    async fn print_key(
        &mut self,
        values: &[Option<&[u8]>],
    ) -> Result<Vec<Option<String>>, sqlx::Error> {
        let mut writer = RowWriter::default();
        writer.begin(u16::try_from(values.len()).unwrap_or(u16::MAX));
        for value in values {
            writer.field(*value);
        }
        let part = Bytes::from(BytesMut::from(&*writer.take().data));
        let copy = self.destination.statements.copy_keys_into_stage();
        copy_in(&mut self.session, &copy, &[part]).await?;
        let query = self.destination.statements.keys_as_text();
        let row = self.session.one(&query).await?;
        (0..values.len()).map(|at| row.try_get(at)).collect()
    }
}
