//! The connections to the database: how one is made, how long an answer is waited for, and what becomes of those that gave
//! none.
//!
//! Owns the pool and every deadline. It knows nothing of what is asked.
//!
//! **Invariant:** whoever asks knows within `answer_wait` (`a_stalled_database_is_known_to_be_away_and_is_used_again_unaided`).

use std::time::Duration;

use deadpool_postgres::{ClientWrapper, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod};
use futures_util::future::BoxFuture;
use sequel_store::{OpenError, ReadError};
use tokio::time::{sleep, timeout};
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::address::{Address, refused};
use crate::{fault, tls};

/// How long whoever opens or looks at a store waits for a connection: a server that is only slow is no reason to end.
pub(crate) const OPENING_WAIT: Duration = Duration::from_secs(5);

/// The pool and what it makes connections with.
pub(crate) struct Database {
    pool: Pool,
    config: Config,
    tls: MakeRustlsConnect,
    pub(crate) answer_wait: Duration,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum NoAnswer {
    /// There was no connection: nothing was sent.
    NotAsked(PoolError),
    /// No connection came in time: nothing was sent.
    NoConnection,
    /// It was sent and nothing came back in time.
    Silent,
}

impl std::fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotAsked(error) => f.write_str(&fault::told(error)),
            Self::NoConnection | Self::Silent => std::fmt::Display::fmt(&fault::Silent, f),
        }
    }
}

impl Database {
    /// Opens no connection yet. `answer_wait` bounds one question, connecting included.
    pub(crate) fn new(
        address: &Address,
        connections_max: usize,
        answer_wait: Duration,
    ) -> Result<Self, OpenError> {
        let tls = tls::connector(address)?;
        let manager = Manager::from_config(
            address.config.clone(),
            tls.clone(),
            ManagerConfig { recycling_method: RecyclingMethod::Fast },
        );
        let pool = Pool::builder(manager)
            .max_size(connections_max.max(1))
            .build()
            .map_err(|error| refused(&address.to_string(), &format!("{error}.")))?;
        Ok(Self { pool, config: address.config.clone(), tls, answer_wait })
    }

    /// Asks on a connection of the pool.
    pub(crate) async fn ask<T>(
        &self,
        question: impl for<'a> FnOnce(&'a Client) -> BoxFuture<'a, T>,
    ) -> Result<T, NoAnswer> {
        let deadline = sleep(self.answer_wait);
        tokio::pin!(deadline);
        let client = tokio::select! {
            client = self.pool.get() => client.map_err(NoAnswer::NotAsked)?,
            () = &mut deadline => return Err(NoAnswer::NoConnection),
        };
        tokio::select! {
            answer = question(&client) => {
                if client.is_closed() {
                    self.doubt();
                }
                Ok(answer)
            }
            () = &mut deadline => {
                self.give_up(client);
                Err(NoAnswer::Silent)
            }
        }
    }

    /// The same for a read, where it makes no difference whether anything was sent.
    pub(crate) async fn read<T>(
        &self,
        question: impl for<'a> FnOnce(&'a Client) -> BoxFuture<'a, Result<T, ReadError>>,
    ) -> Result<T, ReadError> {
        match self.ask(question).await {
            Ok(answer) => answer,
            Err(NoAnswer::NotAsked(error)) => Err(fault::unavailable(error)),
            Err(NoAnswer::NoConnection | NoAnswer::Silent) => Err(fault::unavailable(fault::Silent)),
        }
    }

    /// A connection outside of the pool, made within `wait`: for what must not wait behind other questions, or lasts.
    pub(crate) async fn apart(&self, wait: Duration) -> Result<ClientWrapper, NoAnswer> {
        let connecting = self.config.connect(self.tls.clone());
        let made = timeout(wait, connecting).await.map_err(|_| NoAnswer::NoConnection)?;
        let (client, connection) = made.map_err(|error| NoAnswer::NotAsked(error.into()))?;
        // Whoever asks on it hears of its end.
        let driving = tokio::spawn(async move { drop(connection.await) });
        Ok(ClientWrapper::new(client, driving))
    }

    /// Lets go of a connection whose answer nobody waits for any more. The server is told, as it might go on waiting
    /// itself, for a standby or for a lock, and keep one of its connections busy for that.
    fn give_up(&self, client: Object) {
        let (client, tls) = (Object::take(client), self.tls.clone());
        let answer_wait = self.answer_wait;
        tokio::spawn(async move {
            let cancel = client.cancel_token();
            // Where the way to it is cut the server finds out by itself.
            let _ = timeout(answer_wait, cancel.cancel_query(tls)).await;
            drop(client);
        });
        self.doubt();
    }

    /// Closes what lies idle: it goes the same way as a connection that was lost, and each would take a question down
    /// with it before it is found out.
    fn doubt(&self) {
        self.pool.retain(|_, _| false);
    }
}
