//! Which rows of a listing are meant: a bit for each, in its order; base64 in JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A set of places in a listing. Bits beyond the listing mean nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bitmap(Vec<u8>);

impl Bitmap {
    /// Adds the row at `at`.
    pub fn set(&mut self, at: usize) {
        let (byte, bit) = (at / 8, at % 8);
        if self.0.len() <= byte {
            self.0.resize(byte + 1, 0);
        }
        if let Some(byte) = self.0.get_mut(byte) {
            *byte |= 1 << bit;
        }
    }

    /// Whether the row at `at` is meant.
    #[must_use]
    pub fn has(&self, at: usize) -> bool {
        self.0
            .get(at / 8)
            .is_some_and(|byte| byte & (1 << (at % 8)) != 0)
    }

    /// How many of the `rows` from `first` on are meant.
    #[must_use]
    pub fn count_of(&self, first: u64, rows: u64) -> u64 {
        let bits = u64::try_from(self.0.len()).map_or(u64::MAX, |bytes| bytes.saturating_mul(8));
        let behind = first.saturating_add(rows).min(bits);
        let has = |at: &u64| usize::try_from(*at).is_ok_and(|at| self.has(at));
        u64::try_from((first..behind).filter(has).count()).unwrap_or(u64::MAX)
    }

    /// The places of those that are meant, in order.
    pub fn places(&self) -> impl Iterator<Item = usize> + '_ {
        let bits = |(at, byte): (usize, &u8)| {
            let byte = *byte;
            (0..8).filter_map(move |bit| (byte & (1 << bit) != 0).then_some(at * 8 + bit))
        };
        self.0.iter().enumerate().flat_map(bits)
    }

    /// How many are meant.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.iter().map(|byte| u64::from(byte.count_ones())).sum()
    }
}

impl FromIterator<usize> for Bitmap {
    fn from_iter<I: IntoIterator<Item = usize>>(places: I) -> Self {
        let mut bitmap = Self::default();
        for at in places {
            bitmap.set(at);
        }
        bitmap
    }
}

impl Serialize for Bitmap {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bitmap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD
            .decode(text)
            .map(Self)
            .map_err(|_| serde::de::Error::custom("a bitmap is written in base64"))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::{prop, prop_assert_eq, proptest};

    use super::Bitmap;

    proptest! {
        #[test]
        fn what_was_set_is_there_also_after_json(places in prop::collection::btree_set(0_usize..300, 0..50)) {
            let bitmap: Bitmap = places.iter().copied().collect();
            let bitmap: Bitmap = serde_json::from_str(&serde_json::to_string(&bitmap).unwrap()).unwrap();
            let found: BTreeSet<usize> = (0..400).filter(|at| bitmap.has(*at)).collect();
            prop_assert_eq!(bitmap.count(), u64::try_from(places.len()).unwrap());
            let some = places.range(7..107).count();
            prop_assert_eq!(bitmap.count_of(7, 100), u64::try_from(some).unwrap());
            prop_assert_eq!(bitmap.count_of(300, u64::MAX), 0);
            prop_assert_eq!(found, places);
        }
    }
}
