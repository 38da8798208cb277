//! Schedules over changes of the clock, in simulated time.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::{ProptestConfig, prop_assert_eq, proptest};

use super::{BERLIN, NEW_YORK, at, schedule};
use crate::model::schedule::Schedule;

/// Its clock changes by half an hour.
const LORD_HOWE: &str = "Australia/Lord_Howe";

/// The times after `from` up to and including `to`.
fn times(schedule: &Schedule, from: Timestamp, to: Timestamp) -> Vec<Timestamp> {
    let mut times = Vec::new();
    let mut last = from;
    while let Some(next) = schedule.next_after(last).filter(|next| *next <= to) {
        assert!(next > last, "{schedule}: {next} after {last}");
        times.push(next);
        last = next;
    }
    times
}

#[test]
fn over_a_change_of_the_clock_nothing_runs_twice_and_nothing_is_missing() {
    // Berlin: 02:00 to 03:00 on 29 March is skipped, on 25 October shown twice, the change being at 01:00 UTC.
    // New York: 8 March at 07:00 UTC and 1 November at 06:00 UTC. Lord Howe: from 02:00 back to 01:30 on 5 April
    // (4 April 15:00 UTC), and over 02:00 to 02:30 on 4 October (3 October 15:30 UTC).
    let cases: &[(&str, &str, &str, &str, &[&str])] = &[
        (
            "skipped: when the clock jumps",
            "daily@02:30",
            BERLIN,
            "2026-03-28T00:00Z",
            &[
                "2026-03-28T01:30Z",
                "2026-03-29T01:00Z",
                "2026-03-30T00:30Z",
            ],
        ),
        (
            "shown twice: the first time",
            "daily@02:30",
            BERLIN,
            "2026-10-24T00:00Z",
            &[
                "2026-10-24T00:30Z",
                "2026-10-25T00:30Z",
                "2026-10-26T01:30Z",
            ],
        ),
        (
            "skipped",
            "30 2 * * *",
            NEW_YORK,
            "2026-03-07T00:00Z",
            &[
                "2026-03-07T07:30Z",
                "2026-03-08T07:00Z",
                "2026-03-09T06:30Z",
            ],
        ),
        (
            "shown twice",
            "30 1 * * *",
            NEW_YORK,
            "2026-10-31T00:00Z",
            &[
                "2026-10-31T05:30Z",
                "2026-11-01T05:30Z",
                "2026-11-02T06:30Z",
            ],
        ),
        (
            "skipped half an hour",
            "daily@02:15",
            LORD_HOWE,
            "2026-10-02T00:00Z",
            &[
                "2026-10-02T15:45Z",
                "2026-10-03T15:30Z",
                "2026-10-04T15:15Z",
            ],
        ),
        (
            "half an hour shown twice",
            "daily@01:45",
            LORD_HOWE,
            "2026-04-03T00:00Z",
            &[
                "2026-04-03T14:45Z",
                "2026-04-04T14:45Z",
                "2026-04-05T15:15Z",
            ],
        ),
        (
            "twice a day, one of them skipped",
            "30 2,14 * * *",
            BERLIN,
            "2026-03-28T20:00Z",
            &[
                "2026-03-29T01:00Z",
                "2026-03-29T12:30Z",
                "2026-03-30T00:30Z",
            ],
        ),
        (
            "several skipped: one run",
            "*/10 2 * * *",
            BERLIN,
            "2026-03-28T02:00Z",
            &[
                "2026-03-29T01:00Z",
                "2026-03-30T00:00Z",
                "2026-03-30T00:10Z",
            ],
        ),
        (
            "skipped onto one that is there",
            "0 2,3 * * *",
            BERLIN,
            "2026-03-28T02:00Z",
            &[
                "2026-03-29T01:00Z",
                "2026-03-30T00:00Z",
                "2026-03-30T01:00Z",
            ],
        ),
        (
            "every two hours, one skipped",
            "0 */2 * * *",
            BERLIN,
            "2026-03-28T22:00Z",
            &[
                "2026-03-28T23:00Z",
                "2026-03-29T01:00Z",
                "2026-03-29T02:00Z",
                "2026-03-29T04:00Z",
            ],
        ),
        (
            "every two hours, one shown twice",
            "0 */2 * * *",
            BERLIN,
            "2026-10-24T21:00Z",
            &[
                "2026-10-24T22:00Z",
                "2026-10-25T00:00Z",
                "2026-10-25T03:00Z",
            ],
        ),
        (
            "hourly, forward",
            "hourly",
            BERLIN,
            "2026-03-28T23:00Z",
            &[
                "2026-03-29T00:00Z",
                "2026-03-29T01:00Z",
                "2026-03-29T02:00Z",
            ],
        ),
        (
            "hourly, back",
            "hourly",
            BERLIN,
            "2026-10-24T23:00Z",
            &[
                "2026-10-25T00:00Z",
                "2026-10-25T01:00Z",
                "2026-10-25T02:00Z",
            ],
        ),
        (
            "half past, forward",
            "30 * * * *",
            BERLIN,
            "2026-03-29T00:00Z",
            &[
                "2026-03-29T00:30Z",
                "2026-03-29T01:30Z",
                "2026-03-29T02:30Z",
            ],
        ),
        (
            "hourly, half an hour forward",
            "hourly",
            LORD_HOWE,
            "2026-10-03T14:00Z",
            &[
                "2026-10-03T14:30Z",
                "2026-10-03T15:30Z",
                "2026-10-03T16:00Z",
                "2026-10-03T17:00Z",
            ],
        ),
        (
            "hourly, half an hour back",
            "hourly",
            LORD_HOWE,
            "2026-04-04T13:30Z",
            &[
                "2026-04-04T14:00Z",
                "2026-04-04T15:00Z",
                "2026-04-04T15:30Z",
                "2026-04-04T16:30Z",
            ],
        ),
        (
            "every minute, back",
            "* * * * *",
            NEW_YORK,
            "2026-11-01T05:58Z",
            &[
                "2026-11-01T05:59Z",
                "2026-11-01T06:00Z",
                "2026-11-01T06:01Z",
            ],
        ),
        (
            "every hour of one day, over other changes",
            "0 * 1 1 *",
            BERLIN,
            "2026-02-01T00:00Z",
            &["2026-12-31T23:00Z", "2027-01-01T00:00Z"],
        ),
        (
            "weekly",
            "weekly:sunday@02:30",
            BERLIN,
            "2026-03-22T12:00Z",
            &["2026-03-29T01:00Z", "2026-04-05T00:30Z"],
        ),
        (
            "no change",
            "0 */6 * * *",
            "UTC",
            "2026-03-29T00:00Z",
            &[
                "2026-03-29T06:00Z",
                "2026-03-29T12:00Z",
                "2026-03-29T18:00Z",
                "2026-03-30T00:00Z",
            ],
        ),
    ];
    for (name, text, zone, from, expected) in cases {
        let expected: Vec<Timestamp> = expected.iter().map(|text| at(text)).collect();
        let found = times(&schedule(text, zone), at(from), *expected.last().unwrap());
        assert_eq!(found, expected, "{name}: {text} in {zone}");
    }
}

