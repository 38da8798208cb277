//! What a service manager such as systemd is told of this process (sd_notify(3)); without one nothing happens.
//!
//! Decides nothing. Invariant: what cannot be told is logged and changes nothing else.

use std::time::Duration;

use sd_notify::NotifyState;

/// Started, or reloaded: the daemon does its work; `status` says in a line what that is.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// Reads its settings again; [`ready`] has to follow. The time lets the manager match the two to its own request.
pub fn reloading() {
    let now = NotifyState::monotonic_usec_now().ok();
    let states: Vec<NotifyState<'_>> = [NotifyState::Reloading].into_iter().chain(now).collect();
    tell(&states);
}

/// Stops, which may take this long.
pub fn stopping(patience: Duration) {
    // The largest value is more than an hour.
    let patience = u32::try_from(patience.as_micros()).unwrap_or(u32::MAX);
    tell(&[
        NotifyState::Stopping,
        NotifyState::Status("finishing what is under way"),
        NotifyState::ExtendTimeoutUsec(patience),
    ]);
}

/// How often [`alive`] has to be called, with time to spare; `None` when nobody watches.
#[must_use]
pub fn watchdog() -> Option<Duration> {
    let limit = sd_notify::watchdog_enabled()?;
    Some((limit / 3).max(Duration::from_millis(1)))
}

/// A sign of life.
pub fn alive() {
    tell(&[NotifyState::Watchdog]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(err) = sd_notify::notify(states) {
        tracing::warn!(%err, "the service manager cannot be told of this daemon's state");
    }
}
