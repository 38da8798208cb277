//! What has become of rows that were written, before they are committed.
//!
//! Invariant: a row counts as done only after the database has told, in the transaction that wrote it, that it is what it
//! was to become.

use bytes::Bytes;

use crate::engine::enact::piece::{Faults, Sorted};
use crate::engine::enact::target::{Local, Look, Target};
use crate::engine::enact::verdict::Meant;
use crate::engine::enact::work::Work;
use crate::engine::fault::{Fault, Refusal, RefusalKind};

/// What reasons begin with that are about rows of which the database made something else.
const ALTERED: &str = "altered_by_destination: ";

impl<T: Target> Work<'_, T> {
    /// Leaves no rows to be read back if these have become what they were to.
    pub(super) fn confirm(&self, written: &mut Vec<(usize, Meant)>, told: &[Local]) {
        let mut both = written.iter().zip(told);
        let is_meant = |(meant, local): (&(usize, Meant), &Local)| {
            self.rules.hash_of(local) == Some(meant.1.hash)
        };
        if written.len() == told.len() && both.all(is_meant) {
            written.clear();
        }
    }

    /// Which of the rows that were written are not what they were to become.
    pub(super) async fn read_back(&mut self, sorted: &Sorted) -> Result<Faults, Fault> {
        let written: Vec<&(usize, Meant)> = sorted.updates.iter().chain(&sorted.inserts).collect();
        let kept = written.iter().map(|(_, meant)| meant.row.clone());
        let gone = sorted.deletes.iter().map(|(_, row)| row.clone());
        let rows: Vec<Bytes> = kept.chain(gone).collect();
        if rows.is_empty() {
            return Ok(Faults::new());
        }
        let mut found = self.target.look(Look::ReadBack, &rows).await?;
        let after = found.split_off(written.len().min(found.len()));
        let mut faults = Faults::new();
        for ((at, meant), found) in written.into_iter().zip(&found) {
            let hash = found.as_ref().and_then(|local| self.rules.hash_of(local));
            if hash != Some(meant.hash) {
                faults.push((*at, self.altered(meant, found.as_ref())));
            }
        }
        for ((at, row), found) in sorted.deletes.iter().zip(after) {
            let key = |row: &[u8]| self.rules.key_of(row).ok();
            if found.is_some_and(|local| key(&local.tuple) == key(row)) {
                let what = "the row is still there after it was deleted";
                faults.push((*at, self.altered_as(None, what)));
            }
        }
        Ok(faults)
    }

    fn altered(&self, meant: &Meant, found: Option<&Local>) -> Refusal {
        let Some(found) = found else {
            return self.altered_as(None, "the row is not there after it was written");
        };
        let columns = &self.target.job().columns;
        let differing = self.rules.differing(meant, found);
        let names: Vec<&str> = differing
            .iter()
            .filter_map(|at| columns.get(*at))
            .map(|column| column.name.as_str())
            .collect();
        let what = format!(
            "what was written reads back with another value in {}",
            names.join(", ")
        );
        self.altered_as(names.first().map(|name| (*name).to_owned()), &what)
    }

    fn altered_as(&self, column: Option<String>, what: &str) -> Refusal {
        let triggers = self.target.job().table.triggers.join(", ");
        let why = if triggers.is_empty() {
            String::new()
        } else {
            format!("; triggers of the table: {triggers}")
        };
        Refusal {
            column,
            reason: format!("{ALTERED}{what}{why}"),
            kind: RefusalKind::Altered,
        }
    }
}
