//! Sessions: one moment of some tables, held for one peer while it compares and reads.
//!
//! Here is who holds which, within which bounds, and what became of those that ended. Invariants: a session answers
//! nobody but the peer of its connection; it never outlives the right to see what it shows; what it holds of the site
//! database is given back the moment it ends.

mod agreed;
mod close;

mod open;
mod picks;
mod rows;
mod scan;
mod session;
mod tally;
mod watch;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::base::secret::{SecretError, new_token};
use crate::model::id::ConnectionId;
use crate::sync::serve::life::Ending;
use crate::sync::serve::session_fault::SessionFault;
use crate::sync::serve::sessions::scan::{Disk, Shared};
use crate::sync::serve::sessions::session::Session;
use crate::wire::session::SessionClosed;

pub use close::close_session;
pub use open::{open_session, renew_session};
pub use rows::{SessionStream, WantedInSession, open_session_stream};
pub use tally::{TallyAnswer, TallyOrder, answer_tally};

/// Of one connection.
const PER_CONNECTION: usize = 2;
/// Of all: each keeps a connection to the site database.
const IN_TOTAL: usize = 6;
/// Sessions of one connection that ended and are still known, so that a repeated question gets its answer.
const REMEMBERED: usize = 32;
/// Tables that are scanned at once.
const SCANS: usize = 2;
/// Answers that are made at once: each takes some mebibytes.
const ANSWERS: usize = 2;

/// The sessions that peers hold.
#[derive(Debug)]
pub struct Sessions {
    entries: Mutex<HashMap<String, Entry>>,
    endings: Mutex<BTreeMap<Ending, u64>>,
    scans: Shared,
    answers: Semaphore,
}

#[derive(Debug)]
struct Entry {
    connection: ConnectionId,
    /// It is forgotten then.
    until: Instant,
    made: Instant,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Its snapshot is being taken.
    Opening,
    Open(Arc<Session>),
    Ended(Ending),
    /// What its peer was answered.
    Closed(SessionClosed),
}

impl State {
    fn is_over(&self) -> bool {
        matches!(self, Self::Ended(_) | Self::Closed(_))
    }
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            entries: Mutex::default(),
            endings: Mutex::default(),
            scans: Shared {
                turns: Arc::new(Semaphore::new(SCANS)),
                disk: Disk::default(),
            },
            answers: Semaphore::new(ANSWERS),
        }
    }
}

/// A place for a session that is being opened; given back when dropped.
struct Reserved<'a> {
    sessions: &'a Sessions,
    name: String,
}

/// What is known of a session that a peer names.
enum Found {
    Open(Arc<Session>),
    Closed(SessionClosed),
}

impl Sessions {
    fn entries(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many are held.
    #[must_use]
    pub fn held(&self) -> usize {
        let entries = self.entries();
        entries
            .values()
            .filter(|entry| !entry.state.is_over())
            .count()
    }

    /// How many have ended, by why, since the daemon began.
    #[must_use]
    pub fn endings(&self) -> BTreeMap<Ending, u64> {
        self.counted().clone()
    }

    fn counted(&self) -> MutexGuard<'_, BTreeMap<Ending, u64>> {
        self.endings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one more of `connection`, that is known until `until`.
    fn reserve(&self, connection: ConnectionId, until: Instant) -> Result<Reserved<'_>, Refused> {
        let name = new_token()?.expose().clone();
        let now = Instant::now();
        let mut entries = self.entries();
        entries.retain(|_, entry| !entry.state.is_over() || entry.until > now);
        if end_unused(&mut entries, connection) {
            *self.counted().entry(Ending::Replaced).or_default() += 1;
        }
        let held = |entry: &&Entry| !entry.state.is_over();
        let own = |entry: &&Entry| entry.connection == connection;
        if entries.values().filter(held).filter(own).count() >= PER_CONNECTION
            || entries.values().filter(held).count() >= IN_TOTAL
        {
            return Err(SessionFault::TooMany.into());
        }
        forget_oldest(&mut entries, connection);
        let entry = Entry {
            connection,
            until,
            made: now,
            state: State::Opening,
        };
        entries.insert(name.clone(), entry);
        Ok(Reserved {
            sessions: self,
            name,
        })
    }

