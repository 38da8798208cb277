//! What PostgreSQL 15 says of the same moments, and what holds for all of them.

use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

use super::{
    date_from_text, date_to_text, time_from_text, time_to_text, timestamp_from_text,
    timestamp_to_text, timestamptz_to_text,
};

#[test]
fn dates_have_the_bytes_postgresql_gives_them() {
    for (text, bytes) in [
        ("2000-01-01", "00000000"),
        ("1999-12-31", "ffffffff"),
        ("2024-02-29", "00002279"),
        ("infinity", "7fffffff"),
        ("-infinity", "80000000"),
        ("4714-11-24 BC", "ffda97a7"),
        ("5874897-12-31", "7fda970c"),
        ("0001-01-01", "fff4dbf9"),
        ("0001-12-31 BC", "fff4dbf8"),
        ("10000-01-01", "002c95d4"),
    ] {
        let encoded = date_from_text(text).unwrap();
        assert_eq!(hex::encode(encoded), bytes, "{text}");
        assert_eq!(date_to_text(&encoded).unwrap(), text);
    }
}

#[test]
fn times_have_the_bytes_postgresql_gives_them() {
    for (text, bytes, canonical) in [
        ("00:00:00", "0000000000000000", "00:00:00.000000"),
        ("24:00:00", "000000141dd76000", "24:00:00.000000"),
        ("12:34:56.789012", "0000000a8be62614", "12:34:56.789012"),
        ("12:34:56.7890120000", "0000000a8be62614", "12:34:56.789012"),
    ] {
        let encoded = time_from_text(text).unwrap();
        assert_eq!(hex::encode(encoded), bytes, "{text}");
        assert_eq!(time_to_text(&encoded).unwrap(), canonical);
    }
}

#[test]
fn timestamps_have_the_bytes_postgresql_gives_them() {
    for (text, bytes, canonical) in [
        (
            "2000-01-01 00:00:00",
            "0000000000000000",
            "2000-01-01 00:00:00.000000",
        ),
        (
            "1999-12-31 23:59:59.999999",
            "ffffffffffffffff",
            "1999-12-31 23:59:59.999999",
        ),
        ("infinity", "7fffffffffffffff", "infinity"),
        ("-infinity", "8000000000000000", "-infinity"),
        (
            "4714-11-24 00:00:00 BC",
            "fd0f7cc1411fa000",
            "4714-11-24 00:00:00.000000 BC",
        ),
        (
            "294276-12-31 23:59:59.999999",
            "7fffff5bb3b29fff",
            "294276-12-31 23:59:59.999999",
        ),
        (
            "2024-02-29T12:00:00.5",
            "0002b582c47fb120",
            "2024-02-29 12:00:00.500000",
        ),
        (
            "0001-12-31 23:00:00 BC",
            "ff1fe2feef08bc00",
            "0001-12-31 23:00:00.000000 BC",
        ),
    ] {
        let encoded = timestamp_from_text(text, false).unwrap();
        assert_eq!(hex::encode(encoded), bytes, "{text}");
        assert_eq!(timestamp_to_text(&encoded, ' ').unwrap(), canonical);
    }
}

#[test]
fn a_zone_is_applied_as_postgresql_does() {
    for (text, bytes) in [
        ("2024-02-29 12:00:00.5+02", "0002b58117586920"),
        ("2024-02-29 12:00:00.5+0200", "0002b58117586920"),
        ("2024-02-29T12:00:00.5+02:00", "0002b58117586920"),
        ("2024-02-29 12:00:00Z", "0002b582c4781000"),
        ("2024-02-29 12:00:00.500000Z", "0002b582c47fb120"),
        ("2024-02-29 12:00:00", "0002b582c4781000"),
        ("2024-02-29 12:00:00-03:30", "0002b585b37cce00"),
        ("2024-01-01 00:00:00+15:59:59", "0002b0c86bbe4240"),
    ] {
        assert_eq!(
            hex::encode(timestamp_from_text(text, true).unwrap()),
            bytes,
            "{text}"
        );
        let has_zone = text != "2024-02-29 12:00:00";
        assert_eq!(
            timestamp_from_text(text, false).is_err(),
            has_zone,
            "{text}"
        );
    }
}

