//! Tests of what is told when, over time.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{Alert, Next, Tracked, completed, track};
use crate::model::trouble::{Event, Trouble};

const PATIENCE: Duration = Duration::from_secs(30);

fn at(seconds: i64) -> Timestamp {
    let begin: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
    begin + SignedDuration::from_secs(seconds)
}

fn trouble(message: &str) -> Trouble {
    Trouble {
        cause: "peer_unreachable:hq".to_owned(),
        event: Event::PeerUnreachable,
        what: "connection hq".to_owned(),
        since: Some(at(-5)),
        next_attempt_at: None,
        message: message.to_owned(),
        hint: "check".to_owned(),
        follows: None,
    }
}

/// A site over time: what is kept, and what was said.
#[derive(Default)]
struct Site {
    alerts: Vec<Alert>,
    said: Vec<String>,
}

impl Site {
    /// A look at this second, with whatever is due then said, or failing.
    fn look(&mut self, second: i64, standing: &[Trouble], reachable: bool) {
        let Tracked { changed, gone } = track(&self.alerts, standing, at(second), Some(PATIENCE));
        self.alerts.retain(|alert| {
            !gone.contains(&alert.cause) && changed.iter().all(|new| new.cause != alert.cause)
        });
        self.alerts.extend(changed);
        for alert in std::mem::take(&mut self.alerts) {
            let next = alert.next(PATIENCE);
            let due = matches!(next, Next::Began(due) | Next::Over(due) if due <= at(second));
            if !due {
                self.alerts.push(alert);
            } else if reachable {
                self.said.push(alert.notice(next).unwrap().event);
                self.alerts.extend(alert.said(next));
            } else {
                self.alerts
                    .push(alert.unsaid("refused".to_owned(), at(second), |pause| pause));
            }
        }
    }
}

#[test]
fn a_cause_is_told_once_when_it_has_stood_and_once_when_it_is_gone() {
    let (mut site, gone) = (Site::default(), [trouble("gone")]);
    for second in [0, 10, 29] {
        site.look(second, &gone, true);
    }
    assert_eq!(site.said, [""; 0], "not yet");
    for second in [30, 40, 4_000] {
        site.look(second, &gone, true);
    }
    site.look(4_010, &[trouble("other words for it")], true);
    assert_eq!(site.said, ["peer_unreachable"]);
    site.look(4_020, &[], true);
    assert_eq!(site.said.len(), 1, "it may come back");
    site.look(4_050, &[], true);
    site.look(4_060, &[], true);
    assert_eq!(site.said, ["peer_unreachable", "peer_unreachable_over"]);
    assert_eq!(site.alerts, []);
    for second in [5_000, 5_030] {
        site.look(second, &gone, true);
    }
    assert_eq!(site.said.len(), 3, "it is another time");
}

#[test]
fn what_comes_and_goes_within_the_patience_is_not_told() {
    let (mut site, gone) = (Site::default(), [trouble("gone")]);
    for second in (0..300).step_by(20) {
        site.look(second, if second % 40 == 0 { &gone } else { &[] }, true);
    }
    assert_eq!(site.said, [""; 0]);
    for second in (300..400).step_by(10) {
        site.look(second, &gone, true);
    }
    for second in (400..1_000).step_by(20) {
        site.look(second, if second % 40 == 0 { &[] } else { &gone }, true);
    }
    assert_eq!(
        site.said,
        ["peer_unreachable"],
        "it was never gone for long"
    );
}

#[test]
fn what_cannot_be_told_is_told_later_with_growing_pauses_and_in_order() {
    let (mut site, gone) = (Site::default(), [trouble("gone")]);
    site.look(0, &gone, false);
    site.look(30, &gone, false);
    assert_eq!(site.alerts[0].next_attempt_at, Some(at(35)));
    site.look(34, &gone, true);
    assert_eq!(site.said, [""; 0], "not before its time");
    site.look(35, &gone, false);
    assert_eq!(site.alerts[0].next_attempt_at, Some(at(65)));
    assert_eq!(site.alerts[0].fault.as_deref(), Some("refused"));
    site.look(64, &[], true);
    site.look(65, &[], true);
    assert_eq!(
        site.said,
        ["peer_unreachable"],
        "also when it is over by now"
    );
    assert_eq!((site.alerts[0].attempts, &site.alerts[0].fault), (0, &None));
    site.look(94, &[], true);
    assert_eq!(site.said, ["peer_unreachable", "peer_unreachable_over"]);
}

#[test]
fn the_five_fields_say_what_began_and_what_is_over() {
    let (mut site, gone) = (Site::default(), [trouble("gone")]);
    site.look(0, &gone, true);
    let fields = |alert: &Alert, next| serde_json::to_value(alert.notice(next)).unwrap();
    let mut alert = site.alerts[0].clone();
    assert_eq!(
        fields(&alert, Next::Began(at(30))),
        serde_json::json!({
            "event": "peer_unreachable", "what": "connection hq", "since": "2026-11-21T09:59:55Z",
            "message": "gone", "hint": "check",
        })
    );
    alert.over_at = Some(at(60));
    assert_eq!(
        fields(&alert, Next::Over(at(60))),
        serde_json::json!({
            "event": "peer_unreachable_over", "what": "connection hq", "since": "2026-11-21T10:01:00Z",
            "message": "over: gone", "hint": "nothing to do; it had begun at 2026-11-21T09:59:55Z",
        })
    );
    assert_eq!(alert.notice(Next::Nothing), None);
}

#[test]
fn what_follows_from_another_cause_is_told_with_that_one() {
    let mut run = trouble("waits");
    run.follows = Some("another".to_owned());
    assert_eq!(
        track(&[], &[run], at(0), Some(PATIENCE)),
        Tracked::default()
    );
}

#[test]
fn without_anybody_to_tell_only_what_stands_is_kept() {
    let mut site = Site::default();
    site.look(0, &[trouble("gone")], true);
    site.look(60, &[trouble("gone")], true);
    assert!(site.alerts[0].told);
    let left = track(&site.alerts, &[], at(70), None);
    assert_eq!((left.gone.len(), left.changed), (1, Vec::new()));
}

#[test]
fn alerts_that_could_not_be_delivered_are_told_by_status_until_they_are() {
    let (mut site, gone) = (Site::default(), [trouble("gone")]);
    site.look(0, &gone, false);
    assert_eq!(completed(Vec::new(), &site.alerts), []);
    site.look(30, &gone, false);
    let told = completed(Vec::new(), &site.alerts);
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_eq!(told[0].event, Event::AlertsUndelivered);
    assert_eq!(told[0].message, "1 alerts were not delivered: refused");
    assert_eq!(
        (told[0].since, told[0].next_attempt_at),
        (Some(at(0)), Some(at(35)))
    );
    site.look(35, &gone, true);
    assert_eq!(completed(Vec::new(), &site.alerts), []);
}

#[test]
fn a_trouble_without_a_time_of_its_own_has_the_one_it_was_first_seen_at() {
    let (mut site, mut halted) = (Site::default(), trouble("suspended"));
    halted.since = None;
    site.look(7, std::slice::from_ref(&halted), true);
    assert_eq!(completed(vec![halted], &site.alerts)[0].since, Some(at(7)));
}
