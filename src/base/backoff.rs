//! How long to wait before trying again; pure but for chance, so that a stored attempt count survives a restart.

use std::time::Duration;

use jiff::Timestamp;

/// Spreads `pause` by a fifth either way. `random` lies in `0.0..1.0`.
#[must_use]
pub fn jittered(pause: Duration, random: f64) -> Duration {
    pause.mul_f64(0.8 + 0.4 * random.clamp(0.0, 1.0))
}

/// `first`, then twice as long with each attempt, at most `longest`.
#[must_use]
pub fn doubled(first: Duration, attempts: u32, longest: Duration) -> Duration {
    first
        .saturating_mul(2_u32.saturating_pow(attempts))
        .min(longest)
}

/// The moment after `pause`, spread by chance, from `now`.
#[must_use]
pub fn spread_after(now: Timestamp, pause: Duration) -> Timestamp {
    let pause = jittered(pause, random_fraction());
    now.checked_add(pause).unwrap_or(Timestamp::MAX)
}

/// A random number in `0.0..1.0`, for [`jittered`].
#[must_use]
pub fn random_fraction() -> f64 {
    let mut bytes = [0; 4];
    // Without random bytes the pause is merely not spread.
    if getrandom::fill(&mut bytes).is_err() {
        return 0.5;
    }
    f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{doubled, jittered, random_fraction};

    #[test]
    fn pauses_double_up_to_the_longest() {
        let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(3_600));
        let pauses = [0, 1, 2, 5, 6, 40].map(|attempts| doubled(minute, attempts, hour).as_secs());
        assert_eq!(pauses, [60, 120, 240, 1_920, 3_600, 3_600]);
        assert_eq!(doubled(hour * 2, 0, hour), hour);
    }

    #[test]
    fn a_pause_is_spread_by_a_fifth_either_way() {
        let pause = Duration::from_secs(10);
        assert_eq!(jittered(pause, 0.0), Duration::from_secs(8));
        assert_eq!(jittered(pause, 1.0), Duration::from_secs(12));
        assert!((0.0..1.0).contains(&random_fraction()));
    }
}
