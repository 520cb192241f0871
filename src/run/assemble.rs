//! From a configuration to the parts that a server, the demo and an embedded command share.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use actix_rt::Arbiter;
use anyhow::Context as _;
use sequel_store::{Holder, Standing, Store};

use super::metered::Metered;
use crate::api;
use crate::backends;
use crate::backup::Exporter;
use crate::config::{self, Config};
use crate::context::Context;
use crate::flow::{OAuth, OAuthSettings, People, PeopleParts, PeopleState, SignInLimits};
use crate::http::api::Admin;
use crate::http::{Challenge, Dashboard, Edge, FirstCalls, Hosts, Once, Peers, StreamTimes};
use crate::mail::{Post, Relay};
use crate::mcp::ServerFacts;
use crate::metrics::Metrics;
use crate::org::audit::Via;
use crate::org::queries::{Kept, QueryLogLimits};
use crate::org::{OpenSources, Registry, RegistryLimits, RegistryParts, Retention};
use crate::sweep::Sweeper;
use crate::system::cookie::SessionCookie;
use crate::system::hashing::{Cost, Hasher};
use crate::system::sessions::Lifetimes;
use crate::system::whole::WholeStore;
use crate::system::{Clients, Memberships, OrgIndex, Sessions, Users};
use crate::tools::{QueryPolicy, Tools};
use crate::vault::{KeySource, Vault};

/// How long opening and asking a data source may take when an operator tests it.
const SOURCE_TEST_TIMEOUT: Duration = Duration::from_secs(20);
/// How often it is asked whether another process has the store: what that costs is one load of a number.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long a request's body may take; 1 MiB at 35 kB/s.
pub(super) const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// The running inside of Sequel, without HTTP.
pub(super) struct Inside {
    pub(super) registry: Registry,
    pub(super) index: OrgIndex,
    pub(super) people: People,
    pub(super) oauth: OAuth,
    pub(super) context: Context,
    pub(super) metrics: Metrics,
    arbiters: Vec<Arbiter>,
    // Dropped last, on a thread that may block: closing checkpoints the store and gives the lock back.
    store: Arc<dyn Store>,
}

impl Inside {
    /// Opens the store and builds the registry. Inside an actix system; blocks while the store opens.
    /// Refuses a store that something began to fill and did not finish.
    pub(super) async fn open(config: &Config, holder: Holder) -> anyhow::Result<Self> {
        let context = Context::system();
        let metrics = Metrics::new(context.clock.clone());
        let store = backends::open_store(config, holder)?;
        let store: Arc<dyn Store> = Arc::new(Metered::new(store, metrics.clone()));
        if let Some(unfinished) = WholeStore::new(Arc::clone(&store)).unfinished().await? {
            anyhow::bail!("{unfinished}");
        }
        // Under the store's lock: of two first starts one makes the key.
        let vault = Arc::new(Vault::open(key_source(config), &context.rng)?);
        let connectors = backends::connectors(config).context("the connectors' threads cannot be started")?;
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let arbiters: Vec<Arbiter> = (0..threads).map(|_| Arbiter::new()).collect();
        let registry = Registry::new(RegistryParts {
            store: Arc::clone(&store),
            context: context.clone(),
            open: OpenSources::new(connectors, context.clock.clone(), vault, config.sources.open_max),
            arbiters: arbiters.iter().map(Arbiter::handle).collect(),
            limits: registry_limits(config),
            metrics: metrics.clone(),
        });
        let index = OrgIndex::new(Arc::clone(&store), context.rng.clone());
        let people = people(config, &store, (registry.clone(), index.clone()), &context)?;
        let clients = Clients::new(Arc::clone(&store), context.clone());
        let oauth = OAuth::new(people.clone(), clients, oauth_settings(config), metrics.clone());
        Ok(Self { registry, index, people, oauth, context, metrics, arbiters, store })
    }

