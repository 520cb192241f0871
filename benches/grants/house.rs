//! Organizations with an authorized app each, over one store, and what is asked of them.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_rt::Arbiter;
use anyhow::{Context as _, anyhow, ensure};
use futures_util::future::try_join_all;
use sequel::config::Config;
use sequel::context::Context;
use sequel::credential::refresh::RefreshToken;
use sequel::credential::{Credential, OrgId};
use sequel::flow::create_org::create_org;
use sequel::flow::members::add_member;
use sequel::flow::{
    OAuth, OAuthSettings, People, PeopleParts, PeopleState, SignInLimits, consent, redeem, register, users,
};
use sequel::metrics::Metrics;
use sequel::oauth::token::Header;
use sequel::org::audit::Author;
use sequel::org::keys::NewKey;
use sequel::org::permission::Role;
use sequel::org::{Admission, OpenSources, Person, Registry, RegistryLimits, RegistryParts};
use sequel::system::hashing::{Cost, Hasher};
use sequel::system::sessions::Lifetimes;
use sequel::system::{Clients, Memberships, OrgIndex, Sessions, Users};
use sequel_store::Store;

const URL: &str = "https://sequel.example";
const REDIRECT: &str = "http://127.0.0.1/cb";
const CLIENT: &str = r#"{"client_name":"A client","redirect_uris":["http://127.0.0.1/cb"]}"#;
/// RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const COOKIE: &str = "a session";

/// A server's inside with busy apps.
pub(crate) struct House {
    registry: Registry,
    oauth: OAuth,
    apps: Vec<Grant>,
    key: String,
    arbiters: Vec<Arbiter>,
}

/// An app of one organization.
struct Grant {
    client: String,
    refresh: String,
    access: String,
}

/// Nanoseconds of one verification.
pub(crate) struct Verified {
    pub(crate) token: f64,
    pub(crate) key: f64,
}

impl House {
    /// With so many organizations.
    pub(crate) async fn build(store: Arc<dyn Store>, orgs: usize, replay: Duration) -> anyhow::Result<Self> {
        let context = Context::system();
        let arbiters = vec![Arbiter::new(), Arbiter::new()];
        let metrics = Metrics::new(context.clock.clone());
        let connectors = sequel::backends::connectors(&Config::default())?;
        let vault = Arc::new(sequel::vault::Vault::fleeting(&context.rng)?);
        let registry = Registry::new(RegistryParts {
            store: Arc::clone(&store),
            context: context.clone(),
            open: OpenSources::new(connectors, context.clock.clone(), vault, 1),
            arbiters: arbiters.iter().map(Arbiter::handle).collect(),
            limits: RegistryLimits {
                active_max: orgs.max(1_000),
                requests_per_minute_per_key: 0,
                requests_per_minute_per_org: 0,
                ..sequel::run::registry_limits(&Config::default())
            },
            metrics: metrics.clone(),
        });
        let people = people(&store, &registry, &context)?;
        people.listens_at(URL.to_owned());
        let oauth = OAuth::new(people, Clients::new(store, context), settings(replay), metrics);
        let mut house =
            Self { registry, oauth, apps: Vec::with_capacity(orgs), key: String::new(), arbiters };
        for number in 0..orgs {
            let (org, person) = house.org(&format!("{number} {replay:?}")).await?;
            let app = house.authorize(org, &person).await?;
            house.apps.push(app);
        }
        Ok(house)
    }

    async fn org(&mut self, name: &str) -> anyhow::Result<(OrgId, Person)> {
        let people = self.oauth.people();
        let author = Author::sequel();
        let (id, _) = create_org(&people.registry, &people.index, &people.context, &author, name).await?;
        let org = self.registry.resolve(id).await?;
        let email = format!("{}@example.com", name.replace(' ', "-"));
        let (user, record, _) = users::create(people, &author, &email, "Somebody").await?;
        add_member(people, &org, (user, &record), Role::Owner).await?;
        if self.key.is_empty() {
            let new = NewKey { name: "k".into(), expires_at: None, sources: None, made_for: None };
            self.key = org.create_key(new).await?.plain.reveal().to_owned();
        }
        Ok((id, Person { user, email, address: None }))
    }

