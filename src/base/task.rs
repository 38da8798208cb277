//! Background work: every task has a name, an owner that stops it, and a place where its failures show.
//!
//! The only module that calls `tokio::spawn`.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Work that repeats: woken by timer and by signal, idempotent, takes no input.
#[async_trait::async_trait]
pub trait Task: Send + Sync + 'static {
    /// Stands in logs and metrics.
    fn name(&self) -> &'static str;

    /// One pass; returns how long to sleep unless woken earlier.
    async fn pass(&self) -> Duration;
}

/// Wakes a sleeping [`Task`]; many wakes before its next pass count as one.
#[derive(Clone, Debug, Default)]
pub struct Waker(Arc<Notify>);

impl Waker {
    /// Lets the task's next pass start now.
    pub fn wake(&self) {
        self.0.notify_one();
    }

    /// Waits for the next [`Self::wake`].
    pub async fn woken(&self) {
        self.0.notified().await;
    }
}

/// Owns the process's tasks and tells them to stop.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Tasks {
    /// Cancelled when the process begins to stop.
    #[must_use]
    pub fn stopping(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Runs `future` under `name` until it ends.
    pub fn spawn<F>(&self, name: &'static str, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        use tracing::Instrument as _;
        self.tracker
            .spawn(future.instrument(tracing::info_span!("task", name)))
    }

    /// Repeats `task` until the process stops; a pass is never cut short.
    pub fn repeat(&self, task: Arc<dyn Task>, waker: Waker) {
        let stop = self.stopping();
        self.spawn(task.name(), async move {
            while !stop.is_cancelled() {
                let pause = task.pass().await;
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = waker.woken() => {}
                    () = stop.cancelled() => {}
                }
            }
        });
    }

    /// Tells every task to stop and waits up to `patience`; false when some were still running.
    pub async fn stop(&self, patience: Duration) -> bool {
        self.stop.cancel();
        self.tracker.close();
        tokio::time::timeout(patience, self.tracker.wait())
            .await
            .is_ok()
    }
}
