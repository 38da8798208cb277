//! Frames: how rows travel (`application/vnd.evenkeel.rows`).
//!
//! A 20-byte little-endian header - kind u8, flags u8, version u16, rows u32, payload bytes u32, plain bytes u32,
//! sequence u32 - then the payload; then, on signed connections, the 16-byte authenticator. Invariant: sizes are checked
//! against limits before anything is allocated, authenticators before anything is decompressed, and a stream without an
//! `end` frame is cut, never complete.

use std::iter::Sum;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::wire::buffer::Buffers;
use crate::wire::signing::{SEAL_BYTES, Seal};
use crate::wire::squeeze::{Squeezer, Unpacker};

/// The media type of a stream of frames.
pub const MEDIA_TYPE: &str = "application/vnd.evenkeel.rows";
/// Rows are gathered until a frame holds this many plain bytes.
pub const TARGET_BYTES: usize = 1 << 20;
/// A single row above this is refused (`limits.max_row`).
pub const MAX_ROW_BYTES: usize = 16 << 20;

const HEADER_BYTES: usize = 20;
const VERSION: u16 = 1;
const FLAG_ZSTD: u8 = 1;
/// A frame is sent once it reached its target, so the last row can push it over by one row.
const MAX_PLAIN_BYTES: usize = MAX_ROW_BYTES + TARGET_BYTES + 1024;

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FrameKind {
    /// JSON: the contract; always first.
    Head = 1,
    /// Whole tuples of the row layout.
    Rows = 2,
    /// The sums of nodes' children ([`crate::wire::tally::write_children`]).
    Sums = 3,
    /// Keys and hashes of the rows below one node ([`crate::wire::tally::write_listed`]).
    Keys = 4,
    /// JSON: signs of life while nothing else is sent.
    Progress = 5,
    /// JSON: why the stream ends early; always last.
    Error = 6,
    /// Rows (u64) and the sum of their hashes (u128, little-endian); always last.
    End = 7,
}

/// One frame, decompressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it carries.
    pub kind: FrameKind,
    /// Tuples in a `rows` frame, else 0.
    pub rows: u32,
    /// The plain payload.
    pub payload: Bytes,
}

/// Bytes that are no stream of frames.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each variant's message says it")]
pub enum FrameError {
    #[error("unknown frame kind {0}")]
    Kind(u8),
    #[error("unknown frame flags {0:#04x}")]
    Flags(u8),
    #[error("frame version {0}; this side knows version 1")]
    Version(u16),
    #[error("a frame of {0} bytes is larger than allowed")]
    TooLarge(u64),
    #[error("frame {found} came where frame {expected} was due")]
    Sequence { expected: u32, found: u32 },
    #[error("a frame's payload does not decompress to its declared size")]
    Compression,
    #[error("an `end` frame of the wrong size")]
    End,
    #[error(
        "a frame's authenticator does not hold: somebody else wrote it, or altered, moved or left one out"
    )]
    Seal,
}

/// Writes the frames of one stream in order.
#[derive(Debug)]
pub struct FrameWriter {
    sequence: u32,
    seal: Option<Seal>,
    squeezer: Option<Squeezer>,
}

impl FrameWriter {
    /// Begins a stream; `compress` lets payloads go as zstd where that is shorter.
    #[must_use]
    pub fn new(compress: bool) -> Self {
        Self {
            sequence: 0,
            seal: None,
            squeezer: compress.then(|| Squeezer::new(TARGET_BYTES)).flatten(),
        }
    }

    /// The same, each frame with its authenticator where there is a seal.
    #[must_use]
    pub fn sealed_by(self, seal: Option<Seal>) -> Self {
        Self { seal, ..self }
    }

