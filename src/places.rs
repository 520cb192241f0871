//! Places for work of which little may be under way at once, given to those who want some in turn.
//!
//! Whoever waits stands with his party, and parties take turns: one place for each, then the next for each. No party
//! has more than its share, so that there is room for others while it does not give anything back.
//!
//! **Invariant:** no more are at work than there are places (`places_are_bounded`).
//! **Invariant:** who waits for a single place waits no longer because another party waits for many
//! (`who_wants_one_place_does_not_wait_behind_all_who_want_many`).

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

/// The places for one kind of work, among parties that are told apart by a `P`. Cheap to clone.
#[derive(Debug)]
pub(crate) struct Places<P: Clone + Eq + Hash>(Arc<Shared<P>>);

#[derive(Debug)]
struct Shared<P: Clone + Eq + Hash> {
    // Most that one party has.
    each: usize,
    state: Mutex<State<P>>,
}

#[derive(Debug)]
struct State<P: Clone + Eq + Hash> {
    free: usize,
    // Those that have places or wait for some.
    parties: HashMap<P, Party<P>>,
    // Those that wait and have less than their share, in the order of their turns.
    ring: VecDeque<P>,
}

#[derive(Debug)]
struct Party<P: Clone + Eq + Hash> {
    places: usize,
    // In the order in which they came; also those that have gone meanwhile, until they are swept.
    waiting: VecDeque<oneshot::Sender<Place<P>>>,
    sweep_at: usize,
    in_ring: bool,
}

/// So many may wait in one party before it is looked for those that have gone.
const SWEEP_FROM: usize = 32;

/// A place, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place<P: Clone + Eq + Hash> {
    of: Arc<Shared<P>>,
    party: P,
}

impl<P: Clone + Eq + Hash> Clone for Places<P> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<P: Clone + Eq + Hash> Places<P> {
    /// `all` of them, and at most `each` for one party; one at least.
    pub(crate) fn new(all: usize, each: usize) -> Self {
        let state = State { free: all.max(1), parties: HashMap::new(), ring: VecDeque::new() };
        Self(Arc::new(Shared { each: each.max(1), state: Mutex::new(state) }))
    }

    /// A place for a party, when it is its turn. Dropping the future gives up the wait.
    pub(crate) async fn take(&self, party: &P) -> Place<P> {
        let (given, place) = oneshot::channel();
        self.0.state.lock().wait(party, given, self.0.each);
        self.0.give();
        // The sender leaves its queue only with a place, or when nobody listens.
        place.await.expect("who waits is given a place")
    }

    /// How many nobody has.
    #[cfg(test)]
    pub(crate) fn free(&self) -> usize {
        self.0.state.lock().free
    }
}

impl<P: Clone + Eq + Hash> State<P> {
    fn wait(&mut self, party: &P, given: oneshot::Sender<Place<P>>, each: usize) {
        let queue = self.parties.entry(party.clone()).or_insert_with(|| Party {
            places: 0,
            waiting: VecDeque::new(),
            sweep_at: SWEEP_FROM,
            in_ring: false,
        });
        if queue.waiting.len() >= queue.sweep_at {
            queue.waiting.retain(|waiting| !waiting.is_closed());
            queue.sweep_at = SWEEP_FROM.max(2 * queue.waiting.len());
        }
        queue.waiting.push_back(given);
        self.line_up(party, each);
    }

    /// Puts a party into the ring if it has to be there, and forgets it if there is nothing to know of it.
    fn line_up(&mut self, party: &P, each: usize) {
        let Some(queue) = self.parties.get_mut(party) else { return };
        if queue.waiting.is_empty() {
            if queue.places == 0 {
                self.parties.remove(party);
            }
        } else if queue.places < each && !queue.in_ring {
            queue.in_ring = true;
            self.ring.push_back(party.clone());
        }
    }

    /// Takes a place for whoever is next.
    fn next(&mut self, each: usize) -> Option<(P, oneshot::Sender<Place<P>>)> {
        while self.free > 0 {
            let party = self.ring.pop_front()?;
            let queue = self.parties.get_mut(&party)?;
            queue.in_ring = false;
            let found = std::iter::from_fn(|| queue.waiting.pop_front()).find(|waiting| !waiting.is_closed());
            if found.is_some() {
                queue.places += 1;
                self.free -= 1;
            }
            self.line_up(&party, each);
            if let Some(found) = found {
                return Some((party, found));
            }
        }
        None
    }
}

