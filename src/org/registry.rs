//! The registry: the supervisor of all organizations' actors, and the only place that turns an
//! organization's id into a handle.
//!
//! A credential of an active organization is verified from its published view, without a lock and
//! without a message. For any other, one point read of the credential's record decides, and only a
//! credential that holds loads its organization.
//!
//! **Invariant:** a forged credential neither loads nor evicts an organization
//! (`tests::a_forged_credential_neither_loads_nor_evicts_an_org`).
//! **Invariant:** at most `active_max` organizations are active; one with running calls or waiting
//! changes is never evicted (`tests::active_orgs_are_bounded_and_the_unused_make_room`).

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use actix::{Actor, Addr, Context as ActorCtx};
use actix_rt::ArbiterHandle;
use futures_util::StreamExt;
use papaya::HashMap;
use parking_lot::Mutex;
use sequel_store::{Expect, Fence, Revision, Store, Write};
use tokio::sync::{Mutex as AsyncMutex, Semaphore};

use super::actor::{ChangeLimits, CollectUses, Desk, OrgActor, by_name};
use super::audit::{AuditRetention, Author, Event};
use super::call::Principal;
use super::error::{AuthError, ChangeError, Limited, RateOf, ResolveError};
use super::handle::Org;
use super::id_map::BuildIdHasher;
use super::inflight::{Concurrency, Inflight, Stopped};
use super::open::{OpenSources, Source};
use super::org_store::OrgStore;
use super::rate::{Rate, RateCell};
use super::record::{self, KeyRecord, OrgRecord, SourceRecord, decode, encode, id_after};
use super::throttle::Throttle;
use super::usage::{Ledger, Orphans, day_of, usage_before};
use super::view::{KeyView, Refusal, View, ViewCell};
use crate::context::{Context, Timestamp};
use crate::credential::{Credential, KeyId, OrgId, SourceId};
use crate::metrics::{Metrics, Readings};

/// Organizations whose last uses are written down at once: as many as a group commit takes well.
const COLLECTED_AT_ONCE: usize = 64;

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
}

/// The limits of how often, ready to be held against.
#[derive(Clone, Copy)]
pub(super) struct Rates {
    per_key: Rate,
    per_org: Rate,
    pub(super) key_creations: Rate,
}

impl Rates {
    fn of(limits: &RegistryLimits) -> Self {
        Self {
            per_key: Rate::per_minute(limits.requests_per_minute_per_key),
            per_org: Rate::per_minute(limits.requests_per_minute_per_org),
            key_creations: Rate::per_minute(limits.key_creations_per_minute),
        }
    }

    /// Takes one request of the key's rate and the organization's. A key that has used up its own takes
    /// nothing of the organization's.
    fn take(&self, cell: &ViewCell, key: &KeyView, now: Timestamp) -> Result<(), Limited> {
        let limited = |of| move |wait| Limited { of, wait };
        key.uses.requests.take(self.per_key, now).map_err(limited(RateOf::Key))?;
        cell.requests.take(self.per_org, now).map_err(limited(RateOf::Org))
    }
}

/// Whether a request may go on, as far as it can be said without waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It may.
    Accepted,
    /// Its credential holds and has to wait.
    Limited(Limited),
    /// [`Registry::authenticate`] settles it.
    Undecided,
}

/// How long an organization's history is kept.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// Days that entries of the audit trail are kept.
    pub audit_days: u32,
    /// Most entries of one organization.
    pub audit_entries_max: u64,
    /// Days that usage is kept, today included.
    pub usage_days: u32,
}

impl Retention {
    fn audit(&self, now: Timestamp) -> AuditRetention {
        let kept_ms = i64::from(self.audit_days) * 86_400_000;
        let keep_from = Timestamp(now.0.saturating_sub(kept_ms));
        AuditRetention { keep_from, entries_max: self.audit_entries_max }
    }
}

