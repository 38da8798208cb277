//! The rows of one table that differ, in the order of their places: a plan, before anything is done.
//!
//! Invariant: bounded memory, however many rows differ; what a mode leaves as it is counts in the proof and nowhere else.

use std::collections::HashMap;

use bytes::BufMut;

use crate::engine::EngineError;
use crate::engine::held::Held;
use crate::engine::plan::LeftInPlace;
use crate::model::run::Changes;
use crate::sync::compare::Difference;
use crate::sync::plan::{Effect, PlanHash};
use crate::wire::frame::RowSum;
use crate::wire::tally::{Place, Prefix, RowHash};

/// One row that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) effect: Effect,
    /// The node in whose listing it stands.
    pub(super) leaf: Prefix,
    /// Where in the source's listing; meaningless for what is only here.
    pub(super) at: usize,
    /// In normal form.
    pub(super) key: Vec<u8>,
    pub(super) difference: Difference,
}

impl Entry {
    /// What becomes of the row, and what it is on both sides.
    pub(super) fn mark(&self) -> [u8; 16] {
        PlanHash::mark(self.effect, &self.key, self.difference)
    }
}

/// The marks of some rows, each as often as there are equal rows with it.
pub(super) struct Marks<'a>(HashMap<&'a [u8; 16], u64>);

impl<'a> Marks<'a> {
    pub(super) fn of(packed: &'a [u8]) -> Self {
        let (marks, _) = packed.as_chunks::<16>();
        let mut rows = HashMap::with_capacity(marks.len());
        for mark in marks {
            *rows.entry(mark).or_default() += 1;
        }
        Self(rows)
    }

    /// Whether a row with this mark was among them; it is not any more.
    pub(super) fn take(&mut self, mark: &[u8; 16]) -> bool {
        match self.0.get_mut(mark) {
            Some(rows) if *rows > 0 => {
                *rows -= 1;
                true
            }
            _ => false,
        }
    }
}

/// Bytes of an entry whose key has none, with its length.
const SMALLEST: u64 = 59;

/// What was found of a table.
#[derive(Debug, Default)]
pub(super) struct Found {
    entries: Held,
    hash: PlanHash,
    /// What would be done, and what stays.
    pub(super) changes: Changes,
    /// That the rules leave as it is, of what is not among the entries.
    pub(super) left: LeftInPlace,
    /// The entries' rows, on both sides.
    pub(super) here: RowSum,
    pub(super) there: RowSum,
}

impl Found {
    /// How many rows are to be looked at again.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Bytes that its entries take, with at least those of so many `more`.
    pub(super) fn bytes_with(&self, more: u64) -> u64 {
        let more = more.saturating_mul(SMALLEST);
        self.entries.bytes().saturating_add(more)
    }

    /// The same with those entries alone of which `is` holds, and how many others there were.
    ///
    /// # Errors
    /// When they cannot be read or kept.
    pub(super) fn only(
        mut self,
        mut is: impl FnMut(&Entry) -> bool,
    ) -> Result<(Self, u64), EngineError> {
        let Changes {
            skipped, conflicts, ..
        } = self.changes;
        let mut kept = Self::as_before(self.left, skipped, conflicts);
        let mut others = 0;
        for at in 0..self.len() {
            let Some(entry) = self.get(at)? else { break };
            if is(&entry) {
                kept.add(&entry)?;
            } else {
                others += 1;
            }
        }
        Ok((kept, others))
    }

    /// What an earlier run left as it is, where nothing has changed since.
    pub(super) fn as_before(left: LeftInPlace, skipped: u64, conflicts: u64) -> Self {
        let changes = Changes {
            skipped,
            conflicts,
            ..Changes::default()
        };
        Self {
            changes,
            left,
            ..Self::default()
        }
    }

    /// Counts a row in that differs; the caller keeps the order.
    pub(super) fn add(&mut self, entry: &Entry) -> Result<(), EngineError> {
        let both = matches!(entry.difference, Difference::Differs { .. });
        match entry.effect {
            Effect::Insert => self.changes.added += 1,
            Effect::Update => self.changes.updated += 1,
            Effect::Delete => self.changes.deleted += 1,
            // Kept where its key may be equal to one that comes.
            Effect::Leave if matches!(entry.difference, Difference::OnlyHere(_)) => {}
            Effect::Leave => {
                self.changes.skipped += 1;
                self.changes.conflicts += u64::from(both);
                let LeftInPlace { here, there } = &mut self.left;
                entry.difference.count_in(here, there);
                return Ok(());
            }
        }
        self.hash.add(entry.effect, &entry.key, entry.difference);
        entry.difference.count_in(&mut self.here, &mut self.there);
        self.entries.push(&packed(entry))
    }

    /// Rows that are only there and stay so.
    pub(super) fn leave_there(&mut self, rows: RowSum) {
        self.changes.skipped += rows.rows;
        self.left.there.merge(rows);
    }

    /// Rows that are only here and stay so.
    pub(super) fn leave_here(&mut self, rows: RowSum) {
        self.left.here.merge(rows);
    }

