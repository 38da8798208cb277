//! From one field as a side reads it to its normal form, and back for keys.
//!
//! Invariant: a step is a function of the field's bytes alone.

use crate::model::table::{Column, NeutralType};
use crate::wire::normal::{NormalForm, document};
use crate::wire::row::RowWriter;
use crate::wire::{InvalidValue, datetime, field, numeric};

/// PostgreSQL shows no more digits after the point.
const MOST_SCALE: u32 = 16_383;

/// What one side does with a column's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// They are their own normal form.
    Keep,
    /// An integer of this kind to an int8.
    Integer(NeutralType),
    /// A float of this kind to a float8.
    Float(NeutralType),
    /// An integer of this kind to a numeric, shown with so many digits after the point.
    IntegerToNumeric(NeutralType, u32),
    /// A numeric, shown with so many digits after the point, or with more where more count.
    Numeric(u32),
    /// A jsonb without its version.
    JsonbToText,
    /// Lower case, with hyphens.
    UuidToText,
    /// A date, time, timestamp or timestamptz with a space and six digits.
    MomentToText(NeutralType),
    /// A json or jsonb.
    Document(NeutralType),
}

impl Step {
    /// How values of `column` take `form`; `None` when they cannot.
    pub(super) fn of(column: &Column, form: NormalForm) -> Option<Self> {
        let kind = column.kind;
        match (form, kind) {
            (NormalForm::Same, _)
            | (NormalForm::Integer, NeutralType::Int8)
            | (NormalForm::Numeric, NeutralType::Numeric)
            | (NormalForm::Text, NeutralType::Text | NeutralType::Json | NeutralType::Other) => {
                Some(Self::Keep)
            }
            (NormalForm::Integer, _) if kind.is_integer() => Some(Self::Integer(kind)),
            (NormalForm::Float, NeutralType::Float4 | NeutralType::Float8) => {
                Some(Self::Float(kind))
            }
            (NormalForm::Scaled(scale), _) if scale > MOST_SCALE => None,
            // Whatever declares its digits shows them.
            (NormalForm::Scaled(scale), NeutralType::Numeric) if column.scale == Some(scale) => {
                Some(Self::Keep)
            }
            (NormalForm::Scaled(scale), NeutralType::Numeric) => Some(Self::Numeric(scale)),
            (NormalForm::Shortest, NeutralType::Numeric) => Some(Self::Numeric(0)),
            (NormalForm::Scaled(scale), _) if kind.is_integer() => {
                Some(Self::IntegerToNumeric(kind, scale))
            }
            (NormalForm::Numeric | NormalForm::Shortest, _) if kind.is_integer() => {
                Some(Self::IntegerToNumeric(kind, 0))
            }
            (NormalForm::Text, NeutralType::Jsonb) => Some(Self::JsonbToText),
            (NormalForm::Text, NeutralType::Uuid) => Some(Self::UuidToText),
            (
                NormalForm::Text,
                NeutralType::Date
                | NeutralType::Time
                | NeutralType::Timestamp
                | NeutralType::Timestamptz,
            ) => Some(Self::MomentToText(kind)),
            (NormalForm::Document, NeutralType::Json | NeutralType::Jsonb) => {
                Some(Self::Document(kind))
            }
            _ => None,
        }
    }

    /// Adds the normal form of `value`, which is not NULL; on an error nothing.
    pub(super) fn put(self, value: &[u8], writer: &mut RowWriter) -> Result<(), InvalidValue> {
        match self {
            Self::Keep => writer.field(Some(value)),
            Self::Integer(kind) => {
                writer.field(Some(&field::integer(kind, value)?.to_be_bytes()));
            }
            Self::Float(kind) => {
                writer.field(Some(&float(kind, value)?.to_be_bytes()));
            }
            Self::IntegerToNumeric(kind, scale) => {
                let number = numeric::from_i64(field::integer(kind, value)?);
                writer.field(Some(&numeric::with_scale(&number, scale)?));
            }
            Self::Numeric(scale) => {
                writer.field(Some(&numeric::with_least_scale(value, scale)?));
            }
            Self::JsonbToText => {
                writer.field(Some(field::json_bytes(NeutralType::Jsonb, value)?));
            }
            Self::UuidToText => writer.field(Some(field::uuid_text(value)?.as_bytes())),
            Self::MomentToText(kind) => {
                writer.field(Some(field::moment_text(kind, value, ' ')?.as_bytes()));
            }
            Self::Document(kind) => writer.field(Some(&document::normal(kind, value)?)),
        }
        Ok(())
    }

    /// A value that has the form `normal`; `None` when none of this kind has it.
    pub(super) fn restore(self, normal: &[u8]) -> Result<Option<Vec<u8>>, InvalidValue> {
        Ok(match self {
            // Numbers that differ only in the digits they show are equal to the database.
            Self::Keep | Self::Numeric(_) => Some(normal.to_vec()),
            Self::Integer(kind) => integer(kind, field::integer(NeutralType::Int8, normal)?),
            Self::IntegerToNumeric(kind, _) => {
                numeric::to_i64(normal)?.and_then(|number| integer(kind, number))
            }
            Self::Float(NeutralType::Float4) => narrow(field::float8(normal)?),
            Self::Float(_) => Some(field::float8(normal)?.to_be_bytes().into()),
            Self::JsonbToText => Some([&[field::JSONB_VERSION], normal].concat()),
            Self::UuidToText => {
                let uuid = uuid::Uuid::try_parse_ascii(normal).ok();
                uuid.map(|uuid| uuid.into_bytes().into())
            }
            Self::MomentToText(kind) => moment(kind, field::text(kind, normal)?),
            Self::Document(NeutralType::Jsonb) => Some(document::restored(normal)),
            Self::Document(kind) => {
                let found = "it cannot be found by its normal form";
                return Err(InvalidValue::new(kind.as_str(), found));
            }
        })
    }
}

fn float(kind: NeutralType, value: &[u8]) -> Result<f64, InvalidValue> {
    let wide = match kind {
        NeutralType::Float4 => field::float4(value)?.into(),
        _ => field::float8(value)?,
    };
    // NaN has many bit patterns, and widening keeps some of them.
    Ok(if wide.is_nan() { f64::NAN } else { wide })
}

fn integer(kind: NeutralType, number: i64) -> Option<Vec<u8>> {
    match kind {
        NeutralType::Int2 => i16::try_from(number)
            .ok()
            .map(|number| number.to_be_bytes().into()),
        NeutralType::Int4 => i32::try_from(number)
            .ok()
            .map(|number| number.to_be_bytes().into()),
        _ => Some(number.to_be_bytes().into()),
    }
}

fn narrow(wide: f64) -> Option<Vec<u8>> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "whether it is exact is what the next line checks"
    )]
    let narrow = wide as f32;
    let survives = wide.is_nan() || f64::from(narrow).to_bits() == wide.to_bits();
    survives.then(|| narrow.to_be_bytes().into())
}

fn moment(kind: NeutralType, text: &str) -> Option<Vec<u8>> {
    let found: Vec<u8> = match kind {
        NeutralType::Date => datetime::date_from_text(text).ok()?.into(),
        NeutralType::Time => datetime::time_from_text(text).ok()?.into(),
        _ => datetime::timestamp_from_text(text, kind == NeutralType::Timestamptz)
            .ok()?
            .into(),
    };
    // Another spelling of the moment is another text.
    let again = field::moment_text(kind, &found, ' ').ok()?;
    (again == text).then_some(found)
}
