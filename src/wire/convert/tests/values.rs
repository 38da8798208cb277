//! Which values fit into which widths, and what becomes of them.

use std::borrow::Cow;

use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};
use proptest::sample::select;

use super::{FROM_SQLITE, POSTGRES, TO_SQLITE, column, decimal, moment, varchar};
use crate::model::table::{Column, NeutralType};
use crate::wire::convert::{Conversion, RowConversion, Sides, conversion};
use crate::wire::frame::MAX_ROW_BYTES;
use crate::wire::row::{RowWriter, split_tuple};
use crate::wire::{InvalidValue, datetime, numeric};

fn apply(source: &Column, target: &Column, sides: Sides, value: &[u8]) -> Result<Vec<u8>, String> {
    conversion(source, target, sides)
        .map_err(|err| err.to_string())?
        .apply(value)
        .map(Cow::into_owned)
        .map_err(|InvalidValue { found, .. }| found)
}

fn number(text: &str) -> Vec<u8> {
    numeric::encode(text).unwrap()
}

#[test]
fn a_value_too_wide_says_how_without_being_named() {
    let text = column(NeutralType::Text);
    let free = column(NeutralType::Numeric);
    let cases: Vec<(Column, Column, Vec<u8>, &str)> = vec![
        (
            text.clone(),
            varchar(10),
            "élevénlèttér".into(),
            "has 12 characters, varchar(10) holds 10",
        ),
        (
            free.clone(),
            decimal(5, 2),
            number("1.555"),
            "has 3 digits after the point, numeric(5,2) holds 2",
        ),
        (
            free.clone(),
            decimal(5, 2),
            number("-1000"),
            "has 4 digits before the point, numeric(5,2) holds 3",
        ),
        (
            free.clone(),
            decimal(3, 5),
            number("0.01"),
            "is too large for numeric(3,5)",
        ),
        (
            free.clone(),
            decimal(3, 5),
            number("1"),
            "has 1 digits before the point, numeric(3,5) holds 0",
        ),
        (
            free,
            decimal(5, 2),
            number("Infinity"),
            "is Infinity, numeric(5,2) cannot hold it",
        ),
        (
            column(NeutralType::Int8),
            column(NeutralType::Int4),
            (1_i64 << 31).to_be_bytes().into(),
            "is out of the range of int4",
        ),
        (
            column(NeutralType::Int4),
            decimal(3, 1),
            100_i32.to_be_bytes().into(),
            "has 3 digits before the point, numeric(3,1) holds 2",
        ),
        (
            decimal(20, 0),
            column(NeutralType::Int8),
            number("9223372036854775808"),
            "is no whole number int8 can hold",
        ),
        (
            decimal(20, 0),
            column(NeutralType::Int2),
            number("32768"),
            "is out of the range of int2",
        ),
        (
            column(NeutralType::Float8),
            column(NeutralType::Float4),
            0.1_f64.to_be_bytes().into(),
            "has more digits or a larger exponent than float4 holds",
        ),
        (
            column(NeutralType::Time),
            moment(NeutralType::Time, 3),
            1_234_567_i64.to_be_bytes().into(),
            "has more than the 3 digits of a second that time(3) holds",
        ),
        (
            column(NeutralType::Json),
            column(NeutralType::Jsonb),
            "{".into(),
            "it is no JSON from line 1 column 1 on",
        ),
        (
            column(NeutralType::Date),
            varchar(9),
            0_i32.to_be_bytes().into(),
            "has 10 characters, varchar(9) holds 9",
        ),
    ];
    for (source, target, value, message) in cases {
        assert_eq!(
            apply(&source, &target, POSTGRES, &value),
            Err(message.to_owned())
        );
    }
}

#[test]
fn what_another_engine_holds_and_this_one_does_not_is_refused() {
    let text = column(NeutralType::Text);
    assert_eq!(
        apply(&text, &text, FROM_SQLITE, b"a\0b"),
        Err("has a NUL character, text cannot hold one".to_owned())
    );
    assert_eq!(
        apply(&text, &text, FROM_SQLITE, b"\xff"),
        Err("it is not UTF-8".to_owned())
    );
    assert!(apply(&text, &text, TO_SQLITE, b"a\0b").is_ok());
    let json = column(NeutralType::Json);
    assert!(apply(&json, &json, FROM_SQLITE, b"no json").is_err());
    let float = column(NeutralType::Float8);
    let nan = f64::NAN.to_be_bytes();
    assert_eq!(
        apply(&float, &float, TO_SQLITE, &nan),
        Err("is NaN, float8 cannot hold it".to_owned())
    );
    assert!(apply(&float, &float, TO_SQLITE, &f64::INFINITY.to_be_bytes()).is_ok());
    let free = column(NeutralType::Numeric);
    assert!(apply(&free, &free, TO_SQLITE, &number("NaN")).is_err());
    assert!(apply(&free, &decimal(5, 2), TO_SQLITE, &number("NaN")).is_err());
    assert!(apply(&free, &decimal(5, 2), POSTGRES, &number("NaN")).is_ok());
}

