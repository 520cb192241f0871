//! The in-memory reference model of a store: small, obviously right, and able to play two nodes.
//!
//! Owns what a store *means*: every backend must equal it under random batches. It persists
//! nothing. For the tests of others it can be made to fail ([`Fault`]), to hold commits back
//! ([`Gate`]) and to lose a node ([`MemoryStore::partition`]).
//!
//! **Invariant:** a node whose fence holds and that has registered a scope is waited for by every other
//! node's `settle` (`settle_waits_for_every_node_that_may_still_serve`).

mod fault;
mod state;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use futures_util::stream;
use parking_lot::Mutex;
use tokio::sync::{broadcast, watch};

pub use self::fault::{Fault, Gate};
use self::fault::{Outcome, Plan};
use self::state::ScopeState;
use crate::group_commit::hint_stream;
use crate::{
    Batch, Changes, CommitError, ExportStream, Exported, Fence, Hint, HintStream, Key, KeyRange, Lane, Page,
    ReadError, Record, Registration, Revision, ScanLimit, Scope, Standing, Store,
};

/// Hints that a watcher may fall behind by; few, so that tests meet lost ones.
const HINTS_MAX: usize = 16;

/// One node's handle to a store in memory.
pub struct MemoryStore {
    shared: Arc<Shared>,
    node: usize,
    fence: Arc<AtomicBool>,
    plan: Plan,
}

struct Shared {
    world: Mutex<World>,
    /// Raised whenever a node publishes or comes or goes: what `settle` waits on.
    moved: watch::Sender<()>,
}

#[derive(Default)]
struct World {
    scopes: BTreeMap<Scope, ScopeState>,
    nodes: Vec<Node>,
}

struct Node {
    hints: broadcast::Sender<Hint>,
    /// Lock-free for readers; written under the world's lock alone.
    fence: Arc<AtomicBool>,
    /// Cut off: neither reads, commits nor publishes.
    partitioned: bool,
    /// How many registrations of each scope it has.
    registered: BTreeMap<Scope, usize>,
    published: BTreeMap<Scope, Revision>,
    /// What it has to publish before it may serve again.
    owed: BTreeMap<Scope, Revision>,
}

impl Node {
    /// Whether it may serve `scope` older than `revision`, now or when a load of it is done.
    fn may_serve_older(&self, scope: &Scope, revision: Revision) -> bool {
        self.fence.load(Ordering::SeqCst)
            && self.registered.contains_key(scope)
            && self.published.get(scope).is_none_or(|published| *published < revision)
    }

    /// Notes a narrowing that it has to publish before it may serve again.
    fn owe(&mut self, scope: &Scope, revision: Revision) {
        if self.registered.contains_key(scope) {
            self.owed.insert(scope.clone(), revision);
        }
    }

    /// Serves again, if nothing is in the way.
    fn serve_if_nothing_is_owed(&self) {
        if !self.partitioned && self.owed.is_empty() {
            self.fence.store(true, Ordering::SeqCst);
        }
    }

