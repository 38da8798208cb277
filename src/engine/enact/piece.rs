//! Some changes done together: looked at under a lock, judged, written, and read back.
//!
//! Invariant: all of them are done, or nothing is.

use std::collections::{BTreeMap, HashMap, HashSet};

use bytes::Bytes;

use crate::engine::enact::target::{Effect, Look, Pointer, Target};
use crate::engine::enact::verdict::{Meant, Verdict};
use crate::engine::enact::work::{Outcome, Work};
use crate::engine::error::EngineError;
use crate::engine::fault::{Fault, Refusal, RefusalKind};
use crate::engine::plan::Change;
use crate::wire::InvalidValue;

pub(super) const SAVE: &str = "savepoint evenkeel_piece";
const KEEP: &str = "release savepoint evenkeel_piece";
pub(super) const UNDO: &str =
    "rollback to savepoint evenkeel_piece; release savepoint evenkeel_piece";

const SAVE_ROW: &str = "savepoint evenkeel_row";
const KEEP_ROW: &str = "release savepoint evenkeel_row";
const UNDO_ROW: &str = "rollback to savepoint evenkeel_row; release savepoint evenkeel_row";

/// So few that do not fit as one are tried one by one.
const SINGLY: usize = 32;

/// Changes at fault, by their places.
pub(super) type Faults = Vec<(usize, Refusal)>;

/// What became of changes that were tried together.
pub(super) enum Attempt {
    Done(Outcome),
    /// Nothing was done, because of these.
    Undone(Faults),
}

/// How much is asked of why a row does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reasons {
    All,
    /// What the database says by itself.
    Plain,
}

/// What is known of rows that are to be inserted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// They are not here: the plan says so, and if it is wrong the database will tell.
    Plan,
    Nothing,
}

/// Changes by what is to be done; each with its place among those that were given.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    pub(super) outcome: Outcome,
    pub(super) updates: Vec<(usize, Meant)>,
    pub(super) inserts: Vec<(usize, Meant)>,
    pub(super) deletes: Vec<(usize, Bytes)>,
    pub(super) faults: Faults,
}

