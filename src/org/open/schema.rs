//! The catalog of a data source, read once for all who ask, kept while there is room, and read anew when it has to be.
//!
//! Who comes while somebody reads waits for that reading instead of starting another. Whoever reads does so in its
//! own call: when that call ends, the reading ends, and the next in the queue begins its own.
//!
//! **Invariant:** the catalogs that are kept over all organizations take at most [`KEPT_BYTES_MAX`] together
//! (`catalogs_beyond_the_room_for_them_are_let_go`).
//! **Invariant:** a caller that asked for a fresh catalog and comes before its reading begins never gets an older one
//! (`a_fresh_catalog_is_one_that_was_read_after_it_was_asked_for`). Who comes too soon behind such a reading gets what
//! it brought, and is told so (`who_asks_for_fresh_ones_again_and_again_gets_the_one_that_is_kept`).
//! **Invariant:** over all sources at most [`READINGS_MAX`] schemas are read at once, each until its catalog is made
//! (`readings_under_way_are_bounded_over_all_sources`), and no organization takes all of them
//! (`an_organization_that_reads_many_schemas_leaves_room_for_another`).

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use sequel_connector::{Party, QueryError, SchemaAsk};
use tokio::sync::Mutex as AsyncMutex;
use tokio_util::sync::CancellationToken;

use super::{Source, SourceInUse};
use crate::catalog::{Catalog, CatalogError};
use crate::places::{Place, Places};

/// Most tables of one catalog. The largest business systems have some ten thousand.
const TABLES_MAX: usize = 20_000;
/// Most bytes of one schema without its index: 10,000 tables of ten columns take 21 MiB with it (`benches/schema.rs`).
const SCHEMA_BYTES_MAX: usize = 48 * 1024 * 1024;
/// Most bytes of all catalogs together. The usual one, of a hundred tables, takes some 200 KiB: 1,200 of them stay.
const KEPT_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Most schemas that are read at once over all sources: one in the making takes as much as a kept one.
const READINGS_MAX: usize = 3;
/// How long a catalog is taken for true. What another program changes in a schema is seen after so long, or at once
/// by who asks for a name that is not there.
const TRUE_FOR: Duration = Duration::from_secs(600);
/// How often at most a name that is not there causes a reading, and how much of the time readings for that reason
/// may take: a tenth. The same for who asks for a fresh one.
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
    // When the last reading began that somebody had asked for.
    refreshed_at: Option<Duration>,
}

/// A catalog that was asked for.
#[derive(Debug)]
pub struct Had {
    /// The catalog.
    pub catalog: Arc<Catalog>,
    /// How long until one can be read anew, where that was asked for and not done, because it was done too lately.
    pub fresh_in: Option<Duration>,
}

/// The room for catalogs over all organizations.
#[derive(Debug)]
pub(super) struct Shelf {
    bytes: Arc<AtomicUsize>,
    // In the order of reading; what is read first makes room first. Locked before any `kept`, and while one is stored.
    order: Mutex<VecDeque<Weak<Source>>>,
    readings: Places<Party>,
    // Work on catalogs, which takes a processor to itself.
    works: Places<Party>,
}

impl Default for Shelf {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            bytes: Arc::default(),
            order: Mutex::default(),
            readings: Places::new(READINGS_MAX, READINGS_MAX - 1),
            // One is left to whoever does something else.
            works: Places::new(cores - 1, cores.saturating_sub(2)),
        }
    }
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

/// What a caller has to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// What is known, if it may still be true.
    Known,
    /// What is read from now on, because it was asked for.
    Fresh,
    /// The same, because a name was missing.
    Newer,
}

impl Shelf {
    /// Keeps a source's catalog, if there is room for it, instead of the one that it has. Answers what was let go.
    fn put(
        &self,
        source: &Arc<Source>,
        catalog: &Arc<Catalog>,
        read_at: Duration,
        bytes_max: usize,
    ) -> Vec<Arc<Catalog>> {
        let bytes = catalog.bytes();
        let mut gone = Vec::new();
        let mut let_go = |source: &Source| {
            let kept = source.catalog.kept.lock().catalog.take();
            gone.extend(kept.map(|(catalog, _)| catalog));
        };
        // Over all of it: what is on the shelf stands in the order, so that it can be found.
        let mut order = self.order.lock();
        order.retain(|other| other.strong_count() > 0 && !std::ptr::eq(other.as_ptr(), Arc::as_ptr(source)));
        // Its former one goes first, so that it drives no other away.
        let_go(source);
        if bytes > bytes_max {
            return gone;
        }
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let charge = Charge { bytes, of: Arc::clone(&self.bytes) };
        while self.bytes.load(Ordering::Relaxed) > bytes_max {
            let Some(first) = order.pop_front() else { break };
            if let Some(first) = first.upgrade() {
                let_go(&first);
            }
        }
        let mut kept = source.catalog.kept.lock();
        kept.read_at = read_at;
        kept.catalog = Some((Arc::clone(catalog), charge));
        order.push_back(Arc::downgrade(source));
        gone
    }
}

