//! The tables of a signed peer: compared in one session, what differs carried out, and proved equal.
//!
//! First everything is found, of all tables; then it is decided whether anything may be done; then it is done, in passes
//! that foreign keys allow. Invariant: a table is proved only when what was done and what the rules leave in place explain
//! every difference between the two sides.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use jiff::Timestamp;
use tokio::sync::watch;

use crate::engine::driver::{ApplyProgress, Enacted, RowFilter};
use crate::engine::plan::{Ending, LeftInPlace, Waiting};
use crate::engine::tally::Tally;
use crate::model::fault::FaultCode;
use crate::model::run::{
    Apply, Changes, QuarantinedRow, Run, RunError, RunStatus, SyncMode, Transfer,
};
use crate::store::KeptProof;
use crate::sync::contract::refuse;
use crate::sync::plan::{Left, PlanHash};
use crate::sync::pull::approval::{approved, guarded, packed};
use crate::sync::pull::carry::{Carry, Which};
use crate::sync::pull::describe::{Columns, described};
use crate::sync::pull::differ::{Compared, Differ, Rules};
use crate::sync::pull::feed::{Incoming, Received};
use crate::sync::pull::found::Found;
use crate::sync::pull::meeting::Meeting;
use crate::sync::pull::plan::TablePull;
use crate::sync::pull::proof::Proof;
use crate::sync::pull::report::{Report, edit_table};
use crate::sync::pull::session::{Session, total};
use crate::sync::pull::{Attempt, Done, or_stopped, table};
use crate::sync::retry::assess;
use crate::sync::scan::Scan;
use crate::sync::{SyncError, spool_budget};
use crate::wire::frame::RowSum;
use crate::wire::tally::Children;

/// One table of the run.
struct Work {
    pull: TablePull,
    meeting: Meeting,
    transfer: Transfer,
    received: Arc<Received>,
    stage: Stage,
    /// The last proof, of an earlier run.
    before: Option<KeptProof>,
    /// What this one depends on.
    basis: String,
    scope: String,
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
        let meeting = Meeting::of(&pull, ctx.driver.engine())?;
        refuse_unknown_deletes(run, &pull, &meeting)?;
        let before = ctx.store.proof(attempt.connection.id, &pull.target.name);
        let (basis, scope) = meeting.basis(&pull, run, session.key());
        works.push(Work {
            before: before.await?,
            basis,
            scope,
            meeting,
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
            self.end_unchanged(run, RunStatus::Completed).await?;
            return Ok(Done::Over);
        }
        if run.approved_plan.is_some() {
            self.keep_to_the_plan(run).await?;
        } else if let Some(reason) = self.reason_to_ask(run).await? {
            self.keep_plan(run).await?;
            self.end_unchanged(run, RunStatus::NeedsApproval).await?;
            run.error = reason;
            return Ok(Done::NeedsApproval);
        }
        self.tell_differences(run, Columns::Unknown).await?;
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
        root: Children,
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
        let compared = match work.as_before(total(&root), differ.here.total()) {
            Some(compared) => compared,
            None => differ.run(root).await?,
        };
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
        if run.approved_plan.is_none() {
            run.plan_hash = Some(plan.text());
        }
    }

    /// Whether a person has to look first, and why if not because it was asked for.
    async fn reason_to_ask(&self, run: &Run) -> Result<Option<Option<RunError>>, SyncError> {
        let mut is_anything = false;
        for work in self.works.iter() {
            let Stage::Compared(compared) = &work.stage else {
                continue;
            };
            let before = (work.before.as_ref(), work.scope.as_str());
            let reason = guarded(self.attempt, run, &work.pull, compared, before).await?;
            if reason.is_some() {
                return Ok(Some(reason));
            }
            is_anything |= !compared.found.is_nothing();
        }
        Ok((run.order.apply == Apply::Ask && is_anything).then_some(None))
    }

    /// What a person is to approve.
    async fn keep_plan(&mut self, run: &Run) -> Result<(), SyncError> {
        for work in self.works.iter_mut() {
            if let Stage::Compared(compared) = &mut work.stage {
                let (store, name) = (&self.attempt.ctx.store, &work.pull.target.name);
                let plan = packed(&mut compared.found)?;
                store.keep_plan(run.id, name, &plan).await?;
            }
        }
        Ok(())
    }

