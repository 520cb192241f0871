//! When a query has to stop: its deadline and its token, watched from inside the engine.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use sequel_connector::QueryError;
use tokio_util::sync::CancellationToken;

/// Virtual-machine instructions between two looks at the clock: at some 10–50 ns each a look every
/// 20–100 µs, which costs well below 1 %.
const INSTRUCTIONS_PER_LOOK: i32 = 2_000;

/// Between two attempts at a lock. Where SQLite says "busy" without having waited (it would deadlock, or
/// a WAL is being recovered) the attempts must not spin; far below what a cancelled query may take to stop.
const PAUSE: Duration = Duration::from_millis(5);

/// One query's watch, shared by the engine's progress handler and the thread that steps it.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) stop: CancellationToken,
    started: Instant,
    time: Duration,
    // Milliseconds since the start at the last look: a clock that costs the row loop nothing.
    looked_ms: AtomicU64,
}

impl Watch {
    #[expect(
        clippy::disallowed_methods,
        reason = "a query's time is measured here and compared with no stored time"
    )]
    pub(crate) fn new(stop: CancellationToken, time: Duration) -> Arc<Self> {
        Arc::new(Self { stop, started: Instant::now(), time, looked_ms: AtomicU64::new(0) })
    }

    pub(crate) fn left(&self) -> Duration {
        self.time.saturating_sub(self.started.elapsed())
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
        QueryError::Limit(format!(
            "{what} longer than the limit of {} and was stopped. Make it cheaper: filter earlier, join on indexed \
             columns, aggregate fewer rows, or bound a recursive WITH.",
            readable(self.time)
        ))
    }

    /// Lets a writer get on, before the next attempt. Blocks.
    pub(crate) fn pause(&self) {
        std::thread::sleep(PAUSE.min(self.left()));
    }

    pub(crate) fn looked_ms(&self) -> u64 {
        self.looked_ms.load(Ordering::Relaxed)
    }

    fn look(&self) -> bool {
        let elapsed = self.started.elapsed();
        self.looked_ms.store(elapsed.as_millis() as u64, Ordering::Relaxed);
        elapsed >= self.time || self.stop.is_cancelled()
    }

    /// Lets the engine watch while it works.
    pub(crate) fn attach(self: &Arc<Self>, connection: &Connection) -> rusqlite::Result<()> {
        let watch = self.clone();
        connection.progress_handler(INSTRUCTIONS_PER_LOOK, Some(move || watch.look()))
    }

    pub(crate) fn detach(connection: &Connection) -> rusqlite::Result<()> {
        connection.progress_handler(0, None::<fn() -> bool>)
    }
}

fn readable(time: Duration) -> String {
    match time.as_secs_f64() {
        seconds if seconds < 1.0 => format!("{} ms", time.as_millis()),
        seconds => format!("{} s", (seconds * 10.0).round() / 10.0),
    }
}