/// The registry. Clones share it.
#[derive(Clone)]
pub struct Registry(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) parts: RegistryParts,
    pub(super) entries: HashMap<OrgId, Active, BuildIdHasher>,
    fence: Fence,
    rates: Rates,
    // Active organizations in the order of loading, for the clock algorithm of eviction.
    pub(super) hand: Mutex<VecDeque<OrgId>>,
    // Organizations with uses to collect.
    used: Arc<Mutex<Vec<Arc<Entry>>>>,
    // What organizations counted that left memory before it was collected.
    pub(super) orphans: Orphans,
    throttle: Throttle,
    // Running calls may go on, none may begin.
    draining: Arc<AtomicBool>,
    stopping: AtomicBool,
    next_arbiter: AtomicUsize,
    // Point reads for addresses that are blocked by the throttle: a known credential behind the address of a
    // flood still gets through, and a flood gets no more of the store than this.
    reads_of_the_blocked: Semaphore,
}

/// What the map of active organizations holds. What every request needs of one lies in the cell: each
/// further place in memory is one more that no cache has.
pub(super) struct Active {
    pub(super) cell: Arc<ViewCell>,
    pub(super) entry: Arc<Entry>,
}

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
    context: Context,
    pub(super) permits: Arc<Semaphore>,
    pub(super) actor: Mutex<Option<Addr<OrgActor>>>,
    // Held while the organization is loaded or evicted.
    pub(super) loading: AsyncMutex<()>,
    pub(super) evicted: AtomicBool,
    // Keys with uses to collect.
    used_keys: Mutex<Vec<KeyId>>,
    // What calls came to, until the actor writes it down.
    pub(super) ledger: Ledger,
    // The registry's list of organizations with uses to collect.
    to_collect: Arc<Mutex<Vec<Arc<Entry>>>>,
    // The sources of the last view. A fresh actor goes on with them: calls that outlived its predecessor
    // must still end when their source is removed.
    pub(super) sources: Mutex<Arc<[Arc<Source>]>>,
    // Whether the hand of eviction knows it.
    listed: AtomicBool,
    pub(super) draining: Arc<AtomicBool>,
    // API keys that were created lately.
    creations: RateCell,
    rates: Rates,
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

impl Registry {
    /// A registry with no organization active.
    pub fn new(parts: RegistryParts) -> Self {
        let fence = parts.store.fence();
        let rates = Rates::of(&parts.limits);
        let throttle = Throttle::new(parts.limits.failures_per_minute, parts.context.clock.clone());
        Self(Arc::new(Inner {
            parts,
            entries: HashMap::default(),
            fence,
            rates,
            hand: Mutex::default(),
            used: Arc::default(),
            orphans: Orphans::default(),
            throttle,
            draining: Arc::default(),
            stopping: AtomicBool::new(false),
            next_arbiter: AtomicUsize::new(0),
            reads_of_the_blocked: Semaphore::new(READS_OF_THE_BLOCKED),
        }))
    }

    /// Whether a credential of an active organization holds and its rate lets one more request go, without
    /// waiting for anything.
    ///
    /// Most requests need to know no more, and who does not get hold of the organization spares counting a
    /// reference that all workers share.
    pub fn admit(&self, credential: &Credential) -> Admission {
        let now = self.0.parts.context.clock.now();
        let rates = &self.0.rates;
        match self.verify_active(credential, now, |active, key| rates.take(&active.cell, key, now)) {
            Some(Ok(Ok(()))) => Admission::Accepted,
            Some(Ok(Err(limited))) => Admission::Limited(limited),
            Some(Err(_)) | None => Admission::Undecided,
        }
    }

    /// The same for who was not settled by that and has been authenticated since.
    pub fn charge(&self, credential: &Credential) -> Result<(), Limited> {
        match self.admit(credential) {
            Admission::Limited(limited) => Err(limited),
            // Revoked or closed since: whoever looks next finds out.
            Admission::Accepted | Admission::Undecided => Ok(()),
        }
    }

