//! The registry: the supervisor of all organizations' actors, and the only place that turns an
//! organization's id into a handle.
//!
//! Here is what it is made of and what it says of itself. How a credential gets in lies with
//! `authenticate`, how organizations come and go with `load` and `evict`, its timers with `upkeep`.
//!
//! **Invariant:** at most `active_max` organizations are active; one with running calls or waiting
//! changes is never evicted (`tests::active_orgs_are_bounded_and_the_unused_make_room`).

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix_rt::ArbiterHandle;
use parking_lot::Mutex;
use sequel_store::{Expect, Fence, Revision, Store, Write};
use tokio::sync::Semaphore;

use super::active_orgs::{Active, ActiveOrgs};
use super::audit::{Author, Event};
use super::authenticate::Rates;
use super::entry::Entry;
use super::error::{ChangeError, ResolveError};
use super::handle::Org;
use super::inflight::Stopped;
use super::open::OpenSources;
use super::org_store::OrgStore;
use super::queries::{QueryLogLimits, QueryRoom};
use super::record::{self, MemberRecord, OrgRecord, encode};
use super::throttle::Throttle;
use super::unwritten::Orphans;
use crate::context::Context;
use crate::credential::{OrgId, UserId};
use crate::metrics::{Metrics, Readings};
use crate::vault::Vault;

/// Point reads at once on behalf of addresses that the throttle blocks.
const READS_OF_THE_BLOCKED: usize = 4;

/// What a registry is made of.
pub struct RegistryParts {
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// Time and randomness.
    pub context: Context,
    /// What opens data sources.
    pub open: Arc<OpenSources>,
    /// The threads that actors live on; at least one.
    pub arbiters: Vec<ArbiterHandle>,
    /// Its limits.
    pub limits: RegistryLimits,
    /// What is counted.
    pub metrics: Metrics,
}

/// The registry's limits.
#[derive(Debug, Clone, Copy)]
pub struct RegistryLimits {
    /// Most organizations active at once.
    pub active_max: usize,
    /// An organization that was not used for so long is unloaded.
    pub idle: Duration,
    /// Most changes that wait in one organization.
    pub asks_max: usize,
    /// How long a change may take.
    pub ask_timeout: Duration,
    /// Most API keys of one organization.
    pub keys_max: usize,
    /// Most data sources of one organization.
    pub sources_max: usize,
    /// Most calls that one organization runs at once.
    pub calls_per_org: usize,
    /// Most calls that one key runs at once.
    pub calls_per_key: usize,
    /// Most streams of change notices that are open to one organization at once.
    pub streams_per_org: usize,
    /// Most of them of one key.
    pub streams_per_key: usize,
    /// Unknown credentials that one address may present in a minute.
    pub failures_per_minute: u32,
    /// Requests of one key in a minute; 0 for no limit.
    pub requests_per_minute_per_key: u32,
    /// Requests of one organization in a minute; 0 for no limit.
    pub requests_per_minute_per_org: u32,
    /// API keys that one organization may create in a minute; 0 for no limit.
    pub key_creations_per_minute: u32,
    /// The query log.
    pub queries: QueryLogLimits,
}

/// The registry. Clones share it.
#[derive(Clone)]
pub struct Registry(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) parts: RegistryParts,
    pub(super) entries: ActiveOrgs,
    pub(super) fence: Fence,
    pub(super) rates: Rates,
    // Active organizations in the order of loading, for the clock algorithm of eviction.
    pub(super) hand: Mutex<VecDeque<OrgId>>,
    // Organizations with uses to collect.
    pub(super) used: Arc<Mutex<Vec<Arc<Entry>>>>,
    // What organizations that left memory had not written down.
    pub(super) orphans: Orphans,
    pub(super) query_room: Arc<QueryRoom>,
    pub(super) throttle: Throttle,
    // What access tokens have to be for, once a server listens.
    pub(super) audience: OnceLock<String>,
    // Running calls may go on, none may begin.
    pub(super) draining: Arc<AtomicBool>,
    pub(super) stopping: AtomicBool,
    pub(super) next_arbiter: AtomicUsize,
    // Point reads for addresses that are blocked by the throttle: a known credential behind the address of a
    // flood still gets through, and a flood gets no more of the store than this.
    pub(super) reads_of_the_blocked: Semaphore,
}

impl Registry {
    /// What data sources' secrets are sealed in.
    pub fn vault(&self) -> Arc<Vault> {
        self.0.parts.open.shared_vault()
    }

    /// A registry with no organization active.
    pub fn new(parts: RegistryParts) -> Self {
        let fence = parts.store.fence();
        let rates = Rates::of(&parts.limits);
        let throttle = Throttle::new(parts.limits.failures_per_minute, parts.context.clock.clone());
        let query_room = QueryRoom::new(parts.limits.queries, parts.metrics.clone());
        let entries = ActiveOrgs::for_about(parts.limits.active_max);
        Self(Arc::new(Inner {
            parts,
            entries,
            fence,
            rates,
            hand: Mutex::default(),
            used: Arc::default(),
            orphans: Orphans::default(),
            query_room,
            throttle,
            audience: OnceLock::new(),
            draining: Arc::default(),
            stopping: AtomicBool::new(false),
            next_arbiter: AtomicUsize::new(0),
            reads_of_the_blocked: Semaphore::new(READS_OF_THE_BLOCKED),
        }))
    }

