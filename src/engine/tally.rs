//! Tallying a table: every row's place and hash, summed up by node and kept for what is asked later.
//!
//! The same for every engine: rows come in the row layout, in the contract's form. Invariant: memory and disk stay within
//! the spool's budget, whatever the table.

mod equal;

use crate::engine::spool::{PARTITIONS, Spool, SpoolBudget, SpoolError};
use crate::wire::InvalidValue;
use crate::wire::frame::RowSum;
use crate::wire::row::RowBatch;
use crate::wire::tally::{
    BRANCHES, Children, HASH_BYTES, KeyFields, LEVELS, Listed, Place, Prefix, RowHasher, TallyKey,
    read_listing, write_listed,
};

/// Why a table cannot be tallied.
#[derive(Debug, thiserror::Error)]
pub enum TallyError {
    /// A row that is none, or has no key.
    #[error("a row that cannot be read: {0}")]
    Row(#[from] InvalidValue),
    /// Two rows with this key, as a tuple: nobody can tell them apart.
    #[error("two of its rows have the same key")]
    KeyTwice(Vec<u8>),
    /// There is no room for what has to be kept.
    #[error(transparent)]
    Spool(#[from] SpoolError),
}

/// How much of a table one listing may tell.
#[derive(Clone, Copy, Debug)]
pub struct ListingBounds {
    /// Rows, over all nodes.
    pub rows: u64,
    /// Bytes, over all nodes.
    pub bytes: usize,
}

/// Levels of the tree whose sums are in memory; those below are summed up from the spool when they are asked for.
const SUMMED: u8 = 4;
/// Nodes on the last of them: 2 MiB.
const SUMS: usize = BRANCHES.pow(4);

// What the spool keeps apart are the first three digits of places.
const _: () = assert!(PARTITIONS == BRANCHES.pow(3));

/// What is known of a table's rows in one snapshot.
#[derive(Debug)]
pub struct Tally {
    hasher: RowHasher,
    fields: KeyFields,
    /// Of the nodes of level [`SUMMED`].
    sums: Vec<RowSum>,
    spool: Spool,
    keys: Keys,
    /// Those of the rows at hand.
    places: Vec<Place>,
}

/// The keys of the rows at hand, each with room for the row's hash behind it, and how long each is with that.
#[derive(Debug, Default)]
struct Keys {
    bytes: Vec<u8>,
    lengths: Vec<usize>,
}

impl Tally {
    /// Of no rows yet.
    #[must_use]
    pub fn new(key: TallyKey, fields: KeyFields, budget: SpoolBudget) -> Self {
        Self {
            hasher: RowHasher::new(key),
            fields,
            sums: vec![RowSum::default(); SUMS],
            spool: Spool::new(budget),
            keys: Keys::default(),
            places: Vec::new(),
        }
    }

    /// Counts rows in.
    ///
    /// # Errors
    /// [`TallyError`]; the tally is of no use then.
    pub fn add(&mut self, batch: &RowBatch) -> Result<(), TallyError> {
        let (place_of, keys) = (self.hasher.key().clone(), &mut self.keys);
        let is_keyless = self.fields.is_keyless();
        keys.clear();
        self.places.clear();
        // Each row is gone through once: to find its end takes as long as to hash it.
        let rows = batch.tuples().map(|tuple| {
            let tuple = tuple?;
            keys.add(tuple, &self.fields).map(|()| tuple)
        });
        let hashes = self.hasher.hashes(rows)?;
        for (entry, hash) in keys.entries().zip(hashes) {
            let Some((key, room)) = entry.split_last_chunk_mut::<HASH_BYTES>() else {
                continue;
            };
            let place = match is_keyless {
                false => place_of.place(key),
                true => place_of.place_of_keyless(*hash),
            };
            self.places.push(place);
            *room = hash.0.to_le_bytes();
            self.spool.push(place.first_digits(), entry)?;
        }
        // The sums lie far apart: the processor fetches several at once only where nothing stands between.
        for (place, hash) in self.places.iter().zip(hashes) {
            if let Some(sum) = self.sums.get_mut(summed(*place)) {
                sum.count(hash.0);
            }
        }
        Ok(())
    }

    /// Every row was counted in: what is kept of them leaves the memory, but for so many bytes.
    ///
    /// # Errors
    /// When there is no room on the disk.
    pub fn settle(&mut self, keep: usize) -> Result<(), TallyError> {
        Ok(self.spool.settle(keep)?)
    }

    /// Bytes that are kept on the disk.
    #[must_use]
    pub fn on_disk(&self) -> u64 {
        self.spool.written()
    }

    /// All rows together.
    #[must_use]
    pub fn total(&self) -> RowSum {
        self.sums.iter().copied().sum()
    }

    /// The children of each node, in the order asked.
    ///
    /// # Errors
    /// When what was put on disk cannot be read again.
    pub fn children(&self, nodes: &[Prefix]) -> Result<Vec<Children>, TallyError> {
        let mut answers = vec![[RowSum::default(); BRANCHES]; nodes.len()];
        for (node, answer) in nodes.iter().zip(&mut answers) {
            if node.level() < SUMMED {
                *answer = self.upper(*node);
            }
        }
        let lower = nodes.iter().copied().enumerate();
        let lower = lower.filter(|(_, node)| node.level() >= SUMMED).collect();
        self.visit(lower, |at, place, listed| {
            let node = nodes.get(at).copied().unwrap_or(Prefix::ROOT);
            let child = answers
                .get_mut(at)
                .and_then(|answer| answer.get_mut(node.branch_of(place)));
            if let Some(child) = child {
                child.count(listed.hash.0);
            }
        })?;
        Ok(answers)
    }

    /// All rows below any of the nodes together.
    ///
    /// # Errors
    /// When what was put on disk cannot be read again.
    pub fn sum_below(&self, nodes: &[Prefix]) -> Result<RowSum, TallyError> {
        let mut sum = RowSum::default();
        let nodes = nodes.iter().copied().enumerate().collect();
        self.visit(nodes, |_, _, listed| sum.count(listed.hash.0))?;
        Ok(sum)
    }

    /// The rows below each node, in the form of a `keys` frame: by node in the order asked, by place and key within; of
    /// keyless rows by place and hash, equal ones once.
    ///
    /// # Errors
    /// When what was put on disk cannot be read again, or two rows have one key.
    pub fn listing(&self, nodes: &[Prefix]) -> Result<Vec<Vec<u8>>, TallyError> {
        let any = ListingBounds {
            rows: u64::MAX,
            bytes: usize::MAX,
        };
        Ok(self.listing_within(nodes, any)?.unwrap_or_default())
    }

    /// The same; `None` where it is larger than `bounds`.
    ///
    /// # Errors
    /// As [`Self::listing`].
    pub fn listing_within(
        &self,
        nodes: &[Prefix],
        bounds: ListingBounds,
    ) -> Result<Option<Vec<Vec<u8>>>, TallyError> {
        if self.fields.is_keyless() {
            return self.equal_rows_within(nodes, bounds);
        }
        let mut found: Vec<Vec<Row>> = vec![Vec::new(); nodes.len()];
        let (mut rows, mut bytes) = (0_u64, 0_usize);
        let is_within = |rows: u64, bytes: usize| rows <= bounds.rows && bytes <= bounds.bytes;
        let asked = nodes.iter().copied().enumerate().collect();
        self.visit(asked, |at, place, listed| {
            rows += 1;
            bytes = bytes.saturating_add(listed.key.len() + HASH_BYTES);
            if let Some(found) = found.get_mut(at).filter(|_| is_within(rows, bytes)) {
                found.push(Row::of(place, listed));
            }
        })?;
        if !is_within(rows, bytes) {
            return Ok(None);
        }
        found
            .into_iter()
            .map(in_order)
            .collect::<Result<_, _>>()
            .map(Some)
    }

    fn place(&self, listed: Listed<'_>) -> Place {
        let key = self.hasher.key();
        match self.fields.is_keyless() {
            false => key.place(listed.key),
            true => key.place_of_keyless(listed.hash),
        }
    }

    /// Shows each row below a node, with the number of that node. No node may stand below another; of equal ones the last is
    /// shown the rows.
    fn visit(
        &self,
        nodes: Vec<(usize, Prefix)>,
        mut see: impl FnMut(usize, Place, Listed<'_>),
    ) -> Result<(), TallyError> {
        let mut by_partition: Vec<(u16, Prefix, usize)> = Vec::with_capacity(nodes.len());
        for (at, node) in nodes {
            let first = node.first_digits();
            let last = match node.level() {
                0 => first | 0xfff,
                1 => first | 0xff,
                2 => first | 0xf,
                _ => first,
            };
            by_partition.extend((first..=last).map(|partition| (partition, node, at)));
        }
        by_partition.sort_unstable();
        let mut buffer = Vec::new();
        for asked in by_partition.chunk_by(|one, other| one.0 == other.0) {
            let Some((partition, _, _)) = asked.first() else {
                continue;
            };
            self.spool.read(*partition, &mut buffer, |entries| {
                for listed in read_listing(entries) {
                    let listed = listed?;
                    let place = self.place(listed);
                    if let Some(at) = above(asked, place) {
                        see(at, place, listed);
                    }
                }
                Ok::<_, TallyError>(())
            })?;
        }
        Ok(())
    }

    /// The children of a node above those whose sums are in memory.
    fn upper(&self, node: Prefix) -> Children {
        let below = SUMMED.saturating_sub(node.level() + 1);
        let sums = self.sums.get(summed(node.first_place())..);
        let by_child = sums
            .unwrap_or_default()
            .chunks(BRANCHES.pow(u32::from(below)));
        let mut children = Children::default();
        for (child, sums) in children.iter_mut().zip(by_child) {
            *child = sums.iter().copied().sum();
        }
        children
    }
}

impl Keys {
    fn clear(&mut self) {
        self.bytes.clear();
        self.lengths.clear();
    }

    fn add(&mut self, row: &[u8], fields: &KeyFields) -> Result<(), InvalidValue> {
        let before = self.bytes.len();
        fields.append(row, &mut self.bytes)?;
        self.bytes.extend_from_slice(&[0; HASH_BYTES]);
        self.lengths.push(self.bytes.len() - before);
        Ok(())
    }

    fn entries(&mut self) -> impl Iterator<Item = &mut [u8]> {
        let mut rest = self.bytes.as_mut_slice();
        self.lengths.iter().map_while(move |length| {
            let (entry, behind) = std::mem::take(&mut rest).split_at_mut_checked(*length)?;
            rest = behind;
            Some(entry)
        })
    }
}

/// A row of a listing: its place, its key, and with it its hash.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    place: Place,
    bytes: Vec<u8>,
    key_bytes: usize,
}

impl Row {
    fn of(place: Place, listed: Listed<'_>) -> Self {
        let mut bytes = Vec::with_capacity(listed.key.len() + HASH_BYTES);
        write_listed(listed, &mut bytes);
        Self {
            place,
            bytes,
            key_bytes: listed.key.len(),
        }
    }

    fn key(&self) -> &[u8] {
        self.bytes.get(..self.key_bytes).unwrap_or_default()
    }
}

/// The rows as a `keys` frame has them.
fn in_order(mut rows: Vec<Row>) -> Result<Vec<u8>, TallyError> {
    rows.sort_unstable();
    let mut pairs = rows.windows(2);
    let twice = pairs.find_map(|pair| match pair {
        [one, other] if one.key() == other.key() => Some(one.key().to_vec()),
        _ => None,
    });
    match twice {
        Some(key) => Err(TallyError::KeyTwice(key)),
        None => Ok(rows.into_iter().flat_map(|row| row.bytes).collect()),
    }
}

/// The number of that node of those sorted that stands above `place`.
fn above(asked: &[(u16, Prefix, usize)], place: Place) -> Option<usize> {
    let behind = asked.partition_point(|(_, node, _)| *node <= Prefix::above(place, LEVELS));
    let (_, node, at) = asked.get(behind.checked_sub(1)?)?;
    node.contains(place).then_some(*at)
}

/// Which of the sums in memory a row at `place` belongs to.
fn summed(place: Place) -> usize {
    usize::try_from(place.0 >> (64 - 4 * u32::from(SUMMED))).unwrap_or_default()
}
