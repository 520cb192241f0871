//! What people and their apps rely on: an app is authorized once by whoever was asked, its tokens hold until somebody ends
//! them, a client's processes may come with old copies, and a thief's do not for long.

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
use super::people_tests::people_of;
use super::redeem::{self, Issued};
use super::register::{purge, register};
use super::tests::{House, again, index, made, source};
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
use crate::system::clients::Registered;

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
    register(oauth, body.to_string().as_bytes(), None).await.unwrap()
}

#[actix::test]
async fn an_app_is_authorized_works_refreshes_and_is_revoked_at_once() {
    let scene = Scene::new().await;
    let fields = scene.form(&scene.ada, &asked(&scene.client), COOKIE).await;
    let org = scene.org.id();
    let url =
        scene.decide(&scene.ada, &fields, &[("org", org.as_str()), ("reach", "all"), ("days", "30")]).await;
    let url = url.unwrap();
    assert!(url.starts_with("http://127.0.0.1:7/cb?code=sqc_"), "{url}");
    assert_eq!(query(&url, "state").as_deref(), Some("a state"));
    assert_eq!(query(&url, "iss").as_deref(), Some("https://sequel.example"));

    let first = scene.exchange(&code_of(&url)).await.unwrap();
    assert!(scene.accepts(&first).await);
    scene.advance(HOUR);
    assert!(!scene.accepts(&first).await, "an access token lives for an hour");
    let second = scene.refresh(first.refresh.reveal()).await.unwrap();
    assert!(scene.accepts(&second).await);

    let listed = scene.member(&scene.ada).await.list_apps().await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].record.status(scene.house.context.clock.now()), AppStatus::Active);
    assert!(listed[0].last_used_at.is_some());
    let principal = scene.house.registry.authenticate(&credential(&second), None).await.unwrap();
    let call = principal.begin(CallKey("1".into())).unwrap();
    scene.member(&scene.ada).await.revoke_app(listed[0].id).await.unwrap();
    assert_eq!(call.stopped(), Some(Stopped::Revoked));
    assert!(!scene.accepts(&second).await);
    assert_eq!(told(scene.refresh(second.refresh.reveal()).await), Code::InvalidGrant);
    assert_eq!(scene.actions().await, ["app.revoke", "app.connect", "app.authorize"]);
}

#[actix::test]
async fn nothing_of_what_is_stored_is_a_secret() {
    let scene = Scene::new().await;
    let code = scene.code(&scene.ada).await;
    let first = scene.exchange(&code).await.unwrap();
    let second = scene.refresh(first.refresh.reveal()).await.unwrap();
    let (record, _) = scene.house.registry.grant(scene.org.id(), grant_of(&first)).await.unwrap().unwrap();
    let stored = format!("{} {record:?}", serde_json::to_string(&record).unwrap());
    for secret in [
        &code,
        first.access.reveal(),
        first.refresh.reveal(),
        second.access.reveal(),
        second.refresh.reveal(),
    ] {
        assert!(!stored.contains(&secret[26..47]) && !stored.contains(&secret[48..69]));
    }
    assert!(!format!("{second:?}").contains(&second.refresh.reveal()[26..]));
}

