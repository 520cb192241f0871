//! The actor that owns one organization: the only writer of its records.
//!
//! A change reads and decides, commits, publishes, ends the calls that it forbids, and is then
//! answered, in this order and with no other change in between. The actor never waits for a query.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix::{
    Actor, ActorContext, ActorFutureExt, AtomicResponse, Context as ActorCtx, Handler, Message, WrapFuture,
};
use sequel_store::{Batch, CommitError, CommitId, Expect, Key, Revision, Write};
use tokio::sync::OwnedSemaphorePermit;

use super::audit::{Author, Event};
use super::entry::Entry;
use super::error::ChangeError;
use super::inflight::Stopped;
use super::member::Demand;
use super::open::{OpenSources, Source};
use super::org_store::OrgStore;
use super::permission::Role;
use super::record::{self, AppPolicyRecord, GrantRecord, KeyRecord, SourceRecord, UsedRecord};
use super::secrets::Belonging;
use super::unwritten::Known;
use super::view::{KeyView, Publisher, View};
use crate::context::Context;
use crate::credential::{GrantId, KeyId, OrgId, SourceId, UserId};

/// What a change may look at and draw from while it decides.
#[derive(Clone)]
pub(super) struct Desk {
    /// The organization itself, for what is minted in its name.
    pub(super) org: OrgId,
    pub(super) store: OrgStore,
    pub(super) context: Context,
    pub(super) open: Arc<OpenSources>,
    pub(super) limits: ChangeLimits,
}

/// How much one organization may hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct ChangeLimits {
    pub(super) keys_max: usize,
    pub(super) sources_max: usize,
}

/// A change of one organization.
pub(super) trait Change: Send + 'static {
    /// What the caller gets once the change is durable and published.
    type Reply: Send + 'static;

    /// Reads what it needs and decides. Nothing is written yet. The view is the one that this actor
    /// published last, and stays the newest until the change ends.
    fn decide(
        self,
        desk: Desk,
        view: Arc<View>,
    ) -> impl Future<Output = Result<Decided<Self::Reply>, ChangeError>> + 'static;
}

/// A decided change: what to write, under which preconditions, and how the view follows.
pub(super) struct Decided<R> {
    pub(super) reply: R,
    pub(super) expects: Vec<Expect>,
    pub(super) writes: Vec<Write>,
    /// Whether it takes a permission away.
    pub(super) narrows: bool,
    pub(super) edit: Edit,
    /// What the audit trail says of it. `None` only for what the trail should not keep.
    pub(super) event: Option<Event>,
}

impl<R> Decided<R> {
    /// Nothing is to be changed.
    pub(super) fn nothing(reply: R) -> Self {
        let (expects, writes) = (Vec::new(), Vec::new());
        Self { reply, expects, writes, narrows: false, edit: Edit::Nothing, event: None }
    }

    fn is_nothing(&self) -> bool {
        self.writes.is_empty() && self.event.is_none()
    }
}

/// How the view follows a change.
pub(super) enum Edit {
    PutKey(KeyId, KeyRecord),
    RemoveKey(KeyId),
    PutSource(SourceId, SourceRecord),
    RemoveSource(SourceId),
    /// A member came or has another role; `gone` are the keys and grants that ended with the former one.
    PutMember {
        user: UserId,
        role: Role,
        gone: Vec<KeyId>,
    },
    /// A membership ended, and these keys and grants with it.
    RemoveMember {
        user: UserId,
        gone: Vec<KeyId>,
    },
    /// A grant has other tokens or other limits.
    PutGrant(GrantId, Arc<GrantRecord>),
    /// These grants ended.
    RemoveGrants(Vec<GrantId>),
    /// Other apps may be authorized than before, and these grants ended with that.
    PutPolicy(AppPolicyRecord, Vec<GrantId>),
    /// Readers see no difference but the revision.
    Nothing,
    /// The organization is gone: its view closes, what runs ends, and so does the actor.
    End,
}

/// A message with its place in the organization's queue. The place is given back when the message
/// was worked off or dropped, wherever that happens.
pub(super) struct Asked<M> {
    pub(super) message: M,
    pub(super) author: Arc<Author>,
    /// What its author must be allowed, at the moment when it is decided.
    pub(super) demand: Option<Demand>,
    pub(super) permit: OwnedSemaphorePermit,
    /// Set when the actor takes the message up: a message that never was has changed nothing.
    pub(super) taken_up: Arc<AtomicBool>,
}