    /// Verifies a credential of an active organization, without waiting for anything. `None` where that
    /// does not settle it: then [`Registry::authenticate`] does.
    pub fn authenticate_active(&self, credential: &Credential) -> Option<Principal> {
        self.principal_of_active(credential, self.0.parts.context.clock.now())?.ok()
    }

    /// Verifies a credential and names who it is. `from` is the peer's address, for the throttle.
    pub async fn authenticate(
        &self,
        credential: &Credential,
        from: Option<IpAddr>,
    ) -> Result<Principal, AuthError> {
        // Twice: a view that was closed between look-up and look is resolved again, once.
        for _ in 0..2 {
            let now = self.0.parts.context.clock.now();
            let refused_by_view = match self.principal_of_active(credential, now) {
                Some(Ok(principal)) => return Ok(principal),
                Some(Err(refusal)) => Some(refusal),
                None => None,
            };
            let blocked = self.0.throttle.check(from).err();
            let read = match blocked {
                Some(wait) => match self.0.reads_of_the_blocked.try_acquire() {
                    Ok(permit) => Some(permit),
                    Err(_) => return Err(AuthError::Throttled(wait)),
                },
                None => None,
            };
            // Also where the view has refused already: an unknown credential costs the same everywhere.
            let stored = self.verify_stored(credential, now).await.map_err(AuthError::Unavailable)?;
            drop(read);
            if let Some(refusal) = refused_by_view.or(stored.err()) {
                self.0.throttle.note_failure(from);
                return Err(blocked.map_or(AuthError::Invalid(refusal), AuthError::Throttled));
            }
            match self.activate(credential.org).await {
                Ok(_) => {}
                Err(ResolveError::NotFound) => return Err(AuthError::Invalid(Refusal::Unknown)),
                Err(error) => return Err(AuthError::Unavailable(error)),
            }
        }
        match self.principal_of_active(credential, self.0.parts.context.clock.now()) {
            Some(Ok(principal)) => Ok(principal),
            Some(Err(refusal)) => Err(AuthError::Invalid(refusal)),
            None => Err(AuthError::Unavailable(ResolveError::Actor)),
        }
    }

    fn principal_of_active(
        &self,
        credential: &Credential,
        now: Timestamp,
    ) -> Option<Result<Principal, Refusal>> {
        self.verify_active(credential, now, |active, _| {
            Principal::new(Arc::clone(&active.entry), *credential)
        })
    }

    /// The verdict of the published view, and what the caller wants of the organization where it holds;
    /// `None` where the organization is not active.
    fn verify_active<P>(
        &self,
        credential: &Credential,
        now: Timestamp,
        principal: impl FnOnce(&Active, &KeyView) -> P,
    ) -> Option<Result<P, Refusal>> {
        let entries = self.0.entries.pin();
        let active = entries.get(&credential.org)?;
        let Active { cell, entry } = active;
        let view = cell.load();
        let view = view.as_ref().filter(|_| self.0.fence.holds())?;
        let key = match view.verify(credential, now) {
            Ok(key) => key,
            Err(refusal) => return Some(Err(refusal)),
        };
        if key.uses.note(now) {
            self.list_for_collection(entry, credential.id);
        }
        cell.touch(now);
        Some(Ok(principal(active, key)))
    }

    fn list_for_collection(&self, entry: &Arc<Entry>, key: KeyId) {
        let mut keys = entry.used_keys.lock();
        keys.push(key);
        if keys.len() == 1 {
            drop(keys);
            entry.list_for_collection();
        }
    }

