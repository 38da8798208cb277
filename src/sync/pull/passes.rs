//! What is done to the tables of a run, in the passes that foreign keys allow.
//!
//! Rows that others point to are written before those, and deleted after them; what waited for either comes at the end.
//! Tables that do not point to each other are worked on side by side where the engine has more than one writer.
//! Invariant: of a table there is never more than one pass under way.

use std::sync::Arc;

use futures_util::stream::{self, TryStreamExt as _};
use jiff::Timestamp;
use tokio::sync::watch;

use crate::engine::driver::{ApplyJob, ApplyProgress, Enacted};
use crate::engine::plan::Ending;
use crate::model::run::{Changes, ConflictStrategy, RunOrder, SyncMode};
use crate::model::table::{Engine, Table, generations};
use crate::sync::SyncError;
use crate::sync::pull::altered::{altered, pass_over};
use crate::sync::pull::approval::without_deletions;
use crate::sync::pull::carry::{Carry, Which};
use crate::sync::pull::feed::Incoming;
use crate::sync::pull::look::Look;
use crate::sync::pull::report::{Ledger, Report};
use crate::sync::pull::session::Session;
use crate::sync::pull::work::{AT_ONCE, Deletions, Stage, Work};
use crate::sync::pull::{Attempt, table};

/// Which changes, and what becomes of those that cannot be made yet.
type Pass = (Which, Ending);

/// The passes over the tables of one run.
#[derive(Clone, Copy)]
pub(super) struct Passes<'a, 'run> {
    pub(super) attempt: &'a Attempt<'a>,
    pub(super) session: &'a Session<'a>,
    pub(super) ledger: &'a Ledger<'run>,
}

impl Passes<'_, '_> {
    /// Does what was found, to all of `works`, which stand parents first.
    ///
    /// # Errors
    /// The first fault that is not of its table alone; the others are worked on no further then.
    pub(super) async fn over(self, works: &mut [Work]) -> Result<(), SyncError> {
        if let [only] = works {
            return self.pass(only, (Which::All, Ending::Refuse)).await;
        }
        let tables: Vec<&Table> = works.iter().map(|work| &work.pull.target).collect();
        let generations = generations(&tables);
        let last = generations.iter().copied().max().unwrap_or(0);
        let writes = (0..=last).map(|one| (one, (Which::Writes, Ending::GiveBack)));
        let deletes = (0..=last).map(|one| (one, (Which::Deletes, Ending::GiveBack)));
        for (generation, pass) in writes.chain(deletes.rev()) {
            let works = works.iter_mut().zip(&generations);
            let works = works.filter(|(_, of)| **of == generation);
            self.side_by_side(works.map(|(work, _)| work), pass).await?;
        }
        for work in works {
            self.pass(work, (Which::Waiting, Ending::Refuse)).await?;
        }
        Ok(())
    }

    async fn side_by_side(
        self,
        works: impl Iterator<Item = &mut Work>,
        pass: Pass,
    ) -> Result<(), SyncError> {
        let at_once = match self.attempt.ctx.driver.engine() {
            Engine::Sqlite => 1,
            Engine::Postgres | Engine::Mysql => AT_ONCE,
        };
        stream::iter(works.map(Ok))
            .try_for_each_concurrent(at_once, |work| self.pass(work, pass))
            .await
    }

    /// One pass over one table.
    async fn pass(self, work: &mut Work, pass: Pass) -> Result<(), SyncError> {
        let passed = self.try_pass(work, pass).await;
        work.or_failed(passed)
    }

