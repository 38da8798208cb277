//! The JSON of every type, and that no bytes break out of it.

use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};
use proptest::sample::select;

use serde::de::IgnoredAny;

use super::{JsonForm, field_to_json, field_to_text, row_to_json};
use crate::model::table::NeutralType;
use crate::wire::row::RowWriter;
use crate::wire::{datetime, numeric};

fn examples() -> Vec<(NeutralType, Vec<u8>, &'static str, &'static str)> {
    let moment = datetime::timestamp_from_text("2024-02-29 12:00:00.5", false).unwrap();
    let uuid = hex::decode("00112233445566778899aabbccddeeff").unwrap();
    vec![
        (NeutralType::Bool, vec![1], "true", "true"),
        (NeutralType::Bool, vec![0], "false", "false"),
        (NeutralType::Int2, (-5_i16).to_be_bytes().into(), "-5", "-5"),
        (
            NeutralType::Int8,
            i64::MAX.to_be_bytes().into(),
            "9223372036854775807",
            "9223372036854775807",
        ),
        (
            NeutralType::Float4,
            0.1_f32.to_be_bytes().into(),
            "0.1",
            "0.1",
        ),
        (
            NeutralType::Float8,
            0.1_f64.to_be_bytes().into(),
            "0.1",
            "0.1",
        ),
        (
            NeutralType::Float4,
            f32::NAN.to_be_bytes().into(),
            "\"NaN\"",
            "NaN",
        ),
        (
            NeutralType::Float8,
            f64::INFINITY.to_be_bytes().into(),
            "\"Infinity\"",
            "Infinity",
        ),
        (
            NeutralType::Float8,
            f64::NEG_INFINITY.to_be_bytes().into(),
            "\"-Infinity\"",
            "-Infinity",
        ),
        (
            NeutralType::Numeric,
            numeric::encode("1.00").unwrap(),
            "\"1.00\"",
            "1.00",
        ),
        (
            NeutralType::Text,
            "a \"b\"\n\u{1}é".into(),
            r#""a \"b\"\n\u0001é""#,
            "a \"b\"\n\u{1}é",
        ),
        (NeutralType::Bytea, vec![0xff, 0xfe], "\"//4=\"", "\\xfffe"),
        (
            NeutralType::Date,
            0_i32.to_be_bytes().into(),
            "\"2000-01-01\"",
            "2000-01-01",
        ),
        (
            NeutralType::Time,
            0_i64.to_be_bytes().into(),
            "\"00:00:00.000000\"",
            "00:00:00.000000",
        ),
        (
            NeutralType::Timestamp,
            moment.into(),
            "\"2024-02-29T12:00:00.500000\"",
            "2024-02-29 12:00:00.500000",
        ),
        (
            NeutralType::Timestamptz,
            moment.into(),
            "\"2024-02-29T12:00:00.500000Z\"",
            "2024-02-29 12:00:00.500000Z",
        ),
        (
            NeutralType::Uuid,
            uuid,
            "\"00112233-4455-6677-8899-aabbccddeeff\"",
            "00112233-4455-6677-8899-aabbccddeeff",
        ),
        (
            NeutralType::Json,
            r#"{"b":1.500000000000000000000001, "a":1e999,"a":"\ud800"}"#.into(),
            r#"{"b":1.500000000000000000000001, "a":1e999,"a":"\ud800"}"#,
            r#"{"b":1.500000000000000000000001, "a":1e999,"a":"\ud800"}"#,
        ),
        (
            NeutralType::Jsonb,
            b"\x01[1.50]".to_vec(),
            "[1.50]",
            "[1.50]",
        ),
        (NeutralType::Other, "[1,2)".into(), "\"[1,2)\"", "[1,2)"),
    ]
}

#[test]
fn every_type_has_its_json_and_its_text() {
    for (kind, bytes, json, text) in examples() {
        assert_eq!(
            field_to_json(kind, Some(&bytes)).unwrap().get(),
            json,
            "{kind:?}"
        );
        assert_eq!(field_to_text(kind, Some(&bytes)), text, "{kind:?}");
        assert_eq!(field_to_json(kind, None).unwrap().get(), "null");
    }
    assert_eq!(field_to_text(NeutralType::Text, None), "null");
    assert_eq!(field_to_text(NeutralType::Int4, Some(&[1])), "\\x01");
}

#[test]
fn a_deeply_nested_document_is_embedded_without_running_out_of_stack() {
    let depth = 200_000;
    let document = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let json = field_to_json(NeutralType::Json, Some(document.as_bytes())).unwrap();
    assert_eq!(json.get(), document);
}

#[test]
fn a_row_is_one_object_in_column_order() {
    let columns = [
        ("z \"1\"".to_owned(), NeutralType::Int4),
        ("a".to_owned(), NeutralType::Json),
        ("gone".to_owned(), NeutralType::Text),
    ];
    let row = |json: &[u8]| {
        let mut writer = RowWriter::default();
        writer.begin(3);
        writer.field(Some(&7_i32.to_be_bytes()));
        writer.field(Some(json));
        writer.field(None);
        row_to_json(JsonForm::Published, &columns, &writer.take().data)
    };
    assert_eq!(
        row(b" {\"k\":0.10} ").unwrap().get(),
        r#"{"z \"1\"":7,"a":{"k":0.10},"gone":null}"#
    );
    assert!(row(b"1,\"admin\":true").is_err());
    assert!(row(b"").is_err());
    assert!(row_to_json(JsonForm::Published, &columns, &[0, 0]).is_err());
}

proptest! {
    #[test]
    fn any_bytes_are_an_error_or_one_json_value_but_never_a_panic(
        kind in select(NeutralType::ALL), bytes in prop::collection::vec(any::<u8>(), 0..20))
    {
        let _ = field_to_text(kind, Some(&bytes));
        if let Ok(json) = field_to_json(kind, Some(&bytes)) {
            prop_assert!(serde_json::from_str::<IgnoredAny>(json.get()).is_ok());
        }
    }

    #[test]
    fn any_text_comes_back(text: String) {
        let json = field_to_json(NeutralType::Text, Some(text.as_bytes())).unwrap();
        prop_assert_eq!(serde_json::from_str::<String>(json.get()).unwrap(), text);
    }

    #[test]
    fn any_finite_float_comes_back(single: f32, double: f64) {
        if single.is_finite() && double.is_finite() {
            let json = field_to_json(NeutralType::Float4, Some(&single.to_be_bytes())).unwrap();
            prop_assert_eq!(json.get().parse::<f32>().unwrap().to_bits(), single.to_bits());
            let json = field_to_json(NeutralType::Float8, Some(&double.to_be_bytes())).unwrap();
            prop_assert_eq!(json.get().parse::<f64>().unwrap().to_bits(), double.to_bits());
        }
    }
}
