//! The tables of a signed peer: compared in one session, what differs carried out, and proved equal.
//!
//! First everything is found, of all tables; then it is decided whether anything may be done; then it is done, in passes
//! that foreign keys allow. Invariant: a table is proved only when what was done and what the rules leave in place explain
//! every difference between the two sides.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use jiff::Timestamp;

use crate::engine::driver::ApplyProgress;
use crate::engine::driver::{Enacted, RowFilter};
use crate::engine::plan::{Ending, LeftInPlace, Waiting};
use crate::engine::tally::Tally;
use crate::model::fault::FaultCode;
use crate::model::guard::{Deletions, Guard};
use crate::model::run::{
    Apply, Changes, QuarantinedRow, Run, RunError, RunStatus, RunTable, SyncMode, Transfer,
};
use crate::sync::plan::{Left, PlanHash};
use crate::sync::pull::carry::{Carry, Which};
use crate::sync::pull::differ::{Compared, Differ, Rules};
use crate::sync::pull::feed::{Incoming, Received};
use crate::sync::pull::meeting::Meeting;
use crate::sync::pull::plan::TablePull;
use crate::sync::pull::report::{Report, edit_table};
use crate::sync::pull::session::Session;
use crate::sync::pull::{Attempt, Done, or_stopped, table};
use crate::sync::retry::assess;
use crate::sync::scan::Scan;
use crate::sync::{SyncError, spool_budget};
use crate::wire::frame::RowSum;
use tokio::sync::watch;

/// One table of the run.
struct Work {
    pull: TablePull,
    meeting: Meeting,
    transfer: Transfer,
    received: Arc<Received>,
    stage: Stage,
    /// What was done so far.
    changes: Changes,
    left: LeftInPlace,
    rejected: Vec<QuarantinedRow>,
    waiting: Waiting,
}

/// How far a table is.
enum Stage {
    /// It is empty here and will be copied as a whole.
    Empty,
    /// What differs is known.
    Compared(Box<Compared>),
    /// It was copied, and both sides have these rows.
    Copied(RowSum),
}

/// Pulls the tables of `pulls`, parents first.
pub(super) async fn pull(
    attempt: &Attempt<'_>,
    run: &mut Run,
    session: Session<'_>,
    pulls: Vec<TablePull>,
) -> Result<Done, SyncError> {
    let ctx = attempt.ctx;
    let mut works = Vec::with_capacity(pulls.len());
    for pull in pulls {
        let transfer = table::begin(run, attempt.connection, &pull);
        ctx.store.insert_transfer(&transfer).await?;
        edit_table(run, &pull, |table| table.status = RunStatus::Running);
        works.push(Work {
            meeting: Meeting::of(&pull, ctx.driver.engine())?,
            transfer,
            received: Arc::default(),
            stage: Stage::Empty,
            changes: Changes::default(),
            left: LeftInPlace::default(),
            rejected: Vec::new(),
            waiting: Waiting::default(),
            pull,
        });
    }
    let working = Proving {
        attempt,
        session: &session,
        works: &mut works,
    };
    let done = or_stopped(ctx, attempt.cancel, working.run(run)).await;
    let fault = done.as_ref().err();
    for work in works {
        finish(attempt, run, work, fault).await?;
    }
    if let (Ok(_), Err(err)) = (&done, session.close(&[]).await) {
        tracing::warn!(run = %run.id, %err, "the session at the peer ends by itself");
    }
    done
}

/// Writes down what became of a table and of its transfer.
async fn finish(
    attempt: &Attempt<'_>,
    run: &mut Run,
    mut work: Work,
    fault: Option<&SyncError>,
) -> Result<(), SyncError> {
    let (transfer, now) = (&mut work.transfer, Timestamp::now());
    edit_table(run, &work.pull, |table| {
        if let Some(err) = fault
            && !table.status.is_final()
        {
            table.status = table::ended_by(err);
            table.error = Some(assess(err).0);
        }
        transfer.status = table.status;
        transfer.error.clone_from(&table.error);
        transfer.changes = table.changes;
        transfer.bytes_on_wire = table.bytes_on_wire;
        transfer.rows = work.received.rows();
    });
    transfer.completed_at = Some(now);
    attempt.ctx.store.finish_transfer(transfer).await?;
    Ok(())
}

