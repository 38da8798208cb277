//! Where keys fold: rows that stay although the source has none with their bytes.
//!
//! A row that comes may be meant for the place of one that a mirror would delete. Invariant: as long as such a row waits,
//! or once it was refused, nothing is deleted from its place.

use bytes::Bytes;

use crate::engine::enact::piece::{SAVE, UNDO};
use crate::engine::enact::target::{Look, Target};
use crate::engine::enact::work::{Outcome, Work};
use crate::engine::error::EngineError;
use crate::engine::fault::Fault;
use crate::engine::plan::Change;

impl<T: Target> Work<'_, T> {
    /// Finds the rows in whose place those that wait, and those that were refused, would come.
    pub(super) async fn spare(&mut self) -> Result<(), EngineError> {
        self.spared.clear();
        if !self.target.is_folded() || self.doomed.keys.is_empty() {
            return Ok(());
        }
        for rows in self.refused.clone().chunks(T::PIECE_ROWS) {
            self.spare_for(rows).await?;
        }
        let mut rows = Vec::new();
        for at in 0..self.held.len() {
            let Some(change) = self.held.get(at)? else {
                break;
            };
            if let Change::Insert { row } = change {
                rows.push(row);
            }
            if rows.len() >= T::PIECE_ROWS {
                self.spare_for(&std::mem::take(&mut rows)).await?;
            }
        }
        self.spare_for(&rows).await
    }

    async fn spare_for(&mut self, rows: &[Bytes]) -> Result<(), EngineError> {
        let mut ranges = vec![rows];
        while let Some(range) = ranges.pop() {
            if range.is_empty() {
                continue;
            }
            self.begin().await?;
            self.target.run(SAVE).await?;
            let found = self.target.look(Look::Decide, range).await;
            self.target.run(UNDO).await?;
            let found = match (found, range) {
                (Ok(found), _) => found,
                (Err(Fault::Engine(err)), _) => return Err(err),
                // No row here has a key that cannot even be looked for.
                (Err(Fault::Row(_)), [_]) => continue,
                (Err(Fault::Row(_)), range) => {
                    let (first, second) = range.split_at(range.len() / 2);
                    ranges.extend([second, first]);
                    continue;
                }
            };
            for local in found.into_iter().flatten() {
                let key = self.rules.key_of(&local.tuple);
                let key = key.map_err(|err| self.malformed(&err))?;
                if self.doomed.keys.contains_key(&key) {
                    self.spared.insert(key);
                }
            }
        }
        self.commit().await
    }

    /// A row whose place another has taken is gone; one that kept it is counted with the other.
    pub(super) fn is_replaced(&self, change: &Change) -> bool {
        match change {
            Change::Delete { key, .. } if self.target.is_folded() => {
                !self.doomed.keys.contains_key(&key[..])
            }
            _ => false,
        }
    }

    /// Whether a row that was to be deleted is gone already, or stays for the one that is to come in its place.
    pub(super) fn stays(&self, change: &Change) -> bool {
        let is_spared = match change {
            Change::Delete { key, .. } => self.spared.contains(&key[..]),
            Change::Insert { .. } | Change::Update { .. } => false,
        };
        is_spared || self.is_replaced(change)
    }

    /// A row that only this site has stays.
    pub(super) fn leave(&mut self, change: &Change) {
        let mut outcome = Outcome::default();
        if let Change::Delete { here, .. } = change {
            outcome.changes.skipped = 1;
            outcome.left.here.count(here.0);
        }
        self.count(outcome, 1);
    }

    /// Where nothing is deleted, rows whose place nobody took stay, unasked: others may wait for a row that is locked.
    pub(super) fn leave_deletes(&mut self) -> Result<(), EngineError> {
        let mut deletes = std::mem::take(&mut self.deletes);
        for at in 0..deletes.len() {
            match deletes.get(at)? {
                Some(change) if self.is_replaced(&change) => self.done += 1,
                Some(change) => self.leave(&change),
                None => break,
            }
        }
        Ok(())
    }
}
