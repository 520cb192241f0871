//! The token endpoint: tokens for a code, and tokens for a refresh token.
//!
//! Each is decided on the grant's record as it was read, and carried out by the organization's actor where the record is
//! still that one; otherwise it is read again. A used refresh token that is still answered costs a read and no change, so
//! that any number of processes may come with the same one.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ring::digest::{SHA256, digest};
use sequel_store::Revision;

use super::oauth::{OAuth, OAuthError};
use crate::context::Timestamp;
use crate::credential::refresh::RefreshToken;
use crate::credential::secret::{PlainSecret, Presented, Purpose};
use crate::credential::{ClientId, Digest, GrantId, OrgId};
use crate::metrics::App;
use crate::oauth::error::{Code, Refusal};
use crate::oauth::grant::{Access, Issue, Live, Stage, Successor};
use crate::oauth::params::Params;
use crate::oauth::refresh::{Standing, standing};
use crate::oauth::scope::ScopeSet;
use crate::oauth::token::{Asked, Attempt, Header, NOT_VALID, Redemption, redeem};
use crate::org::audit::{Author, Via, Who};
use crate::org::grants::{Step, Stepped};
use crate::org::record::GrantRecord;
use crate::org::{ChangeError, Org, ResolveError};
use crate::system::sessions::network_of;

/// How often something is decided anew because the grant changed meanwhile: each time somebody else came a step further.
pub(super) const TRIES: usize = 8;
/// How long the organization's queue is left alone where it was full.
const BUSY_FOR: Duration = Duration::from_millis(25);
/// An access token that lives shorter than this is not handed out once more.
const WORTH_HANDING_OUT: Duration = Duration::from_secs(60);
/// A used refresh token that comes later than this is told in the trail: until then it is one client's processes that
/// came at once.
const TOLD_AFTER: Duration = Duration::from_secs(30);

/// Tokens as they are handed out. Nothing else holds them.
#[derive(Debug)]
pub struct Issued {
    /// The access token.
    pub access: PlainSecret,
    /// From when on that is refused.
    pub access_expires_at: Timestamp,
    /// The refresh token.
    pub refresh: RefreshToken,
    /// What they are good for.
    pub scopes: ScopeSet,
}

/// A grant that was read for a request.
pub(super) struct Found {
    org: OrgId,
    pub(super) id: GrantId,
    pub(super) record: GrantRecord,
    pub(super) at: Revision,
}

fn invalid(text: &str) -> OAuthError {
    Refusal::new(Code::InvalidGrant, text).into()
}

/// Whatever is wrong with a token that is none, over, used, revoked or another client's.
fn not_valid() -> OAuthError {
    invalid(NOT_VALID)
}

/// Carries a token request out.
pub async fn token(
    oauth: &OAuth,
    header: &Header,
    params: &[(String, String)],
    from: Option<IpAddr>,
) -> Result<Issued, OAuthError> {
    let place = oauth.place(from)?;
    let outcome = issued(oauth, header, Params(params), from).await;
    if matches!(outcome, Err(OAuthError::Refused(_))) {
        oauth.in_vain(place)?;
    }
    outcome
}

async fn issued(
    oauth: &OAuth,
    header: &Header,
    params: Params<'_>,
    from: Option<IpAddr>,
) -> Result<Issued, OAuthError> {
    let client = oauth.authenticated(header, params).await?;
    let asked = Asked::read(params, &oauth.resource())?;
    let caller = Caller { oauth, client, from };
    match asked {
        Asked::Code { code, verifier, redirect_uri } => {
            let sha256 = digest(&SHA256, verifier.as_bytes());
            let verifier_sha256 = sha256.as_ref().try_into().expect("SHA-256 has 32 bytes");
            caller.exchange(code, verifier_sha256, redirect_uri).await
        }
        Asked::Refresh { token, scope } => caller.refresh(token, scope).await,
    }
}

/// A client that has proved who it is.
pub(super) struct Caller<'a> {
    pub(super) oauth: &'a OAuth,
    pub(super) client: ClientId,
    pub(super) from: Option<IpAddr>,
}