impl<C: Change> Message for Asked<C> {
    type Result = Result<C::Reply, ChangeError>;
}

/// The actor.
pub(super) struct OrgActor {
    desk: Desk,
    view: Arc<View>,
    publisher: Arc<Publisher>,
    entry: Arc<Entry>,
    // What was written last of usage and queries.
    known: Known,
}

impl OrgActor {
    /// With the view that `publisher` has just published.
    pub(super) fn new(desk: Desk, view: Arc<View>, publisher: Publisher, entry: Arc<Entry>) -> Self {
        Self { desk, view, publisher: Arc::new(publisher), entry, known: Known::default() }
    }

    /// Publishes the view that follows from an edit and ends the calls that the edit forbids. False where
    /// this actor was superseded while it found out about a commit: then nothing may be served from what
    /// was loaded meanwhile, which may be older than this change.
    fn publish(&mut self, revision: Revision, edit: Edit) -> bool {
        let mut view = View::clone(&self.view);
        view.revision = revision;
        let mut touched = Vec::new();
        // Whether a key reaches less than it did, for which nobody can tell what of it runs just now.
        let mut is_narrower = false;
        match edit {
            Edit::End => {
                self.end();
                return false;
            }
            Edit::PutKey(id, record) => {
                let former = view.keys.get(&id);
                let key = KeyView::new(&record, former);
                is_narrower = former.is_some_and(|former| !key.limits().cover(former.limits()));
                view.keys.insert(id, key);
                touched.push(id);
            }
            Edit::RemoveKey(id) => {
                view.keys.remove(&id);
                touched.push(id);
            }
            Edit::PutMember { user, role, gone } => {
                view.apart_mut().members.put(user, role);
                view.remove(&gone);
                touched = gone;
            }
            Edit::RemoveMember { user, gone } => {
                view.apart_mut().members.remove(user);
                view.remove(&gone);
                touched = gone;
            }
            Edit::PutGrant(id, record) => {
                is_narrower = view.put_grant(id, &record, revision);
                touched.push(id);
            }
            Edit::RemoveGrants(gone) => {
                view.remove(&gone);
                touched = gone;
            }
            Edit::PutPolicy(policy, gone) => {
                view.apart_mut().policy = policy;
                view.remove(&gone);
                touched = gone;
            }
            Edit::PutSource(id, record) => {
                let others = view.sources.iter().filter(|source| source.id() != id).cloned();
                let former = view.sources.iter().find(|source| source.id() == id);
                let added =
                    Source::following(former, id, record, Belonging::new(self.desk.org), &self.desk.open);
                view.sources = by_name(others.chain([added]).collect());
            }
            Edit::RemoveSource(id) => {
                view.sources.iter().filter(|source| source.id() == id).for_each(|source| source.retire());
                view.sources = view.sources.iter().filter(|source| source.id() != id).cloned().collect();
            }
            Edit::Nothing => {}
        }
        if !Arc::ptr_eq(&self.view.sources, &view.sources) {
            *self.entry.sources.lock() = Arc::clone(&view.sources);
        }
        self.view = Arc::new(view);
        let published = self.publisher.publish(Arc::clone(&self.view));
        if !published {
            self.entry.cell.close();
        }
        for id in touched {
            let now = self.desk.context.clock.now();
            let key = self.view.find(&id);
            let holds = |d: &_| !is_narrower && key.is_some_and(|key| key.accepts(d, now).is_ok());
            let ended = self.entry.inflight.sweep(id, holds) + self.entry.streams.sweep(id, holds);
            if ended > 0 {
                tracing::info!(%id, ended, "running calls of a credential were ended");
            }
        }
        published
    }

    /// Takes over what a change came to, and says whether this actor may go on from what it knows.
    fn conclude<R>(
        &mut self,
        outcome: Result<Made<R>, Failed>,
    ) -> (Result<(R, Revision, bool), ChangeError>, bool) {
        match outcome {
            Ok(Made { reply, revision, narrows, edit }) => {
                let goes_on = self.publish(revision, edit);
                (Ok((reply, revision, narrows)), goes_on)
            }
            Err(Failed { error, actor_is_stale }) => {
                if actor_is_stale {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "an organization is loaded again"
                    );
                    self.publisher.close();
                }
                (Err(error), !actor_is_stale)
            }
        }
    }

    /// Closes the view for good and ends everything that runs. A call that entered before is found by the sweep,
    /// one that enters later finds the view closed.
    fn end(&mut self) {
        // The cell, not the publisher: also what somebody loaded while a commit was found out about.
        self.entry.cell.close();
        let ended =
            self.entry.inflight.stop_all(Stopped::Revoked) + self.entry.streams.stop_all(Stopped::Revoked);
        for source in std::mem::replace(&mut *self.entry.sources.lock(), Arc::new([])).iter() {
            source.retire();
        }
        if ended > 0 {
            tracing::info!(org = %self.desk.org, ended, "calls and streams of a deleted organization were ended");
        }
    }
}

