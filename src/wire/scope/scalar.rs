//! One value of a filter or of a row, as it is compared.
//!
//! Values of one column are compared with each other only. Invariant: two are equal exactly where a filter's `=` calls
//! them so.

use std::borrow::Cow;
use std::cmp::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::model::filter::Literal;
use crate::model::table::NeutralType;
use crate::wire::numeric::NumericKey;
use crate::wire::{InvalidValue, datetime, field, numeric};

/// Digits of a number, before and after its point: more than any declared type has.
const MAX_DIGITS: u32 = 1_000;

/// A value that is not NULL.
#[derive(Clone, Debug)]
pub enum Scalar<'a> {
    /// A bool.
    Bool(bool),
    /// An integer of any width; days or microseconds of a date, time, timestamp or timestamptz.
    Integer(i64),
    /// A float8; a float4 widened.
    Float(f64),
    /// A numeric.
    Numeric(NumericKey),
    /// Text, or what travels as text; the bytes of a bytea or a uuid.
    Bytes(Cow<'a, [u8]>),
}

impl Scalar<'static> {
    /// A filter's value as one of a column of type `kind`.
    pub(super) fn parse(kind: NeutralType, literal: &Literal) -> Result<Self, String> {
        let told = |err: InvalidValue| err.to_string();
        let text = match literal {
            Literal::Bool(_) => Cow::Borrowed(""),
            Literal::Integer(number) => Cow::Owned(number.to_string()),
            Literal::Text(text) => Cow::Borrowed(text.as_str()),
        };
        if matches!(literal, Literal::Bool(_)) != (kind == NeutralType::Bool)
            && !matches!(kind, NeutralType::Json | NeutralType::Jsonb)
        {
            return Err(format!("{} is needed", form(kind)));
        }
        Ok(match kind {
            NeutralType::Bool => Self::Bool(matches!(literal, Literal::Bool(true))),
            NeutralType::Int2 | NeutralType::Int4 | NeutralType::Int8 => {
                let number = text.parse();
                Self::Integer(number.map_err(|_| format!("{} is needed", form(kind)))?)
            }
            NeutralType::Float4 => Self::Float(float4(&text)?),
            NeutralType::Float8 => Self::Float(float8(&text)?),
            NeutralType::Numeric => Self::Numeric(bounded(&text)?),
            NeutralType::Text | NeutralType::Other => owned(text.as_bytes().to_vec()),
            NeutralType::Bytea => owned(
                STANDARD
                    .decode(text.as_bytes())
                    .map_err(|_| format!("{} is needed", form(kind)))?,
            ),
            NeutralType::Uuid => owned(
                uuid(&text)
                    .ok_or_else(|| format!("{} is needed", form(kind)))?
                    .into_bytes()
                    .to_vec(),
            ),
            NeutralType::Date => {
                let days = datetime::date_from_text(&text).map_err(told)?;
                Self::Integer(i32::from_be_bytes(days).into())
            }
            NeutralType::Time => micros(datetime::time_from_text(&text).map_err(told)?),
            NeutralType::Timestamp => {
                micros(datetime::timestamp_from_text(&text, false).map_err(told)?)
            }
            NeutralType::Timestamptz => {
                micros(datetime::timestamp_from_text(&text, true).map_err(told)?)
            }
            NeutralType::Json | NeutralType::Jsonb => {
                return Err("a json is found by `is_null` alone".to_owned());
            }
        })
    }
}

impl<'a> Scalar<'a> {
    /// A field of a column of type `kind` in the row layout.
    ///
    /// # Errors
    /// When it is no value of that type.
    pub fn read(kind: NeutralType, bytes: &'a [u8]) -> Result<Self, InvalidValue> {
        Ok(match kind {
            NeutralType::Bool => Self::Bool(field::boolean(bytes)?),
            NeutralType::Int2 | NeutralType::Int4 | NeutralType::Int8 => {
                Self::Integer(field::integer(kind, bytes)?)
            }
            NeutralType::Float4 => Self::Float(field::float4(bytes)?.into()),
            NeutralType::Float8 => Self::Float(field::float8(bytes)?),
            NeutralType::Numeric => Self::Numeric(NumericKey::read(bytes)?),
            NeutralType::Date => Self::Integer(field::integer(NeutralType::Int4, bytes)?),
            NeutralType::Time | NeutralType::Timestamp | NeutralType::Timestamptz => {
                Self::Integer(field::integer(NeutralType::Int8, bytes)?)
            }
            NeutralType::Text
            | NeutralType::Other
            | NeutralType::Bytea
            | NeutralType::Uuid
            | NeutralType::Json
            | NeutralType::Jsonb => Self::Bytes(Cow::Borrowed(bytes)),
        })
    }

