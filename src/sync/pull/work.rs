//! One table of a run that proves: how far it is, and what was done to it.
//!
//! Invariant: its transfer is written down once it begins and once it ends, whatever ends it.

use std::sync::Arc;

use jiff::Timestamp;

use crate::engine::driver::RowFilter;
use crate::engine::plan::{LeftInPlace, Waiting};
use crate::engine::tally::Tally;
use crate::model::fault::FaultCode;
use crate::model::run::{Changes, QuarantinedRow, Run, RunStatus, RunTable, SyncMode, Transfer};
use crate::store::{AlteredRow, KeptProof};
use crate::sync::contract::refuse;
use crate::sync::pull::differ::Compared;
use crate::sync::pull::feed::Received;
use crate::sync::pull::follow::{Changed, Written};
use crate::sync::pull::found::Found;
use crate::sync::pull::meeting::Meeting;
use crate::sync::pull::plan::TablePull;
use crate::sync::pull::proof::Proof;
use crate::sync::pull::report::edit_table;
use crate::sync::pull::session::Session;
use crate::sync::pull::{Attempt, table};
use crate::sync::receipt::{Proved, sign_as_destination};
use crate::sync::retry::assess;
use crate::sync::scan::Scan;
use crate::sync::{SyncError, spool_budget};
use crate::wire::frame::RowSum;
use crate::wire::messages::StreamFaultCode;
use crate::wire::receipt::Receipt;
use crate::wire::session::AskedTable;
use crate::wire::tally::TallyKey;

/// Tables that are looked at together: as many as a peer scans at once. They share what comparing may take of the memory.
pub(super) const AT_ONCE: usize = 2;

/// One table of the run.
pub(super) struct Work {
    pub(super) pull: TablePull,
    pub(super) meeting: Meeting,
    pub(super) transfer: Transfer,
    pub(super) received: Arc<Received>,
    pub(super) stage: Stage,
    /// The last proof, of an earlier run.
    pub(super) before: Option<KeptProof>,
    /// What this one depends on.
    pub(super) basis: String,
    pub(super) scope: String,
    /// Rows that attempts before this one wrote.
    pub(super) earlier: Changes,
    /// What was copied into the empty table.
    pub(super) copied: Changes,
    /// What was done so far of what was found.
    pub(super) changes: Changes,
    pub(super) left: LeftInPlace,
    pub(super) rejected: Vec<QuarantinedRow>,
    /// Those of them of which this database makes something else.
    pub(super) altered: Vec<AlteredRow>,
    pub(super) waiting: Waiting,
    pub(super) deletions: Deletions,
    /// When the table was read, or the last of its rows read back before a commit.
    pub(super) seen_at: Timestamp,
    /// Once it is over.
    pub(super) proof: Option<Proof>,
}

/// How far a table is.
pub(super) enum Stage {
    /// It is empty here and will be copied as a whole.
    Empty,
    /// What differs is known.
    Compared(Box<Compared>),
    /// It was copied, and both sides have these rows.
    Copied(RowSum),
    /// It cannot be compared or written, and those beside it can.
    Failed(SyncError),
}

/// What is known of the deletions of this attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deletions {
    /// None is noted.
    None,
    /// They are noted, and those that were made are counted.
    Noted,
    /// They are noted, and are being made.
    UnderWay,
}