/// Sources in the order that lists show.
pub(super) fn by_name(mut sources: Vec<Arc<Source>>) -> Arc<[Arc<Source>]> {
    sources.sort_by(|a, b| a.record().name.cmp(&b.record().name).then(a.id().cmp(&b.id())));
    sources.into()
}

impl Actor for OrgActor {
    type Context = ActorCtx<Self>;

    fn started(&mut self, ctx: &mut ActorCtx<Self>) {
        // The semaphore of `ask` is the bound; the mailbox has to hold as much, so that it is never the
        // mailbox that makes a permit's holder wait.
        ctx.set_mailbox_capacity(self.entry.asks_max + 1);
    }
}

/// A change that is durable.
struct Made<R> {
    reply: R,
    revision: Revision,
    narrows: bool,
    edit: Edit,
}

/// A commit that failed, and whether the actor may go on from what it knows.
struct Failed {
    error: ChangeError,
    actor_is_stale: bool,
}

/// How often a commit whose outcome is unknown is sent again to find out.
const UNKNOWN_TRIES: usize = 3;

/// Commits; where the outcome is unknown, closes the view first and then finds out.
async fn commit(store: OrgStore, batch: Batch, publisher: Arc<Publisher>) -> Result<Revision, Failed> {
    let failed = |error: CommitError| {
        // After a conflict somebody else has written: what this actor knows is old.
        let actor_is_stale = matches!(error, CommitError::Conflict { .. } | CommitError::Unknown(_));
        Failed { error: error.into(), actor_is_stale }
    };
    let mut error = match store.commit(batch.clone()).await {
        Ok(revision) => return Ok(revision),
        Err(error @ CommitError::Unknown(_)) => error,
        Err(error) => return Err(failed(error)),
    };
    publisher.close();
    for _ in 0..UNKNOWN_TRIES {
        // Commits are idempotent by their id: asking again is how one finds out.
        match store.commit(batch.clone()).await {
            Ok(revision) => return Ok(revision),
            Err(again @ (CommitError::Unknown(_) | CommitError::Unavailable(_))) => error = again,
            Err(decided) => return Err(Failed { error: decided.into(), actor_is_stale: true }),
        }
    }
    tracing::error!(error = &error as &dyn std::error::Error, "the outcome of a commit stays unknown");
    Err(Failed { error: ChangeError::Unknown, actor_is_stale: true })
}

/// Announces a change that was concluded, and gives its place in the queue back.
async fn announced<R>(
    store: &OrgStore,
    concluded: Result<(R, Revision, bool), ChangeError>,
    permit: OwnedSemaphorePermit,
) -> Result<R, ChangeError> {
    let (reply, revision, narrows) = concluded?;
    let announced = store.announce(revision, narrows).await;
    drop(permit);
    // The change is made; what is not known is whether every node has seen it.
    announced.map_err(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "a change could not be announced");
        ChangeError::Unknown
    })?;
    Ok(reply)
}

impl<C: Change> Handler<Asked<C>> for OrgActor {
    type Result = AtomicResponse<Self, Result<C::Reply, ChangeError>>;

