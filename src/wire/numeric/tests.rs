//! What PostgreSQL 15 says of the same numbers, and what holds for all of them.

use std::borrow::Cow;

use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

use super::{Shape, Special, decode, encode, from_i64, shape, to_i64, with_scale};

/// `select x, numeric_send(x::numeric), x::numeric` on PostgreSQL 15.
const VECTORS: &[(&str, &str, &str)] = &[
    ("0", "0000000000000000", "0"),
    ("0.00", "0000000000000002", "0.00"),
    ("-0", "0000000000000000", "0"),
    ("1", "00010000000000000001", "1"),
    ("1.0", "00010000000000010001", "1.0"),
    ("1.00", "00010000000000020001", "1.00"),
    ("12.50", "0002000000000002000c1388", "12.50"),
    ("-12.50", "0002000040000002000c1388", "-12.50"),
    ("10000", "00010001000000000001", "10000"),
    ("100000000", "00010002000000000001", "100000000"),
    ("0.0001", "0001ffff000000040001", "0.0001"),
    ("0.00010", "0001ffff000000050001", "0.00010"),
    ("1E-8", "0001fffe000000080001", "0.00000001"),
    ("1e5", "0001000100000000000a", "100000"),
    ("1.5e3", "000100000000000005dc", "1500"),
    ("12e-20", "0001fffb00000014000c", "0.00000000000000000012"),
    ("1.23e1", "0002000000000001000c0bb8", "12.3"),
    ("1e0", "00010000000000000001", "1"),
    ("0e5", "0000000000000000", "0"),
    ("0e-5", "0000000000000005", "0.00000"),
    ("1.e2", "00010000000000000064", "100"),
    (".5", "0001ffff000000011388", "0.5"),
    ("5.", "00010000000000000005", "5"),
    ("+5", "00010000000000000005", "5"),
    (
        "123456789.123456789",
        "0006000200000009000109291a8504d2162e2328",
        "123456789.123456789",
    ),
    ("0.00000001234", "0002fffe0000000b00010924", "0.00000001234"),
    ("NaN", "00000000c0000000", "NaN"),
    ("Infinity", "00000000d0000020", "Infinity"),
    ("-Infinity", "00000000f0000020", "-Infinity"),
];

#[test]
fn numbers_have_the_bytes_and_the_text_postgresql_gives_them() {
    for (text, bytes, canonical) in VECTORS {
        let encoded = encode(text).unwrap();
        assert_eq!(hex::encode(&encoded), *bytes, "{text}");
        assert_eq!(decode(&encoded).unwrap(), *canonical, "{text}");
    }
}

#[test]
fn what_is_no_number_is_refused() {
    let long = format!("1e{}", i64::MAX);
    for text in [
        "", "-", "+", ".", "e5", ".e5", "1e", "1e+", "1.2.3", "--1", "+-1", "1 ", " 1", "0x10",
        "1_000", "١", "1e1.5", "infinit", "-NaN", &long, "1e-16384", "1e131072",
    ] {
        assert!(encode(text).is_err(), "{text:?}");
    }
    for (what, bytes) in [
        ("no header", "000000000000"),
        ("a missing group", "0001000000000000"),
        ("half a group", "0001000000000000ff"),
        ("a surplus group", "00000000000000000001"),
        ("a digit above 9999", "00010000000000002710"),
        ("an unknown sign", "0000000080000000"),
        ("a scale beyond the limit", "0000000000004000"),
        ("digits beyond the scale", "0002000000000000000c1388"),
        ("digits that are no number", "00010000c00000000001"),
    ] {
        assert!(decode(&hex::decode(bytes).unwrap()).is_err(), "{what}");
    }
}

#[test]
fn the_limits_are_those_of_postgresql() {
    let largest = "9".repeat(131_072);
    let smallest = format!("0.{}1", "0".repeat(16_382));
    for text in [largest, smallest] {
        assert_eq!(decode(&encode(&text).unwrap()).unwrap(), text);
    }
}

