//! Grants: what people have authorized apps to do, and the tokens that came of it.
//!
//! What a code, a token or its reuse comes to is decided by `oauth` from a record as it was read; what is here carries it
//! out where the record is still that one, and where its person may still authorize apps. So of two who redeem a code or
//! use a refresh token at once one is first, and the other looks again.
//!
//! **Invariant:** a grant counts while its member's record lists it: with the membership all of them end in one write
//! (`flow::oauth_tests::ending::what_ends_with_a_membership_a_role_or_a_user_ends_at_once_and_for_good`).

use std::sync::Arc;
use std::time::Duration;

use sequel_store::{Expect, Revision, Write};
use serde_json::Value;

use super::actor::{Change, Decided, Desk, Edit};
use super::audit::Event;
use super::error::ChangeError;
use super::grants_sweep::forbids;
use super::handle::Org;
use super::permission::{Action, allows};
use super::record::{GrantClient, GrantRecord, MemberRecord, encode, grant_at, member_at};
use super::registry::Registry;
use super::view::View;
use crate::context::Timestamp;
use crate::credential::{Digest, GrantId, OrgId, SourceId, UserId};
use crate::oauth::grant::{Fulfilled, Stage};
use crate::oauth::scope::ScopeSet;

/// Most authorized apps of one member. Their ids lie in the member's record, 13 bytes each; who installs a client on
/// ten machines and tries a dozen others has a third of it.
pub const APPS_PER_MEMBER_MAX: usize = 100;

pub(super) const APP: &str = "authorized app";

/// What a person has approved.
#[derive(Debug, Clone)]
pub struct NewGrant {
    /// Its id, which its code names.
    pub id: GrantId,
    /// Who is authorized.
    pub client: GrantClient,
    /// By whom.
    pub user: UserId,
    /// To do what.
    pub scopes: ScopeSet,
    /// The only data sources that it reaches; `None` for all.
    pub sources: Option<Vec<SourceId>>,
    /// The audience of its tokens.
    pub resource: String,
    /// When it ends, whatever happens.
    pub expires_at: Option<Timestamp>,
    /// Its code.
    pub fulfilled: Fulfilled<Digest, Timestamp>,
}

/// What became of a step that was decided on a record as it was read.
#[derive(Debug)]
pub enum Stepped {
    /// It was made.
    Made(Arc<GrantRecord>),
    /// The grant has changed since, or is gone: look again.
    Stale,
}

/// A step of a grant's life.
#[derive(Debug, Clone)]
pub struct Step {
    /// Which grant.
    pub id: GrantId,
    /// The revision of the record that it was decided on.
    pub at: Revision,
    /// That record with what becomes of it.
    pub record: Arc<GrantRecord>,
    /// What the trail calls it, where it says anything: each refresh would be a flood.
    pub action: Option<&'static str>,
}

/// What the trail says of a grant, wherever it is changed.
pub(super) fn event(action: &'static str, id: GrantId, record: &GrantRecord) -> Event {
    Event::new(action, "app", id, &record.client.name)
        .with("client", record.client.id.to_string())
        .with("host", record.client.host.as_str())
        .with("user", record.user.to_string())
}

/// The member whose grant it is, if they may have it: they list it, and their role allows it.
pub(super) async fn holder(
    desk: &Desk,
    id: GrantId,
    record: &GrantRecord,
) -> Result<(MemberRecord, Expect), ChangeError> {
    let at = member_at(record.user);
    let member = desk.store.get::<MemberRecord>(&at).await?;
    let holds = |member: &MemberRecord| member.grants.contains(&id) && allows(member.role, Action::OwnApps);
    let (member, revision) = member.filter(|(member, _)| holds(member)).ok_or(ChangeError::NotFound(APP))?;
    Ok((member, Expect::At(at, revision)))
}

/// A person has approved an app.
pub(super) struct Fulfil(pub(super) NewGrant);

impl Change for Fulfil {
    type Reply = GrantRecord;