impl Caller<'_> {
    fn now(&self) -> Timestamp {
        self.oauth.people().context.clock.now()
    }

    pub(super) async fn find(&self, org: OrgId, id: GrantId) -> Result<Option<Found>, OAuthError> {
        let found = self.oauth.people().registry.grant(org, id).await?;
        Ok(found.map(|(record, at)| Found { org, id, record, at }))
    }

    /// The organization of a grant that was found to be genuine.
    pub(super) async fn org(&self, found: &Found) -> Result<Org, OAuthError> {
        self.living(found).await?.ok_or_else(not_valid)
    }

    /// The same; `None` where the organization is gone or was deleted.
    async fn living(&self, found: &Found) -> Result<Option<Org>, OAuthError> {
        match self.oauth.people().registry.resolve(found.org).await {
            Err(ResolveError::NotFound) => Ok(None),
            resolved => Ok(Some(resolved.map_err(ChangeError::from)?.by(self.author(found)))),
        }
    }

    fn author(&self, found: &Found) -> Author {
        let GrantRecord { client, user, .. } = &found.record;
        let who =
            Who::App { client: client.id.to_string(), name: client.name.clone(), user: user.to_string() };
        Author { who, via: Via::OAuth, address: self.from }
    }

    async fn exchange(
        &self,
        code: &str,
        verifier_sha256: &[u8; 32],
        redirect_uri: Option<&str>,
    ) -> Result<Issued, OAuthError> {
        let presented = Presented::parse(Purpose::Code, code).map_err(|_| not_valid())?;
        for _ in 0..TRIES {
            let found = self.find(presented.owner, presented.id).await?.ok_or_else(not_valid)?;
            let now = self.now();
            let is_its_client = found.record.client.id == self.client;
            let attempt = Attempt { is_its_client, verifier_sha256, redirect_uri };
            let is = |digest: &Digest| digest.matches(&presented.digest);
            match redeem(&found.record.stage, is, attempt, now) {
                Redemption::Refused(refusal) => return Err(refusal.into()),
                Redemption::Replayed => {
                    if self.end(&found, "app.code_reused").await? {
                        self.oauth.count(App::Reused);
                        tracing::warn!(grant = %found.id, from = ?self.from, "a code was used again; its grant has ended");
                        return Err(not_valid());
                    }
                }
                Redemption::Exchange => {
                    if let Some(issued) = self.issue_first(found, now).await? {
                        self.oauth.count(App::Connected);
                        return Ok(issued);
                    }
                }
            }
        }
        Err(ChangeError::Busy.into())
    }

    async fn issue_first(&self, found: Found, now: Timestamp) -> Result<Option<Issued>, OAuthError> {
        let org = self.org(&found).await?;
        let Found { id, mut record, at, org: org_id } = found;
        let Stage::Fulfilled(fulfilled) = record.stage else { return Ok(None) };
        if record.expires_at.is_some_and(|end| end <= now) {
            return Err(not_valid());
        }
        let rng = &self.oauth.people().context.rng;
        let refresh = RefreshToken::mint(id, org_id, rng)?;
        let (issue, access) = self.issue(&refresh, record.expires_at, now)?;
        let (access_expires_at, scopes) = (issue.access.expires_at, record.scopes);
        record.stage = Stage::Exchanged(fulfilled.exchange(issue));
        let made = self.step(&org, self.seen(id, at, record, Some("app.connect"))).await?;
        Ok(made.then_some(Issued { access, access_expires_at, refresh, scopes }))
    }

    /// A fresh access token beside this refresh token.
    fn issue(
        &self,
        refresh: &RefreshToken,
        ends_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(Issue<Digest, Timestamp>, PlainSecret), OAuthError> {
        let (settings, rng) = (self.oauth.settings(), &self.oauth.people().context.rng);
        let access = PlainSecret::mint(Purpose::Access, refresh.grant, refresh.org, rng)?;
        let until = |life| ends_at.map_or(now.plus(life), |end| end.min(now.plus(life)));
        let issue = Issue {
            access: Access { digest: access.digest(), expires_at: until(settings.access) },
            live: Live {
                digest: refresh.digest(),
                family: refresh.family(),
                expires_at: until(settings.refresh),
                sealed_access: refresh.seal_access(&access, rng)?,
            },
        };
        Ok((issue, access))
    }

    async fn refresh(&self, token: &str, scope: Option<&str>) -> Result<Issued, OAuthError> {
        for _ in 0..TRIES {
            let presented = RefreshToken::parse(token).map_err(|_| not_valid())?;
            let found = self.find(presented.org, presented.grant).await?.ok_or_else(not_valid)?;
            if found.record.client.id != self.client || found.record.ends_at() <= self.now() {
                return Err(not_valid());
            }
            let asked = found.record.scopes.check_refresh(scope);
            let issued = match self.walk(&found.record, presented)? {
                Walked::To { live, spent } => {
                    asked?;
                    self.answer(found, live, spent).await?
                }
                Walked::Reused => {
                    if self.end(&found, "app.token_reused").await? {
                        self.oauth.count(App::Reused);
                        tracing::warn!(
                            grant = %found.id,
                            from = ?self.from,
                            "a refresh token was used again long after its use; its grant has ended"
                        );
                        return Err(not_valid());
                    }
                    None
                }
                Walked::Nowhere => return Err(not_valid()),
            };
            if let Some(issued) = issued {
                return Ok(issued);
            }
        }
        Err(ChangeError::Busy.into())
    }

    /// Goes from a presented refresh token to the one that is live.
    fn walk(&self, record: &GrantRecord, presented: RefreshToken) -> Result<Walked, OAuthError> {
        let Stage::Exchanged(grant) = &record.stage else { return Ok(Walked::Nowhere) };
        let now = self.now();
        let since = now.minus(self.oauth.settings().replay);
        let (mut token, mut first) = (presented, None);
        // Each step leads to a later one, and the last of them is live.
        for _ in 0..=grant.spent.len() {
            let digests = (token.digest(), token.family());
            let is = |digest: &Digest| digest.matches(&digests.0);
            let is_family = |part: &Digest| part.matches(&digests.1);
            match standing(grant, (is, is_family), now, since) {
                Standing::Live => return Ok(Walked::To { live: token, spent: first }),
                Standing::Spent(spent) => {
                    let next = token.open_successor(&spent.sealed);
                    first = first.or(Some(UsedUp { digest: spent.digest, at: spent.at, told: spent.told }));
                    token = next.map_err(|error| ChangeError::Internal(Box::new(error)))?;
                }
                Standing::Reused => return Ok(Walked::Reused),
                Standing::Expired | Standing::Stranger => return Ok(Walked::Nowhere),
            }
        }
        Ok(Walked::Nowhere)
    }

    /// Tokens for who came to the live refresh token; `None` where the grant has changed meanwhile.
    async fn answer(
        &self,
        found: Found,
        live: RefreshToken,
        spent: Option<UsedUp>,
    ) -> Result<Option<Issued>, OAuthError> {
        let org = self.org(&found).await?;
        let Stage::Exchanged(grant) = &found.record.stage else { return Ok(None) };
        let now = self.now();
        if spent.is_some() {
            self.oauth.count(App::Replayed);
        }
        if let Some(spent) = &spent
            && let Some(newest) = grant.access.first()
            && now.plus(WORTH_HANDING_OUT) < newest.expires_at
        {
            let access_expires_at = newest.expires_at;
            let opened = live.open_access(&grant.live.sealed_access);
            let access = opened.map_err(|error| ChangeError::Internal(Box::new(error)))?;
            // Unless its client has given it back, and an older one is the newest now.
            if access.digest().matches(&newest.digest) {
                let scopes = found.record.scopes;
                self.tell(&org, found, spent).await?;
                return Ok(Some(Issued { access, access_expires_at, refresh: live, scopes }));
            }
        }
        let late = spent.filter(|spent| self.comes_late(spent));
        self.rotate(&org, found, live, late).await
    }

    /// Lets the trail know of a used token that came late, once; and finds out whether the grant counts.
    async fn tell(&self, org: &Org, found: Found, spent: &UsedUp) -> Result<(), OAuthError> {
        let Found { id, mut record, at, .. } = found;
        if !self.comes_late(spent) {
            // An access token that is not shown to readers would be refused: the grant ended with something else.
            return if org.shows_grant(id) { Ok(()) } else { Err(not_valid()) };
        }
        let Stage::Exchanged(grant) = record.stage else { return Err(not_valid()) };
        record.stage = Stage::Exchanged(grant.told(|digest| digest.matches(&spent.digest)));
        let step = self.seen(id, at, record, Some("app.token_replayed"));
        // Where the grant has changed meanwhile somebody else tells; what is answered is as good as before.
        self.step(org, step).await.map(drop)
    }

    /// Whether the trail is to say of a used token that it was presented again.
    fn comes_late(&self, spent: &UsedUp) -> bool {
        !spent.told && self.now() >= spent.at.plus(TOLD_AFTER)
    }

    async fn rotate(
        &self,
        org: &Org,
        found: Found,
        live: RefreshToken,
        late: Option<UsedUp>,
    ) -> Result<Option<Issued>, OAuthError> {
        let Found { id, mut record, at, .. } = found;
        let Stage::Exchanged(mut grant) = record.stage else { return Ok(None) };
        org.take_of_app(id).map_err(OAuthError::TooFast)?;
        let (now, rng) = (self.now(), &self.oauth.people().context.rng);
        let since = now.minus(self.oauth.settings().replay);
        let (next, sealed) = match grant.has_room(since) {
            true => {
                let next = live.successor(rng)?;
                let sealed = live.seal_successor(&next, rng)?;
                (next, Some(sealed))
            }
            // No token that was handed out may become unknown: this one stays, and the access token alone is new.
            false => (live, None),
        };
        let (issue, access) = self.issue(&next, record.expires_at, now)?;
        let (access_expires_at, scopes) = (issue.access.expires_at, record.scopes);
        if let Some(late) = &late {
            grant = grant.told(|digest| digest.matches(&late.digest));
        }
        record.stage = Stage::Exchanged(grant.rotate(Successor { issue, sealed }, now, since));
        let action = late.map(|_| "app.token_replayed");
        let made = self.step(org, self.seen(id, at, record, action)).await?;
        if made {
            self.oauth.count(App::Refreshed);
        }
        Ok(made.then_some(Issued { access, access_expires_at, refresh: next, scopes }))
    }

    /// A step that was asked for from where the caller is.
    fn seen(&self, id: GrantId, at: Revision, mut record: GrantRecord, action: Option<&'static str>) -> Step {
        record.seen_from = self.network().or(record.seen_from);
        Step { id, at, record: Arc::new(record), action }
    }

    /// Makes a step; false where the grant has changed meanwhile.
    pub(super) async fn step(&self, org: &Org, step: Step) -> Result<bool, OAuthError> {
        match org.step(step).await {
            Ok(stepped) => Ok(matches!(stepped, Stepped::Made(_))),
            Err(ChangeError::NotFound(_)) => Err(not_valid()),
            // Perhaps with those who came with the same token: one of them is enough, and the others look again.
            Err(ChangeError::Busy) => {
                tokio::time::sleep(BUSY_FOR).await;
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Ends a grant, also in an organization that was deleted and may come back; false where it has changed meanwhile.
    pub(super) async fn end(&self, found: &Found, action: &'static str) -> Result<bool, OAuthError> {
        let Some(org) = self.living(found).await? else {
            let registry = &self.oauth.people().registry;
            let author = self.author(found);
            return match registry.end_grant_of_deleted(found.org, found.id, &author, action).await {
                Ok(true) => Ok(true),
                Ok(false) => Err(not_valid()),
                Err(ChangeError::Conflict) => Ok(false),
                Err(error) => Err(error.into()),
            };
        };
        match org.end_grant(found.id, Some(found.at), action).await {
            Ok(stepped) => Ok(matches!(stepped, Stepped::Made(_))),
            Err(ChangeError::NotFound(_)) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    fn network(&self) -> Option<String> {
        self.from.map(network_of)
    }
}

/// Where a refresh token leads.
enum Walked {
    /// To the one that is live, from this one that was used.
    To { live: RefreshToken, spent: Option<UsedUp> },
    /// It was used long ago.
    Reused,
    /// Nowhere.
    Nowhere,
}

/// The used refresh token that was presented.
struct UsedUp {
    digest: Digest,
    at: Timestamp,
    told: bool,
}
