//! One session: what it holds, and since when nothing was asked of it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::engine::driver::Snapshot;
use crate::model::connection::{Connection, Status};
use crate::model::filter::Filter;
use crate::model::id::ConnectionId;
use crate::model::table::TableName;
use crate::sync::Ctx;
use crate::sync::serve::access::{ClientKind, is_visible};
use crate::sync::serve::life::{Ending, Life};
use crate::sync::serve::session_fault::SessionFault;
use crate::sync::serve::sessions::scan::Scan;
use crate::sync::serve::sieve::Contract;
use crate::sync::serve::view::View;
use crate::wire::frame::RowSum;
use crate::wire::scope::Scope;
use crate::wire::session::Agreed;
use crate::wire::tally::TallyKey;

/// A moment of some tables, held for a peer.
pub(super) struct Session {
    /// What the peer calls it.
    pub(super) name: String,
    pub(super) connection: ConnectionId,
    /// Of the key that the peer signed with when it opened the session.
    pub(super) key: TallyKey,
    pub(super) read_point: String,
    pub(super) tables: Vec<HeldTable>,
    pub(super) life: Life,
    /// Something was decided about the connection.
    pub(super) asked_again: Notify,
    /// It ends then at the latest.
    pub(super) ends: (Instant, Timestamp),
    /// None once it has ended.
    snapshot: Mutex<Option<Arc<dyn Snapshot>>>,
    used: Mutex<Used>,
}

/// One table of a session.
pub(super) struct HeldTable {
    pub(super) view: View,
    /// That was asked for.
    pub(super) filter: Option<Filter>,
    /// The rows that there are of it for this session.
    pub(super) scope: Scope,
    pub(super) agreed: OnceLock<(Agreed, Arc<Contract>)>,
    pub(super) scan: OnceLock<Arc<Scan>>,
    /// Of all rows, once they were streamed.
    pub(super) streamed: OnceLock<RowSum>,
    pub(super) told: Mutex<Told>,
}

/// What a peer was told of a table.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Told {
    /// When it first asked about it.
    pub(super) since: Option<Timestamp>,
    /// In sums and listings.
    pub(super) bytes: u64,
    /// Rows went, which are a transfer of their own.
    pub(super) is_streamed: bool,
}

impl HeldTable {
    /// What the peer was told so far.
    pub(super) fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who is at work on a session.
struct Used {
    by: usize,
    last: Instant,
}

/// Keeps a session from being idle.
pub(super) struct InUse(Arc<Session>);

impl Session {
    /// One that begins now, with this snapshot.
    pub(super) fn new(
        (name, connection): (String, ConnectionId),
        key: TallyKey,
        ends: (Instant, Timestamp),
        tables: Vec<HeldTable>,
        snapshot: Arc<dyn Snapshot>,
    ) -> Self {
        Self {
            name,
            connection,
            key,
            read_point: snapshot.read_point(),
            tables,
            life: Life::new(),
            asked_again: Notify::new(),
            ends,
            snapshot: Mutex::new(Some(snapshot)),
            used: Mutex::new(Used {
                by: 0,
                last: Instant::now(),
            }),
        }
    }

    /// The table of this name.
    ///
    /// # Errors
    /// When the session has none.
    pub(super) fn table(&self, name: &TableName) -> Result<&HeldTable, SessionFault> {
        let mut tables = self.tables.iter();
        let found = tables.find(|held| held.view.table.name == *name);
        found.ok_or_else(|| {
            let words = format!("The session was opened without table {name}");
            SessionFault::invalid("table_not_in_session", words)
        })
    }

    /// What is to be read from, for as long as it takes to begin.
    ///
    /// # Errors
    /// When the session has ended.
    pub(super) fn snapshot(&self) -> Result<Arc<dyn Snapshot>, SessionFault> {
        let held = self.snapshot.lock().unwrap_or_else(PoisonError::into_inner);
        let ending = || self.life.ending().unwrap_or(Ending::Lost);
        held.clone().ok_or_else(|| SessionFault::of(ending()))
    }

    /// Ends it, and gives back what it holds of the site database; whether this was its end.
    pub(super) fn end(&self, ending: Ending) -> bool {
        let is_first = self.life.end(ending);
        let mut held = self.snapshot.lock().unwrap_or_else(PoisonError::into_inner);
        drop(held.take());
        is_first
    }

    /// Counts whoever holds the answer as at work on it.
    pub(super) fn in_use(self: &Arc<Self>) -> InUse {
        self.used().by += 1;
        InUse(Arc::clone(self))
    }

    /// Since when nobody is at work on it; now, where somebody is.
    pub(super) fn idle_since(&self, now: Instant) -> Instant {
        let used = self.used();
        match used.by {
            0 => used.last,
            _ => now,
        }
    }

    fn used(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why it must not go on, going by how the connection is now.
    pub(super) fn hindrance(&self, ctx: &Ctx, connection: Option<&Connection>) -> Option<Ending> {
        let now = Timestamp::now();
        let active = connection.filter(|connection| {
            connection.status() == Status::Active && !connection.grant.is_expired(now)
        });
        let Some(connection) = active else {
            return Some(Ending::NotActive);
        };
        let is_the_same = |held: &HeldTable| {
            is_visible(ctx, connection, ClientKind::Any, &held.view.table.name)
                && held.view.is_under(&connection.grant)
        };
        let all = self.tables.iter().all(is_the_same);
        (!all).then_some(Ending::GrantChanged)
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        let mut used = self.0.used();
        used.by = used.by.saturating_sub(1);
        used.last = Instant::now();
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let session = &mut f.debug_struct("Session");
        session.field("connection", &self.connection);
        session.finish_non_exhaustive()
    }
}
