//! From a field of the row layout to what SQLite stores.
//!
//! What is bound is what will stand in the table: where the column leans towards numbers and would change the value,
//! the value is refused instead.
//! Invariant: a value that is taken reads back as the same value.

use rusqlite::types::{ToSqlOutput, Value, ValueRef};

use crate::engine::sqlite::image::image;
use crate::engine::sqlite::types::{Affinity, EXACT_DIGITS, Storage};
use crate::model::table::NeutralType;
use crate::wire::field;
use crate::wire::numeric::{self, Scaled};

/// What to bind for `value`, or why it cannot be stored.
pub(super) fn stored<'f>(
    storage: &Storage,
    value: Option<&'f [u8]>,
) -> Result<ToSqlOutput<'f>, String> {
    let Some(bytes) = value else {
        return Ok(ToSqlOutput::Borrowed(ValueRef::Null));
    };
    let kind = storage.kind;
    match kind {
        NeutralType::Bool => field::boolean(bytes)
            .map(|value| integer(value.into()))
            .map_err(|err| err.to_string()),
        NeutralType::Int2 | NeutralType::Int4 | NeutralType::Int8 => field::integer(kind, bytes)
            .map(integer)
            .map_err(|err| err.to_string()),
        NeutralType::Float4 => real(field::float4(bytes).map_err(|err| err.to_string())?.into()),
        NeutralType::Float8 => real(field::float8(bytes).map_err(|err| err.to_string())?),
        NeutralType::Numeric => decimal(storage.affinity, bytes),
        NeutralType::Bytea => Ok(ToSqlOutput::Borrowed(ValueRef::Blob(bytes))),
        NeutralType::Date
        | NeutralType::Time
        | NeutralType::Timestamp
        | NeutralType::Timestamptz => field::moment_text(kind, bytes, ' ')
            .map(owned_text)
            .map_err(|err| err.to_string()),
        NeutralType::Uuid => field::uuid_text(bytes)
            .map(owned_text)
            .map_err(|err| err.to_string()),
        NeutralType::Json | NeutralType::Jsonb => {
            let document = field::json_bytes(kind, bytes).map_err(|err| err.to_string())?;
            text(storage, document)
        }
        NeutralType::Text | NeutralType::Other => text(storage, bytes),
    }
}

/// Whether `value` is written as this program would write it.
pub(super) fn is_as_stored(storage: &Storage, value: ValueRef<'_>) -> bool {
    image(storage, value).is_ok_and(|image| {
        stored(storage, image.field()).is_ok_and(|bound| as_value(&bound) == value)
    })
}

/// The value inside what is bound.
pub(super) fn as_value<'v>(bound: &'v ToSqlOutput<'_>) -> ValueRef<'v> {
    match bound {
        ToSqlOutput::Borrowed(value) => *value,
        ToSqlOutput::Owned(value) => value.into(),
        _ => ValueRef::Null,
    }
}

fn integer<'f>(number: i64) -> ToSqlOutput<'f> {
    ToSqlOutput::Owned(Value::Integer(number))
}

fn owned_text<'f>(text: String) -> ToSqlOutput<'f> {
    ToSqlOutput::Owned(Value::Text(text))
}

fn real<'f>(number: f64) -> Result<ToSqlOutput<'f>, String> {
    if number.is_nan() {
        return Err("SQLite cannot store NaN".to_owned());
    }
    // A column of class REAL drops the sign of zero.
    if number == 0.0 && number.is_sign_negative() {
        return Err("SQLite cannot store a zero with a minus sign".to_owned());
    }
    Ok(ToSqlOutput::Owned(Value::Real(number)))
}

fn decimal<'f>(affinity: Affinity, bytes: &[u8]) -> Result<ToSqlOutput<'f>, String> {
    let text = || numeric::decode(bytes).map_err(|err| err.to_string());
    if matches!(affinity, Affinity::Text | Affinity::Blob) {
        return text().map(owned_text);
    }
    match Scaled::read(bytes).map_err(|err| err.to_string())? {
        Some(scaled) => Ok(scaled
            .whole()
            .map_or_else(|| ToSqlOutput::Owned(Value::Real(scaled.to_f64())), integer)),
        None => long_decimal(&text()?),
    }
}

