//! How often who may ask: by connection, and by address where no connection is known.
//!
//! Kept in memory alone: one daemon is active per site. Invariants: an IPv6 site is one caller however many addresses it
//! has; what is not asked any more is forgotten, and no number of callers fills the memory.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::{Clock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::config::Rates;
use crate::model::id::ConnectionId;

/// Callers remembered at once, of each kind.
const MOST_CALLERS: usize = 65_536;
/// How often those who no longer ask are forgotten.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// Whoever asks too often, and in how many seconds to ask again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many requests; try again in {retry_after} s")]
pub struct TooOften {
    /// At least 1.
    pub retry_after: u64,
}

/// Who asked lately.
#[derive(Debug, Default)]
pub struct Throttle {
    connections: Callers<ConnectionId>,
    strangers: Callers<IpAddr>,
    passwords: Callers<IpAddr>,
    tokens: Callers<IpAddr>,
}

impl Throttle {
    /// Counts a request of `connection`, which may make `per_minute`; `None` is no bound.
    ///
    /// # Errors
    /// When it was one too many.
    pub fn connection(
        &self,
        connection: ConnectionId,
        per_minute: Option<u32>,
    ) -> Result<(), TooOften> {
        match per_minute {
            Some(number) => self.connections.count(&connection, Rate::even(number)),
            None => Ok(()),
        }
    }

    /// Counts a request without a known connection.
    ///
    /// # Errors
    /// When it was one too many.
    pub fn stranger(&self, address: Option<IpAddr>, rates: &Rates) -> Result<(), TooOften> {
        let rate = Rate {
            per_minute: rates.strangers_per_minute,
            burst: rates.strangers_burst,
        };
        self.strangers.count_address(address, rate)
    }

    /// Counts an attempt with a password.
    ///
    /// # Errors
    /// When it was one too many: then it must not be looked at.
    pub fn password(&self, address: Option<IpAddr>, rates: &Rates) -> Result<(), TooOften> {
        let rate = Rate::even(rates.passwords_per_minute);
        self.passwords.count_address(address, rate)
    }

    /// Counts a token that is none of ours.
    ///
    /// # Errors
    /// When it was one too many.
    pub fn token(&self, address: Option<IpAddr>, rates: &Rates) -> Result<(), TooOften> {
        let rate = Rate::even(rates.tokens_per_minute);
        self.tokens.count_address(address, rate)
    }
}

/// How often one caller may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Rate {
    per_minute: u32,
    /// At once.
    burst: u32,
}

impl Rate {
    fn even(per_minute: u32) -> Self {
        Self {
            per_minute,
            burst: per_minute,
        }
    }

    fn quota(self) -> Quota {
        let number = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        Quota::per_minute(number(self.per_minute)).allow_burst(number(self.burst))
    }
}

type Limiter<K> = RateLimiter<K, HashMapStateStore<K>, DefaultClock, NoOpMiddleware<Instant>>;

/// The callers of one kind, by the rate they are held to: most have the same.
#[derive(Debug)]
struct Callers<K: Hash + Eq + Clone>(Mutex<Counted<K>>);

#[derive(Debug)]
struct Counted<K: Hash + Eq + Clone> {
    limiters: HashMap<Rate, Limiter<K>>,
    swept: Instant,
}

impl<K: Hash + Eq + Clone> Default for Callers<K> {
    fn default() -> Self {
        Self(Mutex::new(Counted {
            limiters: HashMap::new(),
            swept: Instant::now(),
        }))
    }
}

impl<K: Hash + Eq + Clone> Callers<K> {
    fn count(&self, caller: &K, rate: Rate) -> Result<(), TooOften> {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counted.forget_idle();
        if counted.callers() >= MOST_CALLERS {
            return Err(TooOften {
                retry_after: SWEEP_EVERY.as_secs(),
            });
        }
        let limiter = counted
            .limiters
            .entry(rate)
            .or_insert_with(|| RateLimiter::hashmap(rate.quota()));
        limiter.check_key(caller).map_err(|until| {
            let wait = until.wait_time_from(limiter.clock().now());
            TooOften {
                retry_after: wait.as_secs().saturating_add(1),
            }
        })
    }
}

