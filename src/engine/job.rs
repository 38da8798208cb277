//! What every engine reads of a job alike: its key, the rows it refuses, the columns that may change places. Pure.

use serde_json::{Map, Value};

use crate::engine::driver::ApplyJob;
use crate::engine::error::EngineError;
use crate::engine::fault::Refusal;
use crate::model::run::QuarantinedRow;
use crate::model::table::Table;
use crate::wire::InvalidValue;
use crate::wire::json::field_to_text;
use crate::wire::row::split_tuple;

impl ApplyJob {
    /// The fault of a stream that carries no rows.
    pub(super) fn malformed(&self, err: &InvalidValue) -> EngineError {
        EngineError::of_table(&self.table.name, err.to_string())
    }

    /// Whether rows have no key.
    pub(super) fn is_keyless(&self) -> bool {
        self.key.is_empty()
    }

    /// Whether `table` still has the columns that the rows carry.
    pub(super) fn fits(&self, table: &Table) -> bool {
        let columns = self.columns.iter();
        table.has(columns.map(|column| (column.name.as_str(), column.kind)))
    }

    /// A row's key as text, by column; nothing where it has none.
    pub(super) fn key_of(&self, tuple: &[u8]) -> Result<Value, EngineError> {
        let (fields, _) = split_tuple(tuple).map_err(|err| self.malformed(&err))?;
        let columns = self.columns.iter().zip(fields);
        let pairs = columns
            .filter(|(column, _)| self.key.contains(&column.name))
            .map(|(column, field)| {
                let text = field_to_text(column.kind, field);
                (column.name.clone(), text.into())
            });
        Ok(Value::Object(pairs.collect::<Map<_, _>>()))
    }

    /// Ends the row's part in this job.
    ///
    /// # Errors
    /// [`EngineError::TooManyRejected`] when it is one more than the budget allows.
    pub(super) fn reject(
        &self,
        rejected: &mut Vec<QuarantinedRow>,
        tuple: &[u8],
        refusal: Refusal,
    ) -> Result<(), EngineError> {
        rejected.push(QuarantinedRow {
            table: self.table.name.clone(),
            key: self.key_of(tuple)?,
            column: refusal.column,
            reason: refusal.reason,
        });
        let limit = self.budget.quarantine_rows;
        if rejected.len() <= limit {
            return Ok(());
        }
        let table = &self.table.name;
        Err(EngineError::too_many_rejected(table, limit, rejected))
    }

    /// Nullable unique columns of `table` outside the key: they may be NULL for a moment while values change places. Of
    /// keyless rows no value ever changes.
    pub(super) fn parkable(&self, table: &Table) -> Vec<String> {
        if self.is_keyless() {
            return Vec::new();
        }
        let is_unique = |name: &String| table.unique.iter().any(|key| key.columns.contains(name));
        let columns = self.columns.iter().filter(|column| column.nullable);
        columns
            .map(|column| &column.name)
            .filter(|name| is_unique(name) && !self.key.contains(name))
            .cloned()
            .collect()
    }
}
