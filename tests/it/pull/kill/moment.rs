//! When something is killed: at a random moment of a run, early, in the middle or near its end.

use std::time::{Duration, Instant};

use super::ground::{Ground, Victim};
use super::random::Random;
use crate::support::wait;

/// A moment of a run.
#[derive(Clone, Copy, Debug)]
pub(super) enum Moment {
    /// Once so many bytes have passed the link, counted since it was made.
    Passed(u64),
    /// Once `ledger` has so many rows.
    Rows(u64),
    /// So long after it has so many: while the rest is written, proved, written down and signed.
    After(u64, Duration),
}

impl Moment {
    /// One of the run that comes, which sends `rows` and adds `added` to `ledger`.
    pub(super) fn draw(
        random: &mut Random,
        ground: &Ground<'_>,
        victim: Victim,
        (rows, added): (u64, u64),
    ) -> Self {
        let all = u64::try_from(ground.there.len()).unwrap();
        let now = ground.pair.destination.count("ledger");
        // What has come is written also when nobody sends any more.
        let of_sending = match victim {
            Victim::Giver | Victim::Link | Victim::SourceDatabase => 6,
            Victim::Taker | Victim::DestinationDatabase => 2,
        };
        match random.below(10) {
            draw if draw < of_sending => {
                let more = random.below(ground.whole * rows / all + 8_192);
                Self::Passed(ground.pair.link.passed() + more)
            }
            0..8 => Self::Rows(now + random.below(added) + 1),
            _ => {
                let pause = Duration::from_millis(random.below(400));
                Self::After(now + added * 9 / 10, pause)
            }
        }
    }

    /// Waits for it, or for the end of the run.
    pub(super) fn wait(self, ground: &Ground<'_>, run: &str) {
        let pair = &ground.pair;
        let mut since = None;
        let mut has_come = || match self {
            Self::Passed(bytes) => pair.link.passed() >= bytes,
            Self::Rows(rows) => pair.destination.count("ledger") >= rows,
            Self::After(rows, pause) => {
                if since.is_none() && pair.destination.count("ledger") >= rows {
                    since = Some(Instant::now());
                }
                since.is_some_and(|since| since.elapsed() >= pause)
            }
        };
        let begun = Instant::now();
        // Anew each time, because the longer it waits the more seldom it asks.
        while begun.elapsed() < wait::LONG {
            let come = wait::within(Duration::from_millis(20), || has_come().then_some(()));
            if come.is_some() || pair.run(run)["completed_at"].is_string() {
                return;
            }
        }
        panic!("{self:?} of run {run} never came: {:#}", pair.run(run));
    }
}
