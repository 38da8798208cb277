//! For each type: equal values have one form, others another, and a key comes back from its form.

use proptest::prelude::{
    Just, Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest,
};

use super::{column, decimal};
use crate::model::table::{Column, Engine, NeutralType};
use crate::wire::convert::{Sides, conversion};
use crate::wire::normal::{Normal, normal_form};
use crate::wire::row::{RowWriter, split_tuple};
use crate::wire::{datetime, numeric};

/// Both sides of one column.
struct Pair {
    there: Normal,
    here: Normal,
    source: Column,
    target: Column,
    sides: Sides,
}

impl Pair {
    fn of(source: Column, from: Engine, target: Column, to: Engine) -> Self {
        let sides = Sides::between(from, to);
        let form = normal_form(&source, &target, sides).unwrap();
        Self {
            there: Normal::new(std::slice::from_ref(&source), &[form]).unwrap(),
            here: Normal::new(std::slice::from_ref(&target), &[form]).unwrap(),
            source,
            target,
            sides,
        }
    }

    fn plain(from: NeutralType, to: NeutralType) -> Self {
        Self::of(column(from), Engine::Postgres, column(to), Engine::Postgres)
    }

    fn sent(&self, value: &[u8]) -> Vec<u8> {
        form(&self.there, value)
    }

    /// The form of what the destination holds once `value` was stored there; `None` when it does not fit.
    fn stored(&self, value: &[u8]) -> Option<Vec<u8>> {
        let conversion = conversion(&self.source, &self.target, self.sides).unwrap();
        let stored = conversion.apply(value).ok()?;
        Some(form(&self.here, &stored))
    }

    /// Equal where the values are, also by way of the other side, and a key comes back.
    fn check(&self, one: &[u8], other: &[u8], equal: bool) {
        assert_eq!(self.sent(one) == self.sent(other), equal);
        for value in [one, other] {
            if let Some(stored) = self.stored(value) {
                assert_eq!(self.sent(value), stored);
            }
            let again = self.there.restore(0, &self.sent(value)).unwrap().unwrap();
            assert_eq!(self.sent(&again), self.sent(value));
        }
        if let Some(stored) = self.stored(other) {
            assert_eq!(self.sent(one) == stored, equal);
        }
    }
}

fn form(normal: &Normal, value: &[u8]) -> Vec<u8> {
    let mut writer = RowWriter::default();
    writer.begin(1);
    writer.field(Some(value));
    let tuple = writer.take().data;
    normal.normalise(&tuple, &mut writer).unwrap();
    let written = writer.take().data;
    split_tuple(&written).unwrap().0[0].unwrap().to_vec()
}

fn number(text: &str) -> Vec<u8> {
    numeric::encode(text).unwrap()
}

/// Few values, so that pairs of equal ones are not rare.
fn integers() -> impl Strategy<Value = i64> {
    prop_oneof![
        -3_i64..3,
        Just(i64::MIN),
        Just(i64::MAX),
        any::<i32>().prop_map(i64::from),
        any::<i64>()
    ]
}

fn digits() -> impl Strategy<Value = String> {
    prop_oneof![
        "-?[0-2](\\.[0-2]{1,3})?",
        "-?[0-9]{1,25}(\\.[0-9]{1,25})?",
        Just("NaN".to_owned()),
        Just("-Infinity".to_owned())
    ]
}

fn floats() -> impl Strategy<Value = f64> {
    let edges = vec![
        0.0,
        -0.0,
        1.0,
        0.1,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MIN_POSITIVE,
        5e-324,
        16_777_217.0,
    ];
    prop_oneof![
        prop::sample::select(edges),
        any::<f32>().prop_map(f64::from),
        any::<f64>()
    ]
}

/// The digits of a number without those that do not count.
fn value(text: &str) -> String {
    let (sign, plain) = text
        .strip_prefix('-')
        .map_or(("", text), |plain| ("-", plain));
    if !plain.starts_with(|first: char| first.is_ascii_digit()) {
        return text.to_owned();
    }
    let (whole, fraction) = plain.split_once('.').unwrap_or((plain, ""));
    let (whole, fraction) = (
        whole.trim_start_matches('0'),
        fraction.trim_end_matches('0'),
    );
    let sign = if whole.is_empty() && fraction.is_empty() {
        ""
    } else {
        sign
    };
    format!("{sign}{whole}.{fraction}")
}

