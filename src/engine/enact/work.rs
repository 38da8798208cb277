//! The order of a plan's changes, and the transactions they are done in.
//!
//! Inserts and updates as they come, those that do not fit again at the end, then deletes, then what waited for those.
//! Invariant: no transaction is larger than the job's budget, unless a single row is.

use std::collections::HashSet;

use bytes::Bytes;
use tokio::sync::watch;

use crate::engine::chunk::{Chunk, Room};
use crate::engine::driver::{Altered, ApplyProgress, EnactJob, Enacted};
use crate::engine::enact::target::Target;
use crate::engine::enact::verdict::{Doomed, Rules};
use crate::engine::error::EngineError;
use crate::engine::fault::{Refusal, RefusalKind};
use crate::engine::plan::{Change, Ending, LeftInPlace, PlanStream, Planned, Waiting};
use crate::engine::transaction::Transaction;
use crate::model::run::Changes;
use crate::wire::InvalidValue;

/// Bytes of changes that are done together, for each of them; a single one may have more.
const BYTES_OF_ONE: usize = 1 << 10;

/// What some changes did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) changes: Changes,
    pub(super) left: LeftInPlace,
    /// Keys of rows whose place was taken, or kept against a row that came.
    pub(super) replaced: Vec<Vec<u8>>,
}

/// Whether a change that does not fit is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Again {
    Later,
    Never,
}

/// Which changes wait together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pass {
    Writes,
    Deletes,
}

pub(super) struct Work<'t, T> {
    pub(super) target: &'t mut T,
    pub(super) rules: Rules,
    pub(super) doomed: Doomed,
    transaction: Transaction,
    /// Changes that came, and their bytes.
    piece: Vec<Change>,
    piece_bytes: usize,
    /// Inserts and updates that may fit once others are done.
    pub(super) held: Waiting,
    pub(super) deletes: Waiting,
    /// Where keys fold: rows that came and were refused, and the keys of those that stay because others are to come in
    /// their place.
    pub(super) refused: Vec<Bytes>,
    pub(super) spared: HashSet<Vec<u8>>,
    ending: Ending,
    again: Again,
    /// Changes that something has become of.
    pub(super) done: u64,
    enacted: Enacted,
    progress: watch::Sender<ApplyProgress>,
}

impl<'t, T: Target> Work<'t, T> {
    /// Nothing done yet.
    ///
    /// # Errors
    /// When the job makes no sense.
    pub(super) fn new(
        target: &'t mut T,
        mut job: EnactJob,
        progress: watch::Sender<ApplyProgress>,
    ) -> Result<Self, EngineError> {
        let mut waiting = std::mem::take(&mut job.waiting);
        let mut work = Self {
            target,
            rules: Rules::new(&job)?,
            doomed: Doomed::default(),
            transaction: Transaction::new(),
            piece: Vec::new(),
            piece_bytes: 0,
            held: Waiting::default(),
            deletes: Waiting::default(),
            refused: Vec::new(),
            spared: HashSet::new(),
            ending: job.ending,
            again: Again::Later,
            done: 0,
            enacted: Enacted::default(),
            progress,
        };
        for at in 0..waiting.len() {
            let Some(change) = waiting.get(at)? else {
                break;
            };
            work.enacted.rows += 1;
            if matches!(change, Change::Delete { .. }) {
                work.keep_delete(&change)?;
            } else {
                work.held.push(&change)?;
            }
        }
        Ok(work)
    }

    /// Takes the whole plan.
    pub(super) async fn consume(&mut self, mut plan: PlanStream) -> Result<(), EngineError> {
        loop {
            let waits = self.transaction.is_open() || !self.piece.is_empty();
            let next = if waits {
                let patience = T::LONGEST.saturating_sub(self.transaction.lasts());
                match tokio::time::timeout(patience.min(T::PATIENCE), plan.recv()).await {
                    Ok(next) => next,
                    Err(_) => {
                        self.flush().await?;
                        self.commit().await?;
                        continue;
                    }
                }
            } else {
                plan.recv().await
            };
            match next {
                Some(Ok(Planned::Changes(changes))) => self.take(changes).await?,
                Some(Ok(Planned::Unfit(rows))) => self.refused.extend(rows),
                Some(Ok(Planned::End)) => return self.flush().await,
                Some(Err(err)) => return Err(err),
                None => return Err(EngineError::Cut(self.target.job().table.name.clone())),
            }
        }
    }

