//! Rows as JSON, for `curl`, `records` and PhoenixKit: numbers as numbers, numeric as a string, uuid as lower-case text,
//! bytea as base64, dates and times as ISO 8601, json embedded, NULL as null, everything else as its text.

use crate::model::table::NeutralType;
use crate::wire::InvalidValue;

/// One field as JSON.
///
/// # Errors
/// When the bytes are no value of this type.
pub fn field_to_json(
    kind: NeutralType,
    field: Option<&[u8]>,
) -> Result<serde_json::Value, InvalidValue> {
    let _ = (kind, field);
    todo!()
}

/// One field as text a person can read, for keys in messages; NULL is `null`.
#[must_use]
pub fn field_to_text(kind: NeutralType, field: Option<&[u8]>) -> String {
    let _ = (kind, field);
    todo!()
}
