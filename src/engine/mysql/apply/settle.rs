//! Rows that wait for others: tried again at the end, let change places, at last refused by key and reason.
//!
//! Invariant: a row is either written or among the refused, never both; transactions stay within the job's budget.

use bytes::Bytes;

use crate::engine::error::EngineError;
use crate::engine::fault::Fault;
use crate::engine::mysql::apply::Work;
use crate::model::run::Changes;

/// Rows that are tried again together.
const TOGETHER: usize = 128;
/// More rows do not change places: they do so in one transaction.
const MOST_SWAPPED: usize = 1_000;
/// Tries, each without the rows that did not fit in the one before.
const ROUNDS: usize = 20;

impl Work {
    /// Tries the rows held back again as long as that gets some of them in, then refuses the rest.
    pub(super) async fn settle(&mut self) -> Result<(), EngineError> {
        // Backwards first: rows that each point to the next one all fit in one pass that way.
        let mut backwards = true;
        loop {
            let before = self.held.len();
            self.retry_held(backwards).await?;
            if self.held.len() == before {
                break;
            }
            backwards = !backwards;
        }
        self.commit().await?;
        self.swap().await?;
        let mut rest = std::mem::take(&mut self.held);
        for at in 0..rest.len() {
            let row = Bytes::from(rest.get(at)?);
            self.begin().await?;
            match self.attempt(std::slice::from_ref(&row)).await {
                Ok(changes) => self.applied.changes.add(&changes),
                Err(Fault::Row(refusal)) => self.reject(&row, refusal)?,
                Err(Fault::Engine(err)) => return Err(err),
            }
            self.commit_if_due(std::slice::from_ref(&row)).await?;
        }
        self.commit().await
    }

    async fn retry_held(&mut self, backwards: bool) -> Result<(), EngineError> {
        let mut current = std::mem::take(&mut self.held);
        if backwards {
            current.reverse()?;
        }
        for begin in (0..current.len()).step_by(TOGETHER) {
            let together = begin..current.len().min(begin + TOGETHER);
            let mut rows = Vec::with_capacity(together.len());
            for at in together {
                rows.push(Bytes::from(current.get(at)?));
            }
            self.begin().await?;
            self.halve(&rows).await?;
            self.commit_if_due(&rows).await?;
        }
        // Rows keep the order they came in, whichever way they were tried.
        if backwards {
            self.held.reverse()?;
        }
        Ok(())
    }

    /// Writes those of the rows held back that only block each other: their unique values are emptied first. No
    /// transaction is open before or after.
    async fn swap(&mut self) -> Result<(), EngineError> {
        let mut chosen: Vec<usize> = (0..self.held.len().min(MOST_SWAPPED)).collect();
        if chosen.is_empty() {
            return Ok(());
        }
        let parkable = self.writer.parkable().await?;
        if parkable.is_empty() {
            return Ok(());
        }
        for _ in 0..ROUNDS {
            if chosen.is_empty() {
                break;
            }
            self.begin().await?;
            let (changes, unfit) = self.try_swap(&chosen, &parkable).await?;
            if unfit.is_empty() {
                self.held.retain(|at| !chosen.contains(&at))?;
                self.applied.changes.add(&changes);
                return self.commit().await;
            }
            self.writer.run("rollback").await?;
            self.transaction.end();
            chosen.retain(|at| !unfit.contains(at));
        }
        Ok(())
    }

    /// What writing the rows at `chosen` changed, and which of them did not fit.
    async fn try_swap(
        &mut self,
        chosen: &[usize],
        parkable: &[String],
    ) -> Result<(Changes, Vec<usize>), EngineError> {
        let (mut changes, mut unfit, mut parked) = (Changes::default(), Vec::new(), Vec::new());
        for &at in chosen {
            let row = Bytes::from(self.held.get(at)?);
            match self.writer.park(&row, parkable).await {
                Ok(touched) => parked.push((at, row, touched)),
                Err(Fault::Row(_)) => unfit.push(at),
                Err(Fault::Engine(err)) => return Err(err),
            }
        }
        for (at, row, touched) in parked {
            match self.attempt(std::slice::from_ref(&row)).await {
                // Parking has changed it, even if it ends as what it was parked as.
                Ok(effect) if effect == Changes::default() => changes.updated += touched,
                Ok(effect) => changes.add(&effect),
                Err(Fault::Row(_)) => unfit.push(at),
                Err(Fault::Engine(err)) => return Err(err),
            }
        }
        Ok((changes, unfit))
    }
}
