//! The few connections that one source shares among its calls, and the cap over all of them.
//!
//! A connection is lent for one exchange, and comes back only when the server has said that its session is clean.
//! Connections that idle give way to those that somebody waits for, whosever source they are of.
//!
//! **Invariant:** over all sources at most `connections_max` connections are open, and one party holds at most three
//! quarters of them (`one_party_leaves_connections_to_others`); a query that the server does not give up is counted until
//! it ends (`a_query_that_the_server_does_not_give_up_keeps_its_place`).

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use sequel_connector::{Origin, Party, QueryError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use crate::connect::Route;
use crate::fault::Fault;
use crate::link::Link;
use crate::probe;
use crate::pump::{Halt, Watch};
use crate::source::Policy;
use crate::threads::now;

/// How long a query waits for a connection. Longer than most queries take, and short enough that a source whose
/// connections are all held is found out before a client gives up.
const CONNECTION_WAIT: Duration = Duration::from_secs(5);
/// How long a connection stays open without work.
const IDLE_MAX: Duration = Duration::from_secs(120);
/// How long a connection is used at most: a role that lost its rights or a certificate that was exchanged is seen then.
const AGE_MAX: Duration = Duration::from_secs(1_800);
/// How long a server may take to give up a query that it was asked to cancel, and to clean its session up. The revoke
/// or the client does not wait for it, the place does.
const TIDY_TIME: Duration = Duration::from_secs(5);
/// How long the place of a query that the server does not give up stays taken: it works on there, at the cost of a
/// processor, and in place of it no further one may be started. An hour, lest a place is lost for good with the network.
const OUTLAST_MAX: Duration = Duration::from_secs(3_600);
/// Between two looks for connections that idle.
const SWEEP_EVERY: Duration = Duration::from_secs(15);

/// What all sources share.
#[derive(Debug)]
pub(crate) struct Shared {
    all: Arc<Semaphore>,
    party_max: usize,
    parties: Mutex<HashMap<Party, Arc<Semaphore>>>,
    pools: Mutex<Vec<Weak<Pool>>>,
}

impl Shared {
    pub(crate) fn new(connections_max: usize) -> Arc<Self> {
        let connections_max = connections_max.max(1);
        Arc::new(Self {
            all: Arc::new(Semaphore::new(connections_max)),
            party_max: (connections_max - connections_max / 4).max(1),
            parties: Mutex::default(),
            pools: Mutex::default(),
        })
    }

    fn party(&self, party: &Party) -> Arc<Semaphore> {
        let mut parties = self.parties.lock();
        // What nobody but the list holds has all of its permits back.
        parties.retain(|_, permits| Arc::strong_count(permits) > 1);
        Arc::clone(parties.entry(party.clone()).or_insert_with(|| Arc::new(Semaphore::new(self.party_max))))
    }

    fn every_pool(&self) -> Vec<Arc<Pool>> {
        let mut pools = self.pools.lock();
        pools.retain(|pool| pool.strong_count() > 0);
        pools.iter().filter_map(Weak::upgrade).collect()
    }

    /// Closes the connection that has idled for longest, so that there is room for another.
    fn make_room(&self, of: Option<&Party>) {
        let pools = self.every_pool();
        let mine = pools.iter().filter(|pool| of.is_none_or(|party| pool.party == *party));
        let since = |pool: &Arc<Pool>| pool.idle.lock().first().map(|idle| idle.since);
        if let Some((_, pool)) =
            mine.filter_map(|pool| Some((since(pool)?, pool))).min_by_key(|(since, _)| *since)
        {
            let mut idle = pool.idle.lock();
            if !idle.is_empty() {
                drop(idle.remove(0));
            }
        }
    }

    /// Closes what has idled or lived for too long, until nobody shares any more.
    pub(crate) async fn sweep(shared: Weak<Self>) {
        while let Some(all) = shared.upgrade() {
            for pool in all.every_pool() {
                pool.idle.lock().retain(|idle| idle.since.elapsed() < IDLE_MAX && !idle.lent.is_old());
            }
            drop(all);
            tokio::time::sleep(SWEEP_EVERY).await;
        }
    }
}

/// A source's connections.
pub(crate) struct Pool {
    pub(crate) route: Arc<Route>,
    pub(crate) party: Party,
    shared: Arc<Shared>,
    of_party: Arc<Semaphore>,
    permits: Arc<Semaphore>,
    // In the order in which they came back: the longest idle first.
    idle: Mutex<Vec<Idle>>,
    // Places whose queries the server does not give up.
    stuck: Arc<AtomicUsize>,
    /// Whether a role may be a superuser.
    may_be_privileged: bool,
    /// By what Sequel's own store is known, as a condition in SQL.
    own_store: String,
}

struct Idle {
    lent: Open,
    since: Instant,
}

/// An open connection with its places under the caps.
pub(crate) struct Open {
    pub(crate) link: Link,
    _all: OwnedSemaphorePermit,
    _of_party: OwnedSemaphorePermit,
}

impl Open {
    fn is_old(&self) -> bool {
        self.link.opened.elapsed() > AGE_MAX
    }
}

/// A connection at work, in an open transaction.
pub(crate) struct Lent {
    pub(crate) open: Open,
    _permit: OwnedSemaphorePermit,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pool({}:{})", self.route.place.host, self.route.place.port)
    }
}

