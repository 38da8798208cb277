//! The frames of an answer, as they come from a peer: whole, sealed where they have to be, and in the peer's own words
//! where it broke off.
//!
//! What the frames mean is their reader's business.

use bytes::Bytes;

use crate::base::cause::last_cause;
use crate::remote::error::{RemoteError, error_code, quoted};
use crate::wire::frame::{Frame, FrameError, FrameReader};
use crate::wire::messages::StreamFault;
use crate::wire::signing::Seal;

/// An answer in frames, under way.
#[derive(Debug)]
pub(super) struct Frames {
    host: String,
    response: reqwest::Response,
    reader: FrameReader,
    bytes: u64,
    /// Rows so far, as its reader counts them.
    pub(super) rows: u64,
}

impl Frames {
    /// Those of `response`. On a signed connection every frame is held against `seal`.
    pub(super) fn of(host: String, response: reqwest::Response, seal: Option<Seal>) -> Self {
        Self {
            host,
            response,
            reader: FrameReader::sealed_by(seal),
            bytes: 0,
            rows: 0,
        }
    }

    /// Bytes received so far, frame headers included.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The next frame, of which there has to be one.
    ///
    /// # Errors
    /// When the stream is cut, or is none of frames.
    pub(super) async fn next(&mut self) -> Result<Frame, RemoteError> {
        loop {
            if let Some(frame) = self
                .reader
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
                let reason = if self.reader.is_inside_frame() {
                    "inside a frame"
                } else {
                    "without an end frame"
                };
                return Err(self.cut(reason.to_owned()));
            };
            self.bytes += u64::try_from(piece.len()).unwrap_or_default();
            self.reader.push(&piece);
        }
    }

    /// What an `error` frame says.
    pub(super) fn fault(&self, payload: &[u8]) -> RemoteError {
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

    pub(super) fn cut(&self, reason: String) -> RemoteError {
        RemoteError::Cut {
            host: self.host.clone(),
            after: format!(" after {} rows", self.rows),
            reason,
        }
    }

    pub(super) fn no_frame(&self, err: &FrameError) -> RemoteError {
        if *err == FrameError::Seal {
            return RemoteError::Unproved {
                host: self.host.clone(),
                reason: err.to_string(),
            };
        }
        self.nonsense(&err.to_string())
    }

    pub(super) fn nonsense(&self, reason: &str) -> RemoteError {
        RemoteError::Protocol {
            host: self.host.clone(),
            reason: quoted(reason),
        }
    }
}
