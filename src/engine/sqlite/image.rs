//! From what SQLite stores to a field of the row layout.
//!
//! A value is read as its column's declared type or not at all: what another class of value stands there is told by
//! class, never by content. Integers, text and blobs are passed on without a copy.
//! Invariant: reading the same value twice gives the same bytes.

use rusqlite::types::ValueRef;

use crate::engine::sqlite::types::{Affinity, Storage};
use crate::model::table::NeutralType;
use crate::wire::numeric::{Scaled, ScaledBytes};
use crate::wire::{datetime, numeric};

/// One field's bytes.
#[derive(Debug)]
pub(super) enum Image<'v> {
    Null,
    Borrowed(&'v [u8]),
    Two([u8; 2]),
    Four([u8; 4]),
    Eight([u8; 8]),
    Sixteen([u8; 16]),
    Decimal(ScaledBytes),
    Owned(Vec<u8>),
}

impl Image<'_> {
    /// As a field; `None` is NULL.
    pub(super) fn field(&self) -> Option<&[u8]> {
        match self {
            Self::Null => None,
            Self::Borrowed(bytes) => Some(bytes),
            Self::Two(bytes) => Some(bytes),
            Self::Four(bytes) => Some(bytes),
            Self::Eight(bytes) => Some(bytes),
            Self::Sixteen(bytes) => Some(bytes),
            Self::Decimal(bytes) => Some(bytes),
            Self::Owned(bytes) => Some(bytes),
        }
    }
}

/// The image of `value` in a column stored as `storage` says, or why it has none.
pub(super) fn image<'v>(storage: &Storage, value: ValueRef<'v>) -> Result<Image<'v>, String> {
    match (storage.kind, value) {
        (_, ValueRef::Null) => Ok(Image::Null),
        (NeutralType::Bool, ValueRef::Integer(number @ 0..=1)) => {
            Ok(Image::Borrowed(if number == 1 { &[1] } else { &[0] }))
        }
        (NeutralType::Bool, ValueRef::Integer(_)) => {
            Err("an integer other than 0 and 1 stands for a bool".into())
        }
        (NeutralType::Int2, ValueRef::Integer(number)) => i16::try_from(number)
            .map(|number| Image::Two(number.to_be_bytes()))
            .map_err(|_| too_wide("smallint")),
        (NeutralType::Int4, ValueRef::Integer(number)) => i32::try_from(number)
            .map(|number| Image::Four(number.to_be_bytes()))
            .map_err(|_| too_wide("integer")),
        (NeutralType::Int8, ValueRef::Integer(number)) => Ok(Image::Eight(number.to_be_bytes())),
        (NeutralType::Float4, ValueRef::Real(number)) => narrow(number),
        (NeutralType::Float4, ValueRef::Integer(number)) => narrow(exact_double(number)?),
        (NeutralType::Float8, ValueRef::Real(number)) => Ok(Image::Eight(number.to_be_bytes())),
        (NeutralType::Float8, ValueRef::Integer(number)) => {
            Ok(Image::Eight(exact_double(number)?.to_be_bytes()))
        }
        (NeutralType::Numeric, value) => decimal(storage.scale, value),
        (NeutralType::Text, ValueRef::Text(text)) => utf8(text).map(|_| Image::Borrowed(text)),
        (NeutralType::Bytea, ValueRef::Blob(bytes)) => Ok(Image::Borrowed(bytes)),
        (NeutralType::Uuid, value) => uuid(value),
        (NeutralType::Json | NeutralType::Jsonb, value) => json(value),
        // Written again as text it would be another class of value, unequal to the number.
        (NeutralType::Other, ValueRef::Integer(_) | ValueRef::Real(_))
            if storage.affinity == Affinity::Blob =>
        {
            Err(format!(
                "{} stands in a column without a declared type, whose values travel as text",
                class(value)
            ))
        }
        (NeutralType::Other, value) => as_text(value),
        (kind, ValueRef::Text(text)) => moment(kind, utf8(text)?),
        (kind, value) => Err(format!(
            "{} stands where {} belongs",
            class(value),
            kind.as_str()
        )),
    }
}

