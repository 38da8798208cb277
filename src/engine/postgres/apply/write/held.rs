//! Rows that did not fit yet, and why. Pure.
//!
//! Invariant: a held row owns its bytes, so that the batch it came in is let go.

use bytes::Bytes;

use crate::engine::fault::Refusal;

/// Held rows beyond this are not kept to the end.
const MOST_BYTES: usize = 64 << 20;

/// A row and why it did not fit.
#[derive(Debug)]
pub(super) struct HeldRow {
    pub(super) tuple: Bytes,
    pub(super) refusal: Refusal,
}

/// The rows held back.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) rows: Vec<HeldRow>,
    bytes: usize,
}

impl Held {
    /// Keeps a copy of `tuple`.
    pub(super) fn hold(&mut self, tuple: &Bytes, refusal: Refusal) {
        self.bytes += tuple.len();
        self.rows.push(HeldRow {
            tuple: Bytes::copy_from_slice(tuple),
            refusal,
        });
    }

    /// Whether they are more than `rows`, or too heavy.
    pub(super) fn is_beyond(&self, rows: usize) -> bool {
        self.rows.len() > rows || self.is_heavy()
    }

    /// Whether they take too much memory to be kept to the end.
    pub(super) fn is_heavy(&self) -> bool {
        self.bytes > MOST_BYTES
    }

    /// All of them, leaving none.
    pub(super) fn take(&mut self) -> Vec<HeldRow> {
        self.bytes = 0;
        std::mem::take(&mut self.rows)
    }
}