#[actix::test]
async fn a_decision_is_made_once_by_who_was_asked_about_what_was_asked() {
    let scene = Scene::new().await;
    let org = scene.org.id().to_string();
    let chosen = [("org", org.as_str()), ("reach", "all")];
    let fields = scene.form(&scene.ada, &asked(&scene.client), COOKIE).await;
    assert!(scene.decide(&scene.ada, &fields, &chosen).await.is_ok());
    assert!(
        matches!(scene.decide(&scene.ada, &fields, &chosen).await, Err(DecideError::Used)),
        "a second click"
    );

    for (name, value) in [
        ("redirect_uri", "http://127.0.0.1:8/cb"),
        ("scope", "schema:read"),
        ("state", "another"),
        ("code_challenge", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        ("resource", "https://sequel.example"),
        ("client_id", "0123456789ab"),
        ("consent", "0123456789ab.99999999999999.AAAA"),
    ] {
        let asked = changed(&[asked(&scene.client), pairs(&[("scope", "")])].concat(), "none", "");
        let fields = scene.form(&scene.ada, &asked, COOKIE).await;
        let outcome = scene.decide(&scene.ada, &changed(&fields, name, value), &chosen).await;
        assert!(matches!(outcome, Err(DecideError::Used)), "{name}");
    }
    let elsewhere = scene.form(&scene.ada, &asked(&scene.client), "sqk_another-session").await;
    assert!(matches!(scene.decide(&scene.ada, &elsewhere, &chosen).await, Err(DecideError::Used)));
    let late = scene.form(&scene.ada, &asked(&scene.client), COOKIE).await;
    scene.advance(Duration::from_secs(601));
    assert!(matches!(scene.decide(&scene.ada, &late, &chosen).await, Err(DecideError::Used)));
    assert_eq!(scene.member(&scene.ada).await.list_apps().await.unwrap().len(), 1);
}

#[actix::test]
async fn a_no_is_told_to_the_client_and_makes_nothing() {
    let scene = Scene::new().await;
    let fields = scene.form(&scene.ada, &asked(&scene.client), COOKIE).await;
    let url = consent::decide(&scene.oauth, &scene.ada, COOKIE, &fields).await.unwrap().url;
    assert_eq!(query(&url, "error").as_deref(), Some("access_denied"));
    assert_eq!(query(&url, "iss").as_deref(), Some("https://sequel.example"));
    let yes = scene.decide(&scene.ada, &fields, &[("org", scene.org.id().as_str()), ("reach", "all")]).await;
    assert!(matches!(yes, Err(DecideError::Used)));
    assert!(scene.member(&scene.ada).await.list_apps().await.unwrap().is_empty());
}

#[actix::test]
async fn what_is_not_chosen_is_asked_for_and_the_form_is_good_for_another_try() {
    let scene = Scene::new().await;
    let org = scene.org.id().to_string();
    let fields = scene.form(&scene.ada, &asked(&scene.client), COOKIE).await;
    for chosen in [
        &[("reach", "all")][..],
        &[("org", "nonsense"), ("reach", "all")],
        &[("org", &org)],
        &[("org", &org), ("reach", "some")],
        &[("org", &org), ("reach", "some"), ("source", "0000000000")],
        &[("org", &org), ("reach", "all"), ("days", "2")],
        &[("org", &org), ("reach", "all"), ("days", "-1")],
    ] {
        let outcome = scene.decide(&scene.ada, &fields, chosen).await;
        assert!(matches!(outcome, Err(DecideError::Choose(_))), "{chosen:?}: {outcome:?}");
    }
    let sales = scene.member(&scene.ada).await.find_source("sales").unwrap().id().to_string();
    let chosen = [("org", org.as_str()), ("reach", "some"), ("source", &sales), ("source", "0000000000")];
    let code = code_of(&scene.decide(&scene.ada, &fields, &chosen).await.unwrap());
    let issued = scene.exchange(&code).await.unwrap();
    let principal = scene.house.registry.authenticate(&credential(&issued), None).await.unwrap();
    let call = principal.begin(CallKey("1".into())).unwrap();
    let reached: Vec<_> = call.sources().map(|source| source.record().name.clone()).collect();
    assert_eq!(reached, ["sales"]);
}

#[actix::test]
async fn only_a_member_whose_role_and_policy_allow_it_authorizes() {
    let scene = Scene::new().await;
    let org = scene.org.id().to_string();
    let chosen = [("org", org.as_str()), ("reach", "all")];
    let viewer = joins(&scene.oauth, &scene.org, "viewer@example.com", Role::Viewer).await;
    let other = made(&scene.house, &index(&scene.house), "Other").await;
    let stranger = joins(&scene.oauth, &other, "eve@example.com", Role::Owner).await;
    for person in [&viewer, &stranger] {
        let fields = scene.form(person, &asked(&scene.client), COOKIE).await;
        assert!(matches!(scene.decide(person, &fields, &chosen).await, Err(DecideError::NotHere)));
    }
    let checked = consent::check(&scene.oauth, &asked(&scene.client)).await.unwrap();
    let view = consent::look(&scene.oauth, &checked, &viewer, COOKIE).await.unwrap();
    assert_eq!(view.orgs[0].allowed, Err(NotHere::Role));
    assert_eq!(view.target.host, "127.0.0.1:7");

    let fields = scene.form(&scene.ada, &asked(&scene.client), COOKIE).await;
    let policy = AppPolicyRecord { loopback: false, ..AppPolicyRecord::default() };
    scene.member(&scene.ada).await.set_app_policy(policy).await.unwrap();
    let view = consent::look(&scene.oauth, &checked, &scene.ada, COOKIE).await.unwrap();
    assert_eq!(view.orgs[0].allowed, Err(NotHere::Policy));
    assert!(matches!(scene.decide(&scene.ada, &fields, &chosen).await, Err(DecideError::NotHere)));
    assert!(scene.org.list_apps(None).await.unwrap().is_empty());
}

#[actix::test]
async fn an_unknown_client_is_told_on_a_page_and_a_bad_request_to_its_client() {
    let scene = Scene::new().await;
    for id in ["0123456789ab", "nonsense", "../../etc"] {
        let Err(Rejected::Show(problem)) =
            consent::check(&scene.oauth, &changed(&asked(&scene.client), "client_id", id)).await
        else {
            panic!("{id}")
        };
        assert!(problem.is_unknown_client());
    }
    let rejected =
        consent::check(&scene.oauth, &changed(&asked(&scene.client), "response_type", "token")).await;
    let Err(Rejected::SendBack(back)) = rejected else { panic!() };
    assert_eq!(query(&back.url, "error").as_deref(), Some("unsupported_response_type"));
    assert_eq!(query(&back.url, "iss").as_deref(), Some("https://sequel.example"));
}

#[actix::test]
async fn a_code_is_redeemed_once_and_a_replay_ends_what_came_of_it() {
    let scene = Scene::new().await;
    let code = scene.code(&scene.ada).await;
    let base = [("grant_type", "authorization_code"), ("code", code.as_str())];
    let with = |more: &[(&'static str, &'static str)]| [base.to_vec(), more.to_vec()].concat();
    // Nothing of this burns the code.
    let other_verifier = "a".repeat(43);
    for params in [
        with(&[("code_verifier", VERIFIER)]),
        with(&[("code_verifier", VERIFIER), ("redirect_uri", "http://127.0.0.1:8/cb")]),
        [with(&[("redirect_uri", REDIRECT)]), vec![("code_verifier", other_verifier.as_str())]].concat(),
    ] {
        assert_eq!(told(scene.token(&params).await), Code::InvalidGrant);
    }
    let other = registered(&scene.oauth, json!({"redirect_uris": ["http://127.0.0.1/cb"]})).await;
    let mut foreign = pairs(&with(&[("code_verifier", VERIFIER), ("redirect_uri", REDIRECT)]));
    foreign.extend(pairs(&[("client_id", other.id.as_str())]));
    assert_eq!(told(redeem::token(&scene.oauth, &Header::Missing, &foreign, None).await), Code::InvalidGrant);

    let issued = scene.exchange(&code).await.unwrap();
    assert!(scene.accepts(&issued).await);
    assert_eq!(told(redeem::token(&scene.oauth, &Header::Missing, &foreign, None).await), Code::InvalidGrant);
    assert!(scene.accepts(&issued).await, "another client's replay ends nothing");
    assert_eq!(told(scene.exchange(&code).await), Code::InvalidGrant);
    assert!(!scene.accepts(&issued).await);
    assert_eq!(told(scene.refresh(issued.refresh.reveal()).await), Code::InvalidGrant);
    assert!(scene.actions().await.contains(&"app.code_reused".to_owned()));
}

#[actix::test]
async fn a_code_waits_a_minute() {
    let scene = Scene::new().await;
    let (in_time, late) = (scene.code(&scene.ada).await, scene.code(&scene.ada).await);
    scene.advance(Duration::from_secs(59));
    assert!(scene.exchange(&in_time).await.is_ok());
    scene.advance(Duration::from_secs(1));
    assert_eq!(told(scene.exchange(&late).await), Code::InvalidGrant);
}

#[actix::test]
async fn of_two_who_redeem_one_code_at_once_one_is_first() {
    let scene = Scene::new().await;
    let code = scene.code(&scene.ada).await;
    let (one, two) = tokio::join!(scene.exchange(&code), scene.exchange(&code));
    assert_eq!(usize::from(one.is_ok()) + usize::from(two.is_ok()), 1, "{one:?} {two:?}");
    // And the second was a replay.
    let won = one.or(two).unwrap();
    assert!(!scene.accepts(&won).await);
}

#[actix::test]
async fn fifty_processes_that_refresh_at_once_come_to_one_family() {
    let scene = Scene::new().await;
    let first = scene.app(&scene.ada).await;
    let token = first.refresh.reveal();
    let issued = futures_util::future::join_all((0..50).map(|_| scene.refresh(token))).await;
    let issued: Vec<Issued> = issued.into_iter().map(Result::unwrap).collect();
    assert!(issued.iter().all(|other| other.refresh.reveal() == issued[0].refresh.reveal()));
    assert!(issued.iter().all(|other| other.access.reveal() == issued[0].access.reveal()));
    assert!(scene.accepts(&issued[0]).await && scene.accepts(&first).await);
    scene.refresh(issued[0].refresh.reveal()).await.unwrap();
    assert!(!scene.actions().await.contains(&"app.token_replayed".to_owned()), "they came at once");
}

#[actix::test]
async fn an_old_copy_leads_to_the_live_token_for_a_day_and_then_ends_the_family() {
    let scene = Scene::new().await;
    let first = scene.app(&scene.ada).await;
    let mut live = scene.refresh(first.refresh.reveal()).await.unwrap();
    for _ in 0..5 {
        scene.advance(HOUR);
        live = scene.refresh(live.refresh.reveal()).await.unwrap();
    }
    let replayed = scene.refresh(first.refresh.reveal()).await.unwrap();
    assert_eq!(replayed.refresh.reveal(), live.refresh.reveal());
    assert_eq!(replayed.access.reveal(), live.access.reveal());
    scene.refresh(first.refresh.reveal()).await.unwrap();
    let told_of =
        |actions: &[String]| actions.iter().filter(|action| *action == "app.token_replayed").count();
    assert_eq!(told_of(&scene.actions().await), 1, "the trail says so once");

    // With an access token that has expired, an old copy comes to a fresh one.
    scene.advance(HOUR);
    let fresh = scene.refresh(first.refresh.reveal()).await.unwrap();
    assert!(fresh.refresh.reveal() != live.refresh.reveal() && scene.accepts(&fresh).await);
    scene.advance(DAY);
    let kept = scene.refresh(fresh.refresh.reveal()).await.unwrap();
    // Also for a server that was just started, which has nothing but what is stored.
    let started = again(&scene.house);
    let oauth = oauth_over(&started, people_of(&started, FREELY, None));
    let client = ("client_id", scene.client.id.as_str());
    let old = pairs(&[("grant_type", "refresh_token"), ("refresh_token", first.refresh.reveal()), client]);
    assert_eq!(told(redeem::token(&oauth, &Header::Missing, &old, None).await), Code::InvalidGrant);
    assert!(!started.accepts(&credential(&kept)).await, "the family has ended");
    let org = started.registry.resolve(scene.org.id()).await.unwrap();
    assert!(actions_of(&org).await.contains(&"app.token_reused".to_owned()));
}

#[actix::test]
async fn strictly_an_old_copy_is_answered_for_half_a_minute() {
    let scene = Scene::with(OAuthSettings { replay: Duration::from_secs(30), ..SETTINGS }).await;
    let first = scene.app(&scene.ada).await;
    let live = scene.refresh(first.refresh.reveal()).await.unwrap();
    scene.advance(Duration::from_secs(29));
    assert!(scene.refresh(first.refresh.reveal()).await.is_ok());
    scene.advance(Duration::from_secs(2));
    assert_eq!(told(scene.refresh(first.refresh.reveal()).await), Code::InvalidGrant);
    assert!(!scene.accepts(&live).await);
}

#[actix::test]
async fn forged_and_foreign_tokens_end_nothing() {
    let scene = Scene::new().await;
    let issued = scene.app(&scene.ada).await;
    let rng = Rng::system();
    let (grant, org) = (grant_of(&issued), scene.org.id());
    let forged = RefreshToken::mint(grant, org, &rng).unwrap();
    let nowhere = RefreshToken::mint(grant, Id::mint(&rng).unwrap(), &rng).unwrap();
    let mistyped = issued.refresh.reveal().replace("sqr_", "sqc_");
    for token in [forged.reveal(), nowhere.reveal(), &mistyped, "", "x", issued.access.reveal()] {
        let code = told(scene.refresh(token).await);
        assert!(matches!(code, Code::InvalidGrant | Code::InvalidRequest), "{token}");
        scene.revoke(token).await.err();
    }
    let other = registered(&scene.oauth, json!({"redirect_uris": ["http://127.0.0.1/cb"]})).await;
    let params = pairs(&[
        ("grant_type", "refresh_token"),
        ("refresh_token", issued.refresh.reveal()),
        ("client_id", other.id.as_str()),
    ]);
    assert_eq!(told(redeem::token(&scene.oauth, &Header::Missing, &params, None).await), Code::InvalidGrant);
    for token in [issued.refresh.reveal(), issued.access.reveal()] {
        let params = pairs(&[("token", token), ("client_id", other.id.as_str())]);
        let refused = give_back::revoke(&scene.oauth, &Header::Missing, &params, None).await;
        let refused = refused.map_err(|error| {
            OAuthError::Refused(match error {
                OAuthError::Refused(refusal) => refusal,
                error => panic!("{error}"),
            })
        });
        // The access token was given back by its own client above.
        assert!(refused.is_ok() || told(refused) == Code::InvalidGrant);
    }
    assert!(scene.refresh(issued.refresh.reveal()).await.is_ok());
}

#[actix::test]
async fn a_client_gives_an_access_token_back_alone_and_with_a_refresh_token_everything() {
    let scene = Scene::new().await;
    let first = scene.app(&scene.ada).await;
    let second = scene.refresh(first.refresh.reveal()).await.unwrap();
    let principal = scene.house.registry.authenticate(&credential(&first), None).await.unwrap();
    let call = principal.begin(CallKey("1".into())).unwrap();
    scene.revoke(first.access.reveal()).await.unwrap();
    assert_eq!(call.stopped(), Some(Stopped::Revoked));
    assert!(!scene.accepts(&first).await && scene.accepts(&second).await);
    scene.revoke(first.access.reveal()).await.unwrap();
    // A token that was used already is as good.
    scene.revoke(first.refresh.reveal()).await.unwrap();
    assert!(!scene.accepts(&second).await);
    assert!(scene.member(&scene.ada).await.list_apps().await.unwrap().is_empty());
    scene.revoke(second.refresh.reveal()).await.unwrap();
    scene.revoke("nonsense").await.unwrap();
}

#[actix::test]
async fn ninety_days_of_refreshing_keep_an_app_and_ninety_of_silence_end_it() {
    let scene = Scene::new().await;
    let mut issued = scene.app(&scene.ada).await;
    let grant = grant_of(&issued);
    for _ in 0..90 * 24 {
        scene.advance(HOUR);
        issued = scene.refresh(issued.refresh.reveal()).await.unwrap();
    }
    assert!(scene.accepts(&issued).await);
    let (record, _) = scene.house.registry.grant(scene.org.id(), grant).await.unwrap().unwrap();
    let bytes = serde_json::to_vec(&record).unwrap().len();
    assert!(bytes < 16 * 1024, "{bytes}");
    scene.advance(89 * DAY);
    let issued = scene.refresh(issued.refresh.reveal()).await.unwrap();
    scene.advance(90 * DAY);
    assert_eq!(told(scene.refresh(issued.refresh.reveal()).await), Code::InvalidGrant);
    assert_eq!(scene.house.registry.prune_org(scene.org.id(), retention()).await.unwrap(), 1);
    assert!(scene.house.registry.grant(scene.org.id(), grant).await.unwrap().is_none());
    assert!(scene.org.list_apps(None).await.unwrap().is_empty());
}

fn retention() -> crate::org::Retention {
    crate::org::Retention { audit_days: 3_650, audit_entries_max: 1_000_000, usage_days: 3_650 }
}

#[actix::test]
async fn a_client_that_refreshes_without_end_loses_none_of_its_copies() {
    let scene = Scene::new().await;
    let first = scene.app(&scene.ada).await;
    let mut live = scene.refresh(first.refresh.reveal()).await.unwrap();
    for _ in 0..100 {
        live = scene.refresh(live.refresh.reveal()).await.unwrap();
    }
    let again = scene.refresh(first.refresh.reveal()).await.unwrap();
    assert_eq!(again.refresh.reveal(), live.refresh.reveal());
    assert!(scene.accepts(&again).await);
    let (record, _) = scene.house.registry.grant(scene.org.id(), grant_of(&first)).await.unwrap().unwrap();
    let Stage::Exchanged(grant) = &record.stage else { panic!() };
    assert_eq!(grant.spent.len(), crate::oauth::grant::SPENT_MAX);
}

#[actix::test]
async fn what_ends_with_a_membership_a_role_or_a_user_ends_at_once_and_for_good() {
    let scene = Scene::new().await;
    let people = scene.people();
    let owner = scene.member(&scene.ada).await;
    type Ends<'a> = std::pin::Pin<Box<dyn Future<Output = ()> + 'a>>;
    for (number, email) in
        ["a@example.com", "b@example.com", "c@example.com", "d@example.com"].iter().enumerate()
    {
        let person = joins(&scene.oauth, &scene.org, email, Role::Member).await;
        let issued = scene.app(&person).await;
        let waiting = scene.code(&person).await;
        let mine = scene.app(&scene.ada).await;
        let principal = scene.house.registry.authenticate(&credential(&issued), None).await.unwrap();
        let call = principal.begin(CallKey("1".into())).unwrap();
        let end: Ends<'_> = match number {
            0 => Box::pin(async { drop(remove_member(people, &owner, person.user).await.unwrap()) }),
            1 => Box::pin(async { drop(leave(people, &scene.member(&person).await).await.unwrap()) }),
            2 => Box::pin(async { drop(owner.set_role(person.user, Role::Viewer).await.unwrap()) }),
            _ => Box::pin(async {
                drop(users::switch(people, &Author::sequel(), person.user, false).await.unwrap());
            }),
        };
        end.await;
        assert_eq!(call.stopped(), Some(Stopped::Revoked), "{email}");
        assert!(!scene.accepts(&issued).await, "{email}");
        assert!(scene.accepts(&mine).await, "{email}: nobody else's ends");
        match number {
            0 | 1 => {
                let record = people.users.get(person.user).await.unwrap().unwrap();
                add_member(people, &scene.org, (person.user, &record), Role::Member).await.unwrap();
            }
            2 => drop(owner.set_role(person.user, Role::Member).await.unwrap()),
            _ => drop(users::switch(people, &Author::sequel(), person.user, true).await.unwrap()),
        }
        assert!(!scene.accepts(&issued).await && !scene.accepts_anew(&issued).await, "{email}: revived");
        assert_eq!(told(scene.refresh(issued.refresh.reveal()).await), Code::InvalidGrant, "{email}");
        assert_eq!(told(scene.exchange(&waiting).await), Code::InvalidGrant, "{email}");
        assert!(scene.member(&person).await.list_apps().await.unwrap().is_empty(), "{email}");
        assert!(scene.accepts(&scene.app(&person).await).await, "{email}: they may authorize anew");
    }
    scene.house.registry.prune_org(scene.org.id(), retention()).await.unwrap();
    assert_eq!(scene.org.list_apps(None).await.unwrap().len(), 8);
}