    /// The next frame's bytes, its header first. `payload` comes in pieces, together bounded by the callers, far below
    /// 4 GiB.
    pub fn frame(&mut self, kind: FrameKind, rows: u32, payload: Vec<Bytes>) -> Vec<Bytes> {
        let plain_bytes = length(&payload);
        let squeezer = self.squeezer.as_mut();
        let squeezed = squeezer.and_then(|squeezer| squeezer.squeeze(&payload));
        let (flags, body) = squeezed.map_or((0, payload), |squeezed| (FLAG_ZSTD, vec![squeezed]));
        let mut header = BytesMut::with_capacity(HEADER_BYTES);
        header.put_u8(kind as u8);
        header.put_u8(flags);
        header.put_u16_le(VERSION);
        header.put_u32_le(rows);
        header.put_u32_le(u32::try_from(length(&body)).unwrap_or(u32::MAX));
        header.put_u32_le(u32::try_from(plain_bytes).unwrap_or(u32::MAX));
        header.put_u32_le(self.sequence);
        let seal = self.seal.as_ref().map(|seal| {
            let payload = body.iter().map(|piece| &**piece);
            Bytes::copy_from_slice(&seal.of_frame(self.sequence, &header, payload))
        });
        self.sequence = self.sequence.wrapping_add(1);
        let mut pieces = vec![header.freeze()];
        pieces.extend(body);
        pieces.extend(seal);
        pieces
    }

    /// How many frames there are.
    #[must_use]
    pub fn frames(&self) -> u32 {
        self.sequence
    }

    /// Those behind the first `frames` are never sent: the next one takes the place of the first of them.
    pub fn go_back_to(&mut self, frames: u32) {
        self.sequence = frames;
    }

    /// The `end` frame: all rows were sent, and this is the sum of their hashes.
    pub fn end(&mut self, total: RowSum) -> Vec<Bytes> {
        let mut payload = BytesMut::with_capacity(24);
        payload.put_u64_le(total.rows);
        payload.put_u128_le(total.sum);
        self.frame(FrameKind::End, 0, vec![payload.freeze()])
    }
}

fn length(pieces: &[Bytes]) -> usize {
    pieces.iter().map(Bytes::len).sum()
}

/// Reads frames out of bytes as they arrive.
#[derive(Debug)]
pub struct FrameReader {
    sequence: u32,
    seal: Option<Seal>,
    buffer: BytesMut,
    buffers: Buffers,
    unpacker: Unpacker,
}

impl Default for FrameReader {
    fn default() -> Self {
        Self {
            sequence: 0,
            seal: None,
            buffer: BytesMut::new(),
            buffers: Buffers::for_batches_of(TARGET_BYTES),
            unpacker: Unpacker::new(TARGET_BYTES),
        }
    }
}

impl FrameReader {
    /// Reads frames that have an authenticator each, where there is a seal.
    #[must_use]
    pub fn sealed_by(seal: Option<Seal>) -> Self {
        Self {
            seal,
            ..Self::default()
        }
    }

    /// Adds what arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.buffer.capacity() == 0 {
            self.buffer = self.buffers.empty();
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// Whether a frame has begun and is not all there.
    #[must_use]
    pub fn is_inside_frame(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// The next whole frame, or `None` until more arrives.
    ///
    /// # Errors
    /// When the bytes are no frame, or a declared size is above its limit.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        if self.buffer.len() < HEADER_BYTES {
            return Ok(None);
        }
        let mut header = self.buffer.get(..HEADER_BYTES).unwrap_or_default();
        let kind = kind_of(header.get_u8())?;
        let flags = header.get_u8();
        if flags & !FLAG_ZSTD != 0 {
            return Err(FrameError::Flags(flags));
        }
        let version = header.get_u16_le();
        if version != VERSION {
            return Err(FrameError::Version(version));
        }
        let rows = header.get_u32_le();
        let payload_bytes = bounded(header.get_u32_le())?;
        let plain_bytes = bounded(header.get_u32_le())?;
        let sequence = header.get_u32_le();
        if sequence != self.sequence {
            return Err(FrameError::Sequence {
                expected: self.sequence,
                found: sequence,
            });
        }
        let seal_bytes = self.seal.as_ref().map_or(0, |_| SEAL_BYTES);
        let frame_bytes = HEADER_BYTES + payload_bytes + seal_bytes;
        let missing = frame_bytes.saturating_sub(self.buffer.len());
        if missing > 0 {
            // Room for just this frame: growing piece by piece would take, and keep, up to twice as much.
            self.buffer.reserve(missing);
            return Ok(None);
        }
        if !self.is_sealed(payload_bytes) {
            return Err(FrameError::Seal);
        }
        self.buffer.advance(HEADER_BYTES);
        let mut body = self
            .buffers
            .pass_on(&mut self.buffer, payload_bytes + seal_bytes);
        body.truncate(payload_bytes);
        let payload = if flags & FLAG_ZSTD == 0 {
            body
        } else {
            let unpacked = self.unpacker.unpack(&body, plain_bytes);
            unpacked.ok_or(FrameError::Compression)?
        };
        if payload.len() != plain_bytes {
            return Err(FrameError::Compression);
        }
        self.sequence = self.sequence.wrapping_add(1);
        Ok(Some(Frame {
            kind,
            rows,
            payload,
        }))
    }

    /// Whether the frame at the front, all of it there, is the one that its authenticator says.
    fn is_sealed(&self, payload_bytes: usize) -> bool {
        let Some(seal) = &self.seal else {
            return true;
        };
        let frame = self.buffer.split_at_checked(HEADER_BYTES);
        let parts = frame.and_then(|(header, rest)| {
            let (payload, rest) = rest.split_at_checked(payload_bytes)?;
            Some((header, payload, rest.get(..SEAL_BYTES)?))
        });
        parts.is_some_and(|(header, payload, found)| {
            seal.is_of_frame(self.sequence, header, payload, found)
        })
    }
}