proptest! {
    #[test]
    fn integers_have_one_form_in_every_width(one in integers(), other in integers(), scale in 0_u32..4) {
        use NeutralType::{Int2, Int4, Int8, Numeric};
        let (bytes, equal) = ([one.to_be_bytes(), other.to_be_bytes()], one == other);
        let scaled = Pair::of(column(Int8), Engine::Mysql, decimal(20, scale), Engine::Mysql);
        for pair in [Int2, Int4, Int8, Numeric].map(|to| Pair::plain(Int8, to)).iter().chain([&scaled]) {
            pair.check(&bytes[0], &bytes[1], equal);
        }
        let (one, other) = (number(&one.to_string()), number(&other.to_string()));
        let unsigned = Pair::of(decimal(20, 0), Engine::Mysql, column(Int8), Engine::Postgres);
        unsigned.check(&one, &other, equal);
        let [one, other] = bytes.map(|bytes| [bytes[6], bytes[7]]);
        Pair::plain(Int2, Int4).check(&one, &other, one == other);
    }

    #[test]
    fn numerics_differ_by_what_both_sides_keep(one in digits(), other in digits(), scale in 0_u32..4) {
        let (first, second) = (number(&one), number(&other));
        let exact = Pair::plain(NeutralType::Numeric, NeutralType::Numeric);
        exact.check(&first, &second, numeric::decode(&first) == numeric::decode(&second));
        let leaning = Column { native: "decimal".to_owned(), ..column(NeutralType::Numeric) };
        for pair in [
            Pair::of(column(NeutralType::Numeric), Engine::Postgres, decimal(38, scale), Engine::Postgres),
            Pair::of(column(NeutralType::Numeric), Engine::Postgres, leaning, Engine::Sqlite),
        ] {
            pair.check(&first, &second, value(&one) == value(&other));
        }
    }

    #[test]
    fn floats_have_one_form_in_both_widths(one in floats(), other in floats()) {
        use NeutralType::{Float4, Float8};
        let equal = one.to_bits() == other.to_bits() || (one.is_nan() && other.is_nan());
        Pair::plain(Float8, Float4).check(&one.to_be_bytes(), &other.to_be_bytes(), equal);
        #[expect(clippy::cast_possible_truncation, reason = "any narrow floats will do")]
        let (one, other) = (one as f32, other as f32);
        let equal = one.to_bits() == other.to_bits() || (one.is_nan() && other.is_nan());
        Pair::plain(Float4, Float8).check(&one.to_be_bytes(), &other.to_be_bytes(), equal);
    }

    #[test]
    fn what_becomes_text_has_the_form_of_that_text(one in any::<u128>(), other in any::<u128>(), days in -2_451_545..2_145_031_948, micros in -211_813_488_000_000_000_i64..9_223_371_331_200_000_000) {
        use NeutralType::{Date, Text, Time, Timestamp, Timestamptz, Uuid};
        Pair::plain(Uuid, Text).check(&one.to_be_bytes(), &other.to_be_bytes(), one == other);
        Pair::plain(Date, Text).check(&i32::to_be_bytes(days), &i32::MIN.to_be_bytes(), false);
        for kind in [Timestamp, Timestamptz] {
            let next = (micros + 1).to_be_bytes();
            Pair::plain(kind, Text).check(&micros.to_be_bytes(), &next, false);
            Pair::plain(kind, Text).check(&i64::MAX.to_be_bytes(), &next, false);
        }
        let time = micros.rem_euclid(86_400_000_000).to_be_bytes();
        Pair::plain(Time, Text).check(&time, &86_400_000_000_i64.to_be_bytes(), false);
    }

    #[test]
    fn every_type_beside_itself_has_its_own_bytes(one in prop::collection::vec(any::<u8>(), 0..20), other in prop::collection::vec(any::<u8>(), 0..20)) {
        for &kind in NeutralType::ALL {
            let pair = Pair::plain(kind, kind);
            prop_assert_eq!(&pair.sent(&one), &one);
            prop_assert_eq!(pair.sent(&one) == form(&pair.here, &other), one == other);
        }
    }

    #[test]
    fn a_moment_of_mysql_has_the_form_it_has_with_a_zone(micros in any::<i64>()) {
        let pair = Pair::of(column(NeutralType::Timestamptz), Engine::Postgres, column(NeutralType::Timestamp), Engine::Mysql);
        pair.check(&micros.to_be_bytes(), &micros.wrapping_add(1).to_be_bytes(), false);
    }

    #[test]
    fn documents_have_one_form_however_they_are_written(document in documents(), other in documents()) {
        let pair = Pair::plain(NeutralType::Json, NeutralType::Jsonb);
        let written = |document: &Document, style| { let mut text = String::new(); document.write(style, &mut text); text };
        let normal = pair.sent(written(&document, 0).as_bytes());
        for style in 1..8 {
            let text = written(&document, style);
            prop_assert_eq!(&pair.sent(text.as_bytes()), &normal, "{}", text);
            prop_assert_eq!(form(&pair.here, &[b"\x01", text.as_bytes()].concat()), normal.clone());
        }
        prop_assert_eq!(pair.sent(written(&other, 3).as_bytes()) == normal, document == other);
        prop_assert!(serde_json::from_slice::<serde::de::IgnoredAny>(&normal).is_ok());
    }
}