/// What `value` is, without the value.
fn class(value: ValueRef<'_>) -> &'static str {
    match value {
        ValueRef::Null => "NULL",
        ValueRef::Integer(_) => "an integer",
        ValueRef::Real(_) => "a real number",
        ValueRef::Text(_) => "text",
        ValueRef::Blob(_) => "a blob",
    }
}

fn too_wide(kind: &str) -> String {
    format!("the integer is too large for {kind}")
}

fn utf8(text: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(text).map_err(|_| "the text is not valid UTF-8".to_owned())
}

/// An integer as a double, where it keeps every digit.
fn exact_double(number: i64) -> Result<f64, String> {
    let high = i32::try_from(number >> 32).map_err(|_| too_wide("float8"))?;
    let low = u32::try_from(number & 0xffff_ffff).map_err(|_| too_wide("float8"))?;
    if number.unsigned_abs() > 1 << 53 {
        return Err("the integer has more digits than a double keeps".to_owned());
    }
    Ok(f64::from(high) * 4_294_967_296.0 + f64::from(low))
}

/// A double as the nearest float4, as any engine stores it in a column of that type.
fn narrow<'v>(number: f64) -> Result<Image<'v>, String> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "rounding to the nearest float4 is what is asked for"
    )]
    let narrowed = number as f32;
    if narrowed.is_infinite() && number.is_finite() {
        return Err("the number is too large for float4".to_owned());
    }
    Ok(Image::Four(narrowed.to_be_bytes()))
}

fn decimal<'v>(scale: Option<u32>, value: ValueRef<'v>) -> Result<Image<'v>, String> {
    if let Some(decimal) = scale.and_then(|scale| short_decimal(scale, value)) {
        return Ok(Image::Decimal(decimal.bytes()));
    }
    let exact = match value {
        ValueRef::Integer(number) => numeric::from_i64(number),
        ValueRef::Real(number) if !number.is_finite() => {
            return Err("an infinite real number stands where numeric belongs".to_owned());
        }
        ValueRef::Real(number) => {
            numeric::encode(&real_text(number, scale)).map_err(|err| err.to_string())?
        }
        ValueRef::Text(text) => numeric::encode(utf8(text)?).map_err(|err| err.to_string())?,
        value => return Err(format!("{} stands where numeric belongs", class(value))),
    };
    match scale {
        Some(scale) => numeric::with_scale(&exact, scale)
            .map(|scaled| Image::Owned(scaled.into_owned()))
            .map_err(|_| format!("the number has more than {scale} digits after the point")),
        None => Ok(Image::Owned(exact)),
    }
}

/// The shortest decimal that is this double, which a decimal of up to 15 digits comes back as; rounded where that has more
/// than `scale` digits after the point.
fn real_text(number: f64, scale: Option<u32>) -> String {
    let shortest = number.to_string();
    let digits = shortest
        .split_once('.')
        .map_or(0, |(_, digits)| digits.len());
    match scale.map(usize::try_from) {
        Some(Ok(scale)) if digits > scale => format!("{number:.scale$}"),
        _ => shortest,
    }
}

/// Of most decimals, without text.
fn short_decimal(scale: u32, value: ValueRef<'_>) -> Option<Scaled> {
    match value {
        ValueRef::Integer(number) => {
            Scaled::new(number.checked_mul(10_i64.checked_pow(scale)?)?, scale)
        }
        ValueRef::Real(number) => Scaled::from_f64(number, scale),
        _ => None,
    }
}