/// The work of one attempt.
struct Proving<'a> {
    attempt: &'a Attempt<'a>,
    session: &'a Session<'a>,
    works: &'a mut [Work],
}

impl Proving<'_> {
    async fn run(mut self, run: &mut Run) -> Result<Done, SyncError> {
        for at in 0..self.works.len() {
            self.look(run, at).await?;
        }
        self.tell_found(run);
        self.attempt.ctx.store.save_progress(run).await?;
        if run.order.apply == Apply::No {
            self.end_unchanged(run, RunStatus::Completed);
            return Ok(Done::Over);
        }
        if let Some(reason) = self.needs_approval(run) {
            self.end_unchanged(run, RunStatus::NeedsApproval);
            run.error = reason;
            return Ok(Done::NeedsApproval);
        }
        self.carry_out(run).await?;
        for at in 0..self.works.len() {
            self.conclude(run, at).await?;
        }
        Ok(Done::Over)
    }

    /// Finds what differs in one table, unless it is empty here and is to be filled.
    async fn look(&mut self, run: &mut Run, at: usize) -> Result<(), SyncError> {
        let fills = run.order.sync_mode != SyncMode::Update;
        let Some(work) = self.works.get_mut(at) else {
            return Ok(());
        };
        let driver = &self.attempt.ctx.driver;
        if run.order.apply == Apply::Yes && run.approved_plan.is_none() && fills {
            let here = driver.count(&work.pull.target.name, 1).await?;
            if here.rows == 0 {
                return Ok(());
            }
        }
        let scanned = AtomicU64::new(0);
        let (source, agreed) = (&work.pull.source, &work.meeting.agreed);
        let there = self.session.first_sums(source, agreed, &scanned);
        let (root, here) = tokio::try_join!(there, scan(self.attempt, self.session, work))?;
        self.compare(run, at, root, here).await
    }

    /// Compares a table both sides of which are tallied.
    async fn compare(
        &mut self,
        run: &mut Run,
        at: usize,
        root: crate::wire::tally::Children,
        here: Arc<Tally>,
    ) -> Result<(), SyncError> {
        let Some(work) = self.works.get_mut(at) else {
            return Ok(());
        };
        let differ = Differ {
            session: self.session,
            source: &work.pull.source,
            table: &work.pull.target.name,
            here,
            rules: Rules {
                mode: run.order.sync_mode,
                conflict: run.order.conflict_strategy,
                folds: work.meeting.folds,
            },
        };
        let compared = differ.run(root).await?;
        work.stage = Stage::Compared(Box::new(compared));
        Ok(())
    }

    /// What was found, in the run's words.
    fn tell_found(&self, run: &mut Run) {
        let mut plan = PlanHash::default();
        for work in self.works.iter() {
            let Stage::Compared(compared) = &work.stage else {
                continue;
            };
            let Changes {
                added,
                updated,
                deleted,
                skipped,
                ..
            } = compared.found.changes;
            plan.add_table(&work.pull.target.name, compared.found.hash());
            let bytes = self.session.bytes(&work.pull.source);
            run.progress.bytes += bytes;
            edit_table(run, &work.pull, |table| {
                table.rows_source = Some(compared.source.rows);
                table.rows_destination = Some(compared.here.rows);
                table.drift_before = Some(added + updated + deleted + skipped);
                table.bytes_on_wire = bytes;
                table.root = Some(format!("{:032x}", compared.source.sum));
            });
        }
        run.plan_hash = Some(plan.text());
    }

    /// Whether a person has to look first, and why if not because it was asked for.
    fn needs_approval(&self, run: &Run) -> Option<Option<RunError>> {
        if run.approved_plan.is_some() && run.approved_plan == run.plan_hash {
            return None;
        }
        let compared = self.works.iter().filter_map(|work| match &work.stage {
            Stage::Compared(compared) => Some((work, compared)),
            Stage::Empty | Stage::Copied(_) => None,
        });
        let mut reasons = compared.clone().filter_map(|(work, compared)| {
            let deletions = Deletions {
                source: compared.source.rows,
                here: compared.here.rows,
                planned: compared.found.changes.deleted,
                earlier: 0,
            };
            let guarded = Guard::default().check(deletions).err()?;
            let message = format!("table {}: {guarded}", work.pull.target.name);
            Some(
                RunError::new(FaultCode::NeedsApproval, message).with_hint(format!(
                    "look at what it would do and let it, or not: evenkeel runs approve {}",
                    run.id
                )),
            )
        });
        if let Some(reason) = reasons.next() {
            return Some(Some(reason));
        }
        let mut compared = compared;
        let asks = run.order.apply == Apply::Ask;
        (asks && compared.any(|(_, compared)| !compared.found.is_nothing())).then_some(None)
    }

    /// Nothing is written: what would be is told.
    fn end_unchanged(&self, run: &mut Run, status: RunStatus) {
        for work in self.works.iter() {
            let Stage::Compared(compared) = &work.stage else {
                continue;
            };
            edit_table(run, &work.pull, |table| {
                table.changes = compared.found.changes;
                table.proved_equal = Some(compared.source == compared.here);
                table.status = status;
                table.rows_synced = compared
                    .source
                    .rows
                    .saturating_sub(compared.found.changes.added + compared.found.changes.updated);
            });
        }
    }

    /// Parents are written first, their rows deleted last; what waited for either comes at the end.
    async fn carry_out(&mut self, run: &mut Run) -> Result<(), SyncError> {
        let count = self.works.len();
        if count == 1 {
            return self.carry(run, 0, (Which::All, Ending::Refuse)).await;
        }
        for at in 0..count {
            self.carry(run, at, (Which::Writes, Ending::GiveBack))
                .await?;
        }
        for at in (0..count).rev() {
            self.carry(run, at, (Which::Deletes, Ending::GiveBack))
                .await?;
        }
        for at in 0..count {
            self.carry(run, at, (Which::Waiting, Ending::Refuse))
                .await?;
        }
        Ok(())
    }

    /// One pass over one table.
    async fn carry(
        &mut self,
        run: &mut Run,
        at: usize,
        (which, ending): (Which, Ending),
    ) -> Result<(), SyncError> {
        if matches!(which, Which::All | Which::Writes) {
            self.copy_into_empty(run, at).await?;
        }
        let Some(work) = self.works.get_mut(at) else {
            return Ok(());
        };
        let Stage::Compared(compared) = &mut work.stage else {
            return Ok(());
        };
        let found = &mut compared.found;
        if work.waiting.is_empty() && !found.has(|effect| which.is(effect)) {
            return Ok(());
        }
        let (ctx, session) = (self.attempt.ctx, self.session);
        let (progress, watched) = watch::channel(ApplyProgress::default());
        let bytes = session.bytes(&work.pull.source);
        let received = Arc::clone(&work.received);
        let report = Report::begin(run, &work.pull, received, watched).of_some(bytes);
        let order = run.clone();
        let carry = Carry {
            ctx,
            session,
            pull: &work.pull,
            meeting: &work.meeting,
            received: &work.received,
        };
        let waiting = std::mem::take(&mut work.waiting);
        let carrying = carry.run(&order, found, (which, ending), waiting, progress);
        let carried = report
            .during(ctx, run, carrying, |carried| carried.enacted.changes)
            .await?;
        let Enacted {
            changes,
            left,
            rejected,
            waiting,
            ..
        } = carried.enacted;
        work.changes.add(&changes);
        work.left.here.merge(left.here);
        work.left.there.merge(left.there);
        work.rejected.extend(carried.misfits);
        work.rejected.extend(rejected);
        work.waiting = waiting;
        Ok(())
    }

    /// Fills a table that was empty, and proves it by reading it; what is not as it was sent is then compared.
    async fn copy_into_empty(&mut self, run: &mut Run, at: usize) -> Result<(), SyncError> {
        let Some(work) = self.works.get_mut(at) else {
            return Ok(());
        };
        if !matches!(work.stage, Stage::Empty) {
            return Ok(());
        }
        let (attempt, session) = (self.attempt, self.session);
        let (source, agreed) = (&work.pull.source, &work.meeting.agreed);
        let rows = session.all(source, agreed).await?;
        let rows = Incoming::Frames(Box::new(rows));
        let received = Arc::clone(&work.received);
        let outcome = table::stream(attempt, run, &work.pull, rows, received).await?;
        work.changes.add(&outcome.changes);
        let here = scan(attempt, session, work).await?;
        let declared = work.received.declared().unwrap_or_default();
        if declared == here.total() {
            work.stage = Stage::Copied(declared);
            return Ok(());
        }
        let scanned = AtomicU64::new(0);
        let root = session.first_sums(source, agreed, &scanned).await?;
        self.compare(run, at, root, here).await
    }

    /// What was done to a table, and whether it is proved.
    async fn conclude(&mut self, run: &mut Run, at: usize) -> Result<(), SyncError> {
        let Some(work) = self.works.get_mut(at) else {
            return Ok(());
        };
        let (name, store) = (&work.pull.target.name, &self.attempt.ctx.store);
        let rejected = std::mem::take(&mut work.rejected);
        store
            .set_quarantine(run.id, name, &rejected, Timestamp::now())
            .await?;
        let failed = u64::try_from(rejected.len()).unwrap_or(u64::MAX);
        let (proof, changes) = work.proof(failed);
        edit_table(run, &work.pull, |table| {
            proof.tell(table);
            table.changes = changes;
            table.rows_failed = failed;
            let stays = failed + changes.skipped + changes.moved;
            table.rows_synced = proof.source.rows.saturating_sub(stays);
        });
        Ok(())
    }
}