/// A document whose members are in order.
#[derive(Clone, Debug, PartialEq)]
enum Document {
    Number(String),
    Text(String),
    List(Vec<Document>),
    Members(std::collections::BTreeMap<String, Document>),
}

fn documents() -> impl Strategy<Value = Document> {
    let leaf = prop_oneof![
        prop::sample::select(vec![
            "0",
            "1",
            "1.0",
            "-1.50",
            "1e5",
            "1E5",
            "123456789012345678901234567890.10",
            "true",
            "null"
        ])
        .prop_map(|number| Document::Number(number.to_owned())),
        "[\\PC\"\\\\\n/\u{1}]{0,4}".prop_map(Document::Text),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Document::List),
            prop::collection::btree_map("[ab\"é😀]{0,2}", inner, 0..4).prop_map(Document::Members),
        ]
    })
}

impl Document {
    /// With spaces (1), members in reverse (2) and every letter escaped (4).
    fn write(&self, style: u8, text: &mut String) {
        let space = if style & 1 == 1 { " \n\t" } else { "" };
        let quoted = |said: &str| match style & 4 {
            0 => serde_json::to_string(said).unwrap(),
            _ => format!(
                "\"{}\"",
                said.encode_utf16()
                    .map(|unit| format!("\\u{unit:04X}"))
                    .collect::<String>()
            ),
        };
        text.push_str(space);
        match self {
            Self::Number(digits) => text.push_str(digits),
            Self::Text(said) => text.push_str(&quoted(said)),
            Self::List(items) => {
                text.push('[');
                for (at, item) in items.iter().enumerate() {
                    text.push_str(if at > 0 { "," } else { "" });
                    item.write(style, text);
                }
                text.push_str(space);
                text.push(']');
            }
            Self::Members(members) => {
                let mut members: Vec<_> = members.iter().collect();
                if style & 2 == 2 {
                    members.reverse();
                }
                text.push('{');
                for (at, (name, value)) in members.into_iter().enumerate() {
                    text.push_str(if at > 0 { "," } else { "" });
                    text.push_str(&format!("{space}{}{space}:", quoted(name)));
                    value.write(style, text);
                }
                text.push_str(space);
                text.push('}');
            }
        }
        text.push_str(space);
    }
}

#[test]
fn documents_that_databases_disagree_on_equal_only_themselves() {
    let pair = Pair::of(
        column(NeutralType::Json),
        Engine::Mysql,
        column(NeutralType::Json),
        Engine::Postgres,
    );
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let texts = [
        "{\"a\":1,\"a\":1}",
        "{\"a\":1}",
        "{\"a\":1,\"a\":2}",
        "{\"a\":2,\"a\":1}",
        "{\"a\":1,\"\\u0061\":1}",
        "[{\"b\":{\"a\":1,\"a\":1}}]",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "-00",
        "{",
        "",
        &deep,
    ];
    for (at, one) in texts.iter().enumerate() {
        for (other_at, other) in texts.iter().enumerate() {
            let equal = pair.sent(one.as_bytes()) == form(&pair.here, other.as_bytes());
            assert_eq!(equal, at == other_at, "{one} {other}");
        }
    }
    for (one, other) in [
        ("{\"b\":1,\"a\":2}", " {\"a\" : 2,\"b\":1}\n"),
        ("\"\\/\\u00e9\"", "\"/é\""),
        ("\"\\u0000\"", "\"\\u0000\""),
    ] {
        assert_eq!(pair.sent(one.as_bytes()), pair.sent(other.as_bytes()));
    }
}

#[test]
fn the_last_microsecond_and_text_of_16_mebibytes_count() {
    let last = datetime::timestamp_from_text("2024-02-29 23:59:59.999999", false).unwrap();
    let before = datetime::timestamp_from_text("2024-02-29 23:59:59.999998", false).unwrap();
    Pair::plain(NeutralType::Timestamp, NeutralType::Text).check(&last, &before, false);
    let text = "größe ".repeat(2 << 20) + "\"";
    let quoted = serde_json::to_string(&text).unwrap();
    let pair = Pair::plain(NeutralType::Json, NeutralType::Jsonb);
    let nested = |end: &str| format!("{{\"b\":[{quoted}{end}],\"a\":1}}").into_bytes();
    assert_eq!(
        pair.sent(&nested("")),
        format!("{{\"a\":1,\"b\":[{quoted}]}}").into_bytes()
    );
    assert_ne!(pair.sent(&nested("")), pair.sent(&nested(",1")));
    let plain = Pair::plain(NeutralType::Text, NeutralType::Text);
    plain.check(text.as_bytes(), format!("{text} ").as_bytes(), false);
}