    async fn authorize(&self, org: OrgId, person: &Person) -> anyhow::Result<Grant> {
        let oauth = &self.oauth;
        let client =
            register::register(oauth, register::turn(oauth, None)?, CLIENT.as_bytes()).await?.id.to_string();
        let asked = pairs(&[
            ("response_type", "code"),
            ("client_id", &client),
            ("redirect_uri", REDIRECT),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ]);
        let checked = consent::check(oauth, &asked).await.map_err(|error| anyhow!("{error:?}"))?;
        let mut form = consent::look(oauth, &checked, person, COOKIE).await?.fields;
        form.extend(pairs(&[("decision", "approve"), ("org", org.as_str()), ("reach", "all")]));
        let to = consent::decide(oauth, person, COOKIE, &form).await.map_err(|error| anyhow!("{error:?}"))?;
        let code = to.url.split("code=").nth(1).and_then(|rest| rest.split('&').next()).context("a code")?;
        let params = pairs(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("code_verifier", VERIFIER),
            ("redirect_uri", REDIRECT),
            ("client_id", &client),
        ]);
        let issued = redeem::token(oauth, &Header::Missing, &params, None).await?;
        let (refresh, access) = (issued.refresh.reveal().to_owned(), issued.access.reveal().to_owned());
        ensure!(RefreshToken::parse(&refresh).is_ok(), "a refresh token");
        Ok(Grant { client, refresh, access })
    }

    /// Refreshes a second: each app with its live token, one after the other, all apps at once.
    pub(crate) async fn refreshes(&mut self, time: Duration) -> anyhow::Result<f64> {
        let started = Instant::now();
        let oauth = &self.oauth;
        let busy = self.apps.iter_mut().map(|app| async move {
            let mut done = 0u64;
            while started.elapsed() < time {
                let params = pairs(&[
                    ("grant_type", "refresh_token"),
                    ("refresh_token", &app.refresh),
                    ("client_id", &app.client),
                ]);
                let issued = redeem::token(oauth, &Header::Missing, &params, None).await?;
                app.refresh = issued.refresh.reveal().to_owned();
                app.access = issued.access.reveal().to_owned();
                done += 1;
            }
            anyhow::Ok(done)
        });
        let done: u64 = try_join_all(busy).await?.iter().sum();
        Ok(done as f64 / started.elapsed().as_secs_f64())
    }

    /// Registrations a second, so many at once.
    pub(crate) async fn registrations(&self, at_once: usize, time: Duration) -> anyhow::Result<f64> {
        let started = Instant::now();
        let busy = (0..at_once).map(|_| async {
            let mut done = 0u64;
            while started.elapsed() < time {
                register::register(&self.oauth, register::turn(&self.oauth, None)?, CLIENT.as_bytes())
                    .await?;
                done += 1;
            }
            anyhow::Ok(done)
        });
        let done: u64 = try_join_all(busy).await?.iter().sum();
        Ok(done as f64 / started.elapsed().as_secs_f64())
    }

    /// What the head of a request pays: reading the credential, and the verdict of the published view. In turns.
    pub(crate) async fn verifications(&self, quick: bool) -> anyhow::Result<Verified> {
        let rounds = if quick { 20 } else { 200 };
        let (mut token, mut key) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            token.push(self.verify(&self.apps[0].access)?);
            key.push(self.verify(&self.key)?);
        }
        Ok(Verified { token: crate::common::median(token), key: crate::common::median(key) })
    }

    fn verify(&self, text: &str) -> anyhow::Result<f64> {
        const TIMES: u32 = 10_000;
        let now = self.oauth.people().context.clock.now();
        let started = Instant::now();
        for _ in 0..TIMES {
            let credential = Credential::parse(black_box(text))?;
            ensure!(self.registry.admit(&credential, now) == Admission::Accepted, "it is accepted");
        }
        Ok(started.elapsed().as_nanos() as f64 / f64::from(TIMES))
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.arbiters.iter().for_each(|arbiter| {
            arbiter.stop();
        });
    }
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn people(store: &Arc<dyn Store>, registry: &Registry, context: &Context) -> anyhow::Result<People> {
    let rng = context.rng.clone();
    let users = Users::new(Arc::clone(store), rng.clone());
    let hour = Duration::from_secs(3_600);
    let cost = Cost { memory_kib: 64, iterations: 1, parallelism: 1, at_once: 1 };
    Ok(People::new(PeopleParts {
        registry: registry.clone(),
        index: OrgIndex::new(Arc::clone(store), rng.clone()),
        sessions: Sessions::new(
            Arc::clone(store),
            users.clone(),
            context.clone(),
            Lifetimes { idle: hour, absolute: hour },
        ),
        memberships: Memberships::new(Arc::clone(store), rng.clone()),
        hasher: Hasher::new(cost, rng).context("cheap hashes")?,
        post: None,
        public_url: URL.to_owned(),
        state: PeopleState::new(SignInLimits { per_account: 1_000, per_source: 1_000 }, 0),
        users,
        context: context.clone(),
    }))
}

fn settings(replay: Duration) -> OAuthSettings {
    OAuthSettings {
        enabled: true,
        access: Duration::from_secs(3_600),
        refresh: Duration::from_secs(90 * 86_400),
        replay,
        code: Duration::from_secs(60),
        clients_max: usize::MAX,
        client_unused: Duration::from_secs(90 * 86_400),
        registrations_per_minute_per_source: u32::MAX,
    }
}
