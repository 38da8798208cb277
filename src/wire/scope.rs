//! Which rows of a table: a filter whose values are of the columns' types, and what it says of a row in the row layout.
//!
//! Every engine that evaluates a scope in SQL means by it what [`Condition::holds`] means. Text and bytes are equal when
//! their bytes are, numbers when their values are (1.0 = 1.00, -0 = 0); NaN equals itself and stands above all numbers;
//! NULL passes `is_null` alone. Invariant: each condition names a column that was offered, with values of its type.

mod scalar;

use crate::model::filter::{Bound, Filter, Term, Test};
use crate::model::table::NeutralType;
use crate::wire::InvalidValue;

pub use crate::wire::scope::scalar::Scalar;

/// A filter held against a table: all conditions must hold. The default has none, and takes every row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    conditions: Vec<Condition>,
}

/// What must hold of one column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// As the catalogue spells it.
    pub column: String,
    /// The type its values travel as.
    pub kind: NeutralType,
    /// What must hold of its value.
    pub rule: Rule,
}

/// What must hold of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// It is NULL, or it is not.
    IsNull(bool),
    /// It is one of these, which are in ascending order and not empty.
    OneOf(Vec<Scalar<'static>>),
    /// It lies on this side of the value.
    Range(Bound, Scalar<'static>),
}

/// A filter that does not fit the table, in words that name the column.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {reason}")]
pub struct UnfitFilter {
    column: String,
    reason: String,
}

impl Scope {
    /// `filter` over the columns that `kind` knows. A column that is there but hidden is to be told from none by nobody.
    ///
    /// # Errors
    /// The column that is not known, or whose type does not take the condition or a value.
    pub fn new(
        filter: &Filter,
        kind: impl Fn(&str) -> Option<NeutralType>,
    ) -> Result<Self, UnfitFilter> {
        let condition = |term: &Term| {
            let unfit = |reason| UnfitFilter {
                column: term.column.clone(),
                reason,
            };
            let kind = kind(&term.column)
                .ok_or_else(|| unfit("there is none of this name to filter by".to_owned()))?;
            Ok(Condition {
                column: term.column.clone(),
                kind,
                rule: rule(kind, &term.test).map_err(unfit)?,
            })
        };
        let conditions = filter.terms().iter().map(condition);
        Ok(Self {
            conditions: conditions.collect::<Result<_, _>>()?,
        })
    }

    /// The conditions of both.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.conditions.extend(other.conditions);
        self
    }

    /// The conditions; all must hold.
    #[must_use]
    pub fn conditions(&self) -> &[Condition] {
        &self.conditions
    }

    /// The conditions on columns among `travelling`, each with the place of its field.
    #[must_use]
    pub fn checks(&self, travelling: &[String]) -> Vec<(usize, Condition)> {
        let placed = |condition: &Condition| {
            let mut names = travelling.iter();
            let at = names.position(|name| *name == condition.column)?;
            Some((at, condition.clone()))
        };
        self.conditions.iter().filter_map(placed).collect()
    }
}

impl Condition {
    /// Whether a field of this column, in the row layout, passes.
    ///
    /// # Errors
    /// When its bytes are no value of the column's type.
    pub fn holds(&self, field: Option<&[u8]>) -> Result<bool, InvalidValue> {
        let (Some(bytes), rule) = (field, &self.rule) else {
            return Ok(matches!(self.rule, Rule::IsNull(true)));
        };
        Ok(match rule {
            Rule::IsNull(wanted) => !wanted,
            Rule::OneOf(values) => values
                .binary_search(&Scalar::read(self.kind, bytes)?)
                .is_ok(),
            Rule::Range(bound, value) => {
                let found = Scalar::read(self.kind, bytes)?;
                match bound {
                    Bound::Below => found < *value,
                    Bound::AtMost => found <= *value,
                    Bound::Above => found > *value,
                    Bound::AtLeast => found >= *value,
                }
            }
        })
    }
}

/// Whether `test` holds of a value in a column of type `there` exactly where it holds of what becomes of that value in a
/// column of type `here`.
#[must_use]
pub fn means_the_same(test: &Test, there: NeutralType, here: NeutralType) -> bool {
    let is_exact = |kind: NeutralType| kind.is_integer() || kind == NeutralType::Numeric;
    match (there, here) {
        _ if matches!(test, Test::IsNull(_)) || there == here => true,
        (NeutralType::Other, NeutralType::Text) => true,
        // By value, if it is a number of both types.
        _ if is_exact(there) && is_exact(here) => rule(here, test).is_ok(),
        // 0.1 is two numbers, 0.5 is one; a moment in UTC needs no zone.
        (NeutralType::Float4, NeutralType::Float8)
        | (NeutralType::Float8, NeutralType::Float4)
        | (NeutralType::Timestamptz, NeutralType::Timestamp) => {
            rule(here, test).is_ok_and(|here| rule(there, test) == Ok(here))
        }
        // Text is equal by its bytes, and a value of another type may be written in several ways.
        _ => false,
    }
}

fn rule(kind: NeutralType, test: &Test) -> Result<Rule, String> {
    let has_order = matches!(
        kind,
        NeutralType::Int2
            | NeutralType::Int4
            | NeutralType::Int8
            | NeutralType::Float4
            | NeutralType::Float8
            | NeutralType::Numeric
            | NeutralType::Date
            | NeutralType::Time
            | NeutralType::Timestamp
            | NeutralType::Timestamptz
    );
    match test {
        Test::IsNull(wanted) => Ok(Rule::IsNull(*wanted)),
        Test::Equals(value) => Ok(Rule::OneOf(vec![Scalar::parse(kind, value)?])),
        Test::In(values) => {
            let values = values.iter().map(|value| Scalar::parse(kind, value));
            let mut values: Vec<Scalar<'static>> = values.collect::<Result<_, _>>()?;
            values.sort();
            values.dedup();
            Ok(Rule::OneOf(values))
        }
        Test::Range(bound, value) if has_order => {
            Ok(Rule::Range(*bound, Scalar::parse(kind, value)?))
        }
        Test::Range(bound, _) => Err(format!(
            "`{bound}` compares numbers and times, and this column is {}",
            kind.as_str()
        )),
    }
}

#[cfg(test)]
mod tests;
