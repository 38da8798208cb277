//! Whether what was found may be done, and what a person approved of it.
//!
//! Invariant: nothing is written before this was asked about every table of the run; of an approved plan only rows are
//! touched that stand as they stood when it was made.

use jiff::{SignedDuration, Timestamp};

use crate::engine::EngineError;
use crate::model::fault::FaultCode;
use crate::model::guard::Deletions;
use crate::model::run::{Changes, Run, RunError, SyncMode};
use crate::store::KeptProof;
use crate::sync::SyncError;
use crate::sync::compare::Difference;
use crate::sync::plan::Effect;
use crate::sync::pull::Attempt;
use crate::sync::pull::differ::Compared;
use crate::sync::pull::found::{Found, Marks};
use crate::sync::pull::plan::TablePull;
use crate::wire::frame::RowSum;

/// Deletions of so long ago count.
const GUARDED: SignedDuration = SignedDuration::from_hours(24);

/// Why a person has to look first at what would be done to one table; `None`: there is no need.
pub(super) async fn guarded(
    attempt: &Attempt<'_>,
    run: &Run,
    pull: &TablePull,
    compared: &Compared,
    (before, scope): (Option<&KeptProof>, &str),
) -> Result<Option<RunError>, SyncError> {
    let Changes {
        deleted: planned,
        updated,
        ..
    } = compared.found.changes;
    let shows_other = before.is_some_and(|before| is_of_another_grant(&before.scope, scope));
    let rewrites = run.order.sync_mode == SyncMode::Mirror && shows_other && updated > 0;
    if planned == 0 && !rewrites {
        return Ok(None);
    }
    let name = &pull.target.name;
    let since = Timestamp::now()
        .checked_sub(GUARDED)
        .unwrap_or(Timestamp::MIN);
    let store = &attempt.ctx.store;
    let deletions = Deletions {
        source: compared.source.rows,
        here: compared.here.rows,
        planned,
        earlier: store
            .deleted_since(attempt.connection.id, name, since)
            .await?,
    };
    let reason = match before {
        Some(_) if shows_other => Some(format!(
            "what the peer grants of it was changed since the last run, and {updated} rows would be updated, {planned} deleted"
        )),
        Some(before) if before.scope != scope => Some(format!(
            "which rows are mirrored was changed since the last run, and {planned} would be deleted"
        )),
        _ => {
            let guarded = run.order.guard.check(deletions);
            guarded.err().map(|guarded| guarded.to_string())
        }
    };
    Ok(reason.map(|reason| {
        let hint = format!(
            "look at what it would do, and let it if that is right: evenkeel runs approve {}",
            run.id
        );
        RunError::new(FaultCode::NeedsApproval, format!("table {name}: {reason}")).with_hint(hint)
    }))
}

/// Whether both tell of a grant, and not of the same one.
fn is_of_another_grant(before: &str, now: &str) -> bool {
    let (before, now) = (before.split_once(' '), now.split_once(' '));
    matches!((before, now), (Some((_, before)), Some((_, now))) if before != now)
}

/// A plan as it waits: what becomes of each row, in 16 bytes.
pub(super) fn packed(found: &mut Found) -> Result<Vec<u8>, EngineError> {
    let mut packed = Vec::with_capacity(found.len() * 16);
    for at in 0..found.len() {
        if let Some(entry) = found.get(at)? {
            packed.extend_from_slice(&entry.mark());
        }
    }
    Ok(packed)
}

/// Of what was found now what was approved then; and how many rows are something else by now. What an attempt that broke off
/// has done already no longer differs.
pub(super) fn approved(found: Found, plan: &[u8]) -> Result<(Found, u64), EngineError> {
    let mut planned = Marks::of(plan);
    let mut left_here = RowSum::default();
    let (mut kept, others) = found.only(|entry| {
        let is_planned = planned.take(&entry.mark());
        // A row that came meanwhile stays anyway. Not being of the plan, it gives its place to none that comes.
        if let (Effect::Leave, Difference::OnlyHere(here), false) =
            (entry.effect, entry.difference, is_planned)
        {
            left_here.count(here.0);
        }
        is_planned
    })?;
    kept.leave_here(left_here);
    Ok((kept, others.saturating_sub(left_here.rows)))
}

/// What was found but for its deletions, about which nobody was asked; and how many those are.
pub(super) fn without_deletions(found: Found) -> Result<(Found, u64), EngineError> {
    found.only(|entry| entry.effect != Effect::Delete)
}
