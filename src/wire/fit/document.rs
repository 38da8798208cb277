//! Whether a JSON document comes out of a jsonb as the one that went in.
//!
//! A jsonb sorts members and keeps one of each name, and keeps numbers as decimals. Sorting is no change.
//! Invariant: what passes has no member twice, and each number digit for digit as PostgreSQL prints it.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Why a jsonb would change `json`, a valid document; `None` when it would not.
pub(super) fn change(json: &str) -> Option<&'static str> {
    if has_other_digits(json) {
        return Some("has a number with an exponent or a zero with a minus sign");
    }
    serde_json::from_str::<Distinct>(json)
        .is_err()
        .then_some("has a member twice, or is nested too deep to be looked at")
}

fn has_other_digits(json: &str) -> bool {
    let (mut in_text, mut escaped) = (false, false);
    let outside = json.split(|letter: char| match letter {
        _ if escaped => {
            escaped = false;
            in_text
        }
        '"' => {
            in_text = !in_text;
            true
        }
        '\\' => {
            escaped = true;
            true
        }
        _ => in_text || !matches!(letter, '0'..='9' | '-' | '+' | '.' | 'e' | 'E'),
    });
    outside
        .filter(|word| word.starts_with(|first: char| first == '-' || first.is_ascii_digit()))
        .any(|number| {
            number.contains(['e', 'E'])
                || (number.starts_with('-')
                    && !number.contains(|digit| ('1'..='9').contains(&digit)))
        })
}

/// A value whose objects, at any depth, name no member twice.
struct Distinct;

impl<'de> Deserialize<'de> for Distinct {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Distinct)
    }
}

impl<'de> Visitor<'de> for Distinct {
    type Value = Self;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("a document without a member twice")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self, A::Error> {
        while list.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self, A::Error> {
        let mut names = HashSet::new();
        while let Some(name) = members.next_key::<String>()? {
            if !names.insert(name) {
                // Read to its end, so that the fault is this one and no other.
                members.next_value::<IgnoredAny>()?;
                return Err(A::Error::custom("a member stands twice"));
            }
            members.next_value::<Self>()?;
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::change;

    #[test]
    fn only_what_a_jsonb_would_change_is_told() {
        for kept in [
            "1",
            "-1.50",
            "0",
            "0.00",
            "[1, {\"b\": 1, \"a\": {\"b\": 2}}]",
            "\"1e5 -0 \\\" -0\"",
            "{\"1e5\": true}",
            "null",
            "12345678901234567890.123456789",
        ] {
            assert_eq!(change(kept), None, "{kept}");
        }
        for changed in [
            "1e5",
            "[1E-7]",
            "-0",
            "{\"a\": -0.0}",
            "{\"a\":1,\"a\":1}",
            "[{\"x\":{\"a\":1,\"\\u0061\":1}}]",
        ] {
            assert!(change(changed).is_some(), "{changed}");
        }
    }
}