#[actix::test]
async fn deleting_a_user_or_an_org_ends_their_apps() {
    let scene = Scene::new().await;
    let person = joins(&scene.oauth, &scene.org, "a@example.com", Role::Member).await;
    let (theirs, mine) = (scene.app(&person).await, scene.app(&scene.ada).await);
    assert!(users::delete(scene.people(), &Author::sequel(), person.user).await.unwrap());
    assert!(!scene.accepts(&theirs).await && scene.accepts(&mine).await);
    let index = index(&scene.house);
    delete_org(&index, &scene.house.context, &scene.org, 7 * DAY).await.unwrap();
    assert!(!scene.accepts(&mine).await);
    assert_eq!(told(scene.refresh(mine.refresh.reveal()).await), Code::InvalidGrant);
    // As keys do, what was not revoked comes back with a restore.
    restore_org(&scene.house.registry, &index, &Author::sequel(), "Acme").await.unwrap();
    assert!(scene.accepts(&mine).await && !scene.accepts(&theirs).await);
}

#[actix::test]
async fn a_narrower_policy_ends_what_it_forbids_and_a_wider_one_revives_nothing() {
    let scene = Scene::new().await;
    let loopback = scene.app(&scene.ada).await;
    let owner = scene.member(&scene.ada).await;
    let web = registered(&scene.oauth, json!({"redirect_uris": ["https://client.example.com/cb"]})).await;
    let asked = changed(&asked(&web), "redirect_uri", "https://client.example.com/cb");
    let fields = scene.form(&scene.ada, &asked, COOKIE).await;
    scene.decide(&scene.ada, &fields, &[("org", scene.org.id().as_str()), ("reach", "all")]).await.unwrap();
    let hosts = AppPolicyRecord {
        loopback: false,
        private_schemes: true,
        https: HttpsPolicy::Hosts(vec![" Client.example.com ".into()]),
    };
    assert_eq!(owner.set_app_policy(hosts).await.unwrap(), 1);
    assert!(!scene.accepts(&loopback).await);
    assert_eq!(owner.list_apps().await.unwrap().len(), 1);
    owner.set_app_policy(AppPolicyRecord::default()).await.unwrap();
    assert!(!scene.accepts(&loopback).await && !scene.accepts_anew(&loopback).await);
    let nonsense =
        AppPolicyRecord { https: HttpsPolicy::Hosts(vec!["a b".into()]), ..AppPolicyRecord::default() };
    assert!(matches!(owner.set_app_policy(nonsense).await, Err(ChangeError::Invalid(_))));
}

