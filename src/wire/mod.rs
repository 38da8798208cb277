//! What two sites exchange: messages, the row layout and frames. Pure codecs, no IO.

pub mod buffer;
pub mod convert;
pub mod datetime;
mod digits;
pub mod field;
pub mod fit;
pub mod frame;
pub mod json;
pub mod mask;
pub mod messages;
pub mod normal;
pub mod numeric;
pub mod published;
pub mod receipt;
pub mod row;
pub mod scope;
pub mod session;
pub mod signing;
mod squeeze;
pub mod tally;

/// Bytes or text that are no value of the type they claim.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {expected}: {found}")]
pub struct InvalidValue {
    /// The neutral type or form expected.
    pub expected: &'static str,
    /// What is wrong, without the value itself.
    pub found: String,
}

impl InvalidValue {
    /// A fault in a value of type `expected`.
    pub fn new(expected: &'static str, found: impl Into<String>) -> Self {
        Self {
            expected,
            found: found.into(),
        }
    }
}
