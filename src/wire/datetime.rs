//! Dates and times: PostgreSQL's binary forms and ISO 8601 text.
//!
//! The forms are those of `date_send`, `time_send` and `timestamp_send`: days or microseconds, big-endian,
//! counted from 2000-01-01 in the proleptic Gregorian calendar, the largest and smallest integer being the
//! infinities (PostgreSQL documentation, "Date/Time Types"). Zones are applied or written as `Z`, never kept.
//! Invariant: what is read lies in PostgreSQL's range, and nothing finer than a microsecond is dropped.

use std::fmt::Write;

use crate::wire::InvalidValue;
use crate::wire::digits::{four, number, push_ascii, push_four, two};

const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;
/// 2000-01-01 counted from 1970-01-01.
const EPOCH_DAYS: i64 = 10_957;
/// 4714-11-24 BC, the first day of the Julian day count.
const FIRST_DAY: i64 = -2_451_545;
/// 5874897-12-31.
const LAST_DATE: i64 = 2_145_031_948;
/// 294277-01-01, the first day no timestamp reaches.
const TIMESTAMP_END: i64 = 106_751_983;
/// The widest zone PostgreSQL takes: 15:59:59.
const MAX_ZONE_SECONDS: i64 = 16 * 3_600 - 1;

/// Room for any of these texts.
const TEXT_BYTES: usize = 40;

const INFINITY: &str = "infinity";
const NEGATIVE_INFINITY: &str = "-infinity";

/// Days since 2000-01-01 of a day of the proleptic Gregorian calendar, whose year 0 is 1 BC; `None` where there is no
/// such day.
#[must_use]
pub fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    };
    let exists = (1..=last).contains(&day);
    exists.then(|| days_from_civil(year, month, day) - EPOCH_DAYS)
}

/// Days since 2000-01-01 as `YYYY-MM-DD` (` BC` where before year 1; `infinity`, `-infinity`).
///
/// # Errors
/// When the bytes are no date.
pub fn date_to_text(bytes: &[u8]) -> Result<String, InvalidValue> {
    let days = i32::from_be_bytes(sized("date", bytes)?);
    match days {
        i32::MAX => return Ok(INFINITY.to_owned()),
        i32::MIN => return Ok(NEGATIVE_INFINITY.to_owned()),
        _ => {}
    }
    let days = i64::from(days);
    if !(FIRST_DAY..=LAST_DATE).contains(&days) {
        return Err(InvalidValue::new("date", "it is out of range"));
    }
    let mut text = String::with_capacity(TEXT_BYTES);
    let era = push_day(&mut text, days);
    text.push_str(era);
    Ok(text)
}

/// The reverse.
///
/// # Errors
/// When the text is no date, or none that exists.
pub fn date_from_text(text: &str) -> Result<[u8; 4], InvalidValue> {
    match text {
        INFINITY => return Ok(i32::MAX.to_be_bytes()),
        NEGATIVE_INFINITY => return Ok(i32::MIN.to_be_bytes()),
        _ => {}
    }
    let (text, before_christ) = split_era(text);
    parse_day(text, before_christ)
        .filter(|days| (FIRST_DAY..=LAST_DATE).contains(days))
        .and_then(|days| i32::try_from(days).ok())
        .map(i32::to_be_bytes)
        .ok_or_else(|| InvalidValue::new("date", "it is no day written as YYYY-MM-DD"))
}

/// Microseconds of the day as `HH:MM:SS.ffffff`, `24:00:00.000000` included.
///
/// # Errors
/// When the bytes are no time of day.
pub fn time_to_text(bytes: &[u8]) -> Result<String, InvalidValue> {
    let micros = i64::from_be_bytes(sized("time", bytes)?);
    if !(0..=MICROS_PER_DAY).contains(&micros) {
        return Err(InvalidValue::new("time", "it is out of range"));
    }
    let mut text = String::with_capacity(TEXT_BYTES);
    push_time(&mut text, micros);
    Ok(text)
}

/// The reverse; fewer fractional digits or none are read too.
///
/// # Errors
/// When the text is no time of day, or one finer than a microsecond.
pub fn time_from_text(text: &str) -> Result<[u8; 8], InvalidValue> {
    parse_time(text)
        .map(i64::to_be_bytes)
        .ok_or_else(|| InvalidValue::new("time", "it is no time written as HH:MM:SS.ffffff"))
}

/// Microseconds since 2000-01-01 as `YYYY-MM-DD{separator}HH:MM:SS.ffffff`, always six digits, without zone.
///
/// # Errors
/// When the bytes are no timestamp.
pub fn timestamp_to_text(bytes: &[u8], separator: char) -> Result<String, InvalidValue> {
    moment_to_text("timestamp", bytes, separator, "")
}

