//! Turns at the processor for queries that take long, so that those that do not never wait for them.
//!
//! SQLite works inside this process: a handful of long queries would take every core, and each short query
//! of anybody else would wait for its share of one. So a query that has worked for [`LONG`] needs a turn to
//! go on, and there is one turn less than there are cores. Whoever has one gives it up after [`SLICE`] if
//! others wait; the next one is of the party that was served longest ago, and of its source that was served
//! longest ago: who has many long queries gets no more than who has a single one. A query that waits has its
//! time limit running.
//!
//! Knows neither queries nor SQLite: `watch` asks at the engine's looks.
//!
//! **Invariant:** no more long queries work at once than there are turns (`turns_are_bounded`).
//! **Invariant:** parties take turns whatever they ask for, and so do the sources of one
//! (`a_party_with_many_sources_gets_no_more_than_one_with_a_single_one`,
//! `a_source_with_many_waits_no_less_than_one_with_few`).

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

use parking_lot::Mutex;
use sequel_connector::Party;

/// A query that has worked for so long is a long one. A look-up by an index takes a fraction of it. What is a little
/// longer, such as ten thousand rows into an answer in some 3 ms, finds a turn at once unless others are at work.
pub(crate) const LONG: Duration = Duration::from_millis(2);
/// How long a turn lasts while others wait.
pub(crate) const SLICE: Duration = Duration::from_millis(10);
/// How far back it is known who was served when: several times the threads that a connector has, so that nobody who
/// still waits is forgotten. Who was served before that is next as soon as he asks, as if he never had been.
const REMEMBERED: u64 = 4_096;
/// How often one that waits looks whether it still has to.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Who asks for turns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asker {
    pub(crate) party: Party,
    /// Tells its sources apart.
    pub(crate) source: usize,
}

/// The turns of one connector.
#[derive(Debug)]
pub(crate) struct Turns {
    state: Mutex<State>,
    // Read without the lock by those that have a turn.
    waiting: AtomicUsize,
}

#[derive(Debug)]
struct State {
    free: usize,
    next: u64,
    waiting: Vec<Waiting>,
    // When each party and each source was served last, while anybody works or waits.
    parties: HashMap<Party, u64>,
    sources: HashMap<usize, u64>,
    all: usize,
}

#[derive(Debug)]
struct Waiting {
    asker: Asker,
    ticket: u64,
    thread: Thread,
}

impl State {
    /// Who gets the next turn, if there is one.
    fn next(&self) -> Option<&Waiting> {
        let order = |waiting: &&Waiting| {
            let Asker { party, source } = &waiting.asker;
            (self.parties.get(party).copied(), self.sources.get(source).copied(), waiting.ticket)
        };
        self.waiting.iter().min_by_key(order).filter(|_| self.free > 0)
    }

    fn serve(&mut self, asker: &Asker) {
        self.free -= 1;
        self.next += 1;
        self.parties.insert(asker.party.clone(), self.next);
        self.sources.insert(asker.source, self.next);
        // A server may never come to rest, and each party that was ever served stays until then.
        if self.sources.len() as u64 > REMEMBERED {
            let since = self.next.saturating_sub(REMEMBERED);
            self.parties.retain(|_, served| *served > since);
            self.sources.retain(|_, served| *served > since);
        }
    }

    /// Of the many that may wait, only the one whose turn it is.
    fn wake_next(&self) {
        if let Some(next) = self.next() {
            next.thread.unpark();
        }
    }
}

impl Turns {
    /// One less than there are cores, and one at least.
    pub(crate) fn of_this_machine() -> Self {
        Self::new(std::thread::available_parallelism().map_or(1, usize::from).saturating_sub(1))
    }

    fn new(turns: usize) -> Self {
        let all = turns.max(1);
        let state = State {
            free: all,
            next: 0,
            waiting: Vec::new(),
            parties: HashMap::new(),
            sources: HashMap::new(),
            all,
        };
        Self { state: Mutex::new(state), waiting: AtomicUsize::new(0) }
    }

    /// Waits for a turn for a query. False where `is_over` came first. Blocks.
    pub(crate) fn take(&self, asker: &Asker, is_over: impl Fn() -> bool) -> bool {
        let mut state = self.state.lock();
        state.next += 1;
        let ticket = state.next;
        state.waiting.push(Waiting { asker: asker.clone(), ticket, thread: thread::current() });
        self.waiting.store(state.waiting.len(), Ordering::Relaxed);
        let got = loop {
            if state.next().is_some_and(|next| next.ticket == ticket) {
                break true;
            }
            if is_over() {
                break false;
            }
            drop(state);
            thread::park_timeout(LOOK_EVERY);
            state = self.state.lock();
        };
        state.waiting.retain(|waiting| waiting.ticket != ticket);
        self.waiting.store(state.waiting.len(), Ordering::Relaxed);
        if got {
            state.serve(asker);
        }
        // Another one may be next by now.
        state.wake_next();
        got
    }

