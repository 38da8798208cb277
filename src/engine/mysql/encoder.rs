//! From a field of the row layout to a parameter: the way back of [`super::image`].
//!
//! Strict mode is not enough: the databases still trim `char(n)`, fill `binary(n)`, drop digits of a decimal or of a
//! second with a note at most, take 5 for the year 2005 and `'1'` for the first label of an enum. What a column would
//! change so is refused here, by column and without the value; what it refuses by itself is left to it.
//! Invariant: a value of an exact column that passes and is stored is read back as the same bytes.

mod labels;

use std::borrow::Cow;

use crate::engine::fault::{Refusal, RefusalKind};
use crate::engine::mysql::encoder::labels::Labels;
use crate::engine::mysql::types::{Form, base};
use crate::engine::mysql::value::{Kind, Value};
use crate::engine::sql::Sql;
use crate::model::table::{Column, NeutralType};
use crate::wire::{InvalidValue, field, numeric};

/// The flag of EWKB that says that a reference system follows the type.
const EWKB_SRID: u32 = 0x2000_0000;

/// How the values of one column are sent.
#[derive(Debug)]
pub(super) struct Encoder {
    name: String,
    native: String,
    kind: NeutralType,
    form: Form,
    nullable: bool,
    limit: Limit,
    cast: Option<(u32, u32)>,
    exact: bool,
}

/// What the column would change without an error.
#[derive(Debug)]
enum Limit {
    None,
    /// Trailing spaces of a `char(n)`.
    Padding,
    /// More characters than these: spaces beyond them are cut.
    Characters(u32),
    /// The same in bytes.
    Octets(usize),
    /// Fewer bytes than these are filled up.
    Filled(u32),
    /// Digits after the point beyond these are rounded away.
    Scale(u32),
    /// Digits of a second beyond these are cut off.
    Fraction(u32),
    /// Numbers below 100 stand for years of their own.
    Year,
    Labels(Labels),
}

impl Encoder {
    /// For `column` as the catalogue describes it.
    pub(super) fn of(column: &Column) -> Self {
        let (form, cast_to_text) = Form::of(column);
        let decimal = (form == Form::Decimal).then_some(());
        Self {
            name: column.name.clone(),
            native: column.native.clone(),
            kind: column.kind,
            nullable: column.nullable,
            limit: limit(column, form),
            cast: decimal.and_then(|()| column.precision.zip(column.scale)),
            exact: is_exact(column, form, cast_to_text),
            form,
        }
    }

    /// Whether what passes is stored as it is; if not, only reading it back can tell.
    pub(super) fn is_exact(&self) -> bool {
        self.exact
    }

    /// The form its values are read in.
    pub(super) fn form(&self) -> Form {
        self.form
    }

    /// The parameter's place in a comparison: a decimal would be compared with text as a double.
    pub(super) fn compared(&self, sql: &mut Sql) {
        match self.cast {
            Some((precision, scale)) => {
                sql.push("cast(? as decimal(").number(precision).push(",");
                sql.number(scale).push("))");
            }
            None => drop(sql.push("?")),
        }
    }

