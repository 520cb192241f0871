//! When a query has to stop: its deadline and its token, watched from inside the engine.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use sequel_connector::{Course, Query, QueryError, Said, words};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::threads::Threads;
use crate::turns::{Asker, LONG, SLICE, Turns};

/// Virtual-machine instructions between two looks. One instruction may be a function over [a whole text]
/// that takes tens of milliseconds, and a loop needs some four instructions for each such call, so a look must come
/// often; most looks are therefore no more than reading a flag (measured: 1 to 2 % of a plain scan).
///
/// [a whole text]: crate::connection::VALUE_BYTES_MAX
const INSTRUCTIONS_PER_LOOK: i32 = 20;

/// Of the looks that only read the flag, one in so many reads the clock too, for the age of batches.
const LOOKS_PER_CLOCK: u32 = 64;

/// How long a query at work reads the clock and its token at each look (some 50 ns), before a timer is set up
/// that does so for it. Setting one up costs some microseconds, which the many short queries need not pay.
const SHORT: Duration = Duration::from_micros(200);

thread_local! {
    /// The watch of the query that this thread steps, for functions that the engine calls.
    static CURRENT: RefCell<Option<Arc<Watch>>> = const { RefCell::new(None) };
}

/// Whether the query that this thread steps has to stop.
pub(crate) fn is_over() -> bool {
    CURRENT.with_borrow(|current| current.as_ref().is_some_and(|watch| watch.is_due()))
}

/// Between two attempts at a lock. Where SQLite says "busy" without having waited (it would deadlock, or
/// a WAL is being recovered) the attempts must not spin; far below what a cancelled query may take to stop.
const PAUSE: Duration = Duration::from_millis(5);

/// One query's watch, shared by the engine's progress handler and the thread that steps it.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) stop: CancellationToken,
    pub(crate) course: Course,
    started: Instant,
    time: Duration,
    // Milliseconds since the start at the last look: a clock that costs the row loop nothing.
    looked_ms: AtomicU64,
    looks: AtomicU32,
    // Microseconds since the start when the engine began.
    attached_us: AtomicU64,
    // Set once the query has to stop; whoever sees the time or the token first sets it.
    over: AtomicBool,
    // Whether a timer sets `over`, so that the query itself need not look further.
    timed: AtomicBool,
    // Microseconds since the start when the query got its turn; 0 while it has none.
    turn_us: AtomicU64,
    // Microseconds that it waited for its turns.
    waited_us: AtomicU64,
    turns: OnceLock<(Arc<Turns>, Asker)>,
    // When it last let others have the core.
    yielded_us: AtomicU64,
}

/// How long a query works before it lets others have the core for a moment, in microseconds.
const YIELD_US: u64 = 500;

impl Watch {
    /// Of a query that its time begins for now.
    pub(crate) fn of(query: &Query) -> Arc<Self> {
        Self::following(query.cancel.child_token(), query.limits.time, query.course.clone())
    }

