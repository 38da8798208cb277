//! Numbers of few digits as whole numbers of their last digit, without text: most decimals of most tables.
//!
//! Invariant: the bytes are those that [`encode`](super::encode) gives for the same number and scale.

use arrayvec::ArrayVec;

use crate::wire::InvalidValue;
use crate::wire::numeric::binary::{GROUP_DIGITS, NEGATIVE, POSITIVE, Parts, header};

/// The largest magnitude of a [`Scaled`] whole number: 15 digits, all of which a double keeps.
const MAX_UNITS: u64 = 999_999_999_999_999;
/// Digits after the point of a [`Scaled`] at most.
const MAX_SCALE: u32 = 15;

/// A decimal of at most 15 digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scaled {
    units: i64,
    scale: u32,
}

/// Its binary numeric: a header of 8 bytes and up to five groups, of 15 digits and 3 to fill up a group, or of 19 digits.
pub type ScaledBytes = ArrayVec<u8, 18>;

impl Scaled {
    /// `units` times 10 to the power of minus `scale`, shown with `scale` digits after the point; `None` where one of them
    /// is too large.
    #[must_use]
    pub fn new(units: i64, scale: u32) -> Option<Self> {
        (units.unsigned_abs() <= MAX_UNITS && scale <= MAX_SCALE).then_some(Self { units, scale })
    }

    /// A whole number of up to 19 digits, which only has bytes.
    pub(super) fn whole_number(units: i64) -> Self {
        Self { units, scale: 0 }
    }

    /// The decimal with `scale` digits after the point that `number` is the nearest double of; `None` where there is none.
    #[must_use]
    pub fn from_f64(number: f64, scale: u32) -> Option<Self> {
        if scale > MAX_SCALE {
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "what does not come back as it was is refused below"
        )]
        let units = (number * to_f64(power(scale))).round() as i64;
        // Up to 15 digits, a decimal is a double and back without a loss.
        Self::new(units, scale).filter(|scaled| scaled.to_f64() - number == 0.0)
    }

    /// The nearest double.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        // Both sides are exact, so the division rounds once.
        to_f64(self.units) / to_f64(power(self.scale))
    }

    /// The whole number it is, if it is one.
    #[must_use]
    pub fn whole(self) -> Option<i64> {
        let power = power(self.scale);
        (self.units % power == 0).then(|| self.units / power)
    }

    /// Of a binary numeric; `None` where that has more digits, or is no number.
    ///
    /// # Errors
    /// When the bytes are no numeric.
    pub fn read(bytes: &[u8]) -> Result<Option<Self>, InvalidValue> {
        Parts::read(bytes).map(|parts| Self::of(&parts))
    }

    fn of(parts: &Parts<'_>) -> Option<Self> {
        if parts.special.is_some() {
            return None;
        }
        let mut units = 0_i64;
        for group in parts.groups() {
            units = units.checked_mul(10_000)?.checked_add(group.into())?;
        }
        let scale = u32::from(parts.scale);
        if units == 0 {
            return Self::new(0, scale);
        }
        // Digits that the last group has after the point, and that the scale shows.
        let last = i64::try_from(parts.groups().len()).ok()? - 1 - parts.weight;
        let missing = i64::from(scale) - last * GROUP_DIGITS;
        let shift = 10_i64.checked_pow(u32::try_from(missing.unsigned_abs()).ok()?)?;
        // Digits beyond the scale are zeros.
        let units = match missing {
            0.. => units.checked_mul(shift)?,
            _ => units / shift,
        };
        Self::new(if parts.negative { -units } else { units }, scale)
    }

    /// As binary numeric.
    #[must_use]
    pub fn bytes(self) -> ScaledBytes {
        let mut groups = ArrayVec::<u16, 5>::new();
        let filled_up = self.scale.next_multiple_of(4);
        let filling = power(filled_up - self.scale).unsigned_abs();
        let mut rest = self.units.unsigned_abs() * filling;
        let mut weight = -i64::from(filled_up) / GROUP_DIGITS - 1;
        while rest > 0 {
            let group = u16::try_from(rest % 10_000).unwrap_or_default();
            rest /= 10_000;
            weight += 1;
            if group > 0 || !groups.is_empty() {
                groups.push(group);
            }
        }
        groups.reverse();
        let sign = if self.units < 0 { NEGATIVE } else { POSITIVE };
        let scale = u16::try_from(self.scale).unwrap_or_default();
        let weight = i16::try_from(weight).unwrap_or_default();
        let mut bytes: ScaledBytes = header(weight, sign, scale, &groups).into_iter().collect();
        bytes.extend(groups.iter().flat_map(|group| group.to_be_bytes()));
        bytes
    }
}

