//! One value into the form and the width of its destination, or why it does not fit.
//!
//! Which form and which limit apply is decided elsewhere, before any row.
//! Invariant: what is returned equals what was given; bytes that can stay are borrowed, and no message has the value.

mod document;

use std::borrow::Cow;

use crate::model::table::NeutralType;
use crate::wire::numeric::Special;
use crate::wire::{InvalidValue, field, numeric};

/// A column to write to: what becomes of each value, and what must hold then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub(super) form: Form,
    pub(super) limit: Limit,
    pub(super) kind: NeutralType,
    /// Its engine's name of the type, for messages.
    pub(super) native: String,
}

/// A change of form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// None.
    Same,
    /// An integer of another width, from this kind.
    Integer(NeutralType),
    /// An integer of this kind to a numeric.
    IntegerToNumeric(NeutralType),
    /// A numeric without digits after the point to an integer.
    NumericToInteger,
    /// Exact for every value.
    Float4ToFloat8,
    /// For values that survive the way there and back.
    Float8ToFloat4,
    /// The version byte is put before a document that is JSON.
    JsonToJsonb,
    /// The version byte is taken off; also to text.
    JsonbToJson,
    /// Lower case, with hyphens.
    UuidToText,
    /// A date, time, timestamp or timestamptz as text, with a space and six digits.
    MomentToText(NeutralType),
}

/// What must hold for a value in the target's form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    /// Nothing.
    None,
    /// At most so many characters, if any are named; no NUL and nothing but UTF-8, and no space at the end, if so told.
    Text {
        characters: Option<u32>,
        refuse_nul: bool,
        refuse_padding: bool,
    },
    /// So many digits, of which `scale` after the point; the value is shown at that scale.
    Numeric {
        precision: u32,
        scale: u32,
        refuse_special: bool,
    },
    /// A number, not NaN or an infinity.
    NoSpecial,
    /// The same, shown without zeros at its end: the column keeps none.
    Shortest,
    /// At most so many digits of a second.
    Fraction(u32),
    /// No NaN, no zero with a sign.
    SqliteFloat,
    /// A JSON document.
    Json,
}

