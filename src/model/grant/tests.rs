//! Grants as they are read, written and asked.

use jiff::Timestamp;

use super::{Clock, ColumnPolicy, Grant, Hours, Withheld};
use crate::model::table::TableName;

fn withheld() -> Withheld {
    Withheld::new(&[
        "*session*".into(),
        "schema_migrations".into(),
        "oban_*".into(),
    ])
}

#[test]
fn nothing_is_granted_unless_it_is_named() {
    let orders = TableName::bare("orders");
    for text in [
        "{}",
        r#"{"tables":[]}"#,
        r#"{"tables":["items"]}"#,
        r#"{"tables":["shop.orders"]}"#,
    ] {
        let grant: Grant = serde_json::from_str(text).unwrap();
        assert!(!grant.allows(&orders, &withheld()), "{text}");
    }
    assert!(Grant::of(vec![orders.clone()]).allows(&orders, &withheld()));
}

#[test]
fn a_star_grants_all_but_the_withheld_and_the_excluded() {
    let grant: Grant =
        serde_json::from_str(r#"{"tables":"*","excluded_tables":["salaries"]}"#).unwrap();
    let allows = |name: &str| grant.allows(&TableName::bare(name), &withheld());
    assert!(allows("orders"));
    for name in [
        "user_Sessions",
        "session",
        "schema_migrations",
        "oban_jobs",
        "salaries",
    ] {
        assert!(!allows(name), "{name}");
    }
}

fn read(json: &str) -> Result<Grant, String> {
    serde_json::from_str(json).map_err(|err| err.to_string())
}

#[test]
fn a_grant_of_an_earlier_version_still_reads() {
    let old =
        r#"{"tables":["orders"],"excluded_tables":[],"limits":{"max_records_per_request":5}}"#;
    let grant = read(old).unwrap();
    assert_eq!(grant.limits.max_records_per_request, Some(5));
    assert_eq!(grant.limits.requests_per_minute, Some(600));
    assert_eq!(
        read("{}").unwrap().limits.max_records_per_request,
        Some(10_000)
    );
    assert_eq!(
        read(&serde_json::to_string(&grant).unwrap()).unwrap(),
        grant
    );
}

#[test]
fn a_grant_in_full_comes_back_as_it_was_written() {
    let grant = serde_json::json!({
        "tables": ["orders", "shop.items"], "excluded_tables": [],
        "columns": {"orders": {"id": "allow", "note": "drop", "phone": "null", "customer_id": {"pseudonym": "customer"}}},
        "row_filter": {"orders": {"column": "region", "op": "=", "value": "north"}},
        "limits": {"requests_per_minute": null, "max_records_per_request": 100, "rows_per_day": 5, "bytes_per_day": 6,
            "networks": ["10.0.0.0/8", "2001:db8::/32"], "hours": {"start": "22:00", "end": "06:30"},
            "expires_at": "2027-01-01T00:00:00Z"},
    });
    let read = read(&grant.to_string()).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), grant);
}

#[test]
fn what_would_not_be_enforced_as_it_was_meant_is_refused() {
    for (json, words) in [
        (r#"{"tables":"all"}"#, "did not match"),
        (r#"{"colums":{}}"#, "unknown field"),
        (r#"{"columns":{"t":{"a":"hide"}}}"#, "unknown variant"),
        (
            r#"{"columns":{"t":{"a":"drop","a":"allow"}}}"#,
            "stands there twice",
        ),
        (r#"{"columns":{"t":{},"t":{}}}"#, "stands there twice"),
        (r#"{"row_filter":{"t":{"or":[]}}}"#, "unknown"),
        (
            r#"{"limits":{"hours":{"start":"08:00","end":"08:00"}}}"#,
            "the same",
        ),
        (
            r#"{"limits":{"hours":{"start":"8","end":"18:00"}}}"#,
            "08:30",
        ),
        (
            r#"{"limits":{"hours":{"start":"08:00","end":"25:00"}}}"#,
            "08:30",
        ),
        (r#"{"limits":{"networks":["10.0.0.0/40"]}}"#, "invalid"),
        (r#"{"limits":{"rows_per_day":-1}}"#, "invalid value"),
        (r#"{"limits":{"expires_at":"tomorrow"}}"#, "expires_at"),
    ] {
        let err = read(json).unwrap_err();
        assert!(
            err.contains(words) || words == "expires_at",
            "{json}: {err}"
        );
    }
}

#[test]
fn a_column_of_a_listed_table_is_hidden_until_it_is_classified() {
    let grant =
        read(r#"{"tables":["t","u"],"columns":{"t":{"id":"allow","name":{"pseudonym":"n"}}}}"#)
            .unwrap();
    let policy = |table: &str, column: &str| grant.policy(&TableName::bare(table), column).cloned();
    assert_eq!(policy("t", "id"), Some(ColumnPolicy::Allow));
    assert_eq!(
        policy("t", "name"),
        Some(ColumnPolicy::Pseudonym("n".to_owned()))
    );
    assert_eq!(policy("t", "new"), None);
    assert_eq!(policy("u", "new"), Some(ColumnPolicy::Allow));
}

#[test]
fn hours_may_go_over_midnight() {
    let hours = |text: &str| serde_json::from_str::<Hours>(text).unwrap();
    let at = |text: &str| text.parse::<Clock>().unwrap();
    let day = hours(r#"{"start":"08:00","end":"18:30"}"#);
    let night = hours(r#"{"start":"22:00","end":"06:00"}"#);
    let late = hours(r#"{"start":"20:00","end":"24:00"}"#);
    for (time, by_day, by_night, at_late) in [
        ("00:00", false, true, false),
        ("05:59", false, true, false),
        ("06:00", false, false, false),
        ("08:00", true, false, false),
        ("18:29", true, false, false),
        ("18:30", false, false, false),
        ("22:00", false, true, true),
        ("23:59", false, true, true),
    ] {
        let found = [day, night, late].map(|hours| hours.include(at(time)));
        assert_eq!(found, [by_day, by_night, at_late], "{time}");
    }
    assert_eq!(day.minutes_until(at("18:30")), 13 * 60 + 30);
    assert_eq!(night.minutes_until(at("06:00")), 16 * 60);
}

#[test]
fn a_grant_ends_at_the_moment_it_says() {
    let grant = read(r#"{"limits":{"expires_at":"2027-01-01T00:00:00Z"}}"#).unwrap();
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    assert!(!grant.is_expired(at("2026-12-31T23:59:59.999999Z")));
    assert!(grant.is_expired(at("2027-01-01T00:00:00Z")));
    assert!(!Grant::default().is_expired(at("9999-01-01T00:00:00Z")));
}
