//! Places for work of which little may be under way at once, shared out evenly among the parties that want some.
//!
//! A free place goes to the party that was given one longest ago, whatever the others ask for, and no party takes
//! the last place while there are several: whoever comes finds it, or waits for one that is given back soon.
//!
//! **Invariant:** no more are at work than there are places (`places_are_bounded`).
//! **Invariant:** who waits for a single place waits no longer because another party waits for many
//! (`who_wants_one_place_does_not_wait_behind_all_who_want_many`).

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use sequel_connector::Party;
use tokio::sync::oneshot;

/// The places for one kind of work. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Places(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    all: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    taken: usize,
    // Counts the places that were given.
    given: u64,
    // In the order in which they came. As many as calls may run at once, so it is looked through.
    waiting: Vec<(Party, oneshot::Sender<Place>)>,
    // Of those that have places, and while anybody waits of those that had some.
    parties: HashMap<Party, Held>,
}

#[derive(Debug, Default)]
struct Held {
    places: usize,
    // Which of the places that were given was its last.
    last: u64,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    of: Arc<Shared>,
    party: Party,
}

impl Places {
    /// So many, and one at least.
    pub(super) fn new(all: usize) -> Self {
        Self(Arc::new(Shared { all: all.max(1), state: Mutex::default() }))
    }

    /// A place for a party, when it is its turn. Dropping the future gives up the wait.
    pub(super) async fn take(&self, party: &Party) -> Place {
        let place = {
            let mut state = self.0.state.lock();
            let (given, place) = oneshot::channel();
            state.waiting.push((party.clone(), given));
            place
        };
        self.0.give();
        // The sender leaves the list only with a place.
        place.await.expect("who waits is given a place")
    }

    #[cfg(test)]
    pub(super) fn free(&self) -> usize {
        self.0.all - self.0.state.lock().taken
    }
}

impl Shared {
    /// Gives away what is free.
    fn give(self: &Arc<Self>) {
        loop {
            let Some((party, waiting)) = self.next() else { return };
            // Who has gone meanwhile drops the place, which is given to the next then.
            let refused = waiting.send(Place { of: Arc::clone(self), party });
            drop(refused);
        }
    }

    /// Takes a place for whoever is next. To be sent without the lock: a place that nobody takes comes back at once.
    fn next(&self) -> Option<(Party, oneshot::Sender<Place>)> {
        let mut state = self.state.lock();
        state.waiting.retain(|(_, waiting)| !waiting.is_closed());
        if state.waiting.is_empty() {
            state.parties.retain(|_, held| held.places > 0);
        }
        if state.taken == self.all {
            return None;
        }
        let most = (self.all - 1).max(1);
        let held = |party: &Party| state.parties.get(party).map_or((0, 0), |held| (held.places, held.last));
        let may = state.waiting.iter().enumerate().filter(|(_, (party, _))| held(party).0 < most);
        // Of those of one party the first.
        let (next, _) = may.min_by_key(|(_, (party, _))| held(party).1)?;
        let (party, waiting) = state.waiting.remove(next);
        state.taken += 1;
        state.given += 1;
        let last = state.given;
        let held = state.parties.entry(party.clone()).or_default();
        *held = Held { places: held.places + 1, last };
        Some((party, waiting))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        {
            let mut state = self.of.state.lock();
            state.taken -= 1;
            if let Some(held) = state.parties.get_mut(&self.party) {
                held.places -= 1;
            }
        }
        self.of.give();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use futures_util::future::BoxFuture;

    use super::*;

    fn party(name: &str) -> Party {
        Party::new(name)
    }

    /// Somebody who waits from now on.
    fn waits(places: &Places, name: &str) -> BoxFuture<'static, Place> {
        let (places, party) = (places.clone(), party(name));
        let mut waits = async move { places.take(&party).await }.boxed();
        assert!((&mut waits).now_or_never().is_none(), "{name} has to wait");
        waits
    }

    fn has(wait: &mut BoxFuture<'static, Place>) -> Option<Place> {
        wait.now_or_never()
    }

    #[test]
    fn places_are_bounded() {
        let places = Places::new(3);
        let taken: Vec<_> =
            ["a", "b", "c"].map(|name| places.take(&party(name)).now_or_never().unwrap()).into();
        let mut next = waits(&places, "d");
        assert_eq!(places.free(), 0);
        drop(taken);
        assert!(has(&mut next).is_some());
        assert_eq!(places.free(), 3);
    }

    #[test]
    fn one_party_leaves_the_last_place_to_another() {
        let places = Places::new(3);
        let _its: Vec<_> = (0..2).map(|_| places.take(&party("loud")).now_or_never().unwrap()).collect();
        let mut third = waits(&places, "loud");
        let other = places.take(&party("quiet")).now_or_never().unwrap();
        drop(other);
        assert!(has(&mut third).is_none());
        // Where there is one place only, whoever comes first has it.
        assert!(Places::new(0).take(&party("loud")).now_or_never().is_some());
    }

    #[test]
    fn who_wants_one_place_does_not_wait_behind_all_who_want_many() {
        let places = Places::new(1);
        let first = places.take(&party("loud")).now_or_never().unwrap();
        let mut loud: Vec<_> = (0..3).map(|_| waits(&places, "loud")).collect();
        let mut quiet = waits(&places, "quiet");
        drop(first);
        assert!(loud.iter_mut().all(|wait| has(wait).is_none()));
        drop(has(&mut quiet).expect("it had none yet"));
        assert!(has(&mut loud[0]).is_some(), "of one party the first");
    }

    #[test]
    fn who_goes_away_holds_up_nobody_and_leaves_nothing() {
        let places = Places::new(1);
        let first = places.take(&party("a")).now_or_never().unwrap();
        let gone = waits(&places, "b");
        let given = waits(&places, "c");
        let mut last = waits(&places, "d");
        drop(gone);
        drop(first);
        // It was given a place that it has not looked at.
        drop(given);
        drop(has(&mut last).unwrap());
        drop(places.take(&party("e")).now_or_never().unwrap());
        let state = places.0.state.lock();
        assert!(state.taken == 0 && state.waiting.is_empty() && state.parties.is_empty());
    }
}