impl Source {
    /// The catalog: the one that is kept, or one that is read now, in at most `time`. With `fresh`, one whose reading
    /// begins after this call, unless such a one has begun too lately. Dropping the future ends the reading.
    pub async fn catalog(self: &Arc<Self>, fresh: bool, time: Duration) -> Result<Had, CatalogError> {
        let (begun, declined) = {
            let kept = self.catalog.kept.lock();
            (kept.begun, kept.too_soon(|kept| kept.refreshed_at, self.now()).filter(|_| fresh))
        };
        let wanted = if fresh && declined.is_none() { Wanted::Fresh } else { Wanted::Known };
        let catalog = self.newest(wanted, time).await?;
        // Perhaps it was read all the same: the known one was too old, or somebody else's turn.
        let fresh_in = declined.filter(|_| self.catalog.kept.lock().begun == begun);
        Ok(Had { catalog, fresh_in })
    }

    async fn newest(self: &Arc<Self>, wanted: Wanted, time: Duration) -> Result<Arc<Catalog>, CatalogError> {
        let cell = &self.catalog;
        let fresh = wanted != Wanted::Known;
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
            if wanted == Wanted::Fresh {
                kept.refreshed_at = Some(self.now());
            }
        }
        let (took, read) = self.read(time).await;
        let ended = self.now();
        let gone = read.as_ref().map(|catalog| self.open.shelf.put(self, catalog, ended, KEPT_BYTES_MAX));
        if let Ok(gone) = gone
            && !gone.is_empty()
        {
            // A large one takes milliseconds to be taken apart.
            tokio::task::spawn_blocking(move || drop(gone));
        }
        let mut kept = cell.kept.lock();
        kept.ended = kept.begun;
        kept.took = took;
        // What was known before a failure may still be true, and is asked for again when the failure is forgotten.
        kept.failed = read.as_ref().err().map(|error| (ended, error.clone()));
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
            let now = self.now();
            if kept.too_soon(|kept| kept.missed_at, now).is_some() {
                return Ok(None);
            }
            kept.missed_at = Some(now);
        }
        self.newest(Wanted::Newer, time).await.map(Some)
    }

    /// Works on a catalog beside the threads that answer requests, which have no milliseconds to spare. Dropping the
    /// future ends the waiting; what has begun goes on to its end, and counts until then.
    pub async fn beside<T: Send + 'static>(
        &self,
        catalog: &Arc<Catalog>,
        work: impl FnOnce(&Catalog) -> T + Send + 'static,
    ) -> Result<T, QueryError> {
        let place = self.open.shelf.works.take(&self.belonging.party).await;
        let catalog = Arc::clone(catalog);
        let done = tokio::task::spawn_blocking(move || {
            let _place = place;
            work(&catalog)
        });
        done.await.map_err(|error| QueryError::Unavailable(Box::new(error)))
    }

    /// Reads the schema when it is its turn, and says how long it took from then on.
    async fn read(self: &Arc<Self>, time: Duration) -> (Duration, Result<Arc<Catalog>, CatalogError>) {
        // Not in the turn: what cannot be opened keeps nobody else from reading.
        let handle = match self.open().await {
            Ok(handle) => handle,
            Err(error) => return (Duration::ZERO, Err(CatalogError::Open(error))),
        };
        let place = self.open.shelf.readings.take(&self.belonging.party).await;
        let started = self.now();
        let read = Self::read_with(&handle, place, time).await;
        let took = self.now().saturating_sub(started);
        (took, read.map_err(|error| CatalogError::Read(Arc::new(error))))
    }

    async fn read_with(
        handle: &SourceInUse,
        place: Place<Party>,
        time: Duration,
    ) -> Result<Arc<Catalog>, QueryError> {
        let ask = SchemaAsk {
            tables: TABLES_MAX,
            bytes: SCHEMA_BYTES_MAX,
            time,
            // Dropping the future is how it is stopped.
            cancel: CancellationToken::new(),
        };
        let schema = handle.schema(ask).await?;
        let dialect = handle.dialect();
        // Tens of milliseconds for a large one, which no thread that answers requests has to spare.
        let made = tokio::task::spawn_blocking(move || {
            let _place = place;
            Arc::new(Catalog::new(schema, dialect))
        });
        made.await.map_err(|error| QueryError::Unavailable(Box::new(error)))
    }

    /// Since the epoch, by the process's own time.
    fn now(&self) -> Duration {
        Duration::from_millis(self.open.clock.now().0.unsigned_abs())
    }
}

impl Kept {
    /// How long until what was last done at that time may be done again, if it may not yet.
    fn too_soon(&self, last: impl Fn(&Self) -> Option<Duration>, now: Duration) -> Option<Duration> {
        let every = MISS_EVERY.max(self.took.saturating_mul(MISS_SHARE));
        (last(self)? + every).checked_sub(now).filter(|left| !left.is_zero())
    }

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
