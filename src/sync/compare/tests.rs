//! Two tallies, compared the way two sites do, against the naive difference of two sets of rows.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::{Strategy, any, prop, prop_assert, prop_assert_eq, proptest};

use super::{
    BrokenListing, Descent, Difference, Question, Surplus, compare, compare_equal_rows,
    compare_rows,
};
use crate::engine::spool::SpoolBudget;
use crate::engine::tally::{ListingBounds, Tally, TallyError};
use crate::wire::frame::RowSum;
use crate::wire::row::{RowBatch, RowWriter, split_tuple};
use crate::wire::tally::{EqualRows, KeyFields, Prefix, RowHash, TallyKey, write_equal_rows};

type Rows = BTreeMap<u32, u8>;

fn hash_key() -> TallyKey {
    TallyKey::of_token("token")
}

fn tally(rows: &Rows) -> Tally {
    let mut tally = of_no_rows(vec![0]);
    tally
        .add(&batch(rows.iter().map(|(key, value)| (*key, *value))))
        .unwrap();
    tally
}

fn batch(rows: impl Iterator<Item = (u32, u8)>) -> RowBatch {
    let mut writer = RowWriter::default();
    for (key, value) in rows {
        writer.begin(2);
        writer.field(Some(&key.to_be_bytes()));
        writer.field(Some(&[value]));
    }
    writer.take()
}

fn of_no_rows(key: Vec<usize>) -> Tally {
    let budget = SpoolBudget {
        memory: 2_000,
        disk: 1 << 24,
        folder: std::env::temp_dir(),
    };
    Tally::new(hash_key(), KeyFields::new(key), budget)
}

fn row(key: u32, value: u8) -> RowBatch {
    batch(std::iter::once((key, value)))
}

/// Keys that are only there, differ, and are only here, and how many sums and rows were asked for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    there: BTreeSet<u32>,
    differs: BTreeSet<u32>,
    here: BTreeSet<u32>,
}

fn key(tuple: &[u8]) -> u32 {
    let (fields, _) = split_tuple(tuple).unwrap();
    u32::from_be_bytes(fields[0].unwrap().try_into().unwrap())
}

/// One node's, of this side and of the other.
type Listings = (Vec<u8>, Vec<u8>);

/// Both sides' listings of the nodes that differ, and the bytes of the answers that crossed.
fn listings(here: &Tally, there: &Tally) -> (Vec<Listings>, usize) {
    let mut bytes = 24;
    if here.total() == there.total() {
        return (Vec::new(), bytes);
    }
    let mut descent = Descent::from_root(there.total());
    let mut found = Vec::new();
    while let Some(question) = descent.ask() {
        match question {
            Question::Children(nodes) => {
                let asked: Vec<Prefix> = nodes.iter().map(|node| node.prefix).collect();
                let told = there.children(&asked).unwrap();
                bytes += told.len() * 16 * 24;
                let step = compare(&nodes, &here.children(&asked).unwrap(), &told).unwrap();
                let mut list = step.list;
                list.extend(step.only_there);
                list.extend(step.only_here.into_iter().map(|(node, _)| node));
                descent.add(step.divide, list);
            }
            Question::Rows(leaves) => {
                let listed: Vec<Prefix> = leaves.iter().flat_map(|leaf| leaf.listed()).collect();
                let (ours, theirs) = (
                    here.listing(&listed).unwrap(),
                    there.listing(&listed).unwrap(),
                );
                bytes += theirs.iter().map(Vec::len).sum::<usize>();
                found.extend(ours.into_iter().zip(theirs));
            }
        }
    }
    (found, bytes)
}

/// What two sites find, and the bytes of the answers that crossed.
fn found(here: &Tally, there: &Tally) -> (Found, usize) {
    let mut found = Found::default();
    let (listings, bytes) = listings(here, there);
    for (ours, theirs) in &listings {
        for (tuple, difference) in compare_rows(ours, theirs).unwrap().rows {
            match difference {
                Difference::OnlyThere(_) => found.there.insert(key(&tuple)),
                Difference::Differs { .. } => found.differs.insert(key(&tuple)),
                Difference::OnlyHere(_) => found.here.insert(key(&tuple)),
            };
        }
    }
    (found, bytes)
}

