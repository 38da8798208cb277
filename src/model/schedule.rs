//! Schedules: when a sync runs by itself.
//!
//! How one is written stands in `form`, what a change of the clock means in `calendar`. Times are computed from the
//! last planned one, never from when a run ended.

mod calendar;
mod form;
#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Time;
use jiff::tz::TimeZone;

use crate::model::id::SyncId;
use crate::model::schedule::calendar::Calendar;
use crate::model::word::words;

/// Characters of a cron pattern at most.
const LONGEST_PATTERN: usize = 200;
const UTC: &str = "UTC";

/// How often a schedule without a cron pattern comes due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frequency {
    /// Every hour.
    Hourly,
    /// Once a day.
    Daily,
    /// Once a week.
    Weekly,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the day of its name")]
pub enum Day {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

words! {
    Frequency { Hourly = "hourly", Daily = "daily", Weekly = "weekly" }
    Day {
        Monday = "monday", Tuesday = "tuesday", Wednesday = "wednesday", Thursday = "thursday",
        Friday = "friday", Saturday = "saturday", Sunday = "sunday",
    }
}

/// When a sync runs by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    rule: Rule,
    zone_name: String,
    zone: TimeZone,
    calendar: Calendar,
}

/// A schedule's times, as they were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Rule {
    Cron(String),
    /// `time` of an hourly schedule holds the minute alone.
    Every {
        frequency: Frequency,
        time: Time,
        day: Option<Day>,
    },
}

/// One time of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// As the schedule says.
    pub planned_at: Timestamp,
    /// When it is begun: up to a tenth of the time to the next one later, and never the same for all syncs.
    pub starts_at: Timestamp,
}

/// Text or JSON that is no schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidSchedule(String);

impl Schedule {
    /// The first time after `after`. `None` only at the end of the calendar: a schedule that never comes due cannot be
    /// made.
    #[must_use]
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        self.calendar.next_after(&self.zone, after)
    }

    /// The first time after `after` with the moment `sync` begins it: later by its own share of at most `jitter`, and
    /// of at most a tenth of the time until the next one. The share stays the same over restarts.
    #[must_use]
    pub fn plan_after(&self, after: Timestamp, sync: SyncId, jitter: Duration) -> Option<Planned> {
        let planned_at = self.next_after(after)?;
        let room = match self.next_after(planned_at) {
            Some(next) => planned_at.duration_until(next).unsigned_abs() / 10,
            None => Duration::ZERO,
        };
        let later = Duration::from_secs(room.min(jitter).mul_f64(sync.fraction()).as_secs());
        let starts_at = planned_at.checked_add(later).unwrap_or(planned_at);
        Some(Planned {
            planned_at,
            starts_at,
        })
    }

    /// The same times by the clock of another zone, by its IANA name.
    ///
    /// # Errors
    /// When there is no such zone.
    pub fn in_zone(self, name: &str) -> Result<Self, InvalidSchedule> {
        Self::new(self.rule, Some(name))
    }

    fn new(rule: Rule, zone: Option<&str>) -> Result<Self, InvalidSchedule> {
        let (zone_name, zone) = match zone {
            None => (UTC.to_owned(), TimeZone::UTC),
            Some(name) => named_zone(name)?,
        };
        let calendar = Calendar::parse(&rule.pattern()).map_err(InvalidSchedule)?;
        Ok(Self {
            rule,
            zone_name,
            zone,
            calendar,
        })
    }
}

impl Rule {
    fn cron(text: &str) -> Result<Self, InvalidSchedule> {
        if text.len() > LONGEST_PATTERN {
            let message = format!("a cron pattern has at most {LONGEST_PATTERN} characters");
            return Err(InvalidSchedule(message));
        }
        let fields: Vec<&str> = text.split_whitespace().collect();
        Ok(Self::Cron(fields.join(" ")))
    }

    fn every(
        frequency: Frequency,
        time: Option<Time>,
        day: Option<Day>,
    ) -> Result<Self, InvalidSchedule> {
        let time = time.unwrap_or(Time::midnight());
        if frequency == Frequency::Hourly && time.hour() != 0 {
            return Err(InvalidSchedule(format!(
                "of an hourly schedule, sync_time says the minute: write 00:{:02}",
                time.minute()
            )));
        }
        if frequency != Frequency::Weekly && day.is_some() {
            let message = format!("a day of the week does not belong to a {frequency} schedule");
            return Err(InvalidSchedule(message));
        }
        let day = match frequency {
            Frequency::Weekly => day.or(Some(Day::Monday)),
            Frequency::Hourly | Frequency::Daily => None,
        };
        Ok(Self::Every {
            frequency,
            time,
            day,
        })
    }

    /// The rule as a cron pattern.
    fn pattern(&self) -> String {
        let (frequency, time, day) = match self {
            Self::Cron(text) => return text.clone(),
            Self::Every {
                frequency,
                time,
                day,
            } => (frequency, time, day),
        };
        let minute = time.minute();
        let hour = match frequency {
            Frequency::Hourly => "*".to_owned(),
            Frequency::Daily | Frequency::Weekly => time.hour().to_string(),
        };
        let day = match day {
            None => "*",
            Some(Day::Monday) => "1",
            Some(Day::Tuesday) => "2",
            Some(Day::Wednesday) => "3",
            Some(Day::Thursday) => "4",
            Some(Day::Friday) => "5",
            Some(Day::Saturday) => "6",
            Some(Day::Sunday) => "0",
        };
        format!("{minute} {hour} * * {day}")
    }
}

fn named_zone(name: &str) -> Result<(String, TimeZone), InvalidSchedule> {
    let unknown = || {
        InvalidSchedule(format!(
            "`{}` is no time zone; write its IANA name, such as Europe/Berlin",
            name.escape_debug()
        ))
    };
    let zone = TimeZone::get(name).map_err(|_| unknown())?;
    let known = zone.iana_name().ok_or_else(unknown)?.to_owned();
    Ok((known, zone))
}
