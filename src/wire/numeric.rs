//! PostgreSQL's binary numeric and decimal text.
//!
//! No arithmetic happens here beyond counting and regrouping digits, so nothing is rounded; only [`Scaled`] knows doubles,
//! and takes none that does not come back as it was.
//! Invariant: what this module writes has no leading and no trailing zero group, as PostgreSQL writes it,
//! so numbers equal in value and display scale are equal bytes.

mod binary;
mod order;
mod scaled;

use std::borrow::Cow;

use crate::wire::InvalidValue;
use crate::wire::digits::push_four;
use crate::wire::numeric::binary::{
    GROUP_DIGITS, INFINITE, INFINITE_SCALE, MAX_SCALE, MAX_WEIGHT, NAN, NEGATIVE,
    NEGATIVE_INFINITE, POSITIVE, Parts, assemble, fault,
};
pub use crate::wire::numeric::binary::{Shape, Special};
pub use crate::wire::numeric::order::NumericKey;
pub use crate::wire::numeric::scaled::{Scaled, ScaledBytes};

/// Room for most numbers.
const TEXT_BYTES: usize = 24;

/// Decimal text (`-12.50`, `1E-8`, `NaN`, `Infinity`, `-Infinity`) as binary numeric; the scale is as written,
/// with an exponent as PostgreSQL has it (`1E-8` has 8 digits after the point, `1E5` none).
///
/// # Errors
/// When the text is no number, or one beyond PostgreSQL's limits (131,072 digits before the point, 16,383 after).
pub fn encode(text: &str) -> Result<Vec<u8>, InvalidValue> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if text.eq_ignore_ascii_case("nan") {
        return Ok(assemble(0, NAN, 0, &[]));
    }
    if unsigned.eq_ignore_ascii_case("infinity") || unsigned.eq_ignore_ascii_case("inf") {
        let sign = if negative {
            NEGATIVE_INFINITE
        } else {
            INFINITE
        };
        return Ok(assemble(0, sign, INFINITE_SCALE, &[]));
    }
    let (mantissa, exponent) = split_exponent(unsigned)?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return Err(fault("it has no digits"));
    }
    if !whole
        .bytes()
        .chain(fraction.bytes())
        .all(|byte| byte.is_ascii_digit())
    {
        return Err(fault("it has characters that are no digits"));
    }
    let scale = length(fraction)?.saturating_sub(exponent).max(0);
    let scale = u16::try_from(scale)
        .ok()
        .filter(|scale| i64::from(*scale) <= MAX_SCALE)
        .ok_or_else(|| fault("it has more than 16383 digits after the point"))?;
    let digits: Vec<u8> = whole
        .bytes()
        .chain(fraction.bytes())
        .map(|byte| byte & 0x0F)
        .collect();
    let (groups, weight) = group(&digits, length(whole)?.saturating_add(exponent))?;
    let sign = if negative && !groups.is_empty() {
        NEGATIVE
    } else {
        POSITIVE
    };
    Ok(assemble(weight, sign, scale, &groups))
}

/// Binary numeric as decimal text, with all its digits and its display scale.
///
/// # Errors
/// When the bytes are no numeric.
pub fn decode(bytes: &[u8]) -> Result<String, InvalidValue> {
    let parts = Parts::read(bytes)?;
    if let Some(special) = parts.special {
        return Ok(special.name().to_owned());
    }
    let mut text = String::with_capacity(TEXT_BYTES);
    if parts.negative && parts.groups().any(|group| group != 0) {
        text.push('-');
    }
    // Digits before the point: the groups of weight 0 and above, zeros where none is stored.
    let mut groups = parts.groups();
    if parts.weight < 0 {
        text.push('0');
    }
    let first_whole = text.len();
    for _ in 0..=parts.weight {
        push_four(&mut text, groups.next().unwrap_or(0).into());
    }
    strip_leading_zeros(&mut text, first_whole);
    if parts.scale > 0 {
        text.push('.');
        let end = text.len().saturating_add(usize::from(parts.scale));
        let mut place = -1;
        while text.len() < end {
            let group = if place > parts.weight.min(-1) {
                0
            } else {
                groups.next().unwrap_or(0)
            };
            push_four(&mut text, group.into());
            place -= 1;
        }
        text.truncate(end);
    }
    Ok(text)
}

/// A whole number, shown without digits after the point.
#[must_use]
pub fn from_i64(value: i64) -> Vec<u8> {
    Scaled::whole_number(value).bytes().to_vec()
}

