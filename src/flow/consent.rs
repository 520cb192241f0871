//! Authorize an app: hold its request against the rules, ask the person, make the grant.
//!
//! Asking leaves nothing behind. What is asked travels in the form, under a MAC of the session's secret, together with a
//! nonce; the decision is made of what comes back, held against the rules anew, and uses the nonce up. So one decision is
//! bound to one session, client, place to go back to, set of scopes and resource, and made once.
//!
//! The order: the nonce is used up and the client noted as used in one batch of `system`, then the grant is made in one
//! commit of the organization. Whoever breaks off in between has authorized nothing and asks again.

use std::time::Duration;

use super::oauth::{OAuth, Target};
use crate::context::Timestamp;
use crate::credential::secret::{PlainSecret, Purpose};
use crate::credential::{ClientId, GrantId, Id, OrgId, SourceId};
use crate::metrics::App;
use crate::oauth::authorize::{self, AuthorizationRequest, Refused};
use crate::oauth::error::{Code, Refusal};
use crate::oauth::issuer::{Answer, answer};
use crate::oauth::params::Params;
use crate::oauth::redirect::RedirectUri;
use crate::oauth::scope::Scope;
use crate::org::grants::NewGrant;
use crate::org::permission::Role;
use crate::org::record::GrantClient;
use crate::org::{Authorizing, ChangeError, Member, Person};
use crate::system::clients::{ClientRecord, DecisionNonce};
use crate::system::cookie::{decision_mac, decision_mac_holds};

/// How long a person may read the page.
const ASKED_FOR: Duration = Duration::from_secs(600);
/// For how many days a person may authorize an app; `None` until it is revoked.
pub const LIFETIMES_DAYS: [Option<u32>; 5] = [Some(1), Some(7), Some(30), Some(90), None];
/// The parameters of an authorization request that mean something here: they travel in the form.
const TRAVEL: [&str; 9] = [
    "response_type",
    "response_mode",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "code_challenge",
    "code_challenge_method",
    "resource",
];
/// The field of the form that holds nonce and MAC.
pub const NONCE: &str = "consent";

/// A request that may be put to a person.
pub struct Checked {
    request: AuthorizationRequest,
    client_id: ClientId,
    client: ClientRecord,
    // What of the request travels.
    params: Vec<(String, String)>,
}

/// A request that may not.
#[derive(Debug)]
pub enum Rejected {
    /// Told on a page of this server, with status 400 and no way back.
    Show(Problem),
    /// Told to the client.
    SendBack(SendBack),
    /// It could not be found out.
    Failed(ChangeError),
}

/// What is wrong with a request of which nobody knows who sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    refusal: Refusal,
}

impl Problem {
    /// Whether the client has to register again.
    pub fn is_unknown_client(&self) -> bool {
        self.refusal.code == Code::InvalidClient
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.refusal.description)
    }
}

/// Where a person goes, and with what.
#[derive(Clone, PartialEq, Eq)]
pub struct SendBack {
    /// The URL to go to. It may hold a code.
    pub url: String,
    /// What kind of place that is.
    pub target: Target,
}

impl std::fmt::Debug for SendBack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SendBack").field("target", &self.target).finish_non_exhaustive()
    }
}

/// What the page shows.
#[derive(Debug, Clone)]
pub struct ConsentView {
    /// The client's id.
    pub client_id: String,
    /// What it calls itself, cleaned; may be empty. Nobody has verified it.
    pub client_name: String,
    /// Where it says that it is from. Nobody has verified that either.
    pub client_uri: Option<String>,
    /// Since when it is known here.
    pub registered_at: Timestamp,
    /// Where the person is sent back to: what can be believed.
    pub target: Target,
    /// What it asks for.
    pub scopes: Vec<Scope>,
    /// The person's organizations, by name.
    pub orgs: Vec<ConsentOrg>,
    /// For how many days it may be authorized.
    pub lifetimes_days: Vec<Option<u32>>,
    /// What the form carries besides what the person chooses.
    pub fields: Vec<(String, String)>,
}

