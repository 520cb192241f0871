//! The connector and its data sources: what callers hold.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use sequel_connector::{
    Configuration, Connector, DataSource, Declaration, Dialect, Egress, Intake, OpenError, Origin, Party,
    PlainStatement, Plan, Profile, ProfileAsk, Query, QueryError, Rows, Schema, SchemaAsk, bounded_columns,
    plain_postgres, profile_by_queries, row_channel,
};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::connect::Route;
use crate::functions::Known;
use crate::link::{Described, Link};
use crate::place::{DECLARATION, Place};
use crate::plan::EXPLAIN;
use crate::pool::{Pool, Shared};
use crate::pump::{Halt, Watch};
use crate::threads::Threads;
use crate::{probe, pump, tls, types};

/// How long a sign of life, and what is asked when a source is opened, may take.
const OWN_TIME: Duration = Duration::from_secs(5);
/// Most types of a database whose names are remembered.
const TYPES_MAX: usize = 10_000;

/// What the operator allows for PostgreSQL.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Where connections may go.
    pub egress: Egress,
    /// Connections to one source at most.
    pub connections_per_source: usize,
    /// Connections over all sources at most.
    pub connections_max: usize,
    /// Whether superusers and members of `pg_*` roles are taken.
    pub privileged_roles: bool,
    /// Whether glances into tables may bring values back, where a source does not say no itself.
    pub samples: bool,
    /// A database that has all of these relations is refused: the server's own store has them.
    pub refused_relations: Vec<String>,
}

impl Default for Policy {
    /// Public addresses alone, four connections to a source and 200 in all, plain roles, sample values.
    fn default() -> Self {
        Self {
            egress: Egress::default(),
            connections_per_source: 4,
            connections_max: 200,
            privileged_roles: false,
            samples: true,
            refused_relations: Vec::new(),
        }
    }
}

/// The factory for PostgreSQL databases.
#[derive(Debug)]
pub struct PostgresConnector {
    policy: Policy,
    egress: Arc<Egress>,
    shared: Arc<Shared>,
    threads: Threads,
}

impl PostgresConnector {
    /// With the operator's policy. Starts threads of its own; an error says that the system gives none.
    pub fn new(policy: Policy) -> std::io::Result<Self> {
        let threads = Threads::start()?;
        let shared = Shared::new(policy.connections_max);
        threads.handle().spawn(Shared::sweep(Arc::downgrade(&shared)));
        Ok(Self { egress: Arc::new(policy.egress.clone()), policy, shared, threads })
    }
}

#[async_trait]
impl Connector for PostgresConnector {
    fn declaration(&self) -> &'static Declaration {
        &DECLARATION
    }

    async fn check(&self, given: &Configuration) -> Result<Configuration, OpenError> {
        let place = Place::read(given)?;
        // An address says already where it leads; a name is resolved when it is connected to.
        if let Ok(address) = place.host.parse() {
            self.egress.check(address).map_err(OpenError::Policy)?;
        }
        // Certificates that cannot be read are found out now.
        let canonical = place.canonical();
        let checked = self.threads.handle().spawn_blocking(move || tls::config(&place)).await;
        match checked {
            Ok(Ok(_)) => Ok(canonical),
            Ok(Err(fault)) => Err(fault.on_opening()),
            Err(error) => Err(OpenError::Unavailable(Box::new(error))),
        }
    }

    async fn open(&self, given: &Configuration, party: &Party) -> Result<Arc<dyn DataSource>, OpenError> {
        let place = Place::read(given)?;
        let (policy, egress, shared) =
            (self.policy.clone(), Arc::clone(&self.egress), Arc::clone(&self.shared));
        let (threads, party) = (self.threads.clone(), party.clone());
        let opening = async move {
            let samples = place.samples && policy.samples;
            let loaded =
                tokio::task::spawn_blocking(move || tls::config(&place).map(|tls| (place, tls))).await;
            let (place, tls) = loaded
                .map_err(|error| OpenError::Unavailable(Box::new(error)))?
                .map_err(|fault| fault.on_opening())?;
            let route = Arc::new(Route { place, egress, tls });
            let pool = Pool::new(route, &party, &shared, &policy);
            let warnings = Mutex::new(probed(&pool, &policy).await.map_err(Halt::on_opening)?);
            let (known, types) = (Known::default(), Mutex::default());
            let inner = Arc::new(Inner { pool, policy, known, types, warnings });
            Ok(PostgresSource { inner, threads, samples })
        };
        // Dropping this future lets the opening go on to its end, which is bounded by its own time.
        let opened = self.threads.handle().spawn(opening).await;
        Ok(Arc::new(opened.unwrap_or_else(|error| Err(OpenError::Unavailable(Box::new(error))))?))
    }
}

/// Makes a connection and judges the role behind it.
async fn probed(pool: &Pool, policy: &Policy) -> Result<Vec<String>, Halt> {
    let watch = Watch::new(CancellationToken::new(), OWN_TIME);
    let mut lent = pool.take_fresh(&watch, OWN_TIME).await?;
    let asked = watch.guard(probe::ask(&mut lent.open.link)).await;
    pool.give_back(lent).await;
    asked?.judge(&pool.route.place.user, policy.privileged_roles).map_err(Halt::Shut)
}

