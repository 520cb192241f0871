//! Turns at the processor for queries that take long, so that those that do not never wait for them.
//!
//! SQLite works inside this process: a handful of long queries would take every core, and each short query
//! of anybody else would wait for its share of one. So a query that has worked for [`LONG`] needs a turn to
//! go on, and there is one turn less than there are cores. Whoever has one gives it up after [`SLICE`] if
//! others wait; the next one is of the source that was served longest ago, so that a source with many
//! long queries gets no more than one with a single one. A query that waits has its time limit running.
//!
//! Knows neither queries nor SQLite: `watch` asks at the engine's looks.
//!
//! **Invariant:** no more long queries work at once than there are turns (`turns_are_bounded`).
//! **Invariant:** sources take turns whatever they ask for (`a_source_with_many_waits_no_less_than_one_with_few`).

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// A query that has worked for so long is a long one. A look-up by an index takes a fraction of it. What is a little
/// longer, such as ten thousand rows into an answer in some 3 ms, finds a turn at once unless others are at work.
pub(crate) const LONG: Duration = Duration::from_millis(2);
/// How long a turn lasts while others wait.
pub(crate) const SLICE: Duration = Duration::from_millis(10);
/// How often one that waits looks whether it still has to.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The turns of one connector.
#[derive(Debug)]
pub(crate) struct Turns {
    state: Mutex<State>,
    moved: Condvar,
    // Read without the lock by those that have a turn.
    waiting: AtomicUsize,
}

#[derive(Debug)]
struct State {
    free: usize,
    next: u64,
    // Source and ticket of each that waits.
    waiting: Vec<(usize, u64)>,
    // When each source was served last, while anybody works or waits.
    served: HashMap<usize, u64>,
    all: usize,
}

impl State {
    fn is_next(&self, ticket: u64) -> bool {
        let order = |(source, ticket): &(usize, u64)| (self.served.get(source).copied(), *ticket);
        self.free > 0
            && self.waiting.iter().min_by_key(|waiting| order(waiting)).is_some_and(|next| next.1 == ticket)
    }

    fn serve(&mut self, source: usize) {
        self.free -= 1;
        self.next += 1;
        self.served.insert(source, self.next);
    }
}

impl Turns {
    /// One less than there are cores, and one at least.
    pub(crate) fn of_this_machine() -> Self {
        Self::new(std::thread::available_parallelism().map_or(1, usize::from).saturating_sub(1))
    }

    fn new(turns: usize) -> Self {
        let all = turns.max(1);
        let state = State { free: all, next: 0, waiting: Vec::new(), served: HashMap::new(), all };
        Self { state: Mutex::new(state), moved: Condvar::new(), waiting: AtomicUsize::new(0) }
    }

    /// Waits for a turn for a query of this source. False where `is_over` came first. Blocks.
    pub(crate) fn take(&self, source: usize, is_over: impl Fn() -> bool) -> bool {
        let mut state = self.state.lock();
        state.next += 1;
        let ticket = state.next;
        state.waiting.push((source, ticket));
        self.waiting.store(state.waiting.len(), Ordering::Relaxed);
        let got = loop {
            if state.is_next(ticket) {
                break true;
            }
            if is_over() {
                break false;
            }
            self.moved.wait_for(&mut state, LOOK_EVERY);
        };
        state.waiting.retain(|(_, waiting)| *waiting != ticket);
        self.waiting.store(state.waiting.len(), Ordering::Relaxed);
        if got {
            state.serve(source);
        }
        // Another one may be next by now.
        self.moved.notify_all();
        got
    }

    /// Gives a turn back.
    pub(crate) fn give_back(&self) {
        let mut state = self.state.lock();
        state.free += 1;
        if state.free == state.all && state.waiting.is_empty() {
            state.served.clear();
        }
        self.moved.notify_all();
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

    #[test]
    fn turns_are_bounded() {
        let turns = Arc::new(Turns::new(2));
        let (at_once, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let works: Vec<_> = (0..8)
            .map(|source| {
                let (turns, at_once, most) = (turns.clone(), at_once.clone(), most.clone());
                thread::spawn(move || {
                    for _ in 0..50 {
                        assert!(turns.take(source, || false));
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
        assert!(state.free == 2 && state.waiting.is_empty() && state.served.is_empty());
    }

    #[test]
    fn a_source_with_many_waits_no_less_than_one_with_few() {
        const LOUD: usize = 1;
        const QUIET: usize = 2;
        let turns = Arc::new(Turns::new(1));
        assert!(turns.take(LOUD, || false));
        let order = Arc::new(Mutex::new(Vec::new()));
        let wait = |source: usize| {
            let (turns, order) = (turns.clone(), order.clone());
            let before = turns.waiting.load(Ordering::Relaxed);
            let waits = thread::spawn({
                let turns = turns.clone();
                move || {
                    assert!(turns.take(source, || false));
                    order.lock().push(source);
                    turns.give_back();
                }
            });
            while turns.waiting.load(Ordering::Relaxed) == before {
                thread::yield_now();
            }
            waits
        };
        let waits = [wait(LOUD), wait(LOUD), wait(LOUD), wait(QUIET)];
        turns.give_back();
        waits.into_iter().for_each(|waits| waits.join().unwrap());
        assert_eq!(*order.lock(), [QUIET, LOUD, LOUD, LOUD]);
    }

    #[test]
    fn who_has_to_stop_waits_no_longer_and_holds_up_nobody() {
        let turns = Arc::new(Turns::new(1));
        assert!(turns.take(1, || false));
        let over = Arc::new(AtomicBool::new(false));
        let waits = thread::spawn({
            let (turns, over) = (turns.clone(), over.clone());
            move || turns.take(2, || over.load(Ordering::SeqCst))
        });
        over.store(true, Ordering::SeqCst);
        assert!(!waits.join().unwrap());
        turns.give_back();
        assert!(turns.take(3, || false) && !turns.is_wanted());
    }
}
