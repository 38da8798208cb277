//! Finding what differs: both sides of a table read at once, and some tables at a time.
//!
//! Changes nothing in either database. Invariant: once it succeeded, each table is compared, empty and to be filled, or failed by itself.

use std::sync::Arc;

use futures_util::TryFutureExt as _;
use futures_util::stream::{self, TryStreamExt as _};

use crate::engine::tally::Tally;
use crate::model::run::{Apply, RunOrder, SyncMode};
use crate::sync::pull::Attempt;
use crate::sync::pull::differ::{Differ, Rules};
use crate::sync::pull::session::Session;
use crate::sync::pull::work::{AT_ONCE, Stage, Work};
use crate::sync::{SyncError, spool_budget};
use crate::wire::tally::Children;

/// How the tables of one run are looked at.
#[derive(Clone, Copy)]
pub(super) struct Look<'a> {
    pub(super) attempt: &'a Attempt<'a>,
    pub(super) session: &'a Session<'a>,
    pub(super) order: &'a RunOrder,
}

impl Look<'_> {
    /// Finds what differs in each of `works` that was not looked at yet. What `is_planned` is found also where a table is
    /// empty.
    ///
    /// # Errors
    /// The first fault that is not of its table alone; the others are looked at no further then.
    pub(super) async fn at_all(
        self,
        works: &mut [Work],
        is_planned: bool,
    ) -> Result<(), SyncError> {
        let is_new = |work: &&mut Work| matches!(work.stage, Stage::Empty);
        let works = stream::iter(works.iter_mut().filter(is_new).map(Ok));
        works
            .try_for_each_concurrent(AT_ONCE, async |work| {
                let looked = self.at(work, is_planned).await;
                work.or_failed(looked)
            })
            .await
    }

    /// Finds what differs in one table, unless it is empty here and is to be filled.
    async fn at(self, work: &mut Work, is_planned: bool) -> Result<(), SyncError> {
        let (order, driver) = (self.order, &self.attempt.ctx.driver);
        let fills = order.sync_mode != SyncMode::Update;
        if order.apply == Apply::Yes && !is_planned && fills {
            let here = driver.count(&work.pull.target.name, 1).await?;
            if here.rows == 0 {
                return Ok(());
            }
        }
        let (source, agreed) = (&work.pull.source, &work.meeting.agreed);
        let there = self.session.first_sums(source, agreed);
        let there = there.map_err(|err| work.pull.refused_contract(err));
        let (root, (here, moment)) =
            tokio::try_join!(there, work.scan(self.attempt, self.session))?;
        work.seen_at = moment;
        self.compare(work, root, here).await
    }

    /// Compares a table both sides of which are tallied.
    ///
    /// # Errors
    /// The peer's refusals, and where a tally cannot be read.
    pub(super) async fn compare(
        self,
        work: &mut Work,
        root: Children,
        here: Arc<Tally>,
    ) -> Result<(), SyncError> {
        let differ = Differ {
            session: self.session,
            source: &work.pull.source,
            table: &work.pull.target.name,
            here,
            rules: Rules {
                mode: self.order.sync_mode,
                conflict: self.order.conflict_strategy,
                folds: work.meeting.folds,
                is_keyless: work.pull.contract.is_keyless(),
            },
            room: spool_budget(self.attempt.ctx).disk,
        };
        let compared = match work.as_before(root.iter().copied().sum(), differ.here.total()) {
            Some(compared) => compared,
            None => differ.run(root).await?,
        };
        work.stage = Stage::Compared(Box::new(compared));
        Ok(())
    }
}
