//! What the registry holds of an active organization.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use actix::Addr;
use parking_lot::Mutex;
use sequel_store::Fence;
use tokio::sync::{Mutex as AsyncMutex, Semaphore};

use super::actor::OrgActor;
use super::authenticate::Rates;
use super::inflight::{Concurrency, Inflight};
use super::open::Source;
use super::queries::QueryLog;
use super::rate::RateCell;
use super::usage::Ledger;
use super::view::ViewCell;
use crate::context::{Context, Timestamp};
use crate::credential::{KeyId, OrgId};

/// An active organization. Outlives its actor: the cell and the running calls stay when the actor dies.
pub(super) struct Entry {
    pub(super) id: OrgId,
    pub(super) cell: Arc<ViewCell>,
    pub(super) inflight: Arc<Inflight>,
    pub(super) concurrency: Concurrency,
    // Streams of change notices. Apart from the calls: they last, and a shutdown does not wait for them.
    pub(super) streams: Arc<Inflight>,
    pub(super) streams_most: Concurrency,
    pub(super) fence: Fence,
    pub(super) asks_max: usize,
    pub(super) context: Context,
    pub(super) permits: Arc<Semaphore>,
    pub(super) actor: Mutex<Option<Addr<OrgActor>>>,
    // Held while the organization is loaded or evicted.
    pub(super) loading: AsyncMutex<()>,
    pub(super) evicted: AtomicBool,
    // Keys with uses to collect.
    pub(super) used_keys: Mutex<Vec<KeyId>>,
    // What calls came to, until the actor writes it down.
    pub(super) ledger: Ledger,
    // The same for the query log.
    pub(super) queries: QueryLog,
    // The registry's list of organizations with uses to collect.
    pub(super) to_collect: Arc<Mutex<Vec<Arc<Entry>>>>,
    // The sources of the last view. A fresh actor goes on with them: calls that outlived its predecessor
    // must still end when their source is removed.
    pub(super) sources: Mutex<Arc<[Arc<Source>]>>,
    // Whether the hand of eviction knows it.
    pub(super) listed: AtomicBool,
    pub(super) draining: Arc<AtomicBool>,
    // API keys that were created lately.
    pub(super) creations: RateCell,
    pub(super) rates: Rates,
}

impl Entry {
    /// Takes one creation of an API key, or says how long to wait for it.
    pub(super) fn take_key_creation(&self) -> Result<(), Duration> {
        self.creations.take(self.rates.key_creations, self.now())
    }

    pub(super) fn now(&self) -> Timestamp {
        self.context.clock.now()
    }

    /// Says that there is something to collect.
    pub(super) fn list_for_collection(self: &Arc<Self>) {
        self.to_collect.lock().push(Arc::clone(self));
    }

    /// The actor, if it is alive and its view is open.
    pub(super) fn alive(&self) -> Option<Addr<OrgActor>> {
        let actor = self.actor.lock();
        actor.as_ref().filter(|actor| actor.connected() && self.cell.load().is_some()).cloned()
    }
}
