//! What is read, what is refused, and that what we write for a PhoenixKit site is read back.

use proptest::prelude::{any, prop, prop_assert_eq, proptest};
use serde_json::value::RawValue;

use super::{field_from_json, row};
use crate::model::fixture::column;
use crate::model::table::NeutralType;
use crate::wire::json::phoenix::value_json;
use crate::wire::json::{field_to_json, field_to_text};
use crate::wire::numeric;

/// The field, as a person reads it.
fn read(kind: NeutralType, json: &str) -> Option<String> {
    let json: &RawValue = serde_json::from_str(json).unwrap();
    let field = field_from_json(&column("c", kind), json).ok()?;
    Some(field_to_text(kind, field.as_deref()))
}

#[test]
fn every_form_of_a_phoenixkit_site_is_read_as_it_was_meant() {
    let wrapped = |bytes: &[u8]| {
        let bytes = value_json(NeutralType::Bytea, bytes).unwrap();
        bytes.leak()
    };
    let uuid = "61616161-6161-6161-6161-616161616161";
    for (kind, json, expected) in [
        (NeutralType::Bool, "true", "true"),
        (NeutralType::Int2, "-32768", "-32768"),
        (
            NeutralType::Int8,
            "9223372036854775807",
            "9223372036854775807",
        ),
        (NeutralType::Float4, "0.10000000149011612", "0.1"),
        (NeutralType::Float8, "1.0e-8", "1e-8"),
        (NeutralType::Float8, "\"NaN\"", "NaN"),
        (NeutralType::Float8, "\"-inf\"", "-Infinity"),
        (NeutralType::Float4, "\"inf\"", "Infinity"),
        (NeutralType::Numeric, "\"12.50\"", "12.50"),
        (NeutralType::Numeric, "\"5\"", "5"),
        (NeutralType::Numeric, "\"1E-8\"", "0.00000001"),
        (NeutralType::Numeric, "\"NaN\"", "NaN"),
        (
            NeutralType::Numeric,
            "0.10000000000000000000000001",
            "0.10000000000000000000000001",
        ),
        (NeutralType::Text, "\"a \\\"b\\\" é\"", "a \"b\" é"),
        (NeutralType::Text, "\"2024-01-02\"", "2024-01-02"),
        (
            NeutralType::Text,
            wrapped("2024-01-02".as_bytes()),
            "2024-01-02",
        ),
        (NeutralType::Bytea, "\"abc\"", "\\x616263"),
        (NeutralType::Bytea, wrapped(&[0xff, 0]), "\\xff00"),
        (NeutralType::Uuid, wrapped(&[0x61; 16]), uuid),
        (NeutralType::Uuid, "\"aaaaaaaaaaaaaaaa\"", uuid),
        (
            NeutralType::Uuid,
            "\"61616161-6161-6161-6161-616161616161\"",
            uuid,
        ),
        (NeutralType::Date, "\"2024-02-29\"", "2024-02-29"),
        (NeutralType::Time, "\"03:04:05.000000\"", "03:04:05.000000"),
        (
            NeutralType::Timestamp,
            "\"2024-01-02T03:04:05.000001\"",
            "2024-01-02 03:04:05.000001",
        ),
        (
            NeutralType::Timestamptz,
            "\"2024-01-02T01:04:05.500000Z\"",
            "2024-01-02 01:04:05.500000Z",
        ),
        (NeutralType::Jsonb, "{\"a\":1.50}", "{\"a\":1.50}"),
        (NeutralType::Json, "\"text\"", "\"text\""),
        (NeutralType::Jsonb, wrapped(b"x"), wrapped(b"x")),
        (NeutralType::Other, "\"sad\"", "sad"),
        (NeutralType::Other, "17", "17"),
        (NeutralType::Other, "[1,null,[2.50,3]]", "{1,NULL,{2.50,3}}"),
        (
            NeutralType::Other,
            r#"["a","","a b","nUll","\"\\"]"#,
            r#"{a,"","a b","nUll","\"\\"}"#,
        ),
        (NeutralType::Other, "[]", "{}"),
        (NeutralType::Text, "null", "null"),
    ] {
        assert_eq!(
            read(kind, json).as_deref(),
            Some(expected),
            "{kind:?} {json}"
        );
    }
}