    fn handle(&mut self, asked: Asked<C>, _: &mut ActorCtx<Self>) -> Self::Result {
        let Asked { message, author, demand, permit, taken_up } = asked;
        taken_up.store(true, Ordering::SeqCst);
        let desk = self.desk.clone();
        let view = Arc::clone(&self.view);
        let publisher = Arc::clone(&self.publisher);
        let work = async move {
            // No other change comes between: the role that is asked here is the one that counts.
            let decided = match demand.map_or(Ok(()), |demand| demand.check(&view)) {
                Ok(()) => message.decide(desk.clone(), Arc::clone(&view)).await,
                Err(refused) => Err(refused),
            };
            let decided = decided.map_err(|error| Failed { error, actor_is_stale: false })?;
            if decided.is_nothing() {
                let (reply, edit) = (decided.reply, decided.edit);
                return Ok(Made { reply, revision: view.revision, narrows: false, edit });
            }
            let Decided { reply, expects, mut writes, narrows, edit, event } = decided;
            // In the same batch, under the revision that this batch makes.
            let makes = Revision(view.revision.0 + 1);
            writes.extend(event.map(|event| event.entry(makes, desk.context.clock.now(), &author)));
            let id =
                desk.context.rng.bytes().map_err(|e| Failed { error: e.into(), actor_is_stale: false })?;
            let batch = desk.store.batch(CommitId(id), view.revision, narrows, expects, writes);
            let revision = commit(desk.store, batch, publisher).await?;
            Ok(Made { reply, revision, narrows, edit })
        };
        let answered = work.into_actor(self).then(|outcome, actor, _| {
            let (concluded, goes_on) = actor.conclude(outcome);
            let store = actor.desk.store.clone();
            async move { (announced(&store, concluded, permit).await, goes_on) }.into_actor(actor)
        });
        // Last of all: an actor that was told to stop polls nothing that it waits for, and the answer would be lost.
        let answered = answered.map(|(answer, goes_on), _, ctx| {
            if !goes_on {
                ctx.stop();
            }
            answer
        });
        AtomicResponse::new(Box::pin(answered))
    }
}

/// Asks the actor to write down usage, queries, and the last uses of these keys. Not a change: it bumps no revision.
pub(super) struct CollectUses(pub(super) Vec<KeyId>);

impl Message for Asked<CollectUses> {
    type Result = Result<(), ChangeError>;
}

impl Handler<Asked<CollectUses>> for OrgActor {
    type Result = AtomicResponse<Self, Result<(), ChangeError>>;

    fn handle(&mut self, asked: Asked<CollectUses>, _: &mut ActorCtx<Self>) -> Self::Result {
        let Asked { message: CollectUses(mut ids), permit, .. } = asked;
        let unwritten = self.entry.take_unwritten();
        // Where a sum is written anyway, the last use costs nothing more.
        ids.extend(unwritten.counted.keys().map(|line| line.key));
        ids.sort_unstable();
        ids.dedup();
        let used = ids.into_iter().filter_map(|id| Some((id, self.view.find(&id)?.uses.collect()?)));
        let writes: Vec<Write> = used
            .map(|(id, last_used_at)| {
                Write::Put(record::used_at(id), record::encode(&UsedRecord { last_used_at }))
            })
            .collect();
        let mut known = std::mem::take(&mut self.known);
        let (Desk { store, context, .. }, entry) = (self.desk.clone(), Arc::clone(&self.entry));
        let writing = async move {
            let others = (writes, entry.queries.limits().entries_max);
            let written = unwritten.write_down(&store, &context, &mut known, others).await;
            let outcome = written.map_err(|(error, left)| {
                entry.give_back(left);
                error
            });
            drop(permit);
            (known, outcome)
        };
        let written = writing.into_actor(self).map(|(known, outcome), actor, _| {
            actor.known = known;
            outcome
        });
        AtomicResponse::new(Box::pin(written))
    }
}

/// Asks the actor to remove records of the log lane: the last use of a deleted key, usage whose time is over.
pub(super) struct Forget(pub(super) Vec<Key>);

impl Message for Asked<Forget> {
    type Result = Result<(), ChangeError>;
}

impl Handler<Asked<Forget>> for OrgActor {
    type Result = AtomicResponse<Self, Result<(), ChangeError>>;

    fn handle(&mut self, asked: Asked<Forget>, _: &mut ActorCtx<Self>) -> Self::Result {
        let Asked { message: Forget(keys), permit, .. } = asked;
        let Desk { store, context, .. } = self.desk.clone();
        let forgetting = async move {
            let forgotten = store.log(&context.rng, keys.into_iter().map(Write::Delete).collect()).await;
            drop(permit);
            forgotten
        };
        AtomicResponse::new(Box::pin(forgetting.into_actor(self)))
    }
}

/// Makes the actor panic, for the test of what happens then.
#[cfg(test)]
pub(super) struct Panic;

#[cfg(test)]
impl Change for Panic {
    type Reply = ();

    async fn decide(self, _: Desk, _: Arc<View>) -> Result<Decided<()>, ChangeError> {
        panic!("asked to panic by a test")
    }
}
