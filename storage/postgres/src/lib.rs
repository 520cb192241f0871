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
mod connections;
mod fault;
mod inspect;
mod lease;
mod read;
mod schema;
mod server;
mod threads;
mod tls;

pub use address::Address;
pub use inspect::{holder, inspect};

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use futures_util::stream;
use sequel_store::{
    Batch, Changes, CommitError, ExportStream, Fence, Hint, HintStream, Holder, Key, KeyRange, OpenError,
    Page, ReadError, Record, Registration, Revision, Role, ScanLimit, Scope, Store,
};
use tokio::sync::{Semaphore, broadcast, mpsc, oneshot};
use tokio_postgres::Client;

use crate::address::refused;
use crate::connections::{Database, NoAnswer, OPENING_WAIT};
use crate::lease::Lease;
use crate::schema::Found;
use crate::threads::Threads;

/// Hints that a slow watcher may fall behind by before it loses some; each is a scope and a number.
const HINTS_MAX: usize = 1024;
/// Exports at once: each holds a connection and a snapshot for as long as its reader takes.
const EXPORTS_MAX: usize = 2;
/// Records between an export and its reader.
const EXPORT_BUFFER: usize = 256;
/// How long who opens a store waits for what has no bound of its own: a migration, or a lease that is not released.
const OPEN_WAIT: Duration = Duration::from_secs(60);

/// How to open a store.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where it is.
    pub address: Address,
    /// What the lease's note says about this process.
    pub holder: Holder,
    /// Most connections for reads and commits, at least 1. One more keeps the lease, and each export has its own.
    pub connections_max: usize,
    /// How long an answer of the database is waited for, connecting included, before a read says that the store is away
    /// and a commit that its outcome is not known.
    pub answer_wait: Duration,
}

impl Options {
    /// Sixteen connections at most: as many commits of different organizations at once share the server's sync. A server
    /// answers within 1.7 s, so that whoever waits for a request knows of a fault before two seconds are over; a command
    /// has time, and would have to begin a restore anew because the disk was slow for a moment.
    pub fn new(address: Address, holder: Holder) -> Self {
        let answer_wait = match holder.role {
            Role::Serve => Duration::from_millis(1_700),
            Role::Command => Duration::from_secs(30),
        };
        Self { address, holder, connections_max: 16, answer_wait }
    }
}

/// An open store. Dropping it gives the lease back, which takes two seconds at most where the database is away.
pub struct PostgresStore {
    database: Arc<Database>,
    lease: Arc<Lease>,
    hints: broadcast::Sender<Hint>,
    exports: Arc<Semaphore>,
    runtime: Threads,
}

impl PostgresStore {
    /// Opens the store, making its schema where there is none, and takes the lease.
    ///
    /// Blocks; not for threads of a runtime. Where a process elsewhere holds the lease this takes until it is seen to live
    /// (two seconds as a rule, then [`OpenError::Locked`]) or to have ended (eight seconds).
    pub fn open(options: Options) -> Result<Self, OpenError> {
        let Options { address, holder, connections_max, answer_wait } = options;
        let runtime = Threads::start(&address, 2)?;
        let database = Arc::new(Database::new(&address, connections_max, answer_wait)?);
        let lease = runtime.block_on(within(&address, opened(&database, &address, &holder)))?;
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
        question: impl for<'a> FnOnce(&'a Client) -> BoxFuture<'a, Result<T, ReadError>> + Send + 'static,
    ) -> Result<T, ReadError> {
        let database = Arc::clone(&self.database);
        self.run(async move { database.read(question).await }).await.map_err(fault::unavailable)?
    }
}

/// The lease on a database that is ready.
async fn opened(database: &Database, address: &Address, holder: &Holder) -> Result<Arc<Lease>, OpenError> {
    let mut client = database.apart(OPENING_WAIT).await.map_err(|why| fault::unreached(address, &why))?;
    server::check(&client, address).await?;
    // Only where there is nothing: under a process that serves, nothing is migrated.
    if !matches!(schema::look(&client, address).await?, Found::Ours(_)) {
        schema::migrate(&mut client, address).await?;
    }
    let epoch = lease::take(&mut client, address, holder).await?;
    let migrated = schema::migrate(&mut client, address).await;
    let lease = Arc::new(Lease::new(epoch, client));
    if let Err(error) = migrated {
        lease.give_back().await;
        return Err(error);
    }
    Ok(lease)
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
            let scope = batch.scope.clone();
            let asked = database
                .ask(move |client| Box::pin(async move { commit::commit(client, &batch, &lease).await }))
                .await;
            match asked {
                Ok(Ok((revision, moved))) => {
                    if moved {
                        // Nobody watching is no error.
                        let _ = hints.send(Hint { scope, revision });
                    }
                    Ok(revision)
                }
                Ok(Err(error)) => Err(error),
                Err(NoAnswer::NotAsked(error)) => Err(CommitError::Unavailable(Box::new(error))),
                Err(NoAnswer::NoConnection) => Err(CommitError::Unavailable(Box::new(fault::Silent))),
                Err(NoAnswer::Silent) => Err(CommitError::Unknown(id)),
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
            match database.apart(database.answer_wait).await {
                Ok(client) => read::export(&client, begun, &records).await,
                Err(why) => drop(begun.send(Err(ReadError::Unavailable(why.to_string().into())))),
            }
        });
        cut.await.map_err(fault::unavailable)??;
        Ok(Box::pin(stream::unfold(Some(receiver), |receiver| async move {
            let mut receiver = receiver?;
            match receiver.recv().await {
                Some(Ok(Some(exported))) => Some((Ok(exported), Some(receiver))),
                Some(Ok(None)) => None,
                Some(Err(error)) => Some((Err(error), None)),
                // What was received is no copy of the store, and must not be taken for one.
                None => Some((Err(ReadError::Unavailable("the store was closed".into())), None)),
            }
        })))
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        self.runtime.block_on(self.lease.give_back());
    }
}

impl std::fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresStore").finish_non_exhaustive()
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
