//! PostgreSQL's binary numeric and decimal text.

use crate::wire::InvalidValue;

/// Decimal text (`-12.50`, `1E-8`, `NaN`, `Infinity`, `-Infinity`) as binary numeric; the scale is as written.
///
/// # Errors
/// When the text is no number.
pub fn encode(text: &str) -> Result<Vec<u8>, InvalidValue> {
    let _ = text;
    todo!()
}

/// Binary numeric as decimal text, with all its digits and its display scale.
///
/// # Errors
/// When the bytes are no numeric.
pub fn decode(bytes: &[u8]) -> Result<String, InvalidValue> {
    let _ = bytes;
    todo!()
}
