//! Eviction: how organizations leave memory, to make room or because nobody uses them.
//!
//! **Invariant:** one with running calls or waiting changes is never evicted
//! (`tests::an_idle_org_is_evicted_unless_a_call_runs_and_comes_back_when_asked`,
//! `tests::active_orgs_are_bounded_and_the_unused_make_room`).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::entry::Entry;
use super::registry::Registry;

/// Entries that one eviction looks at: with so many in use in a row, all are taken to be.
const EVICTION_LOOKS_MAX: usize = 1_024;

impl Registry {
    /// Takes an entry that could not be loaded out of the map.
    pub(super) fn forget(&self, entry: &Arc<Entry>) {
        entry.evicted.store(true, Ordering::SeqCst);
        entry.cell.close();
        entry.actor.lock().take();
        self.0.orphans.adopt(entry);
        // Others may hold the entry for a while yet: connections must not wait for that.
        *entry.sources.lock() = Arc::new([]);
        self.0.entries.remove(entry);
    }

    /// Evicts the organization that was not used for longest, roughly. False where all are in use.
    pub(super) fn evict_one(&self) -> bool {
        let looks = (2 * self.0.hand.lock().len()).min(EVICTION_LOOKS_MAX);
        for _ in 0..looks {
            let Some(id) = self.0.hand.lock().pop_front() else { return false };
            let Some(entry) = self.active_entry(&id) else { continue };
            if !entry.cell.unmark() && self.try_evict(&entry) {
                return true;
            }
            self.0.hand.lock().push_back(id);
        }
        false
    }

    /// Unloads an organization unless something of it runs or waits.
    fn try_evict(&self, entry: &Arc<Entry>) -> bool {
        let in_use = || entry.inflight.count() + entry.streams.count() > 0;
        if in_use() {
            return false;
        }
        let Ok(_loading) = entry.loading.try_lock() else { return false };
        let all = u32::try_from(entry.asks_max).unwrap_or(u32::MAX);
        // With every permit taken no change is under way and none can begin.
        let Ok(permits) = Arc::clone(&entry.permits).try_acquire_many_owned(all) else { return false };
        // The view is withdrawn first: a call that entered before is seen here, one that enters later
        // finds the view closed.
        if !entry.cell.close_unless(in_use) {
            return false;
        }
        entry.permits.close();
        drop(permits);
        self.forget(entry);
        self.0.parts.metrics.org_evicted();
        true
    }

    /// Unloads organizations that were not used for the idle time. Returns how many.
    pub fn evict_idle(&self) -> usize {
        let now = self.0.parts.context.clock.now();
        let idle_ms = i64::try_from(self.0.parts.limits.idle.as_millis()).unwrap_or(i64::MAX);
        let is_idle = |entry: &Entry| now.0.saturating_sub(entry.cell.last_used().0) >= idle_ms;
        let idle: Vec<_> = self.active_entries().into_iter().filter(|entry| is_idle(entry)).collect();
        let evicted = idle.iter().filter(|entry| self.try_evict(entry)).count();
        if evicted > 0 {
            self.0.hand.lock().retain(|id| self.0.entries.look(id, |_| ()).is_some());
        }
        evicted
    }
}
