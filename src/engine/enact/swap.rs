//! Rows that hold each other's unique values: one has 'a' and shall get 'b', the other the reverse.
//!
//! No order of updates gets them in. Where the unique column may be NULL it is emptied first, then all rows are written.
//! Invariant: nobody else ever sees a value that was emptied.

use crate::engine::enact::piece::{Faults, Reasons, Sorted, Trust, meant};
use crate::engine::enact::target::{Effect, Target};
use crate::engine::enact::work::Work;
use crate::engine::error::EngineError;
use crate::engine::fault::Fault;
use crate::engine::plan::Change;

/// More rows do not change places: they do so in one transaction.
const MOST: usize = 1_000;
/// Tries, each without the rows that did not fit in the one before.
const ROUNDS: usize = 20;

const SAVE: &str = "savepoint evenkeel_swap";
const KEEP: &str = "release savepoint evenkeel_swap";
const UNDO: &str = "rollback to savepoint evenkeel_swap; release savepoint evenkeel_swap";

impl<T: Target> Work<'_, T> {
    /// Does those of the changes held back that only block each other. No transaction is open before or after.
    pub(super) async fn swap(&mut self) -> Result<(), EngineError> {
        if !self.target.can_park() {
            return Ok(());
        }
        let mut chosen: Vec<usize> = (0..self.held.len().min(MOST)).collect();
        for _ in 0..ROUNDS {
            if chosen.len() < 2 {
                break;
            }
            let mut changes = Vec::with_capacity(chosen.len());
            for &at in &chosen {
                changes.extend(self.held.get(at)?);
            }
            self.begin().await?;
            self.target.run(SAVE).await?;
            let unfit = match self.exchange(&changes).await {
                Ok(Ok(sorted)) => {
                    self.target.run(KEEP).await?;
                    self.held.retain(|at| !chosen.contains(&at))?;
                    self.count(sorted.outcome, changes.len());
                    break;
                }
                Ok(Err(unfit)) => unfit,
                Err(Fault::Engine(err)) => return Err(err),
                // Not even emptied: none of them is done this way.
                Err(Fault::Row(_)) => {
                    self.target.run(UNDO).await?;
                    break;
                }
            };
            self.target.run(UNDO).await?;
            let mut place = 0..;
            chosen.retain(|_| {
                let place = place.next();
                !unfit.iter().any(|(at, _)| Some(*at) == place)
            });
        }
        self.commit().await
    }

    /// Empties, writes and reads back; or which changes did not fit.
    async fn exchange(&mut self, changes: &[Change]) -> Result<Result<Sorted, Faults>, Fault> {
        let sorted = self.sort(changes, Trust::Nothing).await?;
        if !sorted.faults.is_empty() {
            return Ok(Err(sorted.faults));
        }
        self.target
            .write(Effect::Park, &meant(&sorted.updates))
            .await?;
        let mut unfit = self.each(&sorted, Reasons::Plain).await?;
        if unfit.is_empty() {
            unfit = self.read_back(&sorted).await?;
        }
        Ok(if unfit.is_empty() {
            Ok(sorted)
        } else {
            Err(unfit)
        })
    }
}