    /// What waits for others, and the end.
    pub(super) async fn conclude(mut self) -> Result<Enacted, EngineError> {
        self.doomed.complete = true;
        self.repeat(Pass::Writes).await?;
        if self.rules.deletes() {
            self.spare().await?;
            self.repeat(Pass::Deletes).await?;
            // Deletes make room.
            self.repeat(Pass::Writes).await?;
        }
        self.commit().await?;
        self.swap().await?;
        match self.ending {
            Ending::GiveBack => {
                let held = std::mem::take(&mut self.held);
                self.spare().await?;
                self.held = held;
                for at in 0..self.deletes.len() {
                    match self.deletes.get(at)? {
                        Some(change) if self.stays(&change) => self.done += 1,
                        Some(change) => self.held.push(&change)?,
                        None => break,
                    }
                }
                self.enacted.waiting = std::mem::take(&mut self.held);
            }
            Ending::Refuse => {
                self.again = Again::Never;
                self.once(Pass::Writes).await?;
                if self.rules.deletes() {
                    self.spare().await?;
                    self.once(Pass::Deletes).await?;
                } else {
                    self.leave_deletes()?;
                }
            }
        }
        self.commit().await?;
        self.target.finish().await?;
        Ok(self.enacted)
    }

    async fn take(&mut self, changes: Vec<Change>) -> Result<(), EngineError> {
        let budget = self.target.job().budget;
        let most = usize::try_from(budget.transaction_rows).unwrap_or(usize::MAX);
        let most = most.clamp(1, T::PIECE_ROWS);
        for change in changes {
            self.enacted.rows += 1;
            if matches!(change, Change::Delete { .. }) {
                self.keep_delete(&change)?;
                continue;
            }
            if self.piece_bytes + change.size() > T::PIECE_ROWS * BYTES_OF_ONE {
                self.flush().await?;
            }
            self.piece_bytes += change.size();
            self.piece.push(change);
            if self.piece.len() >= most {
                self.flush().await?;
            }
        }
        self.tell();
        Ok(())
    }

    /// Deletes wait for the end; where none is done and none is asked about, they are only counted.
    fn keep_delete(&mut self, change: &Change) -> Result<(), EngineError> {
        if let Change::Delete { key, here } = change
            && self.target.is_folded()
        {
            self.doomed.keys.insert(key.to_vec(), *here);
        } else if !self.rules.deletes() {
            self.leave(change);
            return Ok(());
        }
        self.deletes.push(change)
    }

    async fn flush(&mut self) -> Result<(), EngineError> {
        self.piece_bytes = 0;
        let piece = std::mem::take(&mut self.piece);
        self.step(piece).await
    }

    /// Does some changes, in a transaction that has room for them.
    async fn step(&mut self, piece: Vec<Change>) -> Result<(), EngineError> {
        if piece.is_empty() {
            return Ok(());
        }
        let size = |number| u64::try_from(number).unwrap_or(u64::MAX);
        let (rows, bytes) = (
            size(piece.len()),
            size(piece.iter().map(Change::size).sum()),
        );
        let room = self.room();
        if room.rows < rows || room.bytes < bytes {
            self.commit().await?;
        }
        self.begin().await?;
        self.transaction.add(rows, bytes);
        self.halve(piece).await?;
        let room = self.room();
        if room.rows == 0 || room.bytes == 0 || self.transaction.lasts() >= T::LONGEST {
            self.commit().await?;
        }
        Ok(())
    }

    fn room(&self) -> Room {
        let budget = self.target.job().budget;
        self.transaction.room(budget, &Chunk::default(), u64::MAX)
    }

