//! zstd for payloads, in contexts and buffers that serve a whole stream.
//!
//! Knows nothing of frames. Invariant: what is unpacked never exceeds the size that was declared and checked.

use std::fmt;

use bytes::Bytes;
use zstd::bulk::{Compressor, Decompressor};

use crate::wire::buffer::Buffers;

/// Fast enough for a network of a gigabit on one core, and most of what any level wins on rows.
const LEVEL: i32 = 1;
/// Shorter payloads gain nothing.
const WORTHWHILE: usize = 256;

/// Packs the payloads of one stream.
pub(super) struct Squeezer {
    context: Compressor<'static>,
    /// A payload's pieces, joined.
    plain: Vec<u8>,
    packed: Buffers,
}

impl Squeezer {
    /// For payloads of about `target` bytes; `None` when zstd has no memory for it.
    pub(super) fn new(target: usize) -> Option<Self> {
        Some(Self {
            context: Compressor::new(LEVEL).ok()?,
            plain: Vec::new(),
            packed: Buffers::for_batches_of(target),
        })
    }

    /// The payload packed, if that is shorter.
    pub(super) fn squeeze(&mut self, payload: &[Bytes]) -> Option<Bytes> {
        let length: usize = payload.iter().map(Bytes::len).sum();
        if length <= WORTHWHILE {
            return None;
        }
        self.plain.clear();
        for piece in payload {
            self.plain.extend_from_slice(piece);
        }
        let mut packed = self.packed.empty();
        // What does not fit is not shorter.
        packed.resize(length - 1, 0);
        let squeezed = self.context.compress_to_buffer(&self.plain, &mut *packed);
        let written = squeezed.unwrap_or_default();
        packed.truncate(written);
        let done = self.packed.pass_on(&mut packed, written);
        (written > 0).then_some(done)
    }
}

/// Unpacks the payloads of one stream.
pub(super) struct Unpacker {
    context: Decompressor<'static>,
    plain: Buffers,
}

impl Unpacker {
    /// For payloads of about `target` bytes.
    pub(super) fn new(target: usize) -> Self {
        Self {
            context: Decompressor::default(),
            plain: Buffers::for_batches_of(target),
        }
    }

    /// The payload, if it has exactly `length` bytes.
    pub(super) fn unpack(&mut self, packed: &[u8], length: usize) -> Option<Bytes> {
        let mut plain = self.plain.empty();
        plain.resize(length, 0);
        let written = self
            .context
            .decompress_to_buffer(packed, &mut *plain)
            .ok()?;
        (written == length).then(|| self.plain.pass_on(&mut plain, length))
    }
}

impl fmt::Debug for Squeezer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Squeezer").finish_non_exhaustive()
    }
}

impl fmt::Debug for Unpacker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Unpacker").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{Squeezer, Unpacker};

    #[test]
    fn payloads_of_one_stream_come_out_as_they_went_in() {
        let mut squeezer = Squeezer::new(4096).unwrap();
        let mut unpacker = Unpacker::new(4096);
        for (pieces, shorter) in [
            (vec![vec![1_u8; 3_000], vec![2; 3_000]], true),
            (vec![(0..=255_u8).collect()], false),
            (vec![(0..=255_u8).cycle().take(900).collect()], true),
            (vec![vec![7; 20_000]], true),
        ] {
            let pieces: Vec<Bytes> = pieces.into_iter().map(Bytes::from).collect();
            let packed = squeezer.squeeze(&pieces);
            assert_eq!(packed.is_some(), shorter);
            if let Some(packed) = packed {
                let whole = pieces.concat();
                assert_eq!(unpacker.unpack(&packed, whole.len()).unwrap(), whole);
                assert!(unpacker.unpack(&packed, whole.len() - 1).is_none());
                assert!(unpacker.unpack(&packed, whole.len() + 1).is_none());
            }
        }
    }
}
