//! What people and their apps rely on: an app is authorized once by whoever was asked, its tokens hold until somebody ends
//! them, a client's processes may come with old copies, and a thief's do not for long.

mod apps;
mod clients;
mod codes;
mod deciding;
mod ending;
mod forging;
mod refreshing;

use std::sync::Arc;
use std::time::Duration;

use sequel_store::Store;
use serde_json::json;
use url::form_urlencoded;

use super::consent::{self, DecideError, NotHere, Rejected};
use super::delete_org::{delete_org, restore_org};
use super::give_back;
use super::members::{add_member, leave, remove_member};
use super::oauth::{OAuth, OAuthError, OAuthSettings};
use super::people_tests::{key, people_of};
use super::redeem::{self, Issued};
use super::register::{purge, register, turn};
use super::tests::{House, again, index, limited, made, source};
use super::{People, SignInLimits, users};
use crate::context::{Rng, Timestamp};
use crate::credential::refresh::RefreshToken;
use crate::credential::secret::{PlainSecret, Purpose};
use crate::credential::{ClientId, Credential, GrantId, Id};
use crate::oauth::error::Code;
use crate::oauth::grant::Stage;
use crate::oauth::token::Header;
use crate::org::audit::{AuditQuery, Author};
use crate::org::grants::AppEdit;
use crate::org::permission::Role;
use crate::org::record::{AppPolicyRecord, AppStatus, HttpsPolicy};
use crate::org::{AuthError, CallKey, ChangeError, Member, Org, Person, Stopped};
use crate::system::Clients;
use crate::system::clients::{DecisionNonce, Registered};

const FREELY: SignInLimits = SignInLimits { per_account: 10_000, per_source: 10_000 };
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
const SETTINGS: OAuthSettings = OAuthSettings {
    enabled: true,
    access: HOUR,
    refresh: Duration::from_secs(90 * 86_400),
    replay: DAY,
    code: Duration::from_secs(60),
    clients_max: 100,
    client_unused: Duration::from_secs(90 * 86_400),
    registrations_per_minute_per_source: 10_000,
};

/// RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const REDIRECT: &str = "http://127.0.0.1:7/cb";
const COOKIE: &str = "sqk_a-session";

/// OAuth over a house's store.
pub(super) fn oauth_over(house: &House, people: People) -> OAuth {
    oauth_with(house, people, SETTINGS)
}

fn oauth_with(house: &House, people: People, settings: OAuthSettings) -> OAuth {
    people.listens_at("https://sequel.example".into());
    let store = Arc::clone(&house.store) as Arc<dyn Store>;
    let metrics = crate::metrics::Metrics::new(house.context.clock.clone());
    OAuth::new(people, Clients::new(store, house.context.clone()), settings, metrics)
}

/// A house with an organization that Ada owns, and a client.
struct Scene {
    house: House,
    oauth: OAuth,
    org: Org,
    ada: Person,
    client: Registered,
}

impl Scene {
    async fn new() -> Self {
        Self::with(SETTINGS).await
    }

    async fn with(settings: OAuthSettings) -> Self {
        let house = House::new();
        let oauth = oauth_with(&house, people_of(&house, FREELY, None), settings);
        let org = made(&house, &index(&house), "Acme").await;
        org.add_source(source("sales")).await.unwrap();
        org.add_source(source("stock")).await.unwrap();
        let ada = joins(&oauth, &org, "ada@example.com", Role::Owner).await;
        let client = registered(&oauth, json!({"redirect_uris": ["http://127.0.0.1/cb"]})).await;
        Self { house, oauth, org, ada, client }
    }

    fn people(&self) -> &People {
        self.oauth.people()
    }

    async fn member(&self, person: &Person) -> Member {
        self.house.registry.enter(self.org.id(), person).await.unwrap()
    }

    /// A person authorizes the client for everything; what it is sent.
    async fn code(&self, person: &Person) -> String {
        let fields = self.form(person, &asked(&self.client), COOKIE).await;
        code_of(
            &self
                .decide(person, &fields, &[("org", self.org.id().as_str()), ("reach", "all")])
                .await
                .unwrap(),
        )
    }

    /// The fields of the form that a person is shown.
    async fn form(&self, person: &Person, asked: &[(String, String)], cookie: &str) -> Vec<(String, String)> {
        let checked = consent::check(&self.oauth, asked).await.unwrap();
        consent::look(&self.oauth, &checked, person, cookie).await.unwrap().fields
    }

