//! From a value of the binary protocol to a field of the row layout.
//!
//! The forms are those of MySQL's documentation, "Binary Protocol Resultset"; integers are little-endian there and
//! big-endian here. Text and blobs are passed on as they are. What the neutral type cannot hold, such as a zero date, is
//! told and never replaced. Invariant: reading the same value twice gives the same bytes.

use crate::engine::mysql::types::Form;
use crate::wire::field::JSONB_VERSION;
use crate::wire::row::RowWriter;
use crate::wire::{datetime, numeric};

const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;
/// The flag of EWKB that says that a reference system follows the type.
const EWKB_SRID: u32 = 0x2000_0000;

/// Adds the field that `raw`, which is not NULL, is in a column of this form.
///
/// # Errors
/// Why there is none; nothing was added then.
pub(super) fn put(form: Form, raw: &[u8], writer: &mut RowWriter) -> Result<(), &'static str> {
    match form {
        Form::Bool => match raw {
            [value @ 0..=1] => writer.field(Some(&[*value])),
            _ => return Err("a number other than 0 and 1 stands for a bool"),
        },
        Form::BitBool => match raw {
            [] => writer.field(Some(&[0])),
            [value] => writer.field(Some(&[value & 1])),
            _ => return Err(UNEXPECTED),
        },
        Form::Tiny { unsigned } => {
            let [byte] = sized(raw)?;
            let number = if unsigned {
                i16::from(byte)
            } else {
                i16::from(i8::from_le_bytes([byte]))
            };
            writer.field(Some(&number.to_be_bytes()));
        }
        Form::Short => writer.field(Some(&i16::from_le_bytes(sized(raw)?).to_be_bytes())),
        Form::ShortUnsigned => {
            let number = i32::from(u16::from_le_bytes(sized(raw)?));
            writer.field(Some(&number.to_be_bytes()));
        }
        Form::Long => writer.field(Some(&i32::from_le_bytes(sized(raw)?).to_be_bytes())),
        Form::LongUnsigned => {
            let number = i64::from(u32::from_le_bytes(sized(raw)?));
            writer.field(Some(&number.to_be_bytes()));
        }
        Form::LongLong => writer.field(Some(&i64::from_le_bytes(sized(raw)?).to_be_bytes())),
        Form::LongLongUnsigned => {
            let number = u64::from_le_bytes(sized(raw)?);
            match i64::try_from(number) {
                Ok(number) => writer.field(Some(&numeric::from_i64(number))),
                Err(_) => decimal(&number.to_string(), writer)?,
            }
        }
        Form::Float => writer.field(Some(&u32::from_le_bytes(sized(raw)?).to_be_bytes())),
        Form::Double => writer.field(Some(&u64::from_le_bytes(sized(raw)?).to_be_bytes())),
        Form::Decimal => decimal(utf8(raw)?, writer)?,
        Form::Date => writer.field(Some(&date(raw)?.to_be_bytes())),
        Form::Time => writer.field(Some(&time(raw)?.to_be_bytes())),
        Form::DateTime => writer.field(Some(&moment(raw)?.to_be_bytes())),
        Form::Uuid => {
            let uuid = uuid::Uuid::try_parse_ascii(raw).map_err(|_| UNEXPECTED)?;
            writer.field(Some(uuid.as_bytes()));
        }
        Form::Jsonb => writer.field(Some(&[&[JSONB_VERSION], utf8(raw)?.as_bytes()].concat())),
        Form::Text => writer.field(Some(utf8(raw)?.as_bytes())),
        Form::Bytes => writer.field(Some(raw)),
        Form::Bits(digits) => writer.field(Some(bits(raw, digits)?.as_bytes())),
        Form::Geometry => writer.field(Some(ewkb(raw)?.as_bytes())),
    }
    Ok(())
}

const UNEXPECTED: &str = "the server sent it in an unexpected form";
const ZERO_DATE: &str = "it is a zero date or has a month or day that is zero: that is no date";
const NO_DATE: &str = "it is no day of the calendar";
const NO_TIME_OF_DAY: &str = "it is negative or beyond 24 hours: that is no time of day";

fn sized<const N: usize>(raw: &[u8]) -> Result<[u8; N], &'static str> {
    raw.try_into().map_err(|_| UNEXPECTED)
}