    /// The parameter for `field`.
    ///
    /// # Errors
    /// When the column cannot hold it, or would change it in silence.
    pub(super) fn encode<'a>(&self, field: Option<&'a [u8]>) -> Result<Value<'a>, Refusal> {
        match field {
            None if self.nullable => Ok(Value::Null(self.announced())),
            // An auto-increment or timestamp column would make up a value.
            None => Err(self.refuse("the value is NULL, the column does not allow that")),
            Some(bytes) => self.value(bytes),
        }
    }

    fn announced(&self) -> Kind {
        match self.form {
            Form::Bool
            | Form::BitBool
            | Form::Tiny { .. }
            | Form::Short
            | Form::ShortUnsigned
            | Form::Long
            | Form::LongUnsigned
            | Form::LongLong => Kind::Integer,
            Form::LongLongUnsigned | Form::Bits(_) => Kind::Unsigned,
            Form::Float => Kind::Float,
            Form::Double => Kind::Double,
            Form::Bytes | Form::Geometry => Kind::Bytes,
            Form::Decimal
            | Form::Date
            | Form::Time
            | Form::DateTime
            | Form::Uuid
            | Form::Jsonb
            | Form::Text => Kind::Text,
        }
    }

    fn value<'a>(&self, bytes: &'a [u8]) -> Result<Value<'a>, Refusal> {
        let broken = |err: InvalidValue| self.refuse(&err.to_string());
        let text = |text: String| Value::Text(Cow::Owned(text));
        Ok(match self.form {
            Form::Bool | Form::BitBool => {
                Value::Integer(field::boolean(bytes).map_err(broken)?.into())
            }
            Form::Tiny { .. }
            | Form::Short
            | Form::ShortUnsigned
            | Form::Long
            | Form::LongUnsigned
            | Form::LongLong => {
                Value::Integer(self.integer(field::integer(self.kind, bytes).map_err(broken)?)?)
            }
            Form::LongLongUnsigned => Value::Unsigned(self.unsigned(bytes)?),
            Form::Float => Value::Float(self.finite(field::float4(bytes).map_err(broken)?)?),
            Form::Double => Value::Double(self.finite(field::float8(bytes).map_err(broken)?)?),
            Form::Decimal => text(self.decimal(bytes)?),
            Form::Date => text(self.moment(NeutralType::Date, bytes)?),
            Form::Time => text(self.moment(NeutralType::Time, bytes)?),
            Form::DateTime => text(self.moment(NeutralType::Timestamp, bytes)?),
            Form::Uuid => text(field::uuid_text(bytes).map_err(broken)?),
            Form::Jsonb => {
                let document = field::json_bytes(self.kind, bytes).map_err(broken)?;
                Value::Text(Cow::Borrowed(
                    field::text(self.kind, document).map_err(broken)?,
                ))
            }
            Form::Text => {
                let text = field::text(self.kind, bytes).map_err(broken)?;
                self.check_text(text)?;
                Value::Text(Cow::Borrowed(text))
            }
            Form::Bytes => {
                self.check_filled(bytes)?;
                Value::Bytes(Cow::Borrowed(bytes))
            }
            Form::Bits(digits) => Value::Unsigned(self.bits(bytes, digits)?),
            Form::Geometry => {
                Value::Bytes(Cow::Owned(geometry(bytes).ok_or_else(|| {
                    self.refuse("the value is no EWKB in hexadecimal digits")
                })?))
            }
        })
    }

    fn integer(&self, number: i64) -> Result<i64, Refusal> {
        if matches!(self.limit, Limit::Year) && number != 0 && !(1901..=2155).contains(&number) {
            return Err(self.refuse("the value is no year from 1901 to 2155"));
        }
        Ok(number)
    }

    fn unsigned(&self, bytes: &[u8]) -> Result<u64, Refusal> {
        let shape = numeric::shape(bytes).map_err(|err| self.refuse(&err.to_string()))?;
        let text = numeric::decode(bytes).map_err(|err| self.refuse(&err.to_string()))?;
        let whole = text.split_once('.').map_or(&*text, |(whole, _)| whole);
        let number = if shape.significant_scale == 0 {
            whole.parse().ok()
        } else {
            None
        };
        number
            .ok_or_else(|| self.refuse(&format!("the value is no number {} can hold", self.native)))
    }

    fn finite<F: Copy + Into<f64>>(&self, number: F) -> Result<F, Refusal> {
        let wide: f64 = number.into();
        if !wide.is_finite() {
            let native = &self.native;
            return Err(self.refuse(&format!(
                "the value is no finite number, {native} holds no others"
            )));
        }
        if wide == 0.0 && wide.is_sign_negative() {
            let native = &self.native;
            return Err(self.refuse(&format!(
                "the value is a zero with a minus sign, {native} drops the sign"
            )));
        }
        Ok(number)
    }

    fn decimal(&self, bytes: &[u8]) -> Result<String, Refusal> {
        let shape = numeric::shape(bytes).map_err(|err| self.refuse(&err.to_string()))?;
        if let Some(special) = shape.special {
            let name = special.name();
            return Err(self.refuse(&format!(
                "the value is {name}, {} cannot hold it",
                self.native
            )));
        }
        if let Limit::Scale(scale) = self.limit
            && shape.significant_scale > scale
        {
            let found = shape.significant_scale;
            return Err(self.refuse(&format!(
                "the value has {found} digits after the point, {} holds {scale}",
                self.native
            )));
        }
        numeric::decode(bytes).map_err(|err| self.refuse(&err.to_string()))
    }

    /// Text of the length that the years 1 to 9999 have; moments in UTC.
    fn moment(&self, kind: NeutralType, bytes: &[u8]) -> Result<String, Refusal> {
        let text =
            field::moment_text(kind, bytes, ' ').map_err(|err| self.refuse(&err.to_string()))?;
        let length = match kind {
            NeutralType::Date => 10,
            NeutralType::Time => 15,
            _ => 26,
        };
        if text.len() != length {
            return Err(self.refuse(&format!(
                "the value is no day of the years 1 to 9999, {} cannot hold it",
                self.native
            )));
        }
        if let Limit::Fraction(digits) = self.limit {
            let kept = usize::try_from(digits).unwrap_or(6);
            let surplus = text
                .rsplit_once('.')
                .and_then(|(_, fraction)| fraction.get(kept..));
            if surplus.is_none_or(|surplus| surplus.bytes().any(|digit| digit != b'0')) {
                return Err(self.refuse(&format!(
                    "the value has more than the {digits} digits of a second that {} holds",
                    self.native
                )));
            }
        }
        Ok(text)
    }

    fn check_text(&self, text: &str) -> Result<(), Refusal> {
        let native = &self.native;
        let most = match &self.limit {
            Limit::Padding if text.ends_with(' ') => {
                return Err(self.refuse(&format!(
                    "the value ends with a space, {native} does not keep it"
                )));
            }
            Limit::Labels(labels) if !labels.hold(text) => {
                return Err(self.refuse(labels.reason()));
            }
            Limit::Characters(most) => usize::try_from(*most).unwrap_or(usize::MAX),
            // Only spaces at the end are cut in silence.
            Limit::Octets(most) if text.len() > *most && text.ends_with(' ') => {
                return Err(self.refuse(&format!("the value is too long for {native}")));
            }
            _ => return Ok(()),
        };
        // A text has at least as many bytes as characters.
        if text.len() > most && text.chars().count() > most {
            return Err(self.refuse(&format!("the value is too long for {native}")));
        }
        Ok(())
    }

    fn check_filled(&self, bytes: &[u8]) -> Result<(), Refusal> {
        match self.limit {
            Limit::Filled(length)
                if u32::try_from(bytes.len()).is_ok_and(|found| found < length) =>
            {
                Err(self.refuse(&format!(
                    "the value has {} bytes, {} fills it with zeros",
                    bytes.len(),
                    self.native
                )))
            }
            _ => Ok(()),
        }
    }

    fn bits(&self, bytes: &[u8], digits: u32) -> Result<u64, Refusal> {
        let text = std::str::from_utf8(bytes).ok();
        let wanted = usize::try_from(digits).ok();
        text.filter(|text| {
            Some(text.len()) == wanted && text.bytes().all(|digit| matches!(digit, b'0' | b'1'))
        })
        .and_then(|text| u64::from_str_radix(text, 2).ok())
        .ok_or_else(|| self.refuse(&format!("the value is not {digits} digits 0 and 1")))
    }

    fn refuse(&self, reason: &str) -> Refusal {
        Refusal {
            column: Some(self.name.clone()),
            reason: reason.to_owned(),
            kind: RefusalKind::Final,
        }
    }
}

