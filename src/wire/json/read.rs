//! JSON values of a site that sends no frames, as fields of the row layout.
//!
//! Its forms are those of a PhoenixKit site; where the published ones differ and cannot be mistaken for them, they are
//! read too. Invariant: a value is read as it was meant or refused, never rounded, cut or guessed.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;

use crate::model::table::{Column, Engine, NeutralType};
use crate::wire::json::phoenix::WRAPPER;
use crate::wire::numeric::Special;
use crate::wire::{InvalidValue, datetime, field, numeric};

/// A row by the names of its columns. Each value is held as it was written: no digit of a number is lost.
pub type JsonRow<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

/// Takes a row apart.
///
/// # Errors
/// When it is no object.
pub fn row(json: &[u8]) -> Result<JsonRow<'_>, InvalidValue> {
    serde_json::from_slice(json).map_err(|err| {
        let found = format!("it is no JSON from column {} on", err.column());
        InvalidValue::new("row", found)
    })
}

/// One value of `column`, which a PostgreSQL holds at the other end; `None` is NULL.
///
/// # Errors
/// When it is no value of the column's type; the message says why, without the value.
pub fn field_from_json(column: &Column, json: &RawValue) -> Result<Option<Vec<u8>>, InvalidValue> {
    let kind = column.kind;
    let written = json.get();
    if written == "null" {
        return Ok(None);
    }
    let value = match kind {
        // An object is the document itself, whatever it looks like.
        NeutralType::Json | NeutralType::Jsonb => Value::Plain(written),
        kind => Value::read(kind, written)?,
    };
    let bytes = match kind {
        NeutralType::Bool => match written {
            "true" => vec![1],
            "false" => vec![0],
            _ => return Err(unfit(kind, "it is neither true nor false")),
        },
        NeutralType::Int2 | NeutralType::Int4 | NeutralType::Int8 => integer(kind, &value)?,
        NeutralType::Float4 => float4(&value)?.to_be_bytes().into(),
        NeutralType::Float8 => float8(&value)?.to_be_bytes().into(),
        NeutralType::Numeric => numeric::encode(value.number(kind)?)?,
        NeutralType::Text => text(column, value)?,
        NeutralType::Other => other(value)?,
        NeutralType::Bytea => match value {
            Value::Text(text) => text.into_bytes(),
            Value::Bytes(bytes) => bytes,
            Value::Plain(_) => return Err(unfit(kind, "it is neither text nor bytes")),
        },
        NeutralType::Uuid => uuid(value)?,
        NeutralType::Date => datetime::date_from_text(value.text(kind)?)?.into(),
        NeutralType::Time => datetime::time_from_text(value.text(kind)?)?.into(),
        NeutralType::Timestamp => datetime::timestamp_from_text(value.text(kind)?, false)?.into(),
        NeutralType::Timestamptz => datetime::timestamp_from_text(value.text(kind)?, true)?.into(),
        NeutralType::Json | NeutralType::Jsonb => document(kind, written),
    };
    Ok(Some(bytes))
}

/// A value that is not NULL.
#[derive(Debug)]
enum Value<'a> {
    Text(String),
    /// Out of the wrapper.
    Bytes(Vec<u8>),
    /// A number, a boolean, a list or another object, as it is written.
    Plain(&'a str),
}

impl<'a> Value<'a> {
    fn read(kind: NeutralType, written: &'a str) -> Result<Self, InvalidValue> {
        if written.starts_with('"') {
            return serde_json::from_str(written)
                .map(Self::Text)
                .map_err(|_| unfit(kind, "it is text that is no Unicode"));
        }
        let wrapped: Option<BTreeMap<String, String>> = written
            .starts_with('{')
            .then(|| serde_json::from_str(written).ok())
            .flatten();
        match wrapped
            .as_ref()
            .and_then(|object| object.get_key_value(WRAPPER))
        {
            Some((_, base64)) => STANDARD
                .decode(base64)
                .map(Self::Bytes)
                .map_err(|_| unfit(kind, "its bytes are not base64")),
            None => Ok(Self::Plain(written)),
        }
    }

    fn text(&self, kind: NeutralType) -> Result<&str, InvalidValue> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Bytes(_) | Self::Plain(_) => Err(unfit(kind, "it is no text")),
        }
    }

    /// The digits of a number, also one written as text.
    fn number(&self, kind: NeutralType) -> Result<&str, InvalidValue> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Plain(written)
                if written.starts_with(['-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']) =>
            {
                Ok(written)
            }
            Self::Bytes(_) | Self::Plain(_) => Err(unfit(kind, "it is no number")),
        }
    }
}

fn document(kind: NeutralType, written: &str) -> Vec<u8> {
    let version: &[u8] = match kind {
        NeutralType::Jsonb => &[field::JSONB_VERSION],
        _ => &[],
    };
    [version, written.as_bytes()].concat()
}

fn integer(kind: NeutralType, value: &Value<'_>) -> Result<Vec<u8>, InvalidValue> {
    let digits = value.number(kind)?;
    let parsed = match kind {
        NeutralType::Int2 => digits
            .parse()
            .map(|value: i16| value.to_be_bytes().to_vec()),
        NeutralType::Int4 => digits
            .parse()
            .map(|value: i32| value.to_be_bytes().to_vec()),
        _ => digits
            .parse()
            .map(|value: i64| value.to_be_bytes().to_vec()),
    };
    parsed.map_err(|_| unfit(kind, "it is no whole number of that width"))
}

