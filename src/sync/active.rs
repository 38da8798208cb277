//! The runs at work in this process: which tables they write, and how to stop them.
//!
//! Invariant: no table is written by two runs at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::model::id::RunId;
use crate::model::table::TableName;

/// The runs at work.
#[derive(Clone, Debug, Default)]
pub struct ActiveRuns(Arc<Mutex<HashMap<RunId, Writing>>>);

#[derive(Debug)]
struct Writing {
    tables: Vec<TableName>,
    cancel: CancellationToken,
}

/// A run at work; dropping it gives its tables free, also when the work panicked.
#[derive(Debug)]
pub struct ActiveRun {
    id: RunId,
    runs: ActiveRuns,
    cancel: CancellationToken,
}

impl ActiveRun {
    /// Cancelled when a person asked for the run to stop.
    #[must_use]
    pub fn cancelled(&self) -> &CancellationToken {
        &self.cancel
    }
}

impl Drop for ActiveRun {
    fn drop(&mut self) {
        self.runs.lock().remove(&self.id);
    }
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
    /// Notes that `run` is about to write `tables`, until what this returns is dropped.
    ///
    /// # Errors
    /// [`Busy`] when another run writes one of them.
    pub fn begin(&self, run: RunId, tables: &[TableName]) -> Result<ActiveRun, Busy> {
        let mut active = self.lock();
        let busy = active.iter().find_map(|(other, writing)| {
            let table = writing.tables.iter().find(|table| tables.contains(table))?;
            Some(Busy {
                table: table.clone(),
                run: *other,
            })
        });
        if let Some(busy) = busy {
            return Err(busy);
        }
        let cancel = CancellationToken::new();
        let writing = Writing {
            tables: tables.to_vec(),
            cancel: cancel.clone(),
        };
        active.insert(run, writing);
        Ok(ActiveRun {
            id: run,
            runs: self.clone(),
            cancel,
        })
    }

    /// Tells `run` to stop, if it is at work.
    pub fn cancel(&self, run: RunId) {
        if let Some(writing) = self.lock().get(&run) {
            writing.cancel.cancel();
        }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RunId, Writing>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
        let begun = runs.begin(first, std::slice::from_ref(&orders)).unwrap();
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
        let _other = runs.begin(second, &[items]).unwrap();
        runs.cancel(first);
        assert!(begun.cancelled().is_cancelled());
        drop(begun);
        assert_eq!(runs.count(), 1);
        assert!(runs.begin(RunId::generate(), &[orders]).is_ok());
    }
}