fn limit(column: &Column, form: Form) -> Limit {
    let length = column.length.unwrap_or(u32::MAX);
    match (base(&column.native), form) {
        ("char", _) => Limit::Padding,
        ("varchar", _) => Limit::Characters(length),
        ("tinytext", _) => Limit::Octets(255),
        ("text", _) => Limit::Octets(65_535),
        ("mediumtext", _) => Limit::Octets(16_777_215),
        ("binary", _) => Limit::Filled(length),
        ("year", _) => Limit::Year,
        ("enum", _) => Limit::Labels(Labels::of_enum(&column.native)),
        ("set", _) => Limit::Labels(Labels::of_set(&column.native)),
        (_, Form::Decimal) => Limit::Scale(column.scale.unwrap_or(0)),
        (_, Form::Time | Form::DateTime) => column.precision.map_or(Limit::None, Limit::Fraction),
        _ => Limit::None,
    }
}

/// Not exact: `float(7,3)`, which rounds; documents of MySQL, which sorts them; geometries; types that are cast to text.
fn is_exact(column: &Column, form: Form, cast_to_text: bool) -> bool {
    let rounds = matches!(form, Form::Float | Form::Double) && column.native.contains('(');
    !(rounds || cast_to_text || matches!(form, Form::Jsonb | Form::Geometry))
}

/// EWKB in hexadecimal digits as the servers keep it: four bytes of the reference system and WKB.
fn geometry(text: &[u8]) -> Option<Vec<u8>> {
    let bytes = hex::decode(text).ok()?;
    let (order, rest) = bytes.split_first_chunk::<1>()?;
    let (kind, rest) = rest.split_first_chunk::<4>()?;
    let kind = u32::from_le_bytes(*kind);
    if *order != [1] {
        return None;
    }
    if kind & EWKB_SRID == 0 {
        return Some([&[0; 4], &bytes[..]].concat());
    }
    let (srid, rest) = rest.split_first_chunk::<4>()?;
    let kind = (kind & !EWKB_SRID).to_le_bytes();
    Some([srid, &order[..], &kind, rest].concat())
}

#[cfg(test)]
mod tests;
