//! Nodes of the tree, by the hexadecimal digits that their places begin with.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::wire::tally::Place;

/// Branches of a node.
pub const BRANCHES: usize = 16;
/// Levels below the root; a node of the last one is a single place.
pub const LEVELS: u8 = 16;

/// A node of the tree: the places whose first hexadecimal digits these are. Written as those digits; the root is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    /// The first place of the node: what follows its digits is zero.
    first: u64,
    level: u8,
}

/// Text that names no node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a node of the tally is named by 0 to 16 lower-case hexadecimal digits")]
pub struct InvalidPrefix;

impl Prefix {
    /// The node above all rows.
    pub const ROOT: Self = Self { first: 0, level: 0 };

    /// How many digits it has.
    #[must_use]
    pub fn level(self) -> u8 {
        self.level
    }

    /// The node of its sixteen children below which `place` stands.
    #[must_use]
    pub fn branch_of(self, place: Place) -> usize {
        match self.shift() {
            Some(shift) => usize::try_from((place.0 >> shift) & 0xf).unwrap_or_default(),
            None => 0,
        }
    }

    /// Its children in order; none on the last level.
    pub fn children(self) -> impl Iterator<Item = Self> {
        self.shift().into_iter().flat_map(move |shift| {
            (0..16_u64).map(move |digit| Self {
                first: self.first | (digit << shift),
                level: self.level + 1,
            })
        })
    }

    /// The node at `level` above or at `place`.
    #[must_use]
    pub fn above(place: Place, level: u8) -> Self {
        let level = level.min(LEVELS);
        let kept = u64::MAX
            .checked_shl(64 - 4 * u32::from(level))
            .unwrap_or_default();
        Self {
            first: place.0 & kept,
            level,
        }
    }

    /// Whether `place` stands below it.
    #[must_use]
    pub fn contains(self, place: Place) -> bool {
        Self::above(place, self.level) == self
    }

    /// The first of its places.
    #[must_use]
    pub fn first_place(self) -> Place {
        Place(self.first)
    }

    /// Whether `other` is this node, or stands below it.
    #[must_use]
    pub fn is_above(self, other: Self) -> bool {
        other.level >= self.level && self.contains(Place(other.first))
    }

    /// The first three digits of its places, as far as it has them.
    #[must_use]
    pub fn first_digits(self) -> u16 {
        self.first_place().first_digits()
    }

    /// How far the digit that tells its children apart stands from the right.
    fn shift(self) -> Option<u32> {
        LEVELS
            .checked_sub(self.level + 1)
            .map(|below| 4 * u32::from(below))
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{:016x}", self.first);
        f.write_str(digits.get(..usize::from(self.level)).unwrap_or_default())
    }
}

impl FromStr for Prefix {
    type Err = InvalidPrefix;

    fn from_str(text: &str) -> Result<Self, InvalidPrefix> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() > usize::from(LEVELS) || !text.bytes().all(is_digit) {
            return Err(InvalidPrefix);
        }
        let first = u64::from_str_radix(&format!("{text:0<16}"), 16).map_err(|_| InvalidPrefix)?;
        let level = u8::try_from(text.len()).map_err(|_| InvalidPrefix)?;
        Ok(Self { first, level })
    }
}

impl Serialize for Prefix {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Prefix {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::{LEVELS, Place, Prefix};

    proptest! {
        #[test]
        fn a_place_stands_below_one_node_of_each_level(place in any::<u64>()) {
            let place = Place(place);
            let mut node = Prefix::ROOT;
            for level in 0..LEVELS {
                prop_assert!(node.contains(place));
                prop_assert_eq!(node, Prefix::above(place, level));
                prop_assert!(node.children().all(|child| node.is_above(child) && !child.is_above(node)));
                prop_assert_eq!(node.to_string().parse::<Prefix>(), Ok(node));
                let children: Vec<Prefix> = node.children().collect();
                let below: Vec<usize> = (0..16).filter(|at| children[*at].contains(place)).collect();
                prop_assert_eq!(&below, &[node.branch_of(place)]);
                node = children[below[0]];
            }
            prop_assert!(node.contains(place) && node.children().next().is_none());
            prop_assert_eq!(node.to_string(), format!("{:016x}", place.0));
        }
    }

    #[test]
    fn only_hexadecimal_digits_name_a_node() {
        for text in ["", "0", "ff", "0123456789abcdef"] {
            assert_eq!(text.parse::<Prefix>().unwrap().to_string(), text);
        }
        for text in ["g", "F", " ", "+1", "0123456789abcdef0"] {
            assert!(text.parse::<Prefix>().is_err(), "{text}");
        }
    }
}
