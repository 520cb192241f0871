//! The storage trait of Sequel: ordered bytes in scopes, changed by conditional batches.
//!
//! This crate owns the trait, its value types, the in-memory reference model and the conformance
//! suite that every backend runs. It knows no backend, and it does not know what a record means:
//! typed records are written once, above it.
//!
//! **Invariant:** a [`Scope`] cannot name a key outside itself (`scope_cannot_name_a_key_outside_itself`).
//! **Invariant:** a batch is wholly there or wholly not, and durable when `commit` answers.

mod batch;
#[cfg(feature = "conformance")]
pub mod conformance;
mod error;
pub mod group_commit;
mod inspection;
mod key;
mod lock;
pub mod memory;
mod place;
mod read;
mod scope;
mod whole;

pub use batch::{BATCH_BYTES_MAX, BATCH_OPERATIONS_MAX, Batch, CommitId, Expect, Lane, Write};
pub use error::{CommitError, OpenError, ReadError};
pub use inspection::Inspection;
pub use key::{KEY_BYTES_MAX, Key, KeyError, KeyRange, VALUE_BYTES_MAX};
pub use lock::{Holder, Role, StoreLock};
pub use memory::MemoryStore;
pub use place::resolve;
pub use read::{
    Changes, ExportStream, Exported, Fence, Hint, HintStream, Page, READ_BYTES_MAX, Record, Registration,
    Revision, ScanLimit, Standing,
};
pub use scope::{Scope, ScopeError};
pub use whole::{commit_and_know, scan_all};

use async_trait::async_trait;

/// Ordered bytes in scopes. Every method takes the scope first and reaches nothing outside it.
///
/// Values of a `Store` are shared as `Arc<dyn Store>`; all methods may be called from any runtime
/// and none of them blocks the caller's thread: a backend brings its own threads.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// The record at `key`, or `None` where there is none (a deleted record is none).
    async fn get(&self, scope: &Scope, key: &Key) -> Result<Option<Record>, ReadError>;

    /// One page of live records in key order. `revision` of the page is the scope's state revision
    /// that the page was read at; a caller that pages restarts when it moved.
    async fn scan(&self, scope: &Scope, range: KeyRange, limit: ScanLimit) -> Result<Page, ReadError>;

    /// Applies a batch, wholly or not at all. Durable when it answers `Ok`.
    ///
    /// Returns the scope's state revision after the batch (for [`Lane::Log`] the unchanged one).
    /// Idempotent by [`Batch::id`] on the state lane: a batch whose id is among the scope's latest
    /// 64 commits changes nothing and answers with the revision it had then. That is how a caller
    /// that got [`CommitError::Unknown`] finds out what happened: it commits the same batch again.
    async fn commit(&self, batch: Batch) -> Result<Revision, CommitError>;

    /// What changed on the state lane since `after`: each touched key once, with its newest record
    /// or `None` where it was deleted; or [`Changes::Gap`] when the log no longer reaches back so far,
    /// or when a failover came in between, since the same revision may hold something else there.
    async fn changes(&self, scope: &Scope, after: Revision) -> Result<Changes, ReadError>;

    /// Lossy hints that a scope moved. Dropped hints are allowed; a reader compares revisions.
    fn watch(&self) -> HintStream;

    /// Says that from now on this node may hold, publish or act on what it reads of `scope`: to be
    /// called before a load's first read and kept until nothing of the scope is served and no call of
    /// it runs. What is not registered is not waited for by [`Store::settle`] on another node.
    fn register(&self, scope: &Scope) -> Registration;

    /// Says that this node's readers now see `scope` at `revision` or newer: the acknowledgement
    /// that [`Store::settle`] on another node waits for. To be called after the calls that the
    /// revision forbids were ended.
    async fn published(&self, scope: &Scope, revision: Revision) -> Result<(), ReadError>;

    /// Waits until no node can still serve `scope` older than `revision`. At once where only one
    /// node exists. To be called after COMMIT has returned and this node has published, also for a
    /// change that somebody else committed before.
    async fn settle(&self, scope: &Scope, revision: Revision) -> Result<(), ReadError>;

    /// A lock-free answer to: may this node still serve what it has read? To be asked after a request
    /// has begun and *before* its view is taken: asked afterwards, a node that was waited out and has
    /// renewed meanwhile says yes to the view from before. Asked again for each further chunk.
    fn fence(&self) -> Fence;

    /// One consistent cut over all scopes, both lanes, in scope and key order.
    async fn export(&self) -> Result<ExportStream, ReadError>;
}
