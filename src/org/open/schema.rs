//! The catalog of a data source, read once for all who ask, kept while there is room, and read anew when it has to be.
//!
//! Who comes while somebody reads waits for that reading instead of starting another. Whoever reads does so in its
//! own call: when that call ends, the reading ends, and the next in the queue begins its own.
//!
//! **Invariant:** the catalogs that are kept over all organizations take at most [`KEPT_BYTES_MAX`] together
//! (`catalogs_beyond_the_room_for_them_are_let_go`).
//! **Invariant:** a caller that asked for a fresh catalog never gets one whose reading began before it asked
//! (`a_fresh_catalog_is_one_that_was_read_after_it_was_asked_for`).

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use sequel_connector::{QueryError, SchemaAsk};
use tokio::sync::Mutex as AsyncMutex;
use tokio_util::sync::CancellationToken;

use super::Source;
use crate::catalog::{Catalog, CatalogError};

/// Most tables of one catalog. The largest business systems have some ten thousand.
const TABLES_MAX: usize = 20_000;
/// Most bytes of one schema without its index: 10,000 tables of ten columns take 21 MiB with it (`benches/schema.rs`).
const SCHEMA_BYTES_MAX: usize = 48 * 1024 * 1024;
/// Most bytes of all catalogs together. The usual one, of a hundred tables, takes some 200 KiB: 1,200 of them stay.
const KEPT_BYTES_MAX: usize = 256 * 1024 * 1024;
/// How long a catalog is taken for true. What another program changes in a schema is seen after so long, or at once
/// by who asks for a name that is not there.
const TRUE_FOR: Duration = Duration::from_secs(600);
/// How often at most a name that is not there causes a reading, and how much of the time readings for that reason
/// may take: a tenth.
const MISS_EVERY: Duration = Duration::from_secs(10);
const MISS_SHARE: u32 = 10;
/// How long a failure is answered from memory, so that a broken source is not hammered.
const FAILURE_REMEMBERED: Duration = Duration::from_secs(1);

/// One source's catalog.
#[derive(Debug, Default)]
pub(super) struct CatalogCell {
    kept: Mutex<Kept>,
    // Held while the schema is read.
    reading: AsyncMutex<()>,
}

#[derive(Debug, Default)]
struct Kept {
    catalog: Option<(Arc<Catalog>, Charge)>,
    read_at: Duration,
    took: Duration,
    // Readings are numbered in the order in which they begin, and no two run at once.
    begun: u64,
    ended: u64,
    failed: Option<(Duration, CatalogError)>,
    missed_at: Option<Duration>,
}

/// The room for catalogs over all organizations.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    bytes: Arc<AtomicUsize>,
    // In the order of reading; what is read first makes room first.
    order: Mutex<VecDeque<Weak<Source>>>,
}