    async fn decide(self, desk: Desk, view: Arc<View>) -> Result<Decided<GrantRecord>, ChangeError> {
        let Self(NewGrant { id, client, user, scopes, sources, resource, expires_at, fulfilled }) = self;
        if !view.apart.policy.allows(client.kind, &client.host) {
            return Err(ChangeError::Forbidden);
        }
        let is_there = |id: &SourceId| view.sources.iter().any(|source| source.id() == *id);
        if let Some(sources) = &sources
            && (sources.is_empty() || !sources.iter().all(is_there))
        {
            return Err(ChangeError::Invalid(
                "choose at least one data source that is still connected".into(),
            ));
        }
        let at = member_at(user);
        let (mut member, revision) =
            desk.store.get::<MemberRecord>(&at).await?.ok_or(ChangeError::NotFound("organization"))?;
        let now = desk.context.clock.now();
        let mut writes = Vec::new();
        if member.grants.len() >= APPS_PER_MEMBER_MAX {
            writes = make_room(&desk, &mut member, now).await?;
        }
        let record = GrantRecord {
            client,
            user,
            scopes,
            sources,
            resource,
            created_at: now,
            expires_at,
            seen_from: None,
            stage: Stage::Fulfilled(fulfilled),
        };
        member.grants.push(id);
        writes.push(Write::Put(at.clone(), encode(&member)));
        writes.push(Write::Put(grant_at(id), encode(&record)));
        let event = event("app.authorize", id, &record)
            .with("redirect", record.client.kind.word())
            .with("scopes", record.scopes.words())
            .with_some("sources", record.sources.as_deref().map(words))
            .with_some("expires_at", record.expires_at.map(|end| end.to_string()));
        Ok(Decided {
            expects: vec![Expect::Absent(grant_at(id)), Expect::At(at, revision)],
            writes,
            narrows: false,
            edit: Edit::Nothing,
            event: Some(event),
            reply: record,
        })
    }
}

fn words(sources: &[SourceId]) -> Value {
    sources.iter().map(ToString::to_string).collect()
}

/// Takes what is over off a member's list, which is full.
async fn make_room(
    desk: &Desk,
    member: &mut MemberRecord,
    now: Timestamp,
) -> Result<Vec<Write>, ChangeError> {
    let mut kept = Vec::with_capacity(member.grants.len());
    let mut writes = Vec::new();
    for id in &member.grants {
        match desk.store.get::<GrantRecord>(&grant_at(*id)).await? {
            Some((grant, _)) if now < grant.ends_at() => kept.push(*id),
            Some(_) => writes.push(Write::Delete(grant_at(*id))),
            None => {}
        }
    }
    if kept.len() >= APPS_PER_MEMBER_MAX {
        return Err(ChangeError::Limit(format!(
            "you have authorized {APPS_PER_MEMBER_MAX} apps, as many as one may; revoke one that you do not use"
        )));
    }
    member.grants = kept;
    Ok(writes)
}

/// A code was redeemed, a refresh token used, an access token given back.
struct Advance(Step);

impl Change for Advance {
    type Reply = Stepped;

    async fn decide(self, desk: Desk, view: Arc<View>) -> Result<Decided<Stepped>, ChangeError> {
        let Self(Step { id, at, record, action }) = self;
        if forbids(&view.apart.policy, &record) {
            return Err(ChangeError::NotFound(APP));
        }
        let mut expects = vec![Expect::At(grant_at(id), at)];
        // What readers are shown is listed by its member, and the commit stands under the revision of all that is shown: a
        // refresh, which is what most steps are, has nothing to look up.
        if !view.shows_grant_at(&id, at) {
            let stored = desk.store.get::<GrantRecord>(&grant_at(id)).await?;
            if stored.is_none_or(|(_, revision)| revision != at) {
                return Ok(Decided::nothing(Stepped::Stale));
            }
            expects.push(holder(&desk, id, &record).await?.1);
        }
        Ok(Decided {
            expects,
            writes: vec![Write::Put(grant_at(id), encode(&*record))],
            // Without an access token that was accepted a moment ago, if that is what the step is.
            narrows: action == Some(GIVEN_BACK),
            edit: Edit::PutGrant(id, Arc::clone(&record)),
            event: action.map(|action| event(action, id, &record)),
            reply: Stepped::Made(record),
        })
    }
}

/// What the trail says of an access token that its client gave back.
pub const GIVEN_BACK: &str = "app.token_revoke";

/// A grant ends.
pub(super) struct End {
    pub(super) id: GrantId,
    /// Only while its record is still this one.
    pub(super) at: Option<Revision>,
    pub(super) action: &'static str,
}

impl Change for End {
    type Reply = Stepped;

    async fn decide(self, desk: Desk, _: Arc<View>) -> Result<Decided<Stepped>, ChangeError> {
        let Self { id, at, action } = self;
        let (record, revision) =
            desk.store.get::<GrantRecord>(&grant_at(id)).await?.ok_or(ChangeError::NotFound(APP))?;
        if at.is_some_and(|at| at != revision) {
            return Ok(Decided::nothing(Stepped::Stale));
        }
        let (mut member, expect) = holder(&desk, id, &record).await?;
        member.grants.retain(|listed| *listed != id);
        let writes = vec![Write::Delete(grant_at(id)), Write::Put(member_at(record.user), encode(&member))];
        Ok(Decided {
            expects: vec![Expect::At(grant_at(id), revision), expect],
            writes,
            narrows: true,
            edit: Edit::RemoveGrants(vec![id]),
            event: Some(event(action, id, &record)),
            reply: Stepped::Made(Arc::new(record)),
        })
    }
}

/// What of a grant is changed; what is `None` stays.
#[derive(Debug, Clone, Default)]
pub struct AppEdit {
    /// Names or ids of the only data sources that it reaches; `Some(None)` for all.
    pub sources: Option<Option<Vec<String>>>,
    /// When it ends; `Some(None)` for not before it is revoked or left unused.
    pub expires_at: Option<Option<Timestamp>>,
}