impl Work {
    /// Begins with a table.
    ///
    /// # Errors
    /// When it cannot be pulled as the run is to, or our own state's.
    pub(super) async fn begin(
        attempt: &Attempt<'_>,
        run: &mut Run,
        pull: TablePull,
        key: &TallyKey,
    ) -> Result<Self, SyncError> {
        let ctx = attempt.ctx;
        let meeting = Meeting::of(&pull, ctx.driver.engine(), run.order.sync_mode)?;
        refuse_unknown_deletes(run, &pull, &meeting)?;
        refuse_unknown_version(run, &pull)?;
        let before = ctx
            .store
            .proof(attempt.connection.id, &pull.target.name)
            .await?;
        let transfer = table::begin(run, attempt.connection, &pull);
        ctx.store.insert_transfer(&transfer).await?;
        let mut earlier = Changes::default();
        edit_table(run, &pull, |table| {
            earlier = written_before(table);
            table.changes = earlier;
            table.status = RunStatus::Running;
        });
        let (basis, scope) = meeting.basis(&pull, run, key);
        Ok(Self {
            pull,
            meeting,
            transfer,
            received: Arc::default(),
            stage: Stage::Empty,
            before,
            basis,
            scope,
            earlier,
            copied: Changes::default(),
            changes: Changes::default(),
            left: LeftInPlace::default(),
            rejected: Vec::new(),
            altered: Vec::new(),
            waiting: Waiting::default(),
            deletions: Deletions::None,
            seen_at: Timestamp::now(),
            proof: None,
        })
    }

    /// The rows here that stand beside the source's, and the moment they are of.
    pub(super) async fn scan(
        &self,
        attempt: &Attempt<'_>,
        session: &Session<'_>,
    ) -> Result<(Arc<Tally>, Timestamp), SyncError> {
        let ctx = attempt.ctx;
        let selection = self.meeting.selection(&self.pull, RowFilter::All);
        let rows = ctx.driver.read(selection).await?;
        let moment = Timestamp::now();
        let mut budget = spool_budget(ctx);
        budget.memory /= AT_ONCE;
        let scan = Scan {
            table: self.pull.target.name.clone(),
            mask: None,
            normal: self.meeting.ours.clone(),
            tally: Tally::new(session.key().clone(), self.meeting.key_fields(), budget),
        };
        let tally = scan.run(rows, Arc::default()).await?;
        Ok((Arc::new(tally), moment))
    }

    /// What was done to the table, as far as others may have followed it; one that failed may have committed anything.
    pub(super) fn written(&self) -> Option<Written> {
        let has_failed = matches!(self.stage, Stage::Failed(_));
        let mut changes = self.changes;
        changes.add(&self.copied);
        if !has_failed && changes.written() == 0 {
            return None;
        }
        let columns = if !has_failed && changes.updated == 0 {
            Changed::Only(Vec::new())
        } else if self.meeting.folds {
            Changed::AllBut(Vec::new())
        } else {
            let columns = &self.pull.contract.target;
            let key = self.meeting.key.iter().filter_map(|at| columns.get(*at));
            Changed::AllBut(key.map(|column| column.name.clone()).collect())
        };
        Some(Written {
            table: self.pull.target.name.clone(),
            columns,
        })
    }

    /// What is left in place, where the last proof still explains all that differs.
    pub(super) fn as_before(&self, source: RowSum, here: RowSum) -> Option<Compared> {
        let before = self.before.as_ref()?;
        let rows = |(rows, sum)| RowSum { rows, sum };
        let left = LeftInPlace {
            here: rows(before.left_here),
            there: rows(before.left_there),
        };
        let holds = before.basis == self.basis && left.proves(source, here);
        holds.then(|| Compared {
            source,
            here,
            unlike: left.there.rows,
            found: Found::as_before(left, before.skipped, before.conflicts),
        })
    }

    pub(super) fn kept(&self, run: &Run, proof: &Proof) -> KeptProof {
        let rows = |rows: RowSum| (rows.rows, rows.sum);
        KeptProof {
            run: run.id,
            basis: self.basis.clone(),
            scope: self.scope.clone(),
            left_here: rows(proof.left.here),
            left_there: rows(proof.left.there),
            // A row that was merged, and is still another than the source's, stays so from now on.
            skipped: proof.left.there.rows,
            conflicts: proof.changes.conflicts,
        }
    }