#[test]
fn a_value_that_fits_takes_the_form_of_its_column() {
    let moment = datetime::timestamp_from_text("2024-02-29 12:00:00.25", false)
        .unwrap()
        .to_vec();
    let int4 = column(NeutralType::Int4);
    let text = column(NeutralType::Text);
    let cases: Vec<(Column, Column, Vec<u8>, Vec<u8>)> = vec![
        (
            column(NeutralType::Int8),
            int4.clone(),
            (-7_i64).to_be_bytes().into(),
            (-7_i32).to_be_bytes().into(),
        ),
        (
            column(NeutralType::Int2),
            int4.clone(),
            (-7_i16).to_be_bytes().into(),
            (-7_i32).to_be_bytes().into(),
        ),
        (
            int4.clone(),
            decimal(5, 2),
            12_i32.to_be_bytes().into(),
            number("12.00"),
        ),
        (
            decimal(20, 0),
            int4,
            number("70000"),
            70_000_i32.to_be_bytes().into(),
        ),
        (
            column(NeutralType::Numeric),
            decimal(12, 2),
            number("1.5"),
            number("1.50"),
        ),
        (
            column(NeutralType::Numeric),
            decimal(12, 2),
            number("1.500"),
            number("1.50"),
        ),
        (
            column(NeutralType::Float4),
            column(NeutralType::Float8),
            0.5_f32.to_be_bytes().into(),
            0.5_f64.to_be_bytes().into(),
        ),
        (
            column(NeutralType::Float8),
            column(NeutralType::Float4),
            0.5_f64.to_be_bytes().into(),
            0.5_f32.to_be_bytes().into(),
        ),
        (
            column(NeutralType::Json),
            column(NeutralType::Jsonb),
            "[1.0]".into(),
            "\u{1}[1.0]".into(),
        ),
        (
            column(NeutralType::Jsonb),
            column(NeutralType::Json),
            "\u{1}[1.0]".into(),
            "[1.0]".into(),
        ),
        (
            column(NeutralType::Jsonb),
            text.clone(),
            "\u{1}[1.0]".into(),
            "[1.0]".into(),
        ),
        (
            column(NeutralType::Uuid),
            varchar(36),
            vec![0xAB; 16],
            "abababab-abab-abab-abab-abababababab".into(),
        ),
        (
            column(NeutralType::Timestamp),
            text.clone(),
            moment.clone(),
            "2024-02-29 12:00:00.250000".into(),
        ),
        (
            column(NeutralType::Timestamptz),
            text,
            moment,
            "2024-02-29 12:00:00.250000Z".into(),
        ),
    ];
    for (source, target, value, expected) in cases {
        assert_eq!(
            apply(&source, &target, POSTGRES, &value),
            Ok(expected),
            "{} into {}",
            source.native,
            target.native
        );
    }
}

#[test]
fn bytes_that_can_stay_are_not_copied() {
    for (source, target, value) in [
        (column(NeutralType::Text), varchar(10), b"short".to_vec()),
        (column(NeutralType::Numeric), decimal(5, 2), number("1.50")),
        (
            column(NeutralType::Jsonb),
            column(NeutralType::Text),
            b"\x01[]".to_vec(),
        ),
        (
            column(NeutralType::Timestamp),
            moment(NeutralType::Timestamp, 0),
            i64::MAX.to_be_bytes().to_vec(),
        ),
    ] {
        let conversion = conversion(&source, &target, POSTGRES).unwrap();
        assert!(
            matches!(conversion.apply(&value), Ok(Cow::Borrowed(_))),
            "{} into {}",
            source.native,
            target.native
        );
    }
}

#[test]
fn a_row_is_converted_whole_or_not_at_all() {
    let narrow = conversion(&column(NeutralType::Text), &varchar(3), POSTGRES).unwrap();
    let mut row = RowConversion::new(vec![Conversion::Pass]);
    row.push(narrow);
    assert!(!row.is_pass());
    assert!(RowConversion::new(vec![Conversion::Pass; 2]).is_pass());
    let tuple = |fields: &[Option<&[u8]>]| {
        let mut writer = RowWriter::default();
        writer.begin(u16::try_from(fields.len()).unwrap());
        fields.iter().for_each(|field| writer.field(*field));
        writer.take().data
    };
    let mut writer = RowWriter::default();
    let good = tuple(&[Some(b"any"), Some(b"abc")]);
    let null = tuple(&[None, None]);
    row.convert(&good, &mut writer).unwrap();
    assert_eq!(
        row.convert(&tuple(&[None, Some(b"abcd")]), &mut writer)
            .unwrap_err()
            .0,
        1
    );
    assert_eq!(row.convert(&tuple(&[None]), &mut writer).unwrap_err().0, 0);
    row.convert(&null, &mut writer).unwrap();
    let batch = writer.take();
    assert_eq!((batch.rows, batch.data), (2, [good, null].concat().into()));
}

