//! Waiting for a condition, with a deadline: the one place of the tests that sleeps.
//!
//! A test never assumes that something takes a while; it states what must become true and by when.

use std::time::{Duration, Instant};

/// How long anything on this machine may take before a test calls it broken.
pub const LONG: Duration = Duration::from_secs(60);

/// Asks `probe` until it answers `Some`, and panics with `what` when `deadline` has passed without one.
pub fn until<T>(what: &str, deadline: Duration, mut probe: impl FnMut() -> Option<T>) -> T {
    match within(deadline, &mut probe) {
        Some(found) => found,
        None => panic!("after {deadline:?} still not so: {what}"),
    }
}

/// Asks `probe` until it answers `Some` or `deadline` has passed; `None` then.
pub fn within<T>(deadline: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let begun = Instant::now();
    let mut pause = Duration::from_millis(2);
    loop {
        if let Some(found) = probe() {
            return Some(found);
        }
        if begun.elapsed() >= deadline {
            return None;
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "the one place of the tests that sleeps"
        )]
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}
