//! The few connections that one source shares among its calls, and the cap over all of them.
//!
//! A connection is lent for one exchange, and comes back only when the server has said that its session is clean.
//! Connections that idle give way to those that somebody waits for, whosever source they are of.
//!
//! **Invariant:** over all sources at most `connections_max` connections are open, and one party holds at most three
//! quarters of them (`one_party_leaves_connections_to_others`); a query that the server does not give up is counted until
//! it ends (`a_query_that_the_server_does_not_give_up_keeps_its_place`).

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use sequel_connector::{Origin, Party, QueryError, Said, words};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::connect::{CONNECT_TIME, Route};
use crate::fault::Fault;
use crate::link::{Link, TIDY_TIME};
use crate::probe;
use crate::pump::{Halt, Watch};
use crate::source::Policy;
use crate::threads::now;

/// How long a query waits for a connection. Longer than most queries take, and short enough that a source whose
/// connections are all held is found out before a client gives up.
const CONNECTION_WAIT: Duration = Duration::from_secs(5);
/// How long a connection that idled may take to open a transaction, which takes a server no time. Past it the connection
/// was forgotten on the way, by a firewall or by a server that has lost its power.
const IDLE_ANSWER: Duration = Duration::from_secs(2);
/// How long a query insists on a connection of its own making before it takes one that is given back meanwhile.
const SLOW_CONNECT: Duration = Duration::from_millis(500);
/// How long a connection stays open without work.
const IDLE_MAX: Duration = Duration::from_secs(120);
/// How long a connection is used at most: a role that lost its rights or a certificate that was exchanged is seen then.
const AGE_MAX: Duration = Duration::from_secs(1_800);
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
            sleep(SWEEP_EVERY).await;
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
    connections_max: usize,
    /// Somebody gave a connection back.
    returned: Notify,
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
        let connections_max = policy.connections_per_source.max(1);
        let pool = Arc::new(Self {
            route,
            party: party.clone(),
            shared: Arc::clone(shared),
            of_party: shared.party(party),
            permits: Arc::new(Semaphore::new(connections_max)),
            connections_max,
            returned: Notify::new(),
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
        let until = now() + CONNECTION_WAIT;
        let permit = self.permit(watch, until).await?;
        loop {
            while let Some(mut open) = self.take_idle() {
                if open.is_old() || !open.link.wire.is_quiet().await {
                    continue;
                }
                let opening = timeout(IDLE_ANSWER, open.link.open(time, origin, ahead));
                match watch.guard(async { Ok::<_, Fault>(opening.await) }).await? {
                    Ok(Ok(())) => return Ok(Lent { open, _permit: permit }),
                    // Nothing was executed, so another connection may be tried.
                    Ok(Err(Fault::Broken(_))) => {}
                    Ok(Err(Fault::Told(told))) if told.is_goodbye() => {}
                    Ok(Err(fault)) => return Err(fault.into()),
                    // Forgotten on the way, and so are the others that went the same way.
                    Err(_) => self.idle.lock().clear(),
                }
            }
            let fresh = tokio::select! {
                biased;
                fresh = watch.guard(self.begun(time, origin, ahead)) => fresh,
                // Where that takes long, one of the source's own may be sooner.
                () = async { sleep(SLOW_CONNECT).await; self.returned.notified().await } => {
                    if now() < until { continue } else { return Err(self.busy()) }
                }
            };
            match fresh {
                Ok(open) => return Ok(Lent { open, _permit: permit }),
                // The server takes no more, but the source has some.
                Err(Halt::Shut(Fault::Told(told))) if told.is_full() && self.has_others() => {
                    let waiting = timeout_at(until, self.returned.notified());
                    if watch.guard(async { Ok::<_, Fault>(waiting.await) }).await?.is_err() {
                        return Err(self.busy());
                    }
                }
                Err(halt) => return Err(halt),
            }
        }
    }

    /// A connection that was made just now, in the place of one that idles: whether we would be let in.
    pub(crate) async fn take_fresh(&self, watch: &Watch, time: Duration) -> Result<Lent, Halt> {
        let permit = self.permit(watch, now() + CONNECTION_WAIT).await?;
        drop(self.take_idle());
        Ok(Lent { open: watch.guard(self.begun(time, &Origin::default(), None)).await?, _permit: permit })
    }

    /// A connection that is made now, with an open transaction. A pooler lets everybody in, and then keeps them waiting
    /// until it has a connection of its own to spare.
    async fn begun(&self, time: Duration, origin: &Origin, ahead: Option<&str>) -> Result<Open, Halt> {
        let mut open = self.connect().await?;
        match timeout(CONNECT_TIME, open.link.open(time, origin, ahead)).await {
            Ok(opened) => opened.map(|()| open).map_err(Halt::Fault),
            Err(_) if self.has_others() => Err(self.busy()),
            Err(_) => {
                let why = "the server let us in and does not begin a transaction";
                Err(Halt::Shut(io::Error::new(io::ErrorKind::TimedOut, why).into()))
            }
        }
    }

    /// A place among the source's queries.
    async fn permit(&self, watch: &Watch, until: Instant) -> Result<OwnedSemaphorePermit, Halt> {
        let waiting = timeout_at(until, Arc::clone(&self.permits).acquire_owned());
        match watch.guard(async { Ok::<_, Fault>(waiting.await) }).await? {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) => Err(Halt::Query(QueryError::Unavailable("the source is closed".into()))),
            Err(_) => Err(self.busy()),
        }
    }

    /// Whether connections of this source are at work besides the caller's own place.
    fn has_others(&self) -> bool {
        self.permits.available_permits() + 1 < self.connections_max
    }

    fn busy(&self) -> Halt {
        let said: String = match self.stuck.load(Ordering::Relaxed) {
            0 => "The data source is busy; try again. Other queries kept all connections to it; send fewer at once.".into(),
            stuck => format!(
                "The data source is busy: {stuck} of its connections are taken by queries that ran into their limit and \
                 that PostgreSQL does not give up. Try again later, or have its administrator look for them."
            ),
        };
        Halt::Query(QueryError::Limit(Said::new(words::BUSY, said)))
    }

    fn take_idle(&self) -> Option<Open> {
        // The one that came back last: the others may idle long enough to be closed.
        self.idle.lock().pop().map(|idle| idle.lent)
    }

    async fn connect(&self) -> Result<Open, Halt> {
        let of_party = self.place(&self.of_party, Some(&self.party)).await?;
        let all = self.place(&self.shared.all, None).await?;
        let entered = self.route.enter().await.map_err(Halt::Shut)?;
        let link = Link::new(entered, Arc::clone(&self.route), &self.own_store);
        if link.said_superuser && !self.may_be_privileged {
            return Err(Halt::Shut(Fault::Policy(probe::superuser(&self.route.place.user))));
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
            _ => Err(Halt::Query(QueryError::Limit(Said::new(
                words::BUSY,
                "This server has as many connections to databases open as it may. Try again in a moment.",
            )))),
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
            Ok(over) => drop(over),
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
        self.returned.notify_one();
    }

    /// Closes what is idle; what is at work closes where it ends.
    pub(crate) fn close(&self) {
        let mut idle = self.idle.lock();
        self.permits.close();
        idle.clear();
    }
}