impl Target {
    /// `value`, not NULL, as this column stores it.
    ///
    /// # Errors
    /// When it does not fit, or its bytes are no value of the source's type.
    pub fn fit<'a>(&self, value: &'a [u8]) -> Result<Cow<'a, [u8]>, InvalidValue> {
        let formed = self.reform(value)?;
        match self.limit {
            Limit::None => Ok(formed),
            Limit::Text {
                characters,
                refuse_nul,
                refuse_padding,
            } => {
                if refuse_padding && formed.ends_with(b" ") {
                    let native = &self.native;
                    return Err(self.fault(format!("ends with a space, {native} does not keep it")));
                }
                self.check_text(&formed, characters, refuse_nul)
                    .map(|()| formed)
            }
            Limit::Numeric {
                precision,
                scale,
                refuse_special,
            } => {
                let rescaled = self.check_numeric(&formed, precision, scale, refuse_special)?;
                Ok(rescaled.map_or(formed, Cow::Owned))
            }
            Limit::NoSpecial => match numeric::shape(&formed)?.special {
                Some(special) => Err(self.special(special)),
                None => Ok(formed),
            },
            Limit::Fraction(digits) => self.check_fraction(&formed, digits).map(|()| formed),
            Limit::Shortest => {
                let shape = numeric::shape(&formed)?;
                if let Some(special) = shape.special {
                    return Err(self.special(special));
                }
                let shortened = numeric::with_scale(&formed, shape.significant_scale)?;
                Ok(Cow::Owned(shortened.into_owned()))
            }
            Limit::SqliteFloat => self.check_sqlite_float(&formed).map(|()| formed),
            Limit::Json => {
                field::json(self.kind, &formed)?;
                Ok(formed)
            }
        }
    }

    fn reform<'a>(&self, value: &'a [u8]) -> Result<Cow<'a, [u8]>, InvalidValue> {
        Ok(match self.form {
            Form::Same => Cow::Borrowed(value),
            Form::Integer(from) => Cow::Owned(self.integer(field::integer(from, value)?)?),
            Form::IntegerToNumeric(from) => {
                Cow::Owned(numeric::from_i64(field::integer(from, value)?))
            }
            Form::NumericToInteger => {
                let number = numeric::to_i64(value)?.ok_or_else(|| {
                    self.fault(format!("is no whole number {} can hold", self.native))
                })?;
                Cow::Owned(self.integer(number)?)
            }
            Form::Float4ToFloat8 => {
                Cow::Owned(f64::from(field::float4(value)?).to_be_bytes().into())
            }
            Form::Float8ToFloat4 => {
                Cow::Owned(self.float4(field::float8(value)?)?.to_be_bytes().into())
            }
            Form::JsonToJsonb => {
                let json = field::json(NeutralType::Json, value)?;
                if let Some(change) = document::change(json.get()) {
                    return Err(self.fault(format!("{change}, {} would change it", self.native)));
                }
                Cow::Owned([&[field::JSONB_VERSION], value].concat())
            }
            Form::JsonbToJson => Cow::Borrowed(field::json_bytes(NeutralType::Jsonb, value)?),
            Form::UuidToText => Cow::Owned(field::uuid_text(value)?.into_bytes()),
            Form::MomentToText(from) => {
                Cow::Owned(field::moment_text(from, value, ' ')?.into_bytes())
            }
        })
    }

    fn integer(&self, number: i64) -> Result<Vec<u8>, InvalidValue> {
        let bytes = match self.kind {
            NeutralType::Int2 => i16::try_from(number)
                .ok()
                .map(|number| number.to_be_bytes().into()),
            NeutralType::Int4 => i32::try_from(number)
                .ok()
                .map(|number| number.to_be_bytes().into()),
            _ => Some(number.to_be_bytes().into()),
        };
        bytes.ok_or_else(|| self.fault(format!("is out of the range of {}", self.native)))
    }

    fn float4(&self, wide: f64) -> Result<f32, InvalidValue> {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "whether it is exact is what the next line checks"
        )]
        let narrow = wide as f32;
        let survives =
            f64::from(narrow).to_bits() == wide.to_bits() || (wide.is_nan() && narrow.is_nan());
        if survives {
            Ok(narrow)
        } else {
            Err(self.fault(format!(
                "has more digits or a larger exponent than {} holds",
                self.native
            )))
        }
    }

    fn check_text(
        &self,
        value: &[u8],
        characters: Option<u32>,
        refuse_nul: bool,
    ) -> Result<(), InvalidValue> {
        let text = field::text(self.kind, value)?;
        if refuse_nul && value.contains(&0) {
            return Err(self.fault(format!(
                "has a NUL character, {} cannot hold one",
                self.native
            )));
        }
        let Some(limit) = characters else {
            return Ok(());
        };
        // A text has at least as many bytes as characters.
        if u32::try_from(value.len()).is_ok_and(|bytes| bytes <= limit) {
            return Ok(());
        }
        let found = text.chars().count();
        if u32::try_from(found).is_ok_and(|found| found <= limit) {
            Ok(())
        } else {
            Err(self.fault(format!(
                "has {found} characters, {} holds {limit}",
                self.native
            )))
        }
    }

    /// The value at the target's scale where it has another.
    fn check_numeric(
        &self,
        value: &[u8],
        precision: u32,
        scale: u32,
        refuse_special: bool,
    ) -> Result<Option<Vec<u8>>, InvalidValue> {
        let shape = numeric::shape(value)?;
        match shape.special {
            // A numeric(p,s) of PostgreSQL holds NaN, and no infinity.
            Some(Special::NaN) if !refuse_special => return Ok(None),
            Some(special) => return Err(self.special(special)),
            None => {}
        }
        if shape.significant_scale > scale {
            let found = shape.significant_scale;
            return Err(self.fault(format!(
                "has {found} digits after the point, {} holds {scale}",
                self.native
            )));
        }
        // Negative where the type holds only numbers with zeros behind the point, as numeric(3,5) does.
        let whole = i64::from(precision) - i64::from(scale);
        if shape.magnitude.is_some_and(|magnitude| magnitude > whole) {
            let found = shape.integer_digits();
            return Err(self.fault(if i64::from(found) > whole.max(0) {
                format!(
                    "has {found} digits before the point, {} holds {}",
                    self.native,
                    whole.max(0)
                )
            } else {
                format!("is too large for {}", self.native)
            }));
        }
        match numeric::with_scale(value, scale)? {
            Cow::Borrowed(_) => Ok(None),
            Cow::Owned(rescaled) => Ok(Some(rescaled)),
        }
    }

    fn check_fraction(&self, value: &[u8], digits: u32) -> Result<(), InvalidValue> {
        // All three kinds are microseconds in 64 bits; the infinities are the largest and the smallest.
        let micros = field::integer(NeutralType::Int8, value)?;
        let is_infinite =
            self.kind != NeutralType::Time && (micros == i64::MAX || micros == i64::MIN);
        let step = 10_i64.pow(6_u32.saturating_sub(digits));
        if is_infinite || micros.rem_euclid(step) == 0 {
            Ok(())
        } else {
            Err(self.fault(format!(
                "has more than the {digits} digits of a second that {} holds",
                self.native
            )))
        }
    }

    fn check_sqlite_float(&self, value: &[u8]) -> Result<(), InvalidValue> {
        let number = match self.kind {
            NeutralType::Float4 => f64::from(field::float4(value)?),
            _ => field::float8(value)?,
        };
        if number.is_nan() {
            return Err(self.special(Special::NaN));
        }
        if number == 0.0 && number.is_sign_negative() {
            return Err(self.fault(format!(
                "is a zero with a minus sign, {} drops the sign",
                self.native
            )));
        }
        Ok(())
    }

    fn special(&self, special: Special) -> InvalidValue {
        self.fault(format!(
            "is {}, {} cannot hold it",
            special.name(),
            self.native
        ))
    }

    fn fault(&self, found: String) -> InvalidValue {
        InvalidValue::new(self.kind.as_str(), found)
    }
}