proptest! {
    #[test]
    fn any_bytes_into_any_column_are_an_error_or_a_value_but_never_a_panic(
        kinds in (select(NeutralType::ALL), select(NeutralType::ALL)),
        widths in prop::collection::vec(prop::option::of(0_u32..8), 6),
        sides in select(&[POSTGRES, FROM_SQLITE, TO_SQLITE][..]),
        value in prop::collection::vec(any::<u8>(), 0..20))
    {
        let source = Column { precision: widths[0], scale: widths[1], length: widths[2], ..column(kinds.0) };
        let target = Column { precision: widths[3], scale: widths[4], length: widths[5], ..column(kinds.1) };
        if let Ok(conversion) = conversion(&source, &target, sides) {
            let _ = conversion.apply(&value);
        }
    }

    #[test]
    fn an_integer_comes_back_from_every_width_that_holds_it(value: i64, width in select(&NeutralType::ALL[1..4])) {
        let wide = column(NeutralType::Int8);
        let narrow = column(width);
        match apply(&wide, &narrow, POSTGRES, &value.to_be_bytes()) {
            Ok(bytes) => prop_assert_eq!(apply(&narrow, &wide, POSTGRES, &bytes).unwrap(), value.to_be_bytes()),
            Err(_) => prop_assert!(width != NeutralType::Int8),
        }
        let through = apply(&wide, &decimal(19, 0), POSTGRES, &value.to_be_bytes()).unwrap();
        prop_assert_eq!(apply(&decimal(19, 0), &wide, POSTGRES, &through).unwrap(), value.to_be_bytes());
    }

    #[test]
    fn a_number_in_a_narrower_column_is_the_same_number(text in "-?[0-9]{1,6}(\\.[0-9]{1,6})?", precision in 1_u32..12, scale in 0_u32..6) {
        let target = decimal(precision.max(scale), scale);
        if let Ok(bytes) = apply(&column(NeutralType::Numeric), &target, POSTGRES, &number(&text)) {
            let shape = numeric::shape(&bytes).unwrap();
            prop_assert_eq!(shape.scale, scale);
            prop_assert!(shape.integer_digits() + scale <= precision.max(scale));
            let many = |bytes: &[u8]| numeric::with_scale(bytes, 20).unwrap().into_owned();
            prop_assert_eq!(many(&bytes), many(&number(&text)));
        }
    }

    #[test]
    fn a_converted_row_has_the_fields_it_had(fields in prop::collection::vec(prop::option::of(any::<i32>()), 0..6)) {
        let wider = conversion(&column(NeutralType::Int4), &column(NeutralType::Int8), POSTGRES).unwrap();
        let row = RowConversion::new(vec![wider; fields.len()]);
        let mut writer = RowWriter::default();
        writer.begin(u16::try_from(fields.len()).unwrap());
        for field in &fields {
            writer.field(field.map(i32::to_be_bytes).as_ref().map(<[u8; 4]>::as_slice));
        }
        let tuple = writer.take().data;
        row.convert(&tuple, &mut writer).unwrap();
        let converted = writer.take().data;
        let (read, _) = split_tuple(&converted).unwrap();
        let expected: Vec<_> = fields.iter().map(|field| field.map(|field| i64::from(field).to_be_bytes())).collect();
        prop_assert_eq!(read, expected.iter().map(|field| field.as_ref().map(<[u8; 8]>::as_slice)).collect::<Vec<_>>());
    }
}

#[test]
fn a_row_that_could_not_be_read_again_is_refused_by_its_largest_field() {
    let columns = [NeutralType::Int4, NeutralType::Text].map(column);
    let wider = [NeutralType::Int8, NeutralType::Text].map(column);
    let mut whole = RowConversion::default();
    for (source, target) in columns.iter().zip(&wider) {
        whole.push(conversion(source, target, TO_SQLITE).unwrap());
    }
    // A count, two lengths, and an int4.
    for (text, refused) in [(MAX_ROW_BYTES - 18, false), (MAX_ROW_BYTES - 14, true)] {
        let mut writer = RowWriter::default();
        writer.begin(2);
        writer.field(Some(&1_i32.to_be_bytes()));
        writer.field(Some(&vec![b'x'; text]));
        let row = writer.take();
        let converted = whole.convert(row.tuples().next().unwrap().unwrap(), &mut writer);
        assert_eq!(
            converted.as_ref().err().map(|(at, _)| *at),
            refused.then_some(1)
        );
        assert_eq!(writer.take().rows, u32::from(!refused));
    }
}
