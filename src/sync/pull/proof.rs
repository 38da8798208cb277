//! Whether a table is proved equal: one equation over sums, given what was found, done and left. Pure.
//!
//! Invariant: whatever cannot be explained by what was done and what the rules leave in place makes the proof fail.

use jiff::Timestamp;

use crate::engine::plan::LeftInPlace;
use crate::model::fault::FaultCode;
use crate::model::run::{Changes, RunError, RunStatus, RunTable};
use crate::sync::pull::differ::Compared;
use crate::wire::frame::RowSum;

/// How a table stands at the end of its run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Proof {
    /// At its read point.
    pub(super) source: RowSum,
    /// After the last commit.
    pub(super) here: RowSum,
    pub(super) left: LeftInPlace,
    pub(super) changes: Changes,
    /// Rows that were refused.
    pub(super) failed: u64,
    pub(super) is_equal: bool,
    /// Rows here, also where it is not known which they are.
    rows_here: u64,
    /// Rows of the source that are here as they are there.
    synced: u64,
}

impl Proof {
    /// Of a table that was copied into an empty one, and read.
    pub(super) fn of_copy(rows: RowSum, changes: Changes) -> Self {
        Self {
            source: rows,
            here: rows,
            left: LeftInPlace::default(),
            changes,
            failed: 0,
            is_equal: true,
            rows_here: rows.rows,
            synced: rows.rows,
        }
    }

    /// Of a table that was compared, where `changes` were made, `done` left in place of it, and `failed` rows refused.
    pub(super) fn of_changes(
        compared: &Compared,
        mut changes: Changes,
        done: LeftInPlace,
        failed: u64,
    ) -> Self {
        let found = &compared.found;
        // Of what stands here instead of the source's rows: all that was not left out.
        let merged = done.there.rows.saturating_sub(changes.skipped);
        changes.skipped += found.changes.skipped;
        changes.conflicts += found.changes.conflicts;
        // Each row that was looked at again is what it was to become, or stayed.
        let here = compared.here.less(found.here).plus(found.there);
        let here = here.plus(done.here).less(done.there);
        let mut left = found.left;
        left.add(&done);
        let rows_here = compared.here.rows.saturating_add(changes.added);
        let alike = compared.source.rows.saturating_sub(compared.unlike);
        let synced = alike + changes.added + changes.updated;
        let is_whole = failed == 0 && changes.moved == 0;
        Self {
            source: compared.source,
            here,
            left,
            changes,
            failed,
            is_equal: is_whole && left.proves(compared.source, here),
            rows_here: rows_here.saturating_sub(changes.deleted),
            synced: synced.saturating_sub(merged),
        }
    }

    /// The same, of a table that was read again and has these rows.
    pub(super) fn seen(mut self, here: RowSum) -> Self {
        self.is_equal &= self.left.proves(self.source, here);
        (self.here, self.rows_here) = (here, here.rows);
        self
    }

    /// The same, of a table that was compared again after all was done: what differs then has changed meanwhile.
    pub(super) fn compared_again(mut self, compared: &Compared) -> Self {
        self.left = compared.found.left;
        self.changes.moved += compared.found.changes.written();
        self.is_equal = compared.found.is_nothing();
        (self.source, self.here) = (compared.source, compared.here);
        self.rows_here = compared.here.rows;
        self.synced = compared.source.rows.saturating_sub(compared.unlike);
        self.is_equal &= self.left.proves(self.source, self.here);
        self
    }

    /// Tells it of `table`, which was seen so at `moment`.
    pub(super) fn tell(&self, table: &mut RunTable, moment: Timestamp) {
        table.rows_source = Some(self.source.rows);
        table.rows_destination = Some(self.rows_here);
        table.root = Some(format!("{:032x}", self.source.sum));
        table.drift_before = Some(table.drift_before.unwrap_or(self.source.rows));
        table.proved_equal = Some(self.is_equal);
        table.proved_at = self.is_equal.then_some(moment);
        table.status = match self.is_equal {
            true => RunStatus::Completed,
            false => RunStatus::CompletedWithErrors,
        };
        table.error = self.fault();
        table.changes = self.changes;
        table.rows_failed = self.failed;
        table.rows_synced = self.synced;
    }

    fn fault(&self) -> Option<RunError> {
        if self.is_equal || self.failed > 0 {
            return None;
        }
        let (code, message, hint) = match self.changes.moved {
            0 => (
                FaultCode::NotProved,
                "the two sides still differ after everything was done that was to do".to_owned(),
                "run it again; if it stays so, report it",
            ),
            moved => (
                FaultCode::RowsMoved,
                format!(
                    "{moved} rows are no longer what was compared or approved, and stay as they are"
                ),
                "the next run decides about them",
            ),
        };
        Some(RunError::new(code, message).with_hint(hint))
    }
}

/// Of a table that was proved, before the same run changed others.
pub(super) fn changed_since() -> RunError {
    let message =
        "this run wrote other tables after it proved this one, and rows here may have followed";
    RunError::new(FaultCode::NotProved, message.to_owned()).with_hint("run it again")
}
