//! Rows of which the destination makes something else: remembered by what they are on both sides, told by every run, and
//! not written again until either changes.
//!
//! One memory per table and connection, as with the last proof. Invariant: a row that is passed over differs exactly as it
//! did when it was written last, in a table with the same columns and triggers.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use crate::engine::driver::Enacted;
use crate::model::run::QuarantinedRow;
use crate::store::AlteredRow;
use crate::sync::SyncError;
use crate::sync::compare::Difference;
use crate::sync::plan::Effect;
use crate::sync::pull::Attempt;
use crate::sync::pull::found::Entry;
use crate::sync::pull::work::{Stage, Work};
use crate::wire::tally::RowHash;

/// What is told besides of a row that is passed over.
const PASSED_OVER: &str = "; it was not written again, because neither side has changed it since";

/// Takes out of what was found of a table the rows that need not be written again.
///
/// # Errors
/// Our own state's.
pub(super) async fn pass_over(attempt: &Attempt<'_>, work: &mut Work) -> Result<(), SyncError> {
    let basis = basis(work);
    let Stage::Compared(compared) = &mut work.stage else {
        return Ok(());
    };
    if compared.found.is_nothing() {
        return Ok(());
    }
    let (store, name) = (&attempt.ctx.store, &work.pull.target.name);
    let kept = store.altered(attempt.connection.id, name, &basis).await?;
    if kept.is_empty() {
        return Ok(());
    }
    let kept = kept.into_iter().map(|row| ((row.here, row.there), row));
    let kept: HashMap<_, _> = kept.collect();
    // Where keys fold, what comes has to be seen for a row to keep its place.
    let folds = work.meeting.folds;
    let may_be = |entry: &Entry| {
        entry.effect != Effect::Leave
            && !(folds && matches!(entry.difference, Difference::OnlyThere(_)))
    };
    let found = std::mem::take(&mut compared.found);
    let (rest, _) = found.only(|entry| match kept.get(&sides(entry.difference)) {
        Some(row) if may_be(entry) => {
            let mut told = row.told.clone();
            told.reason.push_str(PASSED_OVER);
            work.rejected.push(told);
            work.altered.push(row.clone());
            false
        }
        _ => true,
    })?;
    compared.found = rest;
    Ok(())
}

/// Those of what was enacted.
pub(super) fn altered(enacted: &Enacted) -> impl Iterator<Item = AlteredRow> {
    let hash = |hash: Option<RowHash>| hash.map(|hash| hash.0);
    enacted.altered.iter().filter_map(move |altered| {
        let told: &QuarantinedRow = enacted.rejected.get(altered.place)?;
        Some(AlteredRow {
            here: hash(altered.here),
            there: hash(altered.there),
            told: told.clone(),
        })
    })
}

/// Remembers those of one table, and no others.
///
/// # Errors
/// Our own state's.
pub(super) async fn remember(
    attempt: &Attempt<'_>,
    work: &Work,
    now: Timestamp,
) -> Result<(), SyncError> {
    let (connection, name) = (attempt.connection.id, &work.pull.target.name);
    let basis = basis(work);
    // What becomes of one of several equal rows becomes of each.
    let mut seen = HashSet::new();
    let once = work
        .altered
        .iter()
        .filter(|row| seen.insert((row.here, row.there)));
    let altered: Vec<AlteredRow> = once.cloned().collect();
    let rows = (basis.as_str(), altered.as_slice());
    let keeping = attempt.ctx.store.keep_altered(connection, name, rows, now);
    Ok(keeping.await?)
}

/// All that the hashes depend on, and what the table makes of its rows, as far as the catalogue tells.
fn basis(work: &Work) -> String {
    let table = &work.pull.target;
    let form = format!("{:?} {:?}", table.columns, table.triggers);
    let form = blake3::hash(form.as_bytes()).to_hex();
    format!("{} {form}", work.basis)
}

fn sides(difference: Difference) -> (Option<u128>, Option<u128>) {
    match difference {
        Difference::OnlyThere(there) => (None, Some(there.0)),
        Difference::OnlyHere(here) => (Some(here.0), None),
        Difference::Differs { here, there } => (Some(here.0), Some(there.0)),
    }
}
