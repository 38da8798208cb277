//! From the type a value travels as to the type its column has: decided before any row, checked per value.

use crate::model::table::Column;
use crate::wire::InvalidValue;

/// What to do with one field of each row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conversion {
    /// As it is: the types are one and the width cannot be too small.
    Pass,
}

/// A kind that cannot hold another, whatever the value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{source_type} cannot be stored as {target_type}")]
pub struct KindMismatch {
    /// The source's native type.
    pub source_type: String,
    /// The destination's native type.
    pub target_type: String,
}

/// How values of `source` become values of `target`. `trusted` says that the source's engine enforces declared widths.
///
/// # Errors
/// When the kind cannot fit.
pub fn conversion(
    source: &Column,
    target: &Column,
    trusted: bool,
) -> Result<Conversion, KindMismatch> {
    let _ = (source, target, trusted);
    todo!()
}

impl Conversion {
    /// Converts one value that is not NULL.
    ///
    /// # Errors
    /// When the value does not fit the destination's width; the message says why, without the value.
    pub fn apply<'a>(&self, value: &'a [u8]) -> Result<std::borrow::Cow<'a, [u8]>, InvalidValue> {
        Ok(std::borrow::Cow::Borrowed(value))
    }
}
