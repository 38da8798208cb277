//! How many streams run at once: each holds a connection and a snapshot of the site database.
//!
//! Invariant: no peer takes what another, or this site itself, needs of the database.

use std::sync::{Mutex, PoisonError};

use crate::model::id::ConnectionId;
use crate::sync::serve::fault::ServeError;

/// Of one connection.
const PER_CONNECTION: usize = 4;
/// Of all; a third of what the site database gives this process. Sessions take as much.
const IN_TOTAL: usize = 8;

/// One entry per running stream.
static TAKEN: Mutex<Vec<ConnectionId>> = Mutex::new(Vec::new());

/// The right to stream, until dropped.
#[derive(Debug)]
pub(super) struct Place(ConnectionId);

impl Place {
    /// A place for one more stream of `connection`.
    ///
    /// # Errors
    /// [`ServeError::Busy`] when there is none.
    pub(super) fn take(connection: ConnectionId) -> Result<Self, ServeError> {
        let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        let own = taken.iter().filter(|other| **other == connection).count();
        if own >= PER_CONNECTION || taken.len() >= IN_TOTAL {
            return Err(ServeError::Busy);
        }
        taken.push(connection);
        Ok(Self(connection))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = taken.iter().position(|other| *other == self.0) {
            taken.swap_remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{PER_CONNECTION, Place};
    use crate::model::id::ConnectionId;

    #[test]
    fn one_connection_leaves_places_for_another_and_gives_its_own_back() {
        let (greedy, modest) = (ConnectionId::generate(), ConnectionId::generate());
        let mut places: Vec<Place> = (0..PER_CONNECTION)
            .map(|_| Place::take(greedy).unwrap())
            .collect();
        Place::take(greedy).unwrap_err();
        drop(Place::take(modest).unwrap());
        places.pop();
        Place::take(greedy).unwrap();
    }
}