    /// What the administration's handlers share. `bound` is `None` where nothing is served.
    pub(super) fn admin(&self, config: &Config, bound: Option<SocketAddr>) -> Admin {
        Admin {
            via: if bound.is_some() { Via::AdminSocket } else { Via::Command },
            registry: self.registry.clone(),
            index: self.index.clone(),
            people: self.people.clone(),
            exporter: Exporter::new(Arc::clone(&self.store), self.context.clock.clone()),
            context: self.context.clone(),
            rotate_overlap: config.keys.rotate_overlap(),
            rotate_overlap_max: config.keys.rotate_overlap_max(),
            delete_grace: config.orgs.delete_grace(),
            test_timeout: SOURCE_TEST_TIMEOUT,
            server: api::Server {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                mcp_url: bound.map(|bound| config.mcp_url(bound)),
                listen: bound.map(|bound| bound.to_string()),
                data_dir: config.data_dir.to_string_lossy().into_owned(),
                pid: std::process::id(),
                clock_drift_ms: 0,
            },
        }
    }

    /// What the public server's handlers share.
    pub(super) fn edge(&self, config: &Config, bound: SocketAddr, ready: Arc<AtomicBool>) -> Edge {
        let public_url = config.public_url(bound);
        let (hosts, origins) = (&config.server.allowed_hosts, &config.server.allowed_origins);
        Edge {
            registry: self.registry.clone(),
            tools: Tools {
                context: self.context.clone(),
                query: query_policy(config),
                metrics: self.metrics.clone(),
                injected: None,
            },
            metrics: self.metrics.clone(),
            facts: ServerFacts::sequel(),
            hosts: Hosts::new(&public_url, bound, hosts, origins),
            challenge: Challenge::new(&public_url),
            mcp_url: config.mcp_url(bound),
            oauth: self.oauth.clone(),
            peers: Peers::new(config.server.trusted_proxies.clone()),
            body_max_bytes: config.server.body_max_bytes,
            body_timeout: BODY_TIMEOUT,
            streams: StreamTimes {
                longest: config.streams.longest(),
                keep_alive: config.streams.keep_alive(),
            },
            dashboard: Dashboard {
                people: self.people.clone(),
                cookie: SessionCookie::of(&public_url),
                once: Once::new(self.context.clock.clone(), self.context.rng.clone()),
                once_org: Once::new(self.context.clock.clone(), self.context.rng.clone()),
                first_calls: FirstCalls::default(),
                only_from_here: public_url.starts_with("http://")
                    && config.auth.plain_http == config::PlainHttp::Never,
                host: host_of(&public_url),
                rotate_overlap_max: config.keys.rotate_overlap_max(),
                delete_grace: config.orgs.delete_grace(),
                test_timeout: SOURCE_TEST_TIMEOUT,
                audit_days: config.audit.days,
                query_days: (config.audit.queries != config::Queries::Never)
                    .then_some(config.audit.queries_days),
            },
            ready,
        }
    }

    /// Whether another process has the store now, for good.
    pub(super) fn is_succeeded(&self) -> bool {
        self.store.fence().standing() == Standing::Lost
    }

