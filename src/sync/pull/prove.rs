//! The tables of a signed peer: compared in one session, what differs carried out, and proved equal.
//!
//! First everything is found, of all tables; then it is decided whether anything may be done; then it is done, in passes
//! that foreign keys allow. A table that fails by itself fails the run, and those beside it are pulled. Invariant: a
//! table is proved only when what was done and what the rules leave in place explain every difference between the two
//! sides.

use jiff::Timestamp;

use crate::model::run::{Apply, Run, RunError, RunStatus, RunTable};
use crate::sync::SyncError;
use crate::sync::plan::PlanHash;
use crate::sync::pull::altered::{pass_over, remember};
use crate::sync::pull::approval::{approved, guarded, packed};
use crate::sync::pull::carry::Carry;
use crate::sync::pull::deletions::{note, settle};
use crate::sync::pull::describe::{Columns, described};
use crate::sync::pull::follow::{Reached, Written};
use crate::sync::pull::look::Look;
use crate::sync::pull::passes::Passes;
use crate::sync::pull::plan::TablePull;
use crate::sync::pull::proof::{Proof, changed_since};
use crate::sync::pull::report::{Ledger, edit_table};
use crate::sync::pull::session::Session;
use crate::sync::pull::work::{Stage, Work};
use crate::sync::pull::{Attempt, Done, or_stopped, refuse_rounds};
use crate::sync::receipt::keep_as_destination;
use crate::wire::receipt::Receipt;

/// Pulls the tables of `pulls`, parents first; `is_part`: other rounds of the run have tables, too.
pub(super) async fn pull(
    attempt: &Attempt<'_>,
    run: &mut Run,
    session: Session<'_>,
    pulls: Vec<TablePull>,
    is_part: bool,
) -> Result<Done, SyncError> {
    let ctx = attempt.ctx;
    let mut works = Vec::with_capacity(pulls.len());
    for pull in pulls {
        match Work::begin(attempt, run, pull, session.key()).await {
            Ok(work) => works.push(work),
            Err(err) => {
                for work in works {
                    work.finish(attempt, run, Some(&err)).await?;
                }
                return Err(err);
            }
        }
    }
    let working = Proving {
        attempt,
        session: &session,
        works: &mut works,
        is_part,
    };
    let done = Box::pin(or_stopped(ctx, attempt.cancel, working.run(run))).await;
    let fault = done.as_ref().err();
    let mut receipts = Vec::new();
    let mut failed = None;
    for work in works {
        receipts.extend(work.receipt(attempt, run, &session));
        failed = failed.or(work.finish(attempt, run, fault).await?);
    }
    if done.is_ok() {
        close(attempt, run, session, receipts).await?;
    }
    match (done, failed) {
        (Ok(Done::Over), Some(fault)) => Err(fault),
        (done, _) => done,
    }
}

/// Ends the session; what both sides sign then is kept.
async fn close(
    attempt: &Attempt<'_>,
    run: &Run,
    session: Session<'_>,
    receipts: Vec<Receipt>,
) -> Result<(), SyncError> {
    let closed = match session.close(&receipts).await {
        Ok(closed) => closed,
        Err(err) => {
            tracing::warn!(run = %run.id, %err, "the peer did not sign what was proved");
            return Ok(());
        }
    };
    let (ctx, connection) = (attempt.ctx, attempt.connection);
    let kept = keep_as_destination(ctx, connection, receipts, closed).await?;
    for fault in kept.into_iter().filter_map(Result::err) {
        tracing::warn!(run = %run.id, %fault, "the peer did not sign what was proved");
    }
    Ok(())
}

/// The work of one attempt.
struct Proving<'a> {
    attempt: &'a Attempt<'a>,
    session: &'a Session<'a>,
    works: &'a mut [Work],
    is_part: bool,
}