/// Other data sources, or another end.
pub(super) struct Limit {
    pub(super) id: GrantId,
    pub(super) edit: AppEdit,
    /// Whether it is somebody else's consent that is changed: that covers what it covers and no more.
    pub(super) only_narrows: bool,
}

impl Change for Limit {
    type Reply = GrantRecord;

    async fn decide(self, desk: Desk, view: Arc<View>) -> Result<Decided<GrantRecord>, ChangeError> {
        let Self { id, edit, only_narrows } = self;
        let (mut record, revision) =
            desk.store.get::<GrantRecord>(&grant_at(id)).await?.ok_or(ChangeError::NotFound(APP))?;
        let (_, expect) = holder(&desk, id, &record).await?;
        let before = record.clone();
        if let Some(sources) = &edit.sources {
            record.sources =
                sources.as_deref().map(|names| super::keys::named_sources(&view, names)).transpose()?;
        }
        if let Some(expires_at) = edit.expires_at {
            if expires_at.is_some_and(|end| end <= desk.context.clock.now()) {
                return Err(ChangeError::Invalid("the end lies in the past; revoke the app instead".into()));
            }
            record.expires_at = expires_at;
        }
        if only_narrows && !before.limits().cover(record.limits()) {
            return Err(ChangeError::Invalid(
                "only the person who authorized this app can let it read more or for longer; narrow it or revoke it".into(),
            ));
        }
        let event = event("app.change", id, &record)
            .with_some(
                "sources",
                (record.sources != before.sources)
                    .then(|| record.sources.as_deref().map_or_else(|| Value::from("all"), words)),
            )
            .with_some(
                "expires_at",
                (record.expires_at != before.expires_at)
                    .then(|| record.expires_at.map_or_else(|| "never".to_owned(), |end| end.to_string())),
            );
        Ok(Decided {
            expects: vec![Expect::At(grant_at(id), revision), expect],
            writes: vec![Write::Put(grant_at(id), encode(&record))],
            narrows: !record.limits().cover(before.limits()),
            edit: Edit::PutGrant(id, Arc::new(record.clone())),
            event: Some(event),
            reply: record,
        })
    }
}

impl Org {
    /// Makes a grant whose code waits. `Forbidden` where the policy does not allow its class of client.
    pub(super) async fn fulfil(&self, new: NewGrant) -> Result<GrantRecord, ChangeError> {
        self.ask(|| Fulfil(new.clone())).await
    }

    /// Makes a step that was decided on a record as it was read. `NotFound` where its person may not have the app any
    /// more.
    pub async fn step(&self, step: Step) -> Result<Stepped, ChangeError> {
        self.ask(|| Advance(step.clone())).await
    }

    /// Ends a grant that was read at this revision. When this answers, every later request with one of its tokens is
    /// refused, and its running calls and streams were told to end.
    pub async fn end_grant(
        &self,
        id: GrantId,
        at: Option<Revision>,
        action: &'static str,
    ) -> Result<Stepped, ChangeError> {
        let ended = self.ask(|| End { id, at, action }).await?;
        if matches!(ended, Stepped::Made(_)) {
            self.forget_use(id).await;
        }
        Ok(ended)
    }

    /// Ends all grants of a member.
    pub async fn end_grants_of(&self, user: UserId) -> Result<(), ChangeError> {
        let member = self.store().get::<MemberRecord>(&member_at(user)).await?;
        for id in member.map(|(member, _)| member.grants).unwrap_or_default() {
            match self.end_grant(id, None, "app.revoke").await {
                Err(ChangeError::NotFound(_)) => {}
                outcome => drop(outcome?),
            }
        }
        Ok(())
    }

    /// Takes one request of an app's rate, also for tokens: each refresh is a durable change. Otherwise how long to wait.
    pub fn take_of_app(&self, id: GrantId) -> Result<(), Duration> {
        let Some(view) = self.view() else { return Ok(()) };
        let grant = view.apart.grants.get(&id);
        grant.map_or(Ok(()), |grant| self.entry.rates.take_of(grant, self.entry.now()))
    }

    /// Whether a grant counts now, as far as readers are told.
    pub fn shows_grant(&self, id: GrantId) -> bool {
        self.view().is_some_and(|view| view.apart.grants.get(&id).is_some())
    }
}

impl Registry {
    /// A grant's record, whether or not it counts, and its revision. One point read; nothing is loaded, so that who only
    /// guesses moves nobody out of memory.
    pub async fn grant(
        &self,
        org: OrgId,
        id: GrantId,
    ) -> Result<Option<(GrantRecord, Revision)>, ChangeError> {
        Ok(self.store_of(org).get::<GrantRecord>(&grant_at(id)).await?)
    }
}