/// One open database.
struct PostgresSource {
    inner: Arc<Inner>,
    threads: Threads,
    samples: bool,
}

/// What its queries share.
struct Inner {
    pool: Arc<Pool>,
    policy: Policy,
    /// What the last look at the role found.
    warnings: Mutex<Vec<String>>,
    known: Known,
    // Names of types that PostgreSQL does not bring along.
    types: Mutex<HashMap<u32, String>>,
}

impl Drop for PostgresSource {
    fn drop(&mut self) {
        // Sockets that close wait for nothing.
        self.inner.pool.close();
    }
}

#[async_trait]
impl DataSource for PostgresSource {
    async fn query(&self, query: Query) -> Result<Rows, QueryError> {
        self.start(query, Kind::Rows).await
    }

    async fn schema(&self, ask: SchemaAsk) -> Result<Schema, QueryError> {
        self.read(ask).await
    }

    async fn explain(&self, query: Query) -> Result<Plan, QueryError> {
        let rows = self.start(query, Kind::Plan).await?;
        crate::plan::read(rows).await
    }

    async fn profile(&self, ask: ProfileAsk) -> Result<Profile, QueryError> {
        let ask = ProfileAsk { samples: ask.samples.filter(|_| self.samples), ..ask };
        profile_by_queries(self, &ask).await
    }

    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    fn warnings(&self) -> Vec<String> {
        self.inner.warnings.lock().clone()
    }

    async fn ping(&self) -> Result<(), QueryError> {
        // As at the opening: connections that are open tell neither whether the settings still hold nor what the role may
        // do by now.
        let inner = Arc::clone(&self.inner);
        let looking = self.threads.handle().spawn(async move {
            let warnings = probed(&inner.pool, &inner.policy).await.map_err(|halt| halt.on_query("", 0))?;
            *inner.warnings.lock() = warnings;
            Ok(())
        });
        looking.await.unwrap_or_else(|error| Err(QueryError::Unavailable(Box::new(error))))
    }
}

/// What is asked about a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rows,
    Plan,
}

impl PostgresSource {
    /// Starts a statement, or the explanation of one, under its limits.
    async fn start(&self, query: Query, kind: Kind) -> Result<Rows, QueryError> {
        // The source's own limit is the lower one or means nothing.
        let time = self
            .inner
            .pool
            .route
            .place
            .statement_timeout
            .map_or(query.limits.time, |time| time.min(query.limits.time));
        // Its own token: dropping the rows, or this future, must not cancel what else the caller's covers.
        let watch = Watch::new(query.cancel.child_token(), time);
        let unless_taken = watch.stop.clone().drop_guard();
        let (answer, answered) = oneshot::channel();
        let inner = Arc::clone(&self.inner);
        self.threads.handle().spawn(async move { inner.answer(query, kind, watch, answer).await });
        let rows = answered
            .await
            .unwrap_or_else(|_| Err(QueryError::Unavailable("the query's task panicked".into())))?;
        // From here on the rows hold the guard.
        unless_taken.disarm();
        Ok(rows)
    }

    /// Reads the schema; dropping the future stops it.
    async fn read(&self, ask: SchemaAsk) -> Result<Schema, QueryError> {
        let watch = Watch::new(ask.cancel.child_token(), ask.time);
        let _unless_done = watch.stop.clone().drop_guard();
        let inner = Arc::clone(&self.inner);
        let working = self.threads.handle().spawn(async move {
            let mut lent = inner.pool.take(&watch, watch.left(), &Origin::default(), None).await?;
            let schemas = &inner.pool.route.place.schemas;
            let done = watch.guard(crate::schema::read(&mut lent.open.link, schemas, &ask)).await;
            inner.pool.give_back(lent).await;
            done
        });
        match working.await {
            Ok(done) => done.map_err(|halt| halt.on_query("", 0)),
            Err(error) => Err(QueryError::Unavailable(Box::new(error))),
        }
    }
}

type Answer = oneshot::Sender<Result<Rows, QueryError>>;

