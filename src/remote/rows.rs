//! A stream of frames as it comes from a peer: its head, then batches of rows, then its end.
//!
//! Invariant: [`IncomingRows::next`] says `None` only after an `end` frame whose sum matches the rows that came.

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::base::cause::last_cause;
use crate::remote::error::{RemoteError, error_code, quoted};
use crate::wire::frame::{Frame, FrameError, FrameKind, FrameReader, RowSum};
use crate::wire::messages::{Head, StreamFault};
use crate::wire::row::RowBatch;
use crate::wire::signing::Seal;

/// A peer may work for so long without a row, however often it says that it lives: its database may have to sort or
/// search first.
const LONGEST_WITHOUT_ROWS: Duration = Duration::from_secs(3_600);

/// A running answer to `pull-data`.
#[derive(Debug)]
pub struct IncomingRows {
    host: String,
    response: reqwest::Response,
    frames: FrameReader,
    head: Head,
    total: RowSum,
    bytes: u64,
    ended: bool,
    patience: Duration,
}

impl IncomingRows {
    /// Reads the `head` frame. On a signed connection every frame is held against `seal`.
    pub(super) async fn begin(
        host: String,
        response: reqwest::Response,
        seal: Option<Seal>,
    ) -> Result<Self, RemoteError> {
        let head = Head {
            table: crate::model::table::TableName::bare(""),
            columns: vec![],
            rows_estimate: None,
            filter: None,
        };
        let mut rows = Self {
            host,
            response,
            frames: FrameReader::sealed_by(seal),
            head,
            total: RowSum::default(),
            bytes: 0,
            ended: false,
            patience: LONGEST_WITHOUT_ROWS,
        };
        let frame = rows.frame().await?;
        match frame.kind {
            FrameKind::Head => {
                rows.head = serde_json::from_slice(&frame.payload)
                    .map_err(|err| rows.nonsense(&err.to_string()))?;
                Ok(rows)
            }
            FrameKind::Error => Err(rows.fault(&frame.payload)),
            _ => Err(rows.nonsense("the stream does not begin with its head")),
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
        self.bytes
    }

    /// The next batch; `None` after the proper end.
    ///
    /// # Errors
    /// When the stream is cut or brings no rows for an hour, is no stream of frames, or its sum does not match.
    pub async fn next(&mut self) -> Result<Option<RowBatch>, RemoteError> {
        if self.ended {
            return Ok(None);
        }
        let asked = Instant::now();
        loop {
            let frame = self.frame().await?;
            match frame.kind {
                FrameKind::Rows => return self.batch(frame).map(Some),
                FrameKind::Progress if asked.elapsed() < self.patience => {}
                FrameKind::Progress => {
                    let seconds = self.patience.as_secs();
                    return Err(self.cut(format!("it lives, but sent no row for {seconds} s")));
                }
                FrameKind::Error => return Err(self.fault(&frame.payload)),
                FrameKind::Head => return Err(self.nonsense("a second head")),
                FrameKind::Sums | FrameKind::Keys => {
                    return Err(self.nonsense("it tells sums among the rows"));
                }
                FrameKind::End => {
                    let declared =
                        RowSum::from_end(&frame.payload).map_err(|err| self.no_frame(&err))?;
                    if declared != self.total {
                        return Err(
                            self.nonsense("the rows do not add up to what its end declares")
                        );
                    }
                    self.ended = true;
                    return Ok(None);
                }
            }
        }
    }

    fn batch(&mut self, frame: Frame) -> Result<RowBatch, RemoteError> {
        let batch = RowBatch {
            rows: frame.rows,
            data: frame.payload,
        };
        let mut rows = 0;
        for tuple in batch.tuples() {
            let tuple = tuple.map_err(|err| self.nonsense(&err.to_string()))?;
            let fields = tuple
                .first_chunk::<2>()
                .map(|count| i16::from_be_bytes(*count));
            if fields.map(usize::try_from) != Some(Ok(self.head.columns.len())) {
                return Err(self.nonsense("a row with another number of fields than its head says"));
            }
            self.total.add(tuple);
            rows += 1;
        }
        if rows != batch.rows {
            return Err(self.nonsense("a frame with another number of rows than it declares"));
        }
        Ok(batch)
    }

    async fn frame(&mut self) -> Result<Frame, RemoteError> {
        loop {
            if let Some(frame) = self
                .frames
                .next_frame()
                .map_err(|err| self.no_frame(&err))?
            {
                return Ok(frame);
            }
            let piece: Option<Bytes> = self
                .response
                .chunk()
                .await
                .map_err(|err| self.cut(last_cause(&err)))?;
            let Some(piece) = piece else {
                let reason = if self.frames.is_inside_frame() {
                    "inside a frame"
                } else {
                    "without an end frame"
                };
                return Err(self.cut(reason.to_owned()));
            };
            self.bytes += u64::try_from(piece.len()).unwrap_or_default();
            self.frames.push(&piece);
        }
    }

    fn fault(&self, payload: &[u8]) -> RemoteError {
        match serde_json::from_slice::<StreamFault>(payload) {
            Ok(fault) => RemoteError::Refused {
                host: self.host.clone(),
                status: 200,
                message: quoted(&fault.error),
                code: error_code(fault.error_code),
                retry_after: None,
            },
            Err(err) => self.nonsense(&err.to_string()),
        }
    }

    fn cut(&self, reason: String) -> RemoteError {
        RemoteError::Cut {
            host: self.host.clone(),
            after: format!(" after {} rows", self.total.rows),
            reason,
        }
    }

    fn no_frame(&self, err: &FrameError) -> RemoteError {
        if *err == FrameError::Seal {
            return RemoteError::Unproved {
                host: self.host.clone(),
                reason: err.to_string(),
            };
        }
        self.nonsense(&err.to_string())
    }

    fn nonsense(&self, reason: &str) -> RemoteError {
        RemoteError::Protocol {
            host: self.host.clone(),
            reason: quoted(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::time::Duration;

    use futures_util::stream;

    use super::{Bytes, FrameKind, IncomingRows, RemoteError};
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
        let mut rows = IncomingRows::begin("hq".to_owned(), answer, None)
            .await
            .unwrap();
        rows.patience = Duration::from_millis(20);
        let cut = rows.next().await.unwrap_err();
        assert!(matches!(cut, RemoteError::Cut { .. }), "{cut}");
    }
}
