//! The calls that run right now, so that a revoke can end them.
//!
//! **Invariant:** no call slips past a revoke. A call enters here *before* it verifies its
//! credential; a revoke publishes the new view *before* it sweeps here. Both go through one mutex:
//! either the sweep finds the call, or the call's verification, which is ordered behind the sweep,
//! finds the new view (`a_call_that_races_a_revoke_is_cancelled_or_refused`).

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::error::BeginError;
use crate::credential::{Digest, KeyId};

/// What a client calls its request by: the JSON-RPC id as the client wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallKey(pub Box<str>);

/// Why a running call was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// Its credential was revoked, disabled or narrowed.
    Revoked,
    /// The client asked for it.
    ByClient,
    /// The server is shutting down.
    Shutdown,
}

/// How much may run at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Concurrency {
    pub(super) per_org: usize,
    pub(super) per_key: usize,
}

#[derive(Default)]
pub(super) struct Inflight {
    calls: Mutex<Calls>,
}

#[derive(Default)]
struct Calls {
    by_key: HashMap<KeyId, Vec<Running>>,
    count: usize,
    next: u64,
}

struct Running {
    number: u64,
    digest: Digest,
    call: CallKey,
    stop: Stop,
}

/// The way to end one call, and afterwards the reason why it was ended.
#[derive(Debug, Clone, Default)]
pub(super) struct Stop {
    pub(super) token: CancellationToken,
    pub(super) reason: Arc<OnceLock<Stopped>>,
}

impl Stop {
    fn pull(&self, reason: Stopped) {
        // The first reason stays: a call ends once.
        let _ = self.reason.set(reason);
        self.token.cancel();
    }
}

/// A call's place among the running ones; dropping it leaves.
pub(super) struct Ticket {
    inflight: Arc<Inflight>,
    key: KeyId,
    number: u64,
    pub(super) stop: Stop,
}

impl Inflight {
    /// Enters a call that is not verified yet.
    pub(super) fn enter(
        self: &Arc<Self>,
        key: KeyId,
        digest: Digest,
        call: CallKey,
        most: Concurrency,
    ) -> Result<Ticket, BeginError> {
        let mut calls = self.calls.lock();
        if calls.count >= most.per_org {
            return Err(BeginError::OrgBusy { limit: most.per_org });
        }
        let number = calls.next;
        let running = calls.by_key.entry(key).or_default();
        if running.len() >= most.per_key {
            return Err(BeginError::KeyBusy { limit: most.per_key });
        }
        let stop = Stop::default();
        running.push(Running { number, digest, call, stop: stop.clone() });
        calls.count += 1;
        calls.next += 1;
        Ok(Ticket { inflight: Arc::clone(self), key, number, stop })
    }

    /// Ends all calls of a key whose secret `still_valid` no longer accepts.
    pub(super) fn sweep(&self, key: KeyId, still_valid: impl Fn(&Digest) -> bool) -> usize {
        let calls = self.calls.lock();
        let ended = calls.by_key.get(&key).into_iter().flatten().filter(|call| !still_valid(&call.digest));
        ended.map(|call| call.stop.pull(Stopped::Revoked)).count()
    }

    /// Ends every call; says how many there were.
    pub(super) fn stop_all(&self, reason: Stopped) -> usize {
        let calls = self.calls.lock();
        calls.by_key.values().flatten().map(|call| call.stop.pull(reason)).count()
    }

    /// Ends the call that a client names, if it is the only one of that name.
    ///
    /// Several clients may share a key and number their requests alike; ending somebody else's call
    /// is worse than letting an abandoned one run to its time limit.
    pub(super) fn cancel(&self, key: KeyId, call: &CallKey) -> bool {
        let calls = self.calls.lock();
        let mut named = calls.by_key.get(&key).into_iter().flatten().filter(|running| running.call == *call);
        match (named.next(), named.next()) {
            (Some(only), None) => {
                only.stop.pull(Stopped::ByClient);
                true
            }
            _ => false,
        }
    }

    /// How many run.
    pub(super) fn count(&self) -> usize {
        self.calls.lock().count
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut calls = self.inflight.calls.lock();
        if let Some(running) = calls.by_key.get_mut(&self.key) {
            running.retain(|call| call.number != self.number);
            if running.is_empty() {
                calls.by_key.remove(&self.key);
            }
        }
        calls.count -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Rng;
    use crate::credential::{Credential, OrgId, PlainKey};

    const ROOM: Concurrency = Concurrency { per_org: 4, per_key: 3 };

    fn credential() -> Credential {
        let rng = Rng::system();
        let key = PlainKey::mint(KeyId::mint(&rng).unwrap(), OrgId::mint(&rng).unwrap(), &rng).unwrap();
        Credential::parse(key.reveal()).unwrap()
    }

    fn named(name: &str) -> CallKey {
        CallKey(name.into())
    }

    #[test]
    fn the_limits_hold_per_key_and_per_org_and_leaving_makes_room() {
        let inflight = Arc::new(Inflight::default());
        let (a, b) = (credential(), credential());
        let enter = |c: &Credential| inflight.enter(c.id, c.digest, named("1"), ROOM);
        let mut held: Vec<_> = (0..3).map(|_| enter(&a).ok().unwrap()).collect();
        assert_eq!(enter(&a).err(), Some(BeginError::KeyBusy { limit: 3 }));
        held.push(enter(&b).ok().unwrap());
        assert_eq!(enter(&b).err(), Some(BeginError::OrgBusy { limit: 4 }));
        held.clear();
        assert_eq!(inflight.count(), 0);
        assert!(enter(&a).is_ok());
    }

    #[test]
    fn a_sweep_ends_the_calls_of_that_key_and_of_no_other() {
        let inflight = Arc::new(Inflight::default());
        let (a, b) = (credential(), credential());
        let ta = inflight.enter(a.id, a.digest, named("1"), ROOM).ok().unwrap();
        let tb = inflight.enter(b.id, b.digest, named("1"), ROOM).ok().unwrap();
        assert_eq!(inflight.sweep(a.id, |_| false), 1);
        assert!(ta.stop.token.is_cancelled() && !tb.stop.token.is_cancelled());
        assert_eq!(ta.stop.reason.get(), Some(&Stopped::Revoked));
    }

    #[test]
    fn a_client_ends_its_own_call_only_where_the_name_is_not_ambiguous() {
        let inflight = Arc::new(Inflight::default());
        let a = credential();
        let one = inflight.enter(a.id, a.digest, named("7"), ROOM).ok().unwrap();
        assert!(!inflight.cancel(a.id, &named("8")));
        let two = inflight.enter(a.id, a.digest, named("7"), ROOM).ok().unwrap();
        assert!(!inflight.cancel(a.id, &named("7")));
        drop(two);
        assert!(inflight.cancel(a.id, &named("7")));
        assert!(one.stop.token.is_cancelled());
    }
}