impl Inner {
    /// From guard to last row.
    async fn answer(&self, query: Query, kind: Kind, watch: Watch, answer: Answer) {
        let statement = match plain_postgres(&query.sql, kind == Kind::Rows) {
            Ok(statement) => statement,
            Err(error) => {
                // Nobody waits for an answer that cannot be sent.
                let _ = answer.send(Err(error));
                return;
            }
        };
        let sent = Sent::new(&statement, &query.origin, kind);
        let told = |halt: Halt| halt.on_query(&sent.read, sent.before);
        // What is not known to be harmless is looked up before the server reads the statement.
        let ahead = self.known.holds(&statement.unknown).then_some(sent.text.as_str());
        let mut lent = match self.pool.take(&watch, watch.left(), &query.origin, ahead).await {
            Ok(lent) => lent,
            Err(halt) => {
                let _ = answer.send(Err(told(halt)));
                return;
            }
        };
        query.course.connected(watch.used());
        let link = &mut lent.open.link;
        let described = match ahead {
            Some(_) => watch.guard(link.prepared()).await,
            None => self.checked(link, &statement, &sent, &watch).await,
        };
        let prepared = match described {
            Ok(described) => self.start(link, described, &query, &sent, &watch).await,
            Err(halt) => Err(halt),
        };
        let (columns, shapes, intake) = match prepared {
            Ok(prepared) => prepared,
            Err(halt) => {
                let _ = answer.send(Err(told(halt)));
                self.pool.give_back(lent).await;
                return;
            }
        };
        let (sender, rows) = row_channel(columns, watch.stop.clone());
        // A caller that is gone drops the rows here, which cancels the token.
        let _ = answer.send(Ok(rows));
        let ended = pump::run(&mut lent.open.link, &shapes, intake, &watch, &sender).await;
        // The answer is complete; the reader need not wait until the session is clean.
        tokio::join!(sender.end(ended.map_err(told)), self.pool.give_back(lent));
    }

    /// The columns of a statement whose functions have to be looked up first.
    async fn checked(
        &self,
        link: &mut Link,
        statement: &PlainStatement,
        sent: &Sent,
        watch: &Watch,
    ) -> Result<Vec<Described>, Halt> {
        self.known.check(link, &statement.unknown, watch).await?;
        watch.guard(link.prepare(&sent.text)).await
    }

    /// Everything else before the first row: columns, types, and the start.
    async fn start(
        &self,
        link: &mut Link,
        mut described: Vec<Described>,
        query: &Query,
        sent: &Sent,
        watch: &Watch,
    ) -> Result<(Vec<sequel_connector::Column>, Vec<types::Shape>, Intake), Halt> {
        // More columns than may be shown need no names.
        if described.len() <= query.limits.columns as usize
            && self.learn_types(link, &described, watch).await?
        {
            described = watch.guard(link.prepare(&sent.text)).await?;
        }
        let names: Vec<_> = described.iter().map(|column| self.type_name(column)).collect();
        let named = described.iter().zip(&names).map(|(column, name)| (column.name.as_str(), name.as_str()));
        let columns = bounded_columns(described.len(), named, query.limits).map_err(Halt::Query)?;
        query.course.accepted();
        watch.guard(link.execute_last()).await?;
        let shapes = described.iter().map(|column| types::shape(column.type_oid)).collect();
        Ok((columns, shapes, Intake::new(described.len(), query.limits)))
    }

    /// Asks what types are called that are not known yet. True where something was asked.
    async fn learn_types(&self, link: &mut Link, columns: &[Described], watch: &Watch) -> Result<bool, Halt> {
        let mut unknown: Vec<u32> = {
            let types = self.types.lock();
            let is_known = |column: &&Described| {
                types::known_name(column.type_oid, column.modifier).is_some()
                    || types.contains_key(&column.type_oid)
            };
            columns.iter().filter(|column| !is_known(column)).map(|column| column.type_oid).collect()
        };
        if unknown.is_empty() {
            return Ok(false);
        }
        unknown.sort_unstable();
        unknown.dedup();
        let list: Vec<_> = unknown.iter().map(u32::to_string).collect();
        let sql = format!(
            "SELECT t.oid, pg_catalog.format_type(t.oid, NULL) FROM pg_catalog.pg_type t WHERE t.oid IN ({})",
            list.join(", ")
        );
        let rows = watch.guard(link.rows(&sql)).await?;
        let mut types = self.types.lock();
        if types.len() + unknown.len() > TYPES_MAX {
            types.clear();
        }
        // What has no name now is asked for no more.
        types.extend(unknown.into_iter().map(|oid| (oid, String::new())));
        for row in rows {
            if let [Some(oid), Some(name)] = &row[..]
                && let Ok(oid) = oid.parse()
            {
                types.insert(oid, name.clone());
            }
        }
        Ok(true)
    }

    fn type_name(&self, column: &Described) -> String {
        types::known_name(column.type_oid, column.modifier)
            .or_else(|| self.types.lock().get(&column.type_oid).cloned())
            .unwrap_or_default()
    }
}

/// A statement as it goes to the server.
struct Sent {
    text: String,
    /// The part of it that its author wrote, and the characters before that.
    read: String,
    before: usize,
}

impl Sent {
    fn new(statement: &PlainStatement, origin: &Origin, kind: Kind) -> Self {
        // The guard passes over empty statements, which cannot be explained.
        let skipped = |char: char| char.is_whitespace() || char == ';';
        let read = match kind {
            Kind::Rows => statement.sql.clone(),
            Kind::Plan => statement.sql.trim_start_matches(skipped).to_owned(),
        };
        let mut text = if origin.is_empty() { String::new() } else { format!("/* sequel {origin} */ ") };
        if kind == Kind::Plan {
            text.push_str(EXPLAIN);
        }
        let before = text.chars().count();
        text.push_str(&read);
        Self { text, read, before }
    }
}
