//! Sequel's embedded sled backend: one folder, one process, a sync before every answer.
//!
//! Owns the folder, the layout of its rows, one writer with group commit, and readers on threads of their own, so that
//! no caller's thread ever waits for the disk. It does not know what a record means.
//!
//! sled is no longer cared for and says of itself that where reliability comes first SQLite is the better choice; so
//! say we. This backend is for those who know sled.
//!
//! What is acknowledged outlives a kill. It outlives a power loss as far as sled's log does, which is synced before each
//! answer: within one group that writes more than a segment (512 KiB) sled may reuse room whose former contents it moved
//! without a sync between the two, so a disk that loses its own cache with the power may lose more than that group.
//! The folder has to lie on a file system that keeps changes of names in order, as ext4, XFS and btrfs do.
//! Damage near the end of a log that was not closed in order cannot be told from a write that was cut short.
//!
//! While the disk refuses writes (full, read-only, failing) reads may be refused as well, because sled takes nothing after
//! a write that failed and cannot be opened where it cannot write; the outcome of the batch that met it is unknown.
//! Both end by themselves when the disk is well again.
//!
//! **Invariant:** a commit is answered after its sync returned (`killed_at_any_moment_no_acknowledged_write_is_lost`).
//! **Invariant:** what was answered, or read by anybody, outlives a power loss, as far as said above
//! (`a_power_loss_at_any_moment_loses_no_acknowledged_write`, `what_a_restart_shows_survives_a_power_loss`,
//! `what_a_failed_sync_left_is_never_acknowledged`).
//! **Invariant:** nobody reads what is not on the disk (`what_cannot_be_made_durable_is_never_read`).
//! **Invariant:** a batch that fails leaves the batches committed with it alone (`a_failed_batch_spares_the_others`).

mod apply;
mod cut;
mod fault;
mod inspect;
mod log;
mod open;
mod pending;
mod read;
mod rows;
mod space;
mod writer;

pub use inspect::inspect;
pub use sequel_store::Inspection;
pub use space::FreeBytes;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream;
use sequel_store::group_commit::GroupCommit;
use sequel_store::{
    Batch, Changes, CommitError, ExportStream, Exported, Fence, HintStream, Holder, Key, KeyRange, OpenError,
    Page, ReadError, Record, Registration, Revision, ScanLimit, Scope, Store, StoreLock,
};
use sled::Tree;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::cut::Cut;
use crate::fault::Fault;
use crate::log::Log;
use crate::space::Space;
use crate::writer::Writer;

/// Exports at once: each has a thread, and has the writer keep what it overwrites meanwhile.
const EXPORTS_MAX: usize = 2;
/// Records between an export's thread and its reader; of 64 KiB each they are 4 MiB.
const EXPORT_BUFFER: usize = 64;
/// sled's cache of pages. With 100,000 records a process that read them all took 38 MiB with this much and 47 MiB with
/// 16 MiB, and a read no longer: the operating system's cache is next to it.
const CACHE_BYTES: u64 = 4 * 1024 * 1024;

/// How to open a store.
#[derive(Clone)]
pub struct Options {
    /// What the lock file says about this process.
    pub holder: Holder,
    /// Reads at once: 1..=64.
    pub readers: u32,
    /// sled's cache of pages, in bytes.
    pub cache_bytes: u64,
    /// How many bytes are free where the store lies. Below 64 MiB batches are [`CommitError::Full`], but for those that
    /// delete or narrow, which are taken down to 32 MiB.
    pub free_bytes: FreeBytes,
}

impl Options {
    /// Four readers, 4 MiB of cache, and what the disk says of itself.
    pub fn new(holder: Holder) -> Self {
        Self { holder, readers: 4, cache_bytes: CACHE_BYTES, free_bytes: space::of_the_disk() }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("holder", &self.holder)
            .field("readers", &self.readers)
            .finish_non_exhaustive()
    }
}

/// An open store. Dropping it answers what was sent, syncs, and gives the lock back once reads that still run have
/// ended; that takes the writer's last commit, typically milliseconds.
pub struct SledStore {
    // Dropped by `Drop` in the order that matters: readers, writer, lock.
    writer: Option<GroupCommit>,
    log: Arc<Log>,
    runtime: Option<Runtime>,
    exports: Arc<Semaphore>,
    lock: Option<StoreLock>,
}

