//! Carrying out a plan on one table, for every engine: compare, set, read back.
//!
//! [`target`] is what an engine does, [`verdict`] what becomes of a change, [`piece`] how some changes are done together,
//! [`mod@reading_back`] how it is seen what has become of them, [`work`] in which order and in which transactions, [`swap`]
//! how unique values change places, [`spare`] which rows stay for others to come in their place, [`find`] where the rows
//! are that have no key.
//! Invariant: what is committed was what the plan said before, and reads back as what it was to become.

pub(super) mod find;
mod piece;
mod reading_back;
mod spare;
mod swap;
pub(super) mod target;
mod verdict;
mod work;

use tokio::sync::watch;

use crate::engine::driver::{ApplyProgress, EnactJob, Enacted};
use crate::engine::enact::target::Target;
use crate::engine::enact::work::Work;
use crate::engine::error::EngineError;
use crate::engine::plan::PlanStream;

/// Carries out `plan` as `job` says. After an error `target` may have a transaction open.
pub(super) async fn enact<T: Target>(
    target: &mut T,
    job: EnactJob,
    plan: PlanStream,
    progress: watch::Sender<ApplyProgress>,
) -> Result<Enacted, EngineError> {
    let mut work = Work::new(target, job, progress)?;
    work.consume(plan).await?;
    work.conclude().await
}
