//! What organizations have to write down that is no change: usage and the query log. Here is how it is taken, given back
//! and written in one go, and what becomes of it when its organization leaves memory.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use sequel_store::Write;
use tokio::sync::Mutex as AsyncMutex;

use super::entry::Entry;
use super::error::ChangeError;
use super::lifecycle::is_gone;
use super::org_store::OrgStore;
use super::queries::{self, Waiting};
use super::usage::{self, Counted};
use crate::context::Context;
use crate::credential::OrgId;

/// Organizations out of memory of which something waits to be written: only while the store takes nothing are there
/// more than a few. Some megabytes.
const ORPHANS_MAX: usize = 10_000;

/// What waits to be written down of one organization.
#[derive(Default)]
pub(super) struct Unwritten {
    pub(super) counted: Counted,
    pub(super) queries: Waiting,
}

/// What whoever writes has written last, so that it need not be read again each second.
#[derive(Default)]
pub(super) struct Known {
    usage: usage::Known,
    next_query: queries::Next,
}

impl Unwritten {
    fn is_empty(&self) -> bool {
        self.counted.is_empty() && self.queries.is_empty()
    }

    /// Takes over what came behind it.
    fn absorb(&mut self, newer: Self) {
        usage::add_all(&mut self.counted, &newer.counted);
        self.queries.absorb(newer.queries);
    }

    /// Writes it down, after some blind writes of the caller's. What could not be written comes back with the error.
    pub(super) async fn write_down(
        self,
        store: &OrgStore,
        context: &Context,
        known: &mut Known,
        (others, queries_max): (Vec<Write>, u64),
    ) -> Result<(), (ChangeError, Self)> {
        let Self { counted, queries } = self;
        let counted = usage::write_down(store, &context.rng, &mut known.usage, counted, others).await;
        let by = (&context.rng, context.clock.now());
        let queries = queries::write_down(store, by, &mut known.next_query, queries, queries_max).await;
        match (counted, queries) {
            (Ok(()), Ok(())) => Ok(()),
            (Ok(()), Err((error, queries))) => Err((error, Self { queries, ..Self::default() })),
            (Err((error, counted)), Ok(())) => Err((error, Self { counted, ..Self::default() })),
            (Err((error, counted)), Err((_, queries))) => Err((error, Self { counted, queries })),
        }
    }
}

impl Entry {
    pub(super) fn has_unwritten(&self) -> bool {
        !self.ledger.is_empty() || !self.queries.is_empty()
    }

    pub(super) fn take_unwritten(&self) -> Unwritten {
        Unwritten { counted: self.ledger.take(), queries: self.queries.take() }
    }

    /// Takes back what could not be written.
    pub(super) fn give_back(&self, left: Unwritten) {
        self.ledger.give_back(left.counted);
        self.queries.give_back(left.queries);
    }
}

/// What waits of organizations that left memory. Written down by the timer, or by the organization's actor when it is
/// loaded again: never beside it.
#[derive(Default)]
pub(super) struct Orphans {
    waiting: Mutex<HashMap<OrgId, Unwritten>>,
    // Held while some are written, so that no actor of theirs starts meanwhile.
    writing: AsyncMutex<()>,
}

impl Orphans {
    /// Takes over what an organization that leaves memory has not written.
    pub(super) fn adopt(&self, entry: &Entry) {
        let left = entry.take_unwritten();
        if left.is_empty() {
            return;
        }
        let mut waiting = self.waiting.lock();
        if waiting.len() >= ORPHANS_MAX && !waiting.contains_key(&entry.id) {
            let org = entry.id;
            tracing::error!(
                %org,
                calls = left.queries.count(),
                "the store takes neither usage nor queries, and too much waits for it: some is not counted"
            );
            left.queries.give_up();
            return;
        }
        waiting.entry(entry.id).or_default().absorb(left);
    }

    /// Gives an organization that is loaded again what waits of it, for its actor to write.
    pub(super) async fn return_to(&self, entry: &Arc<Entry>) {
        let _writing = self.writing.lock().await;
        if let Some(left) = self.waiting.lock().remove(&entry.id) {
            entry.give_back(left);
            entry.list_for_collection();
        }
    }

    /// Waits until nothing is being written, for a purge that has just left its mark: whoever writes later sees it.
    pub(super) async fn let_go(&self) {
        drop(self.writing.lock().await);
    }

    /// Organizations that something waits of.
    pub(super) fn orgs(&self) -> Vec<OrgId> {
        self.waiting.lock().keys().copied().collect()
    }

    /// Writes down what waits of one organization, none of whose actors runs.
    pub(super) async fn settle(
        &self,
        org: OrgId,
        store: &OrgStore,
        context: &Context,
        queries_max: u64,
    ) -> Result<(), ChangeError> {
        let _writing = self.writing.lock().await;
        let Some(left) = self.waiting.lock().remove(&org) else { return Ok(()) };
        let (error, left) = match is_gone(store).await {
            // A deleted organization is being purged: nothing may be written behind that.
            Ok(true) => return Ok(()),
            Ok(false) => {
                let mut known = Known::default();
                match left.write_down(store, context, &mut known, (Vec::new(), queries_max)).await {
                    Ok(()) => return Ok(()),
                    Err(failed) => failed,
                }
            }
            Err(error) => (error.into(), left),
        };
        let mut waiting = self.waiting.lock();
        let newer = waiting.insert(org, left);
        if let (Some(newer), Some(left)) = (newer, waiting.get_mut(&org)) {
            left.absorb(newer);
        }
        Err(error)
    }
}