#[actix::test]
async fn a_policy_ends_more_apps_than_one_batch_takes_and_each_of_them_at_once() {
    let scene = Scene::new().await;
    let owner = scene.member(&scene.ada).await;
    let mut apps = vec![scene.app(&scene.ada).await];
    for number in 0..2 {
        let person = joins(&scene.oauth, &scene.org, &format!("{number}@example.com"), Role::Member).await;
        for _ in 0..60 {
            apps.push(scene.app(&person).await);
        }
    }
    let none = AppPolicyRecord { loopback: false, ..AppPolicyRecord::default() };
    assert_eq!(owner.set_app_policy(none).await.unwrap(), 121);
    owner.set_app_policy(AppPolicyRecord::default()).await.unwrap();
    assert!(owner.list_apps().await.unwrap().is_empty());
    for app in &apps {
        assert!(!scene.accepts(app).await);
        assert_eq!(told(scene.refresh(app.refresh.reveal()).await), Code::InvalidGrant);
    }
}

#[actix::test]
async fn an_app_refreshes_no_more_often_than_it_may_ask() {
    let scene = Scene::new().await;
    let limited = super::tests::limited(&scene.house, 5);
    let oauth = oauth_over(&limited, people_of(&limited, FREELY, None));
    let mut token = scene.app(&scene.ada).await.refresh.reveal().to_owned();
    let mut refreshed = 0;
    let wait = loop {
        let client = ("client_id", scene.client.id.as_str());
        let params = pairs(&[("grant_type", "refresh_token"), ("refresh_token", &token), client]);
        match redeem::token(&oauth, &Header::Missing, &params, None).await {
            Ok(issued) => token = issued.refresh.reveal().to_owned(),
            Err(OAuthError::Throttled(wait)) => break wait,
            Err(error) => panic!("{error}"),
        }
        refreshed += 1;
    };
    assert!((4..=7).contains(&refreshed) && wait > Duration::ZERO, "{refreshed} {wait:?}");
}

