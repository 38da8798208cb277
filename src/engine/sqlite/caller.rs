//! Whether whoever asked for work on a blocking thread still waits for it.
//!
//! A thread cannot be stopped from outside; it asks between its steps, and pauses only here.
//! Invariant: dropping the [`Caller`] ends every pause at once.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::time::Duration;

/// Kept by the future that waits; says by its end that nobody does any more.
pub(super) struct Caller {
    _alive: SyncSender<()>,
}

/// The thread's view of its caller.
pub(super) struct CallerWatch(Receiver<()>);

/// A caller and the thread's view of it.
pub(super) fn caller() -> (Caller, CallerWatch) {
    let (alive, watch) = sync_channel(0);
    (Caller { _alive: alive }, CallerWatch(watch))
}

impl CallerWatch {
    /// Whether the result is still waited for.
    pub(super) fn waits(&self) -> bool {
        self.0.try_recv() != Err(TryRecvError::Disconnected)
    }

    /// Pauses; whether the result is still waited for then.
    pub(super) fn waits_after(&self, pause: Duration) -> bool {
        self.0.recv_timeout(pause) != Err(RecvTimeoutError::Disconnected)
    }
}

#[cfg(test)]
mod tests {
    use super::caller;
    use std::time::Duration;
    use std::time::Instant;

    #[test]
    fn a_pause_ends_with_its_caller() {
        let (caller, watch) = caller();
        assert!(watch.waits() && watch.waits_after(Duration::from_millis(1)));
        let begun = Instant::now();
        let pausing = std::thread::spawn(move || watch.waits_after(Duration::from_secs(60)));
        drop(caller);
        assert!(!pausing.join().unwrap());
        assert!(begun.elapsed() < Duration::from_secs(30));
    }
}
