//! From batches of rows to filled frames, and the sum of all rows on the way.
//!
//! Invariant: what the end declares is what the frames before it carry.

use bytes::Bytes;

use crate::sync::serve::sieve::{Sieve, Unfit};
use crate::wire::frame::{FrameKind, FrameWriter, RowSum, TARGET_BYTES};
use crate::wire::row::RowBatch;
use crate::wire::signing::Seal;

/// The frames of one stream.
pub(super) struct Framing {
    writer: FrameWriter,
    sieve: Sieve,
    /// The rows of the next frame.
    gathered: Vec<Bytes>,
    gathered_rows: u32,
    gathered_bytes: usize,
}

impl Framing {
    /// Begins a stream; `compress` lets payloads go as zstd, `seal` gives each frame its authenticator.
    pub(super) fn new(compress: bool, seal: Option<Seal>) -> Self {
        Self {
            writer: FrameWriter::new(compress).sealed_by(seal),
            sieve: Sieve::default(),
            gathered: Vec::new(),
            gathered_rows: 0,
            gathered_bytes: 0,
        }
    }

    /// Sends what `sieve` lets through, rather than all of each row as it was read.
    pub(super) fn through(self, sieve: Sieve) -> Self {
        Self { sieve, ..self }
    }

    /// The rows so far.
    pub(super) fn total(&self) -> RowSum {
        self.sieve.total()
    }

    /// Whether rows that were picked have not come by.
    pub(super) fn lacks_rows(&self) -> bool {
        self.sieve.lacks_rows()
    }

    /// How many frames there are.
    pub(super) fn frames(&self) -> u32 {
        self.writer.frames()
    }

    /// Those behind the first `frames` are not sent: the next one takes their place.
    pub(super) fn go_back_to(&mut self, frames: u32) {
        self.writer.go_back_to(frames);
    }

    /// Adds rows; the pieces of a frame when they fill one, else none.
    ///
    /// # Errors
    /// When the bytes are no rows, or a row does not fit what both sides agreed on.
    pub(super) fn gather(&mut self, batch: RowBatch) -> Result<Vec<Bytes>, Unfit> {
        let batch = self.sieve.pass(batch)?;
        if batch.data.is_empty() {
            return Ok(Vec::new());
        }
        self.gathered_rows = self.gathered_rows.saturating_add(batch.rows);
        self.gathered_bytes += batch.data.len();
        self.gathered.push(batch.data);
        if self.gathered_bytes >= TARGET_BYTES {
            Ok(self.flush())
        } else {
            Ok(Vec::new())
        }
    }

    /// A frame that carries no rows.
    pub(super) fn message(&mut self, kind: FrameKind, payload: Bytes) -> Vec<Bytes> {
        self.writer.frame(kind, 0, vec![payload])
    }

    /// The last rows and the end.
    pub(super) fn end(&mut self) -> Vec<Bytes> {
        let mut pieces = self.flush();
        pieces.extend(self.writer.end(self.sieve.total()));
        pieces
    }

    fn flush(&mut self) -> Vec<Bytes> {
        if self.gathered.is_empty() {
            return Vec::new();
        }
        self.gathered_bytes = 0;
        let rows = std::mem::take(&mut self.gathered_rows);
        let payload = std::mem::take(&mut self.gathered);
        self.writer.frame(FrameKind::Rows, rows, payload)
    }
}

impl Default for Framing {
    /// Stands in while the real one is at work elsewhere.
    fn default() -> Self {
        Self::new(false, None)
    }
}

#[cfg(test)]
mod tests {
    use super::Framing;
    use crate::wire::frame::{FrameKind, FrameReader, RowSum, TARGET_BYTES};
    use crate::wire::row::RowWriter;

    #[test]
    fn frames_are_filled_and_add_up_to_what_their_end_declares() {
        let mut framing = Framing::new(true, None);
        let mut reader = FrameReader::default();
        let mut total = RowSum::default();
        let value = vec![7; TARGET_BYTES / 4];
        for _ in 0..6 {
            let mut rows = RowWriter::default();
            rows.begin(1);
            rows.field(Some(&value));
            let batch = rows.take();
            total.add(&batch.data);
            for piece in framing.gather(batch).unwrap() {
                reader.push(&piece);
            }
        }
        assert_eq!(framing.total(), total);
        for piece in framing.end() {
            reader.push(&piece);
        }
        for rows in [4, 2] {
            let frame = reader.next_frame().unwrap().unwrap();
            assert_eq!((frame.kind, frame.rows), (FrameKind::Rows, rows));
        }
        let end = reader.next_frame().unwrap().unwrap();
        assert_eq!(RowSum::from_end(&end.payload).unwrap(), total);
    }
}