#[actix::test]
async fn an_app_that_is_limited_reaches_less_at_once() {
    let scene = Scene::new().await;
    let issued = scene.app(&scene.ada).await;
    let owner = scene.member(&scene.ada).await;
    let id = grant_of(&issued);
    let principal = scene.house.registry.authenticate(&credential(&issued), None).await.unwrap();
    let call = principal.begin(CallKey("1".into())).unwrap();
    let edit = AppEdit { sources: Some(Some(vec!["stock".into()])), ..AppEdit::default() };
    owner.edit_app(id, edit).await.unwrap();
    assert_eq!(call.stopped(), Some(Stopped::Revoked));
    let narrowed = principal.begin(CallKey("2".into())).unwrap();
    assert_eq!(narrowed.sources().count(), 1);
    let soon = scene.house.context.clock.now().plus(Duration::from_secs(600));
    owner.edit_app(id, AppEdit { expires_at: Some(Some(soon)), ..AppEdit::default() }).await.unwrap();
    let shorter = scene.refresh(issued.refresh.reveal()).await.unwrap();
    assert_eq!(shorter.access_expires_at, soon, "no token outlives its grant");
    scene.advance(Duration::from_secs(600));
    assert!(!scene.accepts(&shorter).await);
    assert_eq!(told(scene.refresh(shorter.refresh.reveal()).await), Code::InvalidGrant);
    let past = AppEdit { expires_at: Some(Some(Timestamp(0))), ..AppEdit::default() };
    assert!(matches!(owner.edit_app(id, past).await, Err(ChangeError::Invalid(_))));
}

