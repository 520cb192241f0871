//! A person in an organization: the handle through which they do what their role allows, and nothing else.
//!
//! Each method here names its [`Action`]; the table in `permission` decides. A change carries the demand into the turn of
//! the organization's actor, which asks the table again with the role of that moment. Who is no member finds nothing:
//! an organization that is somebody else's and one that never was are the same error, for the same reads.

use std::sync::Arc;
use std::time::Duration;

use sequel_connector::Declaration;

use super::audit::{AuditPage, AuditQuery, Author, Via, Who};
use super::error::ChangeError;
use super::handle::Org;
use super::keys::{KeyEdit, ListedKey, MintedKey, NewKey};
use super::members::{ListedMember, MintedInvitation, NewInvitation, Reach};
use super::permission::{Action, Role, allows};
use super::query_pages::{QueryAsk, QueryPage};
use super::record::{
    self, InvitationRecord, KeyRecord, MemberRecord, OrgRecord, Owner, QueryCall, QueryRecord, SourceRecord,
};
use super::registry::Registry;
use super::sources::{NewSource, SourceEdit};
use super::usage::{UsageQuery, UsageReport};
use super::view::View;
use crate::credential::{InvitationId, KeyId, OrgId, SourceId, UserId};
use crate::org::Source;

/// Who acts, as the session says.
#[derive(Debug, Clone)]
pub struct Person {
    /// The user.
    pub user: UserId,
    /// Their normalized address.
    pub email: String,
    /// The address that the request came from.
    pub address: Option<std::net::IpAddr>,
}

impl Person {
    /// As the author of changes.
    pub fn author(&self) -> Author {
        let who = Who::User { id: self.user.to_string(), email: self.email.clone() };
        Author { who, via: Via::Dashboard, address: self.address }
    }
}

/// What a change needs its author to be allowed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Demand {
    user: UserId,
    action: Action,
}

impl Demand {
    /// Holds it against the roles of this moment.
    pub(super) fn check(self, view: &View) -> Result<(), ChangeError> {
        let role = view.members().role(self.user).ok_or(ChangeError::NotFound(ORG))?;
        if allows(role, self.action) { Ok(()) } else { Err(ChangeError::Forbidden) }
    }
}

const ORG: &str = "organization";
const KEY: &str = "API key";

/// A member, in their organization. Clones are cheap.
#[derive(Clone)]
pub struct Member {
    pub(super) org: Org,
    person: Arc<Person>,
}

impl Registry {
    /// The organization as its member sees it. `NotFound` for whoever is none, whether it exists or not.
    pub async fn enter(&self, org: OrgId, person: &Person) -> Result<Member, ChangeError> {
        // Before anything is loaded: who only guesses ids must not push a living organization out of memory.
        let member = self.store_of(org).get::<MemberRecord>(&record::member_at(person.user)).await?;
        member.ok_or(ChangeError::NotFound(ORG))?;
        let org = self.resolve(org).await?.by(person.author());
        let member = Member { org, person: Arc::new(person.clone()) };
        member.role()?;
        Ok(member)
    }
}

impl Member {
    /// Their role now.
    pub fn role(&self) -> Result<Role, ChangeError> {
        let view = self.org.view().ok_or(ChangeError::Busy)?;
        view.members().role(self.person.user).ok_or(ChangeError::NotFound(ORG))
    }

    /// Whether they may do something now: for what a page offers. What is done is asked again.
    pub fn may(&self, action: Action) -> bool {
        self.role().is_ok_and(|role| allows(role, action))
    }

    /// The organization's id.
    pub fn org_id(&self) -> OrgId {
        self.org.id()
    }

    /// Who they are.
    pub fn person(&self) -> &Person {
        &self.person
    }

    /// The organization for one action: its changes are made only where the role of that moment allows it.
    pub(super) fn to(&self, action: Action) -> Result<Org, ChangeError> {
        let demand = Demand { user: self.person.user, action };
        demand.check(&*self.org.view().ok_or(ChangeError::Busy)?)?;
        Ok(self.org.clone().demanding(demand))
    }

    /// The same for what concerns one key: their own, or everybody's. Somebody else's key is none for who may see
    /// just their own.
    async fn to_key(&self, id: KeyId) -> Result<Org, ChangeError> {
        self.role()?;
        let key = self.org.key(id).await?;
        if self.is_mine(&key.record) {
            return self.to(Action::OwnKeys);
        }
        match self.to(Action::AllKeys) {
            Err(ChangeError::Forbidden) => Err(ChangeError::NotFound(KEY)),
            decided => decided,
        }
    }

