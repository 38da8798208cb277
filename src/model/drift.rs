//! Data healing: what the second schedule of a sync found, and what follows from it.
//!
//! Pure. Invariant: nothing is repaired that differed otherwise, or not at all, when it was looked at before: a row on
//! its way is no drift.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::difference::{DifferenceKind, FoundDifference};
use crate::model::id::RunId;
use crate::model::run::RunError;
use crate::model::word::words;

/// How much a sync repairs by itself at a time; of more a person decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Budget {
    /// Rows.
    pub rows: u64,
    /// Bytes, as the average row of each table has them.
    pub bytes: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            rows: 1_000,
            bytes: 16 << 20,
        }
    }
}

/// What a look found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Nothing that a run would change.
    Equal,
    /// Rows that did not differ so when they were looked at before; a second look tells whether they are on their way.
    Unsettled,
    /// Rows that differ as they did before; a run repairs them.
    Repairs,
    /// The same, and more of them than the budget; a run was made that asks.
    Asks,
    /// The same, and nothing is done about them: the sync repairs nothing by itself.
    Left,
    /// The tables could not be compared.
    Failed,
}

words! {
    Finding {
        Equal = "equal", Unsettled = "unsettled", Repairs = "repairs", Asks = "asks", Left = "left",
        Failed = "failed",
    }
}

/// The last look of a sync.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// The run that looked.
    pub run_id: RunId,
    /// When it was judged.
    pub at: Timestamp,
    /// What it found.
    pub finding: Finding,
    /// Rows that a run would change.
    pub rows: u64,
    /// Of those so many that differed in the same way before, as far as they are listed.
    pub drifted: u64,
    /// The run that was made for them.
    pub repair_run: Option<RunId>,
    /// Why the tables could not be compared.
    pub error: Option<RunError>,
}

/// What a look saw.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Rows that a run would change.
    pub rows: u64,
    /// What they weigh, in bytes.
    pub bytes: u64,
    /// Those of them that are listed.
    pub listed: &'a [FoundDifference],
}

/// What a look found, and how many rows differ as they did in the look before; `budget`: what may be repaired without
/// asking, `None`: nothing.
#[must_use]
pub fn judge(
    before: Option<&[FoundDifference]>,
    seen: Seen<'_>,
    budget: Option<Budget>,
) -> (Finding, u64) {
    if seen.rows == 0 {
        return (Finding::Equal, 0);
    }
    // Rows without a key may be equal.
    let mut known: HashMap<_, usize> = HashMap::new();
    for row in before.unwrap_or_default() {
        *known.entry(state(row)).or_default() += 1;
    }
    let mut steady = 0_u64;
    for row in seen.listed {
        if let Some(rows) = known.get_mut(&state(row)).filter(|rows| **rows > 0) {
            *rows -= 1;
            steady += 1;
        }
    }
    let finding = match budget {
        _ if steady == 0 => Finding::Unsettled,
        None => Finding::Left,
        Some(budget) if seen.rows <= budget.rows && seen.bytes <= budget.bytes => Finding::Repairs,
        Some(_) => Finding::Asks,
    };
    (finding, steady)
}

/// A row, and how it stands on both sides.
fn state(found: &FoundDifference) -> (String, String, DifferenceKind, &str) {
    let row = &found.row;
    (
        found.table.to_string(),
        row.key.to_string(),
        row.kind,
        &row.mark,
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Budget, Finding, Seen, judge};
    use crate::model::difference::{DifferenceKind, DifferentRow, FoundDifference, mark};
    use crate::model::table::TableName;

    /// A row of `orders` whose values there are told by `there`.
    fn row(id: u32, kind: DifferenceKind, there: u128) -> FoundDifference {
        FoundDifference {
            table: TableName::bare("orders"),
            row: DifferentRow {
                key: json!({"id": id.to_string()}),
                kind,
                columns: None,
                mark: mark(Some(1), Some(there)),
            },
        }
    }

    #[test]
    fn only_what_differs_twice_in_the_same_way_is_repaired() {
        use DifferenceKind::{Deleted, Updated};
        let one = [row(1, Updated, 5)];
        let elsewhere = [FoundDifference {
            table: TableName::bare("items"),
            ..row(1, Updated, 5)
        }];
        let two = [row(1, Updated, 5), row(2, Deleted, 6)];
        let few = Some(Budget {
            rows: 2,
            bytes: 100,
        });
        let seen = |rows, bytes, listed| Seen {
            rows,
            bytes,
            listed,
        };
        for (name, before, seen, budget, expected) in [
            (
                "equal",
                Some(&two[..]),
                seen(0, 0, &[][..]),
                few,
                (Finding::Equal, 0),
            ),
            (
                "the first look",
                None,
                seen(1, 9, &one[..]),
                few,
                (Finding::Unsettled, 0),
            ),
            (
                "after an equal one",
                Some(&[][..]),
                seen(1, 9, &one[..]),
                few,
                (Finding::Unsettled, 0),
            ),
            (
                "twice",
                Some(&one[..]),
                seen(1, 9, &one[..]),
                few,
                (Finding::Repairs, 1),
            ),
            (
                "another table",
                Some(&elsewhere[..]),
                seen(1, 9, &one[..]),
                few,
                (Finding::Unsettled, 0),
            ),
            (
                "changed meanwhile",
                Some(&[row(1, Updated, 6)][..]),
                seen(1, 9, &one[..]),
                few,
                (Finding::Unsettled, 0),
            ),
            (
                "now only here",
                Some(&[row(1, Deleted, 5)][..]),
                seen(1, 9, &one[..]),
                few,
                (Finding::Unsettled, 0),
            ),
            (
                "one of two",
                Some(&one[..]),
                seen(2, 100, &two[..]),
                few,
                (Finding::Repairs, 1),
            ),
            (
                "equal rows, one more of them",
                Some(&[row(1, Deleted, 5), row(1, Deleted, 5)][..]),
                seen(
                    3,
                    9,
                    &[row(1, Deleted, 5), row(1, Deleted, 5), row(1, Deleted, 5)][..],
                ),
                None,
                (Finding::Left, 2),
            ),
            (
                "too many rows",
                Some(&two[..]),
                seen(3, 9, &two[..]),
                few,
                (Finding::Asks, 2),
            ),
            (
                "too many bytes",
                Some(&two[..]),
                seen(2, 101, &two[..]),
                few,
                (Finding::Asks, 2),
            ),
            (
                "repairs nothing",
                Some(&two[..]),
                seen(2, 9, &two[..]),
                None,
                (Finding::Left, 2),
            ),
        ] {
            assert_eq!(judge(before, seen, budget), expected, "{name}");
        }
    }
}