impl Proving<'_> {
    async fn run(mut self, run: &mut Run) -> Result<Done, SyncError> {
        let (attempt, session) = (self.attempt, self.session);
        self.look(run, run.approved_plan.is_some()).await?;
        self.tell_found(run, |_| true);
        self.attempt.ctx.store.save_progress(run).await?;
        if run.order.apply == Apply::No {
            self.end_unchanged(run, RunStatus::Completed).await?;
            return Ok(Done::Over);
        }
        for work in self.works.iter_mut() {
            pass_over(attempt, work).await?;
            settle(attempt, run, work).await?;
        }
        if run.approved_plan.is_some() {
            self.keep_to_the_plan(run).await?;
        } else if let Some(reason) = self.reason_to_ask(run).await? {
            if self.is_part {
                return Err(refuse_rounds(run, reason));
            }
            self.find_what_to_fill(run).await?;
            self.keep_plan(run).await?;
            self.end_unchanged(run, RunStatus::NeedsApproval).await?;
            run.error = reason;
            return Ok(Done::NeedsApproval);
        }
        self.tell_differences(run, Columns::Unknown).await?;
        for work in self.works.iter_mut() {
            note(attempt, work).await?;
        }
        let passes = Passes {
            attempt,
            session,
            ledger: &Ledger::new(run),
        };
        passes.over(self.works).await?;
        let reached = self.reached().await?;
        for at in 0..self.works.len() {
            self.conclude(run, at, &reached).await?;
        }
        self.withdraw(run, &reached);
        Ok(Done::Over)
    }

    async fn look(&mut self, run: &Run, is_planned: bool) -> Result<(), SyncError> {
        let look = Look {
            attempt: self.attempt,
            session: self.session,
            order: &run.order,
        };
        look.at_all(self.works, is_planned).await
    }

    /// A person also approves what empty tables are filled with.
    async fn find_what_to_fill(&mut self, run: &mut Run) -> Result<(), SyncError> {
        let is_empty = |work: &Work| matches!(work.stage, Stage::Empty);
        let empty: Vec<bool> = self.works.iter().map(is_empty).collect();
        self.look(run, true).await?;
        self.tell_found(run, |at| empty.get(at).is_some_and(|is| *is));
        for (work, was_empty) in self.works.iter_mut().zip(empty) {
            if was_empty {
                pass_over(self.attempt, work).await?;
            }
        }
        Ok(())
    }

    /// What was found, in the run's words; of those that `is_new` holds of it is told for the first time.
    fn tell_found(&self, run: &mut Run, is_new: impl Fn(usize) -> bool) {
        let mut plan = PlanHash::default();
        for (at, work) in self.works.iter().enumerate() {
            let Stage::Compared(compared) = &work.stage else {
                continue;
            };
            let changes = compared.found.changes;
            plan.add_table(&work.pull.target.name, compared.found.hash());
            if !is_new(at) {
                continue;
            }
            let bytes = self.session.bytes(&work.pull.source);
            run.progress.bytes += bytes;
            edit_table(run, &work.pull, |table| {
                table.rows_source = Some(compared.source.rows);
                table.rows_destination = Some(compared.here.rows);
                table.drift_before = Some(changes.written() + changes.skipped);
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
        let most = run.order.kept();
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
                refused: 0,
            };
            let rows = described(&carry, &mut compared.found, (columns, most)).await?;
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
            run.progress.tables_done += u64::from(status.is_final());
        }
        Ok(())
    }

    /// The tables of which rows may have changed after they were read, by what was done to others.
    async fn reached(&self) -> Result<Reached, SyncError> {
        let written: Vec<Written> = self.works.iter().filter_map(Work::written).collect();
        if written.is_empty() {
            return Ok(Reached::default());
        }
        let tables = self.attempt.ctx.driver.tables().await?;
        Ok(Reached::by(written, &tables))
    }

    /// Reads a table again. Where it is not as what was done leaves it, it is proved only if nothing is left to do.
    async fn see_again(&mut self, run: &Run, at: usize, proof: Proof) -> Result<Proof, SyncError> {
        let (attempt, session) = (self.attempt, self.session);
        let Some(work) = self.works.get_mut(at) else {
            return Ok(proof);
        };
        let (here, moment) = work.scan(attempt, session).await?;
        work.seen_at = moment;
        let seen = proof.seen(here.total());
        if seen.is_equal {
            return Ok(seen);
        }
        let root = session.first_sums(&work.pull.source, &work.meeting.agreed);
        let root = root.await?;
        let look = Look {
            attempt,
            session,
            order: &run.order,
        };
        look.compare(work, root, here).await?;
        Ok(match &work.stage {
            Stage::Compared(compared) => proof.compared_again(compared),
            _ => seen,
        })
    }

    /// What an earlier round proved, and this one may have changed, is proved no longer.
    fn withdraw(&self, run: &mut Run, reached: &Reached) {
        let is_here = |table: &RunTable| {
            let mut works = self.works.iter();
            works.any(|work| work.pull.target.name == table.table)
        };
        for table in &mut run.tables {
            if table.proved_equal == Some(true) && !is_here(table) && reached.has(&table.table) {
                table.proved_equal = Some(false);
                table.proved_at = None;
                table.status = RunStatus::CompletedWithErrors;
                table.error = Some(changed_since());
            }
        }
    }

    /// What was done to a table, and whether it is proved.
    async fn conclude(
        &mut self,
        run: &mut Run,
        at: usize,
        reached: &Reached,
    ) -> Result<(), SyncError> {
        let Some(work) = self.works.get_mut(at) else {
            return Ok(());
        };
        let (name, store) = (&work.pull.target.name, &self.attempt.ctx.store);
        let (rejected, now) = (std::mem::take(&mut work.rejected), Timestamp::now());
        store.set_quarantine(run.id, name, &rejected, now).await?;
        let failed = u64::try_from(rejected.len()).unwrap_or(u64::MAX);
        let mut proof = match &work.stage {
            Stage::Empty | Stage::Failed(_) => return Ok(()),
            Stage::Copied(rows) => Proof::of_copy(*rows, work.copied),
            Stage::Compared(compared) => {
                let mut proof = Proof::of_changes(compared, work.changes, work.left, failed);
                proof.changes.add(&work.copied);
                proof
            }
        };
        remember(self.attempt, work, now).await?;
        if proof.is_equal && reached.has(name) {
            proof = self.see_again(run, at, proof).await?;
        }
        let Some(work) = self.works.get_mut(at) else {
            return Ok(());
        };
        work.proof = Some(proof);
        if proof.is_equal {
            let kept = work.kept(run, &proof);
            let connection = self.attempt.connection.id;
            let name = &work.pull.target.name;
            let keeping = store.keep_proof(connection, name, &kept, work.seen_at);
            keeping.await?;
        }
        work.tell(run, &proof);
        run.progress.tables_done += 1;
        Ok(())
    }
}
