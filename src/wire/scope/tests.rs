//! What a filter means, value by value.

use super::{Scope, UnfitFilter, means_the_same};
use crate::model::filter::Filter;
use crate::model::table::NeutralType;
use crate::wire::{datetime, numeric};

fn filter(op: &str, value: &str) -> Filter {
    let json = format!(r#"{{"column":"c","op":"{op}","value":{value}}}"#);
    Filter::from_json(&json).unwrap()
}

fn scope(kind: NeutralType, op: &str, value: &str) -> Result<Scope, UnfitFilter> {
    let filter = filter(op, value);
    Scope::new(&filter, |name| (name == "c").then_some(kind))
}

fn holds(kind: NeutralType, op: &str, value: &str, field: Option<&[u8]>) -> bool {
    let scope = scope(kind, op, value).unwrap();
    scope.conditions()[0].holds(field).unwrap()
}

#[test]
fn values_are_equal_as_their_type_has_it() {
    use NeutralType::{
        Bool, Bytea, Date, Float4, Float8, Int2, Numeric, Other, Text, Time, Timestamp,
        Timestamptz, Uuid,
    };
    let number = |text: &str| numeric::encode(text).unwrap();
    let moment = |text: &str| datetime::timestamp_from_text(text, true).unwrap().to_vec();
    let id = uuid::Uuid::from_u128(0xabc).into_bytes().to_vec();
    let cases: Vec<(NeutralType, &str, Vec<u8>, bool)> = vec![
        (Bool, "true", vec![1], true),
        (Bool, "false", vec![1], false),
        (Int2, "-2", (-2_i16).to_be_bytes().to_vec(), true),
        (Int2, "\"-2\"", (-2_i16).to_be_bytes().to_vec(), true),
        (Int2, "5000000000", 7_i16.to_be_bytes().to_vec(), false),
        (Float4, "0.1", 0.1_f32.to_be_bytes().to_vec(), true),
        (
            Float8,
            "0.1",
            f64::from(0.1_f32).to_be_bytes().to_vec(),
            false,
        ),
        (Float8, "0", (-0.0_f64).to_be_bytes().to_vec(), true),
        (Float8, "\"NaN\"", f64::NAN.to_be_bytes().to_vec(), true),
        (
            Float8,
            "\"Infinity\"",
            f64::INFINITY.to_be_bytes().to_vec(),
            true,
        ),
        (Numeric, "1", number("1.00"), true),
        (
            Numeric,
            "0.1234567890123456789",
            number("0.1234567890123456788"),
            false,
        ),
        (
            Numeric,
            "0.1234567890123456789",
            number("0.12345678901234567890"),
            true,
        ),
        (Numeric, "\"NaN\"", number("NaN"), true),
        (Text, "\"a\"", b"a".to_vec(), true),
        (Text, "\"a\"", b"A".to_vec(), false),
        (Text, "\"a\"", b"a ".to_vec(), false),
        (Text, "\"\u{e9}\"", "e\u{301}".as_bytes().to_vec(), false),
        (Text, "7", b"7".to_vec(), true),
        (Other, "\"sad\"", b"sad".to_vec(), true),
        (Bytea, "\"AP8=\"", vec![0, 255], true),
        (
            Date,
            "\"2013-02-28\"",
            datetime::date_from_text("2013-02-28").unwrap().to_vec(),
            true,
        ),
        (
            Time,
            "\"10:00:00\"",
            datetime::time_from_text("10:00:00.0").unwrap().to_vec(),
            true,
        ),
        (
            Timestamp,
            "\"2013-02-28T10:00:00\"",
            moment("2013-02-28 10:00:00"),
            true,
        ),
        (
            Timestamptz,
            "\"2013-02-28 12:00:00+02\"",
            moment("2013-02-28 10:00:00"),
            true,
        ),
        (
            Timestamptz,
            "\"infinity\"",
            i64::MAX.to_be_bytes().to_vec(),
            true,
        ),
        (
            Uuid,
            "\"00000000-0000-0000-0000-000000000ABC\"",
            id.clone(),
            true,
        ),
        (
            Uuid,
            "\"{00000000000000000000000000000abc}\"",
            id.clone(),
            true,
        ),
        (
            Uuid,
            "\"urn:uuid:00000000-0000-0000-0000-000000000abc\"",
            id,
            true,
        ),
    ];
    for (kind, value, field, expected) in cases {
        let place = format!("{kind:?} {value}");
        assert_eq!(holds(kind, "=", value, Some(&field)), expected, "{place}");
        let list = format!("[{value}]");
        assert_eq!(holds(kind, "in", &list, Some(&field)), expected, "{place}");
        assert!(!holds(kind, "=", value, None), "{place}");
    }
}

#[test]
fn ranges_are_ordered_as_numbers_and_times_are() {
    use NeutralType::{Date, Float8, Int8, Numeric};
    let number = |text: &str| numeric::encode(text).unwrap();
    let whole = |number: i64| number.to_be_bytes().to_vec();
    // The field, the value, and whether the field lies below, at or above it.
    let cases = [
        (Int8, whole(9), "10", "<"),
        (Int8, whole(10), "10", "="),
        (Numeric, number("9"), "10", "<"),
        (Numeric, number("-10.5"), "-10.25", "<"),
        (Numeric, number("10.00"), "10", "="),
        (Numeric, number("NaN"), "1E300", ">"),
        (Numeric, number("-Infinity"), "0", "<"),
        (Float8, f64::NAN.to_be_bytes().to_vec(), "\"Infinity\"", ">"),
        (Float8, 5e-324_f64.to_be_bytes().to_vec(), "0", ">"),
        (
            Date,
            datetime::date_from_text("0044-03-15 BC").unwrap().to_vec(),
            "\"0001-01-01\"",
            "<",
        ),
    ];
    for (kind, field, value, place) in cases {
        for (op, expected) in [
            ("<", place == "<"),
            ("<=", place != ">"),
            (">", place == ">"),
            (">=", place != "<"),
        ] {
            let found = holds(kind, op, value, Some(&field));
            assert_eq!(found, expected, "{kind:?} {op} {value}");
            assert!(!holds(kind, op, value, None));
        }
    }
}

#[test]
fn null_is_found_by_is_null_alone_on_every_type() {
    for kind in [NeutralType::Text, NeutralType::Jsonb, NeutralType::Other] {
        assert!(holds(kind, "is_null", "true", None));
        assert!(!holds(kind, "is_null", "false", None));
        assert!(!holds(kind, "is_null", "true", Some(b"x")));
        assert!(holds(kind, "is_null", "false", Some(b"x")));
    }
}

#[test]
fn what_does_not_fit_the_column_is_refused_with_its_name_and_the_reason() {
    use NeutralType::{
        Bool, Bytea, Date, Float4, Float8, Int4, Jsonb, Numeric, Text, Time, Timestamp, Uuid,
    };
    for (kind, op, value, words) in [
        (Bool, "=", "1", "true or false"),
        (Int4, "=", "1.5", "a whole number"),
        (Int4, "=", "9223372036854775808", "a whole number"),
        (Int4, "=", "true", "a whole number"),
        (Float8, "<", "\"much\"", "a number"),
        (Float8, "<", "1e999", "out of the range"),
        (Float8, "<", "1e-999", "out of the range"),
        (Float4, "<", "1e39", "out of the range"),
        (Numeric, "<", "\"1,5\"", "numeric"),
        (Numeric, "<", "1e1001", "at most 1000 digits"),
        (Numeric, "<", "1e-1001", "at most 1000 digits"),
        (Text, "=", "true", "text is needed"),
        (Text, "<", "\"m\"", "compares numbers and times"),
        (Bool, "<", "true", "compares numbers and times"),
        (Uuid, ">=", "\"x\"", "compares numbers and times"),
        (Bytea, "=", "\"no base64!\"", "base64"),
        (Date, "=", "\"2013-02-30\"", "date"),
        (Time, "=", "\"25:00:00\"", "time"),
        (
            Timestamp,
            "=",
            "\"2013-02-28 10:00:00Z\"",
            "a zone where none belongs",
        ),
        (Uuid, "=", "\"abc\"", "a uuid"),
        (Jsonb, "=", "\"{}\"", "is_null"),
        (Jsonb, "in", "[true]", "is_null"),
    ] {
        let refused = scope(kind, op, value).unwrap_err().to_string();
        assert!(refused.starts_with("column c: "), "{refused}");
        assert!(refused.contains(words), "{refused}");
    }
}

#[test]
fn a_column_that_is_hidden_and_one_that_is_none_are_refused_alike() {
    let filter = Filter::from_json(r#"{"column":"salary","op":"is_null"}"#).unwrap();
    let hidden = Scope::new(&filter, |name| (name == "id").then_some(NeutralType::Int8));
    let absent = Scope::new(&filter, |_| None);
    assert_eq!(hidden, absent);
    assert!(hidden.is_err());
}

#[test]
fn a_condition_means_the_same_of_two_types_or_it_does_not() {
    use NeutralType::{
        Date, Float4, Float8, Int2, Int4, Int8, Jsonb, Numeric, Other, Text, Time, Timestamp,
        Timestamptz, Uuid,
    };
    let id = r#""ABCDEF00-0000-4000-8000-000000000001""#;
    for (there, here, op, value, expected) in [
        (Int2, Int8, "=", "7", true),
        (Int8, Int4, "<", "5000000000", true),
        (Int4, Numeric, "in", "[1, 2]", true),
        (Numeric, Int4, ">=", "7", true),
        (Numeric, Int4, ">=", "7.5", false),
        (Numeric, Numeric, "=", "0.10", true),
        (Float8, Float8, "<=", "0.1", true),
        (Float8, Float4, "<=", "0.1", false),
        (Float4, Float8, "=", "0.1", false),
        (Float4, Float8, "in", "[0.5, 0.1]", false),
        (Float4, Float8, "in", "[0.5, 7]", true),
        (Float8, Float4, ">", "1e300", false),
        (Float8, Float4, "is_null", "true", true),
        (Text, Text, "=", r#""a""#, true),
        (Other, Text, "=", r#""sad""#, true),
        (Uuid, Uuid, "=", id, true),
        (Uuid, Text, "=", id, false),
        (Uuid, Text, "is_null", "false", true),
        (Date, Text, "=", r#""2013-02-28""#, false),
        (Time, Text, "=", r#""10:00:00""#, false),
        (Timestamp, Text, "=", r#""2013-02-28T10:00:00""#, false),
        (
            Timestamptz,
            Timestamp,
            ">",
            r#""2013-02-28 10:00:00""#,
            true,
        ),
        (
            Timestamptz,
            Timestamp,
            ">",
            r#""2013-02-28 10:00:00Z""#,
            false,
        ),
        (Jsonb, Text, "is_null", "true", true),
    ] {
        let filter = filter(op, value);
        let found = means_the_same(&filter.terms()[0].test, there, here);
        assert_eq!(found, expected, "{there:?} and {here:?}, {op} {value}");
    }
}
