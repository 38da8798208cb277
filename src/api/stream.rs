//! The streams of an HTTP/2 connection: each has a task, and ends when its caller takes nothing of its answer.
//!
//! `stall.rs` sees a caller that reads nothing at all; one that only holds back a stream's window is seen here.
//! Invariant: what waits in memory for a caller's window is small, and no wait is longer than its patience.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Frame, SizeHint};
use hyper::rt::Executor;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, sleep_until, timeout};

use crate::api::stall::Patience;
use crate::base::task::Tasks;

/// An answer is handed over in pieces of at most this size: what a caller takes shows piece by piece.
const PIECE: usize = 16 << 10;

/// How one stream waits for its caller.
#[derive(Clone, Debug, Default)]
pub(super) struct Wait {
    /// Since when a piece waits for room.
    since: Arc<Mutex<Option<Instant>>>,
    /// For how long it may.
    pub(super) patience: Patience,
}

tokio::task_local! {
    static OF_STREAM: Wait;
}

impl Wait {
    /// That of the stream whose task asks.
    pub(super) fn of_stream() -> Self {
        OF_STREAM.try_with(Self::clone).unwrap_or_default()
    }

    fn set(&self, since: Option<Instant>) {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    fn since(&self) -> Option<Instant> {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns once a piece waited longer than its patience.
    async fn overdue(&self, usual: Duration) {
        loop {
            let now = Instant::now();
            // A wait that begins meanwhile is over no earlier than the next look at it.
            let next = self.since().unwrap_or(now) + self.patience.limit(usual);
            if next <= now {
                return;
            }
            sleep_until(next).await;
        }
    }
}

/// Runs the streams of one connection.
#[derive(Clone)]
pub(super) struct Streams {
    tasks: Tasks,
    usual: Duration,
    open: Arc<watch::Sender<usize>>,
}

impl Streams {
    /// For one connection, whose callers may usually take nothing for `usual`.
    pub(super) fn new(tasks: Tasks, usual: Duration) -> Self {
        Self {
            tasks,
            usual,
            open: Arc::new(watch::Sender::new(0)),
        }
    }

    /// Returns once no stream was open for `time`.
    pub(super) async fn idle_for(&self, time: Duration) {
        let mut open = self.open.subscribe();
        loop {
            let is_none = *open.borrow_and_update() == 0;
            match timeout(time, open.changed()).await {
                Err(_) if is_none => return,
                // The sender is this one's own: it cannot be gone.
                Err(_) | Ok(_) => {}
            }
        }
    }
}

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let (wait, usual) = (Wait::default(), self.usual);
        let open = Open::one_of(Arc::clone(&self.open));
        let stream = OF_STREAM.scope(wait.clone(), stream);
        self.tasks.spawn("stream", async move {
            tokio::select! {
                () = stream => {}
                () = wait.overdue(usual) => {
                    tracing::debug!("a stream was cut: its caller takes nothing of its answer");
                }
            }
            drop(open);
        });
    }
}

/// A stream that is open; counted out when dropped.
struct Open(Arc<watch::Sender<usize>>);

impl Open {
    fn one_of(open: Arc<watch::Sender<usize>>) -> Self {
        open.send_modify(|open| *open += 1);
        Self(open)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open = open.saturating_sub(1));
    }
}

/// An answer's body, handed over in pieces while its stream's wait is kept.
pub(super) struct Watched {
    body: Body,
    rest: Bytes,
    wait: Wait,
    /// Counts the request as under way until its answer is through.
    _permit: Option<OwnedSemaphorePermit>,
}

impl Watched {
    /// `body`, on the stream of `wait`.
    pub(super) fn new(body: Body, wait: Wait, permit: Option<OwnedSemaphorePermit>) -> Self {
        Self {
            body,
            rest: Bytes::new(),
            wait,
            _permit: permit,
        }
    }

    fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.rest.is_empty() {
            let mut frame = self.body.frame();
            match ready!(Pin::new(&mut frame).poll(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                ended => return Poll::Ready(ended),
            }
        }
        let piece = self.rest.split_to(PIECE.min(self.rest.len()));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = self.poll_piece(cx);
        let handed_over = matches!(polled, Poll::Ready(Some(Ok(_))));
        self.wait.set(handed_over.then(Instant::now));
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.rest.is_empty() {
            self.body.size_hint()
        } else {
            SizeHint::default()
        }
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Body, Bytes, HttpBody as _, Instant, PIECE, Streams, Wait, Watched, timeout};
    use crate::base::task::Tasks;
    use http_body_util::BodyExt as _;
    use hyper::rt::Executor as _;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn an_answer_is_the_same_in_pieces_and_keeps_its_length() {
        let whole: Vec<u8> = (0..=255).cycle().take(3 * PIECE + 1).collect();
        let mut body = Watched::new(Body::from(whole.clone()), Wait::default(), None);
        assert_eq!(body.size_hint().exact(), Some(3 * 16_384 + 1));
        let mut pieces: Vec<Bytes> = Vec::new();
        while let Some(frame) = body.frame().await {
            pieces.push(frame.unwrap().into_data().unwrap());
            assert_eq!(body.is_end_stream(), pieces.len() == 4);
        }
        assert!(pieces.iter().all(|piece| piece.len() <= PIECE));
        assert_eq!(pieces.concat(), whole);
    }

    #[tokio::test]
    async fn a_stream_ends_when_its_caller_takes_nothing_and_not_while_it_waits_for_us() {
        for (since, cut) in [(Some(Instant::now()), true), (None, false)] {
            let (ours, mut told) = oneshot::channel::<()>();
            let streams = Streams::new(Tasks::default(), Duration::from_millis(20));
            streams.execute(async move {
                let _ours = ours;
                Wait::of_stream().set(since);
                std::future::pending::<()>().await;
            });
            let long = Duration::from_millis(if cut { 20_000 } else { 200 });
            let ended = timeout(long, &mut told).await;
            assert_eq!(ended.is_ok(), cut);
        }
    }

    #[tokio::test]
    async fn a_connection_is_idle_only_once_no_stream_was_open_for_the_time() {
        let streams = Streams::new(Tasks::default(), Duration::from_secs(60));
        let (done, waiting) = oneshot::channel::<()>();
        streams.execute(async { drop(waiting.await) });
        let time = Duration::from_millis(100);
        let idle = streams.idle_for(time);
        tokio::pin!(idle);
        assert!(timeout(3 * time, &mut idle).await.is_err());
        let begun = Instant::now();
        drop(done);
        timeout(Duration::from_secs(20), idle).await.unwrap();
        assert!(begun.elapsed() >= time);
    }
}