/// Of a number that is not short, or none.
fn long_decimal<'f>(text: &str) -> Result<ToSqlOutput<'f>, String> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.bytes().all(|digit| digit == b'0')
        && let Ok(number) = whole.parse::<i64>()
    {
        return Ok(integer(number));
    }
    if !text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-'))
    {
        return Err(
            "SQLite stores NaN and infinite decimals only in a column declared `decimal text`"
                .to_owned(),
        );
    }
    if significant_digits(text) > EXACT_DIGITS {
        return Err(format!(
            "the number has more than the {EXACT_DIGITS} digits SQLite keeps here; declare the column `decimal text(p,s)`"
        ));
    }
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(ToSqlOutput::Owned(Value::Real(number))),
        _ => Err("the number is beyond what SQLite keeps in this column".to_owned()),
    }
}

/// Digits between the first and the last that is not zero.
fn significant_digits(text: &str) -> u32 {
    let (mut digits, mut zeros) = (0_u32, 0_u32);
    for digit in text.bytes().filter(u8::is_ascii_digit) {
        match digit {
            b'0' if digits == 0 => {}
            b'0' => zeros = zeros.saturating_add(1),
            _ => {
                digits = digits.saturating_add(zeros).saturating_add(1);
                zeros = 0;
            }
        }
    }
    digits
}

fn text<'f>(storage: &Storage, bytes: &'f [u8]) -> Result<ToSqlOutput<'f>, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "the text is not valid UTF-8".to_owned())?;
    let leans = !matches!(storage.affinity, Affinity::Text | Affinity::Blob);
    if !leans || !looks_like_a_number(text) {
        return Ok(ToSqlOutput::Borrowed(ValueRef::Text(bytes)));
    }
    number_of(storage.affinity, text)
        .filter(|number| {
            image(storage, number.into()).is_ok_and(|image| image.field() == Some(bytes))
        })
        .map(ToSqlOutput::Owned)
        .ok_or_else(|| {
            "the column's declared type would turn this text into another number; declare it as text".to_owned()
        })
}

/// What a column that leans towards numbers makes of `text`, where it can be told: a real number without a fraction may
/// become an integer, or an integer such a number.
fn number_of(affinity: Affinity, text: &str) -> Option<Value> {
    let whole = text.parse().ok().filter(|_| affinity != Affinity::Real);
    let real = || text.parse().ok().filter(|real: &f64| real.fract() != 0.0);
    whole
        .map(Value::Integer)
        .or_else(|| real().map(Value::Real))
}

