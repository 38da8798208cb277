//! Alerts: what of the troubles the administrator is told, when it begins and when it is over.
//!
//! Invariant: a cause that stands is told once, however often it is seen; one that is over is told once, if its
//! beginning was. What comes and goes within the patience is not told at all.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::model::run::pause_after;
use crate::model::trouble::{Event, Trouble};

/// A cause that stands, or whose end is yet to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// The trouble's key.
    pub cause: String,
    /// What kind of thing it is.
    pub event: Event,
    /// What it is about.
    pub what: String,
    /// Since when it is so.
    pub since: Timestamp,
    /// What happened.
    pub message: String,
    /// What to do.
    pub hint: String,
    /// When it was first seen.
    pub seen_at: Timestamp,
    /// When it was first seen no more.
    pub over_at: Option<Timestamp>,
    /// The administrator was told that it began.
    pub told: bool,
    /// Attempts to tell that failed, since the last that did not.
    pub attempts: u32,
    /// When it is tried again.
    pub next_attempt_at: Option<Timestamp>,
    /// Why the last attempt failed.
    pub fault: Option<String>,
}

/// What an administrator's command or web address is given: these five fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// The event; with `_over` behind it when it is over.
    pub event: String,
    /// What it is about.
    pub what: String,
    /// Since when it is so, or over.
    pub since: Timestamp,
    /// What happened.
    pub message: String,
    /// What to do.
    pub hint: String,
}

/// What an alert has to say next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// That it began, from this moment on.
    Began(Timestamp),
    /// That it is over, from this moment on.
    Over(Timestamp),
    /// Nothing, as long as it stands.
    Nothing,
}

/// What became of the causes since they were last looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tracked {
    /// To be kept from now on, new or changed.
    pub changed: Vec<Alert>,
    /// Neither stand nor have anything left to say.
    pub gone: Vec<String>,
}

/// Compares what stands at `now` with the `alerts` kept. `patience`: how long a cause must stand, and be gone, to be
/// told; `None` when nobody is told anything.
#[must_use]
pub fn track(
    alerts: &[Alert],
    troubles: &[Trouble],
    now: Timestamp,
    patience: Option<Duration>,
) -> Tracked {
    let mut tracked = Tracked::default();
    // What comes from another trouble is told with that one.
    let standing = || troubles.iter().filter(|trouble| trouble.follows.is_none());
    for trouble in standing() {
        let kept = alerts.iter().find(|alert| alert.cause == trouble.cause);
        let mut seen = Alert::of(trouble, kept, now);
        if patience.is_none() {
            (seen.attempts, seen.next_attempt_at, seen.fault) = (0, None, None);
        }
        if kept != Some(&seen) {
            tracked.changed.push(seen);
        }
    }
    for alert in alerts {
        if standing().any(|trouble| trouble.cause == alert.cause) {
            continue;
        }
        let over = Alert {
            over_at: alert.over_at.or(Some(now)),
            ..alert.clone()
        };
        if patience.is_none_or(|patience| over.is_done(patience)) {
            tracked.gone.push(alert.cause.clone());
        } else if over != *alert {
            tracked.changed.push(over);
        }
    }
    tracked
}

/// `troubles` with what only the alerts know: since when one is seen that has no time of its own, and that some could
/// not be delivered.
#[must_use]
pub fn completed(mut troubles: Vec<Trouble>, alerts: &[Alert]) -> Vec<Trouble> {
    for trouble in &mut troubles {
        let noted = || alerts.iter().find(|alert| alert.cause == trouble.cause);
        trouble.since = trouble.since.or_else(|| noted().map(|alert| alert.since));
    }
    troubles.extend(undelivered(alerts));
    troubles
}