    /// The entry at `at`.
    ///
    /// # Errors
    /// When it cannot be read again.
    pub(super) fn get(&mut self, at: usize) -> Result<Option<Entry>, EngineError> {
        Ok(unpacked(&self.entries.get(at)?))
    }

    /// Whether a row is among the entries of whose effect `is` holds.
    pub(super) fn has(&self, is: impl Fn(Effect) -> bool) -> bool {
        let Changes {
            added,
            updated,
            deleted,
            ..
        } = self.changes;
        let stays = u64::try_from(self.entries.len())
            .unwrap_or(u64::MAX)
            .saturating_sub(self.changes.written());
        [
            (Effect::Insert, added),
            (Effect::Update, updated),
            (Effect::Delete, deleted),
            (Effect::Leave, stays),
        ]
        .into_iter()
        .any(|(effect, rows)| rows > 0 && is(effect))
    }

    /// Which plan this is.
    pub(super) fn hash(&self) -> &PlanHash {
        &self.hash
    }

    /// Whether there is anything to do.
    pub(super) fn is_nothing(&self) -> bool {
        self.changes.written() == 0
    }
}

fn packed(entry: &Entry) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(64 + entry.key.len());
    bytes.put_u8(match entry.effect {
        Effect::Insert => 0,
        Effect::Update => 1,
        Effect::Delete => 2,
        Effect::Leave => 3,
    });
    let (kind, here, there) = match entry.difference {
        Difference::OnlyThere(there) => (0, RowHash(0), there),
        Difference::OnlyHere(here) => (1, here, RowHash(0)),
        Difference::Differs { here, there } => (2, here, there),
    };
    bytes.put_u8(kind);
    bytes.put_u128_le(here.0);
    bytes.put_u128_le(there.0);
    bytes.put_u64_le(entry.leaf.first_place().0);
    bytes.put_u8(entry.leaf.level());
    bytes.put_u64_le(u64::try_from(entry.at).unwrap_or(u64::MAX));
    bytes.put_slice(&entry.key);
    bytes
}

fn unpacked(bytes: &[u8]) -> Option<Entry> {
    let (effect, rest) = bytes.split_first()?;
    let (kind, rest) = rest.split_first()?;
    let (here, rest) = rest.split_first_chunk::<16>()?;
    let (there, rest) = rest.split_first_chunk::<16>()?;
    let (first, rest) = rest.split_first_chunk::<8>()?;
    let (level, rest) = rest.split_first()?;
    let (at, key) = rest.split_first_chunk::<8>()?;
    let (here, there) = (
        RowHash(u128::from_le_bytes(*here)),
        RowHash(u128::from_le_bytes(*there)),
    );
    Some(Entry {
        effect: match effect {
            0 => Effect::Insert,
            1 => Effect::Update,
            2 => Effect::Delete,
            3 => Effect::Leave,
            _ => return None,
        },
        leaf: Prefix::above(Place(u64::from_le_bytes(*first)), *level),
        at: usize::try_from(u64::from_le_bytes(*at)).ok()?,
        key: key.to_vec(),
        difference: match kind {
            0 => Difference::OnlyThere(there),
            1 => Difference::OnlyHere(here),
            2 => Difference::Differs { here, there },
            _ => return None,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::{Entry, Found, packed, unpacked};
    use crate::model::run::Changes;
    use crate::sync::compare::Difference;
    use crate::sync::plan::Effect;
    use crate::wire::frame::RowSum;
    use crate::wire::tally::{Place, Prefix, RowHash};

    fn entry(effect: Effect, difference: Difference) -> Entry {
        Entry {
            effect,
            leaf: Prefix::above(Place(0xabcd << 48), 3),
            at: 7,
            key: b"key".to_vec(),
            difference,
        }
    }

    const BOTH: Difference = Difference::Differs {
        here: RowHash(1 << 90),
        there: RowHash(5),
    };

    #[test]
    fn an_entry_comes_back_as_it_was() {
        for (effect, difference) in [
            (Effect::Insert, Difference::OnlyThere(RowHash(7))),
            (Effect::Update, BOTH),
            (Effect::Delete, Difference::OnlyHere(RowHash(9))),
            (Effect::Leave, Difference::OnlyHere(RowHash(9))),
        ] {
            let entry = entry(effect, difference);
            assert_eq!(unpacked(&packed(&entry)), Some(entry));
        }
    }

    #[test]
    fn what_stays_is_counted_and_what_is_to_be_done_is_kept() {
        let mut found = Found::default();
        found.add(&entry(Effect::Update, BOTH)).unwrap();
        found.add(&entry(Effect::Leave, BOTH)).unwrap();
        found.leave_there(RowSum { rows: 3, sum: 1 });
        assert_eq!((found.len(), found.is_nothing()), (1, false));
        let expected = Changes {
            updated: 1,
            skipped: 4,
            conflicts: 1,
            ..Changes::default()
        };
        assert_eq!(found.changes, expected);
        assert_eq!(found.left.there, RowSum { rows: 4, sum: 6 });
        assert_eq!(found.get(0).unwrap().unwrap().at, 7);
        assert_eq!(found.get(1).unwrap(), None);
    }
}