fn utf8(raw: &[u8]) -> Result<&str, &'static str> {
    std::str::from_utf8(raw).map_err(|_| "the text is not valid UTF-8")
}

fn decimal(text: &str, writer: &mut RowWriter) -> Result<(), &'static str> {
    let bytes = numeric::encode(text).map_err(|_| UNEXPECTED)?;
    writer.field(Some(&bytes));
    Ok(())
}

/// What stands behind the length byte of a date or time, by how much of it was sent: zeros at the end are left out.
#[derive(Debug)]
struct Parts<'a>(&'a [u8]);

impl<'a> Parts<'a> {
    fn read(raw: &'a [u8]) -> Result<Self, &'static str> {
        match raw.split_first() {
            Some((length, rest)) if usize::from(*length) == rest.len() => Ok(Self(rest)),
            _ => Err(UNEXPECTED),
        }
    }

    fn byte(&self, at: usize) -> i64 {
        self.0.get(at).copied().map_or(0, i64::from)
    }

    fn four(&self, at: usize) -> i64 {
        let bytes = self.0.get(at..).and_then(<[u8]>::first_chunk::<4>);
        bytes.map_or(0, |bytes| i64::from(u32::from_le_bytes(*bytes)))
    }

    /// Days since 2000-01-01.
    fn days(&self) -> Result<i64, &'static str> {
        let year = self.byte(0) | self.byte(1) << 8;
        let (month, day) = (self.byte(2), self.byte(3));
        if month == 0 || day == 0 {
            return Err(ZERO_DATE);
        }
        // The databases do not agree with the calendar, nor with each other, on the days of a year 0.
        datetime::days(year, month, day)
            .filter(|_| year > 0)
            .ok_or(NO_DATE)
    }

    /// Microseconds of hours, minutes, seconds and a fraction that begin at `at`.
    fn clock(&self, at: usize) -> i64 {
        let [hours, minutes, seconds] = [0, 1, 2].map(|step| self.byte(at + step));
        ((hours * 60 + minutes) * 60 + seconds) * MICROS_PER_SECOND + self.four(at + 3)
    }
}

fn date(raw: &[u8]) -> Result<i32, &'static str> {
    let parts = Parts::read(raw)?;
    i32::try_from(parts.days()?).map_err(|_| UNEXPECTED)
}

fn moment(raw: &[u8]) -> Result<i64, &'static str> {
    let parts = Parts::read(raw)?;
    Ok(parts.days()? * MICROS_PER_DAY + parts.clock(4))
}

/// A sign, four bytes of days, then the clock; midnight may come as nothing at all.
fn time(raw: &[u8]) -> Result<i64, &'static str> {
    let parts = Parts::read(raw)?;
    let micros = parts.four(1) * MICROS_PER_DAY + parts.clock(5);
    if micros > MICROS_PER_DAY || (parts.byte(0) != 0 && micros > 0) {
        return Err(NO_TIME_OF_DAY);
    }
    Ok(micros)
}

/// The last `digits` bits as 0 and 1.
fn bits(raw: &[u8], digits: u32) -> Result<String, &'static str> {
    if raw.len() > 8 || !(1..=64).contains(&digits) {
        return Err(UNEXPECTED);
    }
    let number = raw
        .iter()
        .fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    let width = usize::try_from(digits).map_err(|_| UNEXPECTED)?;
    Ok(format!("{number:0width$b}"))
}

/// Four bytes of the reference system and WKB, as EWKB in the digits that `PostGIS` writes.
fn ewkb(raw: &[u8]) -> Result<String, &'static str> {
    let (srid, wkb) = raw.split_first_chunk::<4>().ok_or(UNEXPECTED)?;
    if *srid == [0; 4] {
        return Ok(hex::encode_upper(wkb));
    }
    let (order, rest) = wkb.split_first_chunk::<1>().ok_or(UNEXPECTED)?;
    let (kind, rest) = rest.split_first_chunk::<4>().ok_or(UNEXPECTED)?;
    if *order != [1] {
        return Err(UNEXPECTED);
    }
    let kind = u32::from_le_bytes(*kind) | EWKB_SRID;
    Ok(hex::encode_upper(
        [order, &kind.to_le_bytes()[..], srid, rest].concat(),
    ))
}

#[cfg(test)]
mod tests;
