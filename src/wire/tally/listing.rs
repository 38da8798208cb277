//! The rows below a node, one by one: key and hash of each.

use crate::wire::InvalidValue;
use crate::wire::row::tuple_length;
use crate::wire::tally::RowHash;

/// One row of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed<'a> {
    /// Its key, as a tuple of the row layout.
    pub key: &'a [u8],
    /// What it is.
    pub hash: RowHash,
}

/// Bytes of a row's hash, behind its key.
pub const HASH_BYTES: usize = 16;

/// Adds a row to the payload of a `keys` frame.
pub fn write_listed(listed: Listed<'_>, payload: &mut Vec<u8>) {
    payload.extend_from_slice(listed.key);
    payload.extend_from_slice(&listed.hash.0.to_le_bytes());
}

/// Reads the payload of a `keys` frame, row by row.
#[must_use]
pub fn read_listing(payload: &[u8]) -> Listing<'_> {
    Listing(payload)
}

/// The rows of a listing, in order; ends with the first fault.
#[derive(Clone, Debug)]
pub struct Listing<'a>(&'a [u8]);

impl<'a> Iterator for Listing<'a> {
    type Item = Result<Listed<'a>, InvalidValue>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let read = split(self.0);
        self.0 = read.as_ref().map_or(&[], |(_, rest)| rest);
        Some(read.map(|(listed, _)| listed))
    }
}

fn split(bytes: &[u8]) -> Result<(Listed<'_>, &[u8]), InvalidValue> {
    let cut = || InvalidValue::new("listing", "it ends within a row");
    let length = tuple_length(bytes)?.ok_or_else(cut)?;
    let (key, rest) = bytes.split_at_checked(length).ok_or_else(cut)?;
    let (hash, rest) = rest.split_first_chunk::<HASH_BYTES>().ok_or_else(cut)?;
    let hash = RowHash(u128::from_le_bytes(*hash));
    Ok((Listed { key, hash }, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, prop_assert_eq, proptest};

    use super::{Listed, RowHash, read_listing, write_listed};
    use crate::wire::row::RowWriter;

    proptest! {
        #[test]
        fn what_is_listed_is_read(rows in prop::collection::vec((any::<[u8; 5]>(), any::<u128>()), 0..20)) {
            let mut payload = Vec::new();
            let mut expected = Vec::new();
            for (key, hash) in rows {
                let mut writer = RowWriter::default();
                writer.begin(1);
                writer.field(Some(&key));
                let key = writer.take().data;
                write_listed(Listed { key: &key, hash: RowHash(hash) }, &mut payload);
                expected.push((key.to_vec(), hash));
            }
            let read = read_listing(&payload).map(|listed| {
                let listed = listed.unwrap();
                (listed.key.to_vec(), listed.hash.0)
            });
            prop_assert_eq!(read.collect::<Vec<_>>(), expected);
        }

        #[test]
        fn any_bytes_are_rows_or_one_fault(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let faults = read_listing(&bytes).filter(Result::is_err).count();
            assert!(faults <= 1);
        }
    }
}
