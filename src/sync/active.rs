//! The runs at work in this process: which tables they write, and how to stop them.
//!
//! Invariant: no table is written by two runs at once.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::model::id::RunId;
use crate::model::table::TableName;

/// The runs at work.
#[derive(Debug, Default)]
pub struct ActiveRuns(Mutex<HashMap<RunId, Active>>);

#[derive(Debug)]
struct Active {
    tables: Vec<TableName>,
    cancel: CancellationToken,
}

/// A table of the run is being written by another.
#[derive(Debug, PartialEq, Eq)]
pub struct Busy {
    /// The table.
    pub table: TableName,
    /// The run that writes it.
    pub run: RunId,
}

impl ActiveRuns {
    /// Notes that `run` is about to write `tables`; the token tells it to stop.
    ///
    /// # Errors
    /// [`Busy`] when another run writes one of them.
    pub fn begin(&self, run: RunId, tables: &[TableName]) -> Result<CancellationToken, Busy> {
        let mut active = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let busy = active.iter().find_map(|(other, writes)| {
            let table = writes.tables.iter().find(|table| tables.contains(table))?;
            Some(Busy {
                table: table.clone(),
                run: *other,
            })
        });
        if let Some(busy) = busy {
            return Err(busy);
        }
        let cancel = CancellationToken::new();
        active.insert(
            run,
            Active {
                tables: tables.to_vec(),
                cancel: cancel.clone(),
            },
        );
        Ok(cancel)
    }

    /// Notes that `run` is over.
    pub fn end(&self, run: RunId) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&run);
    }

    /// Tells `run` to stop, if it is at work.
    pub fn cancel(&self, run: RunId) {
        if let Some(active) = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&run)
        {
            active.cancel.cancel();
        }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

#[cfg(test)]
mod tests {
    use super::{ActiveRuns, Busy};
    use crate::model::id::RunId;
    use crate::model::table::TableName;

    #[test]
    fn a_table_has_one_writer_at_a_time() {
        let runs = ActiveRuns::default();
        let (first, second) = (RunId::generate(), RunId::generate());
        let (orders, items) = (TableName::bare("orders"), TableName::bare("items"));
        let token = runs.begin(first, std::slice::from_ref(&orders)).unwrap();
        let busy = runs
            .begin(second, &[items.clone(), orders.clone()])
            .unwrap_err();
        assert_eq!(
            busy,
            Busy {
                table: orders.clone(),
                run: first
            }
        );
        runs.begin(second, &[items]).unwrap();
        runs.cancel(first);
        assert!(token.is_cancelled());
        runs.end(first);
        assert_eq!(runs.count(), 1);
        runs.begin(RunId::generate(), &[orders]).unwrap();
    }
}
