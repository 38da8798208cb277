//! Rows as JSON, for `curl` and `records`: numbers as numbers, numeric as a string, uuid as lower-case text, bytea as
//! base64, dates and times as ISO 8601, json embedded, NULL as null, everything else as its text. `phoenix` has the
//! forms of a PhoenixKit site, [`read`] the way back, [`elements`] answers that are too long to be held whole.
//!
//! JSON is written, never held as a tree: `serde_json::Value` would lose digits of numbers, repeated keys and
//! the order of keys of an embedded document.
//! Invariant: what comes out is one JSON value, whatever bytes came in.

pub mod elements;
mod phoenix;
pub mod read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::model::table::NeutralType;
use crate::wire::row::split_tuple;
use crate::wire::{InvalidValue, field, numeric};

/// Whom rows are written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonForm {
    /// Everybody.
    Published,
    /// A PhoenixKit site, which takes some values only in forms of its own (peer-api, "What a PhoenixKit site needs").
    PhoenixKit,
}

/// One field as JSON: floats that are no numbers as `"NaN"`, `"Infinity"`, `"-Infinity"`; a json as it is written.
///
/// # Errors
/// When the bytes are no value of this type.
pub fn field_to_json(
    kind: NeutralType,
    field: Option<&[u8]>,
) -> Result<Box<RawValue>, InvalidValue> {
    raw(field_json(kind, field)?)
}

/// A row as one object, its keys in the order of `columns`.
///
/// # Errors
/// When the tuple has another number of fields, or a field's bytes are no value of its type.
pub fn row_to_json(
    form: JsonForm,
    columns: &[(String, NeutralType)],
    tuple: &[u8],
) -> Result<Box<RawValue>, InvalidValue> {
    let (fields, rest) = split_tuple(tuple)?;
    if fields.len() != columns.len() || !rest.is_empty() {
        let found = format!(
            "it has {} fields for {} columns",
            fields.len(),
            columns.len()
        );
        return Err(InvalidValue::new("row", found));
    }
    let mut json = String::from("{");
    for ((name, kind), field) in columns.iter().zip(fields) {
        if json.len() > 1 {
            json.push(',');
        }
        json.push_str(&serialized(NeutralType::Text, name)?);
        json.push(':');
        json.push_str(&match (form, field) {
            (JsonForm::PhoenixKit, Some(bytes)) => phoenix::value_json(*kind, bytes)?,
            (JsonForm::Published, _) | (JsonForm::PhoenixKit, None) => field_json(*kind, field)?,
        });
    }
    json.push('}');
    raw(json)
}

/// One field as text a person can read, for keys in messages; NULL is `null`, and bytea, as well as bytes that are
/// no value of the type, is `\x` and hex.
#[must_use]
pub fn field_to_text(kind: NeutralType, field: Option<&[u8]>) -> String {
    field.map_or_else(
        || "null".to_owned(),
        |bytes| value_text(kind, bytes).unwrap_or_else(|_| format!("\\x{}", hex::encode(bytes))),
    )
}

fn value_text(kind: NeutralType, bytes: &[u8]) -> Result<String, InvalidValue> {
    match kind {
        NeutralType::Bool => field::boolean(bytes).map(|value| value.to_string()),
        NeutralType::Int2 | NeutralType::Int4 | NeutralType::Int8 => {
            field::integer(kind, bytes).map(|value| value.to_string())
        }
        NeutralType::Float4 => field::float4(bytes).map(|value| {
            special_float(value.into()).map_or_else(|| format!("{value:?}"), str::to_owned)
        }),
        NeutralType::Float8 => field::float8(bytes)
            .map(|value| special_float(value).map_or_else(|| format!("{value:?}"), str::to_owned)),
        NeutralType::Numeric => numeric::decode(bytes),
        NeutralType::Bytea => Ok(format!("\\x{}", hex::encode(bytes))),
        NeutralType::Uuid => field::uuid_text(bytes),
        NeutralType::Date
        | NeutralType::Time
        | NeutralType::Timestamp
        | NeutralType::Timestamptz => field::moment_text(kind, bytes, ' '),
        NeutralType::Json | NeutralType::Jsonb => {
            field::json(kind, bytes).map(|json| json.get().to_owned())
        }
        NeutralType::Text | NeutralType::Other => field::text(kind, bytes).map(str::to_owned),
    }
}

fn field_json(kind: NeutralType, bytes: Option<&[u8]>) -> Result<String, InvalidValue> {
    let Some(bytes) = bytes else {
        return Ok("null".to_owned());
    };
    match kind {
        NeutralType::Bool | NeutralType::Int2 | NeutralType::Int4 | NeutralType::Int8 => {
            value_text(kind, bytes)
        }
        NeutralType::Float4 => {
            let value = field::float4(bytes)?;
            match special_float(value.into()) {
                Some(name) => serialized(kind, name),
                None => serialized(kind, &value),
            }
        }
        NeutralType::Float8 => {
            let value = field::float8(bytes)?;
            match special_float(value) {
                Some(name) => serialized(kind, name),
                None => serialized(kind, &value),
            }
        }
        NeutralType::Bytea => serialized(kind, &STANDARD.encode(bytes)),
        NeutralType::Date
        | NeutralType::Time
        | NeutralType::Timestamp
        | NeutralType::Timestamptz => serialized(kind, &field::moment_text(kind, bytes, 'T')?),
        // Checked one by one: put together, broken documents could pass for a whole one.
        NeutralType::Json | NeutralType::Jsonb => {
            field::json(kind, bytes).map(|json| json.get().to_owned())
        }
        NeutralType::Text | NeutralType::Other => serialized(kind, field::text(kind, bytes)?),
        NeutralType::Numeric | NeutralType::Uuid => serialized(kind, &value_text(kind, bytes)?),
    }
}

fn special_float(value: f64) -> Option<&'static str> {
    if value.is_nan() {
        return Some("NaN");
    }
    value
        .is_infinite()
        .then_some(if value > 0.0 { "Infinity" } else { "-Infinity" })
}

fn serialized<T: Serialize + ?Sized>(kind: NeutralType, value: &T) -> Result<String, InvalidValue> {
    serde_json::to_string(value)
        .map_err(|_| InvalidValue::new(kind.as_str(), "it cannot be written as JSON"))
}

fn raw(json: String) -> Result<Box<RawValue>, InvalidValue> {
    RawValue::from_string(json)
        .map_err(|_| InvalidValue::new("row", "it cannot be written as JSON"))
}

#[cfg(test)]
mod tests;
