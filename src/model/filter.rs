//! A row filter as a person writes it: conditions on columns that must all hold.
//!
//! Knows no table: whether the columns exist and the values are of their types is asked where a table is at hand
//! (`wire::scope`). Invariant: at least one condition, at most [`MAX_TERMS`] with [`MAX_VALUES`] values; no SQL.

mod read;

use serde::de::Error as _;
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::model::word::words;

/// Conditions of one filter.
pub const MAX_TERMS: usize = 64;
/// Values of one filter, over all its conditions.
pub const MAX_VALUES: usize = 1_000;
/// Bytes of one value, and of a column's name.
pub const MAX_BYTES: usize = 4_096;
/// How deep `and` may stand in `and`.
pub const MAX_DEPTH: usize = 8;

/// `{"and": [...]}` or one condition `{"column", "op", "value"}`. Every condition must hold, so that nested lists are
/// one list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    terms: Vec<Term>,
}

/// A condition on one column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// As the source's catalogue spells it.
    pub column: String,
    /// What must hold of its value.
    pub test: Test,
}

/// What must hold of a value. NULL passes none but [`Test::IsNull`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// It is this; on every type but json.
    Equals(Literal),
    /// It is one of these; on every type but json.
    In(Vec<Literal>),
    /// It is NULL, or it is not.
    IsNull(bool),
    /// It lies on this side of the value; on numbers and times.
    Range(Bound, Literal),
}

/// A side of a value, with it or without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the comparison of its word")]
pub enum Bound {
    Below,
    AtMost,
    Above,
    AtLeast,
}

words! {
    Bound { Below = "<", AtMost = "<=", Above = ">", AtLeast = ">=" }
}

/// A value as it was written, not yet of a column's type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Literal {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number of 64 bits.
    Integer(i64),
    /// Text; also any other number, digit for digit as it was written.
    Text(String),
}

/// JSON that is no filter, in words that name the condition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidFilter(String);

impl Filter {
    /// Reads a filter.
    ///
    /// # Errors
    /// Which condition is at fault, and why.
    pub fn from_json(json: &str) -> Result<Self, InvalidFilter> {
        read::terms(json).map(|terms| Self { terms })
    }

    /// The conditions of both.
    ///
    /// # Errors
    /// When they are more than one filter may have.
    pub fn and(&self, other: &Self) -> Result<Self, InvalidFilter> {
        let terms: Vec<Term> = self.terms.iter().chain(&other.terms).cloned().collect();
        let values: usize = terms.iter().map(|term| term.test.values()).sum();
        if terms.len() > MAX_TERMS || values > MAX_VALUES {
            return Err(InvalidFilter(format!(
                "with the conditions of the grant it has more than {MAX_TERMS} conditions or {MAX_VALUES} values"
            )));
        }
        Ok(Self { terms })
    }

    /// The conditions; all must hold.
    #[must_use]
    pub fn terms(&self) -> &[Term] {
        &self.terms
    }

    /// The same conditions on columns of other names; `None` when one has none.
    #[must_use]
    pub fn renamed(&self, name: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let renamed = |term: &Term| {
            let (column, test) = (name(&term.column)?, term.test.clone());
            Some(Term { column, test })
        };
        let terms = self.terms.iter().map(renamed).collect::<Option<_>>()?;
        Some(Self { terms })
    }
}

impl Test {
    fn values(&self) -> usize {
        match self {
            Self::IsNull(_) => 0,
            Self::Equals(_) | Self::Range(..) => 1,
            Self::In(values) => values.len(),
        }
    }
}

impl Serialize for Filter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let [term] = self.terms.as_slice() {
            return term.serialize(serializer);
        }
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry("and", &self.terms)?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for Filter {
    /// From JSON alone: a number is taken with all the digits it was written with.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Box::<RawValue>::deserialize(deserializer)?;
        Self::from_json(json.get()).map_err(D::Error::custom)
    }
}

impl Serialize for Term {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("column", &self.column)?;
        let op = match &self.test {
            Test::Equals(_) => "=",
            Test::In(_) => "in",
            Test::IsNull(_) => "is_null",
            Test::Range(bound, _) => bound.as_str(),
        };
        map.serialize_entry("op", op)?;
        match &self.test {
            Test::Equals(value) | Test::Range(_, value) => map.serialize_entry("value", value)?,
            Test::In(values) => map.serialize_entry("value", values)?,
            Test::IsNull(wanted) => map.serialize_entry("value", wanted)?,
        }
        map.end()
    }
}

impl Serialize for Literal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Integer(value) => serializer.serialize_i64(*value),
            Self::Text(value) => serializer.serialize_str(value),
        }
    }
}

#[cfg(test)]
mod tests;