#[test]
fn what_is_no_value_of_the_type_is_refused() {
    for (kind, json) in [
        (NeutralType::Bool, "1"),
        (NeutralType::Bool, "\"true\""),
        (NeutralType::Int2, "32768"),
        (NeutralType::Int4, "1.0"),
        (NeutralType::Int4, "1e3"),
        (NeutralType::Int8, "true"),
        (NeutralType::Int8, "\"\""),
        (NeutralType::Float4, "1e39"),
        (NeutralType::Float8, "1e999"),
        (NeutralType::Float8, "\"nan\""),
        (NeutralType::Numeric, "\"12,50\""),
        (NeutralType::Numeric, "[1]"),
        (NeutralType::Text, "7"),
        (NeutralType::Text, "{}"),
        (NeutralType::Text, "\"a\\u0000b\""),
        (NeutralType::Text, "\"\\ud800\""),
        (NeutralType::Text, "{\"__phoenix_kit_binary__\":\"/w==\"}"),
        (NeutralType::Bytea, "{\"__phoenix_kit_binary__\":\"*\"}"),
        (NeutralType::Bytea, "{\"__phoenix_kit_binary__\":7}"),
        (NeutralType::Bytea, "[1,2]"),
        (NeutralType::Uuid, "\"61616161\""),
        (NeutralType::Uuid, "{\"__phoenix_kit_binary__\":\"YQ==\"}"),
        (
            NeutralType::Uuid,
            "\"g1616161-6161-6161-6161-616161616161\"",
        ),
        (NeutralType::Date, "\"2024-02-30\""),
        (NeutralType::Date, "20240229"),
        (NeutralType::Time, "\"25:00:00\""),
        (NeutralType::Timestamp, "\"2024-01-02T03:04:05Z\""),
        (NeutralType::Timestamptz, "\"soon\""),
        (NeutralType::Other, "{\"a\":1}"),
        (NeutralType::Other, "[[[[[[[1]]]]]]]"),
        (
            NeutralType::Other,
            "[{\"__phoenix_kit_binary__\":\"YQ==\"}]",
        ),
    ] {
        assert_eq!(read(kind, json), None, "{kind:?} {json}");
    }
}

#[test]
fn the_padding_of_a_char_does_not_travel() {
    let mut padded = column("c", NeutralType::Text);
    padded.native = "character(5)".to_owned();
    let json: &RawValue = serde_json::from_str("\"ab   \"").unwrap();
    assert_eq!(field_from_json(&padded, json), Ok(Some(b"ab".to_vec())));
}

#[test]
fn a_row_is_an_object() {
    let found = row(br#"{"a":1.50,"b\u0020c":[]}"#).unwrap();
    assert_eq!(found["a"].get(), "1.50");
    assert_eq!(found["b c"].get(), "[]");
    for none in ["[1]", "{", "7", "{\"a\":}"] {
        assert!(row(none.as_bytes()).is_err(), "{none}");
    }
}

proptest! {
    #[test]
    fn what_is_written_for_a_phoenixkit_site_is_read_back(
        text: String, bytes in prop::collection::vec(any::<u8>(), 0..40), uuid: [u8; 16], number: i64,
        digits in "-?[1-9][0-9]{0,25}(\\.[0-9]{1,12})?", micros in -1_000_000_000_000_000_i64..1_000_000_000_000_000)
    {
        let text = text.replace('\0', "");
        let float = f64::from_bits(number.unsigned_abs());
        let moment = micros.to_be_bytes();
        let decimal = numeric::encode(&digits).unwrap();
        let single = f32::from_bits(u32::try_from(number.unsigned_abs() >> 32).unwrap()).to_be_bytes();
        for (kind, value) in [
            (NeutralType::Text, text.as_bytes()),
            (NeutralType::Other, text.as_bytes()),
            (NeutralType::Bytea, &bytes),
            (NeutralType::Uuid, &uuid),
            (NeutralType::Int8, &number.to_be_bytes()),
            (NeutralType::Float8, &float.to_be_bytes()),
            (NeutralType::Float4, &single),
            (NeutralType::Numeric, &decimal),
            (NeutralType::Timestamp, &moment),
            (NeutralType::Timestamptz, &moment),
        ] {
            let json = value_json(kind, value).unwrap();
            let json: &RawValue = serde_json::from_str(&json).unwrap();
            let field = field_from_json(&column("c", kind), json).unwrap().unwrap();
            prop_assert_eq!(field_to_text(kind, Some(&field)), field_to_text(kind, Some(value)), "{:?} {}", kind, json);
            if kind != NeutralType::Bytea {
                let published = field_to_json(kind, Some(value)).unwrap();
                let field = field_from_json(&column("c", kind), &published).unwrap().unwrap();
                prop_assert_eq!(field_to_text(kind, Some(&field)), field_to_text(kind, Some(value)), "{:?}", kind);
            }
        }
    }
}
