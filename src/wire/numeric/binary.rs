//! The parts of PostgreSQL's binary numeric.
//!
//! The form is that of `numeric_send` (PostgreSQL source, `src/backend/utils/adt/numeric.c`): four big-endian
//! `int16` (digit groups, weight, sign, display scale), then the groups to base 10,000, the first worth
//! 10,000^weight. Text is none of this module's business.
//! Invariant: [`Parts`] that were read have no digit behind their display scale.

use crate::wire::InvalidValue;

pub(super) const POSITIVE: u16 = 0x0000;
pub(super) const NEGATIVE: u16 = 0x4000;
pub(super) const NAN: u16 = 0xC000;
pub(super) const INFINITE: u16 = 0xD000;
pub(super) const NEGATIVE_INFINITE: u16 = 0xF000;
/// PostgreSQL sends its infinities with this display scale: a bit of their in-memory flags. It ignores it on receipt.
pub(super) const INFINITE_SCALE: u16 = 0x20;
pub(super) const GROUP_DIGITS: i64 = 4;
pub(super) const MAX_SCALE: i64 = 0x3FFF;
pub(super) const MAX_WEIGHT: i64 = 0x7FFF;

/// A numeric that is no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Special {
    /// Not a number.
    NaN,
    /// Above all numbers.
    Infinity,
    /// Below all numbers.
    NegativeInfinity,
}

impl Special {
    /// PostgreSQL's spelling.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NaN => "NaN",
            Self::Infinity => "Infinity",
            Self::NegativeInfinity => "-Infinity",
        }
    }
}

/// How much room a numeric takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Set when the value is no number; everything else is then zero.
    pub special: Option<Special>,
    /// Where the first nonzero digit stands: 3 for 123.4, 0 for 0.5, -1 for 0.05; `None` for zero.
    pub magnitude: Option<i64>,
    /// Digits shown after the point, zeros at the end included.
    pub scale: u32,
    /// Digits after the point up to the last that is not zero.
    pub significant_scale: u32,
}

impl Shape {
    /// Digits before the point; 0 when the value is smaller than one.
    #[must_use]
    pub fn integer_digits(&self) -> u32 {
        self.magnitude
            .and_then(|magnitude| u32::try_from(magnitude).ok())
            .unwrap_or(0)
    }
}

/// A numeric taken apart, its groups still in place.
#[derive(Clone, Copy)]
pub(super) struct Parts<'a> {
    pub(super) special: Option<Special>,
    pub(super) negative: bool,
    pub(super) weight: i64,
    pub(super) scale: u16,
    groups: &'a [[u8; 2]],
}

impl<'a> Parts<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, InvalidValue> {
        let (header, groups) = bytes
            .split_first_chunk::<8>()
            .ok_or_else(|| fault("it is shorter than its header"))?;
        let [
            count_high,
            count_low,
            weight_high,
            weight_low,
            sign_high,
            sign_low,
            scale_high,
            scale_low,
        ] = *header;
        let (groups, odd) = groups.as_chunks::<2>();
        let count = u16::from_be_bytes([count_high, count_low]);
        if !odd.is_empty() || groups.len() != usize::from(count) {
            return Err(fault("its length is not the one it declares"));
        }
        let sign = u16::from_be_bytes([sign_high, sign_low]);
        let special = match sign {
            POSITIVE | NEGATIVE => None,
            NAN => Some(Special::NaN),
            INFINITE => Some(Special::Infinity),
            NEGATIVE_INFINITE => Some(Special::NegativeInfinity),
            _ => return Err(fault("its sign is none of the known")),
        };
        let parts = Self {
            special,
            negative: sign == NEGATIVE,
            weight: i64::from(i16::from_be_bytes([weight_high, weight_low])),
            scale: u16::from_be_bytes([scale_high, scale_low]),
            groups,
        };
        if i64::from(parts.scale) > MAX_SCALE || parts.groups().any(|group| group > 9_999) {
            return Err(fault("its scale or a digit is out of range"));
        }
        if special.is_some() && !groups.is_empty() {
            return Err(fault("it has digits and is no number"));
        }
        // PostgreSQL would cut such digits off on receipt; here nothing is cut in silence.
        if special.is_none() && parts.shape().significant_scale > u32::from(parts.scale) {
            return Err(fault("it has digits beyond its scale"));
        }
        Ok(parts)
    }

    pub(super) fn groups(&self) -> impl DoubleEndedIterator<Item = u16> + ExactSizeIterator + 'a {
        self.groups.iter().map(|pair| u16::from_be_bytes(*pair))
    }

    pub(super) fn shape(&self) -> Shape {
        if self.special.is_some() {
            return Shape {
                special: self.special,
                magnitude: None,
                scale: 0,
                significant_scale: 0,
            };
        }
        let place = |index: usize| self.weight - i64::try_from(index).unwrap_or(i64::MAX);
        let first = self.groups().enumerate().find(|(_, group)| *group != 0);
        let last = self.groups().enumerate().rfind(|(_, group)| *group != 0);
        let significant = last.map_or(0, |(index, group)| {
            let zeros = [10, 100, 1_000]
                .into_iter()
                .take_while(|ten| group % ten == 0)
                .count();
            -place(index) * GROUP_DIGITS - i64::try_from(zeros).unwrap_or(0)
        });
        Shape {
            special: None,
            magnitude: first
                .map(|(index, group)| place(index) * GROUP_DIGITS + i64::from(group.ilog10()) + 1),
            scale: u32::from(self.scale),
            significant_scale: u32::try_from(significant).unwrap_or(0),
        }
    }
}

/// The bytes of a numeric; `groups` begin and end with one that is not zero.
pub(super) fn assemble(weight: i16, sign: u16, scale: u16, groups: &[u16]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(8 + 2 * groups.len());
    bytes.extend(header(weight, sign, scale, groups));
    bytes.extend(groups.iter().flat_map(|group| group.to_be_bytes()));
    bytes
}

/// What stands before `groups`.
pub(super) fn header(weight: i16, sign: u16, scale: u16, groups: &[u16]) -> [u8; 8] {
    let weight = if groups.is_empty() { 0 } else { weight };
    // At most 131,072 + 16,383 digits pass the checks of text, so the count always fits.
    let count = u16::try_from(groups.len()).unwrap_or(u16::MAX);
    let [[a, b], [c, d]] = [count.to_be_bytes(), weight.to_be_bytes()];
    let [[e, f], [g, h]] = [sign.to_be_bytes(), scale.to_be_bytes()];
    [a, b, c, d, e, f, g, h]
}

/// A fault in a numeric.
pub(super) fn fault(what: impl Into<String>) -> InvalidValue {
    InvalidValue::new("numeric", what)
}