impl<T: Target> Work<'_, T> {
    /// Does what can be done of `changes`, in ever smaller ranges; those at fault wait or are refused.
    pub(super) async fn halve(&mut self, changes: Vec<Change>) -> Result<(), EngineError> {
        let mut trust = self.trust();
        let mut ranges = vec![changes];
        while let Some(mut range) = ranges.pop() {
            match self.attempt(&range, trust).await {
                Ok(Attempt::Done(outcome)) => self.count(outcome, range.len()),
                Ok(Attempt::Undone(faults)) => ranges.push(self.without(range, faults)?),
                Err(Fault::Engine(err)) => return Err(err),
                // Some of them may be here after all.
                Err(Fault::Row(_)) if trust == Trust::Plan => {
                    trust = Trust::Nothing;
                    ranges.push(range);
                }
                Err(Fault::Row(refusal)) => {
                    let faults = if range.len() <= SINGLY {
                        self.diagnose(&range).await?
                    } else {
                        Faults::new()
                    };
                    if let ([], [only]) = (faults.as_slice(), range.as_slice()) {
                        self.put_back(only, refusal)?;
                    } else if faults.is_empty() {
                        let second = range.split_off(range.len() / 2);
                        ranges.extend([second, range]);
                    } else {
                        ranges.push(self.without(range, faults)?);
                    }
                }
            }
            ranges.retain(|range| !range.is_empty());
        }
        Ok(())
    }

    fn trust(&self) -> Trust {
        let is_plain = self.target.inserts_plainly() && self.rules.inserts();
        if is_plain {
            Trust::Plan
        } else {
            Trust::Nothing
        }
    }

    /// The changes that are not at fault.
    fn without(
        &mut self,
        changes: Vec<Change>,
        mut faults: Faults,
    ) -> Result<Vec<Change>, EngineError> {
        faults.sort_by_key(|(at, _)| *at);
        let mut faults = faults.into_iter().peekable();
        let mut rest = Vec::with_capacity(changes.len());
        for (at, change) in changes.into_iter().enumerate() {
            match faults.next_if(|(fault, _)| *fault == at) {
                Some((_, refusal)) => self.put_back(&change, refusal)?,
                None => rest.push(change),
            }
        }
        Ok(rest)
    }

    /// Does `changes` as one.
    async fn attempt(&mut self, changes: &[Change], trust: Trust) -> Result<Attempt, Fault> {
        self.target.run(SAVE).await?;
        let result = self.done(changes, trust).await;
        match &result {
            Ok(Attempt::Done(_)) => self.target.run(KEEP).await?,
            Ok(Attempt::Undone(_)) | Err(Fault::Row(_)) => self.target.run(UNDO).await?,
            Err(Fault::Engine(_)) => {}
        }
        result
    }

    async fn done(&mut self, changes: &[Change], trust: Trust) -> Result<Attempt, Fault> {
        let mut sorted = self.sort(changes, trust).await?;
        if !sorted.faults.is_empty() {
            return Ok(Attempt::Undone(sorted.faults));
        }
        // A unique value may become free by the first.
        for (effect, rows) in [
            (Effect::Update, meant(&sorted.updates)),
            (Effect::Insert, meant(&sorted.inserts)),
            (
                Effect::Delete,
                sorted.deletes.iter().map(|(_, row)| row.clone()).collect(),
            ),
        ] {
            if rows.is_empty() {
                continue;
            }
            if let Some(told) = self.target.write(effect, &rows).await? {
                match effect {
                    Effect::Update => self.confirm(&mut sorted.updates, &told),
                    Effect::Insert => self.confirm(&mut sorted.inserts, &told),
                    Effect::Delete | Effect::Park => {}
                }
            }
        }
        let faults = self.read_back(&sorted).await?;
        Ok(if faults.is_empty() {
            Attempt::Done(sorted.outcome)
        } else {
            Attempt::Undone(faults)
        })
    }

    /// Locks and looks, and decides.
    pub(super) async fn sort(&mut self, changes: &[Change], trust: Trust) -> Result<Sorted, Fault> {
        let rows: Result<Vec<Bytes>, _> = changes
            .iter()
            .map(|change| self.rules.row_of(change))
            .collect();
        let rows = rows.map_err(|err| self.malformed(&err))?;
        let rules = &self.rules;
        let is_trusted = |change: &Change| {
            let is_insert = matches!(change, Change::Insert { .. });
            !rules.looks_for(change) || trust == Trust::Plan && is_insert
        };
        let pairs = changes.iter().zip(&rows);
        let doubted: Vec<Bytes> = pairs
            .filter(|(change, _)| !is_trusted(change))
            .map(|(_, row)| row.clone())
            .collect();
        let mut found = if doubted.is_empty() {
            Vec::new()
        } else {
            self.target.look(Look::Decide, &doubted).await?
        }
        .into_iter();
        let mut sorted = Sorted::default();
        let mut replaced = HashSet::new();
        for (at, (change, row)) in changes.iter().zip(rows).enumerate() {
            let local = if is_trusted(change) {
                None
            } else {
                found.next().flatten()
            };
            let verdict = self.rules.judge(change, local.as_ref(), &self.doomed);
            let outcome = &mut sorted.outcome;
            match verdict.map_err(|err| self.malformed(&err))? {
                Verdict::Insert(meant) => {
                    outcome.changes.added += 1;
                    sorted.inserts.push((at, meant));
                }
                // One row's place is not for two.
                Verdict::Update(
                    Meant {
                        replaces: Some(key),
                        ..
                    },
                    _,
                )
                | Verdict::Left(_, _, Some(key))
                    if !replaced.insert(key.clone()) =>
                {
                    sorted.faults.push((at, self.doomed.collision()));
                }
                Verdict::Update(meant, left) => {
                    outcome.changes.updated += 1;
                    // Merged, it is still another than the source's.
                    outcome.changes.conflicts += left.there.rows;
                    outcome.left.add(&left);
                    outcome.replaced.extend(meant.replaces.clone());
                    sorted.updates.push((at, meant));
                }
                Verdict::Delete => {
                    outcome.changes.deleted += 1;
                    sorted.deletes.push((at, row));
                }
                Verdict::Moved => outcome.changes.moved += 1,
                Verdict::Left(changes, left, stays) => {
                    outcome.changes.add(&changes);
                    outcome.left.add(&left);
                    outcome.replaced.extend(stays);
                }
                Verdict::Refused(refusal) => sorted.faults.push((at, refusal)),
            }
        }
        self.refuse_referenced(&mut sorted).await?;
        Ok(sorted)
    }

    /// A row whose deletion would delete or empty rows that are not deleted with it stays.
    async fn refuse_referenced(&mut self, sorted: &mut Sorted) -> Result<(), Fault> {
        if sorted.deletes.is_empty() {
            return Ok(());
        }
        let rows: Vec<Bytes> = sorted.deletes.iter().map(|(_, row)| row.clone()).collect();
        let pointing = self.target.pointing(&rows).await?;
        let blocked = self
            .blocked(&rows, pointing)
            .map_err(|err| self.malformed(&err))?;
        for (place, table) in blocked {
            let Some((at, _)) = sorted.deletes.get(place) else {
                continue;
            };
            let refusal = Refusal {
                column: None,
                reason: format!(
                    "still_referenced: rows of {table} that stay point to it, and would be deleted or emptied with it"
                ),
                // They may be among the rows that are deleted after it.
                kind: RefusalKind::Passing,
            };
            sorted.faults.push((*at, refusal));
        }
        Ok(())
    }

    /// Which of `rows` are pointed to by rows that stay, directly or by others of them that have to stay for it.
    fn blocked(
        &self,
        rows: &[Bytes],
        pointing: Vec<(usize, Pointer)>,
    ) -> Result<BTreeMap<usize, String>, InvalidValue> {
        let mut places = HashMap::with_capacity(rows.len());
        for (place, row) in rows.iter().enumerate() {
            places.insert(self.rules.key_of(row)?, place);
        }
        let mut blocked = BTreeMap::new();
        let mut pointed: HashMap<usize, Vec<usize>> = HashMap::new();
        for (place, pointer) in pointing {
            let table = match pointer {
                Pointer::Other(table) => table,
                Pointer::Own(row) => {
                    if let Some(by) = places.get(&self.rules.key_of(&row)?) {
                        pointed.entry(*by).or_default().push(place);
                        continue;
                    }
                    self.target.job().table.name.to_string()
                }
            };
            blocked.insert(place, table);
        }
        let mut new: Vec<(usize, String)> = blocked.clone().into_iter().collect();
        while let Some((by, table)) = new.pop() {
            for place in pointed.remove(&by).unwrap_or_default() {
                if blocked.insert(place, table.clone()).is_none() {
                    new.push((place, table.clone()));
                }
            }
        }
        Ok(blocked)
    }

    /// Which of `changes`, that cannot be done as one, do not fit: one after the other, and nothing of it stays.
    async fn diagnose(&mut self, changes: &[Change]) -> Result<Faults, EngineError> {
        self.target.run(SAVE).await?;
        let faults = match self.sort(changes, Trust::Nothing).await {
            Ok(sorted) if sorted.faults.is_empty() => self.each(&sorted, Reasons::All).await,
            Ok(sorted) => Ok(sorted.faults),
            Err(fault) => Err(fault),
        };
        self.target.run(UNDO).await?;
        match faults {
            Ok(faults) => Ok(faults),
            // A key that cannot even be looked at: smaller ranges will tell which.
            Err(Fault::Row(_)) => Ok(Faults::new()),
            Err(Fault::Engine(err)) => Err(err),
        }
    }

    /// Writes row by row; those that did not fit.
    pub(super) async fn each(
        &mut self,
        sorted: &Sorted,
        reasons: Reasons,
    ) -> Result<Faults, Fault> {
        let mut unfit = Faults::new();
        let updates = sorted
            .updates
            .iter()
            .map(|(at, meant)| (Effect::Update, at, &meant.row));
        let inserts = sorted
            .inserts
            .iter()
            .map(|(at, meant)| (Effect::Insert, at, &meant.row));
        let deletes = sorted
            .deletes
            .iter()
            .map(|(at, row)| (Effect::Delete, at, row));
        for (effect, at, row) in updates.chain(inserts).chain(deletes) {
            self.target.run(SAVE_ROW).await?;
            match self.target.write(effect, std::slice::from_ref(row)).await {
                Ok(_) => self.target.run(KEEP_ROW).await?,
                Err(Fault::Row(mut refusal)) => {
                    self.target.run(UNDO_ROW).await?;
                    if reasons == Reasons::All {
                        self.target.run(SAVE_ROW).await?;
                        refusal = self.target.explain(effect, row, refusal).await?;
                        self.target.run(UNDO_ROW).await?;
                    }
                    unfit.push((*at, refusal));
                }
                Err(fault) => return Err(fault),
            }
        }
        Ok(unfit)
    }
}

/// The rows alone.
pub(super) fn meant(rows: &[(usize, Meant)]) -> Vec<Bytes> {
    rows.iter().map(|(_, meant)| meant.row.clone()).collect()
}
