//! The mirror guard: how many rows a run may delete before a person has to look.
//!
//! Pure. Invariant: an empty source never empties a destination by itself.

use serde::{Deserialize, Serialize};

/// What may be deleted without asking: up to [`FEW`] rows always, beyond them no more than both bounds allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Guard {
    /// Of the rows in scope here, in percent.
    pub percent: u8,
    /// Rows.
    pub rows: u64,
}

/// So few deletions are never too many, but for those of an empty source.
pub const FEW: u64 = 10;

impl Default for Guard {
    fn default() -> Self {
        Self {
            percent: 10,
            rows: 10_000,
        }
    }
}

/// What the guard looks at, for one table and scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deletions {
    /// Rows in scope at the source.
    pub source: u64,
    /// Rows in scope here, before the run.
    pub here: u64,
    /// To be deleted by this run.
    pub planned: u64,
    /// Deleted by runs of the last 24 hours.
    pub earlier: u64,
}

/// Why a person has to look first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Guarded {
    /// There is nothing at the source.
    #[error("the source has no rows in scope, so all {0} rows here would be deleted")]
    EmptySource(u64),
    /// A large part of what is here.
    #[error("{deleted} of {here} rows would be deleted within 24 hours, more than {percent} %")]
    Share {
        /// With those of the last 24 hours.
        deleted: u64,
        /// Rows that were here.
        here: u64,
        /// The bound.
        percent: u8,
    },
    /// Many rows.
    #[error("{deleted} rows would be deleted within 24 hours, more than {rows}")]
    Many {
        /// With those of the last 24 hours.
        deleted: u64,
        /// The bound.
        rows: u64,
    },
}

impl Guard {
    /// Whether the run may delete these rows by itself.
    ///
    /// # Errors
    /// Why a person has to look first.
    pub fn check(&self, deletions: Deletions) -> Result<(), Guarded> {
        if deletions.planned == 0 {
            return Ok(());
        }
        if deletions.source == 0 {
            return Err(Guarded::EmptySource(deletions.here));
        }
        let deleted = deletions.planned.saturating_add(deletions.earlier);
        if deleted > self.rows {
            let rows = self.rows;
            return Err(Guarded::Many { deleted, rows });
        }
        // Of what was here before the first of those deletions.
        let here = deletions.here.saturating_add(deletions.earlier);
        let share = u128::from(deleted) * 100 > u128::from(here) * u128::from(self.percent);
        if deleted > FEW && share {
            return Err(Guarded::Share {
                deleted,
                here,
                percent: self.percent,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Deletions, Guard, Guarded};

    #[test]
    fn few_deletions_pass_and_many_or_a_large_share_ask() {
        let check = |source, here, planned, earlier| {
            let guard = Guard::default();
            guard.check(Deletions {
                source,
                here,
                planned,
                earlier,
            })
        };
        let share = |deleted, here| {
            Err(Guarded::Share {
                deleted,
                here,
                percent: 10,
            })
        };
        for (name, found, expected) in [
            ("nothing is deleted", check(0, 50, 0, 900), Ok(())),
            (
                "an empty source",
                check(0, 3, 3, 0),
                Err(Guarded::EmptySource(3)),
            ),
            ("all of a few", check(1, 10, 10, 0), Ok(())),
            ("eleven of a hundred", check(90, 100, 11, 0), share(11, 100)),
            ("ten of a hundred", check(90, 100, 10, 0), Ok(())),
            ("eleven of a hundred and ten", check(99, 110, 11, 0), Ok(())),
            ("a little every hour", check(90, 95, 6, 5), share(11, 100)),
            (
                "ten thousand",
                check(1_000_000, 1_010_000, 10_000, 0),
                Ok(()),
            ),
            (
                "ten thousand and one",
                check(1_000_000, 1_010_000, 10_000, 1),
                Err(Guarded::Many {
                    deleted: 10_001,
                    rows: 10_000,
                }),
            ),
            (
                "beyond all numbers",
                check(1, 1, u64::MAX, u64::MAX),
                Err(Guarded::Many {
                    deleted: u64::MAX,
                    rows: 10_000,
                }),
            ),
        ] {
            assert_eq!(found, expected, "{name}");
        }
    }
}