    /// Says yes, with what else is chosen.
    async fn decide(
        &self,
        person: &Person,
        fields: &[(String, String)],
        chosen: &[(&str, &str)],
    ) -> Result<String, DecideError> {
        let mut form = fields.to_vec();
        form.extend(pairs(&[("decision", "approve")]));
        form.extend(pairs(chosen));
        Ok(consent::decide(&self.oauth, person, COOKIE, &form).await?.url)
    }

    async fn exchange(&self, code: &str) -> Result<Issued, OAuthError> {
        self.token(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("code_verifier", VERIFIER),
            ("redirect_uri", REDIRECT),
        ])
        .await
    }

    async fn refresh(&self, token: &str) -> Result<Issued, OAuthError> {
        self.token(&[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    }

    async fn token(&self, params: &[(&str, &str)]) -> Result<Issued, OAuthError> {
        let mut params = pairs(params);
        params.extend(pairs(&[("client_id", self.client.id.as_str())]));
        redeem::token(&self.oauth, &Header::Missing, &params, None).await
    }

    async fn revoke(&self, token: &str) -> Result<(), OAuthError> {
        let params = pairs(&[("token", token), ("client_id", self.client.id.as_str())]);
        give_back::revoke(&self.oauth, &Header::Missing, &params, None).await
    }

    /// An app of a person's, with its first tokens.
    async fn app(&self, person: &Person) -> Issued {
        self.exchange(&self.code(person).await).await.unwrap()
    }

    async fn accepts(&self, issued: &Issued) -> bool {
        self.house.accepts(&credential(issued)).await
    }

    /// The same of a server that was just started.
    async fn accepts_anew(&self, issued: &Issued) -> bool {
        let again = again(&self.house);
        again.registry.protects("https://sequel.example/mcp".into());
        again.accepts(&credential(issued)).await
    }

    async fn actions(&self) -> Vec<String> {
        actions_of(&self.org).await
    }

    fn advance(&self, by: Duration) {
        self.house.context.clock.advance(by);
    }
}

/// What the trail says of apps, newest first.
async fn actions_of(org: &Org) -> Vec<String> {
    let page = org.audit(AuditQuery { before: None, since: None, limit: 100 }).await.unwrap();
    page.entries.into_iter().map(|(_, entry)| entry.action).filter(|a| a.starts_with("app.")).collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn asked(client: &Registered) -> Vec<(String, String)> {
    pairs(&[
        ("response_type", "code"),
        ("client_id", client.id.as_str()),
        ("redirect_uri", REDIRECT),
        ("state", "a state"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
        ("resource", "https://sequel.example/mcp"),
    ])
}

fn changed(asked: &[(String, String)], name: &str, value: &str) -> Vec<(String, String)> {
    let other = |(found, old): &(String, String)| {
        (found.clone(), if found == name { value.to_owned() } else { old.clone() })
    };
    asked.iter().map(other).collect()
}

fn query(url: &str, name: &str) -> Option<String> {
    let (_, query) = url.split_once('?')?;
    form_urlencoded::parse(query.as_bytes())
        .find(|(found, _)| found == name)
        .map(|(_, value)| value.into_owned())
}

fn code_of(url: &str) -> String {
    query(url, "code").unwrap_or_else(|| panic!("{url}"))
}

fn credential(issued: &Issued) -> Credential {
    Credential::parse(issued.access.reveal()).unwrap()
}

fn grant_of(issued: &Issued) -> GrantId {
    issued.refresh.grant
}

fn told<T>(outcome: Result<T, OAuthError>) -> Code {
    match outcome {
        Err(OAuthError::Refused(refusal)) => refusal.code,
        Err(error) => panic!("{error:?}"),
        Ok(_) => panic!("it was granted"),
    }
}

async fn joins(oauth: &OAuth, org: &Org, email: &str, role: Role) -> Person {
    let people = oauth.people();
    let (user, record, _) = users::create(people, &Author::sequel(), email, "Somebody").await.unwrap();
    add_member(people, org, (user, &record), role).await.unwrap();
    Person { user, email: email.to_owned(), address: None }
}

async fn registered(oauth: &OAuth, body: serde_json::Value) -> Registered {
    try_to_register(oauth, &body).await.unwrap()
}

async fn try_to_register(oauth: &OAuth, body: &serde_json::Value) -> Result<Registered, OAuthError> {
    register(oauth, turn(oauth, None)?, body.to_string().as_bytes()).await
}

fn retention() -> crate::org::Retention {
    crate::org::Retention {
        audit_days: 3_650,
        audit_entries_max: 1_000_000,
        usage_days: 3_650,
        query_days: 3_650,
    }
}
