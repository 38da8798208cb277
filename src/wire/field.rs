//! Single fields of the row layout as plain values: booleans, integers, floats, text, uuid, moments, json.
//!
//! Numerics, dates and times have codecs of their own; what becomes of a value is decided elsewhere.
//! Invariant: bytes of another length than the type's are an error, never another value.

use serde_json::value::RawValue;

use crate::model::table::NeutralType;
use crate::wire::{InvalidValue, datetime};

/// The version byte PostgreSQL puts before the text of a jsonb (`jsonb_send`).
pub const JSONB_VERSION: u8 = 1;

/// A bool.
///
/// # Errors
/// When it is not one byte, 0 or 1.
pub fn boolean(bytes: &[u8]) -> Result<bool, InvalidValue> {
    match bytes {
        [0] => Ok(false),
        [1] => Ok(true),
        _ => Err(InvalidValue::new("bool", "it is neither 0 nor 1")),
    }
}

/// An int2, int4 or int8, as `kind` says.
///
/// # Errors
/// When it has not that type's length.
pub fn integer(kind: NeutralType, bytes: &[u8]) -> Result<i64, InvalidValue> {
    match kind {
        NeutralType::Int2 => sized(kind, bytes).map(|bytes| i16::from_be_bytes(bytes).into()),
        NeutralType::Int4 => sized(kind, bytes).map(|bytes| i32::from_be_bytes(bytes).into()),
        _ => sized(kind, bytes).map(i64::from_be_bytes),
    }
}

/// A float4.
///
/// # Errors
/// When it has not 4 bytes.
pub fn float4(bytes: &[u8]) -> Result<f32, InvalidValue> {
    sized(NeutralType::Float4, bytes).map(f32::from_be_bytes)
}

/// A float8.
///
/// # Errors
/// When it has not 8 bytes.
pub fn float8(bytes: &[u8]) -> Result<f64, InvalidValue> {
    sized(NeutralType::Float8, bytes).map(f64::from_be_bytes)
}

/// Text, or another type that travels as its text.
///
/// # Errors
/// When it is not UTF-8.
pub fn text(kind: NeutralType, bytes: &[u8]) -> Result<&str, InvalidValue> {
    std::str::from_utf8(bytes).map_err(|_| InvalidValue::new(kind.as_str(), "it is not UTF-8"))
}

/// A uuid as lower-case text with hyphens.
///
/// # Errors
/// When it has not 16 bytes.
pub fn uuid_text(bytes: &[u8]) -> Result<String, InvalidValue> {
    sized(NeutralType::Uuid, bytes)
        .map(|bytes| uuid::Uuid::from_bytes(bytes).hyphenated().to_string())
}

/// A date, time, timestamp or timestamptz as text, the last with `Z`; `separator` stands between day and time.
///
/// # Errors
/// When the bytes are no value of this type.
pub fn moment_text(
    kind: NeutralType,
    bytes: &[u8],
    separator: char,
) -> Result<String, InvalidValue> {
    match kind {
        NeutralType::Date => datetime::date_to_text(bytes),
        NeutralType::Time => datetime::time_to_text(bytes),
        NeutralType::Timestamptz => datetime::timestamptz_to_text(bytes, separator),
        _ => datetime::timestamp_to_text(bytes, separator),
    }
}

/// The document in a json or jsonb, as bytes: a jsonb without its version byte. Whether it is JSON is not looked at.
///
/// # Errors
/// When it is a jsonb of another version.
pub fn json_bytes(kind: NeutralType, bytes: &[u8]) -> Result<&[u8], InvalidValue> {
    if kind != NeutralType::Jsonb {
        return Ok(bytes);
    }
    match bytes.split_first() {
        Some((&JSONB_VERSION, document)) => Ok(document),
        _ => Err(InvalidValue::new("jsonb", "its version is not 1")),
    }
}

/// The document in a json or jsonb, checked to be one JSON value, character for character as it came.
///
/// # Errors
/// When it is not.
pub fn json(kind: NeutralType, bytes: &[u8]) -> Result<&RawValue, InvalidValue> {
    let text = text(kind, json_bytes(kind, bytes)?)?;
    serde_json::from_str(text).map_err(|err| {
        let found = format!(
            "it is no JSON from line {} column {} on",
            err.line(),
            err.column()
        );
        InvalidValue::new(kind.as_str(), found)
    })
}

fn sized<const N: usize>(kind: NeutralType, bytes: &[u8]) -> Result<[u8; N], InvalidValue> {
    bytes.try_into().map_err(|_| {
        InvalidValue::new(
            kind.as_str(),
            format!("it has {} bytes instead of {N}", bytes.len()),
        )
    })
}