#[actix::test]
async fn somebody_elses_app_is_none_and_an_admins_all() {
    let scene = Scene::new().await;
    let member = joins(&scene.oauth, &scene.org, "member@example.com", Role::Member).await;
    let (mine, theirs) = (scene.app(&scene.ada).await, scene.app(&member).await);
    let (ada, member) = (scene.member(&scene.ada).await, scene.member(&member).await);
    assert_eq!(ada.list_apps().await.unwrap().len(), 2);
    assert_eq!(member.list_apps().await.unwrap().len(), 1);
    for id in [grant_of(&mine), GrantId::mint(&Rng::system()).unwrap()] {
        assert!(matches!(member.app(id).await, Err(ChangeError::NotFound("authorized app"))));
        assert!(matches!(member.revoke_app(id).await, Err(ChangeError::NotFound("authorized app"))));
        let edited = member.edit_app(id, AppEdit::default()).await;
        assert!(matches!(edited, Err(ChangeError::NotFound("authorized app"))));
    }
    ada.revoke_app(grant_of(&theirs)).await.unwrap();
    assert!(!scene.accepts(&theirs).await && scene.accepts(&mine).await);
}

#[actix::test]
async fn a_token_of_one_org_opens_no_other_and_one_for_another_server_nothing() {
    let scene = Scene::new().await;
    let issued = scene.app(&scene.ada).await;
    let other = made(&scene.house, &index(&scene.house), "Other").await;
    let moved = issued.access.reveal().replace(scene.org.id().as_str(), other.id().as_str());
    assert!(Credential::parse(&moved).is_err(), "the checksum covers the organization");
    let rng = Rng::system();
    let forged = PlainSecret::mint(Purpose::Access, grant_of(&issued), other.id(), &rng).unwrap();
    assert!(!scene.house.accepts(&Credential::parse(forged.reveal()).unwrap()).await);
    // The same store under another public URL.
    let elsewhere = again(&scene.house);
    elsewhere.registry.protects("https://other.example/mcp".into());
    let refused = elsewhere.registry.authenticate(&credential(&issued), None).await;
    assert!(matches!(refused, Err(AuthError::Invalid(_))));
}

