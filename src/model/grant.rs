//! What a sender lets one connection see.
//!
//! Invariant: absent or empty means nothing is granted; `"*"` never includes the withheld.

use serde::{Deserialize, Serialize};

use crate::model::table::TableName;

/// A grant, as an administrator writes it and as it is stored.
///
/// Fields of the operator API that this version cannot enforce are refused rather than ignored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Grant {
    /// The tables.
    pub tables: GrantedTables,
    /// Left out although granted.
    pub excluded_tables: Vec<TableName>,
    /// Bounds on requests.
    pub limits: Limits,
}

/// Which tables a grant names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum GrantedTables {
    /// `"*"`: every table but the withheld.
    All(Star),
    /// Just these.
    Named(Vec<TableName>),
}

impl Default for GrantedTables {
    fn default() -> Self {
        Self::Named(Vec::new())
    }
}

/// The text `*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Star {
    /// `*`
    #[serde(rename = "*")]
    Star,
}

/// Bounds on what one connection may ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Rows of one JSON answer; at least 1.
    pub max_records_per_request: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_records_per_request: 10_000,
        }
    }
}

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

impl Grant {
    /// A grant of just these tables.
    #[must_use]
    pub fn of(tables: Vec<TableName>) -> Self {
        Self {
            tables: GrantedTables::Named(tables),
            ..Self::default()
        }
    }

    /// Whether the connection may see `table`.
    #[must_use]
    pub fn allows(&self, table: &TableName, withheld: &Withheld) -> bool {
        let named = match &self.tables {
            GrantedTables::All(_) => !withheld.includes(table),
            GrantedTables::Named(tables) => tables.contains(table),
        };
        named && !self.excluded_tables.contains(table)
    }

    /// Whether it lets the connection see nothing at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(&self.tables, GrantedTables::Named(tables) if tables.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::{Grant, Withheld};
    use crate::model::table::TableName;

    fn withheld() -> Withheld {
        Withheld::new(&[
            "*session*".into(),
            "schema_migrations".into(),
            "oban_*".into(),
        ])
    }

    #[test]
    fn nothing_is_granted_unless_it_is_named() {
        let orders = TableName::bare("orders");
        for text in [
            "{}",
            r#"{"tables":[]}"#,
            r#"{"tables":["items"]}"#,
            r#"{"tables":["shop.orders"]}"#,
        ] {
            let grant: Grant = serde_json::from_str(text).unwrap();
            assert!(!grant.allows(&orders, &withheld()), "{text}");
        }
        assert!(Grant::of(vec![orders.clone()]).allows(&orders, &withheld()));
    }

    #[test]
    fn a_star_grants_all_but_the_withheld_and_the_excluded() {
        let grant: Grant =
            serde_json::from_str(r#"{"tables":"*","excluded_tables":["salaries"]}"#).unwrap();
        let allows = |name: &str| grant.allows(&TableName::bare(name), &withheld());
        assert!(allows("orders"));
        for name in [
            "user_Sessions",
            "session",
            "schema_migrations",
            "oban_jobs",
            "salaries",
        ] {
            assert!(!allows(name), "{name}");
        }
    }

    #[test]
    fn a_bound_that_is_not_enforced_is_refused() {
        for text in [
            r#"{"tables":"all"}"#,
            r#"{"row_filter":{}}"#,
            r#"{"limits":{"rows_per_day":5}}"#,
        ] {
            assert!(serde_json::from_str::<Grant>(text).is_err(), "{text}");
        }
    }
}
