//! Where counts lie: one shard for about each thread.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::labels::{App, Change, Ending, Method, Refusal, Route, StoreOperation, StoreOutcome, Tool};

/// Classes of HTTP statuses: 1xx to 5xx.
pub(super) const CLASSES: usize = 5;

/// Upper bounds of a histogram's buckets: from what a list takes to what the longest query may take.
pub(super) const BOUNDS: [Duration; 18] = [
    Duration::from_micros(50),
    Duration::from_micros(100),
    Duration::from_micros(250),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_micros(2_500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_millis(2_500),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(30),
];

const BOUNDS_NS: [u64; BOUNDS.len()] = {
    let (mut bounds, mut at) = ([0; BOUNDS.len()], 0);
    while at < BOUNDS.len() {
        bounds[at] = BOUNDS[at].as_nanos() as u64;
        at += 1;
    }
    bounds
};

/// A count. Added to by about one thread, so that it is hardly ever waited for.
#[derive(Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How long things took.
#[derive(Default)]
pub(super) struct Histogram {
    // The last one is for what is longer than every bound.
    pub(super) buckets: [Counter; BOUNDS.len() + 1],
    pub(super) nanoseconds: Counter,
}

impl Histogram {
    pub(super) fn observe(&self, elapsed: Duration) {
        // 584 years fit.
        let nanoseconds = elapsed.as_secs().saturating_mul(1_000_000_000) + u64::from(elapsed.subsec_nanos());
        // What is asked for most is done soonest: the first bounds decide.
        let bucket = BOUNDS_NS.iter().position(|bound| nanoseconds <= *bound).unwrap_or(BOUNDS.len());
        self.buckets[bucket].add(1);
        self.nanoseconds.add(nanoseconds);
    }
}

/// One thread's counts. Aligned so that no two shards share a cache line, nor the pair of lines that a
/// processor fetches together.
#[derive(Default)]
#[repr(align(128))]
pub(super) struct Shard {
    pub(super) requests: [[Counter; CLASSES]; Route::COUNT],
    pub(super) request_seconds: [Histogram; Route::COUNT],
    pub(super) messages: [Counter; Method::COUNT],
    pub(super) refusals: [Counter; Refusal::COUNT],
    // Without and with an error.
    pub(super) calls: [[Counter; 2]; Tool::COUNT],
    pub(super) call_seconds: [Histogram; Tool::COUNT],
    pub(super) queries_begun: Counter,
    pub(super) queries: [Counter; Ending::COUNT],
    pub(super) query_seconds: Histogram,
    pub(super) query_rows: Counter,
    pub(super) query_bytes: Counter,
    pub(super) query_cuts: Counter,
    pub(super) query_entries_written: Counter,
    pub(super) query_entries_lost: Counter,
    pub(super) changes: [Counter; Change::COUNT],
    pub(super) apps: [Counter; App::COUNT],
    pub(super) org_loads: Counter,
    pub(super) org_evictions: Counter,
    pub(super) connections_opened: Counter,
    pub(super) connections_closed: Counter,
    pub(super) store_begun: [Counter; StoreOperation::COUNT],
    pub(super) store_ended: [[Counter; StoreOutcome::COUNT]; StoreOperation::COUNT],
    pub(super) store_seconds: [Histogram; StoreOperation::COUNT],
}
