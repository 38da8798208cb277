//! Tables that a grant of all tables leaves out.
//!
//! Invariant: it never keeps a table from a grant that names it.

use crate::model::table::TableName;

/// Tables that `"*"` leaves out: names matched by patterns in which `*` stands for any characters.
#[derive(Clone, Debug, Default)]
pub struct Withheld(Vec<String>);

impl Withheld {
    /// From `grants.withheld`; compared without regard to case.
    #[must_use]
    pub fn new(patterns: &[String]) -> Self {
        Self(
            patterns
                .iter()
                .map(|pattern| pattern.to_lowercase())
                .collect(),
        )
    }

    /// Whether `"*"` leaves out `table`.
    #[must_use]
    pub fn includes(&self, table: &TableName) -> bool {
        let name = table.name.to_lowercase();
        self.0.iter().any(|pattern| matches(pattern, &name))
    }
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, tail)) => name.strip_prefix(head).is_some_and(|rest| {
            rest.char_indices()
                .map(|(at, _)| at)
                .chain([rest.len()])
                .any(|at| rest.get(at..).is_some_and(|rest| matches(tail, rest)))
        }),
    }
}
