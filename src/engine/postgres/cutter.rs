//! Cuts a binary COPY stream into batches of whole tuples. Pure.
//!
//! Layout: PostgreSQL documentation, COPY, "Binary Format": a header, tuples, and a field count of -1 as the end. Each
//! message is one row (there, "Message Formats", `CopyData`): a tuple is not gone through to find its end, which would
//! take as long as hashing it. One that is none is found by whoever reads the batch.
//! Invariant: no tuple above the limit gets into a batch.

use bytes::{Bytes, BytesMut};

use crate::engine::driver::BATCH_BYTES;
use crate::wire::InvalidValue;
use crate::wire::buffer::Buffers;
use crate::wire::frame::MAX_ROW_BYTES;
use crate::wire::row::RowBatch;

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
    /// A tuple that is larger than any may be.
    TooLarge(Bytes),
}

impl From<InvalidValue> for CutFault {
    fn from(err: InvalidValue) -> Self {
        Self::Malformed(err)
    }
}

/// What came so far.
#[derive(Debug)]
pub(super) struct Cutter {
    buffer: BytesMut,
    buffers: Buffers,
    rows: u32,
    place: Place,
}

#[derive(Debug, PartialEq, Eq)]
enum Place {
    Header,
    Tuples,
    End,
}

impl Default for Cutter {
    fn default() -> Self {
        Self {
            buffer: BytesMut::new(),
            buffers: Buffers::for_batches_of(BATCH_BYTES),
            rows: 0,
            place: Place::Header,
        }
    }
}

impl Cutter {
    /// Takes the next message.
    pub(super) fn push(&mut self, message: &[u8]) -> Result<(), CutFault> {
        let tuple = match self.place {
            Place::Header => {
                self.place = Place::Tuples;
                behind_header(message)?
            }
            Place::Tuples => message,
            Place::End => return Err(InvalidValue::new("copy stream", "more after its end").into()),
        };
        if tuple.is_empty() {
            return Ok(());
        }
        if tuple == TRAILER {
            self.place = Place::End;
            return Ok(());
        }
        if tuple.len() > MAX_ROW_BYTES {
            return Err(CutFault::TooLarge(Bytes::copy_from_slice(tuple)));
        }
        if self.buffer.capacity() == 0 {
            self.buffer = self.buffers.empty();
        }
        self.buffer.extend_from_slice(tuple);
        self.rows += 1;
        Ok(())
    }

    /// The tuples so far, once they are a batch of its size.
    pub(super) fn full(&mut self) -> Option<RowBatch> {
        (self.buffer.len() >= BATCH_BYTES)
            .then(|| self.take())
            .flatten()
    }

    /// Whether the end of the stream was seen.
    pub(super) fn has_ended(&self) -> bool {
        self.place == Place::End
    }

    /// The tuples so far; `None` when there are none.
    pub(super) fn take(&mut self) -> Option<RowBatch> {
        if self.rows == 0 {
            return None;
        }
        let length = self.buffer.len();
        Some(RowBatch {
            rows: std::mem::take(&mut self.rows),
            data: self.buffers.pass_on(&mut self.buffer, length),
        })
    }
}

/// What follows the header, which the first row comes with.
fn behind_header(message: &[u8]) -> Result<&[u8], InvalidValue> {
    let fault = || InvalidValue::new("copy stream", "another header");
    let behind = message.strip_prefix(SIGNATURE).ok_or_else(fault)?;
    let (_flags, behind) = behind.split_first_chunk::<4>().ok_or_else(fault)?;
    let (extension, behind) = behind.split_first_chunk::<4>().ok_or_else(fault)?;
    let extension = usize::try_from(u32::from_be_bytes(*extension)).map_err(|_| fault())?;
    behind.get(extension..).ok_or_else(fault)
}

#[cfg(test)]
mod tests {
    use super::{CutFault, Cutter, HEADER, TRAILER};
    use crate::wire::frame::MAX_ROW_BYTES;
    use crate::wire::row::RowWriter;
    use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

    fn row(value: &[u8]) -> Vec<u8> {
        let mut writer = RowWriter::default();
        writer.begin(2);
        writer.field(Some(value));
        writer.field(None);
        writer.take().data.to_vec()
    }

    fn header(extension: &[u8]) -> Vec<u8> {
        let mut header = HEADER[..15].to_vec();
        header.extend(u32::try_from(extension.len()).unwrap().to_be_bytes());
        header.extend(extension);
        header
    }

    proptest! {
        #[test]
        fn the_rows_come_as_they_are_however_the_header_and_the_end_are_sent(
            values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..30), 0..20),
            extension in prop::collection::vec(any::<u8>(), 0..5),
            is_apart in any::<bool>(),
        ) {
            let rows: Vec<Vec<u8>> = values.iter().map(|value| row(value)).collect();
            let mut messages: Vec<Vec<u8>> = rows.iter().cloned().chain([TRAILER.to_vec()]).collect();
            match is_apart {
                true => messages.insert(0, header(&extension)),
                false => messages[0] = [header(&extension), messages[0].clone()].concat(),
            }
            let mut cutter = Cutter::default();
            let (mut count, mut data) = (0, Vec::new());
            for message in &messages {
                prop_assert!(!cutter.has_ended());
                cutter.push(message).unwrap();
                if let Some(batch) = cutter.take() {
                    count += batch.tuples().filter(Result::is_ok).count();
                    data.extend_from_slice(&batch.data);
                }
            }
            prop_assert!(cutter.has_ended() && cutter.push(&rows.concat()).is_err());
            prop_assert_eq!((count, data), (rows.len(), rows.concat()));
        }
    }

    #[test]
    fn a_stream_without_its_trailer_has_not_ended() {
        let mut cutter = Cutter::default();
        cutter.push(&[HEADER, &row(&[1])].concat()).unwrap();
        assert!(!cutter.has_ended());
        assert_eq!(cutter.take().unwrap().rows, 1);
    }

    #[test]
    fn a_row_above_the_limit_and_another_signature_are_refused() {
        let large = [HEADER, &row(&vec![7; MAX_ROW_BYTES])].concat();
        assert!(matches!(
            Cutter::default().push(&large),
            Err(CutFault::TooLarge(tuple)) if tuple.len() > MAX_ROW_BYTES
        ));
        for broken in [
            vec![0; 40],
            HEADER[..17].to_vec(),
            header(&[1, 2])[..20].to_vec(),
        ] {
            assert!(matches!(
                Cutter::default().push(&broken),
                Err(CutFault::Malformed(_))
            ));
        }
    }
}
