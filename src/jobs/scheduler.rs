//! The scheduler: makes the runs of syncs whose time has come, and wakes the runner.
//!
//! It looks at every sync that runs by itself, at least every half minute by the clock on the wall: so it notices a
//! clock that was set and a machine that slept. Invariant: what it has done is in the state before the runner hears of
//! it.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::base::task::Task;
use crate::store::StoreError;
use crate::sync::{Ctx, syncs};

const LONGEST_SLEEP: Duration = Duration::from_secs(30);
const SHORTEST_SLEEP: Duration = Duration::from_millis(20);

/// Makes the runs of syncs.
pub struct Scheduler {
    ctx: Arc<Ctx>,
}

impl Scheduler {
    /// A scheduler over `ctx`.
    #[must_use]
    pub fn new(ctx: Arc<Ctx>) -> Self {
        Self { ctx }
    }

    /// Looks at every sync; returns when the next one is due, if any.
    async fn advance_all(&self) -> Result<Option<Timestamp>, StoreError> {
        let mut earliest: Option<Timestamp> = None;
        for id in self.ctx.store.scheduled_syncs().await? {
            match syncs::advance(&self.ctx, id, Timestamp::now()).await {
                Ok(next) => earliest = earliest.into_iter().chain(next).min(),
                // The others still have their turn.
                Err(err) => tracing::error!(sync = %id, %err, "a sync cannot be scheduled"),
            }
        }
        Ok(earliest)
    }
}

#[async_trait::async_trait]
impl Task for Scheduler {
    fn name(&self) -> &'static str {
        "scheduler"
    }

    async fn pass(&self) -> Duration {
        match self.advance_all().await {
            Ok(Some(next)) => Duration::try_from(next - Timestamp::now())
                .unwrap_or(SHORTEST_SLEEP)
                .clamp(SHORTEST_SLEEP, LONGEST_SLEEP),
            Ok(None) => LONGEST_SLEEP,
            Err(err) => {
                tracing::error!(%err, "the scheduler cannot read the syncs");
                Duration::from_secs(5)
            }
        }
    }
}
