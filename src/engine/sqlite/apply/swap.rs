//! Rows that hold each other's unique values: one has 'a' and shall get 'b', the other the reverse.
//!
//! No order of updates gets them in. Where the unique column may be NULL it is parked as NULL first, all rows are
//! written, and the one transaction around it is committed only if every parked row got its own value.
//! Invariant: nobody else ever sees a parked NULL.

use crate::engine::error::EngineError;
use crate::engine::fault::Fault;
use crate::engine::sqlite::apply::Work;
use crate::engine::sqlite::apply::destination::{Attempt, Effect};

/// Rows parked in one transaction.
const MAX_ROWS: usize = 1_000;
/// Tries, each without the rows that did not fit in the one before.
const MAX_ROUNDS: usize = 20;

impl Work<'_> {
    /// Writes those of the rows held back that only block each other. No transaction is open before or after.
    pub(super) fn swap(&mut self) -> Result<(), EngineError> {
        if !self.writer.destination.can_park() {
            return Ok(());
        }
        let mut chosen: Vec<usize> = (0..self.held.len().min(MAX_ROWS)).collect();
        for _ in 0..MAX_ROUNDS {
            if chosen.is_empty() {
                return Ok(());
            }
            self.writer.begin()?;
            let (effects, unfit) = self.try_swap(&chosen)?;
            if unfit.is_empty() {
                self.held.retain(|at| !chosen.contains(&at))?;
                effects.into_iter().for_each(|effect| self.count(effect));
                return self.commit();
            }
            self.writer.roll_back()?;
            chosen.retain(|at| !unfit.contains(at));
        }
        Ok(())
    }

    /// What became of the rows at `chosen`, and which of them did not fit.
    fn try_swap(&mut self, chosen: &[usize]) -> Result<(Vec<Effect>, Vec<usize>), EngineError> {
        let (mut effects, mut unfit) = (Vec::new(), Vec::new());
        for &at in chosen {
            match self.writer.destination.park(&self.held.get(at)?) {
                Ok(()) => {}
                Err(Fault::Row(_)) => unfit.push(at),
                Err(Fault::Engine(err)) => return Err(err),
            }
        }
        for &at in chosen {
            if unfit.contains(&at) {
                continue;
            }
            let (row, destination) = (self.held.get(at)?, &mut self.writer.destination);
            let values = destination.values(&row);
            match values.and_then(|values| destination.write(&row, &values, Attempt::Again)) {
                // Parking has changed it, even if it ends as what it was parked as.
                Ok(Effect::Equal) => effects.push(Effect::Updated),
                Ok(effect) => effects.push(effect),
                Err(Fault::Row(_)) => unfit.push(at),
                Err(Fault::Engine(err)) => return Err(err),
            }
        }
        Ok((effects, unfit))
    }
}
