//! A credential's way into its organization: verified from the published view where the organization is
//! active, from its stored record where it is not, and held against its rate.
//!
//! **Invariant:** a forged credential neither loads nor evicts an organization
//! (`tests::a_forged_credential_neither_loads_nor_evicts_an_org`).

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::SemaphorePermit;

use super::active_orgs::Active;
use super::call::Principal;
use super::entry::Entry;
use super::error::{AuthError, Limited, RateOf, ResolveError};
use super::org_store::{GetError, OrgStore};
use super::rate::Rate;
use super::record::{self, GrantRecord, KeyRecord, MemberRecord, OrgRecord};
use super::registry::{Registry, RegistryLimits};
use super::throttle::Throttle;
use super::view::{KeyView, Refusal, ViewCell};
use crate::context::Timestamp;
use crate::credential::{Credential, CredentialKind, GrantId, KeyId};

/// The limits of how often, ready to be held against.
#[derive(Clone, Copy)]
pub(super) struct Rates {
    per_key: Rate,
    per_org: Rate,
    pub(super) key_creations: Rate,
}

impl Rates {
    pub(super) fn of(limits: &RegistryLimits) -> Self {
        Self {
            per_key: Rate::per_minute(limits.requests_per_minute_per_key),
            per_org: Rate::per_minute(limits.requests_per_minute_per_org),
            key_creations: Rate::per_minute(limits.key_creations_per_minute),
        }
    }

    /// Takes one request of a key's or an app's rate.
    pub(super) fn take_of(&self, key: &KeyView, now: Timestamp) -> Result<(), Duration> {
        key.uses.requests.take(self.per_key, now)
    }

    /// Takes one request of the key's rate and the organization's. A key that has used up its own takes
    /// nothing of the organization's.
    fn take(&self, cell: &ViewCell, key: &KeyView, now: Timestamp) -> Result<(), Limited> {
        let limited = |of| move |wait| Limited { of, wait };
        self.take_of(key, now).map_err(limited(RateOf::Key))?;
        cell.requests().take(self.per_org, now).map_err(limited(RateOf::Org))
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

/// A place to look up what may be forged; see [`Registry::place_to_fail`].
pub struct Place<'a> {
    throttle: &'a Throttle,
    from: Option<IpAddr>,
    // How long the address has to wait.
    blocked: Option<Duration>,
    _permit: Option<SemaphorePermit<'a>>,
}

impl Place<'_> {
    /// Notes that what came was forged, or as good as. From an address that is blocked it is told no more than how long
    /// to wait.
    pub fn failed(self) -> Option<Duration> {
        self.throttle.note_failure(self.from);
        self.blocked
    }
}

impl Registry {
    /// Whether a credential of an active organization holds and its rate lets one more request go, without
    /// waiting for anything.
    ///
    /// Most requests need to know no more, and who does not get hold of the organization spares counting a
    /// reference that all workers share. `now` is the time at which the request began: reading the clock once
    /// more costs as much as looking its key up in a cache.
    pub fn admit(&self, credential: &Credential, now: Timestamp) -> Admission {
        let rates = &self.0.rates;
        match self.verify_active(credential, now, |active, key| rates.take(&active.cell, key, now)) {
            Some(Ok(Ok(()))) => Admission::Accepted,
            Some(Ok(Err(limited))) => Admission::Limited(limited),
            Some(Err(_)) | None => Admission::Undecided,
        }
    }

    /// The same for who was not settled by that and has been authenticated since.
    pub fn charge(&self, credential: &Credential) -> Result<(), Limited> {
        match self.admit(credential, self.0.parts.context.clock.now()) {
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
            let place = self.place_to_fail(from).map_err(AuthError::Throttled)?;
            // Also where the view has refused already: an unknown credential costs the same everywhere.
            let stored = self.verify_stored(credential, now).await.map_err(AuthError::Unavailable)?;
            if let Some(refusal) = refused_by_view.or(stored.err()) {
                return Err(place.failed().map_or(AuthError::Invalid(refusal), AuthError::Throttled));
            }
            drop(place);
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

    /// A place to look up what may be forged, for an address: free, unless it is blocked; then one of a few, so that what
    /// is known there still gets through. Otherwise how long to wait.
    pub fn place_to_fail(&self, from: Option<IpAddr>) -> Result<Place<'_>, Duration> {
        let (throttle, blocked) = (&self.0.throttle, self.0.throttle.check(from).err());
        let permit = match blocked {
            None => None,
            Some(wait) => Some(self.0.reads_of_the_blocked.try_acquire().map_err(|_| wait)?),
        };
        Ok(Place { throttle, from, blocked, _permit: permit })
    }

    /// Says what access tokens have to be for, now that a server listens.
    pub fn protects(&self, resource: String) {
        // A server listens once.
        let _ = self.0.audience.set(resource);
    }

    fn is_audience(&self, audience: &str) -> bool {
        self.0.audience.get().is_some_and(|own| own == audience)
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
        let verdict = self.0.entries.look(&credential.org, |active| {
            let view = active.cell.served(&self.0.fence);
            let view = view.as_ref()?;
            let key = match view.verify(credential, now) {
                Ok(key) => key,
                Err(refusal) => return Some(Err(refusal)),
            };
            // A key has none.
            if key.audience().is_some_and(|audience| !self.is_audience(audience)) {
                return Some(Err(Refusal::Audience));
            }
            if key.uses.note(now) {
                self.list_for_collection(&active.entry, credential.id);
            }
            active.cell.touch(now);
            Some(Ok(principal(active, key)))
        });
        verdict.flatten()
    }

    /// The verdict of the credential's stored record.
    async fn verify_stored(
        &self,
        credential: &Credential,
        now: Timestamp,
    ) -> Result<Result<(), Refusal>, ResolveError> {
        let store = self.store_of(credential.org);
        let stored = match credential.kind {
            CredentialKind::Key => {
                let stored = store.get::<KeyRecord>(&record::key_at(credential.id)).await?;
                stored.map(|(key, _)| KeyView::new(&key, None))
            }
            CredentialKind::Access => stored_grant(&store, credential.id).await?,
        };
        let Some(key) = stored else { return Ok(Err(Refusal::Unknown)) };
        let verdict = key.accepts(&credential.digest, now);
        // A deleted organization's keys are still stored for a while. They must not get as far as loading it,
        // which could push a living one out.
        if verdict.is_ok() && store.get::<OrgRecord>(&record::org_at()).await?.is_none() {
            return Ok(Err(Refusal::Unknown));
        }
        Ok(verdict)
    }

    fn list_for_collection(&self, entry: &Arc<Entry>, key: KeyId) {
        let mut keys = entry.used_keys.lock();
        keys.push(key);
        if keys.len() == 1 {
            drop(keys);
            entry.list_for_collection();
        }
    }
}

/// A grant as readers see it, where its member lists it.
async fn stored_grant(store: &OrgStore, id: GrantId) -> Result<Option<KeyView>, GetError> {
    let Some((grant, at)) = store.get::<GrantRecord>(&record::grant_at(id)).await? else { return Ok(None) };
    let member = store.get::<MemberRecord>(&record::member_at(grant.user)).await?;
    let is_listed = member.is_some_and(|(member, _)| member.grants.contains(&id));
    Ok(KeyView::of_grant(&grant, at, None).filter(|_| is_listed))
}