#[test]
fn an_hourly_schedule_runs_every_real_hour_of_three_years() {
    for zone in [
        "UTC",
        BERLIN,
        NEW_YORK,
        LORD_HOWE,
        "Asia/Kolkata",
        "Africa/Cairo",
        "America/Havana",
    ] {
        let hourly = schedule("hourly", zone);
        let found = times(&hourly, at("2025-01-01T00:00Z"), at("2028-01-01T00:00Z"));
        let (hour, half) = (SignedDuration::from_hours(1), SignedDuration::from_mins(30));
        let pauses = found.windows(2).map(|pair| pair[0].duration_until(pair[1]));
        let mut counted: BTreeMap<SignedDuration, usize> = BTreeMap::new();
        for pause in pauses {
            *counted.entry(pause).or_default() += 1;
        }
        // Each change by half an hour moves the times by half an hour.
        let halves = if zone == LORD_HOWE { 6 } else { 0 };
        assert_eq!(counted.remove(&half).unwrap_or(0), halves, "{zone}");
        assert!(counted.remove(&hour).unwrap() > 26_000, "{zone}");
        assert!(counted.is_empty(), "{zone}: {counted:?}");
    }
}

#[test]
fn a_daily_schedule_runs_once_on_every_day_of_three_years() {
    for zone in [
        BERLIN,
        NEW_YORK,
        LORD_HOWE,
        "Africa/Cairo",
        "America/Havana",
        "America/Santiago",
    ] {
        for time in [
            "00:00", "00:30", "01:30", "01:45", "02:00", "02:15", "02:30", "03:00", "23:30",
        ] {
            let daily = schedule(&format!("daily@{time}"), zone);
            let found = times(&daily, at("2025-01-01T12:00Z"), at("2028-01-01T12:00Z"));
            let clock = TimeZone::get(zone).unwrap();
            let mut days: Vec<_> = found
                .iter()
                .map(|at| clock.to_datetime(*at).date())
                .collect();
            let first = days[0];
            for (count, day) in days.drain(..).enumerate() {
                let expected =
                    first + SignedDuration::from_hours(24 * i64::try_from(count).unwrap());
                assert_eq!(day, expected, "{time} in {zone}");
            }
            assert!(found.len() >= 1_094, "{time} in {zone}: {}", found.len());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// So it does not matter whether the next time is computed from the last planned one, from a run's end or after
    /// hours of downtime.
    #[test]
    fn the_next_time_is_the_same_from_every_moment_before_it(
        pattern in "(0|30|\\*/7|15,45) (\\*|2|1-3|\\*/2|0) \\* \\* (\\*|0|1-5)",
        zone in proptest::sample::select(vec!["UTC", BERLIN, NEW_YORK, LORD_HOWE, "America/Havana"]),
        start in 1_767_225_600_i64..1_798_761_600,
        steps in proptest::collection::vec(1_i64..20_000, 1..20),
    ) {
        let schedule = schedule(&pattern, zone);
        let mut moment = Timestamp::from_second(start).unwrap();
        let mut next = schedule.next_after(moment).unwrap();
        for step in steps {
            moment += SignedDuration::from_secs(step);
            if moment >= next {
                let reached = times(&schedule, next, moment);
                let last = reached.last().copied().unwrap_or(next);
                next = schedule.next_after(last).unwrap();
            }
            prop_assert_eq!(schedule.next_after(moment), Some(next), "{} from {}", schedule, moment);
        }
    }
}