/// The whole number a numeric is; `None` when it has digits after the point that are not zero, is no number,
/// or does not fit into 64 bits.
///
/// # Errors
/// When the bytes are no numeric.
pub fn to_i64(bytes: &[u8]) -> Result<Option<i64>, InvalidValue> {
    let parts = Parts::read(bytes)?;
    let shape = parts.shape();
    if shape.special.is_some() || shape.significant_scale > 0 || shape.integer_digits() > 19 {
        return Ok(None);
    }
    let mut groups = parts.groups();
    // Below zero first: the negative side of 64 bits reaches one further.
    let mut total = Some(0_i64);
    for _ in 0..=parts.weight {
        let group = i64::from(groups.next().unwrap_or(0));
        total = total
            .and_then(|total| total.checked_mul(10_000))
            .and_then(|total| total.checked_sub(group));
    }
    Ok(total.and_then(|total| {
        if parts.negative {
            Some(total)
        } else {
            total.checked_neg()
        }
    }))
}

/// How much room a numeric takes.
///
/// # Errors
/// When the bytes are no numeric.
pub fn shape(bytes: &[u8]) -> Result<Shape, InvalidValue> {
    Parts::read(bytes).map(|parts| parts.shape())
}

/// The same value shown with `scale` digits after the point; what is no number stays as it is.
///
/// # Errors
/// When a digit that is not zero would be lost, `scale` is above 16,383, or the bytes are no numeric.
pub fn with_scale(bytes: &[u8], scale: u32) -> Result<Cow<'_, [u8]>, InvalidValue> {
    let shape = shape(bytes)?;
    if shape.special.is_some() || shape.scale == scale {
        return Ok(Cow::Borrowed(bytes));
    }
    if shape.significant_scale > scale {
        return Err(fault(format!(
            "has {} digits after the point where {scale} are kept",
            shape.significant_scale
        )));
    }
    let scale = u16::try_from(scale)
        .ok()
        .filter(|scale| i64::from(*scale) <= MAX_SCALE)
        .ok_or_else(|| fault("no numeric has more than 16383 digits after the point"))?;
    // The digit groups say nothing about the display scale: only its two bytes change.
    let mut rescaled = bytes.to_vec();
    rescaled.splice(6..8, scale.to_be_bytes());
    Ok(Cow::Owned(rescaled))
}

/// The same value shown with `scale` digits after the point, or with as many as it needs where it needs more.
///
/// # Errors
/// When `scale` is above 16,383, or the bytes are no numeric.
pub fn with_least_scale(bytes: &[u8], scale: u32) -> Result<Cow<'_, [u8]>, InvalidValue> {
    let needed = shape(bytes)?.significant_scale;
    with_scale(bytes, scale.max(needed))
}

fn split_exponent(text: &str) -> Result<(&str, i64), InvalidValue> {
    let Some((mantissa, exponent)) = text.split_once(['e', 'E']) else {
        return Ok((text, 0));
    };
    // Far beyond every limit of the format, and far from overflowing the sums made with it.
    exponent
        .parse::<i32>()
        .map(|exponent| (mantissa, i64::from(exponent)))
        .map_err(|_| fault("its exponent is no number in range"))
}

/// Decimal digits, of which the first `point` stand before the point, as groups and the first group's weight.
fn group(digits: &[u8], point: i64) -> Result<(Vec<u16>, i16), InvalidValue> {
    let Some(first) = digits.iter().position(|digit| *digit != 0) else {
        return Ok((Vec::new(), 0));
    };
    let last = digits
        .iter()
        .rposition(|digit| *digit != 0)
        .unwrap_or(first);
    let digits = digits.get(first..=last).unwrap_or_default();
    let point = point.saturating_sub(i64::try_from(first).unwrap_or(i64::MAX));
    // The group of the first digit is cut where the distance to the point is a multiple of four.
    let weight = (point - 1).div_euclid(GROUP_DIGITS);
    if weight > MAX_WEIGHT {
        return Err(fault("it has more than 131072 digits before the point"));
    }
    let weight = i16::try_from(weight).map_err(|_| fault("it is out of range"))?;
    let in_first_group = usize::try_from((point - 1).rem_euclid(GROUP_DIGITS) + 1).unwrap_or(1);
    let (head, tail) = digits.split_at(in_first_group.min(digits.len()));
    let number = |digits: &[u8], places: usize| {
        let padding = std::iter::repeat_n(&0, places.saturating_sub(digits.len()));
        digits
            .iter()
            .chain(padding)
            .fold(0_u16, |number, digit| number * 10 + u16::from(*digit))
    };
    let mut groups = vec![number(head, in_first_group)];
    groups.extend(tail.chunks(4).map(|chunk| number(chunk, 4)));
    Ok((groups, weight))
}

fn strip_leading_zeros(text: &mut String, start: usize) {
    let zeros = text
        .bytes()
        .skip(start)
        .take_while(|byte| *byte == b'0')
        .count();
    let keep_one = usize::from(zeros > 0 && start.saturating_add(zeros) == text.len());
    let end = start.saturating_add(zeros).saturating_sub(keep_one);
    text.drain(start..end.max(start));
}

fn length(digits: &str) -> Result<i64, InvalidValue> {
    i64::try_from(digits.len()).map_err(|_| fault("it is too long"))
}

#[cfg(test)]
mod tests;