    /// The verdict of the credential's stored record.
    async fn verify_stored(
        &self,
        credential: &Credential,
        now: Timestamp,
    ) -> Result<Result<(), Refusal>, ResolveError> {
        let store = self.store_of(credential.org);
        let stored = store.get::<KeyRecord>(&record::key_at(credential.id)).await?;
        let Some((key, _)) = stored else { return Ok(Err(Refusal::Unknown)) };
        let verdict = KeyView::new(&key, None).accepts(&credential.digest, now);
        // A deleted organization's keys are still stored for a while. They must not get as far as loading it,
        // which could push a living one out.
        if verdict.is_ok() && store.get::<OrgRecord>(&record::org_at()).await?.is_none() {
            return Ok(Err(Refusal::Unknown));
        }
        Ok(verdict)
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
    /// nothing that an actor could own. `Conflict` where one with this id exists.
    pub async fn create(&self, id: OrgId, record: &OrgRecord, author: &Author) -> Result<(), ChangeError> {
        let store = self.store_of(id);
        let event = Event::new("org.create", "org", id, &record.name);
        let commit = sequel_store::CommitId(self.0.parts.context.rng.bytes()?);
        let expects = vec![Expect::Absent(record::org_at())];
        let entry = event.entry(Revision(1), record.created_at, author);
        let writes = vec![Write::Put(record::org_at(), encode(record)), entry];
        store.commit(store.batch(commit, Revision(0), false, expects, writes)).await?;
        Ok(())
    }

    /// The record of an organization that need not be active.
    pub async fn record(&self, id: OrgId) -> Result<Option<OrgRecord>, ChangeError> {
        Ok(self.store_of(id).get::<OrgRecord>(&record::org_at()).await?.map(|(record, _)| record))
    }

    /// Whether the store answers a read.
    pub async fn store_answers(&self) -> bool {
        let nobody = sequel_store::Scope::system("orgs").expect("a constant that is a legal scope name");
        let key = sequel_store::Key::new("readiness").expect("a constant that is a legal key");
        self.0.parts.store.get(&nobody, &key).await.is_ok()
    }

    pub(super) fn active_entry(&self, id: &OrgId) -> Option<Arc<Entry>> {
        self.0.entries.pin().get(id).map(|active| Arc::clone(&active.entry))
    }

    pub(super) fn active_entries(&self) -> Vec<Arc<Entry>> {
        self.0.entries.pin().values().map(|active| Arc::clone(&active.entry)).collect()
    }

    /// How many organizations are active.
    pub fn active(&self) -> usize {
        self.0.entries.len()
    }

    pub(super) fn store_of(&self, id: OrgId) -> OrgStore {
        OrgStore::new(Arc::clone(&self.0.parts.store), id)
    }

    /// Loads an organization and starts its actor, or waits for the one who does.
    pub(super) async fn activate(&self, id: OrgId) -> Result<Org, ResolveError> {
        loop {
            if self.0.stopping.load(Ordering::SeqCst) {
                return Err(ResolveError::ShuttingDown);
            }
            let entry = self.entry(id)?;
            let loading = entry.loading.lock().await;
            if entry.evicted.load(Ordering::SeqCst) {
                // Evicted while this waited: the map has, or gets, another entry.
                continue;
            }
            if entry.alive().is_none()
                && let Err(error) = self.load(&entry).await
            {
                self.forget(&entry);
                return Err(error);
            }
            if !entry.listed.swap(true, Ordering::Relaxed) {
                self.0.hand.lock().push_back(id);
            }
            drop(loading);
            entry.cell.touch(entry.now());
            return Ok(Org::new(entry, self.clone()));
        }
    }

    /// The organization's entry, made and bounded where there is none.
    fn entry(&self, id: OrgId) -> Result<Arc<Entry>, ResolveError> {
        if let Some(entry) = self.active_entry(&id) {
            return Ok(entry);
        }
        let limits = &self.0.parts.limits;
        // Loads that race may pass the bound by their number at most; the next one evicts for them.
        while self.0.entries.len() >= limits.active_max {
            if !self.evict_one() {
                return Err(ResolveError::Full);
            }
        }
        let make = || {
            let cell = Arc::new(ViewCell::closed(self.0.parts.context.clock.now()));
            let entry = Arc::new(Entry {
                id,
                cell: Arc::clone(&cell),
                inflight: Arc::default(),
                concurrency: Concurrency { per_org: limits.calls_per_org, per_key: limits.calls_per_key },
                streams: Arc::default(),
                streams_most: Concurrency {
                    per_org: limits.streams_per_org,
                    per_key: limits.streams_per_key,
                },
                fence: self.0.parts.store.fence(),
                asks_max: limits.asks_max,
                context: self.0.parts.context.clone(),
                permits: Arc::new(Semaphore::new(limits.asks_max)),
                actor: Mutex::default(),
                loading: AsyncMutex::default(),
                evicted: AtomicBool::new(false),
                used_keys: Mutex::default(),
                ledger: Ledger::default(),
                to_collect: Arc::clone(&self.0.used),
                sources: Mutex::new(Arc::new([])),
                listed: AtomicBool::new(false),
                draining: Arc::clone(&self.0.draining),
                creations: RateCell::default(),
                rates: self.0.rates,
            });
            Active { cell, entry }
        };
        Ok(Arc::clone(&self.0.entries.pin().get_or_insert_with(id, make).entry))
    }

    /// Reads the organization, publishes its view and starts its actor. Under the loading lock.
    async fn load(&self, entry: &Arc<Entry>) -> Result<(), ResolveError> {
        let parts = &self.0.parts;
        let store = self.store_of(entry.id);
        self.0.orphans.return_to(entry).await;
        let publisher = entry.cell.publisher();
        let view = Arc::new(self.read_view(&store, entry).await?);
        let desk = Desk {
            org: entry.id,
            store: store.clone(),
            context: parts.context.clone(),
            open: Arc::clone(&parts.open),
            limits: ChangeLimits { keys_max: parts.limits.keys_max, sources_max: parts.limits.sources_max },
        };
        if !publisher.publish(Arc::clone(&view)) {
            return Err(ResolveError::Actor);
        }
        store.announce(view.revision, false).await?;
        let turn = self.0.next_arbiter.fetch_add(1, Ordering::Relaxed);
        let arbiter = &parts.arbiters[turn % parts.arbiters.len()];
        let actor = OrgActor::new(desk, view, publisher, Arc::clone(entry));
        let actor = OrgActor::start_in_arbiter(arbiter, move |_: &mut ActorCtx<OrgActor>| actor);
        *entry.actor.lock() = Some(actor);
        parts.metrics.org_loaded();
        Ok(())
    }

    async fn read_view(&self, store: &OrgStore, entry: &Entry) -> Result<View, ResolveError> {
        store.get::<OrgRecord>(&record::org_at()).await?.ok_or(ResolveError::NotFound)?;
        // The former actor is gone and this node is the only writer, so this settles at once; the
        // bound is for a store that others write too.
        for _ in 0..8 {
            let (keys, at_keys) = store.all(record::KEYS).await?;
            let (sources, at_sources) = store.all(record::SOURCES).await?;
            if at_keys != at_sources {
                continue;
            }
            let mut views = Vec::with_capacity(keys.len());
            for stored in &keys {
                let Some(id) = id_after(record::KEYS, &stored.key) else { continue };
                let key = decode::<KeyRecord>(&stored.value)?;
                views.push((id, KeyView::new(&key, None)));
            }
            let mut list = Vec::with_capacity(sources.len());
            for stored in &sources {
                let Some(id) = id_after(record::SOURCES, &stored.key) else { continue };
                list.push((id, decode::<SourceRecord>(&stored.value)?));
            }
            let sources = self.go_on_with(entry, list);
            return Ok(View { revision: at_keys, keys: views.into_iter().collect(), sources });
        }
        Err(ResolveError::Store(sequel_store::ReadError::Unavailable("the organization keeps moving".into())))
    }

    /// The sources of a freshly read organization: those that the last view had and that are unchanged stay
    /// the same, those that are gone are retired.
    fn go_on_with(&self, entry: &Entry, read: Vec<(SourceId, SourceRecord)>) -> Arc<[Arc<Source>]> {
        let mut last = entry.sources.lock();
        let list = read.into_iter().map(|(id, record)| {
            let kept = last.iter().find(|source| source.id() == id && *source.record() == record);
            kept.cloned().unwrap_or_else(|| Source::new(id, record, Arc::clone(&self.0.parts.open)))
        });
        let list = by_name(list.collect());
        for source in last.iter().filter(|source| !list.iter().any(|kept| Arc::ptr_eq(kept, source))) {
            source.retire();
        }
        *last = Arc::clone(&list);
        list
    }

    /// Writes down what organizations counted that have left memory.
    async fn collect_orphans(&self) {
        for id in self.0.orphans.orgs() {
            if let Err(error) = self.0.orphans.settle(id, &self.store_of(id), &self.0.parts.context.rng).await
            {
                tracing::warn!(error = &error as &dyn std::error::Error, "usage was not written down");
                break;
            }
        }
    }

    /// Writes down what calls came to and when keys were used last. A crash may lose what was counted since
    /// the last time, and of keys that call no tool the last minute of when they were used.
    pub async fn collect_uses(&self) {
        self.collect_orphans().await;
        let used = std::mem::take(&mut *self.0.used.lock());
        // Together, so that the store commits them together.
        let told = used.into_iter().map(|entry| async move {
            let keys = std::mem::take(&mut *entry.used_keys.lock());
            if keys.is_empty() && entry.ledger.is_empty() {
                return Ok(());
            }
            let org = Org::new(entry, self.clone());
            let told = org.tell(CollectUses(keys.clone())).await;
            if told.is_err() {
                // They still wait: for the next round.
                org.entry.used_keys.lock().extend(keys);
                self.0.used.lock().push(org.entry);
            }
            told
        });
        let mut told = futures_util::stream::iter(told).buffer_unordered(COLLECTED_AT_ONCE);
        while let Some(outcome) = told.next().await {
            if let Err(error) = outcome {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "usage was not written down");
            }
        }
    }