fn undelivered(alerts: &[Alert]) -> Option<Trouble> {
    let failed = || alerts.iter().filter(|alert| alert.fault.is_some());
    let last = failed().max_by_key(|alert| alert.next_attempt_at)?;
    let fault = last.fault.as_deref().unwrap_or_default();
    Some(Trouble {
        cause: Event::AlertsUndelivered.to_string(),
        event: Event::AlertsUndelivered,
        what: "alerts".to_owned(),
        since: failed()
            .map(|alert| alert.over_at.filter(|_| alert.told).unwrap_or(alert.seen_at))
            .min(),
        next_attempt_at: failed().filter_map(|alert| alert.next_attempt_at).min(),
        message: format!("{} alerts were not delivered: {fault}", failed().count()),
        hint: "look into the daemon's log, then correct alerts.command or alerts.url, see: evenkeel config check"
            .to_owned(),
        follows: None,
    })
}

impl Alert {
    fn of(trouble: &Trouble, kept: Option<&Self>, now: Timestamp) -> Self {
        let kept = kept.cloned();
        Self {
            cause: trouble.cause.clone(),
            event: trouble.event,
            what: trouble.what.clone(),
            message: trouble.message.clone(),
            hint: trouble.hint.clone(),
            since: kept
                .as_ref()
                .map_or(trouble.since.unwrap_or(now), |kept| kept.since),
            seen_at: kept.as_ref().map_or(now, |kept| kept.seen_at),
            over_at: None,
            told: kept.as_ref().is_some_and(|kept| kept.told),
            attempts: kept.as_ref().map_or(0, |kept| kept.attempts),
            next_attempt_at: kept.as_ref().and_then(|kept| kept.next_attempt_at),
            fault: kept.and_then(|kept| kept.fault),
        }
    }

    /// Whether it came and went within `patience`, so that nothing is to be said of it.
    fn is_done(&self, patience: Duration) -> bool {
        let stood_to_be_told = |over_at| later(self.seen_at, patience) <= over_at;
        !self.told && !self.over_at.is_some_and(stood_to_be_told)
    }

    /// What is to be said next. What could not be said in time is still said, in its order.
    #[must_use]
    pub fn next(&self, patience: Duration) -> Next {
        let not_before = |time: Timestamp| self.next_attempt_at.map_or(time, |next| next.max(time));
        match (self.told, self.over_at) {
            (false, _) => Next::Began(not_before(later(self.seen_at, patience))),
            (true, Some(over_at)) => Next::Over(not_before(later(over_at, patience))),
            (true, None) => Next::Nothing,
        }
    }

    /// What the administrator is given that `next` comes to.
    #[must_use]
    pub fn notice(&self, next: Next) -> Option<Notice> {
        let begun = Notice {
            event: self.event.to_string(),
            what: self.what.clone(),
            since: self.since,
            message: self.message.clone(),
            hint: self.hint.clone(),
        };
        match next {
            Next::Began(_) => Some(begun),
            Next::Over(_) => Some(Notice {
                event: format!("{}_over", self.event),
                since: self.over_at.unwrap_or(self.since),
                message: format!("over: {}", self.message),
                hint: format!("nothing to do; it had begun at {}", self.since),
                ..begun
            }),
            Next::Nothing => None,
        }
    }

    /// While it is being said, which may take as long as `limit`: should nobody note how that went, it is not said
    /// again before.
    #[must_use]
    pub fn being_said(&self, now: Timestamp, limit: Duration) -> Self {
        Self {
            next_attempt_at: Some(later(now, limit)),
            ..self.clone()
        }
    }

    /// After `next` was said; `None` when nothing is left to say.
    #[must_use]
    pub fn said(self, next: Next) -> Option<Self> {
        (!matches!(next, Next::Over(_))).then_some(Self {
            told: true,
            attempts: 0,
            next_attempt_at: None,
            fault: None,
            ..self
        })
    }

    /// After it could not be said. `spread` varies the pause.
    #[must_use]
    pub fn unsaid(
        self,
        fault: String,
        now: Timestamp,
        spread: impl FnOnce(Duration) -> Duration,
    ) -> Self {
        let attempts = self.attempts.saturating_add(1);
        Self {
            attempts,
            next_attempt_at: Some(later(now, spread(pause_after(attempts)))),
            fault: Some(fault),
            ..self
        }
    }
}

fn later(time: Timestamp, pause: Duration) -> Timestamp {
    time.checked_add(pause).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