    /// What both sites are to sign, where the table was proved.
    pub(super) fn receipt(
        &self,
        attempt: &Attempt<'_>,
        run: &Run,
        session: &Session<'_>,
    ) -> Option<Receipt> {
        let proof = self.proof.filter(|proof| proof.is_equal)?;
        let asked = AskedTable {
            table: self.pull.source.clone(),
            filter: self.pull.filter.clone(),
        };
        let proved = Proved {
            run_id: run.id,
            opened: session.opened(),
            asked: &asked,
            agreed: &self.meeting.agreed,
            source: proof.source,
            table: &self.pull.target.name,
            read_point: &self.seen_at.to_string(),
            destination: proof.here,
            sync_mode: run.order.sync_mode,
            changes: proof.changes,
            left: proof.left,
            proved_at: self.seen_at,
        };
        sign_as_destination(attempt.ctx, attempt.connection, &proved)
    }

    /// Tells the proof of the run's table.
    pub(super) fn tell(&self, run: &mut Run, proof: &Proof) {
        edit_table(run, &self.pull, |table| {
            proof.tell(table, self.seen_at);
            table.changes.add(&self.earlier);
        });
    }

    /// Lets a fault that is of this table alone be its own.
    ///
    /// # Errors
    /// Any other.
    pub(super) fn or_failed(&mut self, done: Result<(), SyncError>) -> Result<(), SyncError> {
        match done {
            Err(err) if is_of_one_table(&err) => {
                self.stage = Stage::Failed(err);
                Ok(())
            }
            done => done,
        }
    }

    /// Writes down what became of the table and of its transfer; its own fault, if it has one.
    ///
    /// # Errors
    /// Our own state's.
    pub(super) async fn finish(
        mut self,
        attempt: &Attempt<'_>,
        run: &mut Run,
        fault: Option<&SyncError>,
    ) -> Result<Option<SyncError>, SyncError> {
        let fault = match &self.stage {
            Stage::Failed(own) => Some(own),
            _ => fault,
        };
        let (transfer, now) = (&mut self.transfer, Timestamp::now());
        edit_table(run, &self.pull, |table| {
            if let Some(err) = fault
                && !table.status.is_final()
            {
                table.status = table::ended_by(err);
                table.error = Some(assess(err).0);
            }
            transfer.status = table.status;
            transfer.error.clone_from(&table.error);
            transfer.changes = self.copied;
            transfer.changes.add(&self.changes);
            if fault.is_some() {
                // What was committed of a pass that broke off was told of the run.
                transfer.changes = table.changes.less(&self.earlier);
            }
            transfer.bytes_on_wire = table.bytes_on_wire;
            transfer.rows = self.received.rows();
        });
        transfer.completed_at = Some(now);
        let store = &attempt.ctx.store;
        store.finish_transfer(transfer).await?;
        // What broke off while it deleted may have committed what it could not tell.
        if self.deletions == Deletions::Noted {
            store.settle(transfer.id, &transfer.changes).await?;
        }
        Ok(match self.stage {
            Stage::Failed(own) => Some(own),
            _ => None,
        })
    }
}

/// Whether a fault is of the one table it was met at.
pub(super) fn is_of_one_table(err: &SyncError) -> bool {
    let error = assess(err).0;
    error.code == StreamFaultCode::ReadDenied.as_str()
        || error.known_code().is_some_and(FaultCode::is_of_one_table)
}

/// What attempts that broke off committed; what only was to be done, and waited for a person, is none of it.
fn written_before(table: &RunTable) -> Changes {
    let Changes {
        added,
        updated,
        deleted,
        ..
    } = table.changes;
    match table.status {
        RunStatus::NeedsApproval => Changes::default(),
        _ => Changes {
            added,
            updated,
            deleted,
            ..Changes::default()
        },
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

/// What `newest` goes by has to travel, and to be here.
fn refuse_unknown_version(run: &Run, pull: &TablePull) -> Result<(), SyncError> {
    let name = &pull.target.name;
    let Some(version) = run.order.version_column(name) else {
        return Ok(());
    };
    let mut columns = pull.contract.target.iter();
    if columns.any(|column| column.name == version) {
        return Ok(());
    }
    Err(refuse(
        name,
        FaultCode::UnknownColumn,
        format!("its version column {version} is not among the columns that come from the peer"),
        "name a column that both sites have: --version-column",
    ))
}
