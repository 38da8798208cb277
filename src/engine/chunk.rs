//! Rows gathered in memory until they are written together. Pure.
//!
//! Invariant: parts hold whole tuples only; a chunk never exceeds the room it was given, unless a single row does.

use bytes::Bytes;

use crate::wire::InvalidValue;
use crate::wire::row::{RowBatch, tuple_length};

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

    /// Takes rows off the front of `batch`, as many as fit into `room`; with `at_least_one` also one that does not.
    pub(super) fn fill(
        &mut self,
        batch: &mut RowBatch,
        room: Room,
        at_least_one: bool,
    ) -> Result<u64, InvalidValue> {
        let (rows, length) = if fits_whole(batch, room) {
            (batch.rows, batch.data.len())
        } else {
            front(&batch.data, room, at_least_one)?
        };
        if rows > 0 {
            self.parts.push(batch.data.split_to(length));
            batch.rows = batch.rows.saturating_sub(rows);
            self.rows += u64::from(rows);
            self.bytes += size_of(length);
        }
        Ok(rows.into())
    }
}

/// Most batches do, and need not be looked through.
fn fits_whole(batch: &RowBatch, room: Room) -> bool {
    u64::from(batch.rows) <= room.rows && size_of(batch.data.len()) <= room.bytes
}

/// How many rows from the front fit, and their length in bytes.
fn front(data: &[u8], room: Room, at_least_one: bool) -> Result<(u32, usize), InvalidValue> {
    let (mut rows, mut length) = (0_u32, 0_usize);
    while let Some(rest) = data.get(length..).filter(|rest| !rest.is_empty()) {
        let next = tuple_length(rest)?.ok_or_else(|| InvalidValue::new("row", "it ends early"))?;
        let fits = u64::from(rows) < room.rows && size_of(length + next) <= room.bytes;
        let forced = at_least_one && rows == 0;
        if !(fits || forced) {
            break;
        }
        rows += 1;
        length += next;
    }
    Ok((rows, length))
}

fn size_of(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
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
    use crate::wire::row::{RowBatch, RowWriter};

    fn batch(rows: u8) -> RowBatch {
        let mut writer = RowWriter::default();
        for row in 0..rows {
            writer.begin(1);
            writer.field(Some(&[row; 4]));
        }
        writer.take()
    }

    #[test]
    fn a_chunk_takes_what_fits_and_a_single_row_that_does_not() {
        let mut batch = batch(5);
        let mut chunk = Chunk::default();
        let mut fill = |rows, bytes, forced| chunk.fill(&mut batch, Room { rows, bytes }, forced);
        assert_eq!(fill(2, 1_000, false), Ok(2));
        assert_eq!(fill(9, 19, false), Ok(1));
        assert_eq!(fill(9, 1, false), Ok(0));
        assert_eq!(fill(0, 0, true), Ok(1));
        assert_eq!(fill(9, 1_000, false), Ok(1));
        assert_eq!((chunk.rows, chunk.bytes), (5, 50));
        assert_eq!((batch.rows, batch.data.len()), (0, 0));
        assert_eq!(tuples(&chunk.parts).unwrap().len(), 5);
    }

    #[test]
    fn a_row_that_ends_early_is_an_error() {
        let cut = batch(1).data.slice(..5);
        let room = Room { rows: 1, bytes: 1 };
        let mut batch = RowBatch {
            rows: 1,
            data: cut.clone(),
        };
        assert!(Chunk::default().fill(&mut batch, room, true).is_err());
        assert!(tuples(&[cut]).is_err());
    }
}
