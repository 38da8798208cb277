//! Schedules as they are written, and as they are spread; over changes of the clock in `changes`.

mod changes;

use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::proptest;
use serde_json::{Value, json};

use super::Schedule;
use crate::model::id::SyncId;

const BERLIN: &str = "Europe/Berlin";
const NEW_YORK: &str = "America/New_York";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn schedule(text: &str, zone: &str) -> Schedule {
    let plain: Schedule = text.parse().unwrap_or_else(|err| panic!("{text}: {err}"));
    if zone == "UTC" {
        plain
    } else {
        plain.in_zone(zone).unwrap()
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "[0-9a-zA-Z*/,#@+?:é \\-]{0,30}") {
        let _ = text.parse::<Schedule>();
    }
}

#[test]
fn a_schedule_is_read_as_it_is_written() {
    let daily = json!({"frequency": "daily", "sync_time": "06:00"});
    let cases = [
        ("0 */6 * * *", "UTC", json!("0 */6 * * *")),
        (
            "0 6 * * MON-FRI",
            BERLIN,
            json!({"cron": "0 6 * * MON-FRI", "timezone": BERLIN}),
        ),
        ("@daily", "UTC", json!("@daily")),
        ("daily@06:00", "UTC", daily.clone()),
        (
            "hourly",
            "UTC",
            json!({"frequency": "hourly", "sync_time": "00:00"}),
        ),
        (
            "hourly@00:15",
            NEW_YORK,
            json!({"frequency": "hourly", "sync_time": "00:15", "timezone": NEW_YORK}),
        ),
        (
            "weekly:monday@06:00",
            BERLIN,
            json!({"frequency": "weekly", "sync_time": "06:00",
            "day_of_week": "monday", "timezone": BERLIN}),
        ),
    ];
    for (text, zone, form) in cases {
        let schedule = schedule(text, zone);
        assert_eq!(serde_json::to_value(&schedule).unwrap(), form, "{text}");
        assert_eq!(
            serde_json::from_value::<Schedule>(form).unwrap(),
            schedule,
            "{text}"
        );
        let shown = if zone == "UTC" {
            text.to_owned()
        } else {
            format!("{text} {zone}")
        };
        assert_eq!(schedule.to_string(), shown);
    }
    // What is left out is midnight, and Monday.
    let spare: Schedule = serde_json::from_value(json!({"frequency": "weekly"})).unwrap();
    assert_eq!(spare.to_string(), "weekly:monday@00:00");
    assert_eq!(
        serde_json::from_value::<Schedule>(json!("daily@06:00")).unwrap(),
        serde_json::from_value(daily).unwrap()
    );
}

#[test]
fn what_is_no_schedule_is_refused_with_what_is_wrong() {
    let cases: [(Value, &str); 16] = [
        (json!("* * * * * *"), "five fields"),
        (json!(""), "five fields"),
        (json!("61 * * * *"), "out of bounds"),
        (json!("*/0 * * * *"), "zero"),
        (json!("0 0 30 2 *"), "never comes due"),
        (json!("0 * 31 4 *"), "never comes due"),
        (json!("1 ".repeat(200)), "at most 200"),
        (json!("daily@6"), "write 06:00"),
        (json!("daily@24:00"), "write 06:00"),
        (json!("weekly:moonday@06:00"), "none of monday"),
        (json!("daily:monday@06:00"), "does not belong"),
        (
            json!({"frequency": "hourly", "sync_time": "06:30"}),
            "write 00:30",
        ),
        (json!({"frequency": "yearly"}), "none of hourly"),
        (
            json!({"frequency": "daily", "cron": "0 6 * * *"}),
            "or an object with",
        ),
        (
            json!({"frequency": "daily", "timezone": "Europe/Berlim"}),
            "no time zone",
        ),
        (json!(5), "a cron pattern or an object"),
    ];
    for (form, part) in cases {
        let err = serde_json::from_value::<Schedule>(form.clone()).unwrap_err();
        assert!(err.to_string().contains(part), "{form}: {err}");
    }
    assert!(schedule("hourly", BERLIN).in_zone("Mars/Base").is_err());
}

#[test]
fn runs_are_spread_by_at_most_a_tenth_of_the_interval_and_always_by_the_same_share() {
    let (from, hour) = (at("2026-11-21T10:30Z"), Duration::from_secs(3_600));
    for (text, jitter, most) in [
        ("* * * * *", hour, 6),
        ("hourly", hour, 360),
        ("hourly", Duration::from_secs(60), 60),
        ("hourly", Duration::ZERO, 0),
        ("daily@06:00", hour, 3_600),
    ] {
        let schedule = schedule(text, "UTC");
        let mut shares = std::collections::BTreeSet::new();
        for _ in 0..200 {
            let sync = SyncId::generate();
            let planned = schedule.plan_after(from, sync, jitter).unwrap();
            let next = schedule
                .plan_after(planned.starts_at, sync, jitter)
                .unwrap();
            let later = planned
                .planned_at
                .duration_until(planned.starts_at)
                .as_secs();
            assert!((0..=most).contains(&later), "{text}: {later}");
            assert!(planned.starts_at < next.planned_at);
            assert_eq!(Some(planned.planned_at), schedule.next_after(from));
            let of_the_next = next.planned_at.duration_until(next.starts_at).as_secs();
            assert_eq!(of_the_next, later, "{text}");
            shares.insert(later);
        }
        assert!(shares.len() > 3 || most == 0, "{text}: {shares:?}");
    }
}