/// How a table stands at the end.
struct Proof {
    source: RowSum,
    here: RowSum,
    is_equal: bool,
    failed: u64,
    moved: u64,
}

impl Proof {
    fn tell(&self, table: &mut RunTable) {
        table.rows_source = Some(self.source.rows);
        table.rows_destination = Some(self.here.rows);
        table.root = Some(format!("{:032x}", self.source.sum));
        table.drift_before = Some(table.drift_before.unwrap_or(self.source.rows));
        table.proved_equal = Some(self.is_equal);
        table.status = match self.is_equal {
            true => RunStatus::Completed,
            false => RunStatus::CompletedWithErrors,
        };
        table.error = self.fault();
    }

    fn fault(&self) -> Option<RunError> {
        if self.is_equal || self.failed > 0 {
            return None;
        }
        let error = match self.moved {
            0 => RunError::new(
                FaultCode::NotProved,
                "what was written does not add up to what the source has",
            )
            .with_hint("run it again; if it stays so, report it"),
            moved => RunError::new(
                FaultCode::RowsMoved,
                format!(
                    "{moved} rows were changed here while the run was at work, and left as they are"
                ),
            )
            .with_hint("the next run decides about them"),
        };
        Some(error)
    }
}

impl Work {
    fn proof(&self, failed: u64) -> (Proof, Changes) {
        let (mut changes, left) = (self.changes, self.left);
        let (source, here, equation) = match &self.stage {
            Stage::Empty => (RowSum::default(), RowSum::default(), false),
            Stage::Copied(rows) => (*rows, *rows, true),
            Stage::Compared(compared) => {
                let found = &compared.found;
                changes.skipped += found.changes.skipped;
                changes.conflicts += found.changes.conflicts;
                // What was done, by what it was to become; less what was left of it.
                let after = compared
                    .here
                    .less(found.here)
                    .plus(found.there)
                    .plus(left.here)
                    .less(left.there);
                let all_left = Left {
                    here: found.left.here.plus(left.here),
                    there: found.left.there.plus(left.there),
                };
                (
                    compared.source,
                    after,
                    all_left.proves(compared.source, after),
                )
            }
        };
        let moved = changes.moved;
        let is_equal = equation && failed == 0 && moved == 0;
        let proof = Proof {
            source,
            here,
            is_equal,
            failed,
            moved,
        };
        (proof, changes)
    }
}

/// The rows here that stand beside the source's.
async fn scan(
    attempt: &Attempt<'_>,
    session: &Session<'_>,
    work: &Work,
) -> Result<Arc<Tally>, SyncError> {
    let ctx = attempt.ctx;
    let selection = work.meeting.selection(&work.pull, RowFilter::All);
    let rows = ctx.driver.read(selection).await?;
    let scan = Scan {
        table: work.pull.target.name.clone(),
        mask: None,
        normal: work.meeting.ours.clone(),
        tally: Tally::new(
            session.key().clone(),
            work.meeting.key_fields(),
            spool_budget(ctx),
        ),
    };
    let scanned = AtomicU64::new(0);
    Ok(Arc::new(scan.run(rows, &scanned).await?))
}
