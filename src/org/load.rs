//! How an organization comes into memory: read from the store, published, and given its actor.
//!
//! **Invariant:** at most `active_max` organizations are active
//! (`tests::active_orgs_are_bounded_and_the_unused_make_room`).
//! **Invariant:** an organization has one entry for as long as a change or a call of it is under way
//! (`tests::revocation::a_revoke_that_was_found_out_late_holds_although_a_load_failed_meanwhile`,
//! `tests::revocation::a_revoke_ends_a_call_that_runs_since_before_a_load_that_failed`).

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix::{Actor, Context as ActorCtx};
use parking_lot::Mutex;
use tokio::sync::{Mutex as AsyncMutex, Semaphore};

use super::actor::{ChangeLimits, Desk, OrgActor, by_name};
use super::entry::Entry;
use super::error::ResolveError;
use super::handle::Org;
use super::inflight::Concurrency;
use super::members::Members;
use super::open::Source;
use super::org_store::OrgStore;
use super::queries::QueryLog;
use super::rate::RateCell;
use super::record::{
    self, AppPolicyRecord, GrantRecord, KeyRecord, MemberRecord, OrgRecord, Owner, SourceRecord, decode,
    id_after,
};
use super::registry::Registry;
use super::secrets::Belonging;
use super::usage::Ledger;
use super::view::{Apart, KeyView, View, ViewCell};
use crate::credential::{GrantId, OrgId, SourceId, UserId};

impl Registry {
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
                self.forget_unused(&entry);
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

    /// Takes an entry without an actor out of the map, unless something of it is still under way: a change that
    /// finds out late that it was made closes the view of its own entry, and a revoke ends the calls of its own.
    /// With another entry in the map, neither would reach what that one serves. An entry that stays is loaded by
    /// the next request, or evicted like any other. Under the loading lock.
    fn forget_unused(&self, entry: &Arc<Entry>) {
        let changes_wait = entry.permits.available_permits() < entry.asks_max;
        if !changes_wait && entry.inflight.count() + entry.streams.count() == 0 {
            self.forget(entry);
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
        Ok(self.0.entries.get_or_insert_with(id, || self.new_entry(id)))
    }

    /// An entry with a closed view and no actor.
    pub(super) fn new_entry(&self, id: OrgId) -> Arc<Entry> {
        let limits = &self.0.parts.limits;
        Arc::new(Entry {
            id,
            cell: Arc::new(ViewCell::closed(self.0.parts.context.clock.now())),
            inflight: Arc::default(),
            concurrency: Concurrency { per_org: limits.calls_per_org, per_key: limits.calls_per_key },
            streams: Arc::default(),
            streams_most: Concurrency { per_org: limits.streams_per_org, per_key: limits.streams_per_key },
            fence: self.0.parts.store.fence(),
            asks_max: limits.asks_max,
            context: self.0.parts.context.clone(),
            permits: Arc::new(Semaphore::new(limits.asks_max)),
            actor: Mutex::default(),
            loading: AsyncMutex::default(),
            evicted: AtomicBool::new(false),
            used_keys: Mutex::default(),
            ledger: Ledger::default(),
            queries: QueryLog::new(Arc::clone(&self.0.query_room)),
            to_collect: Arc::clone(&self.0.used),
            sources: Mutex::new(Arc::new([])),
            listed: AtomicBool::new(false),
            draining: Arc::clone(&self.0.draining),
            creations: RateCell::default(),
            rates: self.0.rates,
        })
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
            let (members, at_members) = store.all(record::MEMBERS).await?;
            let (grants, at_grants) = store.all(record::GRANTS).await?;
            if at_keys != at_sources || at_keys != at_members || at_keys != at_grants {
                continue;
            }
            let mut roles = Vec::with_capacity(members.len());
            let mut authorized: HashMap<GrantId, UserId> = HashMap::new();
            for stored in &members {
                let Some(user) = id_after(record::MEMBERS, &stored.key) else { continue };
                let member = decode::<MemberRecord>(&stored.value)?;
                roles.push((user, member.role));
                authorized.extend(member.grants.into_iter().map(|grant| (grant, user)));
            }
            let members = Members::from_iter(roles);
            let policy = store.get::<AppPolicyRecord>(&record::app_policy_at()).await?;
            let policy = policy.map(|(policy, _)| policy).unwrap_or_default();
            let mut apps = Vec::new();
            for stored in &grants {
                let Some(id) = id_after(record::GRANTS, &stored.key) else { continue };
                let grant = decode::<GrantRecord>(&stored.value)?;
                // One that its member does not list, or that may not be, opens nothing until the sweep takes it.
                if authorized.get(&id) == Some(&grant.user)
                    && policy.allows(grant.client.kind, &grant.client.host)
                {
                    apps.extend(KeyView::of_grant(&grant, stored.revision, None).map(|view| (id, view)));
                }
            }
            let mut views = Vec::with_capacity(keys.len());
            for stored in &keys {
                let Some(id) = id_after(record::KEYS, &stored.key) else { continue };
                let key = decode::<KeyRecord>(&stored.value)?;
                // One whose owner is gone, whatever brought it here, opens nothing.
                if matches!(&key.owner, Owner::User { id } if !members.has(id)) {
                    continue;
                }
                views.push((id, KeyView::new(&key, None)));
            }
            let mut list = Vec::with_capacity(sources.len());
            for stored in &sources {
                let Some(id) = id_after(record::SOURCES, &stored.key) else { continue };
                list.push((id, decode::<SourceRecord>(&stored.value)?));
            }
            let sources = self.go_on_with(entry, list);
            let apart = Arc::new(Apart { members, grants: apps.into_iter().collect(), policy });
            return Ok(View { revision: at_keys, keys: views.into_iter().collect(), sources, apart });
        }
        Err(ResolveError::Store(sequel_store::ReadError::Unavailable("the organization keeps moving".into())))
    }

    /// The sources of a freshly read organization: those that the last view had and that are unchanged stay
    /// the same, those that are gone are retired.
    fn go_on_with(&self, entry: &Entry, read: Vec<(SourceId, SourceRecord)>) -> Arc<[Arc<Source>]> {
        let belonging = Belonging::new(entry.id);
        let mut last = entry.sources.lock();
        let list = read.into_iter().map(|(id, record)| {
            let kept = last.iter().find(|source| source.id() == id && *source.record() == record);
            kept.cloned()
                .unwrap_or_else(|| Source::new(id, record, belonging.clone(), Arc::clone(&self.0.parts.open)))
        });
        let list = by_name(list.collect());
        for source in last.iter().filter(|source| !list.iter().any(|kept| Arc::ptr_eq(kept, source))) {
            source.retire();
        }
        *last = Arc::clone(&list);
        list
    }
}
