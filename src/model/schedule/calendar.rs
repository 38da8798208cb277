//! When a cron pattern comes due in a time zone, also over changes of the clock.
//!
//! A pattern for every hour (`*` in its hour field) counts real time: through a change it goes on by the old clock for
//! as long as the change is wide, and by the new clock at once, so that no pause is ever longer than usual. Any other
//! pattern names times of day, and each of those comes once: one that the change skips at the moment the clock jumps,
//! one that is shown twice when it is shown first.
//! Invariant: the answer depends on the pattern, the zone and the moment asked about, and on nothing else.

use std::time::Duration;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::civil::{DateTime, date};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

/// How many changes of the clock are looked through for the next time of a pattern for every hour: a century or two.
const CHANGES: usize = 400;
/// Any moment does: what comes at all comes again within the calendar's cycle of 400 years.
const LONG_AGO: DateTime = date(1970, 1, 1).at(0, 0, 0, 0);
const SECOND: Duration = Duration::from_secs(1);

/// A cron pattern of five fields, or one of the names such as `@daily`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Calendar {
    cron: Cron,
    every_hour: bool,
}

impl Calendar {
    /// Reads a pattern; the error says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let parser = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .build();
        // The parser's words are about its insides where fields are missing.
        let fields = text.split_whitespace().count();
        if fields != 5 && !text.trim_start().starts_with('@') {
            return Err(format!(
                "a cron pattern has five fields, such as `0 */6 * * *`; this has {fields}"
            ));
        }
        let cron = parser.parse(text).map_err(|err| err.to_string())?;
        if cron.find_next_occurrence(&LONG_AGO, false).is_err() {
            return Err(format!("`{text}` never comes due: there is no such date"));
        }
        let hours = cron.as_str().split_whitespace().nth(1);
        let every_hour = matches!(hours, Some("*" | "*/1" | "0-23"));
        Ok(Self { cron, every_hour })
    }

    /// The first time after `after`; `None` when there is none.
    pub(super) fn next_after(&self, zone: &TimeZone, after: Timestamp) -> Option<Timestamp> {
        if self.every_hour {
            self.next_in_real_time(zone, after)
        } else {
            self.next_on_the_clock(zone, after)
        }
    }

    fn next_on_the_clock(&self, zone: &TimeZone, after: Timestamp) -> Option<Timestamp> {
        let mut shown = zone.to_datetime(after);
        loop {
            shown = self.cron.find_next_occurrence(&shown, false).ok()?;
            let moment = first_moment(zone, shown)?;
            // While the clock shows an hour for the second time, the next times on it have been.
            if moment > after {
                return Some(moment);
            }
        }
    }

    fn next_in_real_time(&self, zone: &TimeZone, after: Timestamp) -> Option<Timestamp> {
        let last_change = zone.preceding(after).next();
        let begin = match last_change {
            Some(change) => change.timestamp().checked_sub(SECOND).ok()?,
            None => after,
        };
        let (mut offset, mut from) = (zone.to_offset(begin), after);
        let mut best: Option<Timestamp> = None;
        for change in zone.following(begin).take(CHANGES) {
            let until = change.timestamp();
            let width = (change.offset().seconds() - offset.seconds()).unsigned_abs();
            let goes_on_until = until.checked_add(Duration::from_secs(width.into())).ok()?;
            let found = self.next_by(offset, from).filter(|at| *at < goes_on_until);
            best = earlier(best, found);
            if best.is_some_and(|best| best < until) {
                return best;
            }
            offset = change.offset();
            // The moment of the change itself counts.
            from = after.max(until.checked_sub(SECOND).ok()?);
        }
        earlier(best, self.next_by(offset, from))
    }

    /// The first time after `after` by a clock that never changes.
    fn next_by(&self, offset: Offset, after: Timestamp) -> Option<Timestamp> {
        let shown = offset.to_datetime(after);
        let next = self.cron.find_next_occurrence(&shown, false).ok()?;
        offset.to_timestamp(next).ok()
    }
}

fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.into_iter().chain(other).min()
}

/// When the clock first shows `shown`; where it never does, the moment it jumps over it.
fn first_moment(zone: &TimeZone, shown: DateTime) -> Option<Timestamp> {
    match zone.to_ambiguous_timestamp(shown).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(shown).ok(),
        AmbiguousOffset::Fold { before, .. } => before.to_timestamp(shown).ok(),
        AmbiguousOffset::Gap { after, .. } => {
            let before_the_jump = after.to_timestamp(shown).ok()?;
            let jump = zone.following(before_the_jump).next()?;
            Some(jump.timestamp())
        }
    }
}