impl<P: Clone + Eq + Hash> Shared<P> {
    /// Gives away what is free.
    fn give(self: &Arc<Self>) {
        loop {
            // In a statement of its own: a place that nobody takes comes back at once, for which the lock must be free.
            let next = self.state.lock().next(self.each);
            let Some((party, waiting)) = next else { return };
            drop(waiting.send(Place { of: Arc::clone(self), party }));
        }
    }
}

impl<P: Clone + Eq + Hash> Drop for Place<P> {
    fn drop(&mut self) {
        {
            let mut state = self.of.state.lock();
            state.free += 1;
            if let Some(queue) = state.parties.get_mut(&self.party) {
                queue.places -= 1;
            }
            state.line_up(&self.party, self.of.each);
        }
        self.of.give();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use futures_util::future::BoxFuture;

    use super::*;

    type Named = Places<&'static str>;

    fn takes(places: &Named, name: &'static str) -> Option<Place<&'static str>> {
        places.take(&name).now_or_never()
    }

    /// Somebody who waits from now on.
    fn waits(places: &Named, name: &'static str) -> BoxFuture<'static, Place<&'static str>> {
        let places = places.clone();
        let mut waits = async move { places.take(&name).await }.boxed();
        assert!((&mut waits).now_or_never().is_none(), "{name} has to wait");
        waits
    }

    #[test]
    fn places_are_bounded() {
        let places = Named::new(3, 3);
        let taken = ["a", "a", "c"].map(|name| takes(&places, name).unwrap());
        let mut next = waits(&places, "d");
        assert_eq!(places.free(), 0);
        drop(taken);
        assert!((&mut next).now_or_never().is_some());
        assert_eq!(places.free(), 3);
    }

    #[test]
    fn no_party_has_more_than_its_share() {
        let places = Named::new(3, 2);
        let _its = ["loud"; 2].map(|name| takes(&places, name).unwrap());
        let mut third = waits(&places, "loud");
        drop(takes(&places, "quiet").unwrap());
        assert!((&mut third).now_or_never().is_none());
        // Where there is no room for shares, whoever comes first has it.
        assert!(takes(&Named::new(0, 0), "loud").is_some());
    }

    #[test]
    fn who_wants_one_place_does_not_wait_behind_all_who_want_many() {
        let places = Named::new(1, 1);
        let first = takes(&places, "loud").unwrap();
        let mut loud: Vec<_> = (0..3).map(|_| waits(&places, "loud")).collect();
        let mut quiet = waits(&places, "quiet");
        drop(first);
        assert!(loud.iter_mut().all(|wait| wait.now_or_never().is_none()));
        drop((&mut quiet).now_or_never().expect("it is its turn"));
        assert!((&mut loud[0]).now_or_never().is_some(), "of one party the first");
    }

    #[test]
    fn parties_take_turns_whatever_they_wait_for() {
        let places = Named::new(2, 2);
        let taken = ["x", "y"].map(|name| takes(&places, name).unwrap());
        let asked = ["a", "a", "a", "b", "b", "c"];
        let mut waiting: Vec<_> = asked.iter().map(|name| (*name, waits(&places, name))).collect();
        drop(taken);
        let mut served = Vec::new();
        while !waiting.is_empty() {
            // Both places come back together once both are had.
            let mut had = Vec::new();
            waiting.retain_mut(|(name, wait)| match wait.now_or_never() {
                Some(place) => {
                    had.push((*name, place));
                    false
                }
                None => true,
            });
            assert!(!had.is_empty());
            served.push(had.iter().map(|(name, _)| *name).collect::<Vec<_>>());
        }
        assert_eq!(served, [vec!["a", "b"], vec!["a", "c"], vec!["a", "b"]]);
    }

    #[test]
    fn who_goes_away_holds_up_nobody_and_leaves_nothing() {
        let places = Named::new(1, 1);
        let first = takes(&places, "a").unwrap();
        let gone: Vec<_> = (0..10 * SWEEP_FROM).map(|_| drop(waits(&places, "b"))).collect();
        let given = waits(&places, "c");
        let mut last = waits(&places, "d");
        assert!(places.0.state.lock().parties["b"].waiting.len() <= gone.len() / 5);
        drop(first);
        // It was given a place that it has not looked at.
        drop(given);
        drop((&mut last).now_or_never().unwrap());
        let state = places.0.state.lock();
        assert!(state.free == 1 && state.ring.is_empty() && state.parties.is_empty());
    }
}
