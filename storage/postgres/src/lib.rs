//! Sequel's backend on PostgreSQL 13 and later: the schema `sequel` of a database, one serving process by a lease.
//!
//! Owns the connections, on a runtime of its own, the schema, and the lease. It does not know what a record means; only
//! the views for operators (`schema/views.sql`) look inside values, and nothing reads those views here.
//!
//! A batch is one call of one function: one transaction, one round trip, on as many connections at once as scopes change.
//! Statements are unnamed and nothing depends on a session, so that a pooler in transaction mode may stand before the
//! server.
//!
//! **Invariant:** a commit is answered after its transaction is durable (`a_server_that_is_killed_loses_nothing`).
//! **Invariant:** who does not hold the lease writes nothing
//! (`a_node_that_was_paused_writes_nothing_after_another_took_over`).

mod address;
mod commit;
mod fault;
mod inspect;
mod lease;
mod read;
mod schema;
mod tls;

pub use address::Address;
pub use inspect::{holder, inspect};

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deadpool_postgres::{
    Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime, Timeouts,
};
use futures_util::future::BoxFuture;
use futures_util::stream;
use sequel_store::{
    Batch, Changes, CommitError, ExportStream, Fence, Hint, HintStream, Holder, Key, KeyRange, OpenError,
    Page, ReadError, Record, Registration, Revision, ScanLimit, Scope, Store,
};
use tokio::sync::{Semaphore, broadcast, mpsc, oneshot};
use tokio_postgres::Client;

use crate::address::{CONNECT_WAIT, refused};
use crate::lease::Lease;

/// Hints that a slow watcher may fall behind by before it loses some; each is a scope and a number.
const HINTS_MAX: usize = 1024;
/// Exports at once: each holds a connection and a snapshot for as long as its reader takes.
const EXPORTS_MAX: usize = 2;
/// Records between an export and its reader.
const EXPORT_BUFFER: usize = 256;
/// How long an answer is waited for, connecting included: so the fault is known before two seconds are over.
const ANSWER_WAIT: Duration = Duration::from_millis(1_700);
/// How long who opens a store waits for what has no bound of its own: a migration, or a lease that is not released.
const OPEN_WAIT: Duration = Duration::from_secs(60);

/// How to open a store.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where it is.
    pub address: Address,
    /// What the lease's note says about this process.
    pub holder: Holder,
    /// Most connections, at least 2.
    pub connections_max: usize,
}

impl Options {
    /// Sixteen connections at most: as many commits of different organizations at once share the server's sync.
    pub fn new(address: Address, holder: Holder) -> Self {
        Self { address, holder, connections_max: 16 }
    }
}

/// The connections.
#[derive(Debug)]
pub(crate) struct Database {
    pool: Pool,
}

impl Database {
    fn new(address: &Address, connections_max: usize) -> Result<Self, OpenError> {
        let manager = Manager::from_config(
            address.config.clone(),
            tls::connector(address)?,
            ManagerConfig { recycling_method: RecyclingMethod::Fast },
        );
        let pool = Pool::builder(manager)
            .max_size(connections_max.max(2))
            .runtime(Runtime::Tokio1)
            .timeouts(Timeouts {
                wait: Some(CONNECT_WAIT),
                create: Some(CONNECT_WAIT),
                recycle: Some(CONNECT_WAIT),
            })
            .build()
            .map_err(|error| refused(&address.to_string(), &format!("{error}.")))?;
        Ok(Self { pool })
    }

    /// A connection.
    pub(crate) async fn client(&self) -> Result<Object, PoolError> {
        self.pool.get().await
    }
}

/// An open store. Dropping it gives the lease back, which takes a second at most where the database is away.
pub struct PostgresStore {
    database: Arc<Database>,
    lease: Arc<Lease>,
    hints: broadcast::Sender<Hint>,
    exports: Arc<Semaphore>,
    runtime: Threads,
}

/// A runtime of the backend's own: callers may be on any, and none of theirs waits for the network.
pub(crate) struct Threads(Option<tokio::runtime::Runtime>);

impl PostgresStore {
    /// Opens the store, making its schema where there is none, and takes the lease first.
    ///
    /// Blocks; not for threads of a runtime. Where somebody holds the lease this takes until he is seen to live (two
    /// seconds as a rule, then [`OpenError::Locked`]) or to have ended (eight seconds).
    pub fn open(options: Options) -> Result<Self, OpenError> {
        let Options { address, holder, connections_max } = options;
        let runtime = Threads::start(&address, 2)?;
        let database = Arc::new(Database::new(&address, connections_max)?);
        let opening = async {
            let mut client = database.client().await.map_err(|error| fault::pool(&address, &error))?;
            schema::migrate(&mut client, &address).await?;
            Lease::take(&mut client, &address, &holder).await
        };
        let lease = runtime.block_on(within(&address, opening))?;
        runtime.get().spawn(Arc::clone(&lease).keep(Arc::clone(&database)));
        let (hints, _) = broadcast::channel(HINTS_MAX);
        let exports = Arc::new(Semaphore::new(EXPORTS_MAX));
        Ok(Self { database, lease, hints, exports, runtime })
    }

    /// Runs work on the backend's own runtime, whichever the caller is on.
    async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, tokio::task::JoinError> {
        self.runtime.get().spawn(work).await
    }