    fn is_mine(&self, key: &KeyRecord) -> bool {
        key.owner == Owner::User { id: self.person.user.to_string() }
    }

    /// The organization's record.
    pub async fn record(&self) -> Result<OrgRecord, ChangeError> {
        self.to(Action::See)?.record().await
    }

    /// Their own keys, or everybody's where they may see those; the oldest first.
    pub async fn list_keys(&self) -> Result<Vec<ListedKey>, ChangeError> {
        let all = self.may(Action::AllKeys);
        let org = self.to(if all { Action::AllKeys } else { Action::OwnKeys })?;
        let mut keys = org.list_keys().await?;
        keys.retain(|key| all || self.is_mine(&key.record));
        Ok(keys)
    }

    /// One of these keys.
    pub async fn key(&self, id: KeyId) -> Result<ListedKey, ChangeError> {
        self.to_key(id).await?.key(id).await
    }

    /// Makes a personal key: it ends with the membership. Whether its owner may still be here is the business of
    /// `flow::keys`.
    pub(crate) async fn create_personal_key(&self, new: NewKey) -> Result<MintedKey, ChangeError> {
        let owner = Owner::User { id: self.person.user.to_string() };
        self.to(Action::OwnKeys)?.create_key_of(new, owner).await
    }

    /// Makes a key of the organization's: it outlives every member.
    pub async fn create_org_key(&self, new: NewKey) -> Result<MintedKey, ChangeError> {
        self.to(Action::AllKeys)?.create_key(new).await
    }

    /// Gives a key another name, switches it on or off, or both. The same business.
    pub(crate) async fn alter_key(
        &self,
        id: KeyId,
        name: Option<String>,
        enabled: Option<bool>,
    ) -> Result<KeyRecord, ChangeError> {
        self.to_key(id).await?.alter_key(id, name, enabled).await
    }

    /// Changes a key. What it may do less than before ends at once.
    pub async fn edit_key(&self, id: KeyId, edit: KeyEdit) -> Result<KeyRecord, ChangeError> {
        self.to_key(id).await?.edit_key(id, edit).await
    }

    /// Replaces a key's secret. An overlap of zero ends the old one at once, for a key that leaked.
    pub async fn rotate_key(&self, id: KeyId, overlap: Duration) -> Result<MintedKey, ChangeError> {
        self.to_key(id).await?.rotate_key(id, overlap).await
    }

    /// Deletes a key for good.
    pub async fn delete_key(&self, id: KeyId) -> Result<KeyRecord, ChangeError> {
        self.to_key(id).await?.delete_key(id).await
    }

    /// The data sources, by name.
    pub fn list_sources(&self) -> Result<Vec<Arc<Source>>, ChangeError> {
        self.to(Action::See)?.list_sources()
    }

    /// One data source, by id or name.
    pub fn find_source(&self, word: &str) -> Result<Arc<Source>, ChangeError> {
        self.to(Action::See)?.find_source(word)
    }

