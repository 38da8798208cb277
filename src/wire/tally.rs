//! The tally of a table: which rows it has, as numbers that add up in any order.
//!
//! The place of a row is 64 bits made of its key, its hash 128 bits made of all its bytes. Places are the leaves of a tree
//! with sixteen branches at each of sixteen levels; a node is the number of the rows below it and the sum of their hashes.
//! So two sites find the rows in which they differ by comparing nodes from the root down, whatever their engines, and
//! whatever order they read in. Pure codecs and arithmetic, no IO.
//! Invariant: hashes are added, never XORed, so that equal rows do not cancel out.

mod bitmap;
mod hasher;
mod listing;
mod prefix;

use bytes::{Buf, BufMut};
use xxhash_rust::xxh3::xxh3_64_with_seed;

#[cfg(test)]
use crate::base::secret::Secret;
use crate::wire::InvalidValue;
use crate::wire::frame::RowSum;
use crate::wire::row::{RowWriter, field_at, split_tuple};
use crate::wire::signing::MacKey;
#[cfg(test)]
use crate::wire::signing::{ConnectionKeys, RootKey};
use crate::wire::tally::hasher::{BLOCK, blocks};

pub use bitmap::Bitmap;
pub use hasher::RowHasher;
pub use listing::{
    EqualRows, HASH_BYTES, Listed, Listing, read_equal_rows, read_listing, write_equal_rows,
    write_listed,
};
pub use prefix::{BRANCHES, InvalidPrefix, LEVELS, Prefix};

/// Where a row stands in the tree: XXH3-64 of its key; of its hash where it has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place(pub u64);

impl Place {
    /// The first three of its hexadecimal digits.
    #[must_use]
    pub fn first_digits(self) -> u16 {
        let [high, low, ..] = self.0.to_be_bytes();
        u16::from_be_bytes([high, low]) >> 4
    }
}

/// What a row is: the first 16 bytes, little-endian, of the keyed BLAKE3 of its bytes in the contract's form, filled up
/// with zeros to whole blocks of 64 bytes. (A row tells its own length, so that no two of them become one by that.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RowHash(pub u128);

/// What one connection hashes its rows with: a stranger who knows rows of a table cannot make others with their sums.
#[derive(Clone, Debug)]
pub struct TallyKey {
    hash: [u8; 32],
    seed: u64,
}

impl TallyKey {
    /// That of a connection's present key for rows.
    #[must_use]
    pub fn of(row_key: &MacKey) -> Self {
        let hash = *row_key.expose();
        Self {
            hash,
            seed: u64::from_le_bytes(first(
                blake3::keyed_hash(&hash, b"evenkeel place").as_bytes(),
            )),
        }
    }

    /// Where the row with this key stands.
    #[must_use]
    pub fn place(&self, key: &[u8]) -> Place {
        Place(xxh3_64_with_seed(key, self.seed))
    }

    /// Where a row without a key stands: equal rows stand at one place.
    #[must_use]
    pub fn place_of_keyless(&self, hash: RowHash) -> Place {
        self.place(&hash.0.to_le_bytes())
    }

    /// What the row with these bytes is. [`RowHasher`] tells it of many rows at once.
    #[must_use]
    pub fn hash(&self, row: &[u8]) -> RowHash {
        let missing = blocks(row) * BLOCK - row.len();
        let mut hasher = blake3::Hasher::new_keyed(&self.hash);
        hasher.update(row);
        hasher.update([0; BLOCK].get(..missing).unwrap_or_default());
        RowHash(u128::from_le_bytes(first(hasher.finalize().as_bytes())))
    }
}

fn first<const N: usize>(hash: &[u8; blake3::OUT_LEN]) -> [u8; N] {
    let mut head = [0; N];
    for (to, from) in head.iter_mut().zip(hash) {
        *to = *from;
    }
    head
}

/// Which fields of a row are its key, in the contract's order. None: the rows are *keyless*. What tells such a row is its
/// hash alone, and equal rows, which nothing tells apart, are counted: a table of them is a multiset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFields(Vec<usize>);

/// The key of a keyless row: a tuple of no fields.
pub const NO_KEY: &[u8] = &[0, 0];

impl KeyFields {
    /// The fields at these places.
    #[must_use]
    pub fn new(places: Vec<usize>) -> Self {
        Self(places)
    }

