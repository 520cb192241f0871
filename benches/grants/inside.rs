//! A server's inside over one store, without HTTP, and apps that people have authorized in it: for the benchmark, and for
//! a test that lives through months (`tests/it/long_lived.rs`).

use std::sync::Arc;
use std::time::Duration;

use actix_rt::Arbiter;
use anyhow::{Context as _, anyhow};
use sequel::config::Config;
use sequel::context::Context;
use sequel::credential::{Credential, OrgId};
use sequel::flow::create_org::create_org;
use sequel::flow::members::add_member;
use sequel::flow::redeem::{self, Issued};
use sequel::flow::{
    OAuth, OAuthError, OAuthSettings, People, PeopleParts, PeopleState, SignInLimits, consent, register,
    users,
};
use sequel::metrics::Metrics;
use sequel::oauth::token::Header;
use sequel::org::audit::Author;
use sequel::org::permission::Role;
use sequel::org::{OpenSources, Org, Person, Registry, RegistryLimits, RegistryParts};
use sequel::system::hashing::{Cost, Hasher};
use sequel::system::sessions::Lifetimes;
use sequel::system::{Clients, Memberships, OrgIndex, Sessions, Users};
use sequel_store::Store;

const URL: &str = "https://sequel.example";
const REDIRECT: &str = "http://127.0.0.1/cb";
/// What a client registers.
pub(crate) const CLIENT: &str = r#"{"client_name":"A client","redirect_uris":["http://127.0.0.1/cb"]}"#;
/// RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const COOKIE: &str = "a session";

/// The parts.
pub(crate) struct Inside {
    pub(crate) registry: Registry,
    pub(crate) oauth: OAuth,
    arbiters: Vec<Arbiter>,
}

/// An app of one organization, with its newest tokens.
pub(crate) struct App {
    pub(crate) client: String,
    pub(crate) refresh: String,
    pub(crate) access: String,
}

impl Inside {
    /// Over a store, at the time of a clock. A used refresh token is answered for so long.
    pub(crate) fn over(store: &Arc<dyn Store>, context: &Context, replay: Duration) -> anyhow::Result<Self> {
        let arbiters = vec![Arbiter::new(), Arbiter::new()];
        let metrics = Metrics::new(context.clock.clone());
        let connectors = sequel::backends::connectors(&Config::default())?;
        let vault = Arc::new(sequel::vault::Vault::fleeting(&context.rng)?);
        let registry = Registry::new(RegistryParts {
            store: Arc::clone(store),
            context: context.clone(),
            open: OpenSources::new(connectors, context.clock.clone(), vault, 1),
            arbiters: arbiters.iter().map(Arbiter::handle).collect(),
            limits: RegistryLimits {
                requests_per_minute_per_key: 0,
                requests_per_minute_per_org: 0,
                ..sequel::run::registry_limits(&Config::default())
            },
            metrics: metrics.clone(),
        });
        registry.protects(format!("{URL}/mcp"));
        let people = people(store, &registry, context)?;
        people.listens_at(URL.to_owned());
        let clients = Clients::new(Arc::clone(store), context.clone());
        let oauth = OAuth::new(people, clients, settings(replay), metrics);
        Ok(Self { registry, oauth, arbiters })
    }

    /// A new organization and its owner.
    pub(crate) async fn org(&self, name: &str) -> anyhow::Result<(Org, Person)> {
        let people = self.oauth.people();
        let author = Author::sequel();
        let (id, _) = create_org(&people.registry, &people.index, &people.context, &author, name).await?;
        let org = self.registry.resolve(id).await?;
        let email = format!("{}@example.com", name.replace(' ', "-"));
        let (user, record, _) = users::create(people, &author, &email, "Somebody").await?;
        add_member(people, &org, (user, &record), Role::Owner).await?;
        Ok((org, Person { user, email, address: None }))
    }

    /// A client registers, and a person authorizes it.
    pub(crate) async fn app(&self, org: OrgId, person: &Person) -> anyhow::Result<App> {
        let oauth = &self.oauth;
        let turn = register::turn(oauth, None)?;
        let client = register::register(oauth, turn, CLIENT.as_bytes()).await?.id.to_string();
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
        Ok(App { client, refresh, access })
    }

    /// Uses a refresh token of a client's.
    pub(crate) async fn refresh(&self, client: &str, refresh: &str) -> Result<Issued, OAuthError> {
        let params =
            pairs(&[("grant_type", "refresh_token"), ("refresh_token", refresh), ("client_id", client)]);
        redeem::token(&self.oauth, &Header::Missing, &params, None).await
    }

    /// Uses an app's newest one; the app has what comes of it.
    pub(crate) async fn go_on(&self, app: &mut App) -> Result<(), OAuthError> {
        let issued = self.refresh(&app.client, &app.refresh).await?;
        app.refresh = issued.refresh.reveal().to_owned();
        app.access = issued.access.reveal().to_owned();
        Ok(())
    }

    /// Whether an access token opens anything.
    pub(crate) async fn accepts(&self, access: &str) -> bool {
        let Ok(credential) = Credential::parse(access) else { return false };
        self.registry.authenticate(&credential, None).await.is_ok()
    }
}

impl Drop for Inside {
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