    /// Runs a read on a connection.
    async fn read<T: Send + 'static>(
        &self,
        work: impl for<'a> FnOnce(&'a Client) -> BoxFuture<'a, Result<T, ReadError>> + Send + 'static,
    ) -> Result<T, ReadError> {
        let database = Arc::clone(&self.database);
        let reading = async move {
            let client = database.client().await.map_err(fault::unavailable)?;
            match tokio::time::timeout(ANSWER_WAIT, work(&client)).await {
                Ok(read) => read,
                Err(_) => {
                    // Whoever had this connection next would wait for the same answer.
                    drop(Object::take(client));
                    Err(fault::unavailable(fault::Silent))
                }
            }
        };
        self.run(reading).await.map_err(fault::unavailable)?
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn get(&self, scope: &Scope, key: &Key) -> Result<Option<Record>, ReadError> {
        let (scope, key) = (scope.clone(), key.clone());
        self.read(move |client| Box::pin(async move { read::get(client, &scope, key).await })).await
    }

    async fn scan(&self, scope: &Scope, range: KeyRange, limit: ScanLimit) -> Result<Page, ReadError> {
        let scope = scope.clone();
        self.read(move |client| Box::pin(async move { read::scan(client, &scope, &range, limit).await }))
            .await
    }

    async fn commit(&self, batch: Batch) -> Result<Revision, CommitError> {
        batch.check()?;
        let id = batch.id;
        let (database, lease, hints) =
            (Arc::clone(&self.database), Arc::clone(&self.lease), self.hints.clone());
        let committing = async move {
            let client =
                database.client().await.map_err(|error| CommitError::Unavailable(Box::new(error)))?;
            let committed = commit::commit(&client, &batch, &lease);
            match tokio::time::timeout(ANSWER_WAIT, committed).await {
                Ok(outcome) => {
                    let (revision, moved) = outcome?;
                    if moved {
                        // Nobody watching is no error.
                        let _ = hints.send(Hint { scope: batch.scope, revision });
                    }
                    Ok(revision)
                }
                Err(_) => {
                    drop(Object::take(client));
                    Err(CommitError::Unknown(id))
                }
            }
        };
        self.run(committing).await.unwrap_or(Err(CommitError::Unknown(id)))
    }

    async fn changes(&self, scope: &Scope, after: Revision) -> Result<Changes, ReadError> {
        let scope = scope.clone();
        self.read(move |client| Box::pin(async move { read::changes(client, &scope, after).await })).await
    }

    /// Of this process's own commits, which are all that there are while one node serves.
    fn watch(&self) -> HintStream {
        let hints = self.hints.subscribe();
        Box::pin(stream::unfold(hints, |mut hints| async move {
            loop {
                match hints.recv().await {
                    Ok(hint) => return Some((hint, hints)),
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return None,
                }
            }
        }))
    }

    /// One node, by the lease: nobody else wants to know.
    fn register(&self, _scope: &Scope) -> Registration {
        Registration::alone()
    }

    /// One node, by the lease: nobody else waits for this one's readers.
    async fn published(&self, _scope: &Scope, _revision: Revision) -> Result<(), ReadError> {
        Ok(())
    }

    /// One node, by the lease: nobody else can still serve anything.
    async fn settle(&self, _scope: &Scope, _revision: Revision) -> Result<(), ReadError> {
        Ok(())
    }

    fn fence(&self) -> Fence {
        self.lease.fence()
    }

    async fn export(&self) -> Result<ExportStream, ReadError> {
        let permit = self.exports.clone().acquire_owned().await.map_err(fault::unavailable)?;
        let database = Arc::clone(&self.database);
        let (records, receiver) = mpsc::channel(EXPORT_BUFFER);
        let (begun, cut) = oneshot::channel();
        self.runtime.get().spawn(async move {
            let _permit = permit;
            match database.client().await {
                Ok(client) => {
                    // Taken out of the pool: it is in the middle of a transaction and ends with it.
                    let client = Object::take(client);
                    read::export(&client, begun, &records).await;
                }
                Err(error) => drop(begun.send(Err(fault::unavailable(error)))),
            }
        });
        cut.await.map_err(fault::unavailable)??;
        Ok(Box::pin(stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|next| (next, receiver))
        })))
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        self.runtime.block_on(self.lease.give_back(&self.database));
    }
}

impl std::fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresStore").finish_non_exhaustive()
    }
}

impl Threads {
    pub(crate) fn start(address: &Address, threads: usize) -> Result<Self, OpenError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("sequel-store-pg")
            .enable_all()
            .build();
        runtime.map(|runtime| Self(Some(runtime))).map_err(|error| {
            let why =
                format!("no thread could be started ({error}). Raise the limit on threads or free memory.");
            refused(&address.to_string(), &why)
        })
    }

    fn get(&self) -> &tokio::runtime::Runtime {
        self.0.as_ref().expect("taken by drop alone")
    }

    /// Waits for work, on a thread of its own: the caller may be inside another runtime.
    pub(crate) fn block_on<T: Send>(&self, work: impl Future<Output = T> + Send) -> T {
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| self.get().block_on(work));
            waiting.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // Waiting for its threads is not allowed inside another runtime, and nothing is left for them to do.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Bounds what opens or looks at a store.
pub(crate) async fn within<T>(
    address: &Address,
    work: impl Future<Output = Result<T, OpenError>>,
) -> Result<T, OpenError> {
    tokio::time::timeout(OPEN_WAIT, work).await.unwrap_or_else(|_| {
        Err(refused(&address.to_string(), "the database does not answer. Look at what it is busy with."))
    })
}
