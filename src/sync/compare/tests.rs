//! Two tallies, compared the way two sites do, against the naive difference of two sets of rows.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::{Strategy, any, prop, prop_assert, prop_assert_eq, proptest};

use super::{Difference, compare, compare_rows};
use crate::base::secret::Secret;
use crate::engine::spool::SpoolBudget;
use crate::engine::tally::{ListingBounds, Tally, TallyError};
use crate::wire::row::{RowBatch, RowWriter, split_tuple};
use crate::wire::signing::{ConnectionKeys, RootKey};
use crate::wire::tally::{KeyFields, Prefix, TallyKey};

type Rows = BTreeMap<u32, u8>;

fn tally(rows: &Rows) -> Tally {
    let root = RootKey::of_token(&Secret::new("token".to_owned()));
    let key = TallyKey::of(&ConnectionKeys::derive(&root, 1).row());
    let budget = SpoolBudget {
        memory: 2_000,
        disk: 1 << 24,
        folder: std::env::temp_dir(),
    };
    let mut tally = Tally::new(key, KeyFields::new(vec![0]), budget);
    let mut writer = RowWriter::default();
    for (key, value) in rows {
        writer.begin(2);
        writer.field(Some(&key.to_be_bytes()));
        writer.field(Some(&[*value]));
    }
    tally.add(&writer.take()).unwrap();
    tally
}

fn row(key: u32, value: u8) -> RowBatch {
    let mut writer = RowWriter::default();
    writer.begin(2);
    writer.field(Some(&key.to_be_bytes()));
    writer.field(Some(&[value]));
    writer.take()
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

/// What two sites find, and the bytes of the answers that crossed.
fn found(here: &Tally, there: &Tally) -> (Found, usize) {
    let (mut found, mut bytes) = (Found::default(), 24);
    if here.total() == there.total() {
        return (found, bytes);
    }
    let mut nodes = vec![Prefix::ROOT];
    let mut listed = Vec::new();
    while !nodes.is_empty() {
        let asked = there.children(&nodes).unwrap();
        bytes += asked.len() * 16 * 24;
        let step = compare(&nodes, &here.children(&nodes).unwrap(), &asked);
        listed.extend(step.list.into_iter().map(|(node, _)| node));
        let only = step.only_here.into_iter().chain(step.only_there);
        listed.extend(only.map(|(node, _)| node));
        nodes = step.divide;
    }
    // Of the first level there is no listing: it would be half the table.
    let deep = |node: Prefix| -> Vec<Prefix> {
        match node.level() {
            1 => node.children().collect(),
            _ => vec![node],
        }
    };
    let listed: Vec<Prefix> = listed.into_iter().flat_map(deep).collect();
    let (ours, theirs) = (
        here.listing(&listed).unwrap(),
        there.listing(&listed).unwrap(),
    );
    for (ours, theirs) in ours.iter().zip(&theirs) {
        bytes += theirs.len();
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
    let mut writer = RowWriter::default();
    for (key, value) in first.iter().rev() {
        writer.begin(2);
        writer.field(Some(&key.to_be_bytes()));
        writer.field(Some(&[*value]));
    }
    other.add(&writer.take()).unwrap();
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
    assert!(compare_rows(&twice(1), &once).is_err());
    assert!(compare_rows(&once, &twice(1)).is_err());
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
