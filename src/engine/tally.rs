//! Tallying a table: every row's place and hash, summed up by node and kept for what is asked later.
//!
//! The same for every engine: rows come in the row layout, in the contract's form. Invariant: memory and disk stay within
//! the spool's budget, whatever the table.

use crate::engine::spool::{PARTITIONS, Spool, SpoolBudget, SpoolError};
use crate::wire::InvalidValue;
use crate::wire::frame::RowSum;
use crate::wire::row::{RowBatch, RowWriter};
use crate::wire::tally::{
    BRANCHES, Children, KeyFields, LEVELS, Listed, Place, Prefix, RowHasher, TallyKey,
    read_listing, write_listed,
};

/// Why a table cannot be tallied.
#[derive(Debug, thiserror::Error)]
pub enum TallyError {
    /// A row that is none, or has no key.
    #[error("a row that cannot be read: {0}")]
    Row(#[from] InvalidValue),
    /// There is no room for what has to be kept.
    #[error(transparent)]
    Spool(#[from] SpoolError),
}

/// What is known of a table's rows in one snapshot.
#[derive(Debug)]
pub struct Tally {
    hasher: RowHasher,
    fields: KeyFields,
    /// By the first byte of the places.
    sums: Vec<RowSum>,
    spool: Spool,
    scratch: RowWriter,
}

impl Tally {
    /// Of no rows yet.
    #[must_use]
    pub fn new(key: TallyKey, fields: KeyFields, budget: SpoolBudget) -> Self {
        Self {
            hasher: RowHasher::new(key),
            fields,
            sums: vec![RowSum::default(); PARTITIONS],
            spool: Spool::new(budget),
            scratch: RowWriter::for_batches_of(1 << 10),
        }
    }

    /// Counts rows in.
    ///
    /// # Errors
    /// [`TallyError`]; the tally is of no use then.
    pub fn add(&mut self, batch: &RowBatch) -> Result<(), TallyError> {
        let place_of = self.hasher.key().clone();
        let hashes = self.hasher.hashes(batch)?;
        for (tuple, hash) in batch.tuples().zip(hashes) {
            self.fields.write(tuple?, &mut self.scratch)?;
            let key = self.scratch.take().data;
            let partition = partition(place_of.place(&key));
            if let Some(sum) = self.sums.get_mut(usize::from(partition)) {
                sum.count(hash.0);
            }
            self.spool.push(partition, [&key, &hash.0.to_le_bytes()])?;
        }
        Ok(())
    }

    /// All rows together.
    #[must_use]
    pub fn total(&self) -> RowSum {
        self.sums.iter().fold(RowSum::default(), |mut total, sum| {
            total.merge(*sum);
            total
        })
    }

    /// The children of each node, in the order asked.
    ///
    /// # Errors
    /// When what was put on disk cannot be read again.
    pub fn children(&self, nodes: &[Prefix]) -> Result<Vec<Children>, TallyError> {
        let mut answers = vec![[RowSum::default(); BRANCHES]; nodes.len()];
        for (node, answer) in nodes.iter().zip(&mut answers) {
            if node.level() < 2 {
                *answer = self.upper(*node);
            }
        }
        self.visit(nodes, |at, place, listed| {
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

    /// The rows below each node, in the form of a `keys` frame: by node in the order asked, by place and key within.
    ///
    /// # Errors
    /// When what was put on disk cannot be read again.
    pub fn listing(&self, nodes: &[Prefix]) -> Result<Vec<Vec<u8>>, TallyError> {
        let mut found: Vec<Vec<(Place, Vec<u8>)>> = vec![Vec::new(); nodes.len()];
        self.visit(nodes, |at, place, listed| {
            if let Some(rows) = found.get_mut(at) {
                let mut row = Vec::with_capacity(listed.key.len() + 16);
                write_listed(listed, &mut row);
                rows.push((place, row));
            }
        })?;
        let in_order = |mut rows: Vec<(Place, Vec<u8>)>| {
            rows.sort();
            rows.into_iter().flat_map(|(_, row)| row).collect()
        };
        Ok(found.into_iter().map(in_order).collect())
    }

    /// Shows each row below a node of the second level or deeper, with the index of that node. A row is shown once, also
    /// where a node is asked about twice or stands below another.
    fn visit(
        &self,
        nodes: &[Prefix],
        mut see: impl FnMut(usize, Place, Listed<'_>),
    ) -> Result<(), TallyError> {
        let mut by_partition: Vec<(u8, usize)> = Vec::with_capacity(nodes.len());
        for (at, node) in nodes.iter().enumerate() {
            if node.level() >= 2 {
                by_partition.push((node.first_byte(), at));
            }
        }
        by_partition.sort_unstable();
        for group in by_partition.chunk_by(|one, other| one.0 == other.0) {
            let Some((partition, _)) = group.first() else {
                continue;
            };
            let mut asked: Vec<(Prefix, usize)> = group
                .iter()
                .filter_map(|(_, at)| Some((*nodes.get(*at)?, *at)))
                .collect();
            asked.sort_unstable();
            let entries = self.spool.read(*partition)?;
            for listed in read_listing(&entries) {
                let listed = listed?;
                let place = self.hasher.key().place(listed.key);
                if let Some(at) = above(&asked, place) {
                    see(at, place, listed);
                }
            }
        }
        Ok(())
    }

    /// The children of one of the nodes whose sums are in memory.
    fn upper(&self, node: Prefix) -> Children {
        let mut children = Children::default();
        for (first, sum) in (0_u64..).zip(&self.sums) {
            let place = Place(first << 56);
            if node.contains(place)
                && let Some(child) = children.get_mut(node.branch_of(place))
            {
                child.merge(*sum);
            }
        }
        children
    }
}

/// The index of that node of those sorted that stands above `place`.
fn above(asked: &[(Prefix, usize)], place: Place) -> Option<usize> {
    let behind = asked.partition_point(|(node, _)| *node <= Prefix::above(place, LEVELS));
    let (node, at) = asked.get(behind.checked_sub(1)?)?;
    node.contains(place).then_some(*at)
}

fn partition(place: Place) -> u8 {
    let [byte, ..] = place.0.to_be_bytes();
    byte
}