    /// Tries changes that wait as long as that gets some of them done.
    async fn repeat(&mut self, pass: Pass) -> Result<(), EngineError> {
        // Backwards first: rows that each point to the next one all fit in one pass that way.
        let mut backwards = pass == Pass::Writes;
        loop {
            let before = self.waiting(pass).len();
            if backwards {
                self.waiting(pass).reverse()?;
            }
            self.once(pass).await?;
            // Changes keep the order they came in, whichever way they were tried.
            if backwards {
                self.waiting(pass).reverse()?;
            }
            if self.waiting(pass).len() == before {
                return Ok(());
            }
            backwards = !backwards;
        }
    }

    /// Tries changes that wait; those that still do not fit wait on, or are refused.
    async fn once(&mut self, pass: Pass) -> Result<(), EngineError> {
        let mut current = std::mem::take(self.waiting(pass));
        let most = usize::try_from(self.target.job().budget.transaction_rows).unwrap_or(usize::MAX);
        let (mut piece, mut bytes) = (Vec::new(), 0);
        for at in 0..current.len() {
            let Some(change) = current.get(at)? else {
                break;
            };
            if self.is_replaced(&change) {
                self.done += 1;
                continue;
            }
            if self.stays(&change) {
                self.deletes.push(&change)?;
                continue;
            }
            bytes += change.size();
            piece.push(change);
            if piece.len() >= most.clamp(1, T::PIECE_ROWS) || bytes >= T::PIECE_ROWS * BYTES_OF_ONE
            {
                self.step(std::mem::take(&mut piece)).await?;
                bytes = 0;
            }
        }
        self.step(piece).await
    }

    fn waiting(&mut self, pass: Pass) -> &mut Waiting {
        match pass {
            Pass::Writes => &mut self.held,
            Pass::Deletes => &mut self.deletes,
        }
    }

    /// Opens a transaction unless one is open.
    pub(super) async fn begin(&mut self) -> Result<(), EngineError> {
        if !self.transaction.is_open() {
            self.target.begin().await?;
            self.transaction.begin();
        }
        Ok(())
    }

    pub(super) async fn commit(&mut self) -> Result<(), EngineError> {
        if self.transaction.end().is_some() {
            self.target.commit().await?;
            self.tell_committed();
        }
        Ok(())
    }

    fn tell(&self) {
        let rows = self.enacted.rows;
        self.progress.send_modify(|told| told.rows_taken = rows);
    }

    fn tell_committed(&self) {
        self.progress.send_replace(ApplyProgress {
            rows_taken: self.enacted.rows,
            rows_committed: self.done,
            changes: self.enacted.changes,
        });
    }

    /// So many changes are done.
    pub(super) fn count(&mut self, outcome: Outcome, changes: usize) {
        self.done += u64::try_from(changes).unwrap_or(u64::MAX);
        self.enacted.changes.add(&outcome.changes);
        self.enacted.left.add(&outcome.left);
        for key in outcome.replaced {
            self.doomed.keys.remove(&key);
        }
    }

    /// A change that does not fit waits if it may fit later, and is refused if not.
    pub(super) fn put_back(
        &mut self,
        change: &Change,
        refusal: Refusal,
    ) -> Result<(), EngineError> {
        if refusal.may_fit_later() && self.again == Again::Later {
            let pass = match change {
                Change::Delete { .. } => Pass::Deletes,
                Change::Insert { .. } | Change::Update { .. } => Pass::Writes,
            };
            return self.waiting(pass).push(change);
        }
        self.done += 1;
        let row = self
            .rules
            .row_of(change)
            .map_err(|err| self.malformed(&err))?;
        if refusal.kind == RefusalKind::Altered {
            self.enacted.altered.push(Altered {
                place: self.enacted.rejected.len(),
                here: change.here(),
                there: change.row().and_then(|row| self.rules.hash(row).ok()),
            });
        }
        if let Change::Insert { row } = change
            && self.target.is_folded()
        {
            self.refused.push(row.clone());
        }
        let job = self.target.job();
        job.reject(&mut self.enacted.rejected, &row, refusal)
    }

    pub(super) fn malformed(&self, err: &InvalidValue) -> EngineError {
        self.target.job().malformed(err)
    }
}
