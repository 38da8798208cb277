//! Bounds on what one connection may ask for.
//!
//! Invariant: hours that begin when they end are none.

use std::fmt;
use std::str::FromStr;

use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const MINUTES_OF_A_DAY: u16 = 24 * 60;

/// Bounds on what one connection may ask for; `None` is no bound.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Requests of any kind; at least 1.
    pub requests_per_minute: Option<u32>,
    /// Rows of one JSON answer; at least 1.
    pub max_records_per_request: Option<u32>,
    /// Rows sent in a day of the site's time zone.
    pub rows_per_day: Option<u64>,
    /// Bytes of rows on the wire in a day of the site's time zone.
    pub bytes_per_day: Option<u64>,
    /// Where its requests may come from; not empty.
    pub networks: Option<Vec<IpNet>>,
    /// When it may ask for data, in the site's time zone.
    pub hours: Option<Hours>,
    /// From when on it gets nothing any more.
    pub expires_at: Option<Timestamp>,
}

impl Limits {
    /// Whether the time they allow is over at `now`.
    #[must_use]
    pub fn are_over(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests_per_minute: Some(600),
            max_records_per_request: Some(10_000),
            rows_per_day: None,
            bytes_per_day: None,
            networks: None,
            hours: None,
            expires_at: None,
        }
    }
}

/// A part of each day, over midnight where it ends before it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written")]
pub struct Hours {
    /// The first minute.
    pub start: Clock,
    /// The first minute after it.
    pub end: Clock,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    start: Clock,
    end: Clock,
}

impl TryFrom<Written> for Hours {
    type Error = &'static str;

    fn try_from(Written { start, end }: Written) -> Result<Self, Self::Error> {
        if start == end {
            return Err("start and end are the same; leave hours out where all of them are meant");
        }
        Ok(Self { start, end })
    }
}

impl Hours {
    /// Whether `now` lies in it.
    #[must_use]
    pub fn include(self, now: Clock) -> bool {
        if self.start < self.end {
            self.start <= now && now < self.end
        } else {
            self.start <= now || now < self.end
        }
    }

    /// Minutes of a clock from `now` until it begins.
    #[must_use]
    pub fn minutes_until(self, now: Clock) -> u16 {
        (self.start.0 + MINUTES_OF_A_DAY - now.0 % MINUTES_OF_A_DAY) % MINUTES_OF_A_DAY
    }
}

/// A minute of a day; written `08:30`, and `24:00` for its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Clock(u16);

impl Clock {
    /// The minute in which a clock shows `time`.
    #[must_use]
    pub fn of(time: jiff::civil::Time) -> Self {
        let [hour, minute] =
            [time.hour(), time.minute()].map(|part| u16::try_from(part).unwrap_or_default());
        Self(hour * 60 + minute)
    }
}

/// Text that is no time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a time of day is written as 08:30, and the end of a day as 24:00")]
pub struct InvalidClock;

impl FromStr for Clock {
    type Err = InvalidClock;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (hour, minute) = text.split_once(':').ok_or(InvalidClock)?;
        let number = |part: &str| {
            let is_written = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
            let number = part.parse::<u16>().ok();
            number.filter(|_| is_written).ok_or(InvalidClock)
        };
        let (hour, minute) = (number(hour)?, number(minute)?);
        let is_there = (hour < 24 && minute < 60) || (hour, minute) == (24, 0);
        is_there
            .then_some(Self(hour * 60 + minute))
            .ok_or(InvalidClock)
    }
}

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl Serialize for Clock {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Clock {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}
