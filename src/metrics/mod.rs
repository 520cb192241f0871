//! What is counted for the operator's monitoring, and how it is told: OpenMetrics text, which Prometheus reads.
//!
//! Counts lie in shards, one for about each thread, and are summed when somebody asks: counting is a few
//! additions to cache lines that no other thread writes. Every label has a fixed set of values; nothing that a
//! client or an organization chooses ever becomes one.
//!
//! Knows nothing of HTTP, organizations or stores; those count here, and hand over what only they can read.
//!
//! **Invariant:** the number of lines does not depend on what was asked (`tests::the_lines_are_always_the_same`).

mod labels;
mod process;
mod shard;
mod text;

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

pub use labels::{App, Change, Ending, Method, Refusal, Route, StoreOperation, StoreOutcome, Tool};
use shard::Shard;
pub use text::CONTENT_TYPE;

use crate::context::Clock;

/// The target of the spans that traces are made of; whoever works makes them, `run` sends them.
pub const SPANS: &str = "sequel::spans";

/// Most shards; a shard is some 6 KiB.
const SHARDS_MAX: usize = 256;
/// Shards for each core: HTTP workers, actors, store and connectors have threads of their own.
const SHARDS_PER_CORE: usize = 4;

/// All counts of one process. Clones share them.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    // As many as a power of two.
    shards: Box<[Shard]>,
    clock: Clock,
}

/// What is not counted but read when somebody asks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Readings {
    /// Organizations in memory.
    pub orgs_active: usize,
    /// Most that may be.
    pub orgs_active_max: usize,
    /// Calls that run, over all organizations.
    pub calls_running: usize,
    /// Streams of change notices that are open, over all organizations.
    pub streams_open: usize,
    /// Changes that wait or are made, over all organizations.
    pub changes_waiting: usize,
    /// The most of them in one organization.
    pub changes_waiting_most: usize,
    /// Most changes that may wait in one organization.
    pub changes_waiting_max: usize,
    /// Open data sources.
    pub sources_open: usize,
    /// Most that may be open.
    pub sources_open_max: usize,
    /// Whether requests are served: started and not shutting down.
    pub ready: bool,
}

/// A store's operation under way; counts itself when it is dropped, also where it was given up.
pub struct StoreTimer {
    metrics: Metrics,
    operation: StoreOperation,
    started: Duration,
    outcome: StoreOutcome,
}

/// An open connection.
pub struct Connection(Metrics);

/// A statement under way; counts itself when it is dropped, as cancelled where nobody said how it ended.
pub struct QueryTimer {
    metrics: Metrics,
    started: Duration,
    ending: Ending,
}

thread_local! {
    // The number of this thread, once it has counted something.
    static THREAD: Cell<usize> = const { Cell::new(usize::MAX) };
}

fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    THREAD.with(|number| {
        if number.get() == usize::MAX {
            number.set(NEXT.fetch_add(1, Ordering::Relaxed));
        }
        number.get()
    })
}

impl Metrics {
    /// With everything at zero. `clock` measures how long things take.
    pub fn new(clock: Clock) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let shards = (cores * SHARDS_PER_CORE).next_power_of_two().min(SHARDS_MAX);
        let shards = (0..shards).map(|_| Shard::default()).collect();
        Self(Arc::new(Inner { shards, clock }))
    }

    fn shard(&self) -> &Shard {
        // Threads beyond the number of shards share one, which costs time and loses nothing.
        &self.0.shards[thread_number() & (self.0.shards.len() - 1)]
    }

    /// What time is measured with.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Time for measuring.
    pub fn now(&self) -> Duration {
        self.0.clock.elapsed()
    }

    /// A request was answered, or its answer began, `since` then.
    pub fn answered(&self, route: Route, status: u16, since: Duration) {
        let elapsed = self.now().saturating_sub(since);
        let shard = self.shard();
        let class = usize::from(status / 100).clamp(1, shard::CLASSES) - 1;
        shard.requests[route as usize][class].add(1);
        shard.request_seconds[route as usize].observe(elapsed);
    }

    /// An MCP message was taken up.
    pub fn message(&self, method: Method) {
        self.shard().messages[method as usize].add(1);
    }

    /// A request was refused before anything was done.
    pub fn refused(&self, refusal: Refusal) {
        self.shard().refusals[refusal as usize].add(1);
    }

    /// A tool call ended.
    pub fn called(&self, tool: Tool, is_error: bool, elapsed: Duration) {
        let shard = self.shard();
        shard.calls[tool as usize][usize::from(is_error)].add(1);
        shard.call_seconds[tool as usize].observe(elapsed);
    }

    /// A statement is about to be given to a data source.
    pub fn query(&self) -> QueryTimer {
        self.shard().queries_begun.add(1);
        QueryTimer { metrics: self.clone(), started: self.now(), ending: Ending::Cancelled }
    }

    /// A statement's answer holds so much, and was cut or not.
    pub fn answered_rows(&self, rows: u64, bytes: u64, cut: bool) {
        let shard = self.shard();
        shard.query_rows.add(rows);
        shard.query_bytes.add(bytes);
        shard.query_cuts.add(u64::from(cut));
    }

    /// So many entries of the query log were written.
    pub fn query_entries_written(&self, entries: u64) {
        self.shard().query_entries_written.add(entries);
    }

    /// So many entries of the query log found no room and are missing in it.
    pub fn query_entries_lost(&self, entries: u64) {
        self.shard().query_entries_lost.add(entries);
    }

    /// A change was made, or not.
    pub fn changed(&self, change: Change) {
        self.shard().changes[change as usize].add(1);
    }

    /// Something became of an app.
    pub fn app(&self, step: App) {
        self.shard().apps[step as usize].add(1);
    }

    /// An organization was loaded.
    pub fn org_loaded(&self) {
        self.shard().org_loads.add(1);
    }

    /// An organization left memory.
    pub fn org_evicted(&self) {
        self.shard().org_evictions.add(1);
    }

    /// A client connected; the connection is open until this is dropped.
    pub fn connection(&self) -> Connection {
        self.shard().connections_opened.add(1);
        Connection(self.clone())
    }

    /// A store's operation begins.
    pub fn store_operation(&self, operation: StoreOperation) -> StoreTimer {
        self.shard().store_begun[operation as usize].add(1);
        let outcome = StoreOutcome::GivenUp;
        StoreTimer { metrics: self.clone(), operation, started: self.now(), outcome }
    }

    /// All of it as OpenMetrics text.
    pub fn text(&self, readings: Readings) -> String {
        text::encode(self.clone(), readings)
    }

    /// One sum over all shards.
    fn sum(&self, of: impl Fn(&Shard) -> u64) -> u64 {
        self.0.shards.iter().map(of).sum()
    }
}