/// Whether a column that leans towards numbers would turn `text` into one.
fn looks_like_a_number(text: &str) -> bool {
    let text = text.trim_matches([' ', '\t', '\n', '\u{b}', '\u{c}', '\r']);
    text.bytes()
        .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'e' | b'E'))
        && text.parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Just, prop_assert_eq, prop_assume, prop_oneof, proptest};
    use rusqlite::Connection;

    use super::{as_value, stored};
    use crate::engine::sqlite::image::image;
    use crate::engine::sqlite::types::{Affinity, Storage, affinity, declared};
    use crate::model::table::NeutralType;
    use crate::wire::numeric;
    use rusqlite::types::Value;

    proptest! {
        #[test]
        fn a_decimal_that_is_stored_reads_back(
            units in -999_999_999_999_999_i64..=999_999_999_999_999, fewer in 0_u32..15, point in 0_u32..30, more in 0_u32..10,
        ) {
            let scale = point + more;
            let sent = numeric::encode(&format!("{}e-{point}", units / 10_i64.pow(fewer))).unwrap();
            let sent = numeric::with_scale(&sent, scale).unwrap();
            let storage = Storage { kind: NeutralType::Numeric, scale: Some(scale), affinity: Affinity::Numeric };
            let bound = stored(&storage, Some(&sent)).unwrap();
            let read = image(&storage, as_value(&bound)).unwrap();
            prop_assert_eq!(read.field(), Some(&*sent));
        }

        #[test]
        fn text_that_is_stored_reads_back_whatever_the_column_makes_of_it(
            native in prop_oneof![Just("interval"), Just("inet"), Just("double unsigned"), Just("json"), Just("char(9)")],
            sent in "[ ]?[+-]?[0-9]{0,3}[.]?[0-9]{0,2}(e[+-]?[0-9]{1,2})?",
        ) {
            let storage = Storage { kind: declared(native).kind, scale: None, affinity: affinity(native) };
            prop_assume!(native != "json" || serde_json::from_str::<serde_json::Value>(&sent).is_ok());
            if let Ok(bound) = stored(&storage, Some(sent.as_bytes())) {
                let site = Connection::open_in_memory().unwrap();
                site.execute_batch(&format!("create table t (a {native})")).unwrap();
                site.execute("insert into t values (?1)", [bound]).unwrap();
                site.query_row("select a from t", [], |row| {
                    let read = image(&storage, row.get_ref(0)?).unwrap();
                    assert_eq!(read.field(), Some(sent.as_bytes()));
                    Ok(())
                }).unwrap();
            }
        }
    }

    fn bound(kind: NeutralType, affinity: Affinity, bytes: &[u8]) -> Result<Value, String> {
        let storage = Storage {
            kind,
            scale: None,
            affinity,
        };
        stored(&storage, Some(bytes)).map(|bound| as_value(&bound).try_into().unwrap())
    }

    #[test]
    fn values_take_the_form_of_the_design_table() {
        use NeutralType::{Bool, Date, Jsonb, Numeric, Time, Timestamp, Timestamptz, Uuid};
        let text = |text: &str| Ok(Value::Text(text.to_owned()));
        let micro = 1_i64.to_be_bytes();
        assert_eq!(bound(Bool, Affinity::Numeric, &[1]), Ok(Value::Integer(1)));
        assert_eq!(
            bound(Date, Affinity::Text, &0_i32.to_be_bytes()),
            text("2000-01-01")
        );
        assert_eq!(bound(Time, Affinity::Text, &micro), text("00:00:00.000001"));
        assert_eq!(
            bound(Timestamp, Affinity::Text, &micro),
            text("2000-01-01 00:00:00.000001")
        );
        assert_eq!(
            bound(Timestamptz, Affinity::Text, &micro),
            text("2000-01-01 00:00:00.000001Z")
        );
        assert_eq!(
            bound(Uuid, Affinity::Text, &[0xab; 16]),
            text("abababab-abab-abab-abab-abababababab")
        );
        assert_eq!(
            bound(Jsonb, Affinity::Text, b"\x01{\"a\": 1}"),
            text("{\"a\": 1}")
        );
        let number = |text: &str| numeric::encode(text).unwrap();
        assert_eq!(
            bound(Numeric, Affinity::Numeric, &number("12.50")),
            Ok(Value::Real(12.5))
        );
        assert_eq!(
            bound(Numeric, Affinity::Numeric, &number("5.00")),
            Ok(Value::Integer(5))
        );
        assert_eq!(bound(Numeric, Affinity::Text, &number("NaN")), text("NaN"));
        assert_eq!(
            bound(Numeric, Affinity::Text, &number("12.50")),
            text("12.50")
        );
    }

    #[test]
    fn what_the_column_would_change_is_refused() {
        use NeutralType::{Float8, Int8, Json, Numeric, Other, Text};
        let number = |text: &str| numeric::encode(text).unwrap();
        assert!(bound(Float8, Affinity::Real, &f64::NAN.to_be_bytes()).is_err());
        assert!(bound(Float8, Affinity::Real, &f64::INFINITY.to_be_bytes()).is_ok());
        for text in [
            "NaN",
            "Infinity",
            "1234567890.1234567",
            "99999999999999999999",
        ] {
            assert!(
                bound(Numeric, Affinity::Numeric, &number(text)).is_err(),
                "{text}"
            );
        }
        assert!(
            bound(
                Numeric,
                Affinity::Numeric,
                &number("0.00000000000000000123456789012345")
            )
            .is_ok()
        );
        for text in ["0123", "1.0", " 5", "1e5", ".5", "99999999999999999999"] {
            assert!(
                bound(Other, Affinity::Numeric, text.as_bytes()).is_err(),
                "{text}"
            );
        }
        assert!(bound(Json, Affinity::Numeric, b"12.5").is_err());
        assert!(bound(Json, Affinity::Numeric, b"12").is_ok());
        assert!(bound(Other, Affinity::Real, b"12").is_err());
        assert_eq!(
            bound(Other, Affinity::Numeric, b"-7"),
            Ok(Value::Integer(-7))
        );
        assert_eq!(
            bound(Other, Affinity::Numeric, b"12.5"),
            Ok(Value::Real(12.5))
        );
        for text in ["2024-01-01", "infinity", "nan", "-", "", "e", "1 day"] {
            assert_eq!(
                bound(Other, Affinity::Numeric, text.as_bytes()),
                Ok(Value::Text(text.to_owned())),
                "{text}"
            );
        }
        assert!(bound(Text, Affinity::Text, b"\xff").is_err());
        assert!(bound(Int8, Affinity::Integer, b"123").is_err());
    }
}