    /// Gives a turn back.
    pub(crate) fn give_back(&self) {
        let mut state = self.state.lock();
        state.free += 1;
        if state.free == state.all && state.waiting.is_empty() {
            state.parties.clear();
            state.sources.clear();
        }
        state.wake_next();
    }

    /// Whether anybody waits.
    pub(crate) fn is_wanted(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;
    use std::thread;

    use super::*;

    fn asker(party: &str, source: usize) -> Asker {
        Asker { party: Party::new(party), source }
    }

    /// In which order these get the only turn that there is, who ask one after the other while it is taken.
    fn order(taken_by: &Asker, asking: &[Asker]) -> Vec<Asker> {
        let turns = Arc::new(Turns::new(1));
        assert!(turns.take(taken_by, || false));
        let order = Arc::new(Mutex::new(Vec::new()));
        let wait = |asker: &Asker| {
            let (turns, order, asker) = (turns.clone(), order.clone(), asker.clone());
            let before = turns.waiting.load(Ordering::Relaxed);
            let waits = thread::spawn({
                let turns = turns.clone();
                move || {
                    assert!(turns.take(&asker, || false));
                    order.lock().push(asker);
                    turns.give_back();
                }
            });
            while turns.waiting.load(Ordering::Relaxed) == before {
                thread::yield_now();
            }
            waits
        };
        let waits: Vec<_> = asking.iter().map(wait).collect();
        turns.give_back();
        waits.into_iter().for_each(|waits| waits.join().unwrap());
        Arc::into_inner(order).unwrap().into_inner()
    }

    #[test]
    fn turns_are_bounded() {
        let turns = Arc::new(Turns::new(2));
        let (at_once, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let works: Vec<_> = (0..8)
            .map(|source| {
                let (turns, at_once, most) = (turns.clone(), at_once.clone(), most.clone());
                thread::spawn(move || {
                    for _ in 0..50 {
                        assert!(turns.take(&asker("a", source), || false));
                        most.fetch_max(at_once.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        thread::yield_now();
                        at_once.fetch_sub(1, Ordering::SeqCst);
                        turns.give_back();
                    }
                })
            })
            .collect();
        works.into_iter().for_each(|work| work.join().unwrap());
        assert!(most.load(Ordering::SeqCst) <= 2);
        let state = turns.state.lock();
        assert!(
            state.free == 2
                && state.waiting.is_empty()
                && state.parties.is_empty()
                && state.sources.is_empty()
        );
    }

    #[test]
    fn a_party_with_many_sources_gets_no_more_than_one_with_a_single_one() {
        let loud = [asker("loud", 1), asker("loud", 2), asker("loud", 3)];
        let quiet = [asker("quiet", 4), asker("quiet", 4)];
        let served = order(&loud[0], &[&loud[1..], &quiet[..]].concat());
        assert_eq!(served, [&quiet[0], &loud[1], &quiet[1], &loud[2]].map(Asker::clone));
    }

    #[test]
    fn a_source_with_many_waits_no_less_than_one_with_few() {
        let (loud, quiet) = (asker("a", 1), asker("a", 2));
        let served = order(&loud, &[loud.clone(), loud.clone(), loud.clone(), quiet.clone()]);
        assert_eq!(served, [quiet, loud.clone(), loud.clone(), loud]);
    }

    #[test]
    fn who_has_to_stop_waits_no_longer_and_holds_up_nobody() {
        let turns = Arc::new(Turns::new(1));
        assert!(turns.take(&asker("a", 1), || false));
        let over = Arc::new(AtomicBool::new(false));
        let waits = thread::spawn({
            let (turns, over) = (turns.clone(), over.clone());
            move || turns.take(&asker("a", 2), || over.load(Ordering::SeqCst))
        });
        over.store(true, Ordering::SeqCst);
        assert!(!waits.join().unwrap());
        turns.give_back();
        assert!(turns.take(&asker("a", 3), || false) && !turns.is_wanted());
    }

    #[test]
    fn who_was_served_is_forgotten_some_time_though_there_is_no_rest() {
        let turns = Turns::new(2);
        assert!(turns.take(&asker("always", 0), || false));
        for source in 1..3 * REMEMBERED as usize {
            assert!(turns.take(&asker(&source.to_string(), source), || false));
            turns.give_back();
        }
        let state = turns.state.lock();
        assert!(state.parties.len() as u64 <= REMEMBERED && state.sources.len() as u64 <= REMEMBERED);
    }
}