    /// What can be connected, and what each kind asks for.
    pub fn source_kinds(&self) -> Vec<&'static Declaration> {
        self.org.open_sources().declarations()
    }

    /// A database as it would be connected, to be tried out: nobody else sees it, and nothing is written.
    pub async fn candidate(&self, new: NewSource, of: Option<&Source>) -> Result<Arc<Source>, ChangeError> {
        self.to(Action::Sources)?.candidate(new, of).await
    }

    /// Connects a database.
    pub async fn add_source(&self, new: NewSource) -> Result<(SourceId, SourceRecord), ChangeError> {
        self.to(Action::Sources)?.add_source(new).await
    }

    /// A source that may be tested: opened and asked.
    pub fn source_to_test(&self, word: &str) -> Result<Arc<Source>, ChangeError> {
        self.to(Action::Sources)?.find_source(word)
    }

    /// Changes a data source.
    pub async fn alter_source(&self, source: &Source, edit: SourceEdit) -> Result<SourceRecord, ChangeError> {
        self.to(Action::Sources)?.alter_source(source, edit).await
    }

    /// Disconnects a database.
    pub async fn remove_source(&self, id: SourceId) -> Result<SourceRecord, ChangeError> {
        self.to(Action::Sources)?.remove_source(id).await
    }

    /// A page of the audit trail.
    pub async fn audit(&self, query: AuditQuery) -> Result<AuditPage, ChangeError> {
        self.to(Action::Audit)?.audit(query).await
    }

    /// A page of the query log: of everybody's calls for who reads the audit trail, else of those of their own keys and
    /// apps, as far as these live.
    pub async fn queries(&self, mut ask: QueryAsk) -> Result<QueryPage, ChangeError> {
        if self.may(Action::Audit) {
            return self.to(Action::Audit)?.queries(&ask).await;
        }
        let org = self.to(Action::OwnKeys)?;
        let mine = self.own_ids(&org).await?;
        ask.filter.by = Some(match ask.filter.by.take() {
            Some(wanted) => wanted.into_iter().filter(|id| mine.contains(id)).collect(),
            None => mine,
        });
        org.queries(&ask).await
    }

    /// One entry of these.
    pub async fn query_entry(&self, number: u64) -> Result<QueryCall, ChangeError> {
        let all = self.may(Action::Audit);
        let org = self.to(if all { Action::Audit } else { Action::OwnKeys })?;
        let mine = if all { Vec::new() } else { self.own_ids(&org).await? };
        match org.query_entry(number).await? {
            Some(QueryRecord::Call(call)) if all || mine.contains(&call.by) => Ok(call),
            _ => Err(ChangeError::NotFound("entry")),
        }
    }

    async fn own_ids(&self, org: &Org) -> Result<Vec<KeyId>, ChangeError> {
        let member = org.store().get::<MemberRecord>(&record::member_at(self.person.user)).await?;
        Ok(member.map(|(member, _)| member.all_that_ends()).unwrap_or_default())
    }

    /// What one of these keys did.
    pub async fn key_usage(&self, id: KeyId, from: jiff::civil::Date) -> Result<UsageReport, ChangeError> {
        self.to_key(id).await?.usage(UsageQuery { from, key: Some(id), source: None }).await
    }

    /// What the organization used.
    pub async fn usage(&self, query: UsageQuery) -> Result<UsageReport, ChangeError> {
        self.to(Action::Usage)?.usage(query).await
    }

    /// All members.
    pub async fn list_members(&self) -> Result<Vec<ListedMember>, ChangeError> {
        self.to(Action::See)?.list_members().await
    }

    /// Whom a change of members may concern, and the organization to make it in.
    fn to_members(&self) -> Result<(Org, Reach), ChangeError> {
        match self.to(Action::Owners) {
            Ok(org) => Ok((org, Reach::Owners)),
            Err(ChangeError::Forbidden) => Ok((self.to(Action::Members)?, Reach::Others)),
            Err(error) => Err(error),
        }
    }

    /// Gives a member another role.
    pub async fn set_role(&self, user: UserId, role: Role) -> Result<MemberRecord, ChangeError> {
        let (org, reach) = self.to_members()?;
        org.set_role_within(user, role, reach).await
    }

    /// Ends somebody else's membership. The index of a user's organizations is the business of `flow::remove_member`.
    pub(crate) async fn remove(&self, user: UserId) -> Result<MemberRecord, ChangeError> {
        let (org, reach) = self.to_members()?;
        org.remove_within(user, reach, "member.remove").await
    }

    /// Ends their own membership. The same business.
    pub(crate) async fn leave(&self) -> Result<MemberRecord, ChangeError> {
        self.to(Action::See)?.remove_within(self.person.user, Reach::Owners, "member.leave").await
    }

    /// The open invitations.
    pub async fn list_invitations(&self) -> Result<Vec<(InvitationId, InvitationRecord)>, ChangeError> {
        self.to(Action::Members)?.list_invitations().await
    }

    /// Invites somebody. The letter is the business of `flow::invite`.
    pub(crate) async fn invite(&self, email: &str, role: Role) -> Result<MintedInvitation, ChangeError> {
        let (org, reach) = self.to_members()?;
        let by = Some(self.person.user);
        org.invite_within(NewInvitation { email: email.to_owned(), role, by }, reach).await
    }

    /// Ends an invitation.
    pub async fn withdraw(&self, id: InvitationId) -> Result<InvitationRecord, ChangeError> {
        let (org, reach) = self.to_members()?;
        org.withdraw_within(id, reach).await
    }

    /// The organization, to be renamed by `flow::rename_org` in this member's name.
    pub(crate) fn to_rename(&self) -> Result<Org, ChangeError> {
        self.to(Action::Rename)
    }

    /// The organization, to be deleted by `flow::delete_org` in this member's name.
    pub(crate) fn to_delete(&self) -> Result<Org, ChangeError> {
        self.to(Action::Delete)
    }
}