    fn unregister(&mut self, scope: &Scope) {
        let Some(count) = self.registered.get_mut(scope) else { return };
        *count -= 1;
        if *count == 0 {
            self.registered.remove(scope);
            // A later load reads later, so nothing is left to publish.
            self.owed.remove(scope);
            self.serve_if_nothing_is_owed();
        }
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// A store with one node.
    pub fn new() -> Self {
        let world = Mutex::new(World::default());
        Self::join(Arc::new(Shared { world, moved: watch::channel(()).0 }))
    }

    /// Two nodes over one store.
    pub fn two_nodes() -> (Self, Self) {
        let first = Self::new();
        let second = first.another_node();
        (first, second)
    }

    /// One more node over the same store. Dropping a node's handle takes the node away.
    pub fn another_node(&self) -> Self {
        Self::join(self.shared.clone())
    }

    fn join(shared: Arc<Shared>) -> Self {
        let fence = Arc::new(AtomicBool::new(true));
        let mut world = shared.world.lock();
        let node = world.nodes.len();
        world.nodes.push(Node {
            hints: broadcast::channel(HINTS_MAX).0,
            fence: fence.clone(),
            partitioned: false,
            registered: BTreeMap::new(),
            published: BTreeMap::new(),
            owed: BTreeMap::new(),
        });
        drop(world);
        Self { shared, node, fence, plan: Plan::default() }
    }

    /// Cuts this node off from the store and lets its lease lapse: its fence no longer holds, its
    /// reads and commits are [`ReadError::Unavailable`], hints do not reach it, and no `settle`
    /// waits for it.
    pub fn partition(&self) {
        let mut world = self.shared.world.lock();
        let narrowed: Vec<_> =
            world.scopes.iter().map(|(scope, state)| (scope.clone(), state.narrowed)).collect();
        let node = &mut world.nodes[self.node];
        node.partitioned = true;
        node.fence.store(false, Ordering::SeqCst);
        for (scope, revision) in narrowed {
            if node.published.get(&scope).copied().unwrap_or_default() < revision {
                node.owe(&scope, revision);
            }
        }
        drop(world);
        self.shared.moved.send_replace(());
    }

    /// Joins the node to the store again. Its fence holds once it has published all that
    /// [`MemoryStore::owed`] lists: every narrowing that it missed of what it had registered.
    pub fn heal(&self) {
        let mut world = self.shared.world.lock();
        let node = &mut world.nodes[self.node];
        node.partitioned = false;
        node.fence.store(node.owed.is_empty(), Ordering::SeqCst);
    }

    /// What this node has to publish before its fence holds again.
    pub fn owed(&self) -> Vec<(Scope, Revision)> {
        let world = self.shared.world.lock();
        world.nodes[self.node].owed.iter().map(|(scope, revision)| (scope.clone(), *revision)).collect()
    }

    /// The newest revision of `scope` that this node said it had published.
    pub fn last_published(&self, scope: &Scope) -> Option<Revision> {
        self.shared.world.lock().nodes[self.node].published.get(scope).copied()
    }

    /// Lets the next commit through this handle end in `fault`; faults queue up.
    pub fn fail_next(&self, fault: Fault) {
        self.plan.push(fault);
    }

    /// Holds every later commit through this handle back, before it applies, until the gate opens.
    pub fn hold_commits(&self) -> Gate {
        self.plan.hold()
    }

    /// Takes the store away from this handle, or gives it back: while away every read and commit is
    /// `Unavailable`. The fence is not touched.
    pub fn set_away(&self, away: bool) {
        self.plan.set_away(away);
    }

    fn read<T>(&self, read: impl FnOnce(&World) -> T) -> Result<T, ReadError> {
        let world = self.shared.world.lock();
        if self.plan.is_away() || world.nodes[self.node].partitioned {
            return Err(ReadError::Unavailable("the memory store was told to be away".into()));
        }
        Ok(read(&world))
    }

    fn apply(&self, batch: &Batch) -> Result<Revision, CommitError> {
        let mut world = self.shared.world.lock();
        if self.plan.is_away() || world.nodes[self.node].partitioned {
            return Err(CommitError::Unavailable("the memory store was told to be away".into()));
        }
        let known = world.scopes.get(&batch.scope);
        let before = known.map_or(Revision(0), |state| state.revision);
        // A clone is the plainest way to say "wholly or not at all".
        let mut state = known.cloned().unwrap_or_default();
        let revision = state.apply(batch)?;
        let moved = state.revision > before;
        world.scopes.insert(batch.scope.clone(), state);
        if moved {
            let narrows = matches!(batch.lane, Lane::State { narrows: true, .. });
            for node in &mut world.nodes {
                if narrows && !node.fence.load(Ordering::SeqCst) {
                    node.owe(&batch.scope, revision);
                }
                if !node.partitioned {
                    // Nobody watching is no error.
                    let _ = node.hints.send(Hint { scope: batch.scope.clone(), revision });
                }
            }
        }
        Ok(revision)
    }
}

impl Drop for MemoryStore {
    fn drop(&mut self) {
        self.partition();
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn get(&self, scope: &Scope, key: &Key) -> Result<Option<Record>, ReadError> {
        self.read(|world| world.scopes.get(scope).and_then(|state| state.get(key)))
    }

    async fn scan(&self, scope: &Scope, range: KeyRange, limit: ScanLimit) -> Result<Page, ReadError> {
        let nothing = Page { records: Vec::new(), next: None, revision: Revision(0) };
        self.read(|world| world.scopes.get(scope).map_or(nothing, |state| state.scan(&range, limit)))
    }

    async fn commit(&self, batch: Batch) -> Result<Revision, CommitError> {
        batch.check()?;
        match self.plan.next().await {
            Outcome::Apply => self.apply(&batch),
            Outcome::Refuse(error) => Err(error),
            Outcome::Unknown { applied } => {
                if applied {
                    self.apply(&batch)?;
                }
                Err(CommitError::Unknown(batch.id))
            }
        }
    }

    async fn changes(&self, scope: &Scope, after: Revision) -> Result<Changes, ReadError> {
        self.read(|world| world.scopes.get(scope).cloned().unwrap_or_default().changes(after))
    }

    fn watch(&self) -> HintStream {
        hint_stream(self.shared.world.lock().nodes[self.node].hints.subscribe())
    }

    fn register(&self, scope: &Scope) -> Registration {
        let (shared, at, scope) = (Arc::clone(&self.shared), self.node, scope.clone());
        *shared.world.lock().nodes[at].registered.entry(scope.clone()).or_default() += 1;
        Registration::until(move || {
            shared.world.lock().nodes[at].unregister(&scope);
            shared.moved.send_replace(());
        })
    }

    async fn published(&self, scope: &Scope, revision: Revision) -> Result<(), ReadError> {
        self.read(|_| ())?;
        let mut world = self.shared.world.lock();
        let node = &mut world.nodes[self.node];
        let published = node.published.entry(scope.clone()).or_default();
        *published = revision.max(*published);
        node.owed.retain(|owed, at_least| owed != scope || *at_least > revision);
        node.serve_if_nothing_is_owed();
        drop(world);
        self.shared.moved.send_replace(());
        Ok(())
    }

    async fn settle(&self, scope: &Scope, revision: Revision) -> Result<(), ReadError> {
        let mut moved = self.shared.moved.subscribe();
        loop {
            let settled = self.read(|world| {
                let others = world.nodes.iter().enumerate().filter(|(at, _)| *at != self.node);
                !others.into_iter().any(|(_, node)| node.may_serve_older(scope, revision))
            })?;
            if settled {
                return Ok(());
            }
            moved.changed().await.map_err(|error| ReadError::Unavailable(Box::new(error)))?;
        }
    }

    fn fence(&self) -> Fence {
        let fence = self.fence.clone();
        Fence::when(move || if fence.load(Ordering::SeqCst) { Standing::Holds } else { Standing::Lapsed })
    }

    async fn export(&self) -> Result<ExportStream, ReadError> {
        let cut: Vec<_> = self.read(|world| {
            let all = world.scopes.iter().flat_map(|(scope, state)| {
                state.live().map(|record| Ok(Exported { scope: scope.clone(), record }))
            });
            all.collect()
        })?;
        Ok(Box::pin(stream::iter(cut)))
    }
}

impl std::fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MemoryStore(node {})", self.node)
    }
}
