//! The handle to one organization, and the one way to ask its actor for something.
//!
//! Knows how a message gets its place in the queue and what became of one that brought no answer; what
//! is asked for lies with `keys` and `sources`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix::Addr;
use tokio::sync::{OwnedSemaphorePermit, TryAcquireError};

use super::actor::{Asked, Change, Forget, OrgActor};
use super::audit::Author;
use super::entry::Entry;
use super::error::ChangeError;
use super::member::Demand;
use super::open::OpenSources;
use super::org_store::OrgStore;
use super::record::{self, OrgRecord};
use super::registry::Registry;
use super::view::View;
use crate::credential::{KeyId, OrgId};
use crate::metrics::Change as Counted;

/// A handle to one organization: the permission to act in it. Clones are cheap.
#[derive(Clone)]
pub struct Org {
    pub(super) entry: Arc<Entry>,
    pub(super) registry: Registry,
    author: Arc<Author>,
    // What a change must be allowed; `None` where nobody is asked, as for the operator.
    demand: Option<Demand>,
}

/// An actor and a place in its queue.
type Place = (Addr<OrgActor>, OwnedSemaphorePermit);

/// A message that brought no outcome.
enum Undelivered {
    /// The actor was gone before it: nothing has changed.
    NeverTakenUp,
    /// The actor ended while it was at it.
    BrokenOff,
    /// It may still be worked off.
    TimedOut,
}

impl Org {
    pub(super) fn new(entry: Arc<Entry>, registry: Registry) -> Self {
        Self { entry, registry, author: Arc::new(Author::sequel()), demand: None }
    }

    /// The same organization, whose changes are made in this name. Without one they are Sequel's own.
    pub fn by(mut self, author: Author) -> Self {
        self.author = Arc::new(author);
        self
    }

    /// The same organization, whose changes are made only where a member may make them.
    pub(super) fn demanding(mut self, demand: Demand) -> Self {
        self.demand = Some(demand);
        self
    }

    pub(super) fn store(&self) -> OrgStore {
        self.registry.store_of(self.entry.id)
    }

    pub(super) fn shared_sources(&self) -> std::sync::Arc<OpenSources> {
        std::sync::Arc::clone(&self.registry.0.parts.open)
    }

    pub(super) fn open_sources(&self) -> &OpenSources {
        &self.registry.0.parts.open
    }

    /// The published view, if it is open.
    pub(super) fn view(&self) -> Option<Arc<View>> {
        self.entry.cell.load().as_ref().map(Arc::clone)
    }

    /// Its id, to be shown.
    pub fn id(&self) -> OrgId {
        self.entry.id
    }

    /// Its record.
    pub async fn record(&self) -> Result<OrgRecord, ChangeError> {
        let record = self.store().get::<OrgRecord>(&record::org_at()).await?;
        record.map(|(record, _)| record).ok_or(ChangeError::NotFound("organization"))
    }

    /// Asks the actor for a change. The only way to one.
    pub(super) async fn ask<C: Change>(&self, make: impl Fn() -> C) -> Result<C::Reply, ChangeError> {
        let outcome = self.ask_uncounted(make).await;
        self.registry.0.parts.metrics.changed(match &outcome {
            Ok(_) => Counted::Made,
            Err(error) => error.counted(),
        });
        outcome
    }

    async fn ask_uncounted<C: Change>(&self, make: impl Fn() -> C) -> Result<C::Reply, ChangeError> {
        let mut org = self.clone();
        // Twice: an organization that was evicted, or whose actor died before it took the message up, is
        // loaded again, once.
        for _ in 0..2 {
            if let Some(place) = org.place().await? {
                match org.send(place, make()).await {
                    Err(Undelivered::NeverTakenUp) => {}
                    Err(Undelivered::BrokenOff) => return Err(ChangeError::Unknown),
                    Err(Undelivered::TimedOut) => return Err(ChangeError::TimedOut),
                    Ok(outcome) => return outcome,
                }
            }
            org.entry = self.registry.activate(self.entry.id).await?.entry;
        }
        Err(ChangeError::Busy)
    }

    /// A living actor and a place in its queue; `None` where the organization must be loaded again.
    async fn place(&self) -> Result<Option<Place>, ChangeError> {
        loop {
            match Arc::clone(&self.entry.permits).try_acquire_owned() {
                Ok(permit) => return Ok(self.entry.alive().map(|actor| (actor, permit))),
                Err(TryAcquireError::Closed) => return Ok(None),
                // All taken: by changes that wait, or by an attempt at eviction, which is over in a moment.
                Err(TryAcquireError::NoPermits) => match self.entry.loading.try_lock() {
                    Ok(_) if self.entry.permits.available_permits() == 0 => return Err(ChangeError::Busy),
                    Ok(_) => {}
                    Err(_) => drop(self.entry.loading.lock().await),
                },
            }
        }
    }

    async fn send<M, R>(&self, (actor, permit): Place, message: M) -> Result<R, Undelivered>
    where
        Asked<M>: actix::Message<Result = R> + Send + 'static,
        OrgActor: actix::Handler<Asked<M>>,
        M: Send + 'static,
        R: Send + 'static,
    {
        let taken_up = Arc::new(AtomicBool::new(false));
        let sent = actor.send(Asked {
            message,
            author: Arc::clone(&self.author),
            demand: self.demand,
            permit,
            taken_up: Arc::clone(&taken_up),
        });
        match tokio::time::timeout(self.registry.0.parts.limits.ask_timeout, sent).await {
            Ok(Ok(outcome)) => Ok(outcome),
            Ok(Err(_)) if taken_up.load(Ordering::SeqCst) => Err(Undelivered::BrokenOff),
            Ok(Err(_)) => Err(Undelivered::NeverTakenUp),
            Err(_) => Err(Undelivered::TimedOut),
        }
    }

    /// Sends the actor something that is no change. Where the organization is not active, nothing is sent.
    pub(super) async fn tell<M>(&self, message: M) -> Result<(), ChangeError>
    where
        Asked<M>: actix::Message<Result = Result<(), ChangeError>> + Send + 'static,
        OrgActor: actix::Handler<Asked<M>>,
        M: Send + 'static,
    {
        let Some(place) = self.place().await? else { return Ok(()) };
        match self.send(place, message).await {
            Ok(outcome) => outcome,
            Err(Undelivered::NeverTakenUp | Undelivered::BrokenOff) => Ok(()),
            Err(Undelivered::TimedOut) => Err(ChangeError::TimedOut),
        }
    }

    /// Forgets when a deleted key was used last. A failure leaves a small orphan, nothing worse.
    pub(super) async fn forget_use(&self, key: KeyId) {
        if let Err(error) = self.tell(Forget(vec![record::used_at(key)])).await {
            tracing::debug!(error = &error as &dyn std::error::Error, "the last use of a deleted key stays");
        }
    }
}
