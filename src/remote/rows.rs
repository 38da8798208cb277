//! A stream of rows as it comes from a peer: its head, then batches of rows, then its end.
//!
//! Invariant: [`IncomingRows::next`] says `None` only after an `end` frame that agrees with the rows that came.

use std::time::{Duration, Instant};

use crate::remote::error::RemoteError;
use crate::remote::frames::Frames;
use crate::wire::frame::{Frame, FrameKind, RowSum};
use crate::wire::messages::Head;
use crate::wire::row::RowBatch;

/// A peer may work for so long without a row, however often it says that it lives: its database may have to sort or
/// search first.
const LONGEST_WITHOUT_ROWS: Duration = Duration::from_secs(3_600);

/// What the sum in the `end` frame is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EndSum {
    /// The rows as they came.
    Bytes,
    /// Their normal forms, in a session: for whoever knows these to hold against them.
    NormalForms,
}

/// A running answer to `pull-data`.
#[derive(Debug)]
pub struct IncomingRows {
    frames: Frames,
    head: Head,
    total: RowSum,
    of: EndSum,
    ended: Option<RowSum>,
    patience: Duration,
}

impl IncomingRows {
    /// Reads the `head` frame.
    pub(super) async fn begin(frames: Frames, of: EndSum) -> Result<Self, RemoteError> {
        let head = Head {
            table: crate::model::table::TableName::bare(""),
            columns: vec![],
            rows_estimate: None,
            filter: None,
        };
        let mut rows = Self {
            frames,
            head,
            total: RowSum::default(),
            of,
            ended: None,
            patience: LONGEST_WITHOUT_ROWS,
        };
        let frame = rows.frames.next().await?;
        match frame.kind {
            FrameKind::Head => {
                rows.head = serde_json::from_slice(&frame.payload)
                    .map_err(|err| rows.frames.nonsense(&err.to_string()))?;
                Ok(rows)
            }
            FrameKind::Error => Err(rows.frames.fault(&frame.payload)),
            _ => Err(rows
                .frames
                .nonsense("the stream does not begin with its head")),
        }
    }

    /// Which columns come, in which order, as which types.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Bytes received so far, frame headers included.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.frames.bytes()
    }

    /// What the end declared, once it came.
    #[must_use]
    pub fn declared(&self) -> Option<RowSum> {
        self.ended
    }

    /// The next batch; `None` after the proper end.
    ///
    /// # Errors
    /// When the stream is cut or brings no rows for an hour, is no stream of frames, or its sum does not match.
    pub async fn next(&mut self) -> Result<Option<RowBatch>, RemoteError> {
        if self.ended.is_some() {
            return Ok(None);
        }
        let asked = Instant::now();
        loop {
            let frame = self.frames.next().await?;
            match frame.kind {
                FrameKind::Rows => return self.batch(frame).map(Some),
                FrameKind::Progress if asked.elapsed() < self.patience => {}
                FrameKind::Progress => {
                    let seconds = self.patience.as_secs();
                    let silence = format!("it lives, but sent no row for {seconds} s");
                    return Err(self.frames.cut(silence));
                }
                FrameKind::Error => return Err(self.frames.fault(&frame.payload)),
                FrameKind::Head => return Err(self.frames.nonsense("a second head")),
                FrameKind::Sums | FrameKind::Keys => {
                    return Err(self.frames.nonsense("it tells sums among the rows"));
                }
                FrameKind::End => return self.end(&frame.payload).map(|()| None),
            }
        }
    }

    fn end(&mut self, payload: &[u8]) -> Result<(), RemoteError> {
        let declared = RowSum::from_end(payload).map_err(|err| self.frames.no_frame(&err))?;
        let agrees = match self.of {
            EndSum::Bytes => declared == self.total,
            EndSum::NormalForms => declared.rows == self.total.rows,
        };
        if !agrees {
            let words = "the rows do not add up to what its end declares";
            return Err(self.frames.nonsense(words));
        }
        self.ended = Some(declared);
        Ok(())
    }

    fn batch(&mut self, frame: Frame) -> Result<RowBatch, RemoteError> {
        let batch = RowBatch {
            rows: frame.rows,
            data: frame.payload,
        };
        let mut rows = 0;
        for tuple in batch.tuples() {
            let tuple = tuple.map_err(|err| self.frames.nonsense(&err.to_string()))?;
            let fields = tuple
                .first_chunk::<2>()
                .map(|count| i16::from_be_bytes(*count));
            if fields.map(usize::try_from) != Some(Ok(self.head.columns.len())) {
                let words = "a row with another number of fields than its head says";
                return Err(self.frames.nonsense(words));
            }
            match self.of {
                EndSum::Bytes => self.total.add(tuple),
                EndSum::NormalForms => self.total.count(0),
            }
            rows += 1;
        }
        if rows != batch.rows {
            let words = "a frame with another number of rows than it declares";
            return Err(self.frames.nonsense(words));
        }
        self.frames.rows = self.total.rows;
        Ok(batch)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::time::Duration;

    use futures_util::stream;

    use bytes::Bytes;

    use super::{EndSum, FrameKind, Frames, IncomingRows, RemoteError};
    use crate::wire::frame::FrameWriter;

    /// The answer of a peer that sends a head and then signs of life alone.
    fn only_signs_of_life() -> reqwest::Response {
        let mut frames = FrameWriter::new(false);
        let mut frame = move |kind, payload: &'static [u8]| {
            let pieces = frames.frame(kind, 0, vec![Bytes::from_static(payload)]);
            Ok::<_, Infallible>(Bytes::from(pieces.concat()))
        };
        let head = frame(FrameKind::Head, br#"{"table":"notes","columns":[]}"#);
        let signs = stream::repeat_with(move || frame(FrameKind::Progress, br#"{"rows":0}"#));
        let frames = futures_util::StreamExt::chain(stream::iter([head]), signs);
        axum::http::Response::new(reqwest::Body::wrap_stream(frames)).into()
    }

    #[tokio::test]
    async fn signs_of_life_alone_do_not_hold_a_run_for_ever() {
        let answer = only_signs_of_life();
        let mut rows =
            IncomingRows::begin(Frames::of("hq".to_owned(), answer, None), EndSum::Bytes)
                .await
                .unwrap();
        rows.patience = Duration::from_millis(20);
        let cut = rows.next().await.unwrap_err();
        assert!(matches!(cut, RemoteError::Cut { .. }), "{cut}");
    }
}