    /// The organization with this id. Callers are the flows that have found the id in an index, and
    /// the operator's administration; a request's credential goes through [`Registry::authenticate`].
    pub async fn resolve(&self, id: OrgId) -> Result<Org, ResolveError> {
        if let Some(entry) = self.active_entry(&id)
            && entry.alive().is_some()
        {
            return Ok(Org::new(entry, self.clone()));
        }
        // A missing organization must not push a living one out.
        self.store_of(id).get::<OrgRecord>(&record::org_at()).await?.ok_or(ResolveError::NotFound)?;
        self.activate(id).await
    }

    /// Writes the record of a new organization: the one change without an actor, since before it there is
    /// nothing that an actor could own. Its first member, if any, is written with it. `Conflict` where one with this id
    /// exists.
    pub async fn create(
        &self,
        id: OrgId,
        record: &OrgRecord,
        founder: Option<(UserId, &MemberRecord)>,
        author: &Author,
    ) -> Result<(), ChangeError> {
        let store = self.store_of(id);
        let event = Event::new("org.create", "org", id, &record.name)
            .with_some("owner", founder.map(|(_, member)| member.email.clone()));
        let commit = sequel_store::CommitId(self.0.parts.context.rng.bytes()?);
        let expects = vec![Expect::Absent(record::org_at())];
        let mut writes = vec![Write::Put(record::org_at(), encode(record))];
        writes.extend(founder.map(|(user, member)| Write::Put(record::member_at(user), encode(member))));
        writes.push(event.entry(Revision(1), record.created_at, author));
        store.commit(store.batch(commit, Revision(0), false, expects, writes)).await?;
        Ok(())
    }

    /// The record of an organization that need not be active.
    pub async fn record(&self, id: OrgId) -> Result<Option<OrgRecord>, ChangeError> {
        Ok(self.store_of(id).get::<OrgRecord>(&record::org_at()).await?.map(|(record, _)| record))
    }

    /// Whether the store answers a read, and what was read before may be served.
    pub async fn store_answers(&self) -> bool {
        let nobody = sequel_store::Scope::system("orgs").expect("a constant that is a legal scope name");
        let key = sequel_store::Key::new("readiness").expect("a constant that is a legal key");
        self.0.parts.store.get(&nobody, &key).await.is_ok() && self.0.fence.holds()
    }

    pub(super) fn active_entry(&self, id: &OrgId) -> Option<Arc<Entry>> {
        self.0.entries.get(id)
    }

    pub(super) fn active_entries(&self) -> Vec<Arc<Entry>> {
        let mut entries = Vec::with_capacity(self.active());
        self.0.entries.for_each(|active| entries.push(Arc::clone(&active.entry)));
        entries
    }

    /// How many organizations are active.
    pub fn active(&self) -> usize {
        self.0.entries.len()
    }

    pub(super) fn store_of(&self, id: OrgId) -> OrgStore {
        OrgStore::new(Arc::clone(&self.0.parts.store), id)
    }

    /// What there is to read for the operator's monitoring. Looks at each active organization.
    pub fn readings(&self) -> Readings {
        let limits = &self.0.parts.limits;
        let mut readings = Readings {
            orgs_active: self.active(),
            orgs_active_max: limits.active_max,
            changes_waiting_max: limits.asks_max,
            sources_open: self.0.parts.open.count(),
            sources_open_max: self.0.parts.open.most(),
            ..Readings::default()
        };
        self.0.entries.for_each(|Active { entry, .. }| {
            let waiting = limits.asks_max.saturating_sub(entry.permits.available_permits());
            readings.changes_waiting += waiting;
            readings.changes_waiting_most = readings.changes_waiting_most.max(waiting);
            readings.calls_running += entry.inflight.count();
            readings.streams_open += entry.streams.count();
        });
        readings
    }

    /// Lets running calls go on and none begin. Streams of change notices end: nothing waits for them.
    pub fn begin_draining(&self) {
        self.0.draining.store(true, Ordering::SeqCst);
        self.active_entries().iter().for_each(|entry| {
            entry.streams.stop_all(Stopped::Shutdown);
        });
    }

    /// Ends every running call, for a shutdown that has waited long enough.
    pub fn stop_calls(&self) {
        self.active_entries().iter().for_each(|entry| {
            entry.inflight.stop_all(Stopped::Shutdown);
        });
    }

    /// How many calls run, over all organizations.
    pub fn running_calls(&self) -> usize {
        let mut running = 0;
        self.0.entries.for_each(|active| running += active.entry.inflight.count());
        running
    }

    /// Writes down what waits to be and lets go of every organization.
    pub async fn shut_down(&self) {
        self.collect_uses().await;
        self.0.stopping.store(true, Ordering::SeqCst);
        for entry in self.active_entries() {
            let _loading = entry.loading.lock().await;
            // Changes under way end first.
            let all = u32::try_from(entry.asks_max).unwrap_or(u32::MAX);
            let under_way = Arc::clone(&entry.permits).acquire_many_owned(all);
            let _ = tokio::time::timeout(self.0.parts.limits.ask_timeout, under_way).await;
            entry.permits.close();
            self.forget(&entry);
        }
        self.collect_orphans().await;
    }
}