impl Callers<IpAddr> {
    /// Who comes by a socket of this machine is nobody from outside.
    fn count_address(&self, address: Option<IpAddr>, rate: Rate) -> Result<(), TooOften> {
        match address {
            Some(address) => self.count(&site_of(address), rate),
            None => Ok(()),
        }
    }
}

impl<K: Hash + Eq + Clone> Counted<K> {
    fn callers(&self) -> usize {
        self.limiters.values().map(RateLimiter::len).sum()
    }

    fn forget_idle(&mut self) {
        let is_full = self.callers() >= MOST_CALLERS;
        let pause = if is_full {
            Duration::from_secs(1)
        } else {
            SWEEP_EVERY
        };
        if self.swept.elapsed() < pause {
            return;
        }
        self.swept = Instant::now();
        for limiter in self.limiters.values() {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
        self.limiters.retain(|_, limiter| !limiter.is_empty());
    }
}

/// The address that stands for all that one caller is likely to have: an IPv6 network of 64 bits.
fn site_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::{Callers, MOST_CALLERS, Rate, Throttle};
    use crate::config::Rates;
    use crate::model::id::ConnectionId;

    const RATES: Rates = Rates {
        strangers_per_minute: 6,
        strangers_burst: 3,
        passwords_per_minute: 2,
        tokens_per_minute: 2,
    };

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_caller_has_its_burst_and_then_waits_for_the_next_request() {
        let throttle = Throttle::default();
        let ask = |address: &str| throttle.stranger(Some(self::address(address)), &RATES);
        for _ in 0..3 {
            ask("192.0.2.1").unwrap();
        }
        let wait = ask("192.0.2.1").unwrap_err().retry_after;
        assert!((1..=11).contains(&wait), "{wait}");
        ask("192.0.2.2").unwrap();
        throttle
            .password(Some(address("192.0.2.1")), &RATES)
            .unwrap();
        for _ in 0..10 {
            throttle.stranger(None, &RATES).unwrap();
        }
    }

    #[test]
    fn all_addresses_of_an_ipv6_site_are_one_caller() {
        let throttle = Throttle::default();
        for last in ["1", "2", "ffff:2:3"] {
            let address = address(&format!("2001:db8:0:1::{last}"));
            throttle.stranger(Some(address), &RATES).unwrap();
        }
        throttle
            .stranger(Some(address("2001:db8:0:1::9")), &RATES)
            .unwrap_err();
        throttle
            .stranger(Some(address("2001:db8:0:2::9")), &RATES)
            .unwrap();
        for mapped in ["::ffff:192.0.2.1", "192.0.2.1", "::ffff:192.0.2.1"] {
            throttle.stranger(Some(address(mapped)), &RATES).unwrap();
        }
        throttle
            .stranger(Some(address("192.0.2.1")), &RATES)
            .unwrap_err();
    }

    #[test]
    fn a_connection_is_held_to_its_own_number_and_to_a_new_one_at_once() {
        let (throttle, one, other) = (
            Throttle::default(),
            ConnectionId::generate(),
            ConnectionId::generate(),
        );
        throttle.connection(one, Some(1)).unwrap();
        throttle.connection(one, Some(1)).unwrap_err();
        throttle.connection(other, Some(1)).unwrap();
        throttle.connection(one, Some(2)).unwrap();
        for _ in 0..1_000 {
            throttle.connection(one, None).unwrap();
        }
    }

    #[test]
    fn no_number_of_callers_fills_the_memory() {
        let callers = Callers::default();
        let rate = Rate::even(1);
        for caller in 0..MOST_CALLERS {
            callers.count(&caller, rate).unwrap();
        }
        callers.count(&MOST_CALLERS, rate).unwrap_err();
        assert_eq!(callers.0.lock().unwrap().callers(), MOST_CALLERS);
    }
}
