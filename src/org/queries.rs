//! The query log of an organization: one entry for each call that touched a data source, and never its data.
//!
//! A call leaves its entry when it ends, however it ends, in memory; the actor writes what waits on a timer of a second,
//! on the log lane, like usage. So a crash loses the entries of the last second, and no change. Entries are numbered
//! without gaps; with each one that is written, the one goes that is one too many, so that the log is bounded at any
//! time, apart from the audit trail, which it can push nothing out of.
//!
//! What waits is bounded for each organization and over all of them. What finds no room is counted, and the log itself
//! says how much is missing.
//!
//! **Invariant:** a call leaves one entry, however it ends (`query_tests::a_call_leaves_one_entry_however_it_ends`).
//! **Invariant:** an entry is written once, also where the store fails meanwhile
//! (`query_tests::entries_that_could_not_be_written_are_written_in_the_next_round_and_once`).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use sequel_store::{BATCH_OPERATIONS_MAX, Write};

use super::error::ChangeError;
use super::org_store::{GetError, OrgStore};
use super::record::{QueryLogRecord, QueryRecord, encode, query_at, query_log_at};
use crate::context::{Rng, Timestamp};
use crate::metrics::Metrics;

/// Most entries that wait over all organizations. One has some 300 bytes, 1.3 KB with the longest statement: 65 MB at
/// worst, and only where the store takes nothing or somebody floods.
const WAITING_MAX: usize = 50_000;
/// Entries that one batch writes: each may take another away, and one record says how far the log has come.
const WRITTEN_AT_ONCE: usize = (BATCH_OPERATIONS_MAX - 1) / 2;

/// What of a call is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Everything, and of what was asked all but its values.
    Shape,
    /// Who, which data source, outcome and numbers; nothing of what was asked.
    Numbers,
    /// Nothing.
    Nothing,
}

/// How much of the query log is kept.
#[derive(Debug, Clone, Copy)]
pub struct QueryLogLimits {
    /// What of a call.
    pub kept: Kept,
    /// Entries of one organization.
    pub entries_max: u64,
    /// Entries of one organization that wait to be written.
    pub waiting_max: usize,
}

/// What all organizations share of the query log.
pub(super) struct QueryRoom {
    pub(super) limits: QueryLogLimits,
    metrics: Metrics,
    waiting: AtomicUsize,
}

impl QueryRoom {
    pub(super) fn new(limits: QueryLogLimits, metrics: Metrics) -> Arc<Self> {
        Arc::new(Self { limits, metrics, waiting: AtomicUsize::new(0) })
    }
}

/// Entries that are not written yet. Dropping them gives their room back.
#[derive(Default)]
pub(super) struct Waiting {
    entries: Vec<QueryRecord>,
    lost: u64,
    room: Option<Arc<QueryRoom>>,
}

impl Waiting {
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.lost == 0
    }

    fn push(&mut self, entry: QueryRecord, room: &Arc<QueryRoom>) {
        let is_full = self.entries.len() >= room.limits.waiting_max
            // Those who come at once may pass it by their number.
            || room.waiting.load(Ordering::Relaxed) >= WAITING_MAX;
        if is_full {
            self.lost += 1;
            room.metrics.query_entries_lost(1);
            return;
        }
        room.waiting.fetch_add(1, Ordering::Relaxed);
        self.room.get_or_insert_with(|| Arc::clone(room));
        self.entries.push(entry);
    }

    /// Takes over what came behind these; what finds no room is lost.
    pub(super) fn absorb(&mut self, mut newer: Self) {
        self.room = self.room.take().or_else(|| newer.room.clone());
        self.lost += std::mem::take(&mut newer.lost);
        let Some(room) = self.room.clone() else { return };
        let fits = room.limits.waiting_max.saturating_sub(self.entries.len()).min(newer.entries.len());
        self.entries.extend(newer.entries.drain(..fits));
        let lost = newer.entries.len() as u64;
        self.lost += lost;
        room.metrics.query_entries_lost(lost);
    }

    /// Counts them as lost: they are not written any more.
    pub(super) fn give_up(self) {
        if let Some(room) = &self.room {
            room.metrics.query_entries_lost(self.entries.len() as u64);
        }
    }

    /// How many they are.
    pub(super) fn count(&self) -> usize {
        self.entries.len()
    }

    /// The first ones were written, or as many as there are.
    fn written(&mut self, count: usize) {
        let written = self.entries.drain(..count.min(self.entries.len())).len();
        if let Some(room) = &self.room {
            room.waiting.fetch_sub(written, Ordering::Relaxed);
            room.metrics.query_entries_written(written as u64);
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(room) = &self.room {
            room.waiting.fetch_sub(self.entries.len(), Ordering::Relaxed);
        }
    }
}