/// Digits are read as a float at once: by way of a wider one they could be rounded twice.
fn float4(value: &Value<'_>) -> Result<f32, InvalidValue> {
    let digits = value.number(NeutralType::Float4)?;
    let special = special(digits).map(|special| match special {
        Special::NaN => f32::NAN,
        Special::Infinity => f32::INFINITY,
        Special::NegativeInfinity => f32::NEG_INFINITY,
    });
    special
        .or_else(|| digits.parse().ok().filter(|float: &f32| float.is_finite()))
        .ok_or_else(|| unfit(NeutralType::Float4, "it is no number in range"))
}

fn float8(value: &Value<'_>) -> Result<f64, InvalidValue> {
    let digits = value.number(NeutralType::Float8)?;
    let special = special(digits).map(|special| match special {
        Special::NaN => f64::NAN,
        Special::Infinity => f64::INFINITY,
        Special::NegativeInfinity => f64::NEG_INFINITY,
    });
    special
        .or_else(|| digits.parse().ok().filter(|float: &f64| float.is_finite()))
        .ok_or_else(|| unfit(NeutralType::Float8, "it is no number in range"))
}

/// PhoenixKit's names and the published ones.
fn special(text: &str) -> Option<Special> {
    match text {
        "NaN" => Some(Special::NaN),
        "inf" | "Infinity" => Some(Special::Infinity),
        "-inf" | "-Infinity" => Some(Special::NegativeInfinity),
        _ => None,
    }
}

fn text(column: &Column, value: Value<'_>) -> Result<Vec<u8>, InvalidValue> {
    let kind = column.kind;
    let mut text = match value {
        Value::Text(text) => text,
        Value::Bytes(bytes) => {
            String::from_utf8(bytes).map_err(|_| unfit(kind, "its bytes are not UTF-8"))?
        }
        Value::Plain(_) => return Err(unfit(kind, "it is no text")),
    };
    refuse_nul(kind, &text)?;
    if column.is_padded(Engine::Postgres) {
        text.truncate(text.trim_end_matches(' ').len());
    }
    Ok(text.into_bytes())
}

/// A type of that database's own, as its text; a list as PostgreSQL writes arrays.
fn other(value: Value<'_>) -> Result<Vec<u8>, InvalidValue> {
    let kind = NeutralType::Other;
    let text = match value {
        Value::Text(text) => text,
        Value::Bytes(bytes) => {
            String::from_utf8(bytes).map_err(|_| unfit(kind, "its bytes are not UTF-8"))?
        }
        Value::Plain(written) if written.starts_with('[') => {
            let list: Vec<&RawValue> = serde_json::from_str(written)
                .map_err(|_| unfit(kind, "it is a list that is no JSON"))?;
            array(&list, 0)?
        }
        Value::Plain(written) if !written.starts_with('{') => written.to_owned(),
        Value::Plain(_) => return Err(unfit(kind, "it is an object")),
    };
    refuse_nul(kind, &text)?;
    Ok(text.into_bytes())
}

/// PostgreSQL's arrays have at most six dimensions.
const DIMENSIONS: usize = 6;

/// A list as PostgreSQL writes an array: `{1,"a b",NULL}` (PostgreSQL documentation, "Array Input and Output Syntax").
fn array(list: &[&RawValue], depth: usize) -> Result<String, InvalidValue> {
    let kind = NeutralType::Other;
    if depth >= DIMENSIONS {
        return Err(unfit(kind, "it is a list nested too deep"));
    }
    let mut items = Vec::with_capacity(list.len());
    for item in list {
        let written = item.get();
        items.push(match written.as_bytes().first() {
            Some(b'n') => "NULL".to_owned(),
            Some(b'[') => {
                let inner: Vec<&RawValue> = serde_json::from_str(written)
                    .map_err(|_| unfit(kind, "it is a list that is no JSON"))?;
                array(&inner, depth + 1)?
            }
            _ => match Value::read(kind, written)? {
                Value::Text(text) => array_item(&text),
                Value::Plain(plain) => array_item(plain),
                Value::Bytes(_) => return Err(unfit(kind, "it is a list of bytes")),
            },
        });
    }
    Ok(format!("{{{}}}", items.join(",")))
}

fn array_item(text: &str) -> String {
    let is_plain = !text.is_empty()
        && !text.eq_ignore_ascii_case("null")
        && !text.contains(|character: char| {
            matches!(character, '{' | '}' | ',' | '"' | '\\')
                || character.is_ascii_whitespace()
                || character == '\u{b}'
        });
    if is_plain {
        return text.to_owned();
    }
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// 16 bytes, in the wrapper or, where they happen to be UTF-8, as bare text; or a uuid's own text.
fn uuid(value: Value<'_>) -> Result<Vec<u8>, InvalidValue> {
    let kind = NeutralType::Uuid;
    let bytes = match value {
        Value::Bytes(bytes) => bytes,
        Value::Text(text) if text.len() == 16 => text.into_bytes(),
        Value::Text(text) if text.len() == 36 => uuid::Uuid::parse_str(&text)
            .map(|uuid| uuid.as_bytes().to_vec())
            .map_err(|_| unfit(kind, "it is no uuid"))?,
        Value::Text(_) | Value::Plain(_) => return Err(unfit(kind, "it is no uuid")),
    };
    if bytes.len() == 16 {
        return Ok(bytes);
    }
    Err(unfit(kind, "it has not 16 bytes"))
}

fn refuse_nul(kind: NeutralType, text: &str) -> Result<(), InvalidValue> {
    if text.contains('\0') {
        return Err(unfit(
            kind,
            "it holds a NUL, which no text of PostgreSQL does",
        ));
    }
    Ok(())
}

fn unfit(kind: NeutralType, found: &'static str) -> InvalidValue {
    InvalidValue::new(kind.as_str(), found)
}

#[cfg(test)]
mod tests;