fn kind_of(byte: u8) -> Result<FrameKind, FrameError> {
    [
        FrameKind::Head,
        FrameKind::Rows,
        FrameKind::Sums,
        FrameKind::Keys,
        FrameKind::Progress,
        FrameKind::Error,
        FrameKind::End,
    ]
    .into_iter()
    .find(|kind| *kind as u8 == byte)
    .ok_or(FrameError::Kind(byte))
}

fn bounded(bytes: u32) -> Result<usize, FrameError> {
    usize::try_from(bytes)
        .ok()
        .filter(|bytes| *bytes <= MAX_PLAIN_BYTES)
        .ok_or(FrameError::TooLarge(bytes.into()))
}

/// How many rows, and the sum modulo 2^128 of their BLAKE3 hashes: the same in any order, other for any other rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowSum {
    /// How many.
    pub rows: u64,
    /// The sum of the first 16 bytes of each hash, little-endian.
    pub sum: u128,
}

impl RowSum {
    /// So many rows, each of this hash.
    #[must_use]
    pub fn of_equal(rows: u64, hash: u128) -> Self {
        let sum = hash.wrapping_mul(u128::from(rows));
        Self { rows, sum }
    }

    /// Counts one tuple in.
    pub fn add(&mut self, tuple: &[u8]) {
        let hash = blake3::hash(tuple);
        let (head, _) = hash
            .as_bytes()
            .split_first_chunk::<16>()
            .unwrap_or((&[0; 16], &[]));
        self.count(u128::from_le_bytes(*head));
    }

    /// Counts one row of this hash in.
    pub fn count(&mut self, hash: u128) {
        self.rows = self.rows.wrapping_add(1);
        self.sum = self.sum.wrapping_add(hash);
    }

    /// With the rows of `other`.
    #[must_use]
    pub fn plus(mut self, other: Self) -> Self {
        self.merge(other);
        self
    }

    /// Without the rows of `other`.
    #[must_use]
    pub fn less(self, other: Self) -> Self {
        Self {
            rows: self.rows.wrapping_sub(other.rows),
            sum: self.sum.wrapping_sub(other.sum),
        }
    }

    /// Counts the rows of another sum in.
    pub fn merge(&mut self, other: Self) {
        self.rows = self.rows.wrapping_add(other.rows);
        self.sum = self.sum.wrapping_add(other.sum);
    }

    /// Reads an `end` frame's payload.
    ///
    /// # Errors
    /// When it has another size.
    pub fn from_end(mut payload: &[u8]) -> Result<Self, FrameError> {
        if payload.len() != 24 {
            return Err(FrameError::End);
        }
        Ok(Self {
            rows: payload.get_u64_le(),
            sum: payload.get_u128_le(),
        })
    }
}

impl Sum for RowSum {
    fn sum<I: Iterator<Item = Self>>(sums: I) -> Self {
        sums.fold(Self::default(), Self::plus)
    }
}

#[cfg(test)]
mod tests;
