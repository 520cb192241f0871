//! How often somebody may try to sign in: by the address that is tried from, and by the account that is tried. And how
//! often who is signed in may ask.
//!
//! Whoever knows an address could otherwise keep its owner out by failing in their name. So tries from a network where
//! the account is signed in are counted apart: a flood from elsewhere uses up what strangers may try, and the owner
//! does not notice. Nothing locks for longer than it takes until the next try is free, and nothing here knows whether an
//! account exists: what is counted is the text that was tried.
//!
//! **Invariant:** nobody is locked out of an account by others, from where they were before
//! (`people_tests::a_flood_of_guesses_from_elsewhere_keeps_nobody_out_where_they_are_known`).

use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::credential::UserId;
use crate::org::block_of;

/// Accounts or sources that are remembered at most, some 10 MiB; beyond it they count as one.
const KEYS_MAX: usize = 100_000;

/// How often somebody may try.
#[derive(Debug, Clone, Copy)]
pub struct SignInLimits {
    /// One account, in a minute.
    pub per_account: u32,
    /// From one source address, in a minute.
    pub per_source: u32,
}

/// From where an account is tried.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum From {
    /// From anywhere.
    Anywhere,
    /// From a network where it is signed in.
    Known(String),
}

/// An account as it is counted: a digest of what was tried, so that memory holds nobody's address.
type Account = [u8; 32];

pub(super) struct SignInThrottle {
    accounts: DefaultKeyedRateLimiter<(Account, From)>,
    sources: SourceThrottle,
    clock: DefaultClock,
}

/// How often something may come from one source address.
pub(super) struct SourceThrottle {
    sources: DefaultKeyedRateLimiter<IpAddr>,
    clock: DefaultClock,
}

fn quota(per_minute: u32) -> Quota {
    Quota::per_minute(NonZeroU32::new(per_minute).unwrap_or(NonZeroU32::MIN))
}

/// Takes a try of a key's; of what all keys share where too many are remembered.
fn take_one_of<K: Hash + Eq + Clone>(
    limiter: &DefaultKeyedRateLimiter<K>,
    key: K,
    all: K,
    clock: &DefaultClock,
) -> Result<(), Duration> {
    let key = if limiter.len() >= KEYS_MAX { all } else { key };
    take(limiter, &key, clock)
}

impl SourceThrottle {
    pub(super) fn new(per_minute: u32) -> Self {
        Self { sources: RateLimiter::keyed(quota(per_minute)), clock: DefaultClock::default() }
    }

    /// Takes a try of a source's, or says how long to wait.
    pub(super) fn take(&self, source: Option<IpAddr>) -> Result<(), Duration> {
        let Some(source) = source.map(block_of) else { return Ok(()) };
        take_one_of(&self.sources, source, IpAddr::from([0, 0, 0, 0]), &self.clock)
    }

    /// Forgets who has not tried lately. For a timer.
    pub(super) fn prune(&self) {
        self.sources.retain_recent();
    }
}

impl SignInThrottle {
    pub(super) fn new(limits: SignInLimits) -> Self {
        Self {
            accounts: RateLimiter::keyed(quota(limits.per_account)),
            sources: SourceThrottle::new(limits.per_source),
            clock: DefaultClock::default(),
        }
    }

    /// Takes a try of a source's, or says how long to wait.
    pub(super) fn take_source(&self, source: Option<IpAddr>) -> Result<(), Duration> {
        self.sources.take(source)
    }

    /// Takes a try of an account's.
    pub(super) fn take_account(&self, account: &str, from: From) -> Result<(), Duration> {
        let digest = ring::digest::digest(&ring::digest::SHA256, account.as_bytes());
        let account = digest.as_ref().try_into().expect("SHA-256 has 32 bytes");
        take_one_of(&self.accounts, (account, from), ([0; 32], From::Anywhere), &self.clock)
    }

    /// Forgets who has not tried lately. For a timer.
    pub(super) fn prune(&self) {
        self.accounts.retain_recent();
        self.sources.prune();
    }
}

/// How often each person may ask in a minute, from all of their sessions.
pub(super) struct RequestThrottle {
    people: Option<DefaultKeyedRateLimiter<UserId>>,
    clock: DefaultClock,
}

impl RequestThrottle {
    /// So many a minute; 0 for no limit.
    pub(super) fn new(per_minute: u32) -> Self {
        let people = NonZeroU32::new(per_minute).map(|count| RateLimiter::keyed(Quota::per_minute(count)));
        Self { people, clock: DefaultClock::default() }
    }

    /// Takes one, or says how long to wait. Who is counted has a session, so that nobody can make others up.
    pub(super) fn take(&self, person: UserId) -> Result<(), Duration> {
        self.people.as_ref().map_or(Ok(()), |people| take(people, &person, &self.clock))
    }

    /// Forgets who has not asked lately. For a timer.
    pub(super) fn prune(&self) {
        if let Some(people) = &self.people {
            people.retain_recent();
        }
    }
}

fn take<K: Hash + Eq + Clone>(
    limiter: &DefaultKeyedRateLimiter<K>,
    key: &K,
    clock: &DefaultClock,
) -> Result<(), Duration> {
    limiter.check_key(key).map_err(|not_until| not_until.wait_time_from(clock.now()))
}
