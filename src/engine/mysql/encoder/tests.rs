//! Parameters of every form, and refusals.

use crate::engine::mysql::encoder::Encoder;
use crate::engine::mysql::value::{Kind, Value};
use crate::model::fixture;
use crate::model::table::{Column, NeutralType};
use crate::wire::{datetime, numeric};

fn column(native: &str, kind: NeutralType) -> Column {
    Column {
        native: native.into(),
        ..fixture::column("c", kind)
    }
}

fn encoded(column: &Column, field: &[u8]) -> Result<Value<'static>, String> {
    let value = Encoder::of(column).encode(Some(field));
    value
        .map(|value| match value {
            Value::Null(kind) => Value::Null(kind),
            Value::Integer(number) => Value::Integer(number),
            Value::Unsigned(number) => Value::Unsigned(number),
            Value::Float(number) => Value::Float(number),
            Value::Double(number) => Value::Double(number),
            Value::Text(text) => Value::Text(text.into_owned().into()),
            Value::Bytes(bytes) => Value::Bytes(bytes.into_owned().into()),
        })
        .map_err(|refusal| {
            assert_eq!(refusal.column.as_deref(), Some("c"));
            refusal.reason
        })
}

fn moment(text: &str) -> [u8; 8] {
    datetime::timestamp_from_text(text, false).unwrap()
}

#[test]
fn every_form_has_a_parameter() {
    let text = |text: &'static str| Ok(Value::Text(text.into()));
    let number = |text: &str| numeric::encode(text).unwrap();
    for (native, kind, field, expected) in [
        (
            "tinyint(1)",
            NeutralType::Bool,
            vec![1],
            Ok(Value::Integer(1)),
        ),
        ("bit(1)", NeutralType::Bool, vec![0], Ok(Value::Integer(0))),
        (
            "tinyint(4)",
            NeutralType::Int2,
            vec![0xFF, 0xFE],
            Ok(Value::Integer(-2)),
        ),
        (
            "int(10) unsigned",
            NeutralType::Int8,
            vec![0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF],
            Ok(Value::Integer(4_294_967_295)),
        ),
        (
            "bigint(20) unsigned",
            NeutralType::Numeric,
            number("18446744073709551615"),
            Ok(Value::Unsigned(u64::MAX)),
        ),
        (
            "float",
            NeutralType::Float4,
            1.5_f32.to_be_bytes().to_vec(),
            Ok(Value::Float(1.5)),
        ),
        (
            "double",
            NeutralType::Float8,
            5e-324_f64.to_be_bytes().to_vec(),
            Ok(Value::Double(5e-324)),
        ),
        (
            "decimal(12,2)",
            NeutralType::Numeric,
            number("-12.50"),
            text("-12.50"),
        ),
        (
            "date",
            NeutralType::Date,
            datetime::date_from_text("0001-01-01").unwrap().to_vec(),
            text("0001-01-01"),
        ),
        (
            "time(6)",
            NeutralType::Time,
            datetime::time_from_text("24:00:00").unwrap().to_vec(),
            text("24:00:00.000000"),
        ),
        (
            "datetime(6)",
            NeutralType::Timestamp,
            moment("9999-12-31 23:59:59.999999").to_vec(),
            text("9999-12-31 23:59:59.999999"),
        ),
        (
            "timestamp(6)",
            NeutralType::Timestamptz,
            moment("2024-02-29 12:00:00.5").to_vec(),
            text("2024-02-29 12:00:00.500000"),
        ),
        (
            "uuid",
            NeutralType::Uuid,
            vec![0xAB; 16],
            text("abababab-abab-abab-abab-abababababab"),
        ),
        ("json", NeutralType::Jsonb, b"\x01{}".to_vec(), text("{}")),
        ("json", NeutralType::Json, b"[1]".to_vec(), text("[1]")),
        (
            "longtext",
            NeutralType::Text,
            "\0größe ".into(),
            text("\0größe "),
        ),
        (
            "binary(2)",
            NeutralType::Bytea,
            vec![0, 255],
            Ok(Value::Bytes(vec![0, 255].into())),
        ),
        (
            "bit(9)",
            NeutralType::Other,
            b"100000001".to_vec(),
            Ok(Value::Unsigned(257)),
        ),
        (
            "point",
            NeutralType::Other,
            b"0101000020E6100000000000000000F03F0000000000000040".to_vec(),
            Ok(Value::Bytes(
                hex::decode("E61000000101000000000000000000F03F0000000000000040")
                    .unwrap()
                    .into(),
            )),
        ),
        (
            "geometry",
            NeutralType::Other,
            b"0101000000000000000000F03F0000000000000040".to_vec(),
            Ok(Value::Bytes(
                hex::decode("000000000101000000000000000000F03F0000000000000040")
                    .unwrap()
                    .into(),
            )),
        ),
        ("inet6", NeutralType::Other, b"::1".to_vec(), text("::1")),
    ] {
        let mut column = column(native, kind);
        column.scale = native.starts_with("decimal").then_some(2);
        column.length = native.starts_with("binary").then_some(2);
        assert_eq!(encoded(&column, &field), expected, "{native}");
    }
}