    /// What is known of the session that the peer of `connection` calls `name`.
    fn find(&self, connection: ConnectionId, name: &str) -> Result<Found, SessionFault> {
        let entries = self.entries();
        let own = entries
            .get(name)
            .filter(|entry| entry.connection == connection);
        match own.map(|entry| &entry.state) {
            None | Some(State::Opening) => Err(SessionFault::Unknown),
            Some(State::Open(session)) => Ok(Found::Open(Arc::clone(session))),
            Some(State::Ended(ending)) => Err(SessionFault::of(*ending)),
            Some(State::Closed(answer)) => Ok(Found::Closed(answer.clone())),
        }
    }

    /// Ends a session, unless it has ended already.
    fn end(&self, session: &Session, ending: Ending) {
        self.conclude(session, ending, State::Ended(ending));
    }

    /// Ends a session whose peer closes it, and remembers what it is answered.
    fn close(&self, session: &Session, answer: SessionClosed) {
        self.conclude(session, Ending::Closed, State::Closed(answer));
    }

    fn conclude(&self, session: &Session, ending: Ending, state: State) {
        if !session.end(ending) {
            return;
        }
        *self.counted().entry(ending).or_default() += 1;
        if let Some(entry) = self.entries().get_mut(&session.name) {
            entry.state = state;
        }
    }

    /// Ends those of `connection`, whose key is to be replaced.
    pub fn rotate(&self, connection: ConnectionId) {
        for session in self.of(connection) {
            self.end(&session, Ending::Rotated);
        }
    }

    /// Has those of `connection` ask whether they may go on: something about it was decided.
    pub fn ask_again(&self, connection: ConnectionId) {
        for session in self.of(connection) {
            session.asked_again.notify_one();
        }
    }

    fn of(&self, connection: ConnectionId) -> Vec<Arc<Session>> {
        let entries = self.entries();
        let open = entries.values().filter_map(|entry| match &entry.state {
            State::Open(session) if entry.connection == connection => Some(Arc::clone(session)),
            _ => None,
        });
        open.collect()
    }
}

/// Why there is no place.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(transparent)]
    Fault(#[from] SessionFault),
    #[error(transparent)]
    Random(#[from] SecretError),
}

impl Reserved<'_> {
    /// The session is there.
    fn keep(self, session: Arc<Session>) {
        if let Some(entry) = self.sessions.entries().get_mut(&self.name) {
            entry.state = State::Open(session);
        }
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        let mut entries = self.sessions.entries();
        let is_opening = |entry: &Entry| matches!(entry.state, State::Opening);
        if entries.get(&self.name).is_some_and(is_opening) {
            entries.remove(&self.name);
        }
    }
}

/// A receiver that lost its way begins anew: of as many sessions of one connection as there may be, the one that was used
/// least lately makes room, unless it is being used. Whether one did.
fn end_unused(entries: &mut HashMap<String, Entry>, connection: ConnectionId) -> bool {
    let now = Instant::now();
    let own = entries.values_mut();
    let open: Vec<(Instant, &mut Entry)> = own
        .filter(|entry| entry.connection == connection)
        .filter_map(|entry| match &entry.state {
            State::Open(session) => Some((session.idle_since(now), entry)),
            State::Opening | State::Ended(_) | State::Closed(_) => None,
        })
        .collect();
    if open.len() < PER_CONNECTION {
        return false;
    }
    let unused = open.into_iter().filter(|(since, _)| *since < now);
    match unused.min_by_key(|(since, _)| *since) {
        Some((_, entry)) => {
            let State::Open(session) = &entry.state else {
                return false;
            };
            let is_ended = session.end(Ending::Replaced);
            entry.state = State::Ended(Ending::Replaced);
            is_ended
        }
        None => false,
    }
}

/// A peer that opens and closes without end is remembered by its latest sessions.
fn forget_oldest(entries: &mut HashMap<String, Entry>, connection: ConnectionId) {
    let over = entries
        .iter()
        .filter(|(_, entry)| entry.connection == connection && entry.state.is_over());
    let mut over: Vec<(Instant, String)> = over
        .map(|(name, entry)| (entry.made, name.clone()))
        .collect();
    over.sort();
    let too_many = over.len().saturating_sub(REMEMBERED);
    for (_, name) in over.into_iter().take(too_many) {
        entries.remove(&name);
    }
}
