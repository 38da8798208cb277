//! Cuts a binary COPY stream into batches of whole tuples. Pure.
//!
//! Layout: PostgreSQL documentation, COPY, "Binary Format": a header, tuples, and a field count of -1 as the end.
//! Invariant: how the bytes were cut into messages does not matter, and no tuple above the limit gets into a batch.

use bytes::{Bytes, BytesMut};

use crate::engine::driver::BATCH_BYTES;
use crate::wire::InvalidValue;
use crate::wire::buffer::Buffers;
use crate::wire::frame::MAX_ROW_BYTES;
use crate::wire::row::{RowBatch, tuple_length};

/// The header this side writes: signature, no flags, no extension.
pub(super) const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What follows the last tuple.
pub(super) const TRAILER: &[u8] = b"\xff\xff";

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";

/// Why a stream cannot be cut.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum CutFault {
    /// It is no binary COPY stream.
    Malformed(InvalidValue),
    /// A tuple of this many bytes, as far as it was seen.
    TooLarge { bytes: usize, tuple: Bytes },
}

impl From<InvalidValue> for CutFault {
    fn from(err: InvalidValue) -> Self {
        Self::Malformed(err)
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Place {
    Header,
    Tuples,
    End,
}

/// What came so far.
#[derive(Debug)]
pub(super) struct Cutter {
    buffer: BytesMut,
    buffers: Buffers,
    /// Bytes of whole tuples at the front of the buffer.
    complete: usize,
    rows: u32,
    place: Place,
}

impl Default for Cutter {
    fn default() -> Self {
        Self {
            buffer: BytesMut::new(),
            buffers: Buffers::for_batches_of(BATCH_BYTES),
            complete: 0,
            rows: 0,
            place: Place::Header,
        }
    }
}

impl Cutter {
    /// Takes the next bytes.
    pub(super) fn push(&mut self, data: &[u8]) -> Result<(), CutFault> {
        if self.buffer.capacity() == 0 {
            self.buffer = self.buffers.empty();
        }
        self.buffer.extend_from_slice(data);
        if self.place == Place::Header && !self.skip_header()? {
            return Ok(());
        }
        while self.place == Place::Tuples {
            let rest = self.buffer.get(self.complete..).unwrap_or_default();
            if rest.starts_with(TRAILER) {
                self.place = Place::End;
                self.buffer.truncate(self.complete);
                break;
            }
            let length = tuple_length(rest)?;
            let bytes = length.unwrap_or(rest.len());
            if bytes > MAX_ROW_BYTES {
                let tuple = Bytes::copy_from_slice(rest.get(..bytes).unwrap_or_default());
                return Err(CutFault::TooLarge { bytes, tuple });
            }
            let Some(length) = length else { break };
            self.complete += length;
            self.rows += 1;
        }
        Ok(())
    }

    /// Whether a batch has its size.
    pub(super) fn is_full(&self) -> bool {
        self.complete >= BATCH_BYTES
    }

    /// Whether the end of the stream was seen.
    pub(super) fn has_ended(&self) -> bool {
        self.place == Place::End
    }

    /// The whole tuples, leaving what follows them; `None` when there are none.
    pub(super) fn take(&mut self) -> Option<RowBatch> {
        if self.rows == 0 {
            return None;
        }
        let complete = std::mem::take(&mut self.complete);
        Some(RowBatch {
            rows: std::mem::take(&mut self.rows),
            data: self.buffers.pass_on(&mut self.buffer, complete),
        })
    }

    fn skip_header(&mut self) -> Result<bool, InvalidValue> {
        let Some((head, _)) = self.buffer.split_at_checked(HEADER.len()) else {
            return Ok(false);
        };
        if !head.starts_with(SIGNATURE) {
            return Err(InvalidValue::new("copy stream", "another signature"));
        }
        let extension = head
            .last_chunk::<4>()
            .map_or(0, |length| u32::from_be_bytes(*length));
        let whole = usize::try_from(extension)
            .unwrap_or(usize::MAX)
            .saturating_add(HEADER.len());
        if self.buffer.len() < whole {
            return Ok(false);
        }
        drop(self.buffer.split_to(whole));
        self.place = Place::Tuples;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::{CutFault, Cutter, HEADER, TRAILER};
    use crate::wire::frame::MAX_ROW_BYTES;
    use crate::wire::row::RowBatch;
    use crate::wire::row::RowWriter;
    use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

    fn stream(rows: &[Vec<u8>], extension: &[u8]) -> (Vec<u8>, RowBatch) {
        let mut writer = RowWriter::default();
        for row in rows {
            writer.begin(2);
            writer.field(Some(row));
            writer.field(None);
        }
        let batch = writer.take();
        let mut bytes = HEADER[..15].to_vec();
        bytes.extend(u32::try_from(extension.len()).unwrap().to_be_bytes());
        bytes.extend(extension);
        bytes.extend(&batch.data);
        bytes.extend(TRAILER);
        (bytes, batch)
    }

    proptest! {
        #[test]
        fn messages_cut_anywhere_give_the_same_tuples(
            rows in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..30), 0..20),
            extension in prop::collection::vec(any::<u8>(), 0..5),
            size in 1_usize..40,
        ) {
            let (bytes, expected) = stream(&rows, &extension);
            let mut cutter = Cutter::default();
            let (mut count, mut data) = (0, Vec::new());
            for message in bytes.chunks(size) {
                cutter.push(message).unwrap();
                if let Some(batch) = cutter.take() {
                    count += batch.rows;
                    data.extend_from_slice(&batch.data);
                }
            }
            prop_assert!(cutter.has_ended());
            prop_assert_eq!(count, expected.rows);
            prop_assert_eq!(data, expected.data.to_vec());
        }
    }

    #[test]
    fn a_stream_without_its_trailer_has_not_ended() {
        let (bytes, _) = stream(&[vec![1]], &[]);
        let mut cutter = Cutter::default();
        cutter.push(&bytes[..bytes.len() - 2]).unwrap();
        assert!(!cutter.has_ended());
        assert_eq!(cutter.take().unwrap().rows, 1);
    }

    #[test]
    fn a_row_above_the_limit_and_another_signature_are_refused() {
        let (bytes, _) = stream(&[vec![7; MAX_ROW_BYTES]], &[]);
        assert!(matches!(
            Cutter::default().push(&bytes),
            Err(CutFault::TooLarge { .. })
        ));
        assert!(matches!(
            Cutter::default().push(&[0; 40]),
            Err(CutFault::Malformed(_))
        ));
    }
}