#[test]
fn utc_is_written_as_z_before_the_era_and_never_behind_an_infinity() {
    for (text, expected) in [
        ("2024-02-29 12:00:00", "2024-02-29T12:00:00.000000Z"),
        ("0001-12-31 23:00:00 BC", "0001-12-31T23:00:00.000000Z BC"),
        ("-infinity", "-infinity"),
    ] {
        let encoded = timestamp_from_text(text, true).unwrap();
        assert_eq!(timestamptz_to_text(&encoded, 'T').unwrap(), expected);
        assert_eq!(timestamp_from_text(expected, true).unwrap(), encoded);
    }
}

#[test]
fn what_does_not_exist_is_refused() {
    for text in [
        "",
        "2023-02-29",
        "1900-02-29",
        "2024-13-01",
        "2024-00-10",
        "2024-04-31",
        "2024-01-00",
        "0000-01-01",
        "24-01-01",
        "2024-1-1",
        "2024-01-01 ",
        "+2024-01-01",
        "2024-01-01-01",
        "5874898-01-01",
        "4714-11-23 BC",
        "99999999-01-01",
        "20240101",
        "Infinity",
    ] {
        assert!(date_from_text(text).is_err(), "{text:?}");
    }
    for text in [
        "",
        "12",
        "12:00",
        "24:00:00.000001",
        "25:00:00",
        "12:60:00",
        "12:00:60",
        "12:00:00.1234567",
        "12:00:00.",
        "12:00:00.-1",
        "1:00:00",
        "12:00:00Z",
        "-1:00:00",
        "12:00:00.12é345",
    ] {
        assert!(time_from_text(text).is_err(), "{text:?}");
    }
    for text in [
        "",
        "2024-01-01",
        "2024-01-01x12:00:00",
        "2024-01-01 12:00:00+",
        "2024-01-01 12:00:00+2",
        "2024-01-01 12:00:00+16",
        "2024-01-01 12:00:00+02:60",
        "2024-01-01 12:00:00 UTC",
        "2024-01-01 12:00:00+02Z",
        "294277-01-01 00:00:00",
        "294276-12-31 24:00:00",
        "4714-11-24 00:00:00+01 BC",
        "2024-01-01 12:00:00+é1",
        "2023-02-29 12:00:00.000000",
        "2024-00-01 12:00:00.000000",
        "2024-01-32 12:00:00.000000Z",
        "0000-01-01 12:00:00.000000",
        "2024-01-01 12:60:00.000000",
        "2024-01-01T12:00:60.000000Z",
        "2024-01-01 24:00:00.000001",
        "2024-01-01 12:00:00.00000:",
        "2024/01/01 12:00:00.000000",
        "2024-01-01_12:00:00.000000",
        "2024-01-01 12:00:00.000000z",
    ] {
        assert!(timestamp_from_text(text, true).is_err(), "{text:?}");
    }
}

proptest! {
    #[test]
    fn every_date_comes_back(days in -2_451_545_i32..=2_145_031_948) {
        let text = date_to_text(&days.to_be_bytes()).unwrap();
        prop_assert_eq!(date_from_text(&text).unwrap(), days.to_be_bytes());
    }

    #[test]
    fn every_time_comes_back(micros in 0_i64..=86_400_000_000) {
        let text = time_to_text(&micros.to_be_bytes()).unwrap();
        prop_assert_eq!(time_from_text(&text).unwrap(), micros.to_be_bytes());
    }

    #[test]
    fn every_timestamp_comes_back(micros in -211_813_488_000_000_000_i64..9_223_371_331_200_000_000) {
        let bytes = micros.to_be_bytes();
        let plain = timestamp_to_text(&bytes, ' ').unwrap();
        prop_assert_eq!(timestamp_from_text(&plain, false).unwrap(), bytes);
        let zoned = timestamptz_to_text(&bytes, 'T').unwrap();
        prop_assert_eq!(timestamp_from_text(&zoned, true).unwrap(), bytes);
    }

    #[test]
    fn any_bytes_are_an_error_or_a_moment_but_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..10)) {
        let _ = date_to_text(&bytes);
        let _ = time_to_text(&bytes);
        let _ = timestamp_to_text(&bytes, ' ');
    }

    #[test]
    fn any_text_is_an_error_or_a_moment_but_never_a_panic(text in "[-+:.0-9TZé BC]{0,30}") {
        let _ = date_from_text(&text);
        let _ = time_from_text(&text);
        if let Ok(bytes) = timestamp_from_text(&text, true) {
            prop_assert!(timestamptz_to_text(&bytes, 'T').is_ok());
        }
    }
}