#[actix::test]
async fn clients_are_bounded_and_one_with_a_grant_never_makes_room() {
    let scene = Scene::new().await;
    let mut issued = scene.app(&scene.ada).await;
    let one = json!({"redirect_uris": ["http://127.0.0.1/cb"]});
    while scene.oauth.clients().count().await.unwrap() < SETTINGS.clients_max {
        registered(&scene.oauth, one.clone()).await;
    }
    let refused = register(&scene.oauth, one.to_string().as_bytes(), None).await;
    assert_eq!(told(refused), Code::TemporarilyUnavailable, "all of them are young");
    // Whoever fills the house registers no more than some: a client has no room to be large.
    let many: Vec<String> =
        (0..31).map(|number| format!("https://a.example/{number}/{}", "x".repeat(500))).collect();
    let large = register(&scene.oauth, json!({"redirect_uris": many}).to_string().as_bytes(), None).await;
    assert_eq!(told(large), Code::InvalidRedirectUri);
    scene.advance(Duration::from_secs(601));
    registered(&scene.oauth, one.clone()).await;
    assert_eq!(scene.oauth.clients().count().await.unwrap(), 96, "a twentieth made room");
    for _ in 0..90 {
        scene.advance(DAY);
        issued = scene.refresh(issued.refresh.reveal()).await.unwrap();
    }
    purge(&scene.oauth).await.unwrap();
    assert!(scene.oauth.clients().get(scene.client.id).await.unwrap().is_some());
    assert_eq!(scene.oauth.clients().count().await.unwrap(), 1);
    // Once its last grant is gone it is a client like any other.
    for app in scene.org.list_apps(None).await.unwrap() {
        scene.org.revoke_app(app.id).await.unwrap();
    }
    scene.advance(91 * DAY);
    purge(&scene.oauth).await.unwrap();
    assert_eq!(scene.oauth.clients().count().await.unwrap(), 0);
}

#[actix::test]
async fn a_client_with_a_secret_proves_it_as_it_registered() {
    let scene = Scene::new().await;
    let body = json!({
        "redirect_uris": ["http://127.0.0.1/cb"], "token_endpoint_auth_method": "client_secret_basic",
    });
    let client = registered(&scene.oauth, body).await;
    let secret = client.secret.as_ref().unwrap().reveal().to_owned();
    let id = client.id.to_string();
    let basic = |secret: &str| Header::Basic(id.clone(), secret.to_owned());
    let params = pairs(&[("grant_type", "refresh_token"), ("refresh_token", "x")]);
    // Past authentication the token is what is wrong.
    assert_eq!(told(redeem::token(&scene.oauth, &basic(&secret), &params, None).await), Code::InvalidGrant);
    let public = [params.clone(), pairs(&[("client_id", &id)])].concat();
    let posted = [public.clone(), pairs(&[("client_secret", &secret)])].concat();
    let wrong =
        PlainSecret::mint(Purpose::Client, Id::mint(&Rng::system()).unwrap(), client.id, &Rng::system());
    for (header, params) in [
        (basic(wrong.unwrap().reveal()), &params),
        (basic(""), &params),
        (Header::Malformed, &params),
        (Header::Missing, &params),
        (Header::Missing, &public),
        (Header::Missing, &posted),
        (Header::Basic(ClientId::NIL.to_string(), secret.clone()), &params),
    ] {
        assert_eq!(told(redeem::token(&scene.oauth, &header, params, None).await), Code::InvalidClient);
    }
    assert_eq!(told(redeem::token(&scene.oauth, &basic(&secret), &posted, None).await), Code::InvalidRequest);
}

#[actix::test]
async fn whatever_breaks_off_in_a_decision_authorizes_nothing_and_can_be_asked_again() {
    let scene = Scene::new().await;
    let org = scene.org.id().to_string();
    let chosen = [("org", org.as_str()), ("reach", "all")];
    for commits in 0..2 {
        let fields = scene.form(&scene.ada, &asked(&scene.client), COOKIE).await;
        scene.house.store.fail_after(commits);
        assert!(matches!(scene.decide(&scene.ada, &fields, &chosen).await, Err(DecideError::Failed(_))));
        scene.house.store.recover();
        assert!(scene.org.list_apps(None).await.unwrap().is_empty(), "{commits}");
    }
    assert!(scene.accepts(&scene.app(&scene.ada).await).await);
}

#[actix::test]
async fn a_flood_of_forgeries_from_one_address_leaves_its_known_clients_alone() {
    let scene = Scene::new().await;
    let issued = scene.app(&scene.ada).await;
    let from = Some("192.0.2.7".parse().unwrap());
    let forged = RefreshToken::mint(grant_of(&issued), scene.org.id(), &Rng::system()).unwrap();
    let client = ("client_id", scene.client.id.as_str());
    for _ in 0..200 {
        let params = pairs(&[("grant_type", "refresh_token"), ("refresh_token", forged.reveal()), client]);
        redeem::token(&scene.oauth, &Header::Missing, &params, from).await.unwrap_err();
    }
    let params =
        pairs(&[("grant_type", "refresh_token"), ("refresh_token", issued.refresh.reveal()), client]);
    redeem::token(&scene.oauth, &Header::Missing, &params, from).await.unwrap();
}