/// The query log of an organization in memory, as far as it waits for the actor.
pub(super) struct QueryLog {
    waiting: Mutex<Waiting>,
    room: Arc<QueryRoom>,
}

impl QueryLog {
    pub(super) fn new(room: Arc<QueryRoom>) -> Self {
        Self { waiting: Mutex::default(), room }
    }

    pub(super) fn limits(&self) -> QueryLogLimits {
        self.room.limits
    }

    /// Takes an entry in. True where nothing waited before, so that the organization must be listed for the timer.
    pub(super) fn push(&self, entry: QueryRecord) -> bool {
        let mut waiting = self.waiting.lock();
        let was_empty = waiting.is_empty();
        waiting.push(entry, &self.room);
        was_empty
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.lock().is_empty()
    }

    pub(super) fn take(&self) -> Waiting {
        std::mem::take(&mut *self.waiting.lock())
    }

    /// Takes back what could not be written, in front of what came since.
    pub(super) fn give_back(&self, mut left: Waiting) {
        let mut waiting = self.waiting.lock();
        left.absorb(std::mem::take(&mut *waiting));
        *waiting = left;
    }
}

/// The number of the next entry, as far as whoever writes knows it.
pub(super) type Next = Option<u64>;

/// The number of the next entry, as it is stored.
pub(super) async fn next_number(store: &OrgStore) -> Result<u64, GetError> {
    let record = store.get::<QueryLogRecord>(&query_log_at()).await?;
    Ok(record.map_or(1, |(record, _)| record.next.max(1)))
}

/// Writes what waits, and takes away what is one too many for each. What could not be written comes back with the
/// error.
pub(super) async fn write_down(
    store: &OrgStore,
    (rng, now): (&Rng, Timestamp),
    known: &mut Next,
    mut waiting: Waiting,
    entries_max: u64,
) -> Result<(), (ChangeError, Waiting)> {
    while !waiting.is_empty() {
        let next = match known {
            Some(next) => *next,
            None => match next_number(store).await {
                Ok(next) => *known.insert(next),
                Err(error) => return Err((error.into(), waiting)),
            },
        };
        let calls = waiting.entries.len().min(WRITTEN_AT_ONCE - 1);
        let is_last = calls == waiting.entries.len();
        let lost =
            Some(QueryRecord::Lost { at: now, calls: waiting.lost }).filter(|_| is_last && waiting.lost > 0);
        let then = next + calls as u64 + u64::from(lost.is_some());
        let mut writes = Vec::with_capacity(BATCH_OPERATIONS_MAX);
        for (number, entry) in (next..).zip(waiting.entries[..calls].iter().chain(&lost)) {
            // A log that holds less than a batch: what would go with this very batch is not written.
            if number + entries_max >= then {
                writes.push(Write::Put(query_at(number), encode(entry)));
            }
            match number.checked_sub(entries_max) {
                Some(over) if (1..next).contains(&over) => writes.push(Write::Delete(query_at(over))),
                _ => {}
            }
        }
        writes.push(Write::Put(query_log_at(), encode(&QueryLogRecord { next: then })));
        match store.log(rng, writes).await {
            Ok(()) => *known = Some(then),
            // Whether it is written stands beside it.
            Err(ChangeError::Unknown) if is_at(store, then).await => *known = Some(then),
            Err(error) => {
                *known = None;
                return Err((error, waiting));
            }
        }
        waiting.written(calls);
        if lost.is_some() {
            waiting.lost = 0;
        }
    }
    Ok(())
}

async fn is_at(store: &OrgStore, next: u64) -> bool {
    next_number(store).await.is_ok_and(|stored| stored == next)
}