fn naive(here: &Rows, there: &Rows) -> Found {
    let only = |rows: &Rows, other: &Rows| {
        let missing = rows.keys().filter(|key| !other.contains_key(key));
        missing.copied().collect()
    };
    let differs = here
        .iter()
        .filter(|(key, value)| there.get(key).is_some_and(|there| there != *value));
    Found {
        there: only(there, here),
        differs: differs.map(|(key, _)| *key).collect(),
        here: only(here, there),
    }
}

/// Rows without a key, and how often each is there.
type Multiset = BTreeMap<u32, u16>;

/// Reads them in an order of its own.
fn keyless(rows: &Multiset, step: usize) -> Tally {
    let mut all: Vec<u32> = Vec::new();
    for (row, times) in rows {
        all.extend(std::iter::repeat_n(*row, usize::from(*times)));
    }
    let mut tally = of_no_rows(Vec::new());
    for first in 0..step {
        let rows = all.iter().skip(first).step_by(step);
        tally.add(&batch(rows.map(|row| (*row, 0)))).unwrap();
    }
    tally
}

/// By hash: how many more are there, and how many more are here.
fn surplus(here: &Tally, there: &Tally) -> BTreeMap<u128, (u64, u64)> {
    let mut found = BTreeMap::new();
    for (ours, theirs) in &listings(here, there).0 {
        for surplus in compare_equal_rows(ours, theirs).unwrap().rows {
            let (hash, more) = match surplus {
                Surplus::There { hash, rows, .. } => (hash, (rows, 0)),
                Surplus::Here { hash, rows } => (hash, (0, rows)),
            };
            assert!(found.insert(hash.0, more).is_none());
        }
    }
    found
}

fn naive_surplus(here: &Multiset, there: &Multiset) -> BTreeMap<u128, (u64, u64)> {
    let key = hash_key();
    let times = |rows: &Multiset, row| u64::from(rows.get(row).copied().unwrap_or_default());
    let rows: BTreeSet<&u32> = here.keys().chain(there.keys()).collect();
    let more = rows.into_iter().map(|value| {
        let (here, there) = (times(here, value), times(there, value));
        let more = (there.saturating_sub(here), here.saturating_sub(there));
        (key.hash(&row(*value, 0).data).0, more)
    });
    more.filter(|(_, more)| *more != (0, 0)).collect()
}

fn multiset() -> impl Strategy<Value = Multiset> {
    let few = prop::collection::btree_map(0_u32..300, 1_u16..4, 0..200);
    let many = prop::collection::btree_map(0_u32..3, 1_u16..400, 0..3);
    (few, many).prop_map(|(few, many)| few.into_iter().chain(many).collect())
}

fn rows() -> impl Strategy<Value = Rows> {
    prop::collection::btree_map(0_u32..2_000, any::<u8>(), 0..1_500)
}

proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(24))]

    #[test]
    fn what_differs_between_any_two_tables_is_found_and_nothing_else(here in rows(), there in rows()) {
        prop_assert_eq!(found(&tally(&here), &tally(&there)).0, naive(&here, &there));
    }

    #[test]
    fn of_rows_without_a_key_the_difference_of_the_multisets_is_found(
        here in multiset(), there in multiset(), step in 1_usize..5,
    ) {
        let (ours, theirs) = (keyless(&here, step), keyless(&there, 1));
        prop_assert_eq!(ours.total() == theirs.total(), here == there);
        prop_assert_eq!(surplus(&ours, &theirs), naive_surplus(&here, &there));
    }

    #[test]
    fn a_few_changes_of_many_rows_are_found_by_few_bytes(
        changes in prop::collection::btree_map(0_u32..60_000, any::<u8>(), 0..20),
        gone in prop::collection::btree_set(0_u32..60_000, 0..20),
    ) {
        let here: Rows = (0..50_000).map(|key| (key, 7)).collect();
        let mut there = here.clone();
        there.extend(changes);
        there.retain(|key, _| !gone.contains(key));
        let (found, bytes) = found(&tally(&here), &tally(&there));
        prop_assert_eq!(&found, &naive(&here, &there));
        let changed = found.there.len() + found.differs.len() + found.here.len();
        prop_assert!(bytes <= 24 + changed * 4_000, "{} bytes for {} rows", bytes, changed);
    }
}