/// A place that is counted as stuck while this lives.
struct Stuck(Arc<AtomicUsize>);

impl Stuck {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Stuck {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pool {
    pub(crate) fn new(route: Arc<Route>, party: &Party, shared: &Arc<Shared>, policy: &Policy) -> Arc<Self> {
        let pool = Arc::new(Self {
            route,
            party: party.clone(),
            shared: Arc::clone(shared),
            of_party: shared.party(party),
            permits: Arc::new(Semaphore::new(policy.connections_per_source.max(1))),
            idle: Mutex::default(),
            stuck: Arc::default(),
            may_be_privileged: policy.privileged_roles,
            own_store: probe::own_store(&policy.refused_relations),
        });
        shared.pools.lock().push(Arc::downgrade(&pool));
        pool
    }

    /// A connection with an open transaction, to which a statement may have been sent along ([`Link::open`]). One that
    /// idled while the server went away is replaced unseen.
    pub(crate) async fn take(
        &self,
        watch: &Watch,
        time: Duration,
        origin: &Origin,
        ahead: Option<&str>,
    ) -> Result<Lent, Halt> {
        let waiting = timeout(CONNECTION_WAIT, Arc::clone(&self.permits).acquire_owned());
        let permit = watch.guard(async { Ok::<_, Fault>(waiting.await) }).await?;
        let permit = match permit {
            Ok(Ok(permit)) => permit,
            Ok(Err(_)) => return Err(Halt::Query(QueryError::Unavailable("the source is closed".into()))),
            Err(_) => return Err(self.busy()),
        };
        while let Some(mut open) = self.take_idle() {
            if open.is_old() || !open.link.wire.is_quiet().await {
                continue;
            }
            match watch.guard(open.link.open(time, origin, ahead)).await {
                Ok(()) => return Ok(Lent { open, _permit: permit }),
                // Nothing was executed, so a fresh connection may be tried.
                Err(Halt::Fault(Fault::Broken(_))) => {}
                Err(Halt::Fault(Fault::Told(told))) if told.is_goodbye() => {}
                Err(halt) => return Err(halt),
            }
        }
        let mut open = watch.guard(self.connect()).await?;
        watch.guard(open.link.open(time, origin, ahead)).await?;
        Ok(Lent { open, _permit: permit })
    }

    fn busy(&self) -> Halt {
        Halt::Query(QueryError::Limit(match self.stuck.load(Ordering::Relaxed) {
            0 => "The data source is busy; try again. Other queries kept all connections to it; send fewer at once.".into(),
            stuck => format!(
                "The data source is busy: {stuck} of its connections are taken by queries that ran into their limit and \
                 that PostgreSQL does not give up. Try again later, or have its administrator look for them."
            ),
        }))
    }

    fn take_idle(&self) -> Option<Open> {
        // The one that came back last: the others may idle long enough to be closed.
        self.idle.lock().pop().map(|idle| idle.lent)
    }

    async fn connect(&self) -> Result<Open, Halt> {
        let of_party = self.place(&self.of_party, Some(&self.party)).await?;
        let all = self.place(&self.shared.all, None).await?;
        let link = Link::new(self.route.enter().await?, Arc::clone(&self.route), &self.own_store);
        if link.said_superuser && !self.may_be_privileged {
            return Err(Fault::Policy(probe::superuser(&self.route.place.user)).into());
        }
        Ok(Open { link, _all: all, _of_party: of_party })
    }

    /// A place under a cap. Whoever idles gives theirs up.
    async fn place(&self, cap: &Arc<Semaphore>, of: Option<&Party>) -> Result<OwnedSemaphorePermit, Halt> {
        if let Ok(place) = Arc::clone(cap).try_acquire_owned() {
            return Ok(place);
        }
        self.shared.make_room(of);
        match timeout(CONNECTION_WAIT, Arc::clone(cap).acquire_owned()).await {
            Ok(Ok(place)) => Ok(place),
            _ => Err(Halt::Query(QueryError::Limit(
                "This server has as many connections to databases open as it may. Try again in a moment."
                    .into(),
            ))),
        }
    }

    /// Ends the exchange on a connection, and keeps it where its session is clean. The place among the source's
    /// queries is free when this returns, unless the server goes on with the query.
    pub(crate) async fn give_back(&self, lent: Lent) {
        let Lent { mut open, _permit: permit } = lent;
        let mut tidying = Box::pin(async move { open.link.tidy().await.then_some(open) });
        match timeout(TIDY_TIME, &mut tidying).await {
            Ok(Some(open)) if !self.permits.is_closed() && !open.is_old() => {
                self.idle.lock().push(Idle { lent: open, since: now() });
            }
            Ok(_) => {}
            Err(_) => {
                tracing::warn!(pool = ?self, "PostgreSQL does not give a query up; its place stays taken until it does");
                let stuck = Stuck::new(&self.stuck);
                tokio::spawn(async move {
                    // Whatever becomes of it, its connection is not used again.
                    drop(timeout(OUTLAST_MAX, tidying).await);
                    drop((permit, stuck));
                });
            }
        }
    }

    /// Closes what is idle; what is at work closes where it ends.
    pub(crate) fn close(&self) {
        let mut idle = self.idle.lock();
        self.permits.close();
        idle.clear();
    }
}