    /// Removes what an organization need not keep any more. Loads it only where there is something to remove.
    pub async fn prune_org(&self, id: OrgId, retention: Retention) -> Result<usize, ChangeError> {
        let store = self.store_of(id);
        let today = day_of(self.0.parts.context.clock.now());
        let keep_from = today.saturating_sub(jiff::Span::new().days(i64::from(retention.usage_days)));
        let audit = retention.audit(self.0.parts.context.clock.now());
        let has_usage = !usage_before(&store, keep_from, 1).await?.is_empty();
        let has_entries = audit.is_due(&store).await?;
        if !has_usage && !has_entries {
            return Ok(0);
        }
        let org = match self.resolve(id).await {
            // Deleted: what is left of it goes with the rest.
            Err(ResolveError::NotFound) => return Ok(0),
            found => found?,
        };
        let usage = if has_usage { org.prune_usage(keep_from).await? } else { 0 };
        let entries = if has_entries { org.prune_audit(audit).await? } else { 0 };
        Ok(usage + entries)
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
        for entry in self.0.entries.pin().values() {
            let entry = &entry.entry;
            let waiting = limits.asks_max.saturating_sub(entry.permits.available_permits());
            readings.changes_waiting += waiting;
            readings.changes_waiting_most = readings.changes_waiting_most.max(waiting);
            readings.calls_running += entry.inflight.count();
        }
        readings
    }

    /// Forgets what the throttle need not remember any more.
    pub fn prune(&self) {
        self.0.throttle.prune();
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
        self.0.entries.pin().values().map(|active| active.entry.inflight.count()).sum()
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
