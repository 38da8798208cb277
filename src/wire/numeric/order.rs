//! The order of numerics: by value, whatever their scale; NaN equals itself and stands above everything, as in PostgreSQL.
//!
//! Invariant: keys are equal exactly where the values are.

use std::cmp::Ordering;

use crate::wire::InvalidValue;
use crate::wire::numeric::binary::{NEGATIVE, POSITIVE, Parts, Special, assemble};

/// A numeric by which others are ordered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumericKey {
    rank: Rank,
    /// Of the first digit group that is not zero.
    weight: i64,
    /// Without zeros at either end.
    groups: Vec<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    NegativeInfinity,
    Negative,
    Zero,
    Positive,
    Infinity,
    NaN,
}

impl NumericKey {
    /// The key of a binary numeric.
    ///
    /// # Errors
    /// When the bytes are no numeric.
    pub fn read(bytes: &[u8]) -> Result<Self, InvalidValue> {
        let parts = Parts::read(bytes)?;
        let mut groups: Vec<u16> = parts.groups().collect();
        let leading = groups.iter().take_while(|group| **group == 0).count();
        groups.drain(..leading);
        let kept = groups
            .iter()
            .rposition(|group| *group != 0)
            .map_or(0, |last| last + 1);
        groups.truncate(kept);
        let rank = match parts.special {
            Some(Special::NegativeInfinity) => Rank::NegativeInfinity,
            Some(Special::Infinity) => Rank::Infinity,
            Some(Special::NaN) => Rank::NaN,
            None if groups.is_empty() => Rank::Zero,
            None if parts.negative => Rank::Negative,
            None => Rank::Positive,
        };
        let weight = if groups.is_empty() {
            0
        } else {
            parts.weight - i64::try_from(leading).unwrap_or(i64::MAX)
        };
        Ok(Self {
            rank,
            weight,
            groups,
        })
    }

    /// The value as decimal text; some zeros may stand at its end.
    ///
    /// # Errors
    /// When it lies beyond what a numeric holds, which no value that was read does.
    pub fn text(&self) -> Result<String, InvalidValue> {
        let sign = match self.rank {
            Rank::NegativeInfinity => return Ok(Special::NegativeInfinity.name().to_owned()),
            Rank::Infinity => return Ok(Special::Infinity.name().to_owned()),
            Rank::NaN => return Ok(Special::NaN.name().to_owned()),
            Rank::Negative => NEGATIVE,
            Rank::Zero | Rank::Positive => POSITIVE,
        };
        let beyond = |_| InvalidValue::new("numeric", "it is out of range");
        let count = i64::try_from(self.groups.len()).map_err(beyond)?;
        let behind = (count - 1 - self.weight).max(0);
        let scale = u16::try_from(behind * 4).map_err(beyond)?;
        let weight = i16::try_from(self.weight).map_err(beyond)?;
        super::decode(&assemble(weight, sign, scale, &self.groups))
    }
}

impl Ord for NumericKey {
    fn cmp(&self, other: &Self) -> Ordering {
        let magnitudes = || (self.weight, &self.groups).cmp(&(other.weight, &other.groups));
        self.rank.cmp(&other.rank).then_with(|| match self.rank {
            Rank::Negative => magnitudes().reverse(),
            _ => magnitudes(),
        })
    }
}

impl PartialOrd for NumericKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::NumericKey;
    use crate::wire::numeric::{encode, from_i64};
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    fn key(text: &str) -> NumericKey {
        NumericKey::read(&encode(text).unwrap()).unwrap()
    }

    #[test]
    fn numerics_are_ordered_by_value() {
        let ascending = [
            "-Infinity",
            "-10000.1",
            "-10000",
            "-9999.99999",
            "-1.5",
            "-0.00001",
            "0",
            "1E-8",
            "0.00010001",
            "0.5",
            "0.99999",
            "1",
            "1.00000000001",
            "9999",
            "10000",
            "10000.0001",
            "123456789012345678901234567890",
            "Infinity",
            "NaN",
        ];
        for (at, one) in ascending.iter().enumerate() {
            for (other_at, other) in ascending.iter().enumerate() {
                assert_eq!(
                    key(one).cmp(&key(other)),
                    at.cmp(&other_at),
                    "{one} {other}"
                );
            }
        }
        for (one, other) in [
            ("1.0", "1.00"),
            ("-0", "0.00"),
            ("100000", "1E5"),
            ("NaN", "nan"),
        ] {
            assert_eq!(key(one), key(other));
        }
    }

    proptest! {
        #[test]
        fn whole_numbers_are_ordered_as_such(one in any::<i64>(), other in any::<i64>()) {
            let key = |number| NumericKey::read(&from_i64(number)).unwrap();
            prop_assert_eq!(key(one).cmp(&key(other)), one.cmp(&other));
        }

        #[test]
        fn the_text_of_a_key_is_the_same_value(text in "-?[0-9]{1,30}(\\.[0-9]{1,30})?(E-?[0-9]{1,2})?") {
            let found = key(&text);
            let again = key(&found.text().unwrap());
            prop_assert!(found == again, "{} became {}", text, found.text().unwrap());
        }
    }
}
