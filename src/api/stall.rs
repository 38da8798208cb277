//! A connection's writing side, which gives up on a caller that takes nothing of its answer.
//!
//! Without it a stranger could ask many times, read nothing, and hold a connection for ever. It does not judge how
//! slowly somebody reads: whatever is taken begins the wait anew. Invariant: no wait is longer than its patience.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// A receiver of rows may be held up by its own database for this long.
const STREAM_PATIENCE: Duration = Duration::from_secs(600);

/// How patient a connection is with its caller. A request extension.
#[derive(Clone, Debug, Default)]
pub(super) struct Patience(Arc<AtomicBool>);

impl Patience {
    /// From now on the caller may be busy with what it received, as a peer that pulls is.
    pub(super) fn lengthen(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// How long a wait may be that usually may be `usual`.
    pub(super) fn limit(&self, usual: Duration) -> Duration {
        if self.0.load(Ordering::Relaxed) {
            usual.max(STREAM_PATIENCE)
        } else {
            usual
        }
    }
}

/// `S`, whose writes fail once nothing was taken for too long.
pub(super) struct Stallable<S> {
    stream: S,
    usual: Duration,
    patience: Patience,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<S> Stallable<S> {
    /// `stream`, given up after `usual` unless `patience` is lengthened.
    pub(super) fn new(stream: S, usual: Duration, patience: Patience) -> Self {
        Self {
            stream,
            usual,
            patience,
            deadline: None,
        }
    }

    /// Passes on what the stream says of a write; while it has no room, the wait runs.
    fn bounded(
        &mut self,
        written: Poll<io::Result<usize>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.deadline = None;
            return written;
        }
        let patience = self.patience.limit(self.usual);
        let deadline = self
            .deadline
            .get_or_insert_with(|| Box::pin(sleep(patience)));
        ready!(deadline.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the caller takes nothing of its answer",
        )))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Stallable<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Stallable<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.bounded(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, pieces);
        self.bounded(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