fn uuid(value: ValueRef<'_>) -> Result<Image<'_>, String> {
    match value {
        ValueRef::Blob(bytes) if bytes.len() == 16 => Ok(Image::Borrowed(bytes)),
        ValueRef::Text(text) if matches!(text.len(), 32 | 36) => uuid::Uuid::try_parse_ascii(text)
            .map(|uuid| Image::Sixteen(uuid.into_bytes()))
            .map_err(|_| "the text is not a uuid".to_owned()),
        ValueRef::Text(_) => Err("the text is not a uuid".to_owned()),
        value => Err(format!("{} stands where uuid belongs", class(value))),
    }
}

fn json(value: ValueRef<'_>) -> Result<Image<'_>, String> {
    match value {
        // A column declared `json` leans to numbers, and SQLite keeps a document that is one integer as that.
        ValueRef::Integer(number) => Ok(Image::Owned(number.to_string().into_bytes())),
        ValueRef::Text(text) => match serde_json::from_str::<serde::de::IgnoredAny>(utf8(text)?) {
            Ok(_) => Ok(Image::Borrowed(text)),
            Err(err) => Err(format!(
                "the text is not JSON from line {} column {} on",
                err.line(),
                err.column()
            )),
        },
        value => Err(format!("{} stands where json belongs", class(value))),
    }
}

fn as_text(value: ValueRef<'_>) -> Result<Image<'_>, String> {
    match value {
        ValueRef::Text(text) => utf8(text).map(|_| Image::Borrowed(text)),
        ValueRef::Integer(number) => Ok(Image::Owned(number.to_string().into_bytes())),
        ValueRef::Real(number) => Ok(Image::Owned(format!("{number:?}").into_bytes())),
        value => Err(format!(
            "{} stands in a column whose type holds text",
            class(value)
        )),
    }
}

fn moment<'v>(kind: NeutralType, text: &str) -> Result<Image<'v>, String> {
    match kind {
        NeutralType::Date => datetime::date_from_text(text).map(Image::Four),
        NeutralType::Time => datetime::time_from_text(text).map(Image::Eight),
        NeutralType::Timestamp => datetime::timestamp_from_text(text, false).map(Image::Eight),
        NeutralType::Timestamptz => datetime::timestamp_from_text(text, true).map(Image::Eight),
        kind => return Err(format!("text stands where {} belongs", kind.as_str())),
    }
    .map_err(|err| err.to_string())
}

#[cfg(test)]
mod tests {
    use super::image;
    use crate::engine::sqlite::types::Affinity;
    use crate::engine::sqlite::types::Storage;
    use crate::model::table::NeutralType;
    use crate::wire::numeric;
    use rusqlite::types::ValueRef;

    fn read(
        kind: NeutralType,
        scale: Option<u32>,
        value: ValueRef<'_>,
    ) -> Result<Option<Vec<u8>>, String> {
        let storage = Storage {
            kind,
            scale,
            affinity: Affinity::Numeric,
        };
        image(&storage, value).map(|image| image.field().map(<[u8]>::to_vec))
    }

    #[test]
    fn values_are_read_as_their_declared_type() {
        use NeutralType::{
            Bool, Float4, Float8, Int2, Numeric, Other, Timestamp, Timestamptz, Uuid,
        };
        use ValueRef::{Blob, Integer, Null, Real, Text};
        let number = |text: &str| Ok(Some(numeric::encode(text).unwrap()));
        assert_eq!(read(Text2, None, Null), Ok(None));
        assert_eq!(read(Bool, None, Integer(1)), Ok(Some(vec![1])));
        assert_eq!(
            read(Int2, None, Integer(-2)),
            Ok(Some((-2_i16).to_be_bytes().to_vec()))
        );
        assert_eq!(
            read(Float8, None, Integer(-3)),
            Ok(Some((-3.0_f64).to_be_bytes().to_vec()))
        );
        assert_eq!(
            read(Float8, None, Integer(1 << 53)),
            Ok(Some(9_007_199_254_740_992.0_f64.to_be_bytes().to_vec()))
        );
        assert_eq!(
            read(Float4, None, Real(0.1)),
            Ok(Some(0.1_f32.to_be_bytes().to_vec()))
        );
        assert_eq!(read(Numeric, Some(2), Real(0.1 + 0.2)), number("0.30"));
        assert_eq!(read(Numeric, Some(2), Real(-0.001)), number("0.00"));
        assert_eq!(read(Numeric, Some(2), Integer(5)), number("5.00"));
        assert_eq!(read(Numeric, None, Real(12.5)), number("12.5"));
        for (scale, real, shown) in [
            (18, 0.1, "0.100000000000000000"),
            (4, 9_999_999_999_999.9, "9999999999999.9000"),
            (10, 1_234_567.89, "1234567.8900000000"),
            (20, 1e-20, "0.00000000000000000001"),
            (
                2,
                123_456_789_012_345e20,
                "12345678901234500000000000000000000.00",
            ),
            (17, 0.1 + 0.2, "0.30000000000000004"),
            (16, 0.1 + 0.2, "0.3000000000000000"),
        ] {
            assert_eq!(read(Numeric, Some(scale), Real(real)), number(shown));
        }
        assert_eq!(read(Numeric, None, Text(b"12.50")), number("12.50"));
        assert_eq!(read(Numeric, Some(3), Text(b"12.5")), number("12.500"));
        assert_eq!(read(Uuid, None, Blob(&[7; 16])), Ok(Some(vec![7; 16])));
        assert_eq!(
            read(Uuid, None, Text(b"07070707-0707-0707-0707-070707070707")),
            read(Uuid, None, Text(b"07070707070707070707070707070707"))
        );
        assert_eq!(read(Other, None, Integer(5)), Ok(Some(b"5".to_vec())));
        assert_eq!(
            read(Timestamp, None, Text(b"2024-02-29T10:00:00")),
            read(Timestamp, None, Text(b"2024-02-29 10:00:00.000000"))
        );
        assert_eq!(
            read(Timestamptz, None, Text(b"2024-02-29T10:00:00+02:00")),
            read(Timestamptz, None, Text(b"2024-02-29 08:00:00.000000Z"))
        );
    }

    #[test]
    fn what_is_no_value_of_the_declared_type_is_refused_without_showing_it() {
        use NeutralType::{
            Bool, Bytea, Date, Float4, Float8, Int2, Int4, Int8, Json, Numeric, Other, Timestamp,
            Timestamptz, Uuid,
        };
        use ValueRef::{Blob, Integer, Real, Text};
        for (kind, scale, value) in [
            (Bool, None, Integer(4711)),
            (Bool, None, Text(b"true4711")),
            (Int2, None, Integer(4711_4711)),
            (Int4, None, Integer(4711_4711_4711)),
            (Int8, None, Real(4711.5)),
            (Int8, None, Text(b"4711")),
            (Float8, None, Integer((1 << 53) + 1)),
            (Float8, None, Text(b"4711")),
            (Float4, None, Real(4.711e300)),
            (Numeric, Some(1), Text(b"4711.25")),
            (Numeric, None, Text(b"x4711")),
            (Numeric, None, Real(f64::INFINITY)),
            (Text2, None, Blob(b"4711")),
            (Text2, None, Text(b"4711\xff")),
            (Bytea, None, Text(b"4711")),
            (Date, None, Integer(4711)),
            (Date, None, Text(b"4711-13-01")),
            (Timestamp, None, Real(4711.5)),
            (Timestamp, None, Text(b"4711-01-01 00:00:00Z")),
            (Timestamptz, None, Integer(4711)),
            (Uuid, None, Text(b"4711")),
            (Uuid, None, Blob(b"4711")),
            (Json, None, Text(b"{4711")),
            (Json, None, Blob(b"4711")),
            (Other, None, Blob(b"4711")),
        ] {
            let reason = read(kind, scale, value).expect_err(&format!("{kind:?} {value:?}"));
            assert!(!reason.contains("4711"), "{reason}");
        }
    }

    use NeutralType::Text as Text2;
}