#[actix::test]
async fn what_ends_while_its_organization_is_deleted_stays_ended() {
    let scene = Scene::new().await;
    let (people, index) = (scene.people(), index(&scene.house));
    let [off, leaves] = ["off@example.com", "leaves@example.com"].map(|email| {
        let (oauth, org) = (&scene.oauth, &scene.org);
        async move { joins(oauth, org, email, Role::Member).await }
    });
    let (off, leaves) = (off.await, leaves.await);
    let key = scene.member(&off).await.create_personal_key(super::people_tests::key("k")).await.unwrap();
    let key = Credential::parse(key.plain.reveal()).unwrap();
    let code = scene.code(&scene.ada).await;
    let replayed = scene.exchange(&code).await.unwrap();
    let (given_back, access_back) = (scene.app(&scene.ada).await, scene.app(&scene.ada).await);
    let (of_off, of_leaving, kept) =
        (scene.app(&off).await, scene.app(&leaves).await, scene.app(&scene.ada).await);
    assert!(scene.house.accepts(&key).await);

    delete_org(&index, &scene.house.context, &scene.org, 7 * DAY).await.unwrap();
    scene.revoke(given_back.refresh.reveal()).await.unwrap();
    scene.revoke(access_back.access.reveal()).await.unwrap();
    assert_eq!(told(scene.exchange(&code).await), Code::InvalidGrant);
    users::switch(people, &Author::sequel(), off.user, false).await.unwrap();
    assert!(
        !users::delete(people, &Author::sequel(), leaves.user).await.unwrap(),
        "it waits for the organization"
    );

    restore_org(&scene.house.registry, &index, &Author::sequel(), "Acme").await.unwrap();
    for (what, ended) in [
        ("a refresh token given back", &given_back),
        ("an access token given back", &access_back),
        ("a code used twice", &replayed),
        ("a person kept out", &of_off),
        ("a person who leaves", &of_leaving),
    ] {
        assert!(!scene.accepts(ended).await && !scene.accepts_anew(ended).await, "{what}");
        assert_eq!(told(scene.refresh(ended.refresh.reveal()).await), Code::InvalidGrant, "{what}");
    }
    assert!(!scene.house.accepts(&key).await, "the key of a person kept out");
    assert!(scene.accepts(&kept).await, "what nobody ended is back");
    scene.revoke(given_back.refresh.reveal()).await.unwrap();
}

#[actix::test]
async fn an_old_copy_that_comes_after_all_tokens_expired_is_told_too() {
    let scene = Scene::new().await;
    let first = scene.app(&scene.ada).await;
    scene.refresh(first.refresh.reveal()).await.unwrap();
    scene.advance(2 * HOUR);
    let fresh = scene.refresh(first.refresh.reveal()).await.unwrap();
    assert!(scene.accepts(&fresh).await);
    let actions = scene.actions().await;
    assert_eq!(actions.iter().filter(|action| *action == "app.token_replayed").count(), 1, "{actions:?}");
}

#[actix::test]
async fn an_old_copy_never_leads_to_an_access_token_that_was_given_back() {
    let scene = Scene::new().await;
    let first = scene.app(&scene.ada).await;
    let second = scene.refresh(first.refresh.reveal()).await.unwrap();
    scene.revoke(second.access.reveal()).await.unwrap();
    let again = scene.refresh(first.refresh.reveal()).await.unwrap();
    assert!(scene.accepts(&again).await && !scene.accepts(&second).await);
}

#[actix::test]
async fn giving_tokens_back_buys_no_other_rate() {
    let scene = Scene::new().await;
    let limited = super::tests::limited(&scene.house, 5);
    let oauth = oauth_over(&limited, people_of(&limited, FREELY, None));
    let mut issued = scene.app(&scene.ada).await;
    let client = ("client_id", scene.client.id.as_str());
    for round in 0.. {
        assert!(round < 10, "as often as it likes");
        let back = pairs(&[("token", issued.access.reveal()), client]);
        match give_back::revoke(&oauth, &Header::Missing, &back, None).await {
            Err(OAuthError::Throttled(_)) => break,
            outcome => outcome.unwrap(),
        }
        let token = issued.refresh.reveal().to_owned();
        let params = pairs(&[("grant_type", "refresh_token"), ("refresh_token", &token), client]);
        match redeem::token(&oauth, &Header::Missing, &params, None).await {
            Err(OAuthError::Throttled(_)) => break,
            outcome => issued = outcome.unwrap(),
        }
    }
}

#[actix::test]
async fn who_held_a_code_learns_nothing_of_what_became_of_it() {
    let scene = Scene::new().await;
    let said = |outcome: Result<Issued, OAuthError>| match outcome {
        Err(OAuthError::Refused(refusal)) => (refusal.code, refusal.description.to_string()),
        other => panic!("{other:?}"),
    };
    let (lives, ended) = (scene.app(&scene.ada).await, scene.app(&scene.ada).await);
    scene.revoke(ended.refresh.reveal()).await.unwrap();
    let forged = |issued: &Issued| {
        let rng = &scene.house.context.rng;
        PlainSecret::mint(Purpose::Code, grant_of(issued), scene.org.id(), rng).unwrap().reveal().to_owned()
    };
    assert_eq!(said(scene.exchange(&forged(&lives)).await), said(scene.exchange(&forged(&ended)).await));
}
