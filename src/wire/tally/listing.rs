//! The rows below a node, one by one: key and hash of each. Of rows without a key equal ones stand once, with their number
//! in place of a key.

use crate::wire::InvalidValue;
use crate::wire::row::{RowWriter, split_tuple, tuple_length};
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

/// Rows without a key that are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EqualRows {
    /// What each of them is.
    pub hash: RowHash,
    /// How many there are; never none.
    pub rows: u64,
}

/// Adds equal rows to the payload of a `keys` frame: a tuple with their number as an int8 stands where a key would.
pub fn write_equal_rows(equal: EqualRows, payload: &mut Vec<u8>) {
    let mut writer = RowWriter::default();
    writer.begin(1);
    writer.field(Some(&equal.rows.to_be_bytes()));
    let key = &writer.take().data;
    let hash = equal.hash;
    write_listed(Listed { key, hash }, payload);
}

/// Reads the payload of a `keys` frame about rows without a key.
///
/// # Errors
/// When it is broken, tells of no rows, or of the same ones twice in a row.
pub fn read_equal_rows(payload: &[u8]) -> Result<Vec<EqualRows>, InvalidValue> {
    let mut read: Vec<EqualRows> = Vec::new();
    for listed in read_listing(payload) {
        let Listed { key, hash } = listed?;
        let (fields, _) = split_tuple(key)?;
        let [Some(rows)] = fields.as_slice() else {
            return Err(InvalidValue::new("listing", "it has no number of rows"));
        };
        let rows = <[u8; 8]>::try_from(*rows).map(u64::from_be_bytes);
        let rows = rows.ok().filter(|rows| *rows > 0);
        let rows = rows.ok_or_else(|| InvalidValue::new("listing", "a number of rows is none"))?;
        if read.last().is_some_and(|last| last.hash == hash) {
            return Err(InvalidValue::new("listing", "it tells of a row twice"));
        }
        read.push(EqualRows { hash, rows });
    }
    Ok(read)
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

    use super::{
        EqualRows, Listed, RowHash, read_equal_rows, read_listing, write_equal_rows, write_listed,
    };
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
        fn equal_rows_are_read_as_they_were_counted(rows in prop::collection::btree_map(any::<u128>(), 1..=u64::MAX, 0..20)) {
            let rows: Vec<EqualRows> = rows
                .into_iter()
                .map(|(hash, rows)| EqualRows { hash: RowHash(hash), rows })
                .collect();
            let mut payload = Vec::new();
            rows.iter().for_each(|equal| write_equal_rows(*equal, &mut payload));
            prop_assert_eq!(read_equal_rows(&payload).unwrap(), rows);
        }

        #[test]
        fn any_bytes_are_rows_or_one_fault(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let faults = read_listing(&bytes).filter(Result::is_err).count();
            assert!(faults <= 1);
        }
    }

    #[test]
    fn numbers_of_equal_rows_that_make_no_sense_are_refused() {
        let listing = |rows: &[(u64, u128)]| {
            let mut payload = Vec::new();
            for (rows, hash) in rows {
                let equal = EqualRows {
                    hash: RowHash(*hash),
                    rows: *rows,
                };
                write_equal_rows(equal, &mut payload);
            }
            read_equal_rows(&payload)
        };
        assert!(listing(&[(1, 7), (2, 8)]).is_ok());
        assert!(listing(&[(0, 7)]).is_err());
        assert!(listing(&[(1, 7), (2, 7)]).is_err());
        let mut keyed = Vec::new();
        let hash = RowHash(7);
        write_listed(Listed { key: &[0, 0], hash }, &mut keyed);
        assert!(read_equal_rows(&keyed).is_err());
    }
}