    /// Leaves of what was found what was approved.
    async fn keep_to_the_plan(&mut self, run: &Run) -> Result<(), SyncError> {
        for work in self.works.iter_mut() {
            if let Stage::Compared(compared) = &mut work.stage {
                let (store, name) = (&self.attempt.ctx.store, &work.pull.target.name);
                let plan = store.plan(run.id, name).await?.unwrap_or_default();
                let found = std::mem::take(&mut compared.found);
                let (kept, moved) = approved(found, &plan)?;
                compared.found = kept;
                work.changes.moved += moved;
            }
        }
        Ok(())
    }

    /// What differs, row by row, as far as that is kept.
    async fn tell_differences(&mut self, run: &Run, columns: Columns) -> Result<(), SyncError> {
        let (ctx, session) = (self.attempt.ctx, self.session);
        for work in self.works.iter_mut() {
            let Stage::Compared(compared) = &mut work.stage else {
                continue;
            };
            let carry = Carry {
                ctx,
                session,
                pull: &work.pull,
                meeting: &work.meeting,
                received: &work.received,
            };
            let rows = described(&carry, &mut compared.found, columns).await?;
            let (name, now) = (&work.pull.target.name, Timestamp::now());
            let keeping = ctx.store.keep_differences(run.id, name, &rows, now);
            keeping.await?;
        }
        Ok(())
    }

    /// Nothing is written: what would be is told.
    async fn end_unchanged(&mut self, run: &mut Run, status: RunStatus) -> Result<(), SyncError> {
        self.tell_differences(run, Columns::Compared).await?;
        for work in self.works.iter() {
            let Stage::Compared(compared) = &work.stage else {
                continue;
            };
            let changes = compared.found.changes;
            let differ = changes.added + changes.updated + changes.skipped;
            edit_table(run, &work.pull, |table| {
                table.changes = changes;
                table.proved_equal = Some(compared.is_equal());
                table.status = status;
                table.rows_synced = compared.source.rows.saturating_sub(differ);
            });
        }
        Ok(())
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
        let (rejected, now) = (std::mem::take(&mut work.rejected), Timestamp::now());
        store.set_quarantine(run.id, name, &rejected, now).await?;
        let failed = u64::try_from(rejected.len()).unwrap_or(u64::MAX);
        let proof = match &work.stage {
            Stage::Empty => return Ok(()),
            Stage::Copied(rows) => Proof::of_copy(*rows, work.changes),
            Stage::Compared(compared) => {
                Proof::of_changes(compared, work.changes, work.left, failed)
            }
        };
        if proof.is_equal {
            let kept = work.kept(run, &proof);
            let connection = self.attempt.connection.id;
            store.keep_proof(connection, name, &kept, now).await?;
        }
        edit_table(run, &work.pull, |table| proof.tell(table));
        run.progress.tables_done += 1;
        Ok(())
    }
}

impl Work {
    /// What is left in place, where the last proof still explains all that differs.
    fn as_before(&self, source: RowSum, here: RowSum) -> Option<Compared> {
        let before = self.before.as_ref()?;
        let rows = |(rows, sum)| RowSum { rows, sum };
        let left = Left {
            here: rows(before.left_here),
            there: rows(before.left_there),
        };
        let holds = before.basis == self.basis && left.proves(source, here);
        holds.then(|| Compared {
            source,
            here,
            found: Found::as_before(left, before.skipped, before.conflicts),
        })
    }

    fn kept(&self, run: &Run, proof: &Proof) -> KeptProof {
        let rows = |rows: RowSum| (rows.rows, rows.sum);
        KeptProof {
            run: run.id,
            basis: self.basis.clone(),
            scope: self.scope.clone(),
            left_here: rows(proof.left.here),
            left_there: rows(proof.left.there),
            skipped: proof.changes.skipped,
            conflicts: proof.changes.conflicts,
        }
    }
}

/// A row that is only here was deleted there, or never was this site's to see: a mirror has to know which.
fn refuse_unknown_deletes(run: &Run, pull: &TablePull, meeting: &Meeting) -> Result<(), SyncError> {
    if run.order.sync_mode != SyncMode::Mirror || meeting.tells_deleted {
        return Ok(());
    }
    Err(refuse(
        &pull.target.name,
        FaultCode::HiddenRows,
        "the peer gives some of its rows, chosen by what this site does not see: which rows were deleted there cannot be told from those that it never gave".to_owned(),
        "use --mode upsert, or ask the peer's administrator to grant the columns of the row filter, too",
    ))
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
