//! Hashes of rows, sixteen at a time where the processor can.
//!
//! One row is too short for BLAKE3 to be fast: its blocks wait for each other. Rows of equally many blocks do not, so they
//! are gathered by that number and hashed side by side, as BLAKE3 hashes the chunks of one long input.
//! That part of the crate is not of the interface it promises to keep: its version is pinned, and the tests below hold it
//! against the promised one. Invariant: what is told of a row is what [`TallyKey::hash`] tells, whatever stands beside it.

use blake3::IncrementCounter;
use blake3::platform::Platform;

use crate::wire::InvalidValue;
use crate::wire::tally::{RowHash, TallyKey, first};

/// Bytes of a block of BLAKE3.
pub(super) const BLOCK: usize = blake3::BLOCK_LEN;
/// Blocks of a chunk: longer rows are hashed by themselves.
const CHUNK_BLOCKS: usize = blake3::CHUNK_LEN / BLOCK;
/// Rows that the widest processors hash at once.
const LANES: usize = 16;

/// The flags of an input of one chunk, from the specification of BLAKE3.
const KEYED_HASH: u8 = 1 << 4;
const CHUNK_START: u8 = 1 << 0;
const CHUNK_END_AND_ROOT: u8 = 1 << 1 | 1 << 3;

/// Hashes the rows of one table under one key.
#[derive(Debug)]
pub struct RowHasher {
    key: TallyKey,
    words: [u32; 8],
    platform: Platform,
    /// By the number of blocks, from one.
    gathered: Vec<Gathered>,
    hashes: Vec<RowHash>,
}

/// Rows of equally many blocks that wait for more of them.
#[derive(Debug, Default)]
struct Gathered {
    /// One after the other, each filled up with zeros.
    padded: Vec<u8>,
    /// Where in their batch they stand.
    at: Vec<usize>,
}

impl RowHasher {
    /// Under the key of a connection.
    #[must_use]
    pub fn new(key: TallyKey) -> Self {
        let mut words = [0; 8];
        let (bytes, _) = key.hash.as_chunks::<4>();
        for (word, bytes) in words.iter_mut().zip(bytes) {
            *word = u32::from_le_bytes(*bytes);
        }
        Self {
            key,
            words,
            platform: Platform::detect(),
            gathered: (0..CHUNK_BLOCKS).map(|_| Gathered::default()).collect(),
            hashes: Vec::new(),
        }
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &TallyKey {
        &self.key
    }

    /// The hashes of `rows`, in their order.
    ///
    /// # Errors
    /// The first among the rows.
    pub fn hashes<'a>(
        &mut self,
        rows: impl Iterator<Item = Result<&'a [u8], InvalidValue>>,
    ) -> Result<&[RowHash], InvalidValue> {
        self.hashes.clear();
        for gathered in &mut self.gathered {
            gathered.clear();
        }
        for (at, tuple) in rows.enumerate() {
            let tuple = tuple?;
            let blocks = blocks(tuple);
            let Some(gathered) = self.gathered.get_mut(blocks - 1) else {
                self.hashes.push(self.key.hash(tuple));
                continue;
            };
            // Until it is known.
            self.hashes.push(RowHash(0));
            gathered.add(tuple, at, blocks);
            if gathered.at.len() == LANES {
                gathered.hash(blocks, (&self.words, self.platform), &mut self.hashes);
            }
        }
        for (gathered, blocks) in self.gathered.iter_mut().zip(1..) {
            gathered.hash(blocks, (&self.words, self.platform), &mut self.hashes);
        }
        Ok(&self.hashes)
    }
}

/// How many blocks a row fills up; never none.
pub(super) fn blocks(row: &[u8]) -> usize {
    row.len().div_ceil(BLOCK).max(1)
}

impl Gathered {
    fn clear(&mut self) {
        self.padded.clear();
        self.at.clear();
    }

    fn add(&mut self, row: &[u8], at: usize, blocks: usize) {
        self.at.push(at);
        self.padded.extend_from_slice(row);
        self.padded.resize(self.at.len() * blocks * BLOCK, 0);
    }

