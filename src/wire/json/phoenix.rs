//! Values in the forms a PhoenixKit site takes: bytes in a wrapper, text in it where that site would take it for a date,
//! and numbers in the one form that keeps their digits.
//!
//! Invariant: a value that has no such form is sent in one which that site refuses, never in one it would change.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::model::table::NeutralType;
use crate::wire::json::{field_json, serialized};
use crate::wire::{InvalidValue, field, numeric};

/// The one key of the object in which bytes travel.
pub(super) const WRAPPER: &str = "__phoenix_kit_binary__";

/// One value that is not NULL.
pub(super) fn value_json(kind: NeutralType, bytes: &[u8]) -> Result<String, InvalidValue> {
    match kind {
        NeutralType::Uuid => {
            field::uuid_text(bytes)?;
            Ok(wrapped(bytes))
        }
        NeutralType::Bytea => Ok(wrapped(bytes)),
        NeutralType::Text | NeutralType::Other => {
            let text = field::text(kind, bytes)?;
            if looks_like_a_moment(text) {
                return Ok(wrapped(bytes));
            }
            serialized(kind, text)
        }
        NeutralType::Json | NeutralType::Jsonb => {
            let document = field::json(kind, bytes)?.get();
            let text: Result<String, _> = serde_json::from_str(document);
            match text {
                Ok(text) if looks_like_a_moment(&text) => Ok(wrapped(text.as_bytes())),
                _ => Ok(document.to_owned()),
            }
        }
        NeutralType::Numeric => numeric_json(&numeric::decode(bytes)?),
        NeutralType::Float4 => float_json(kind, field::float4(bytes)?.into(), bytes),
        NeutralType::Float8 => float_json(kind, field::float8(bytes)?, bytes),
        NeutralType::Bool
        | NeutralType::Int2
        | NeutralType::Int4
        | NeutralType::Int8
        | NeutralType::Date
        | NeutralType::Time
        | NeutralType::Timestamp
        | NeutralType::Timestamptz => field_json(kind, Some(bytes)),
    }
}

fn wrapped(bytes: &[u8]) -> String {
    // Base64 has no character that JSON escapes.
    format!("{{\"{WRAPPER}\":\"{}\"}}", STANDARD.encode(bytes))
}

/// Whether a PhoenixKit site may take `text` for a date, a time or both: more than it does, since the wrapper does no
/// harm.
fn looks_like_a_moment(text: &str) -> bool {
    let text = text.trim_start_matches(['+', '-', 'T', 't', ' ']);
    let begins = |form: &str| {
        text.len() >= form.len()
            && form
                .bytes()
                .zip(text.bytes())
                .all(|(form, byte)| match form {
                    b'0' => byte.is_ascii_digit(),
                    form => form == byte,
                })
    };
    begins("0000-00-00") || begins("00:00")
}

/// A number where the reader's arithmetic gives back these very digits, else text with a dot; what is no number is text.
fn numeric_json(text: &str) -> Result<String, InvalidValue> {
    let is_whole = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'-');
    let comes_back = || {
        let float: Option<f64> = text.parse().ok().filter(|float: &f64| float.is_finite());
        float.is_some_and(|float| float.to_string() == text)
    };
    if is_whole || comes_back() {
        return Ok(text.to_owned());
    }
    serialized(NeutralType::Numeric, text)
}

/// As a number, and what is none in that site's own words.
fn float_json(kind: NeutralType, value: f64, bytes: &[u8]) -> Result<String, InvalidValue> {
    if value.is_finite() {
        return field_json(kind, Some(bytes));
    }
    let name = match (value.is_nan(), value > 0.0) {
        (true, _) => "NaN",
        (false, true) => "inf",
        (false, false) => "-inf",
    };
    serialized(kind, name)
}

#[cfg(test)]
mod tests {
    use super::value_json;
    use crate::model::table::NeutralType;
    use crate::wire::{datetime, numeric};

    fn json(kind: NeutralType, bytes: &[u8]) -> String {
        value_json(kind, bytes).unwrap()
    }

    #[test]
    fn numerics_are_numbers_where_their_digits_come_back_and_text_with_a_dot_elsewhere() {
        for (number, expected) in [
            ("5", "5"),
            ("-12", "-12"),
            ("12345678901234567890", "12345678901234567890"),
            ("5.25", "5.25"),
            ("0.1", "0.1"),
            ("12.50", "\"12.50\""),
            ("5.0", "\"5.0\""),
            ("0.10000000000000000001", "\"0.10000000000000000001\""),
            ("123456789012345678.5", "\"123456789012345678.5\""),
            ("1E-8", "0.00000001"),
            ("NaN", "\"NaN\""),
            ("-Infinity", "\"-Infinity\""),
        ] {
            let bytes = numeric::encode(number).unwrap();
            assert_eq!(json(NeutralType::Numeric, &bytes), expected);
        }
    }

    #[test]
    fn text_that_looks_like_a_moment_is_wrapped() {
        for text in [
            "2024-01-02",
            "2024-13-99",
            "2024-01-02 03:04:05",
            "2024-01-02T03:04:05Z and more",
            "03:04:05",
            "03:04",
            "T03:04:05",
            "-0001-01-01",
            "+2024-01-02",
        ] {
            let found = json(NeutralType::Text, text.as_bytes());
            assert!(
                found.starts_with("{\"__phoenix_kit_binary__\":\""),
                "{text}"
            );
        }
        for text in ["", "2024", "1-2-3", "é-00-00-00", "see 2024-01-02", "12:3"] {
            let plain = serde_json::to_string(text).unwrap();
            assert_eq!(json(NeutralType::Text, text.as_bytes()), plain);
        }
    }

    #[test]
    fn bytes_moments_floats_and_documents_have_their_forms() {
        let uuid = [0x61; 16];
        let wrapper = r#"{"__phoenix_kit_binary__":"YWFhYWFhYWFhYWFhYWFhYQ=="}"#;
        assert_eq!(json(NeutralType::Uuid, &uuid), wrapper);
        assert_eq!(json(NeutralType::Bytea, &uuid), wrapper);
        assert!(value_json(NeutralType::Uuid, b"short").is_err());
        let moment = datetime::timestamp_from_text("2024-02-29 12:00:00.5", false).unwrap();
        for (kind, bytes, expected) in [
            (
                NeutralType::Timestamp,
                &moment[..],
                "\"2024-02-29T12:00:00.500000\"",
            ),
            (
                NeutralType::Timestamptz,
                &moment,
                "\"2024-02-29T12:00:00.500000Z\"",
            ),
            (NeutralType::Float8, &f64::INFINITY.to_be_bytes(), "\"inf\""),
            (NeutralType::Float4, &f32::NAN.to_be_bytes(), "\"NaN\""),
            (NeutralType::Float4, &0.1_f32.to_be_bytes(), "0.1"),
            (NeutralType::Jsonb, b"\x01{\"a\":1.50}", "{\"a\":1.50}"),
            (NeutralType::Json, b"\"plain\"", "\"plain\""),
            (
                NeutralType::Json,
                b"\"2024-01-02\"",
                r#"{"__phoenix_kit_binary__":"MjAyNC0wMS0wMg=="}"#,
            ),
            (NeutralType::Bool, &[1], "true"),
        ] {
            assert_eq!(json(kind, bytes), expected);
        }
    }
}
