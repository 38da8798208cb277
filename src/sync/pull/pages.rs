//! Which page of a table to ask for next, when a peer gives its rows by position alone.
//!
//! Rows that others insert or delete meanwhile move all behind them. So each page begins with the last row of the one
//! before; where it does not, the way leads back until it does. Pure. Invariant: [`Step::Over`] comes only when every
//! row that was there all the time was on one of the pages, if the peer keeps to one order.

use std::collections::HashSet;

/// Rows of a page; no peer gives more.
pub(super) const PAGE_ROWS: u32 = 100;
/// How far back to look for the row where the last page ended.
const BACK: u64 = 50;
/// After so many pages that bring nothing new, or do not join on, nothing is to be had from this peer now.
const MOST_IN_VAIN: u64 = 200;

/// Where the pages are.
#[derive(Debug, Default)]
pub(super) struct Pages {
    offset: u64,
    /// The rows of the last page that joined on, by their keys' hashes.
    last: HashSet<u64>,
    in_vain: u64,
}

/// What to do after a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Ask for the page after so many rows.
    Ask(u64),
    /// That was the last; the table has so many rows.
    Over(u64),
    /// The rows move faster than they can be asked for, or come in another order each time.
    Moving,
}

impl Pages {
    /// The page asked for has rows with these keys, in this order; `fresh` of the `seen` rows were never seen before.
    pub(super) fn step(&mut self, keys: &[u64], fresh: u64, seen: u64) -> Step {
        let joins = keys.first().is_some_and(|first| self.last.contains(first));
        let goes_back = self.offset > 0 && !joins;
        self.in_vain = if joins && fresh > 0 {
            0
        } else {
            self.in_vain + 1
        };
        // Going back to the beginning means to pass by all that was seen.
        if self.in_vain > MOST_IN_VAIN.saturating_add(seen / BACK) {
            return Step::Moving;
        }
        if goes_back {
            self.offset = self.offset.saturating_sub(BACK);
            return Step::Ask(self.offset);
        }
        match keys {
            [] => return Step::Over(0),
            [_] if joins => return Step::Over(self.offset + 1),
            _ => {}
        }
        self.last = keys.iter().copied().collect();
        self.offset += u64::try_from(keys.len())
            .unwrap_or_default()
            .saturating_sub(1);
        Step::Ask(self.offset)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashSet};

    use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

    use super::{PAGE_ROWS, Pages, Step};

    /// Walks over a table whose peer gives at most `most` rows a page; `change` alters it after each page.
    fn walk(
        table: &mut BTreeSet<u64>,
        most: usize,
        mut change: impl FnMut(&mut BTreeSet<u64>),
    ) -> (Step, HashSet<u64>) {
        let (mut pages, mut seen, mut offset) = (Pages::default(), HashSet::new(), 0);
        loop {
            let skip = usize::try_from(offset).unwrap();
            let keys: Vec<u64> = table.iter().copied().skip(skip).take(most).collect();
            let fresh = keys.iter().filter(|key| seen.insert(**key)).count();
            change(table);
            let counts = [fresh, seen.len()].map(|count| u64::try_from(count).unwrap());
            match pages.step(&keys, counts[0], counts[1]) {
                Step::Ask(next) => offset = next,
                end => return (end, seen),
            }
        }
    }

    #[test]
    fn a_table_at_rest_is_seen_whole_whatever_its_size_and_the_peers_pages() {
        for rows in [0, 1, 2, 99, 100, 101, 199, 1_000] {
            for most in [2, 50, 100] {
                let mut table: BTreeSet<u64> = (0..rows).collect();
                let (end, seen) = walk(&mut table, most, |_| {});
                assert_eq!(
                    (end, seen.len()),
                    (Step::Over(rows), table.len()),
                    "{rows} {most}"
                );
            }
        }
    }

    #[test]
    fn a_peer_that_never_ends_is_given_up() {
        let mut pages = Pages::default();
        let keys: Vec<u64> = (0..100).collect();
        let mut fresh = 100;
        let asked =
            (0..).find(|_| pages.step(&keys, std::mem::take(&mut fresh), 100) == Step::Moving);
        assert!(asked < Some(1_000), "{asked:?}");
        // Nor does one come to an end whose rows are always others.
        let mut pages = Pages::default();
        let asked = (0..).find(|at| {
            let keys: Vec<u64> = (at * 100..at * 100 + 100).collect();
            pages.step(&keys, 100, 10_000) == Step::Moving
        });
        assert!(asked < Some(1_000), "{asked:?}");
    }

    proptest! {
        #[test]
        fn rows_that_stay_are_seen_while_others_come_and_go(
            begin in prop::collection::btree_set(0_u64..3_000, 0..1_500),
            changes in prop::collection::vec((any::<bool>(), 0_u64..3_000, 1_u64..120), 0..40))
        {
            let (mut table, mut stayed) = (begin.clone(), begin);
            let mut changes = changes.into_iter();
            let (end, seen) = walk(&mut table, usize::try_from(PAGE_ROWS).unwrap(), |table| {
                let Some((comes, from, count)) = changes.next() else { return };
                for row in from..from + count {
                    if comes {
                        table.insert(row);
                    } else {
                        table.remove(&row);
                        stayed.remove(&row);
                    }
                }
            });
            prop_assert!(matches!(end, Step::Over(_)), "{:?}", end);
            let missed: Vec<u64> = stayed.into_iter().filter(|row| !seen.contains(row)).collect();
            prop_assert_eq!(missed, Vec::<u64>::new());
        }
    }
}
