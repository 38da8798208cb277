//! The life of a session: that it has ended, and why, known at once to everything that works for it.
//!
//! Invariant: a life ends once; whoever asks later hears the same reason.

use std::sync::Arc;

use tokio::sync::watch;

use crate::model::word::words;
use crate::wire::messages::StreamFaultCode;

/// Why a session is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    /// The peer closed it.
    Closed,
    /// The peer named it no more.
    Idle,
    /// It was held for as long as it may be.
    Held,
    /// Somebody who uses the site database waited for its tables.
    Yielded,
    /// The peer opened another one, and has no room for more.
    Replaced,
    /// The site database broke off.
    Lost,
    /// The connection is no longer active.
    NotActive,
    /// The connection may see other tables, columns or rows than when it began.
    GrantChanged,
    /// The connection's key is replaced.
    Rotated,
    /// This daemon stops.
    Stopping,
}

words! {
    Ending {
        Closed = "closed", Idle = "idle", Held = "held", Yielded = "yielded", Lost = "lost",
        NotActive = "not_active", GrantChanged = "grant_changed", Replaced = "replaced", Rotated = "rotated",
        Stopping = "stopping",
    }
}

impl Ending {
    /// For the peer whose session it was.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Closed => "it was closed",
            Self::Idle => "nothing was asked of it for too long",
            Self::Held => "it was held for as long as it may be",
            Self::Yielded => "another session of the site database waited for its tables",
            Self::Replaced => "another one was opened in its place",
            Self::Lost => "the site database broke off",
            Self::NotActive => "the connection is not active any more",
            Self::GrantChanged => "what this connection may see was changed",
            Self::Rotated => "the connection's key is being replaced",
            Self::Stopping => "the daemon that held it stopped",
        }
    }

    /// The code of a stream that ends with it.
    pub(super) fn stream_code(self) -> StreamFaultCode {
        match self {
            Self::Closed
            | Self::Idle
            | Self::Held
            | Self::Replaced
            | Self::Rotated
            | Self::Stopping => StreamFaultCode::SessionGone,
            Self::Yielded => StreamFaultCode::SessionYielded,
            Self::Lost => StreamFaultCode::DatabaseLost,
            Self::NotActive => StreamFaultCode::ConnectionNotActive,
            Self::GrantChanged => StreamFaultCode::GrantChanged,
        }
    }
}

/// What all who work on one session share.
#[derive(Clone, Debug)]
pub(super) struct Life(Arc<watch::Sender<Option<Ending>>>);

impl Life {
    /// One that has just begun.
    pub(super) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }

    /// Ends it for all, unless it has ended already; whether this was its end.
    pub(super) fn end(&self, ending: Ending) -> bool {
        self.0.send_if_modified(|ended| {
            let is_first = ended.is_none();
            if is_first {
                *ended = Some(ending);
            }
            is_first
        })
    }

    /// Why it has ended, if it has.
    pub(super) fn ending(&self) -> Option<Ending> {
        *self.0.borrow()
    }

    /// Waits for its end.
    pub(super) async fn over(&self) -> Ending {
        let mut ended = self.0.subscribe();
        // The sender cannot be gone: this holds it.
        let ending = ended.wait_for(Option::is_some).await;
        ending
            .ok()
            .and_then(|ending| *ending)
            .unwrap_or(Ending::Stopping)
    }
}

#[cfg(test)]
mod tests {
    use super::{Ending, Life};

    #[tokio::test]
    async fn the_first_reason_to_end_is_told_to_all() {
        let life = Life::new();
        assert_eq!(life.ending(), None);
        let (told, is_first) = tokio::join!(life.over(), async { life.end(Ending::Yielded) });
        assert_eq!((told, is_first), (Ending::Yielded, true));
        assert!(!life.end(Ending::Idle));
        assert_eq!(
            (life.over().await, life.ending()),
            (Ending::Yielded, Some(Ending::Yielded))
        );
    }
}
