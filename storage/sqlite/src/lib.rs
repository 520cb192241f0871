//! Sequel's embedded SQLite backend: one file, one process, WAL, `synchronous=FULL`.
//!
//! Owns the file, its schema, one writer thread with group commit, and a pool of read connections
//! on threads of its own, so that no caller's thread ever waits for the disk. It does not know what
//! a record means; only the views for operators (`schema/views.sql`) look inside values, and
//! nothing reads those views here.
//!
//! **Invariant:** a commit is answered after its COMMIT returned (`killed_at_any_moment_no_acknowledged_write_is_lost`).
//! **Invariant:** what was answered, or read by anybody, outlives a power loss
//! (`a_power_loss_at_any_moment_loses_no_acknowledged_write`, `what_a_restart_shows_survives_a_power_loss`,
//! `what_a_failed_sync_left_is_never_acknowledged`).
//! **Invariant:** a batch that fails leaves the batches committed with it alone (`a_failed_batch_spares_the_others`).

mod apply;
mod fault;
mod inspect;
mod open;
mod read;
mod schema;
mod writer;

pub use inspect::inspect;
pub use schema::APPLICATION_ID;
pub use sequel_store::Inspection;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream;
use r2d2::Pool;
use r2d2_sqlite::SqliteConnectionManager;
use rusqlite::Connection;
use sequel_store::group_commit::GroupCommit;
use sequel_store::{
    Batch, Changes, CommitError, ExportStream, Fence, HintStream, Holder, Key, KeyRange, OpenError, Page,
    ReadError, Record, Registration, Revision, ScanLimit, Scope, Store, StoreLock,
};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Semaphore, mpsc};

use crate::writer::Writer;

/// Exports at once: each holds a snapshot, and with it the WAL, for as long as its reader takes.
const EXPORTS_MAX: usize = 2;
/// Records between an export's thread and its reader.
const EXPORT_BUFFER: usize = 256;
/// How long a read waits for a connection before it says that the store is away.
const CONNECTION_WAIT: Duration = Duration::from_secs(5);

/// How to open a store.
#[derive(Debug, Clone)]
pub struct Options {
    /// What the lock file says about this process.
    pub holder: Holder,
    /// Read connections: 1..=64.
    pub readers: u32,
    /// The most pages (4 KiB) that the file may grow to; `None` leaves that to the disk. A file at
    /// its limit behaves like a full disk.
    pub pages_max: Option<u32>,
}

impl Options {
    /// Four readers and no limit but the disk's.
    pub fn new(holder: Holder) -> Self {
        // Reads are rare once views are published; four let a long scan and three points overlap.
        Self { holder, readers: 4, pages_max: None }
    }
}

/// An open store. Dropping it answers what was sent, checkpoints the WAL and gives the lock back;
/// that takes the writer's last commit, typically milliseconds.
pub struct SqliteStore {
    // Dropped by `Drop` in the order that matters: readers, writer, lock.
    writer: Option<GroupCommit>,
    pool: Option<Pool<SqliteConnectionManager>>,
    runtime: Option<Runtime>,
    exports: Arc<Semaphore>,
    path: PathBuf,
    lock: Option<StoreLock>,
}

impl SqliteStore {
    /// Opens the store at `path`, making it where there is none; takes the lock beside it first.
    ///
    /// Takes the same time whatever is stored. Blocks: at most a migration, and 200 ms where the
    /// lock is taken. Errors as [`OpenError`] names them.
    pub fn open(path: &Path, options: Options) -> Result<Self, OpenError> {
        let path = open::resolve(path)?;
        let lock = StoreLock::acquire(&path, &options.holder)?;
        let connection = open::first(&path, options.pages_max)?;
        let readers = options.readers.clamp(1, 64);
        let pool = Pool::builder()
            .max_size(readers)
            // None are opened until one is asked for: opening a store is O(1) and quick.
            .min_idle(Some(0))
            .test_on_check_out(false)
            .max_lifetime(None)
            .idle_timeout(None)
            .connection_timeout(CONNECTION_WAIT)
            .build_unchecked(open::reader_manager(&path));
        let cannot_start = |error: std::io::Error| OpenError::Path {
            path: path.clone(),
            why: format!("no thread could be started ({error}). Raise the limit on threads or free memory."),
        };
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            // One for each connection of the pool and each export, which brings its own. While nothing is
            // exported, as many reads more than there are connections wait for one, for `CONNECTION_WAIT`.
            .max_blocking_threads(readers as usize + EXPORTS_MAX)
            .thread_name("sequel-store-read")
            .build()
            .map_err(cannot_start)?;
        let reopen = {
            let (path, pages_max) = (path.clone(), options.pages_max);
            move || open::writer(&path, pages_max)
        };
        let writer = GroupCommit::start(Writer::new(connection, reopen)).map_err(cannot_start)?;
        Ok(Self {
            writer: Some(writer),
            pool: Some(pool),
            runtime: Some(runtime),
            exports: Arc::new(Semaphore::new(EXPORTS_MAX)),
            path,
            lock: Some(lock),
        })
    }

    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("taken by drop alone")
    }

    fn pool(&self) -> Pool<SqliteConnectionManager> {
        self.pool.clone().expect("taken by drop alone")
    }

    /// Runs `work` on a thread and a connection of the backend's own.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, ReadError> {
        let pool = self.pool();
        let task = self.runtime().spawn_blocking(move || {
            let mut connection = pool.get().map_err(fault::unavailable)?;
            work(&mut connection)
        });
        task.await.map_err(fault::unavailable)?
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn get(&self, scope: &Scope, key: &Key) -> Result<Option<Record>, ReadError> {
        let (scope, key) = (scope.clone(), key.clone());
        self.read(move |connection| read::get(connection, &scope, key)).await
    }

    async fn scan(&self, scope: &Scope, range: KeyRange, limit: ScanLimit) -> Result<Page, ReadError> {
        let scope = scope.clone();
        self.read(move |connection| read::scan(connection, &scope, &range, limit)).await
    }

    async fn commit(&self, batch: Batch) -> Result<Revision, CommitError> {
        batch.check()?;
        self.writer.as_ref().expect("taken by drop alone").commit(batch).await
    }

    async fn changes(&self, scope: &Scope, after: Revision) -> Result<Changes, ReadError> {
        let scope = scope.clone();
        self.read(move |connection| read::changes(connection, &scope, after)).await
    }

    fn watch(&self) -> HintStream {
        self.writer.as_ref().expect("taken by drop alone").watch()
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
        let permit = self.exports.clone().acquire_owned().await.map_err(fault::unavailable)?;
        let manager = open::reader_manager(&self.path);
        let (records, receiver) = mpsc::channel(EXPORT_BUFFER);
        let (begun, cut) = tokio::sync::oneshot::channel();
        self.runtime().spawn_blocking(move || {
            // A connection of its own: a slow reader of an export must not hold one of the pool's.
            use r2d2::ManageConnection;
            let _permit = permit;
            let connection = match manager.connect() {
                Ok(connection) => connection,
                Err(error) => return drop(begun.send(Err(fault::read(error)))),
            };
            read::export(connection, begun, &records);
        });
        cut.await.map_err(fault::unavailable)??;
        Ok(Box::pin(stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|next| (next, receiver))
        })))
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Reads that still run keep their connections and end by themselves.
            runtime.shutdown_background();
        }
        drop(self.pool.take());
        drop(self.writer.take());
        drop(self.lock.take());
    }
}

impl std::fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteStore").finish_non_exhaustive()
    }
}
