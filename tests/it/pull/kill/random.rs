//! Numbers drawn from a seed that is printed, so that they can be drawn again.

use std::time::{SystemTime, UNIX_EPOCH};

/// A generator that needs no crate: xorshift64*.
pub(super) struct Random(u64);

impl Random {
    /// One by EVENKEEL_TEST_SEED, or by the clock.
    pub(super) fn seeded() -> Self {
        let given = std::env::var_os("EVENKEEL_TEST_SEED");
        let given = given.and_then(|seed| seed.to_str()?.parse().ok());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let seed = given.unwrap_or(u64::from(now.subsec_nanos())).max(1);
        println!("kill trials: EVENKEEL_TEST_SEED={seed}");
        Self::of(seed)
    }

    /// One that begins at `seed`, which is not 0.
    pub(super) fn of(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    /// The next of all numbers.
    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number from 0 to `bound`, without it.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 11) % bound
    }
}