/// What a kept catalog takes of the room; given back when it goes.
#[derive(Debug)]
struct Charge {
    bytes: usize,
    of: Arc<AtomicUsize>,
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.of.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Shelf {
    fn put(&self, source: &Arc<Source>, catalog: &Arc<Catalog>, bytes_max: usize) -> Option<Charge> {
        let bytes = catalog.bytes();
        if bytes > bytes_max {
            return None;
        }
        // Its former one goes first, so that it drives no other away.
        source.catalog.kept.lock().catalog = None;
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let charge = Charge { bytes, of: Arc::clone(&self.bytes) };
        let mut order = self.order.lock();
        order.retain(|other| other.strong_count() > 0 && !std::ptr::eq(other.as_ptr(), Arc::as_ptr(source)));
        while self.bytes.load(Ordering::Relaxed) > bytes_max {
            let Some(first) = order.pop_front() else { break };
            if let Some(first) = first.upgrade() {
                first.catalog.kept.lock().catalog = None;
            }
        }
        order.push_back(Arc::downgrade(source));
        Some(charge)
    }
}

impl Source {
    /// The catalog: the one that is kept, or one that is read now, in at most `time`. With `fresh`, one whose reading
    /// begins after this call. Dropping the future ends the reading.
    pub async fn catalog(
        self: &Arc<Self>,
        fresh: bool,
        time: Duration,
    ) -> Result<Arc<Catalog>, CatalogError> {
        let cell = &self.catalog;
        let begun = {
            let kept = cell.kept.lock();
            if !fresh && let Some(answer) = kept.still_true(self.now()) {
                return answer;
            }
            kept.begun
        };
        let _turn = cell.reading.lock().await;
        {
            let mut kept = cell.kept.lock();
            // Somebody else read meanwhile; for a fresh one it counts only if it began after we came.
            let enough = if fresh { kept.ended > begun } else { true };
            if enough && let Some(answer) = kept.still_true(self.now()) {
                return answer;
            }
            kept.begun += 1;
        }
        let started = self.now();
        let read = self.read(time).await;
        let ended = self.now();
        // Before the lock: the shelf may have to let go of others.
        let charge = read.as_ref().ok().map(|catalog| self.open.shelf.put(self, catalog, KEPT_BYTES_MAX));
        let mut kept = cell.kept.lock();
        kept.ended = kept.begun;
        kept.took = ended.saturating_sub(started);
        match &read {
            Ok(catalog) => {
                kept.failed = None;
                kept.read_at = ended;
                kept.catalog = charge.flatten().map(|charge| (Arc::clone(catalog), charge));
            }
            // What was known before may still be true, and is asked for again when this is forgotten.
            Err(error) => kept.failed = Some((ended, error.clone())),
        }
        read
    }

    /// A newer catalog than this one, in which a name was not found: one that somebody else has read meanwhile, or
    /// one that is read now, if that was not done too lately. `None` where the known one has to do.
    pub async fn catalog_after_miss(
        self: &Arc<Self>,
        known: &Arc<Catalog>,
        time: Duration,
    ) -> Result<Option<Arc<Catalog>>, CatalogError> {
        {
            let mut kept = self.catalog.kept.lock();
            match &kept.catalog {
                Some((newer, _)) if !Arc::ptr_eq(newer, known) => return Ok(Some(Arc::clone(newer))),
                _ => {}
            }
            let (now, every) = (self.now(), MISS_EVERY.max(kept.took * MISS_SHARE));
            if kept.missed_at.is_some_and(|at| now < at + every) {
                return Ok(None);
            }
            kept.missed_at = Some(now);
        }
        self.catalog(true, time).await.map(Some)
    }

    async fn read(self: &Arc<Self>, time: Duration) -> Result<Arc<Catalog>, CatalogError> {
        let handle = self.open().await.map_err(CatalogError::Open)?;
        let ask = SchemaAsk {
            tables: TABLES_MAX,
            bytes: SCHEMA_BYTES_MAX,
            time,
            // Dropping the future is how it is stopped.
            cancel: CancellationToken::new(),
        };
        let read = |error| CatalogError::Read(Arc::new(error));
        let schema = handle.schema(ask).await.map_err(read)?;
        let dialect = handle.dialect();
        // Tens of milliseconds for a large one, which no thread that answers requests has to spare.
        let made = tokio::task::spawn_blocking(move || Catalog::new(schema, dialect)).await;
        made.map(Arc::new).map_err(|error| read(QueryError::Unavailable(Box::new(error))))
    }

    /// Since the epoch, by the process's own time.
    fn now(&self) -> Duration {
        Duration::from_millis(self.open.clock.now().0.unsigned_abs())
    }
}

impl Kept {
    /// What is known without reading: a catalog that is not too old, or a failure of this very second.
    fn still_true(&self, now: Duration) -> Option<Result<Arc<Catalog>, CatalogError>> {
        match (&self.failed, &self.catalog) {
            (Some((at, error)), _) if now < *at + FAILURE_REMEMBERED => Some(Err(error.clone())),
            (_, Some((catalog, _))) if now < self.read_at + TRUE_FOR => Some(Ok(Arc::clone(catalog))),
            _ => None,
        }
    }
}

#[cfg(test)]
#[path = "schema_tests.rs"]
mod tests;
