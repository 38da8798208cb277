//! What a run found to differ between the two sides, row by row.
//!
//! Invariant: of a row only its key is known here, never another value.

use std::time::Duration;

use crate::model::table::TableName;
use crate::model::word::words;

/// Of one table of one run so many are kept.
pub const KEPT: usize = 10_000;
/// They are kept this long after they were found; a plan is not approved without them.
pub const KEPT_FOR: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// How a row differs, or what that means for this side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DifferenceKind {
    /// It is only there.
    Added,
    /// It is on both sides, with other values.
    Updated,
    /// It is only here.
    Deleted,
    /// The site's own application changed it after it was compared, so it was left as it is.
    Moved,
}

words! {
    DifferenceKind {
        Added = "added", Updated = "updated", Deleted = "deleted", Moved = "moved",
    }
}

/// A row that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DifferentRow {
    /// Its key, one JSON object of column and text.
    pub key: serde_json::Value,
    /// How it differs.
    pub kind: DifferenceKind,
    /// The columns that differ, as they are called here; `None`: nobody looked.
    pub columns: Option<Vec<String>>,
    /// What the row is on both sides, by [`mark`]: as long as neither changes it, it stays the same.
    pub mark: String,
}

/// A row that differs, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundDifference {
    /// The table here.
    pub table: TableName,
    /// The row.
    pub row: DifferentRow,
}

/// The mark of a row whose keyed hashes are these, `None` where there is no such row.
#[must_use]
pub fn mark(here: Option<u128>, there: Option<u128>) -> String {
    let side = |hash: Option<u128>| hash.map_or_else(|| "-".to_owned(), |hash| format!("{hash:x}"));
    format!("{}:{}", side(here), side(there))
}

#[cfg(test)]
mod tests {
    use super::mark;

    #[test]
    fn a_mark_tells_every_state_of_a_row_from_every_other() {
        let hashes = [None, Some(0), Some(1), Some(u128::MAX)];
        let mut marks: Vec<String> = hashes
            .iter()
            .flat_map(|here| hashes.iter().map(|there| mark(*here, *there)))
            .collect();
        let all = marks.len();
        marks.sort();
        marks.dedup();
        assert_eq!(marks.len(), all);
        assert_eq!(mark(Some(255), None), "ff:-");
    }
}
