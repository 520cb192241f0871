//! Time and randomness as values, so that nothing else asks the machine for them.
//!
//! Process time is the wall clock at start plus what a monotonic clock has measured since: a wall
//! clock that is set back or forth while the server runs expires nothing and revives nothing. The
//! monotonic clock goes on while the machine sleeps (CLOCK_BOOTTIME), so that a key does not outlive
//! its expiry by a night in a closed laptop.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ring::rand::SecureRandom;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// A point in time: milliseconds since the Unix epoch. RFC 3339 in UTC in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// This point plus a duration; stays at the far end of time instead of overflowing.
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// This point less a duration; stays at the near end of time instead of overflowing.
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// Reads an RFC 3339 time.
    pub fn parse(text: &str) -> Result<Self, jiff::Error> {
        text.parse::<jiff::Timestamp>().map(|time| Self(time.as_millisecond()))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(time) => write!(f, "{time}"),
            // Outside the years -9999 to 9999, which no RFC 3339 text can say.
            Err(_) => {
                f.write_str(if self.0 < 0 { "-009999-01-02T01:59:59Z" } else { "9999-12-30T22:00:00Z" })
            }
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that asks the machine for the time")]
fn wall() -> Timestamp {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(wall.as_millis()).unwrap_or(i64::MAX))
}

/// Time on a clock that only goes forth.
fn since_boot() -> Duration {
    #[cfg(target_os = "linux")]
    const CLOCK: rustix::time::ClockId = rustix::time::ClockId::Boottime;
    // Elsewhere the monotonic clock is the nearest thing, or counts sleep itself.
    #[cfg(not(target_os = "linux"))]
    const CLOCK: rustix::time::ClockId = rustix::time::ClockId::Monotonic;
    let time = rustix::time::clock_gettime(CLOCK);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// The clock of this process. Clones share it.
#[derive(Debug, Clone)]
pub struct Clock(Arc<ClockInner>);

#[derive(Debug)]
struct ClockInner {
    wall_at_start_ms: i64,
    start: Duration,
    // What tests have moved the clock by.
    moved_ms: AtomicI64,
}

impl Clock {
    /// The machine's clock, read once.
    pub fn system() -> Self {
        Self::starting_at(wall())
    }

    /// A clock that starts at a given point, for tests.
    pub fn starting_at(start: Timestamp) -> Self {
        Self(Arc::new(ClockInner {
            wall_at_start_ms: start.0,
            start: since_boot(),
            moved_ms: AtomicI64::new(0),
        }))
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        self.at(self.elapsed())
    }

    /// The time when [`Clock::elapsed`] answered so: for who has measured already.
    pub fn at(&self, elapsed: Duration) -> Timestamp {
        let elapsed = i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX);
        Timestamp(self.0.wall_at_start_ms + elapsed + self.0.moved_ms.load(Ordering::Relaxed))
    }

    /// Time since the clock was made: for measuring, not for expiry.
    pub fn elapsed(&self) -> Duration {
        since_boot().saturating_sub(self.0.start)
    }

    /// How far the machine's wall clock has moved away from this clock, in milliseconds: forth if positive.
    pub fn wall_drift_ms(&self) -> i64 {
        wall().0.saturating_sub(self.now().0)
    }

    /// Moves the clock forth, for tests.
    pub fn advance(&self, by: Duration) {
        self.0.moved_ms.fetch_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), Ordering::Relaxed);
    }
}

/// The source of secrets, ids and nonces. Clones share it.
#[derive(Clone)]
pub struct Rng(Arc<dyn SecureRandom + Send + Sync>);

/// The system's random generator failed; nothing secret can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the system's random generator failed")]
pub struct RngError;

impl Rng {
    /// The operating system's generator (`ring`).
    pub fn system() -> Self {
        Self(Arc::new(ring::rand::SystemRandom::new()))
    }

    /// Fills a buffer with random bytes.
    pub fn bytes<const N: usize>(&self) -> Result<[u8; N], RngError> {
        let mut bytes = [0; N];
        self.0.fill(&mut bytes).map_err(|_| RngError)?;
        Ok(bytes)
    }
}

impl fmt::Debug for Rng {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rng")
    }
}

/// What travels to whoever decides by time or makes secrets.
#[derive(Debug, Clone)]
pub struct Context {
    /// The process's clock.
    pub clock: Clock,
    /// The process's randomness.
    pub rng: Rng,
}

impl Context {
    /// The machine's own clock and randomness.
    pub fn system() -> Self {
        Self { clock: Clock::system(), rng: Rng::system() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_is_rfc_3339_in_json_and_back() {
        let time = Timestamp(1_795_305_600_123);
        let json = serde_json::to_string(&time).unwrap();
        assert_eq!(json, "\"2026-11-22T00:00:00.123Z\"");
        assert_eq!(serde_json::from_str::<Timestamp>(&json).unwrap(), time);
        assert!(serde_json::from_str::<Timestamp>("\"yesterday\"").is_err());
    }

    #[test]
    fn extreme_timestamps_print_something_that_parses() {
        for time in [Timestamp(i64::MAX), Timestamp(i64::MIN)] {
            Timestamp::parse(&time.to_string()).unwrap();
        }
    }

    #[test]
    fn a_clock_moves_forth_when_told() {
        let clock = Clock::starting_at(Timestamp(1_000));
        clock.advance(Duration::from_secs(60));
        assert!(clock.now() >= Timestamp(61_000));
    }
}