#[test]
fn what_a_column_would_change_in_silence_is_refused_without_the_value() {
    let number = |text: &str| numeric::encode(text).unwrap();
    let text = |text: &str| text.as_bytes().to_vec();
    let padded = |most: usize| format!("{}{}", "4711".repeat(most / 4), " ".repeat(most % 4 + 1));
    for (native, kind, (scale, precision, length), field) in [
        (
            "char(9)",
            NeutralType::Text,
            (None, None, Some(9)),
            text("4711 "),
        ),
        (
            "varchar(5)",
            NeutralType::Text,
            (None, None, Some(5)),
            text("4711  "),
        ),
        (
            "tinytext",
            NeutralType::Text,
            (None, None, None),
            text(&padded(255)),
        ),
        (
            "text",
            NeutralType::Text,
            (None, None, None),
            text(&padded(65_535)),
        ),
        (
            "binary(9)",
            NeutralType::Bytea,
            (None, None, Some(9)),
            text("4711"),
        ),
        (
            "decimal(5,2)",
            NeutralType::Numeric,
            (Some(2), Some(5), None),
            number("1.4711"),
        ),
        (
            "decimal(5,2)",
            NeutralType::Numeric,
            (Some(2), Some(5), None),
            number("NaN"),
        ),
        (
            "bigint(20) unsigned",
            NeutralType::Numeric,
            (None, None, None),
            number("-4711"),
        ),
        (
            "bigint(20) unsigned",
            NeutralType::Numeric,
            (None, None, None),
            number("4711.5"),
        ),
        (
            "bigint(20) unsigned",
            NeutralType::Numeric,
            (None, None, None),
            number("47110000000000000000"),
        ),
        (
            "double",
            NeutralType::Float8,
            (None, None, None),
            (-0.0_f64).to_be_bytes().to_vec(),
        ),
        (
            "float",
            NeutralType::Float4,
            (None, None, None),
            f32::NEG_INFINITY.to_be_bytes().to_vec(),
        ),
        (
            "datetime(3)",
            NeutralType::Timestamp,
            (None, Some(3), None),
            moment("4711-01-01 00:00:00.0001").to_vec(),
        ),
        (
            "datetime",
            NeutralType::Timestamp,
            (None, Some(0), None),
            moment("4711-01-01 00:00:00.5").to_vec(),
        ),
        (
            "datetime(6)",
            NeutralType::Timestamp,
            (None, None, None),
            moment("4711-01-01 00:00:00 BC").to_vec(),
        ),
        (
            "datetime(6)",
            NeutralType::Timestamp,
            (None, None, None),
            moment("14711-01-01 00:00:00").to_vec(),
        ),
        (
            "datetime(6)",
            NeutralType::Timestamp,
            (None, None, None),
            moment("infinity").to_vec(),
        ),
        (
            "date",
            NeutralType::Date,
            (None, None, None),
            datetime::date_from_text("4711-01-01 BC").unwrap().to_vec(),
        ),
        (
            "year(4)",
            NeutralType::Int2,
            (None, None, None),
            47_i16.to_be_bytes().to_vec(),
        ),
        (
            "enum('a','4')",
            NeutralType::Other,
            (None, None, None),
            text("4711"),
        ),
        (
            "set('a','4711')",
            NeutralType::Other,
            (None, None, None),
            text("4711,a"),
        ),
        (
            "bit(9)",
            NeutralType::Other,
            (None, None, None),
            text("4711"),
        ),
        (
            "point",
            NeutralType::Other,
            (None, None, None),
            text("4711"),
        ),
        (
            "longtext",
            NeutralType::Text,
            (None, None, None),
            b"4711\xFF".to_vec(),
        ),
        (
            "int(11)",
            NeutralType::Int4,
            (None, None, None),
            text("47111"),
        ),
    ] {
        let column = Column {
            scale,
            precision,
            length,
            ..column(native, kind)
        };
        let reason = encoded(&column, &field).expect_err(native);
        assert!(!reason.contains("4711"), "{native}: {reason}");
    }
}

#[test]
fn null_is_announced_as_the_column_s_type_and_only_where_it_may_stand() {
    let mut column = column("int(11)", NeutralType::Int4);
    let null = Encoder::of(&column).encode(None);
    assert_eq!(null, Ok(Value::Null(Kind::Integer)));
    column.nullable = false;
    let refusal = Encoder::of(&column).encode(None).unwrap_err();
    assert!(refusal.reason.contains("NULL"), "{refusal:?}");
}

#[test]
fn columns_that_may_change_what_they_take_are_not_exact() {
    for (native, kind, exact) in [
        ("int(11)", NeutralType::Int4, true),
        ("float", NeutralType::Float4, true),
        ("float(7,3)", NeutralType::Float4, false),
        ("double(7,3)", NeutralType::Float8, false),
        ("decimal(7,3)", NeutralType::Numeric, true),
        ("enum('a')", NeutralType::Other, true),
        ("bit(9)", NeutralType::Other, true),
        ("inet6", NeutralType::Other, false),
        ("point", NeutralType::Other, false),
        ("json", NeutralType::Json, true),
        ("json", NeutralType::Jsonb, false),
    ] {
        assert_eq!(
            Encoder::of(&column(native, kind)).is_exact(),
            exact,
            "{native}"
        );
    }
}
