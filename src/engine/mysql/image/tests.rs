//! Values as the server sends them, and what has no place in the row layout.

use super::{NO_DATE, NO_TIME_OF_DAY, UNEXPECTED, ZERO_DATE, put};
use crate::engine::mysql::types::Form;
use crate::model::table::NeutralType;
use crate::wire::json::field_to_text;
use crate::wire::row::{RowWriter, split_tuple};

fn image(form: Form, raw: &[u8]) -> Result<Vec<u8>, &'static str> {
    let mut writer = RowWriter::default();
    writer.begin(1);
    put(form, raw, &mut writer)?;
    let batch = writer.take();
    let (fields, rest) = split_tuple(&batch.data).unwrap();
    assert!(rest.is_empty());
    Ok(fields[0].unwrap().to_vec())
}

fn text(form: Form, kind: NeutralType, raw: &[u8]) -> Result<String, &'static str> {
    image(form, raw).map(|bytes| field_to_text(kind, Some(&bytes)))
}

#[test]
fn numbers_keep_their_sign_and_their_size() {
    let (signed, unsigned) = (
        Form::Tiny { unsigned: false },
        Form::Tiny { unsigned: true },
    );
    for (form, kind, raw, expected) in [
        (Form::Bool, NeutralType::Bool, &[1][..], Ok("true")),
        (
            Form::Bool,
            NeutralType::Bool,
            &[5],
            Err("a number other than 0 and 1 stands for a bool"),
        ),
        (Form::BitBool, NeutralType::Bool, &[0], Ok("false")),
        (signed, NeutralType::Int2, &[0x80], Ok("-128")),
        (unsigned, NeutralType::Int2, &[0xff], Ok("255")),
        (Form::Short, NeutralType::Int2, &[0, 0x80], Ok("-32768")),
        (
            Form::ShortUnsigned,
            NeutralType::Int4,
            &[0xff, 0xff],
            Ok("65535"),
        ),
        (
            Form::Long,
            NeutralType::Int4,
            &[0xff, 0xff, 0xff, 0xff],
            Ok("-1"),
        ),
        (
            Form::LongUnsigned,
            NeutralType::Int8,
            &[0xff, 0xff, 0xff, 0xff],
            Ok("4294967295"),
        ),
        (
            Form::LongLong,
            NeutralType::Int8,
            &[0, 0, 0, 0, 0, 0, 0, 0x80],
            Ok("-9223372036854775808"),
        ),
        (
            Form::LongLongUnsigned,
            NeutralType::Numeric,
            &[0xff; 8],
            Ok("18446744073709551615"),
        ),
        (
            Form::LongLongUnsigned,
            NeutralType::Numeric,
            &[7, 0, 0, 0, 0, 0, 0, 0],
            Ok("7"),
        ),
        (Form::Long, NeutralType::Int4, &[1, 0], Err(UNEXPECTED)),
        (
            Form::Float,
            NeutralType::Float4,
            &1.5_f32.to_le_bytes(),
            Ok("1.5"),
        ),
        (
            Form::Double,
            NeutralType::Float8,
            &(-0.25_f64).to_le_bytes(),
            Ok("-0.25"),
        ),
        (
            Form::Decimal,
            NeutralType::Numeric,
            b"00012.30",
            Ok("12.30"),
        ),
        (Form::Decimal, NeutralType::Numeric, b"-0.05", Ok("-0.05")),
        (Form::Decimal, NeutralType::Numeric, b"abc", Err(UNEXPECTED)),
        (Form::Bits(9), NeutralType::Other, &[1, 3], Ok("100000011")),
        (Form::Bits(4), NeutralType::Other, &[0], Ok("0000")),
    ] {
        let expected = expected.map(str::to_owned);
        assert_eq!(text(form, kind, raw), expected, "{form:?} {raw:?}");
    }
}