    async fn try_pass(self, work: &mut Work, (which, ending): Pass) -> Result<(), SyncError> {
        // Where keys fold, a row may have to take the place of one that is deleted: such a table's changes are made in one
        // pass, and deletes that other tables' rows are in the way of wait.
        let which = match which {
            Which::Writes if work.meeting.folds => Which::All,
            Which::Deletes if work.meeting.folds => Which::Waiting,
            which => which,
        };
        if matches!(which, Which::All | Which::Writes) {
            self.copy_into_empty(work).await?;
        }
        let Stage::Compared(compared) = &mut work.stage else {
            return Ok(());
        };
        let found = &mut compared.found;
        if work.waiting.is_empty() && !found.has(|effect| which.is(effect)) {
            return Ok(());
        }
        let (ctx, session, order) = (self.attempt.ctx, self.session, self.ledger.order());
        let (progress, watched) = watch::channel(ApplyProgress::default());
        let bytes = session.bytes(&work.pull.source);
        let received = Arc::clone(&work.received);
        let report = Report::begin(self.ledger, &work.pull, received, watched).of_some(bytes);
        let carry = Carry {
            ctx,
            session,
            pull: &work.pull,
            meeting: &work.meeting,
            received: &work.received,
            refused: work.rejected.len(),
        };
        let waiting = std::mem::take(&mut work.waiting);
        if work.deletions == Deletions::Noted {
            work.deletions = Deletions::UnderWay;
        }
        let mut ended = work.seen_at;
        let carrying = async {
            let carried = carry.run(order, found, (which, ending), waiting, progress);
            let carried = carried.await;
            ended = Timestamp::now();
            carried
        };
        let carried = report
            .during(ctx, carrying, |carried| carried.enacted.changes)
            .await?;
        if work.deletions == Deletions::UnderWay {
            work.deletions = Deletions::Noted;
        }
        if carried.enacted.changes.written() > 0 {
            work.seen_at = ended;
        }
        work.altered.extend(altered(&carried.enacted));
        let Enacted {
            changes,
            left,
            rejected,
            waiting,
            ..
        } = carried.enacted;
        work.changes.add(&changes);
        work.left.add(&left);
        work.rejected.extend(carried.misfits);
        work.rejected.extend(rejected);
        work.waiting = waiting;
        Ok(())
    }

    /// Fills a table that was empty, and proves it by reading it; what is not as it was sent is then compared.
    async fn copy_into_empty(self, work: &mut Work) -> Result<(), SyncError> {
        if !matches!(work.stage, Stage::Empty) {
            return Ok(());
        }
        let (attempt, session) = (self.attempt, self.session);
        let (source, agreed) = (&work.pull.source, &work.meeting.agreed);
        let rows = session.all(source, agreed).await;
        let rows = rows.map_err(|err| work.pull.refused_contract(err))?;
        let rows = Incoming::Frames(Box::new(rows));
        let received = Arc::clone(&work.received);
        // A row that the application wrote meanwhile stays until it is compared as any other.
        let job = ApplyJob {
            conflict: ConflictStrategy::Skip,
            ..table::job(attempt.ctx, self.ledger.order(), &work.pull)
        };
        let pull = (&work.pull, job);
        let outcome = table::stream(attempt, self.ledger, pull, rows, received).await?;
        work.copied.add(&outcome.changes);
        let (here, moment) = work.scan(attempt, session).await?;
        work.seen_at = moment;
        let declared = work.received.declared().unwrap_or_default();
        if declared == here.total() {
            work.stage = Stage::Copied(declared);
            return Ok(());
        }
        let root = session.first_sums(source, agreed).await?;
        let look = Look {
            attempt,
            session,
            order: self.ledger.order(),
        };
        look.compare(work, root, here).await?;
        let order = self.ledger.order();
        // What the copy left out is among what was found.
        let not_written = std::mem::take(&mut work.copied.conflicts);
        work.copied.skipped = 0;
        if let Stage::Compared(compared) = &mut work.stage {
            // What the application added meanwhile is the next run's to decide about, under its guard.
            let (kept, added_here) = without_deletions(std::mem::take(&mut compared.found))?;
            compared.found = kept;
            work.changes.moved += added_here;
            // Of what the copy wrote this database, or its application, made something else, which the rules would keep.
            let differing = differing(order, compared.found.changes);
            work.changes.moved += differing.saturating_sub(not_written);
        }
        pass_over(attempt, work).await
    }
}

/// How many rows that differ may stay as they are here, by mode and strategy.
fn differing(order: &RunOrder, found: Changes) -> u64 {
    match (order.sync_mode, order.conflict_strategy) {
        (SyncMode::Insert, _) | (_, ConflictStrategy::Skip) => found.conflicts,
        (_, ConflictStrategy::Newest | ConflictStrategy::Merge) => found.updated,
        (_, ConflictStrategy::Overwrite) => 0,
    }
}
