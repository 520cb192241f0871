//! The throttle of unknown credentials, by the address that they come from.
//!
//! Guessing 256 random bits is hopeless; what this bounds is the reads that a flood of well-formed
//! forgeries costs the store. A credential that the published view accepts never comes here.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::context::Clock;

/// Addresses that are remembered at most: some 10 MiB.
const ADDRESSES_MAX: usize = 100_000;

pub(super) struct Throttle {
    failures: DefaultKeyedRateLimiter<IpAddr>,
    // Blocked addresses, until when, on the process's monotonic clock.
    blocked: Arc<DashMap<IpAddr, Duration>>,
    clock: Clock,
    governor_clock: DefaultClock,
}

impl Throttle {
    pub(super) fn new(failures_per_minute: u32, clock: Clock) -> Self {
        let per_minute = NonZeroU32::new(failures_per_minute).unwrap_or(NonZeroU32::MIN);
        Self {
            failures: RateLimiter::keyed(Quota::per_minute(per_minute)),
            blocked: Arc::default(),
            clock,
            governor_clock: DefaultClock::default(),
        }
    }

    /// Whether the address may present an unknown credential; otherwise how long it has to wait.
    pub(super) fn check(&self, from: Option<IpAddr>) -> Result<(), Duration> {
        let Some(from) = from.map(block_of) else { return Ok(()) };
        let Some(until) = self.blocked.get(&from).map(|until| *until) else { return Ok(()) };
        match until.checked_sub(self.clock.elapsed()) {
            Some(wait) if !wait.is_zero() => Err(wait),
            _ => {
                self.blocked.remove_if(&from, |_, found| *found == until);
                Ok(())
            }
        }
    }

    /// Notes that a credential from this address was not known.
    pub(super) fn note_failure(&self, from: Option<IpAddr>) {
        let Some(mut from) = from.map(block_of) else { return };
        // A flood from more addresses than are remembered counts as one address.
        if self.failures.len() >= ADDRESSES_MAX {
            from = IpAddr::from([0, 0, 0, 0]);
        }
        let Err(not_until) = self.failures.check_key(&from) else { return };
        let wait = not_until.wait_time_from(self.governor_clock.now());
        self.blocked.insert(from, self.clock.elapsed() + wait);
    }
}

impl Throttle {
    /// Forgets addresses that are not blocked and have not failed lately. For a timer.
    pub(super) fn prune(&self) {
        self.failures.retain_recent();
        let now = self.clock.elapsed();
        self.blocked.retain(|_, until| *until > now);
    }
}

/// One IPv6 customer has a /64; counting single addresses would count nothing.
pub(crate) fn block_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_blocked_after_its_failures_and_others_are_not() {
        let throttle = Throttle::new(3, Clock::system());
        let (bad, good): (IpAddr, IpAddr) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        for _ in 0..3 {
            throttle.note_failure(Some(bad));
            assert!(throttle.check(Some(bad)).is_ok());
        }
        throttle.note_failure(Some(bad));
        assert!(throttle.check(Some(bad)).unwrap_err() <= Duration::from_secs(20));
        assert!(throttle.check(Some(good)).is_ok());
        assert!(throttle.check(None).is_ok());
    }

    #[test]
    fn addresses_of_one_ipv6_network_count_together() {
        let one: IpAddr = "2001:db8::1".parse().unwrap();
        let two: IpAddr = "2001:db8::ffff:0:0:2".parse().unwrap();
        assert_eq!(block_of(one), block_of(two));
        assert_eq!(block_of("::ffff:192.0.2.1".parse().unwrap()), IpAddr::from([192, 0, 2, 1]));
    }
}