    /// The value as PostgreSQL reads it in a literal of type `kind`; a bytea as `\x` and hex.
    ///
    /// # Errors
    /// When it is no value of that type.
    pub fn text(&self, kind: NeutralType) -> Result<String, InvalidValue> {
        match self {
            Self::Bool(value) => Ok(value.to_string()),
            Self::Integer(days) if kind == NeutralType::Date => {
                let days = i32::try_from(*days)
                    .map_err(|_| InvalidValue::new("date", "it is out of range"))?;
                datetime::date_to_text(&days.to_be_bytes())
            }
            Self::Integer(number) if kind.is_integer() => Ok(number.to_string()),
            Self::Integer(micros) => field::moment_text(kind, &micros.to_be_bytes(), ' '),
            Self::Float(number) => Ok(format!("{number:e}")),
            Self::Numeric(key) => key.text(),
            Self::Bytes(bytes) if kind == NeutralType::Uuid => field::uuid_text(bytes),
            Self::Bytes(bytes) if kind == NeutralType::Bytea => {
                Ok(format!("\\x{}", hex::encode(bytes)))
            }
            Self::Bytes(bytes) => field::text(kind, bytes).map(str::to_owned),
        }
    }
}

impl Ord for Scalar<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Bool(one), Self::Bool(other)) => one.cmp(other),
            (Self::Integer(one), Self::Integer(other)) => one.cmp(other),
            (Self::Float(one), Self::Float(other)) => floats(*one, *other),
            (Self::Numeric(one), Self::Numeric(other)) => one.cmp(other),
            (Self::Bytes(one), Self::Bytes(other)) => one.cmp(other),
            // Values of two types never meet; apart from each other they are still in some order.
            _ => self.class().cmp(&other.class()),
        }
    }
}

impl PartialOrd for Scalar<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Scalar<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Scalar<'_> {}

impl Scalar<'_> {
    fn class(&self) -> u8 {
        match self {
            Self::Bool(_) => 0,
            Self::Integer(_) => 1,
            Self::Float(_) => 2,
            Self::Numeric(_) => 3,
            Self::Bytes(_) => 4,
        }
    }
}

fn floats(one: f64, other: f64) -> Ordering {
    match (one.is_nan(), other.is_nan()) {
        (false, false) => one.partial_cmp(&other).unwrap_or(Ordering::Equal),
        (one, other) => one.cmp(&other),
    }
}

/// How a value of this type is written.
fn form(kind: NeutralType) -> &'static str {
    match kind {
        NeutralType::Bool => "true or false",
        NeutralType::Int2 | NeutralType::Int4 | NeutralType::Int8 => "a whole number of 64 bits",
        NeutralType::Float4 | NeutralType::Float8 | NeutralType::Numeric => "a number",
        NeutralType::Bytea => "base64 with padding",
        NeutralType::Uuid => "a uuid",
        NeutralType::Date => "a date as YYYY-MM-DD",
        NeutralType::Time => "a time as HH:MM:SS",
        NeutralType::Timestamp | NeutralType::Timestamptz => "a moment as YYYY-MM-DD HH:MM:SS",
        NeutralType::Text | NeutralType::Other | NeutralType::Json | NeutralType::Jsonb => "text",
    }
}

fn float8(text: &str) -> Result<f64, String> {
    kept(text, text.parse().ok())
}

fn float4(text: &str) -> Result<f64, String> {
    kept(text, text.parse::<f32>().ok().map(f64::from))
}

/// `number`, unless `text` names one too large or too small for the type: it would be compared as another.
fn kept(text: &str, number: Option<f64>) -> Result<f64, String> {
    let number = number.ok_or("a number is needed")?;
    let has_digit = |wanted: std::ops::RangeInclusive<u8>| {
        let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
        mantissa.bytes().any(|byte| wanted.contains(&byte))
    };
    let overflowed = number.is_infinite() && has_digit(b'0'..=b'9');
    let underflowed = number == 0.0 && has_digit(b'1'..=b'9');
    if overflowed || underflowed {
        return Err("the number is out of the range of this column's type".to_owned());
    }
    Ok(number)
}

fn bounded(text: &str) -> Result<NumericKey, String> {
    let told = |err: InvalidValue| err.to_string();
    let bytes = numeric::encode(text).map_err(told)?;
    let shape = numeric::shape(&bytes).map_err(told)?;
    if shape.integer_digits() > MAX_DIGITS || shape.significant_scale > MAX_DIGITS {
        return Err(format!(
            "a number has at most {MAX_DIGITS} digits before and after its point"
        ));
    }
    NumericKey::read(&bytes).map_err(told)
}

/// Any spelling: upper case, in braces, as a URN, with hyphens anywhere or none.
fn uuid(text: &str) -> Option<uuid::Uuid> {
    let text = text.strip_prefix("urn:uuid:").unwrap_or(text);
    let inner = text
        .strip_prefix('{')
        .and_then(|text| text.strip_suffix('}'));
    let digits = inner.unwrap_or(text).replace('-', "");
    uuid::Uuid::parse_str(&digits).ok()
}

fn micros(bytes: [u8; 8]) -> Scalar<'static> {
    Scalar::Integer(i64::from_be_bytes(bytes))
}

fn owned(bytes: Vec<u8>) -> Scalar<'static> {
    Scalar::Bytes(Cow::Owned(bytes))
}
