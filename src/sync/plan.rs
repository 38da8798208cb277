//! What a run does about each row that differs, by its mode and conflict strategy; and what becomes of a whole plan.
//!
//! Pure. Invariant: the proof follows from the plan alone: what is written is counted as the source has it, what is left
//! is counted on both sides.

use crate::model::run::{ConflictStrategy, SyncMode};
use crate::model::table::TableName;
use crate::sync::compare::Difference;
use crate::wire::tally::RowHash;

/// What becomes of one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// It is written anew.
    Insert,
    /// It is changed.
    Update,
    /// It is deleted.
    Delete,
    /// The rules leave it as it is.
    Leave,
}

/// What `mode` and `conflict` do about a row that differs so. `merge` and `newest` are decided on the locked row: here
/// they may change it.
#[must_use]
pub fn effect(mode: SyncMode, conflict: ConflictStrategy, difference: Difference) -> Effect {
    match (difference, mode) {
        (Difference::OnlyThere(_), SyncMode::Update) => Effect::Leave,
        (Difference::OnlyThere(_), _) => Effect::Insert,
        (Difference::OnlyHere(_), SyncMode::Mirror) => Effect::Delete,
        (Difference::OnlyHere(_), _) | (Difference::Differs { .. }, SyncMode::Insert) => {
            Effect::Leave
        }
        (Difference::Differs { .. }, _) if conflict == ConflictStrategy::Skip => Effect::Leave,
        (Difference::Differs { .. }, _) => Effect::Update,
    }
}

/// The hash of a plan: BLAKE3 over its rows in the order of their places and keys, each with its effect and what it is on
/// both sides. What was approved is what is applied, or it is not.
#[derive(Clone, Debug, Default)]
pub struct PlanHash(blake3::Hasher);

impl PlanHash {
    /// Counts a row in that is not left as it is; the caller keeps the order.
    pub fn add(&mut self, effect: Effect, key: &[u8], difference: Difference) {
        if effect != Effect::Leave {
            self.add_any(effect, key, difference);
        }
    }

    /// What becomes of one row, and what it is on both sides, in 16 bytes.
    #[must_use]
    pub fn mark(effect: Effect, key: &[u8], difference: Difference) -> [u8; 16] {
        let mut row = Self::default();
        row.add_any(effect, key, difference);
        let hash = row.0.finalize();
        let head = hash.as_bytes().first_chunk();
        head.copied().unwrap_or_default()
    }

    fn add_any(&mut self, effect: Effect, key: &[u8], difference: Difference) {
        let (here, there) = match difference {
            Difference::OnlyThere(there) => (None, Some(there)),
            Difference::OnlyHere(here) => (Some(here), None),
            Difference::Differs { here, there } => (Some(here), Some(there)),
        };
        let letter = match effect {
            Effect::Insert => b'i',
            Effect::Update => b'u',
            Effect::Delete => b'd',
            Effect::Leave => b'l',
        };
        let length = u64::try_from(key.len()).unwrap_or(u64::MAX);
        self.0.update(&[letter]);
        self.0.update(&length.to_le_bytes());
        self.0.update(key);
        for side in [here, there] {
            self.0.update(&[u8::from(side.is_some())]);
            self.0
                .update(&side.map_or(0, |RowHash(hash)| hash).to_le_bytes());
        }
    }

    /// Counts in what is done to a whole table; the caller keeps the order.
    pub fn add_table(&mut self, table: &TableName, plan: &Self) {
        self.0
            .update(blake3::hash(table.to_string().as_bytes()).as_bytes());
        self.0.update(plan.0.finalize().as_bytes());
    }

    /// As 64 hexadecimal digits.
    #[must_use]
    pub fn text(&self) -> String {
        self.0.finalize().to_hex().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::{Effect, PlanHash, effect};
    use crate::engine::plan::LeftInPlace;
    use crate::model::run::{ConflictStrategy, SyncMode};
    use crate::sync::compare::Difference;
    use crate::wire::frame::RowSum;
    use crate::wire::tally::RowHash;

    const THERE: Difference = Difference::OnlyThere(RowHash(5));
    const HERE: Difference = Difference::OnlyHere(RowHash(7));
    const BOTH: Difference = Difference::Differs {
        here: RowHash(1),
        there: RowHash(2),
    };

    #[test]
    fn each_mode_and_strategy_does_what_its_name_says() {
        use ConflictStrategy::{Merge, Newest, Overwrite, Skip};
        use Effect::{Delete, Insert, Leave, Update};
        for (mode, conflict, expected) in [
            (SyncMode::Upsert, Overwrite, [Insert, Leave, Update]),
            (SyncMode::Upsert, Skip, [Insert, Leave, Leave]),
            (SyncMode::Upsert, Merge, [Insert, Leave, Update]),
            (SyncMode::Insert, Overwrite, [Insert, Leave, Leave]),
            (SyncMode::Update, Newest, [Leave, Leave, Update]),
            (SyncMode::Update, Skip, [Leave, Leave, Leave]),
            (SyncMode::Mirror, Overwrite, [Insert, Delete, Update]),
        ] {
            let found = [THERE, HERE, BOTH].map(|difference| effect(mode, conflict, difference));
            assert_eq!(found, expected, "{mode} {conflict}");
        }
    }

    #[test]
    fn a_plan_is_told_from_every_other() {
        let plan = |rows: &[(Effect, &[u8], Difference)]| {
            let mut hash = PlanHash::default();
            for (effect, key, difference) in rows {
                hash.add(*effect, key, *difference);
            }
            hash.text()
        };
        let plans = [
            plan(&[]),
            plan(&[(Effect::Insert, b"ab", THERE)]),
            plan(&[(Effect::Update, b"ab", THERE)]),
            plan(&[(Effect::Insert, b"a", THERE), (Effect::Insert, b"b", THERE)]),
            plan(&[(Effect::Insert, b"ab", HERE)]),
            plan(&[(Effect::Insert, b"ab", BOTH)]),
        ];
        let mut distinct = plans.to_vec();
        distinct.sort();
        distinct.dedup();
        assert_eq!(distinct.len(), plans.len());
        assert_eq!(plan(&[(Effect::Leave, b"ab", BOTH)]), plans[0]);
    }

    #[test]
    fn what_is_left_is_counted_on_both_sides() {
        let sum = |rows, sum| RowSum { rows, sum };
        let mut left = LeftInPlace::default();
        HERE.count_in(&mut left.here, &mut left.there);
        BOTH.count_in(&mut left.here, &mut left.there);
        // One equal row of hash 9, the one that differs, and one that is only here.
        assert!(left.proves(sum(2, 11), sum(3, 17)));
        assert!(!left.proves(sum(2, 11), sum(3, 18)));
        assert!(!left.proves(sum(2, 11), sum(2, 17)));
    }
}