/// 10 to the power of `scale`, which is at most [`MAX_SCALE`].
fn power(scale: u32) -> i64 {
    10_i64.pow(scale)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "all numbers here have at most 16 digits and are below 2 to the power of 53"
)]
fn to_f64(number: i64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::Scaled;
    use crate::wire::numeric::{decode, encode};

    const UNITS: std::ops::RangeInclusive<i64> = -999_999_999_999_999..=999_999_999_999_999;

    proptest! {
        #[test]
        fn its_bytes_are_those_of_its_text(units in UNITS, fewer in 0_u32..15, scale in 0_u32..=15) {
            let units = units / 10_i64.pow(fewer);
            let scaled = Scaled::new(units, scale).unwrap();
            let expected = encode(&format!("{units}e-{scale}")).unwrap();
            prop_assert_eq!(scaled.bytes().to_vec(), expected.clone());
            prop_assert_eq!(Scaled::read(&expected).unwrap(), Some(scaled));
        }

        #[test]
        fn its_double_is_that_of_its_text(units in UNITS, fewer in 0_u32..15, scale in 0_u32..=15) {
            let units = units / 10_i64.pow(fewer);
            let scaled = Scaled::new(units, scale).unwrap();
            let text = decode(&scaled.bytes()).unwrap();
            prop_assert_eq!(scaled.to_f64().to_bits(), text.parse::<f64>().unwrap().to_bits());
            prop_assert_eq!(scaled.whole().is_some(), text.trim_end_matches('0').ends_with('.') || !text.contains('.'));
            prop_assert_eq!(Scaled::from_f64(scaled.to_f64(), scale), Some(scaled));
        }

        #[test]
        fn a_double_is_what_formatting_rounds_it_to_or_none(any in any::<f64>(), units in UNITS, scale in 0_u32..=15) {
            let places = usize::try_from(scale).unwrap();
            let near = Scaled::new(units, scale).unwrap().to_f64();
            for number in [any, near, near.next_up(), near.next_down()] {
                if let Some(scaled) = Scaled::from_f64(number, scale) {
                    prop_assert_eq!(scaled.bytes().to_vec(), encode(&format!("{number:.places$}")).unwrap());
                }
            }
        }

        #[test]
        fn larger_numbers_are_none(units in 1_000_000_000_000_000_i64.., scale in 0_u32..30) {
            prop_assert_eq!(Scaled::new(units, scale), None);
            let text = format!("{units}e-{scale}");
            prop_assert_eq!(Scaled::read(&encode(&text).unwrap()).unwrap(), None);
        }
    }

    #[test]
    fn what_is_no_number_of_few_digits_is_none() {
        for text in ["NaN", "Infinity", "-Infinity", "1e-16", "1e15"] {
            assert_eq!(
                Scaled::read(&encode(text).unwrap()).unwrap(),
                None,
                "{text}"
            );
        }
        for number in [f64::NAN, f64::INFINITY, 1e300, 0.1 + 0.2] {
            assert_eq!(Scaled::from_f64(number, 2), None, "{number}");
        }
        assert_eq!(Scaled::from_f64(-0.0, 2), Scaled::new(0, 2));
    }
}
