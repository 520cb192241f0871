//! How often something may be done: the generic cell rate algorithm in one atomic number.
//!
//! The crate `governor` keeps such numbers in maps that all workers share, or with a clock and its parameters
//! beside each; here each is a number in the key's or the organization's own cell, where a request has just
//! been, and the time is the one that the request has read already. What it decides is what `governor`
//! decides (`tests::it_decides_as_governor_does`).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::context::Timestamp;

const MINUTE_NS: u64 = 60_000_000_000;

/// So many a minute: as many at once, and what follows spread evenly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rate {
    // Zero for no limit.
    interval_ns: u64,
    burst_ns: u64,
}

impl Rate {
    /// `count` a minute; 0 for no limit.
    pub(super) fn per_minute(count: u32) -> Self {
        let interval_ns = MINUTE_NS.checked_div(u64::from(count)).unwrap_or(0);
        Self { interval_ns, burst_ns: interval_ns * u64::from(count) }
    }
}

/// What one key or organization has had.
#[derive(Debug, Default)]
pub(super) struct RateCell {
    // From when on it would have had all of its rate again, in nanoseconds since the epoch (until 2554).
    whole_again_ns: AtomicU64,
}

impl Clone for RateCell {
    fn clone(&self) -> Self {
        Self { whole_again_ns: AtomicU64::new(self.whole_again_ns.load(Ordering::Relaxed)) }
    }
}

impl RateCell {
    /// Takes one, or says how long to wait for it. What is refused takes none.
    pub(super) fn take(&self, rate: Rate, now: Timestamp) -> Result<(), Duration> {
        if rate.interval_ns == 0 {
            return Ok(());
        }
        let now_ns = u64::try_from(now.0).unwrap_or(0).saturating_mul(1_000_000);
        let mut found = self.whole_again_ns.load(Ordering::Relaxed);
        loop {
            let next = found.max(now_ns) + rate.interval_ns;
            if let Some(wait) = (next - now_ns).checked_sub(rate.burst_ns).filter(|wait| *wait > 0) {
                return Err(Duration::from_nanos(wait));
            }
            match self.whole_again_ns.compare_exchange_weak(found, next, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return Ok(()),
                Err(other) => found = other,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use governor::clock::FakeRelativeClock;
    use governor::{Quota, RateLimiter};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn as_many_as_allowed_go_at_once_and_the_next_waits_its_share_of_a_minute() {
        let (cell, rate) = (RateCell::default(), Rate::per_minute(60));
        let now = Timestamp(1_800_000_000_000);
        for _ in 0..60 {
            assert_eq!(cell.take(rate, now), Ok(()));
        }
        assert_eq!(cell.take(rate, now), Err(Duration::from_secs(1)));
        assert_eq!(cell.take(rate, Timestamp(now.0 + 999)), Err(Duration::from_millis(1)));
        assert_eq!(cell.take(rate, Timestamp(now.0 + 1_000)), Ok(()));
        assert!(cell.take(rate, Timestamp(now.0 + 1_000)).is_err());
    }

    #[test]
    fn zero_is_no_limit() {
        let (cell, rate) = (RateCell::default(), Rate::per_minute(0));
        assert!((0..10_000).all(|_| cell.take(rate, Timestamp(0)).is_ok()));
    }

    #[test]
    fn threads_together_get_as_many_as_one() {
        let (cell, rate) = (RateCell::default(), Rate::per_minute(1_000));
        let taken: usize = std::thread::scope(|scope| {
            let take = || (0..1_000).filter(|_| cell.take(rate, Timestamp(1_000)).is_ok()).count();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(taken, 1_000);
    }

    proptest! {
        #[test]
        fn it_decides_as_governor_does(
            count in prop::sample::select(vec![1u32, 2, 3, 60, 600, 60_000]),
            steps in prop::collection::vec((0u64..90_000, 1usize..8), 1..60),
        ) {
            let clock = FakeRelativeClock::default();
            let quota = Quota::per_minute(NonZeroU32::new(count).unwrap());
            let governor = RateLimiter::direct_with_clock(quota, clock.clone());
            let (cell, rate) = (RateCell::default(), Rate::per_minute(count));
            let mut now = Timestamp(1_800_000_000_000);
            for (wait_ms, tries) in steps {
                clock.advance(Duration::from_millis(wait_ms));
                now = Timestamp(now.0 + wait_ms as i64);
                for _ in 0..tries {
                    prop_assert_eq!(cell.take(rate, now).is_ok(), governor.check().is_ok());
                }
            }
        }
    }
}
