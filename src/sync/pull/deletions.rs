//! What a mirror is about to delete is noted before it does, so that the guard knows of it whatever becomes of the attempt.
//!
//! Invariant: of what an attempt deleted that could not tell any more nothing is missing in the guard's count. It may count
//! too much where others deleted the same rows, or where they came back to the source.

use crate::engine::EngineError;
use crate::model::run::{Run, SyncMode};
use crate::store::Deleting;
use crate::sync::SyncError;
use crate::sync::plan::Effect;
use crate::sync::pull::Attempt;
use crate::sync::pull::found::{Found, Marks};
use crate::sync::pull::report::edit_table;
use crate::sync::pull::work::{Deletions, Stage, Work};

/// So many rows are noted one by one, ten times as many as the guard lets pass unless it is told to; of more their number.
const MOST_MARKS: u64 = 100_000;

/// Settles what attempts before this one deleted of a table: what they were about to, but for what is still to be deleted.
///
/// # Errors
/// Our own state's.
pub(super) async fn settle(
    attempt: &Attempt<'_>,
    run: &mut Run,
    work: &mut Work,
) -> Result<(), SyncError> {
    if run.order.sync_mode != SyncMode::Mirror {
        return Ok(());
    }
    let (store, connection) = (&attempt.ctx.store, attempt.connection.id);
    let name = &work.pull.target.name;
    let unsettled = store.unsettled(connection, name, &work.basis).await?;
    for one in unsettled {
        let gone = match &mut work.stage {
            Stage::Compared(compared) => gone(&one.deleting, &mut compared.found)?,
            Stage::Empty | Stage::Copied(_) => one.deleting.rows,
            // How many of them are gone is not known before it can be looked at again.
            Stage::Failed(_) => return Ok(()),
        };
        let mut changes = one.changes;
        changes.deleted = changes.deleted.max(gone);
        store.settle(one.transfer, &changes).await?;
        if one.run == Some(run.id) {
            let unnoted = changes.less(&one.changes);
            work.earlier.add(&unnoted);
            edit_table(run, &work.pull, |table| table.changes.add(&unnoted));
        }
    }
    Ok(())
}

/// Notes what is about to be deleted of a table.
///
/// # Errors
/// Our own state's.
pub(super) async fn note(attempt: &Attempt<'_>, work: &mut Work) -> Result<(), SyncError> {
    let Stage::Compared(compared) = &mut work.stage else {
        return Ok(());
    };
    let rows = compared.found.changes.deleted;
    if rows == 0 {
        return Ok(());
    }
    let marks = match rows <= MOST_MARKS {
        true => Some(marks(&mut compared.found)?),
        false => None,
    };
    let deleting = Deleting { rows, marks };
    let noting = attempt
        .ctx
        .store
        .note_deleting(work.transfer.id, &work.basis, &deleting);
    noting.await?;
    work.deletions = Deletions::Noted;
    Ok(())
}

/// The marks of the rows that are to be deleted.
fn marks(found: &mut Found) -> Result<Vec<u8>, EngineError> {
    let mut marks = Vec::new();
    for at in 0..found.len() {
        let Some(entry) = found.get(at)? else { break };
        if entry.effect == Effect::Delete {
            marks.extend_from_slice(&entry.mark());
        }
    }
    Ok(marks)
}

/// How many of the rows that were about to be deleted are not found as such any more.
fn gone(deleting: &Deleting, found: &mut Found) -> Result<u64, EngineError> {
    let Some(noted) = &deleting.marks else {
        return Ok(deleting.rows.saturating_sub(found.changes.deleted));
    };
    let (mut noted, mut gone) = (Marks::of(noted), deleting.rows);
    for mark in marks(found)?.as_chunks().0 {
        gone = gone.saturating_sub(u64::from(noted.take(mark)));
    }
    Ok(gone)
}

#[cfg(test)]
mod tests {
    use super::{Deleting, gone, marks};
    use crate::sync::compare::Difference;
    use crate::sync::plan::Effect;
    use crate::sync::pull::found::{Entry, Found};
    use crate::wire::tally::{Place, Prefix, RowHash};

    fn found(rows: &[(Effect, u8)]) -> Found {
        let mut found = Found::default();
        for (effect, row) in rows {
            let entry = Entry {
                effect: *effect,
                leaf: Prefix::above(Place(0), 0),
                at: 0,
                key: vec![*row],
                difference: Difference::OnlyHere(RowHash((*row).into())),
            };
            found.add(&entry).unwrap();
        }
        found
    }

    #[test]
    fn what_was_to_be_deleted_and_is_no_longer_found_is_gone() {
        use Effect::{Delete, Update};
        let before = [(Delete, 1), (Delete, 2), (Delete, 3), (Delete, 3)];
        for (name, now, expected, by_number) in [
            ("all", vec![], 4, 4),
            ("none", before.to_vec(), 0, 0),
            ("some", vec![(Delete, 2)], 3, 3),
            ("one of two that are equal", vec![(Delete, 3)], 3, 3),
            (
                "some, and others came",
                vec![(Delete, 2), (Delete, 7), (Delete, 8)],
                3,
                1,
            ),
            ("none of those that are left", vec![(Update, 2)], 4, 4),
        ] {
            let rows = 4;
            let noted = Deleting {
                rows,
                marks: Some(marks(&mut found(&before)).unwrap()),
            };
            assert_eq!(gone(&noted, &mut found(&now)).unwrap(), expected, "{name}");
            let noted = Deleting { rows, marks: None };
            assert_eq!(gone(&noted, &mut found(&now)).unwrap(), by_number, "{name}");
        }
    }
}