impl SledStore {
    /// Opens the store in the folder `path`, making it where there is none; takes the lock beside it first.
    ///
    /// Blocks: takes longer the more was written since the store was last opened, and 200 ms where the lock is taken.
    /// Errors as [`OpenError`] names them.
    pub fn open(path: &Path, options: Options) -> Result<Self, OpenError> {
        let folder = sequel_store::resolve(path)?;
        // Before the lock's file is made beside what is not ours.
        open::note(&folder)?;
        let lock = StoreLock::acquire(&folder, &options.holder)?;
        let space = Space::new(folder.clone(), options.free_bytes);
        let log = open::store(&folder, options.cache_bytes)?;
        let cannot_start = |error: std::io::Error| OpenError::Path {
            path: folder.clone(),
            why: format!("no thread could be started ({error}). Raise the limit on threads or free memory."),
        };
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(options.readers.clamp(1, 64) as usize + EXPORTS_MAX)
            .thread_name("sequel-store-read")
            .build()
            .map_err(cannot_start)?;
        let log = Arc::new(Log::new(folder.clone(), options.cache_bytes, log));
        let writer = GroupCommit::start(Writer::new(log.clone(), space)).map_err(cannot_start)?;
        Ok(Self {
            writer: Some(writer),
            log,
            runtime: Some(runtime),
            exports: Arc::new(Semaphore::new(EXPORTS_MAX)),
            lock: Some(lock),
        })
    }

    fn writer(&self) -> &GroupCommit {
        self.writer.as_ref().expect("taken by drop alone")
    }

    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("taken by drop alone")
    }

    /// Runs `work` on a thread of the backend's own.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Tree) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, ReadError> {
        let log = self.log.clone();
        self.runtime().spawn_blocking(move || log.read(work)).await.map_err(fault::lost)?
    }
}

#[async_trait]
impl Store for SledStore {
    async fn get(&self, scope: &Scope, key: &Key) -> Result<Option<Record>, ReadError> {
        let (scope, key) = (scope.clone(), key.clone());
        self.read(move |tree| read::get(tree, &scope, &key)).await
    }

    async fn scan(&self, scope: &Scope, range: KeyRange, limit: ScanLimit) -> Result<Page, ReadError> {
        let scope = scope.clone();
        self.read(move |tree| read::scan(tree, &scope, &range, limit)).await
    }

    async fn commit(&self, batch: Batch) -> Result<Revision, CommitError> {
        batch.check()?;
        self.writer().commit(batch).await
    }

    async fn changes(&self, scope: &Scope, after: Revision) -> Result<Changes, ReadError> {
        let scope = scope.clone();
        self.read(move |tree| read::changes(tree, &scope, after)).await
    }

    fn watch(&self) -> HintStream {
        self.writer().watch()
    }

    /// One process, one node: nobody else waits for this one's readers.
    fn register(&self, _scope: &Scope) -> Registration {
        Registration::alone()
    }

    async fn published(&self, _scope: &Scope, _revision: Revision) -> Result<(), ReadError> {
        Ok(())
    }

    /// One process, one node: nobody else can still serve anything.
    async fn settle(&self, _scope: &Scope, _revision: Revision) -> Result<(), ReadError> {
        Ok(())
    }

    fn fence(&self) -> Fence {
        Fence::always()
    }

    async fn export(&self) -> Result<ExportStream, ReadError> {
        let closed = |error: tokio::sync::AcquireError| ReadError::Unavailable(Box::new(error));
        let permit = self.exports.clone().acquire_owned().await.map_err(closed)?;
        let cuts = self.log.cuts.clone();
        let cut = self.read(move |_| Ok(cuts.begin())).await?;
        let (records, receiver) = mpsc::channel(EXPORT_BUFFER);
        let log = self.log.clone();
        self.runtime().spawn_blocking(move || export(&log, &cut, permit, &records));
        Ok(Box::pin(stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|next| (next, receiver))
        })))
    }
}

/// Sends a cut's records until they end or their reader goes away.
fn export(
    log: &Log,
    cut: &Cut,
    _permit: OwnedSemaphorePermit,
    records: &mpsc::Sender<Result<Exported, ReadError>>,
) {
    loop {
        let step = match log.read(|tree| cut.step(tree)).and_then(|step| step) {
            Ok(step) => step,
            Err(error) => return drop(records.blocking_send(Err(error))),
        };
        for record in step.records {
            if records.blocking_send(Ok(record)).is_err() {
                return;
            }
        }
        if step.last {
            return;
        }
    }
}

impl Drop for SledStore {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Reads that still run end by themselves; what was closed beneath them says so.
            runtime.shutdown_background();
        }
        drop(self.writer.take());
        drop(self.lock.take());
    }
}

impl std::fmt::Debug for SledStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SledStore").finish_non_exhaustive()
    }
}