#[test]
fn moments_are_those_of_the_calendar_and_of_the_clock() {
    use Form::{Date, DateTime, Time};
    let date = |raw: &[u8]| text(Date, NeutralType::Date, raw);
    let moment = |raw: &[u8]| text(DateTime, NeutralType::Timestamp, raw);
    let time = |raw: &[u8]| text(Time, NeutralType::Time, raw);
    for (found, expected) in [
        (date(&[4, 0xe8, 0x07, 2, 29]), Ok("2024-02-29")),
        (date(&[4, 0x0f, 0x27, 12, 31]), Ok("9999-12-31")),
        (date(&[4, 1, 0, 1, 1]), Ok("0001-01-01")),
        (date(&[0]), Err(ZERO_DATE)),
        (date(&[4, 0xe8, 0x07, 0, 0]), Err(ZERO_DATE)),
        (date(&[4, 0, 0, 1, 1]), Err(NO_DATE)),
        (date(&[4, 0xe7, 0x07, 2, 29]), Err(NO_DATE)),
        (date(&[3, 0xe8, 0x07, 2, 29]), Err(UNEXPECTED)),
        (moment(&[0]), Err(ZERO_DATE)),
        (
            moment(&[4, 0xe8, 0x07, 2, 29]),
            Ok("2024-02-29 00:00:00.000000"),
        ),
        (
            moment(&[7, 0xe8, 0x07, 2, 29, 23, 59, 59]),
            Ok("2024-02-29 23:59:59.000000"),
        ),
        (
            moment(&[11, 0xb2, 0x07, 1, 1, 0, 0, 0, 1, 0, 0, 0]),
            Ok("1970-01-01 00:00:00.000001"),
        ),
        (time(&[0]), Ok("00:00:00.000000")),
        (time(&[8, 0, 0, 0, 0, 0, 23, 59, 59]), Ok("23:59:59.000000")),
        (
            time(&[12, 0, 0, 0, 0, 0, 0, 0, 0, 0x3f, 0x42, 0x0f, 0]),
            Ok("00:00:00.999999"),
        ),
        (time(&[8, 0, 1, 0, 0, 0, 0, 0, 0]), Ok("24:00:00.000000")),
        (time(&[8, 0, 1, 0, 0, 0, 0, 0, 1]), Err(NO_TIME_OF_DAY)),
        (time(&[8, 0, 34, 0, 0, 0, 22, 59, 59]), Err(NO_TIME_OF_DAY)),
        (time(&[8, 1, 0, 0, 0, 0, 0, 0, 1]), Err(NO_TIME_OF_DAY)),
    ] {
        assert_eq!(found, expected.map(str::to_owned));
    }
}

#[test]
fn text_uuids_and_geometries_come_as_others_write_them() {
    assert_eq!(
        image(Form::Text, "größe".as_bytes()).unwrap(),
        "größe".as_bytes()
    );
    assert!(image(Form::Text, &[0xff]).is_err());
    assert_eq!(image(Form::Bytes, &[0xff, 0]).unwrap(), [0xff, 0]);
    assert_eq!(image(Form::Jsonb, b"{}").unwrap(), b"\x01{}");
    let uuid = "0198c0de-0000-7000-8000-000000000001";
    assert_eq!(
        text(Form::Uuid, NeutralType::Uuid, uuid.as_bytes()).unwrap(),
        uuid
    );
    let mut point = vec![0, 0, 0, 0, 1, 1, 0, 0, 0];
    point.extend(1.0_f64.to_le_bytes());
    point.extend(2.0_f64.to_le_bytes());
    let geometry = |raw: &[u8]| text(Form::Geometry, NeutralType::Other, raw).unwrap();
    assert_eq!(
        geometry(&point),
        "0101000000000000000000F03F0000000000000040"
    );
    point[..2].copy_from_slice(&4_326_u16.to_le_bytes());
    assert_eq!(
        geometry(&point),
        "0101000020E6100000000000000000F03F0000000000000040"
    );
}