#[test]
fn a_shape_counts_digits() {
    for (text, magnitude, scale, significant_scale) in [
        ("0.00", None, 2, 0),
        ("123.450", Some(3), 3, 2),
        ("-0.5", Some(0), 1, 1),
        ("0.050", Some(-1), 3, 2),
        ("0.00001", Some(-4), 5, 5),
        ("100000", Some(6), 0, 0),
        ("1e-20", Some(-19), 20, 20),
        ("120000000.0000", Some(9), 4, 0),
    ] {
        let expected = Shape {
            special: None,
            magnitude,
            scale,
            significant_scale,
        };
        assert_eq!(shape(&encode(text).unwrap()).unwrap(), expected, "{text}");
    }
    let infinite = shape(&encode("-inf").unwrap()).unwrap();
    assert_eq!(infinite.special, Some(Special::NegativeInfinity));
}

#[test]
fn another_scale_keeps_the_value_or_is_refused() {
    for (text, scale, expected) in [
        ("1.5", 2, Some("1.50")),
        ("1.50", 1, Some("1.5")),
        ("1.500", 0, None),
        ("1.555", 2, None),
        ("7.00", 0, Some("7")),
        ("0", 3, Some("0.000")),
        ("NaN", 2, Some("NaN")),
        ("1", 16_384, None),
    ] {
        let encoded = encode(text).unwrap();
        let rescaled = with_scale(&encoded, scale).ok().map(Cow::into_owned);
        assert_eq!(
            rescaled,
            expected.map(|expected| encode(expected).unwrap()),
            "{text} at {scale}"
        );
    }
}

#[test]
fn whole_numbers_are_read_where_they_fit_into_64_bits() {
    for (text, expected) in [
        ("9223372036854775807", Some(i64::MAX)),
        ("-9223372036854775808", Some(i64::MIN)),
        ("9223372036854775808", None),
        ("-9223372036854775809", None),
        ("18446744073709551615", None),
        ("1e100", None),
        ("12.00", Some(12)),
        ("12.01", None),
        ("0", Some(0)),
        ("30000", Some(30_000)),
        ("NaN", None),
    ] {
        assert_eq!(to_i64(&encode(text).unwrap()).unwrap(), expected, "{text}");
    }
}

proptest! {
    #[test]
    fn every_decimal_text_comes_back(text in "-?(0|[1-9][0-9]{0,40})(\\.[0-9]{1,40})?") {
        let expected = if text.bytes().any(|byte| (b'1'..=b'9').contains(&byte)) {
            text.as_str()
        } else {
            text.trim_start_matches('-')
        };
        let encoded = encode(&text).unwrap();
        prop_assert_eq!(decode(&encoded).unwrap(), expected);
        let zeros_around = encode(&format!("-000{}", expected.trim_start_matches('-'))).unwrap();
        prop_assert_eq!(zeros_around.get(8..), encoded.get(8..));
    }

    #[test]
    fn an_exponent_only_moves_the_point(digits in 1_u64.., exponent in -60_i32..60) {
        let encoded = encode(&format!("{digits}e{exponent}")).unwrap();
        let scale = u32::try_from(-exponent).unwrap_or(0);
        prop_assert_eq!(shape(&encoded).unwrap().scale, scale);
        let decoded = decode(&encoded).unwrap().replace('.', "");
        let zeros = usize::try_from(exponent).unwrap_or(0);
        prop_assert_eq!(decoded.trim_start_matches('0'), format!("{digits}{}", "0".repeat(zeros)));
    }

    #[test]
    fn whole_numbers_come_back(value: i64) {
        let encoded = from_i64(value);
        prop_assert_eq!(&encoded, &encode(&value.to_string()).unwrap());
        prop_assert_eq!(to_i64(&encoded).unwrap(), Some(value));
    }

    #[test]
    fn any_bytes_are_an_error_or_a_number_but_never_a_panic(
        count in 0_u16..6, rest in prop::collection::vec(any::<u8>(), 0..20), groups in prop::collection::vec(0_u16..10_001, 0..6))
    {
        let _ = decode(&rest);
        let mut bytes = count.to_be_bytes().to_vec();
        bytes.extend(rest.iter().take(6));
        bytes.extend(groups.iter().flat_map(|group| group.to_be_bytes()));
        let decoded = decode(&bytes);
        prop_assert_eq!(decoded.is_ok(), shape(&bytes).is_ok());
        if let Ok(text) = decoded {
            prop_assert_eq!(decode(&encode(&text).unwrap()).unwrap(), text);
        }
    }

    #[test]
    fn any_text_is_an_error_or_a_number_but_never_a_panic(text in "[-+.eE0-9nafi]{0,20}") {
        if let Ok(bytes) = encode(&text) {
            prop_assert!(decode(&bytes).is_ok());
        }
    }
}