/// The same with `Z` behind the time; the infinities and ` BC` stand without and after it.
///
/// # Errors
/// When the bytes are no timestamp.
pub fn timestamptz_to_text(bytes: &[u8], separator: char) -> Result<String, InvalidValue> {
    moment_to_text("timestamptz", bytes, separator, "Z")
}

/// The reverse: separator ` ` or `T`; a zone (`Z`, `+02`, `+02:00`, `+0200`) is applied when `zoned`, refused otherwise;
/// without one the text counts as UTC.
///
/// # Errors
/// When the text is no timestamp, none that exists, or one finer than a microsecond.
pub fn timestamp_from_text(text: &str, zoned: bool) -> Result<[u8; 8], InvalidValue> {
    match text {
        INFINITY => return Ok(i64::MAX.to_be_bytes()),
        NEGATIVE_INFINITY => return Ok(i64::MIN.to_be_bytes()),
        _ => {}
    }
    if let Some(micros) = usual_moment(text.as_bytes(), zoned) {
        return Ok(micros.to_be_bytes());
    }
    let expected = if zoned { "timestamptz" } else { "timestamp" };
    let fault = |found: &str| InvalidValue::new(expected, found);
    let no_timestamp = || fault("it is no moment written as YYYY-MM-DD HH:MM:SS.ffffff");
    let (text, before_christ) = split_era(text);
    let (day, time) = text.split_once([' ', 'T']).ok_or_else(no_timestamp)?;
    let (time, zone) =
        split_zone(time).ok_or_else(|| fault("its zone is none of Z, +HH, +HH:MM, +HHMM"))?;
    if zone.is_some() && !zoned {
        return Err(fault("it has a zone where none belongs"));
    }
    let days = parse_day(day, before_christ).ok_or_else(no_timestamp)?;
    let time = parse_time(time).ok_or_else(no_timestamp)?;
    days.checked_mul(MICROS_PER_DAY)
        .and_then(|micros| micros.checked_add(time))
        .and_then(|micros| micros.checked_sub(zone.unwrap_or(0) * MICROS_PER_SECOND))
        .filter(|micros| is_timestamp(*micros))
        .map(i64::to_be_bytes)
        .ok_or_else(|| fault("it is out of range"))
}

fn moment_to_text(
    expected: &'static str,
    bytes: &[u8],
    separator: char,
    zone: &str,
) -> Result<String, InvalidValue> {
    let micros = i64::from_be_bytes(sized(expected, bytes)?);
    match micros {
        i64::MAX => return Ok(INFINITY.to_owned()),
        i64::MIN => return Ok(NEGATIVE_INFINITY.to_owned()),
        _ => {}
    }
    if !is_timestamp(micros) {
        return Err(InvalidValue::new(expected, "it is out of range"));
    }
    let mut text = String::with_capacity(TEXT_BYTES);
    let era = push_day(&mut text, micros.div_euclid(MICROS_PER_DAY));
    text.push(separator);
    push_time(&mut text, micros.rem_euclid(MICROS_PER_DAY));
    text.push_str(zone);
    text.push_str(era);
    Ok(text)
}

fn is_timestamp(micros: i64) -> bool {
    (FIRST_DAY..TIMESTAMP_END).contains(&micros.div_euclid(MICROS_PER_DAY))
}

fn sized<const N: usize>(expected: &'static str, bytes: &[u8]) -> Result<[u8; N], InvalidValue> {
    bytes.try_into().map_err(|_| {
        InvalidValue::new(
            expected,
            format!("has {} bytes instead of {N}", bytes.len()),
        )
    })
}

/// Adds a day; what stands at the end of the whole text.
fn push_day(text: &mut String, days: i64) -> &'static str {
    let (year, month, day) = civil_from_days(days + EPOCH_DAYS);
    // There is no year 0: it is 1 BC.
    let (year, era) = if year > 0 {
        (year, "")
    } else {
        (1 - year, " BC")
    };
    if year > 9_999 {
        // Writing to a String cannot fail.
        let _ = write!(text, "{year}");
    } else {
        push_four(text, year);
    }
    let ([m1, m2], [d1, d2]) = (two(month), two(day));
    push_ascii(text, &[b'-', m1, m2, b'-', d1, d2]);
    era
}

fn push_time(text: &mut String, micros: i64) {
    let (seconds, fraction) = (micros / MICROS_PER_SECOND, micros % MICROS_PER_SECOND);
    let ([h1, h2], [m1, m2]) = (two(seconds / 3_600), two(seconds / 60 % 60));
    let [s1, s2] = two(seconds % 60);
    let ([f1, f2, f3, f4], [f5, f6]) = (four(fraction / 100), two(fraction % 100));
    push_ascii(
        text,
        &[
            h1, h2, b':', m1, m2, b':', s1, s2, b'.', f1, f2, f3, f4, f5, f6,
        ],
    );
}

