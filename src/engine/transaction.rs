//! The open transaction of a job on a server: what it may still take, and how long it may last.
//!
//! Opens and commits nothing itself. Invariant: what it says of room never exceeds the job's budget.

use std::time::{Duration, Instant};

use crate::engine::chunk::{Chunk, Room};
use crate::engine::driver::ApplyBudget;

/// A transaction does not stay open, and keep its locks, while a slow stream brings nothing.
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// An application that wants a row this one has written waits no longer than this and one chunk.
pub(super) const LONGEST: Duration = Duration::from_secs(1);
/// The same while a table that began empty is filled: a stream may be thin, and its keys may be the application's too.
const LONGEST_STRAIGHT: Duration = Duration::from_secs(5);

/// How a job's rows go now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Straight into a table that began empty, whose rows nobody knows yet.
    Straight,
    /// Compared with what is there.
    ByKey,
}

impl Way {
    fn longest(self) -> Duration {
        match self {
            Self::Straight => LONGEST_STRAIGHT,
            Self::ByKey => LONGEST,
        }
    }
}

/// A job's transaction, open or not.
#[derive(Debug)]
pub(super) struct Transaction {
    /// What the open one holds already.
    open: Option<Room>,
    /// When it was opened.
    begun: Instant,
}

impl Transaction {
    /// None is open.
    pub(super) fn new() -> Self {
        Self {
            open: None,
            begun: Instant::now(),
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Whether no row is in it.
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_none_or(|open| open.rows == 0)
    }

    /// One was opened.
    pub(super) fn begin(&mut self) {
        self.open = Some(Room { rows: 0, bytes: 0 });
        self.begun = Instant::now();
    }

    /// It holds these too.
    pub(super) fn add(&mut self, rows: u64, bytes: u64) {
        if let Some(open) = &mut self.open {
            open.rows += rows;
            open.bytes += bytes;
        }
    }

    /// What it held; `None` when none was open. It has ended, or is about to.
    pub(super) fn end(&mut self) -> Option<Room> {
        self.open.take()
    }

    /// What `chunk` may still take: the rest of `most` bytes, or of the transaction.
    pub(super) fn room(&self, budget: ApplyBudget, chunk: &Chunk, most: u64) -> Room {
        let open = self.open.unwrap_or(Room { rows: 0, bytes: 0 });
        let rows = budget
            .transaction_rows
            .saturating_sub(open.rows + chunk.rows);
        let bytes = budget
            .transaction_bytes
            .saturating_sub(open.bytes + chunk.bytes);
        Room {
            rows,
            bytes: bytes.min(most.saturating_sub(chunk.bytes)),
        }
    }

    /// Whether it is open for so long that an application may wait for its rows.
    pub(super) fn is_overdue(&self, way: Way) -> bool {
        self.is_open() && self.lasts() >= way.longest()
    }

    /// For how long it is open.
    pub(super) fn lasts(&self) -> Duration {
        if self.is_open() {
            self.begun.elapsed()
        } else {
            Duration::ZERO
        }
    }

    /// How long the next rows may be waited for.
    pub(super) fn patience(&self, way: Way) -> Duration {
        if self.is_open() {
            way.longest().saturating_sub(self.begun.elapsed())
        } else {
            LONGEST_WAIT
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{LONGEST_WAIT, Transaction, Way};
    use crate::engine::chunk::Chunk;
    use crate::engine::driver::ApplyBudget;

    #[test]
    fn a_transaction_takes_what_its_budget_leaves() {
        let budget = ApplyBudget {
            transaction_rows: 10,
            transaction_bytes: 1_000,
            quarantine_rows: 0,
        };
        let (mut transaction, mut chunk) = (Transaction::new(), Chunk::default());
        let room = |transaction: &Transaction, chunk: &Chunk| {
            let room = transaction.room(budget, chunk, 400);
            (room.rows, room.bytes)
        };
        assert_eq!(room(&transaction, &chunk), (10, 400));
        transaction.begin();
        assert!(transaction.is_empty());
        transaction.add(7, 900);
        assert!(!transaction.is_empty());
        assert_eq!(room(&transaction, &chunk), (3, 100));
        (chunk.rows, chunk.bytes) = (5, 50);
        assert_eq!(room(&transaction, &chunk), (0, 50));
        let held = transaction.end().unwrap();
        assert_eq!((held.rows, held.bytes), (7, 900));
        assert!(transaction.end().is_none() && !transaction.is_overdue(Way::ByKey));
    }

    #[test]
    fn an_open_transaction_waits_no_longer_than_it_may_last() {
        let mut transaction = Transaction::new();
        for way in [Way::ByKey, Way::Straight] {
            assert_eq!(Transaction::new().patience(way), LONGEST_WAIT);
            transaction.begin();
            assert!(transaction.patience(way) <= way.longest());
            assert!(!transaction.is_overdue(way));
        }
    }
}