    /// Ends when that is so.
    pub(super) async fn succeeded(&self) {
        while !self.is_succeeded() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// What happens on a timer.
    pub(super) fn sweeper(&self, config: &Config) -> Sweeper {
        Sweeper {
            registry: self.registry.clone(),
            index: self.index.clone(),
            people: self.people.clone(),
            oauth: self.oauth.clone(),
            context: self.context.clone(),
            retention: Retention {
                audit_days: config.audit.days,
                audit_entries_max: config.audit.entries_max,
                usage_days: config.usage.days,
                query_days: config.audit.queries_days,
            },
        }
    }

    /// Lets go of everything and closes the store.
    pub(super) async fn close(self) {
        self.registry.shut_down().await;
        for arbiter in self.arbiters {
            arbiter.stop();
            // Its actors are gone already; joining only waits for the thread to notice.
            let _ = tokio::task::spawn_blocking(move || arbiter.join()).await;
        }
        drop((self.registry, self.index, self.people, self.oauth));
        let _ = tokio::task::spawn_blocking(move || drop(self.store)).await;
    }
}

/// Host and port of the public URL, as people read them in the bar of their browser.
fn host_of(public_url: &str) -> String {
    let url = url::Url::parse(public_url).ok();
    let host = url.as_ref().and_then(|url| Some((url.host()?.to_string(), url.port())));
    match host {
        Some((host, Some(port))) => format!("{host}:{port}"),
        Some((host, None)) => host,
        None => public_url.to_owned(),
    }
}

/// What the flows about people work on.
fn people(
    config: &Config,
    store: &Arc<dyn Store>,
    (registry, index): (Registry, OrgIndex),
    context: &Context,
) -> anyhow::Result<People> {
    let (context, rng) = (context.clone(), context.rng.clone());
    let users = Users::new(Arc::clone(store), rng.clone());
    let lifetimes = Lifetimes { idle: config.sessions.idle(), absolute: config.sessions.absolute() };
    let config::Passwords { memory_kib, iterations, parallelism, at_once } = config.passwords;
    let cost = Cost { memory_kib, iterations, parallelism, at_once };
    let limits = SignInLimits {
        per_account: config.auth.sign_ins_per_minute_per_account,
        per_source: config.auth.sign_ins_per_minute_per_source,
    };
    Ok(People::new(PeopleParts {
        registry,
        index,
        sessions: Sessions::new(Arc::clone(store), users.clone(), context.clone(), lifetimes),
        memberships: Memberships::new(Arc::clone(store), rng.clone()),
        hasher: Hasher::new(cost, rng).context("[passwords] makes no hash")?,
        post: post(&config.mail)?,
        // Where it is not configured, what the server listens on is the best that is known.
        public_url: config.public_url(config.server.listen),
        state: PeopleState::new(limits, config.limits.requests_per_minute_per_person),
        users,
        context,
    }))
}

/// How OAuth is set up.
fn oauth_settings(config: &Config) -> OAuthSettings {
    let oauth = &config.oauth;
    OAuthSettings {
        enabled: oauth.apps == config::Apps::Allowed,
        access: oauth.access(),
        refresh: oauth.refresh(),
        replay: oauth.replay(),
        code: oauth.code(),
        clients_max: oauth.clients_max,
        client_unused: oauth.client_unused(),
        registrations_per_minute_per_source: oauth.registrations_per_minute_per_source,
    }
}

/// The relay that letters go through, where one is configured.
fn post(mail: &config::Mail) -> anyhow::Result<Option<Arc<dyn Post>>> {
    if mail.url.is_empty() {
        return Ok(None);
    }
    let password = match mail.password_file.as_os_str().is_empty() {
        true => None,
        false => {
            let text = std::fs::read_to_string(&mail.password_file);
            let text = text.with_context(|| {
                format!("mail.password_file {} cannot be read", mail.password_file.display())
            })?;
            Some(text.trim_end_matches(['\r', '\n']).to_owned())
        }
    };
    Ok(Some(Arc::new(Relay::new(&mail.url, password, &mail.from)?)))
}

/// Where the master key is.
fn key_source(config: &Config) -> KeySource {
    let secrets = &config.secrets;
    match secrets.key.expose().as_str() {
        "" => KeySource::File(secrets.file(&config.data_dir)),
        key => KeySource::Given { key: key.to_owned(), former: secrets.former_keys.expose().clone() },
    }
}

/// The registry's limits as the operator configured them.
pub fn registry_limits(config: &Config) -> RegistryLimits {
    RegistryLimits {
        active_max: config.orgs.active_max,
        idle: config.orgs.idle(),
        asks_max: config.orgs.asks_max,
        ask_timeout: config.orgs.ask_timeout(),
        keys_max: config.orgs.keys_max,
        sources_max: config.orgs.sources_max,
        calls_per_org: config.query.concurrent_per_org,
        calls_per_key: config.query.concurrent_per_key,
        streams_per_org: config.streams.per_org,
        streams_per_key: config.streams.per_key,
        failures_per_minute: config.auth.failures_per_minute,
        requests_per_minute_per_key: config.limits.requests_per_minute_per_key,
        requests_per_minute_per_org: config.limits.requests_per_minute_per_org,
        key_creations_per_minute: config.limits.key_creations_per_minute,
        queries: QueryLogLimits {
            kept: match config.audit.queries {
                config::Queries::Shape => Kept::Shape,
                config::Queries::Numbers => Kept::Numbers,
                config::Queries::Never => Kept::Nothing,
            },
            entries_max: config.audit.queries_max,
            waiting_max: config.audit.queries_waiting_max,
        },
    }
}

fn query_policy(config: &Config) -> QueryPolicy {
    let rows = |rows: u64| u32::try_from(rows).unwrap_or(u32::MAX);
    QueryPolicy {
        rows_default: rows(config.query.rows_default),
        rows_max: rows(config.query.rows_max),
        bytes_max: config.query.bytes_max,
        cell_bytes_max: config.query.cell_bytes_max,
        columns_max: config.query.columns_max,
        time_max: config.query.time_max(),
    }
}