/// Microseconds since 2000-01-01 of a moment as this program and most others write it, in the years 1 to 9999; `None`
/// where it is written in another way, or does not exist. Most texts of most tables are read here.
fn usual_moment(text: &[u8], zoned: bool) -> Option<i64> {
    let (day, rest) = text.split_first_chunk()?;
    let ([separator], rest) = rest.split_first_chunk()?;
    let (time, zone) = rest.split_first_chunk()?;
    let zone_belongs = zone.is_empty() || (zoned && zone == b"Z");
    if !(zone_belongs && matches!(separator, b' ' | b'T')) {
        return None;
    }
    Some(usual_day(*day)? * MICROS_PER_DAY + usual_time(*time)?)
}

/// Days since 2000-01-01 of `YYYY-MM-DD`.
fn usual_day(text: [u8; 10]) -> Option<i64> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text else {
        return None;
    };
    let year = number([y1, y2, y3, y4]).filter(|year| *year > 0)?;
    days(year, number([m1, m2])?, number([d1, d2])?)
}

/// Microseconds of `HH:MM:SS.ffffff`.
fn usual_time(text: [u8; 15]) -> Option<i64> {
    let [h1, h2, b':', m1, m2, b':', s1, s2, b'.', fraction @ ..] = text else {
        return None;
    };
    time_of_day(
        number([h1, h2])?,
        number([m1, m2])?,
        number([s1, s2])?,
        number::<6>(fraction)?,
    )
}

/// Microseconds of a time of day, 24:00:00 included; `None` where there is no such time.
fn time_of_day(hours: i64, minutes: i64, seconds: i64, fraction: i64) -> Option<i64> {
    let micros = ((hours * 60 + minutes) * 60 + seconds) * MICROS_PER_SECOND + fraction;
    (minutes < 60 && seconds < 60 && micros <= MICROS_PER_DAY).then_some(micros)
}

fn split_era(text: &str) -> (&str, bool) {
    text.strip_suffix(" BC")
        .map_or((text, false), |text| (text, true))
}

fn parse_day(text: &str, before_christ: bool) -> Option<i64> {
    let mut parts = text.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || !(4..=7).contains(&year.len()) {
        return None;
    }
    let year = digits(year).filter(|year| *year > 0)?;
    let year = if before_christ { 1 - year } else { year };
    days(year, two_digits(month)?, two_digits(day)?)
}

fn parse_time(text: &str) -> Option<i64> {
    let (text, fraction) = text
        .split_once('.')
        .map_or((text, None), |(text, fraction)| (text, Some(fraction)));
    let mut parts = text.split(':');
    let (hours, minutes, seconds) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    time_of_day(
        two_digits(hours)?,
        two_digits(minutes)?,
        two_digits(seconds)?,
        fraction.map_or(Some(0), parse_fraction)?,
    )
}

fn parse_fraction(text: &str) -> Option<i64> {
    let (kept, surplus) = text.split_at_checked(6).unwrap_or((text, ""));
    if surplus.bytes().any(|byte| byte != b'0') {
        return None;
    }
    let missing = u32::try_from(6_usize.checked_sub(kept.len())?).ok()?;
    digits(kept)?.checked_mul(10_i64.checked_pow(missing)?)
}

/// A time and the seconds its zone lies east of UTC, if it names one; `None` when what it names is no zone.
fn split_zone(text: &str) -> Option<(&str, Option<i64>)> {
    if let Some(time) = text.strip_suffix('Z') {
        return Some((time, Some(0)));
    }
    let Some(at) = text.find(['+', '-']) else {
        return Some((text, None));
    };
    let (time, zone) = text.split_at_checked(at)?;
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    let zone = zone.get(1..)?;
    let (hours, rest) = zone.split_at_checked(2)?;
    let (minutes, seconds) = match rest.len() {
        0 => ("00", "00"),
        2 => (rest, "00"),
        3 => (rest.strip_prefix(':')?, "00"),
        6 => rest.strip_prefix(':')?.split_once(':')?,
        _ => return None,
    };
    let (hours, minutes, seconds) = (
        two_digits(hours)?,
        two_digits(minutes)?,
        two_digits(seconds)?,
    );
    let offset = (hours * 60 + minutes) * 60 + seconds;
    (minutes < 60 && seconds < 60 && offset <= MAX_ZONE_SECONDS)
        .then_some((time, Some(sign * offset)))
}

fn two_digits(text: &str) -> Option<i64> {
    number::<2>(text.as_bytes().try_into().ok()?)
}

fn digits(text: &str) -> Option<i64> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

/// Days since 1970-01-01 of a proleptic Gregorian date whose year 0 is 1 BC
/// (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March, so that the leap day is the last.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The reverse of [`days_from_civil`]: year, month and day.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = (shifted_month + 2) % 12 + 1;
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests;