    /// Hashes what was gathered, and gathers anew.
    fn hash(&mut self, blocks: usize, key: (&[u32; 8], Platform), hashes: &mut [RowHash]) {
        let mut found = [0; LANES * blake3::OUT_LEN];
        let many = match blocks {
            1 => many::<{ BLOCK }>,
            2 => many::<{ 2 * BLOCK }>,
            3 => many::<{ 3 * BLOCK }>,
            4 => many::<{ 4 * BLOCK }>,
            5 => many::<{ 5 * BLOCK }>,
            6 => many::<{ 6 * BLOCK }>,
            7 => many::<{ 7 * BLOCK }>,
            8 => many::<{ 8 * BLOCK }>,
            9 => many::<{ 9 * BLOCK }>,
            10 => many::<{ 10 * BLOCK }>,
            11 => many::<{ 11 * BLOCK }>,
            12 => many::<{ 12 * BLOCK }>,
            13 => many::<{ 13 * BLOCK }>,
            14 => many::<{ 14 * BLOCK }>,
            15 => many::<{ 15 * BLOCK }>,
            _ => many::<{ 16 * BLOCK }>,
        };
        many(&self.padded, key, &mut found);
        let (found, _) = found.as_chunks::<{ blake3::OUT_LEN }>();
        for (at, found) in self.at.iter().zip(found) {
            if let Some(hash) = hashes.get_mut(*at) {
                *hash = RowHash(u128::from_le_bytes(first(found)));
            }
        }
        self.clear();
    }
}

/// The hashes of up to [`LANES`] rows of `N` bytes each.
fn many<const N: usize>(padded: &[u8], (key, platform): (&[u32; 8], Platform), into: &mut [u8]) {
    let (rows, _) = padded.as_chunks::<N>();
    let mut inputs = [&[0; N]; LANES];
    for (input, row) in inputs.iter_mut().zip(rows) {
        *input = row;
    }
    platform.hash_many(
        inputs.get(..rows.len()).unwrap_or_default(),
        key,
        0,
        IncrementCounter::No,
        KEYED_HASH,
        CHUNK_START,
        CHUNK_END_AND_ROOT,
        into,
    );
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, prop_assert_eq, proptest};

    use super::RowHasher;
    use crate::wire::row::{RowBatch, RowWriter};
    use crate::wire::tally::{RowHash, TallyKey};

    fn hasher() -> RowHasher {
        RowHasher::new(TallyKey::of_token("a token"))
    }

    fn rows(lengths: impl IntoIterator<Item = usize>) -> RowBatch {
        let mut writer = RowWriter::default();
        for (length, fill) in lengths.into_iter().zip((0..=255).cycle()) {
            writer.begin(1);
            writer.field(Some(&vec![fill; length]));
        }
        writer.take()
    }

    fn one_by_one(key: &TallyKey, batch: &RowBatch) -> Vec<RowHash> {
        batch.tuples().map(|row| key.hash(row.unwrap())).collect()
    }

    #[test]
    fn a_row_of_any_length_has_the_hash_it_has_alone() {
        let mut hasher = hasher();
        let batch = rows(0..2_100);
        let alone = one_by_one(&hasher.key, &batch);
        assert_eq!(hasher.hashes(batch.tuples()).unwrap(), alone);
    }

    proptest! {
        #[test]
        fn so_have_rows_beside_any_others(
            lengths in prop::collection::vec(0_usize..1_300, 0..100),
            again in prop::collection::vec(0_usize..70, 0..100),
        ) {
            let mut hasher = hasher();
            for lengths in [lengths, again] {
                let batch = rows(lengths);
                let alone = one_by_one(&hasher.key, &batch);
                prop_assert_eq!(hasher.hashes(batch.tuples()).unwrap(), alone);
            }
        }

        #[test]
        fn bytes_that_are_no_rows_are_an_error_and_spoil_no_batch_after_them(
            data in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let mut hasher = hasher();
            let broken = RowBatch { rows: 0, data: data.into() };
            let is_broken = broken.tuples().any(|row| row.is_err());
            prop_assert_eq!(hasher.hashes(broken.tuples()).is_err(), is_broken);
            let batch = rows([3, 70, 3]);
            let alone = one_by_one(&hasher.key, &batch);
            prop_assert_eq!(hasher.hashes(batch.tuples()).unwrap(), alone);
        }
    }
}
