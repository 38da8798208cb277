//! The life of a snapshot: that it has ended, and why, known at once to everything that reads from it.
//!
//! Holds nothing of a database itself. Invariant: a life ends once; whoever asks later hears the same reason.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::engine::error::EngineError;

/// How often is looked whether somebody waits for what a snapshot holds. That, and ending it, is what they wait.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Why a snapshot is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Nobody wants it any more.
    Dropped,
    /// Somebody waits for what it holds.
    Yielded,
    /// The database broke off, in its words.
    Lost(String),
}

impl Ending {
    fn fault(&self) -> EngineError {
        match self {
            Self::Dropped => EngineError::Lost("reading was given up".to_owned()),
            Self::Yielded => EngineError::Yielded,
            Self::Lost(words) => EngineError::Lost(words.clone()),
        }
    }
}

/// What all who work on one snapshot share.
#[derive(Clone, Debug)]
pub(super) struct Life(Arc<watch::Sender<Option<Ending>>>);

/// Ends a life when it is dropped.
#[derive(Debug)]
pub(super) struct Guard(Life);

impl Life {
    /// A new one, and what its owner keeps.
    pub(super) fn new() -> (Self, Guard) {
        let life = Self(Arc::new(watch::Sender::new(None)));
        (life.clone(), Guard(life))
    }

    /// Ends it for all, unless it has ended already.
    pub(super) fn end(&self, ending: Ending) {
        self.0.send_if_modified(|ended| {
            let is_first = ended.is_none();
            if is_first {
                *ended = Some(ending);
            }
            is_first
        });
    }

    /// Whether it has ended.
    pub(super) fn is_over(&self) -> bool {
        self.0.borrow().is_some()
    }

    /// Waits for its end; what that means to a reader.
    pub(super) async fn over(&self) -> EngineError {
        let mut ended = self.0.subscribe();
        // The sender cannot be gone: this holds it.
        let ending = ended.wait_for(Option::is_some).await;
        let ending = ending.ok().and_then(|ending| ending.clone());
        ending.unwrap_or(Ending::Dropped).fault()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.end(Ending::Dropped);
    }
}

#[cfg(test)]
mod tests {
    use super::{Ending, Life};
    use crate::engine::error::EngineError;

    #[tokio::test]
    async fn the_first_reason_to_end_is_told_to_all() {
        let (life, guard) = Life::new();
        assert!(!life.is_over());
        life.end(Ending::Yielded);
        life.end(Ending::Lost("later".to_owned()));
        drop(guard);
        for _ in 0..2 {
            assert!(matches!(life.over().await, EngineError::Yielded));
        }
    }

    #[tokio::test]
    async fn whoever_drops_the_guard_ends_it() {
        let (life, guard) = Life::new();
        let (over, ()) = tokio::join!(life.over(), async { drop(guard) });
        assert!(life.is_over() && matches!(over, EngineError::Lost(_)));
    }
}
