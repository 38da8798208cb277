//! How a schedule is written: by a person, and in JSON.
//!
//! Invariant: what a schedule is written as, it is read from.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Time;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::model::schedule::{Day, Frequency, InvalidSchedule, Rule, Schedule, UTC};
use crate::model::word::UnknownWord;

fn time_of_day(text: &str) -> Result<Time, InvalidSchedule> {
    let wrong = || InvalidSchedule(format!("`{text}` is no time of day; write 06:00"));
    let (hour, minute) = text.split_once(':').ok_or_else(wrong)?;
    let part = |text: &str| -> Option<i8> {
        let is_plain = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| is_plain)
    };
    let time = part(hour).zip(part(minute));
    time.and_then(|(hour, minute)| Time::new(hour, minute, 0, 0).ok())
        .ok_or_else(wrong)
}

/// As a person writes it, without the zone.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cron(text) => f.write_str(text),
            Self::Every {
                frequency,
                time,
                day,
            } => {
                f.write_str(frequency.as_str())?;
                if let Some(day) = day {
                    write!(f, ":{day}")?;
                }
                // Every hour at its first minute needs no more words.
                if *frequency == Frequency::Hourly && time.minute() == 0 {
                    return Ok(());
                }
                write!(f, "@{:02}:{:02}", time.hour(), time.minute())
            }
        }
    }
}

/// As a person writes it, and its zone unless that is UTC.
impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rule.fmt(f)?;
        if self.zone_name == UTC {
            return Ok(());
        }
        write!(f, " {}", self.zone_name)
    }
}

/// Reads what a person writes: a cron pattern, `hourly`, `daily@06:00`, `weekly:monday@06:00`; in UTC.
impl FromStr for Schedule {
    type Err = InvalidSchedule;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, time) = match text.split_once('@') {
            Some((name, time)) if !name.is_empty() => (name, Some(time)),
            _ => (text, None),
        };
        let (name, day) = match name.split_once(':') {
            Some((name, day)) => (name, Some(day)),
            None => (name, None),
        };
        let Ok(frequency) = name.parse::<Frequency>() else {
            return Self::new(Rule::cron(text)?, None);
        };
        let day: Option<Day> = day
            .map(str::parse)
            .transpose()
            .map_err(|err: UnknownWord| InvalidSchedule(err.to_string()))?;
        let time = time.map(time_of_day).transpose()?;
        Self::new(Rule::every(frequency, time, day)?, None)
    }
}

/// The object form, as it is read and written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cron: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    frequency: Option<Frequency>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sync_time: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    day_of_week: Option<Day>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timezone: Option<String>,
}

impl TryFrom<Form> for Schedule {
    type Error = InvalidSchedule;

    fn try_from(form: Form) -> Result<Self, Self::Error> {
        let rule = match (form.cron, form.frequency) {
            (Some(text), None) if form.sync_time.is_none() && form.day_of_week.is_none() => {
                Rule::cron(&text)?
            }
            (None, Some(frequency)) => {
                let time = form.sync_time.as_deref().map(time_of_day).transpose()?;
                Rule::every(frequency, time, form.day_of_week)?
            }
            _ => {
                return Err(InvalidSchedule(
                    "write a cron pattern, or an object with `frequency` (hourly, daily, weekly) or with `cron`".to_owned(),
                ));
            }
        };
        Self::new(rule, form.timezone.as_deref())
    }
}

impl Serialize for Schedule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let timezone = (self.zone_name != UTC).then(|| self.zone_name.clone());
        let mut form = Form {
            cron: None,
            frequency: None,
            sync_time: None,
            day_of_week: None,
            timezone,
        };
        match &self.rule {
            Rule::Cron(text) if form.timezone.is_none() => return serializer.serialize_str(text),
            Rule::Cron(text) => form.cron = Some(text.clone()),
            Rule::Every {
                frequency,
                time,
                day,
            } => {
                form.frequency = Some(*frequency);
                form.sync_time = Some(format!("{:02}:{:02}", time.hour(), time.minute()));
                form.day_of_week = *day;
            }
        }
        form.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Schedule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyForm)
    }
}

struct AnyForm;

impl<'de> Visitor<'de> for AnyForm {
    type Value = Schedule;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a cron pattern or an object with `frequency`")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Schedule, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Schedule, A::Error> {
        let form = Form::deserialize(MapAccessDeserializer::new(map))?;
        form.try_into().map_err(serde::de::Error::custom)
    }
}