#[test]
fn the_order_of_reading_changes_nothing() {
    let rows: Rows = (0..3_000).map(|key| (key, 1)).collect();
    let once = tally(&rows);
    let (first, second): (Rows, Rows) = rows.into_iter().partition(|(key, _)| key % 7 == 3);
    let mut other = tally(&second);
    let backwards = first.into_iter().rev();
    other.add(&batch(backwards)).unwrap();
    assert_eq!(once.total(), other.total());
    assert_eq!(found(&once, &other).0, Found::default());
}

#[test]
fn a_key_that_is_listed_twice_is_a_fault() {
    let listed = |value: u8| {
        let rows = tally(&Rows::from([(5, value)]));
        rows.listing(&[Prefix::ROOT]).unwrap().concat()
    };
    let twice = |value: u8| [listed(value), listed(9)].concat();
    let once = Vec::new();
    let ours = compare_rows(&twice(1), &once);
    assert!(matches!(ours, Err(BrokenListing::Here(_))));
    let theirs = compare_rows(&once, &twice(1));
    assert!(matches!(theirs, Err(BrokenListing::There(_))));
}

#[test]
fn two_rows_of_one_key_are_found_when_they_are_to_be_listed() {
    let mut rows = tally(&Rows::from([(4, 1), (5, 1)]));
    rows.add(&row(5, 9)).unwrap();
    let found = rows.listing(&[Prefix::ROOT]);
    assert!(matches!(found, Err(TallyError::KeyTwice(key)) if self::key(&key) == 5));
}

#[test]
fn a_listing_beyond_its_bounds_is_none_at_all() {
    let rows = tally(&(0..40).map(|key| (key, 1)).collect());
    let within = |rows: u64, bytes: usize| ListingBounds { rows, bytes };
    for (bounds, expected) in [
        (within(40, 40 * 26), true),
        (within(39, 40 * 26), false),
        (within(40, 40 * 26 - 1), false),
    ] {
        let listed = rows.listing_within(&[Prefix::ROOT], bounds).unwrap();
        assert_eq!(listed.is_some(), expected, "{bounds:?}");
    }
    assert_eq!(rows.sum_below(&[Prefix::ROOT]).unwrap(), rows.total());
}

#[test]
fn equal_rows_are_listed_once_and_count_once_against_the_bounds() {
    let rows = keyless(&Multiset::from([(1, 900), (2, 1)]), 1);
    for (bounds, expected) in [((2, 60), true), ((1, 60), false), ((2, 59), false)] {
        let (most, bytes) = bounds;
        let bounds = ListingBounds { rows: most, bytes };
        let listed = rows.listing_within(&[Prefix::ROOT], bounds).unwrap();
        assert_eq!(listed.is_some(), expected, "{bounds:?}");
    }
    assert_eq!(rows.sum_below(&[Prefix::ROOT]).unwrap().rows, 901);
}

#[test]
fn a_surplus_tells_where_the_others_rows_begin() {
    let listing = |rows: &[(u128, u64)]| {
        let mut payload = Vec::new();
        for (hash, rows) in rows {
            let (hash, rows) = (RowHash(*hash), *rows);
            write_equal_rows(EqualRows { hash, rows }, &mut payload);
        }
        payload
    };
    let there = listing(&[(5, 3), (6, 2), (7, 4)]);
    let found = compare_equal_rows(&listing(&[(6, 2), (7, 1), (8, 1)]), &there).unwrap();
    let listed = [(3, 5), (2, 6), (4, 7)].map(|(rows, hash)| RowSum::of_equal(rows, hash));
    assert_eq!(found.listed, listed.into_iter().sum());
    let more = |hash, rows, first| {
        let hash = RowHash(hash);
        Surplus::There { hash, rows, first }
    };
    let gone = Surplus::Here {
        hash: RowHash(8),
        rows: 1,
    };
    assert_eq!(found.rows, [more(5, 3, 0), more(7, 3, 5), gone]);
    let twice = listing(&[(5, 1), (6, 1), (5, 1)]);
    let ours = compare_equal_rows(&twice, &there);
    assert!(matches!(ours, Err(BrokenListing::Here(_))));
    for theirs in [twice, listing(&[(5, u64::MAX), (6, 1)])] {
        let theirs = compare_equal_rows(&there, &theirs);
        assert!(matches!(theirs, Err(BrokenListing::There(_))));
    }
}