/// An organization that a person may choose, or sees why not.
#[derive(Debug, Clone)]
pub struct ConsentOrg {
    /// Its id.
    pub id: OrgId,
    /// Its name.
    pub name: String,
    /// What the person is in it.
    pub role: Role,
    /// Whether they may authorize this app there.
    pub allowed: Result<(), NotHere>,
    /// Its data sources, by name.
    pub sources: Vec<(SourceId, String)>,
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotHere {
    /// The person's role does not authorize apps.
    Role,
    /// The organization does not allow apps of this class.
    Policy,
}

/// Why no grant was made.
#[derive(Debug)]
pub enum DecideError {
    /// The request in the form does not hold (any more).
    Rejected(Rejected),
    /// The form was used, is too old, is another session's, or was changed on its way.
    Used,
    /// Something is to be chosen: a sentence.
    Choose(String),
    /// The person may not authorize this app in this organization.
    NotHere,
    /// It could not be found out.
    Failed(ChangeError),
}

impl From<ChangeError> for DecideError {
    fn from(error: ChangeError) -> Self {
        match error {
            // Not a member, or not any more; the role; the policy.
            ChangeError::NotFound(_) | ChangeError::Forbidden => Self::NotHere,
            ChangeError::Invalid(text) | ChangeError::Limit(text) => Self::Choose(text),
            error => Self::Failed(error),
        }
    }
}

impl From<crate::context::RngError> for DecideError {
    fn from(error: crate::context::RngError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<crate::system::TableError> for DecideError {
    fn from(error: crate::system::TableError) -> Self {
        Self::Failed(error.into())
    }
}

/// Holds a request against the rules and its client. Changes nothing.
pub async fn check(oauth: &OAuth, params: &[(String, String)]) -> Result<Checked, Rejected> {
    let show = |refusal| Rejected::Show(Problem { refusal });
    let named = authorize::client_id(Params(params)).map_err(show)?;
    let found = match named.parse::<ClientId>() {
        Ok(id) => {
            let client = oauth.clients().get(id).await.map_err(|error| Rejected::Failed(error.into()))?;
            client.map(|client| (id, client))
        }
        Err(_) => None,
    };
    let (client_id, client) = found.ok_or_else(|| {
        let text = "This app is not registered here, or not any more. Remove this server from the app and add it again, so \
                    that it registers anew.";
        show(Refusal::new(Code::InvalidClient, text))
    })?;
    let request = AuthorizationRequest::read(Params(params), &client.client, &oauth.resource());
    let request = request.map_err(|refused| match refused {
        Refused::Shown(refusal) => show(refusal),
        Refused::SentBack { redirect_uri, state, refusal } => {
            Rejected::SendBack(sent_back(oauth, &redirect_uri, state.as_deref(), Answer::Refused(&refusal)))
        }
    })?;
    let params = params.iter().filter(|(name, _)| TRAVEL.contains(&name.as_str())).cloned().collect();
    Ok(Checked { request, client_id, client, params })
}

fn sent_back(oauth: &OAuth, to: &RedirectUri, state: Option<&str>, with: Answer<'_>) -> SendBack {
    SendBack { url: answer(oauth.issuer(), to, state, with), target: Target::of(to) }
}

/// What a person who is signed in with this cookie is asked. Changes nothing.
pub async fn look(
    oauth: &OAuth,
    checked: &Checked,
    person: &Person,
    cookie: &str,
) -> Result<ConsentView, ChangeError> {
    let people = oauth.people();
    let redirect = &checked.request.redirect_uri;
    let mut orgs = Vec::new();
    for mine in people.orgs_of(person.user).await? {
        let member = match people.registry.enter(mine.id, person).await {
            Err(ChangeError::NotFound(_)) => continue,
            entered => entered?,
        };
        let sources = member.list_sources()?;
        orgs.push(ConsentOrg {
            id: mine.id,
            name: mine.name,
            role: mine.role,
            allowed: allowed(&member, redirect)?,
            sources: sources.iter().map(|source| (source.id(), source.record().name.clone())).collect(),
        });
    }
    let nonce = DecisionNonce {
        id: Id::mint(&people.context.rng)?,
        expires_at: people.context.clock.now().plus(ASKED_FOR),
    };
    let mut fields = checked.params.clone();
    fields.push((NONCE.to_owned(), written(nonce, cookie, &checked.params)));
    let ClientRecord { client, created_at, .. } = &checked.client;
    Ok(ConsentView {
        client_id: checked.client_id.to_string(),
        client_name: client.name.clone(),
        client_uri: client.uri.clone(),
        registered_at: *created_at,
        target: Target::of(redirect),
        scopes: checked.request.scopes.iter().collect(),
        orgs,
        lifetimes_days: LIFETIMES_DAYS.to_vec(),
        fields,
    })
}

fn allowed(member: &Member, redirect: &RedirectUri) -> Result<Result<(), NotHere>, ChangeError> {
    Ok(match member.may_authorize(redirect.kind(), redirect.host())? {
        Authorizing::May => Ok(()),
        Authorizing::NotInThisRole => Err(NotHere::Role),
        Authorizing::NotThisApp => Err(NotHere::Policy),
    })
}

/// Nonce and MAC as the form carries them.
fn written(nonce: DecisionNonce, cookie: &str, params: &[(String, String)]) -> String {
    let named = format!("{}.{}", nonce.id, nonce.expires_at.0);
    let mac = decision_mac(cookie, &named, params);
    format!("{named}.{mac}")
}

/// The nonce of a form, where the form is what this session was asked, and in time.
fn read(text: &str, cookie: &str, params: &[(String, String)], now: Timestamp) -> Option<DecisionNonce> {
    let (named, mac) = text.rsplit_once('.')?;
    if !decision_mac_holds(cookie, named, params, mac) {
        return None;
    }
    let (id, expires_at) = named.split_once('.')?;
    let nonce = DecisionNonce { id: id.parse().ok()?, expires_at: Timestamp(expires_at.parse().ok()?) };
    (now < nonce.expires_at).then_some(nonce)
}

/// What a person has chosen.
struct Chosen {
    org: OrgId,
    sources: Option<Vec<SourceId>>,
    expires_at: Option<Timestamp>,
}

/// Makes the decision that a form carries, once.
pub async fn decide(
    oauth: &OAuth,
    person: &Person,
    cookie: &str,
    params: &[(String, String)],
) -> Result<SendBack, DecideError> {
    let people = oauth.people();
    let now = people.context.clock.now();
    let fields = Params(params);
    let field = |name: &str| fields.all(name).next().unwrap_or_default();
    let asked: Vec<(String, String)> =
        params.iter().filter(|(name, _)| TRAVEL.contains(&name.as_str())).cloned().collect();
    let nonce = read(field(NONCE), cookie, &asked, now).ok_or(DecideError::Used)?;
    let checked = check(oauth, &asked).await.map_err(DecideError::Rejected)?;
    let (to, state) = (checked.request.redirect_uri.clone(), checked.request.state.clone());
    if field("decision") != "approve" {
        if !oauth.clients().refuse(nonce).await? {
            return Err(DecideError::Used);
        }
        oauth.count(App::Denied);
        let refusal = Refusal::new(Code::AccessDenied, "the person did not authorize the app");
        return Ok(sent_back(oauth, &to, state.as_deref(), Answer::Refused(&refusal)));
    }
    let chosen = chosen(fields, now)?;
    let member = people.registry.enter(chosen.org, person).await?;
    if allowed(&member, &to)?.is_err() {
        return Err(DecideError::NotHere);
    }
    let id = GrantId::mint(&people.context.rng)?;
    let code = PlainSecret::mint(Purpose::Code, id, chosen.org, &people.context.rng)?;
    let new = new_grant(oauth, checked, (id, &code), chosen, &member)?;
    if !oauth.clients().approve(nonce, new.client.id, (member.org_id(), id)).await? {
        return Err(DecideError::Used);
    }
    member.authorize(new).await?;
    stays(oauth, &member, id).await?;
    oauth.count(App::Authorized);
    Ok(sent_back(oauth, &to, state.as_deref(), Answer::Code(code.reveal())))
}

fn chosen(fields: Params<'_>, now: Timestamp) -> Result<Chosen, DecideError> {
    let field = |name: &str| fields.all(name).next().unwrap_or_default();
    let choose = |text: &str| DecideError::Choose(text.to_owned());
    let org = field("org").parse().map_err(|_| choose("choose an organization"))?;
    let sources = match field("reach") {
        "some" => Some(fields.all("source").filter_map(|id| id.parse().ok()).collect()),
        "all" => None,
        _ => return Err(choose("choose whether the app reaches all data sources or some")),
    };
    let days = match field("days") {
        "" => None,
        days => Some(days.parse::<u32>().map_err(|_| choose("choose for how long"))?),
    };
    if !LIFETIMES_DAYS.contains(&days) {
        return Err(choose("choose for how long"));
    }
    let expires_at = days.map(|days| now.plus(Duration::from_secs(u64::from(days) * 86_400)));
    Ok(Chosen { org, sources, expires_at })
}

fn new_grant(
    oauth: &OAuth,
    checked: Checked,
    (id, code): (GrantId, &PlainSecret),
    chosen: Chosen,
    member: &Member,
) -> Result<NewGrant, DecideError> {
    let now = oauth.people().context.clock.now();
    let Checked { request, client_id, client, .. } = checked;
    // A form without a script holds the sources of every organization; those of others count for nothing.
    let here = member.list_sources()?;
    let sources = chosen.sources.map(|ids: Vec<SourceId>| {
        let mut kept: Vec<SourceId> =
            ids.into_iter().filter(|id| here.iter().any(|s| s.id() == *id)).collect();
        kept.sort_unstable();
        kept.dedup();
        kept
    });
    if sources.as_ref().is_some_and(Vec::is_empty) {
        return Err(DecideError::Choose("choose at least one data source".to_owned()));
    }
    Ok(NewGrant {
        id,
        client: GrantClient {
            id: client_id,
            name: client.client.name,
            uri: client.client.uri,
            kind: request.redirect_uri.kind(),
            host: request.redirect_uri.host().to_owned(),
        },
        user: member.person().user,
        scopes: request.scopes,
        sources,
        resource: oauth.resource().url().to_owned(),
        expires_at: chosen.expires_at,
        fulfilled: request.fulfil(code.digest(), now.plus(oauth.settings().code)),
    })
}

/// Takes a grant back whose person is kept out of this server: whoever is disabled is marked first, and then their grants
/// are looked for; here the grant comes first, so that one of the two finds the other.
async fn stays(oauth: &OAuth, member: &Member, id: GrantId) -> Result<(), DecideError> {
    let user = oauth.people().users.get(member.person().user).await.map_err(ChangeError::from)?;
    if user.is_some_and(|user| user.is_on()) {
        return Ok(());
    }
    member.revoke_app(id).await?;
    Err(DecideError::NotHere)
}
