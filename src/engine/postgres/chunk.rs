//! Rows gathered in memory until they are written together. Pure.
//!
//! Invariant: parts hold whole tuples only; a chunk never exceeds the room it was given, unless a single row does.

use bytes::Bytes;

use crate::wire::InvalidValue;
use crate::wire::row::tuple_length;

/// Rows that wait to be written.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    pub(super) parts: Vec<Bytes>,
    pub(super) rows: u64,
    pub(super) bytes: u64,
}

/// How much may still be taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub(super) rows: u64,
    pub(super) bytes: u64,
}

impl Chunk {
    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Takes rows off the front of `data`, as many as fit into `room`; with `at_least_one` also one that does not.
    pub(super) fn fill(
        &mut self,
        data: &mut Bytes,
        room: Room,
        at_least_one: bool,
    ) -> Result<u64, InvalidValue> {
        let (mut rows, mut bytes, mut length) = (0_u64, 0_u64, 0_usize);
        while let Some(rest) = data.get(length..).filter(|rest| !rest.is_empty()) {
            let next =
                tuple_length(rest)?.ok_or_else(|| InvalidValue::new("row", "it ends early"))?;
            let size = u64::try_from(next).unwrap_or(u64::MAX);
            let fits = rows < room.rows && bytes.saturating_add(size) <= room.bytes;
            let forced = at_least_one && rows == 0;
            if !(fits || forced) {
                break;
            }
            rows += 1;
            bytes += size;
            length += next;
        }
        if rows > 0 {
            self.parts.push(data.split_to(length));
            self.rows += rows;
            self.bytes += bytes;
        }
        Ok(rows)
    }
}

/// Each row on its own.
pub(super) fn tuples(parts: &[Bytes]) -> Result<Vec<Bytes>, InvalidValue> {
    let mut tuples = Vec::new();
    for part in parts {
        let mut rest = part.clone();
        while !rest.is_empty() {
            let length =
                tuple_length(&rest)?.ok_or_else(|| InvalidValue::new("row", "it ends early"))?;
            tuples.push(rest.split_to(length));
        }
    }
    Ok(tuples)
}

#[cfg(test)]
mod tests {
    use super::{Chunk, Room, tuples};
    use crate::wire::row::RowWriter;
    use bytes::Bytes;

    fn data(rows: u8) -> Bytes {
        let mut writer = RowWriter::default();
        for row in 0..rows {
            writer.begin(1);
            writer.field(Some(&[row; 4]));
        }
        writer.take().data
    }

    #[test]
    fn a_chunk_takes_what_fits_and_a_single_row_that_does_not() {
        let mut data = data(5);
        let mut chunk = Chunk::default();
        assert_eq!(
            chunk
                .fill(
                    &mut data,
                    Room {
                        rows: 2,
                        bytes: 1_000
                    },
                    false
                )
                .unwrap(),
            2
        );
        assert_eq!(
            chunk
                .fill(&mut data, Room { rows: 9, bytes: 19 }, false)
                .unwrap(),
            1
        );
        assert_eq!(
            chunk
                .fill(&mut data, Room { rows: 9, bytes: 1 }, false)
                .unwrap(),
            0
        );
        assert_eq!(
            chunk
                .fill(&mut data, Room { rows: 0, bytes: 0 }, true)
                .unwrap(),
            1
        );
        assert_eq!((chunk.rows, chunk.bytes, data.len()), (4, 40, 10));
        assert_eq!(tuples(&chunk.parts).unwrap().len(), 4);
    }

    #[test]
    fn a_row_that_ends_early_is_an_error() {
        let mut cut = data(1).slice(..5);
        assert!(
            Chunk::default()
                .fill(
                    &mut cut,
                    Room {
                        rows: 1,
                        bytes: 100
                    },
                    true
                )
                .is_err()
        );
        assert!(tuples(&[cut]).is_err());
    }
}