    /// Of work of our own.
    pub(crate) fn new(stop: CancellationToken, time: Duration) -> Arc<Self> {
        Self::following(stop, time, Course::default())
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a query's time is measured here and compared with no stored time"
    )]
    fn following(stop: CancellationToken, time: Duration, course: Course) -> Arc<Self> {
        Arc::new(Self {
            stop,
            course,
            started: Instant::now(),
            time,
            looked_ms: AtomicU64::new(0),
            looks: AtomicU32::new(0),
            attached_us: AtomicU64::new(0),
            over: AtomicBool::new(false),
            timed: AtomicBool::new(false),
            turn_us: AtomicU64::new(0),
            waited_us: AtomicU64::new(0),
            turns: OnceLock::new(),
            yielded_us: AtomicU64::new(0),
        })
    }

    pub(crate) fn left(&self) -> Duration {
        self.time.saturating_sub(self.started.elapsed())
    }

    /// How much of its time a query has used.
    pub(crate) fn used(&self) -> Duration {
        self.started.elapsed()
    }

    /// Why to stop, if so.
    pub(crate) fn reason(&self) -> Option<QueryError> {
        if self.stop.is_cancelled() {
            return Some(QueryError::Cancelled);
        }
        self.left().is_zero().then(|| self.late("The query ran"))
    }

    /// The time limit's error; `what` opens its sentence.
    pub(crate) fn late(&self, what: &str) -> QueryError {
        if u128::from(self.waited_us.load(Ordering::Relaxed)) * 2 > self.time.as_micros() {
            return QueryError::Limit(Said::new(
                words::TIME,
                format!(
                    "The query was stopped after {}, most of which it waited: the server is busy with long queries. Try \
                 again in a moment.",
                    readable(self.time)
                ),
            ));
        }
        QueryError::Limit(Said::new(
            words::TIME,
            format!(
                "{what} longer than the limit of {} and was stopped. Make it cheaper: filter earlier, join on indexed \
             columns, aggregate fewer rows, or bound a recursive WITH.",
                readable(self.time)
            ),
        ))
    }

    /// Lets a writer get on, before the next attempt. Blocks.
    pub(crate) fn pause(&self) {
        self.rest();
        std::thread::sleep(PAUSE.min(self.left()));
    }

    pub(crate) fn looked_ms(&self) -> u64 {
        self.looked_ms.load(Ordering::Relaxed)
    }

    fn is_due(&self) -> bool {
        self.is_due_at(self.started.elapsed())
    }

    /// Notes the time and looks at the token.
    fn is_due_at(&self, elapsed: Duration) -> bool {
        self.looked_ms.store(elapsed.as_millis() as u64, Ordering::Relaxed);
        let due = elapsed >= self.time || self.stop.is_cancelled();
        if due {
            self.over.store(true, Ordering::Relaxed);
        }
        due
    }

    fn look(self: &Arc<Self>, runtime: &Handle) -> bool {
        let looks = self.looks.fetch_add(1, Ordering::Relaxed);
        if self.timed.load(Ordering::Relaxed) && !looks.is_multiple_of(LOOKS_PER_CLOCK) {
            return self.over.load(Ordering::Relaxed);
        }
        let due = self.is_due();
        if !due && self.looked_ms() >= SHORT.as_millis() as u64 && !self.timed.swap(true, Ordering::Relaxed) {
            self.set_timer(runtime);
        }
        due || !self.has_its_turn()
    }

    /// Waits until a query that has worked for long may go on. False where it has to stop instead.
    fn has_its_turn(&self) -> bool {
        let Some((turns, asker)) = self.turns.get() else { return true };
        let now = self.started.elapsed().as_micros() as u64;
        let since = self.turn_us.load(Ordering::Relaxed);
        let worked = now.saturating_sub(self.attached_us.load(Ordering::Relaxed));
        let goes_on = match since {
            0 => u128::from(worked) < LONG.as_micros(),
            since => u128::from(now - since) < SLICE.as_micros() || !turns.is_wanted(),
        };
        if goes_on {
            self.let_others(now);
            return true;
        }
        self.rest();
        let got = turns.take(asker, || self.over.load(Ordering::Relaxed) || self.is_due());
        let then = self.started.elapsed().as_micros() as u64;
        self.waited_us.fetch_add(then - now, Ordering::Relaxed);
        if got {
            self.turn_us.store(self.started.elapsed().as_micros().max(1) as u64, Ordering::Relaxed);
        }
        got
    }

    /// Asks the kernel once a while whether somebody else wants this core: threads that have just woken, because a short
    /// query or a request came, are else let wait until a slice of some milliseconds is over.
    fn let_others(&self, now_us: u64) {
        if now_us.saturating_sub(self.yielded_us.load(Ordering::Relaxed)) >= YIELD_US {
            std::thread::yield_now();
            self.yielded_us.store(self.started.elapsed().as_micros() as u64, Ordering::Relaxed);
        }
    }

    /// Gives the turn back, before the query's thread waits for somebody else.
    pub(crate) fn rest(&self) {
        if self.turn_us.swap(0, Ordering::Relaxed) != 0
            && let Some((turns, _)) = self.turns.get()
        {
            turns.give_back();
        }
    }

    fn set_timer(self: &Arc<Self>, runtime: &Handle) {
        // Weak: a query that is done ends its timer at the latest when its time would be up.
        let (watch, stop, left) = (Arc::downgrade(self), self.stop.clone(), self.left());
        runtime.spawn(async move {
            // Whichever comes first; neither has a result to look at.
            let _ = tokio::time::timeout(left, stop.cancelled()).await;
            if let Some(watch) = watch.upgrade() {
                watch.over.store(true, Ordering::Relaxed);
            }
        });
    }

    /// Lets the engine and its functions watch while they work on this thread.
    pub(crate) fn attach(
        self: &Arc<Self>,
        connection: &Connection,
        threads: &Threads,
        asker: Asker,
    ) -> rusqlite::Result<()> {
        // Set already where a watch is attached again.
        let _ = self.turns.set((threads.turns().clone(), asker));
        CURRENT.set(Some(self.clone()));
        self.attached_us.store(self.started.elapsed().as_micros() as u64, Ordering::Relaxed);
        let (watch, runtime) = (self.clone(), threads.handle().clone());
        connection.progress_handler(INSTRUCTIONS_PER_LOOK, Some(move || watch.look(&runtime)))
    }

    pub(crate) fn detach(&self, connection: &Connection) -> rusqlite::Result<()> {
        self.rest();
        CURRENT.set(None);
        connection.progress_handler(0, None::<fn() -> bool>)
    }
}

impl Drop for Watch {
    /// Also where a panic kept it from being detached.
    fn drop(&mut self) {
        self.rest();
    }
}

fn readable(time: Duration) -> String {
    match time.as_secs_f64() {
        seconds if seconds < 1.0 => format!("{} ms", time.as_millis()),
        seconds => format!("{} s", (seconds * 10.0).round() / 10.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_that_mostly_waited_is_not_told_to_be_cheaper() {
        let watch = Watch::new(CancellationToken::new(), Duration::from_millis(10));
        assert!(watch.late("The query ran").to_string().contains("Make it cheaper"));
        watch.waited_us.store(6_000, Ordering::Relaxed);
        let waited = watch.late("The query ran").to_string();
        assert!(waited.contains("server is busy") && !waited.contains("cheaper"), "{waited}");
    }
}
