//! Background work: every task has a name, an owner that stops it, and a place where its failures show.
//!
//! The only module that calls `tokio::spawn`.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long a task sleeps after a pass that panicked.
const AFTER_PANIC: Duration = Duration::from_secs(10);

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

    /// Repeats `task` until the process stops; a pass is never cut short, and one that panics ends only itself.
    pub fn repeat(&self, task: Arc<dyn Task>, waker: Waker) {
        let stop = self.stopping();
        self.spawn(task.name(), async move {
            while !stop.is_cancelled() {
                let pass = AssertUnwindSafe(task.pass()).catch_unwind();
                let pause = pass.await.unwrap_or_else(|_| {
                    tracing::error!(task = task.name(), "a pass panicked; please report this");
                    AFTER_PANIC
                });
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use super::{Task, Tasks, Waker};

    struct PanicsFirst {
        passes: AtomicU32,
        passed: Waker,
    }

    #[async_trait::async_trait]
    impl Task for PanicsFirst {
        fn name(&self) -> &'static str {
            "panics first"
        }

        async fn pass(&self) -> Duration {
            assert!(self.passes.fetch_add(1, Ordering::Relaxed) > 0);
            self.passed.wake();
            Duration::from_secs(3_600)
        }
    }

    #[tokio::test]
    async fn a_task_goes_on_after_a_pass_that_panicked() {
        let (tasks, waker, passed) = (Tasks::default(), Waker::default(), Waker::default());
        waker.wake();
        let task = PanicsFirst {
            passes: AtomicU32::new(0),
            passed: passed.clone(),
        };
        tasks.repeat(Arc::new(task), waker);
        passed.woken().await;
        assert!(tasks.stop(Duration::from_secs(5)).await);
    }
}
