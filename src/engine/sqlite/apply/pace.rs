//! How long transactions last, and how long the application is left alone between two of them. Pure but for the clock.
//!
//! Nobody is told that SQLite's lock is free: whoever waits for it tries again after ever longer sleeps. So a pause lasts
//! as long as the longest sleep that somebody can be in who began to wait during the transaction before it.
//! Invariant: whoever waits for the lock tries it at least once within each second's longest pause.

use std::time::{Duration, Instant};

use crate::engine::driver::ApplyBudget;

/// Time for the rows of one transaction; its commit comes on top.
pub(super) const TRANSACTION_TIME: Duration = Duration::from_millis(100);
/// Bytes of rows about as many as SQLite lets its log grow by: 1,000 pages. Indices can make a log of few rows a long one,
/// which is why time counts too.
const CHECKPOINT_BYTES: u64 = 4 << 20;
/// How often those who waited longer, because others were quicker in every pause, get one that they cannot miss.
const LONG_PAUSE_EVERY: Duration = Duration::from_secs(1);
/// The sleeps of SQLite's busy handler, in milliseconds (`sqliteDefaultBusyCallback` in its `main.c`); the last repeats.
const SLEEPS: [u64; 12] = [1, 2, 5, 10, 15, 20, 25, 25, 25, 50, 50, 100];
/// For waking up, and for the write itself to begin.
const MARGIN: Duration = Duration::from_millis(10);

/// The transaction that is open, or the pause after it.
#[derive(Debug)]
pub(super) struct Pace {
    begun: Option<Instant>,
    rows: u64,
    bytes: u64,
    rest: Duration,
    ended: Instant,
    long_pause: Instant,
    /// How long transactions lasted since the last checkpoint, and what they held.
    logged_for: Duration,
    logged_bytes: u64,
}

impl Pace {
    /// No transaction and no pause.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            begun: None,
            rows: 0,
            bytes: 0,
            rest: Duration::ZERO,
            ended: now,
            long_pause: now,
            logged_for: Duration::ZERO,
            logged_bytes: 0,
        }
    }

    /// Whether a transaction is open.
    pub(super) fn is_open(&self) -> bool {
        self.begun.is_some()
    }

    /// What is left of the pause.
    pub(super) fn owed(&self, now: Instant) -> Duration {
        self.rest.saturating_sub(now - self.ended)
    }

    /// A transaction was opened.
    pub(super) fn begin(&mut self, now: Instant) {
        self.begun = Some(now);
        (self.rows, self.bytes) = (0, 0);
    }

    /// Counts a row; whether the transaction has lasted or holds enough.
    pub(super) fn is_due(&mut self, bytes: usize, budget: &ApplyBudget, now: Instant) -> bool {
        self.rows += 1;
        self.add(bytes);
        self.rows >= budget.transaction_rows
            || self.bytes >= budget.transaction_bytes
            || self
                .begun
                .is_some_and(|begun| now - begun >= TRANSACTION_TIME)
    }

    /// So many bytes were written.
    pub(super) fn add(&mut self, bytes: usize) {
        self.bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
    }

    /// The transaction has ended; a pause begins.
    pub(super) fn end(&mut self, now: Instant) {
        let waited = self
            .begun
            .take()
            .map_or(Duration::ZERO, |begun| now - begun);
        self.ended = now;
        self.rest = MARGIN
            + if now - self.long_pause >= LONG_PAUSE_EVERY {
                self.long_pause = now;
                longest_sleep()
            } else {
                sleep_after(waited)
            };
        self.logged_for += waited;
        self.logged_bytes += self.bytes;
    }

    /// Whether the write-ahead log has grown by enough since the last time this was so.
    pub(super) fn needs_checkpoint(&mut self) -> bool {
        let needs = self.logged_for >= TRANSACTION_TIME || self.logged_bytes >= CHECKPOINT_BYTES;
        if needs {
            (self.logged_for, self.logged_bytes) = (Duration::ZERO, 0);
        }
        needs
    }
}

/// The longest sleep in which somebody may be who has waited up to `waited`.
fn sleep_after(waited: Duration) -> Duration {
    let mut woken = Duration::ZERO;
    for sleep in SLEEPS.map(Duration::from_millis) {
        woken += sleep;
        if woken > waited {
            return sleep;
        }
    }
    longest_sleep()
}

fn longest_sleep() -> Duration {
    Duration::from_millis(SLEEPS.into_iter().max().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Pace;
    use crate::engine::driver::ApplyBudget;

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn pause_after(transaction: Duration) -> Duration {
        let now = Instant::now();
        let mut pace = Pace::new(now);
        pace.begin(now);
        pace.end(now + transaction);
        pace.owed(now + transaction)
    }

    #[test]
    fn a_pause_lasts_as_long_as_whoever_waits_may_sleep() {
        for (transaction, pause) in [
            (0, 11),
            (1, 12),
            (100, 35),
            (120, 35),
            (130, 60),
            (200, 60),
            (228, 110),
            (10_000, 110),
        ] {
            assert_eq!(
                pause_after(millis(transaction)),
                millis(pause),
                "{transaction}"
            );
        }
    }

    #[test]
    fn each_second_has_a_pause_that_no_waiter_can_miss() {
        let mut now = Instant::now();
        let (mut pace, begun) = (Pace::new(now), now);
        let mut long_pauses = 0_u32;
        while now - begun < millis(10_000) {
            pace.begin(now);
            now += millis(110);
            pace.end(now);
            let pause = pace.owed(now);
            long_pauses += u32::from(pause == millis(110));
            now += pause;
            assert_eq!(pace.owed(now), Duration::ZERO);
        }
        assert!((8..=10).contains(&long_pauses), "{long_pauses}");
    }

    #[test]
    fn a_transaction_is_due_by_time_rows_or_bytes() {
        let budget = ApplyBudget {
            transaction_rows: 3,
            transaction_bytes: 100,
            quarantine_rows: 0,
        };
        for (bytes, after, rows) in [(1, 0, 3), (60, 0, 2), (1, 100, 1)] {
            let now = Instant::now();
            let mut pace = Pace::new(now);
            pace.begin(now);
            let due = (1..).find(|_| pace.is_due(bytes, &budget, now + millis(after)));
            assert_eq!(due, Some(rows));
        }
    }
}
