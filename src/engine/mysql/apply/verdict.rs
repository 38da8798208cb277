//! What becomes of an incoming row whose key is here. Pure.
//!
//! Rows are compared as they travel: both sides in the row layout, a decimal at its column's scale, a document of MySQL
//! whatever the order and the spaces in it.
//! Invariant: rows are called equal only when reading the local one would give the incoming one.

use std::borrow::Cow;

use crate::engine::mysql::apply::document::is_same_document;
use crate::engine::mysql::types::Form;
use crate::model::run::{ConflictStrategy, SyncMode};
use crate::wire::numeric;
use crate::wire::row::Fields;

/// A row as it is here.
#[derive(Clone, Debug, Default)]
pub(super) struct Local<'a> {
    /// `None` also where the value cannot be read.
    pub(super) fields: Fields<'a>,
    /// Where those values stand that have no place in the row layout, such as a zero date.
    pub(super) unreadable: &'a [usize],
}

/// What mode and strategy say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) mode: SyncMode,
    pub(super) conflict: ConflictStrategy,
}

/// What becomes of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Equal,
    Update,
    /// It differs, and mode or strategy keep it so.
    Stays,
}

impl Rules {
    /// Whether rows that are here may be changed at all.
    pub(super) fn update(self) -> bool {
        self.mode != SyncMode::Insert && self.conflict != ConflictStrategy::Skip
    }

    /// Whether rows may be added.
    pub(super) fn insert(self) -> bool {
        self.mode != SyncMode::Update
    }

    /// Compares the columns at `places`, whose values have these `forms`.
    pub(super) fn verdict(
        self,
        local: &Local<'_>,
        incoming: &Fields<'_>,
        places: &[usize],
        forms: &[Form],
    ) -> Verdict {
        let (mut differs, mut changes) = (false, false);
        for &at in places {
            if !is_same(local, incoming, at, forms) {
                differs = true;
                let comes = incoming.get(at).is_some_and(Option::is_some);
                changes |= comes || self.conflict != ConflictStrategy::Merge;
            }
        }
        match (differs, changes && self.update()) {
            (false, _) => Verdict::Equal,
            (true, true) => Verdict::Update,
            (true, false) => Verdict::Stays,
        }
    }

    /// The first place where a row that was written is not what came in.
    pub(super) fn altered(
        self,
        written: &Local<'_>,
        incoming: &Fields<'_>,
        forms: &[Form],
    ) -> Option<usize> {
        let merges = self.conflict == ConflictStrategy::Merge;
        let mut places = 0..forms.len();
        places.find(|&at| {
            let kept = merges && incoming.get(at).is_none_or(Option::is_none);
            !kept && !is_same(written, incoming, at, forms)
        })
    }
}

fn is_same(local: &Local<'_>, incoming: &Fields<'_>, at: usize, forms: &[Form]) -> bool {
    if local.unreadable.contains(&at) {
        return false;
    }
    let (here, there) = (local.fields.get(at).copied(), incoming.get(at).copied());
    if here == there {
        return true;
    }
    match (here.flatten(), there.flatten(), forms.get(at)) {
        (Some(here), Some(there), Some(Form::Decimal | Form::LongLongUnsigned)) => {
            is_same_number(here, there)
        }
        (Some(here), Some(there), Some(Form::Jsonb)) => is_same_document(here, there),
        _ => false,
    }
}

fn is_same_number(here: &[u8], there: &[u8]) -> bool {
    let scaled = numeric::shape(here).and_then(|shape| numeric::with_scale(there, shape.scale));
    scaled.is_ok_and(|scaled: Cow<'_, [u8]>| *scaled == *here)
}

#[cfg(test)]
mod tests {
    use super::{Local, Rules, Verdict};
    use crate::engine::mysql::types::Form;
    use crate::model::run::{ConflictStrategy, SyncMode};
    use crate::wire::numeric;

    const FORMS: [Form; 2] = [Form::Long, Form::Text];

    fn rules(mode: SyncMode, conflict: ConflictStrategy) -> Rules {
        Rules { mode, conflict }
    }

    #[test]
    fn mode_and_strategy_say_what_becomes_of_a_row_that_differs() {
        use ConflictStrategy::{Merge, Overwrite, Skip};
        use SyncMode::{Insert, Update, Upsert};
        let (key, here, new) = (Some(&b"1"[..]), Some(&b"here"[..]), Some(&b"new"[..]));
        for (mode, conflict, local, incoming, expected) in [
            (Upsert, Overwrite, here, here, Verdict::Equal),
            (Upsert, Overwrite, here, new, Verdict::Update),
            (Upsert, Overwrite, here, None, Verdict::Update),
            (Upsert, Overwrite, None, None, Verdict::Equal),
            (Upsert, Skip, here, new, Verdict::Stays),
            (Upsert, Merge, here, new, Verdict::Update),
            (Upsert, Merge, here, None, Verdict::Stays),
            (Insert, Overwrite, here, new, Verdict::Stays),
            (Update, Overwrite, here, new, Verdict::Update),
        ] {
            let local = Local {
                fields: vec![key, local],
                unreadable: &[],
            };
            let found = rules(mode, conflict).verdict(&local, &vec![key, incoming], &[1], &FORMS);
            assert_eq!(found, expected, "{mode:?} {conflict:?} {incoming:?}");
        }
    }

    #[test]
    fn a_value_that_cannot_be_read_differs_from_every_other() {
        let local = Local {
            fields: vec![None, None],
            unreadable: &[1],
        };
        let overwrite = rules(SyncMode::Upsert, ConflictStrategy::Overwrite);
        let merge = rules(SyncMode::Upsert, ConflictStrategy::Merge);
        let incoming = vec![None, None];
        assert_eq!(
            overwrite.verdict(&local, &incoming, &[1], &FORMS),
            Verdict::Update
        );
        assert_eq!(
            merge.verdict(&local, &incoming, &[1], &FORMS),
            Verdict::Stays
        );
        assert_eq!(overwrite.altered(&local, &incoming, &FORMS), Some(1));
        assert_eq!(merge.altered(&local, &incoming, &FORMS), None);
    }

    #[test]
    fn numbers_are_compared_at_the_scale_of_the_column() {
        let rules = rules(SyncMode::Upsert, ConflictStrategy::Overwrite);
        for (here, there, expected) in [
            ("1.50", "1.5", Verdict::Equal),
            ("1.50", "1.500", Verdict::Equal),
            ("1.50", "1.505", Verdict::Update),
            ("1", "1.0", Verdict::Equal),
        ] {
            let (here, there) = (
                numeric::encode(here).unwrap(),
                numeric::encode(there).unwrap(),
            );
            let local = Local {
                fields: vec![Some(&here)],
                unreadable: &[],
            };
            let found = rules.verdict(&local, &vec![Some(&*there)], &[0], &[Form::Decimal]);
            assert_eq!(found, expected);
        }
    }
}