    /// Whether rows have no key.
    #[must_use]
    pub fn is_keyless(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds the key of `row` to `writer`, as a tuple of its own.
    ///
    /// # Errors
    /// When the row is broken, has no such field, or the field is NULL.
    pub fn write(&self, row: &[u8], writer: &mut RowWriter) -> Result<(), InvalidValue> {
        let (fields, _) = split_tuple(row)?;
        let count = u16::try_from(self.0.len())
            .map_err(|_| InvalidValue::new("key", "it has too many fields"))?;
        let key: Option<Vec<&[u8]>> = self
            .0
            .iter()
            .map(|at| fields.get(*at).copied().flatten())
            .collect();
        let key = key.ok_or_else(|| InvalidValue::new("key", "a field of it is NULL"))?;
        writer.begin(count);
        for field in key {
            writer.field(Some(field));
        }
        Ok(())
    }
}

impl KeyFields {
    /// Adds the key of `row`, as a tuple of its own, to `key`, without taking memory for anything else.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn append(&self, row: &[u8], key: &mut Vec<u8>) -> Result<(), InvalidValue> {
        let too_many = |_| InvalidValue::new("key", "it has too many fields");
        key.put_u16(u16::try_from(self.0.len()).map_err(too_many)?);
        for at in &self.0 {
            let field = field_at(row, *at)?;
            let field = field.ok_or_else(|| InvalidValue::new("key", "a field of it is NULL"))?;
            let too_long = |_| InvalidValue::new("key", "a field of it is too long");
            key.put_u32(u32::try_from(field.len()).map_err(too_long)?);
            key.extend_from_slice(field);
        }
        Ok(())
    }
}

/// The sums of a node's sixteen children, in their order.
pub type Children = [RowSum; BRANCHES];

/// Adds the children of each asked node to the payload of a `sums` frame.
pub fn write_children(children: &Children, payload: &mut Vec<u8>) {
    for child in children {
        payload.put_u64_le(child.rows);
        payload.put_u128_le(child.sum);
    }
}

/// Bytes of one node's children in a `sums` frame.
pub const CHILDREN_BYTES: usize = BRANCHES * 24;

/// Reads the payload of a `sums` frame: the children of each node that was asked about, in the order asked.
///
/// # Errors
/// When it has another size.
pub fn read_children(payload: &[u8]) -> Result<Vec<Children>, InvalidValue> {
    let (nodes, rest) = payload.as_chunks::<CHILDREN_BYTES>();
    if !rest.is_empty() {
        return Err(InvalidValue::new("sums", "it ends within a node"));
    }
    let read = |node: &[u8; CHILDREN_BYTES]| {
        let mut node = node.as_slice();
        // Sixteen times 24 bytes are there: nothing is read beyond the end.
        std::array::from_fn(|_| RowSum {
            rows: node.get_u64_le(),
            sum: node.get_u128_le(),
        })
    };
    Ok(nodes.iter().map(read).collect())
}

#[cfg(test)]
impl TallyKey {
    /// That of the first key of a connection by this token.
    pub(crate) fn of_token(token: &str) -> Self {
        let root = RootKey::of_token(&Secret::new(token.to_owned()));
        Self::of(&ConnectionKeys::derive(&root, 1).row())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, prop_assert_eq, proptest};

    use super::{KeyFields, TallyKey, read_children, write_children};
    use crate::wire::frame::RowSum;
    use crate::wire::row::{RowWriter, split_tuple};

    proptest! {
        #[test]
        fn sums_are_read_as_they_were_written(sums in prop::collection::vec((any::<u64>(), any::<u128>()), 16)) {
            let mut children = [RowSum::default(); 16];
            for (child, (rows, sum)) in children.iter_mut().zip(sums) {
                *child = RowSum { rows, sum };
            }
            let mut payload = Vec::new();
            write_children(&children, &mut payload);
            write_children(&children, &mut payload);
            prop_assert_eq!(read_children(&payload).unwrap(), vec![children; 2]);
            assert!(read_children(&payload[1..]).is_err());
        }
    }

    #[test]
    fn hashes_and_places_are_the_connections_own() {
        let (one, other) = ["one", "other"].map(TallyKey::of_token).into();
        assert_ne!(one.hash(b"row"), other.hash(b"row"));
        assert_ne!(one.place(b"key"), other.place(b"key"));
        assert_eq!(one.hash(b"row"), TallyKey::of_token("one").hash(b"row"));
    }

    #[test]
    fn a_key_is_its_fields_in_the_contracts_order() {
        let mut row = RowWriter::default();
        row.begin(3);
        for field in [Some(b"a".as_slice()), None, Some(b"b")] {
            row.field(field);
        }
        let row = row.take().data;
        let mut writer = RowWriter::default();
        KeyFields::new(vec![2, 0]).write(&row, &mut writer).unwrap();
        let written = writer.take().data;
        let mut appended = Vec::new();
        KeyFields::new(vec![2, 0])
            .append(&row, &mut appended)
            .unwrap();
        assert_eq!(written, appended);
        assert_eq!(
            split_tuple(&written).unwrap().0,
            [Some(b"b".as_slice()), Some(b"a")]
        );
        for broken in [vec![1], vec![3]] {
            let broken = KeyFields::new(broken);
            assert!(broken.append(&row, &mut appended).is_err());
            assert!(broken.write(&row, &mut writer).is_err());
        }
    }
}