impl StoreTimer {
    /// It ended so.
    pub fn ended(mut self, outcome: StoreOutcome) {
        self.outcome = outcome;
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.shard().connections_closed.add(1);
    }
}

impl QueryTimer {
    /// It ended so.
    pub fn ended(mut self, ending: Ending) {
        self.ending = ending;
    }
}

impl Drop for QueryTimer {
    fn drop(&mut self) {
        let shard = self.metrics.shard();
        shard.queries[self.ending as usize].add(1);
        shard.query_seconds.observe(self.metrics.now().saturating_sub(self.started));
    }
}

impl Drop for StoreTimer {
    fn drop(&mut self) {
        let shard = self.metrics.shard();
        let operation = self.operation as usize;
        shard.store_ended[operation][self.outcome as usize].add(1);
        shard.store_seconds[operation].observe(self.metrics.now().saturating_sub(self.started));
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str, line: &str) -> u64 {
        let found = text.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(' '));
        found.unwrap_or_else(|| panic!("no {line} in {text}")).parse().unwrap()
    }

    #[test]
    fn counts_of_many_threads_are_summed() {
        let metrics = Metrics::new(Clock::system());
        std::thread::scope(|scope| {
            for _ in 0..40 {
                scope.spawn(|| {
                    for _ in 0..1_000 {
                        metrics.answered(Route::Mcp, 200, metrics.now());
                    }
                });
            }
        });
        let text = metrics.text(Readings::default());
        assert_eq!(value(&text, "sequel_http_requests_total{route=\"/mcp\",status=\"2xx\"}"), 40_000);
        assert_eq!(value(&text, "sequel_http_request_duration_seconds_count{route=\"/mcp\"}"), 40_000);
        assert_eq!(
            value(&text, "sequel_http_request_duration_seconds_bucket{le=\"+Inf\",route=\"/mcp\"}"),
            40_000
        );
    }

    #[test]
    fn the_lines_are_always_the_same() {
        let metrics = Metrics::new(Clock::system());
        let names = |text: String| -> Vec<String> {
            text.lines().map(|line| line.rsplit_once(' ').map_or(line, |(name, _)| name).to_owned()).collect()
        };
        let before = names(metrics.text(Readings::default()));
        for status in [0, 99, 200, 404, 503, 999] {
            metrics.answered(Route::Other, status, Duration::ZERO);
        }
        metrics.message(Method::named("tools/\"\n{injected}"));
        metrics.called(Tool::named("drop table"), true, Duration::from_secs(3_600));
        metrics.store_operation(StoreOperation::Commit).ended(StoreOutcome::Conflict);
        drop(metrics.store_operation(StoreOperation::Scan));
        assert_eq!(names(metrics.text(Readings::default())), before);
    }

    #[test]
    fn what_is_under_way_is_what_began_and_has_not_ended() {
        let metrics = Metrics::new(Clock::system());
        let running = |metrics: &Metrics| {
            value(&metrics.text(Readings::default()), "sequel_store_operations_running{operation=\"commit\"}")
        };
        let timer = metrics.store_operation(StoreOperation::Commit);
        assert_eq!(running(&metrics), 1);
        timer.ended(StoreOutcome::Ok);
        assert_eq!(running(&metrics), 0);
        let (_open, closed) = (metrics.connection(), metrics.connection());
        // Closed by another thread than it was opened by.
        std::thread::spawn(|| drop(closed)).join().unwrap();
        let text = metrics.text(Readings::default());
        assert_eq!(value(&text, "sequel_connections_open"), 1);
        assert_eq!(value(&text, "sequel_connections_total"), 2);
    }
}
