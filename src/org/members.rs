//! The members of an organization and the invitations into it: add, change, remove, invite, withdraw, accept.
//!
//! What a member may do is said by `permission`; who a user is lies with `system`, and this module knows no more of one
//! than an id and an address. A personal key ends with its owner's membership, in the same commit: a member's record
//! lists them, and so bounds how many there are. So does an authorized app, whose grant counts only while it is listed.
//! Whoever comes back begins anew.
//!
//! **Invariant:** an organization that has members has an owner (`members_tests::the_last_owner_stays`).
//! **Invariant:** nothing of a removed member lives on: no key, no running call, no invitation
//! (`members_tests::a_removed_member_takes_keys_and_invitations_along_and_coming_back_revives_nothing`).
//! **Invariant:** an invitation is redeemed once (`flow::people_tests::of_two_who_redeem_one_invitation_one_gets_in`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sequel_store::{Expect, Write};

use super::actor::{Change, Decided, Desk, Edit};
use super::audit::Event;
use super::error::ChangeError;
use super::handle::Org;
use super::keys::holds_name;
use super::permission::{Action, Role, allows};
use super::record::{
    self, InvitationRecord, KeyRecord, MemberRecord, OrgRecord, decode, encode, id_after, invitation_at,
    key_at, key_name_at, member_at,
};
use super::registry::Registry;
use super::view::View;
use crate::context::Timestamp;
use crate::credential::secret::{PlainSecret, Presented, Purpose};
use crate::credential::{InvitationId, KeyId, OrgId, UserId};

/// Most members of one organization: their roles are in its view, some 40 bytes each.
pub const MEMBERS_MAX: usize = 1_000;
/// Most personal keys of one member. They end with the membership in one batch of 256 operations: 100 keys and their
/// names are 200, invitations 50, and the member, its precondition and the audit entry 3.
pub const PERSONAL_KEYS_MAX: usize = 100;
/// Most open invitations of one member; the same arithmetic.
pub const INVITATIONS_PER_MEMBER_MAX: usize = 50;
/// Most open invitations of one organization, the operator's included.
pub const INVITATIONS_MAX: usize = 500;
/// How long an invitation is good.
pub const INVITATION_LIFE: Duration = Duration::from_secs(7 * 86_400);

const MEMBER: &str = "member";
const INVITATION: &str = "invitation";

/// The roles of all members, as the view has them. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Members(Arc<BTreeMap<UserId, Role>>);

impl Members {
    pub(super) fn role(&self, user: UserId) -> Option<Role> {
        self.0.get(&user).copied()
    }

    /// Whether the user of this id is one.
    pub(super) fn has(&self, user: &str) -> bool {
        user.parse().is_ok_and(|user| self.0.contains_key(&user))
    }

    pub(super) fn put(&mut self, user: UserId, role: Role) {
        Arc::make_mut(&mut self.0).insert(user, role);
    }

    pub(super) fn remove(&mut self, user: UserId) {
        Arc::make_mut(&mut self.0).remove(&user);
    }

    fn is_last_owner(&self, user: UserId) -> bool {
        let mut owners = self.0.iter().filter(|(_, role)| **role == Role::Owner);
        owners.next().is_some_and(|(only, _)| *only == user) && owners.next().is_none()
    }
}

impl FromIterator<(UserId, Role)> for Members {
    fn from_iter<I: IntoIterator<Item = (UserId, Role)>>(members: I) -> Self {
        Self(Arc::new(members.into_iter().collect()))
    }
}

/// Who becomes a member.
#[derive(Debug, Clone)]
pub struct NewMember {
    /// The user.
    pub user: UserId,
    /// Their normalized address.
    pub email: String,
    /// As what.
    pub role: Role,
}

/// A member as lists show it.
#[derive(Debug, Clone)]
pub struct ListedMember {
    /// The user.
    pub user: UserId,
    /// The membership.
    pub record: MemberRecord,
}

/// Whom to invite.
#[derive(Debug, Clone)]
pub struct NewInvitation {
    /// Their normalized address: who accepts has it.
    pub email: String,
    /// As what.
    pub role: Role,
    /// The member who invites; `None` for the operator.
    pub by: Option<UserId>,
}

/// An invitation with the secret of its link, which is handed out this once.
#[derive(Debug)]
pub struct MintedInvitation {
    /// Its id.
    pub id: InvitationId,
    /// Its record.
    pub record: InvitationRecord,
    /// What the link holds.
    pub plain: PlainSecret,
}

/// What an invitation's link says to who follows it.
#[derive(Debug, Clone)]
pub struct OpenInvitation {
    /// The organization's name.
    pub org_name: String,
    /// The invitation.
    pub record: InvitationRecord,
}

/// What a change of a member may touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// Everybody.
    Owners,
    /// Everybody but owners, and nobody becomes one.
    Others,
}

impl Reach {
    fn check(self, roles: &[Role]) -> Result<(), ChangeError> {
        match self == Self::Owners || !roles.contains(&Role::Owner) {
            true => Ok(()),
            false => Err(ChangeError::Forbidden),
        }
    }
}

fn room(view: &View) -> Result<(), ChangeError> {
    if view.members().0.len() < MEMBERS_MAX {
        return Ok(());
    }
    Err(ChangeError::Limit(format!("the organization has {MEMBERS_MAX} members, as many as it may")))
}

fn joined(action: &'static str, user: UserId, record: &MemberRecord) -> Event {
    Event::new(action, MEMBER, user, &record.email).with("role", record.role.word())
}

pub(super) struct Add(pub(super) NewMember);

impl Change for Add {
    type Reply = MemberRecord;

    async fn decide(self, desk: Desk, view: Arc<View>) -> Result<Decided<MemberRecord>, ChangeError> {
        let Self(NewMember { user, email, role }) = self;
        if view.members().role(user).is_some() {
            return Err(ChangeError::Invalid(format!("{email} is a member already")));
        }
        room(&view)?;
        // Whoever comes first has to own it: nobody else could.
        if view.members().0.is_empty() && role != Role::Owner {
            return Err(ChangeError::Invalid("the first member of an organization is an owner".into()));
        }
        let since = desk.context.clock.now();
        let record =
            MemberRecord { email, role, since, invited_by: None, keys: Vec::new(), grants: Vec::new() };
        Ok(Decided {
            expects: vec![Expect::Absent(member_at(user))],
            writes: vec![Write::Put(member_at(user), encode(&record))],
            narrows: false,
            edit: Edit::PutMember { user, role, gone: Vec::new() },
            event: Some(joined("member.add", user, &record)),
            reply: record,
        })
    }
}

/// The keys of a member as they end: what to delete.
async fn ending(desk: &Desk, keys: &[KeyId]) -> Result<Vec<Write>, ChangeError> {
    let mut writes = Vec::new();
    for id in keys {
        let Some((key, _)) = desk.store.get::<KeyRecord>(&key_at(*id)).await? else { continue };
        writes.push(Write::Delete(key_at(*id)));
        if holds_name(desk, *id, &key.name).await? {
            writes.push(Write::Delete(key_name_at(&key.name)));
        }
    }
    Ok(writes)
}

pub(super) struct SetRole {
    pub(super) user: UserId,
    pub(super) role: Role,
    pub(super) reach: Reach,
}

impl Change for SetRole {
    /// The record, and the keys and grants that ended because the new role has none.
    type Reply = (MemberRecord, Vec<KeyId>);

    async fn decide(self, desk: Desk, view: Arc<View>) -> Result<Decided<Self::Reply>, ChangeError> {
        let Self { user, role, reach } = self;
        let at = member_at(user);
        let (mut record, revision) =
            desk.store.get::<MemberRecord>(&at).await?.ok_or(ChangeError::NotFound(MEMBER))?;
        reach.check(&[record.role, role])?;
        if role != Role::Owner && view.members().is_last_owner(user) {
            return Err(last_owner(&record.email));
        }
        let former = std::mem::replace(&mut record.role, role);
        let taken = |action, ids: &mut Vec<KeyId>| match allows(role, action) {
            true => Vec::new(),
            false => std::mem::take(ids),
        };
        let keys = taken(Action::OwnKeys, &mut record.keys);
        let apps = taken(Action::OwnApps, &mut record.grants);
        let mut writes = ending(&desk, &keys).await?;
        writes.push(Write::Put(at.clone(), encode(&record)));
        let event = joined("member.role", user, &record)
            .with("former_role", former.word())
            .with_some("keys_ended", (!keys.is_empty()).then_some(keys.len()))
            .with_some("apps_ended", (!apps.is_empty()).then_some(apps.len()));
        let gone = [keys, apps].concat();
        Ok(Decided {
            expects: vec![Expect::At(at, revision)],
            writes,
            narrows: true,
            edit: Edit::PutMember { user, role, gone: gone.clone() },
            event: Some(event),
            reply: (record, gone),
        })
    }
}

pub(super) struct Remove {
    pub(super) user: UserId,
    pub(super) reach: Reach,
    /// What the trail calls it.
    pub(super) action: &'static str,
}

impl Change for Remove {
    type Reply = MemberRecord;

    async fn decide(self, desk: Desk, view: Arc<View>) -> Result<Decided<MemberRecord>, ChangeError> {
        let Self { user, reach, action } = self;
        let at = member_at(user);
        let (record, revision) =
            desk.store.get::<MemberRecord>(&at).await?.ok_or(ChangeError::NotFound(MEMBER))?;
        reach.check(&[record.role])?;
        if view.members().is_last_owner(user) {
            return Err(last_owner(&record.email));
        }
        let mut writes = ending(&desk, &record.keys).await?;
        // Those that they have sent: nobody who was put out leaves a way in for another name of theirs.
        let theirs = invitations(&desk).await?.into_iter().filter(|(_, sent)| sent.invited_by == Some(user));
        writes.extend(theirs.map(|(id, _)| Write::Delete(invitation_at(id))));
        writes.push(Write::Delete(at.clone()));
        Ok(Decided {
            expects: vec![Expect::At(at, revision)],
            writes,
            narrows: true,
            edit: Edit::RemoveMember { user, gone: record.all_that_ends() },
            event: Some(
                joined(action, user, &record)
                    .with("keys_ended", record.keys.len())
                    .with_some("apps_ended", (!record.grants.is_empty()).then_some(record.grants.len())),
            ),
            reply: record,
        })
    }
}

fn last_owner(email: &str) -> ChangeError {
    ChangeError::Invalid(format!("{email} is the only owner; make somebody else an owner first"))
}

async fn invitations(desk: &Desk) -> Result<Vec<(InvitationId, InvitationRecord)>, ChangeError> {
    let (stored, _) = desk.store.all(record::INVITATIONS).await?;
    let read = |stored: &sequel_store::Record| {
        let id = id_after(record::INVITATIONS, &stored.key)?;
        Some(decode(&stored.value).map(|invitation| (id, invitation)))
    };
    Ok(stored.iter().filter_map(read).collect::<Result<_, _>>()?)
}

pub(super) struct Invite {
    pub(super) new: NewInvitation,
    pub(super) reach: Reach,
}

impl Change for Invite {
    type Reply = MintedInvitation;

    async fn decide(self, desk: Desk, view: Arc<View>) -> Result<Decided<MintedInvitation>, ChangeError> {
        let Self { new: NewInvitation { email, role, by }, reach } = self;
        reach.check(&[role])?;
        room(&view)?;
        if view.members().0.is_empty() && role != Role::Owner {
            return Err(ChangeError::Invalid("the first member of an organization is an owner".into()));
        }
        let (members, _) = desk.store.all(record::MEMBERS).await?;
        for member in &members {
            if decode::<MemberRecord>(&member.value)?.email == email {
                return Err(ChangeError::Invalid(format!("{email} is a member already")));
            }
        }
        let now = desk.context.clock.now();
        // What has expired goes, and so does an earlier invitation of the same person: its link may be lost.
        let (gone, open): (Vec<_>, Vec<_>) = invitations(&desk)
            .await?
            .into_iter()
            .partition(|(_, invitation)| invitation.expires_at <= now || invitation.email == email);
        let by_same =
            open.iter().filter(|(_, invitation)| by.is_some() && invitation.invited_by == by).count();
        if open.len() >= INVITATIONS_MAX || by_same >= INVITATIONS_PER_MEMBER_MAX {
            return Err(ChangeError::Limit(
                "too many invitations are open; withdraw some, or wait until they are accepted".into(),
            ));
        }
        let id = InvitationId::mint(&desk.context.rng)?;
        let plain = PlainSecret::mint(Purpose::Invitation, id, desk.org, &desk.context.rng)?;
        let record = InvitationRecord {
            email,
            role,
            digest: plain.digest(),
            created_at: now,
            expires_at: now.plus(INVITATION_LIFE),
            invited_by: by,
        };
        let mut writes: Vec<_> =
            gone.iter().take(100).map(|(id, _)| Write::Delete(invitation_at(*id))).collect();
        writes.push(Write::Put(invitation_at(id), encode(&record)));
        Ok(Decided {
            expects: vec![Expect::Absent(invitation_at(id))],
            writes,
            narrows: false,
            edit: Edit::Nothing,
            event: Some(Event::new("member.invite", INVITATION, id, &record.email).with("role", role.word())),
            reply: MintedInvitation { id, record, plain },
        })
    }
}

pub(super) struct Withdraw {
    pub(super) id: InvitationId,
    pub(super) reach: Reach,
}

impl Change for Withdraw {
    type Reply = InvitationRecord;

    async fn decide(self, desk: Desk, _: Arc<View>) -> Result<Decided<InvitationRecord>, ChangeError> {
        let at = invitation_at(self.id);
        let (record, revision) =
            desk.store.get::<InvitationRecord>(&at).await?.ok_or(ChangeError::NotFound(INVITATION))?;
        self.reach.check(&[record.role])?;
        Ok(Decided {
            expects: vec![Expect::At(at.clone(), revision)],
            writes: vec![Write::Delete(at)],
            narrows: false,
            edit: Edit::Nothing,
            event: Some(Event::new("member.withdraw", INVITATION, self.id, &record.email)),
            reply: record,
        })
    }
}

pub(super) struct Accept {
    pub(super) presented: Presented,
    pub(super) user: UserId,
    pub(super) email: String,
}

impl Change for Accept {
    type Reply = MemberRecord;

    async fn decide(self, desk: Desk, view: Arc<View>) -> Result<Decided<MemberRecord>, ChangeError> {
        let Self { presented, user, email } = self;
        let at = invitation_at(presented.id);
        let now = desk.context.clock.now();
        let found = desk.store.get::<InvitationRecord>(&at).await?;
        let (invitation, revision) = found
            .filter(|(invitation, _)| holds(invitation, &presented, now))
            .ok_or(ChangeError::NotFound(INVITATION))?;
        if invitation.email != email {
            return Err(ChangeError::Invalid(format!(
                "this invitation is for {}; sign in as that person, or ask for one of your own",
                invitation.email
            )));
        }
        if view.members().role(user).is_some() {
            return Err(ChangeError::Invalid("you are a member of this organization already".into()));
        }
        room(&view)?;
        let InvitationRecord { role, invited_by, .. } = invitation;
        let record =
            MemberRecord { email, role, since: now, invited_by, keys: Vec::new(), grants: Vec::new() };
        Ok(Decided {
            expects: vec![Expect::At(at.clone(), revision), Expect::Absent(member_at(user))],
            writes: vec![Write::Delete(at), Write::Put(member_at(user), encode(&record))],
            narrows: false,
            edit: Edit::PutMember { user, role, gone: Vec::new() },
            event: Some(joined("member.join", user, &record)),
            reply: record,
        })
    }
}

fn holds(invitation: &InvitationRecord, presented: &Presented, now: Timestamp) -> bool {
    invitation.digest.matches(&presented.digest) && now < invitation.expires_at
}

impl Org {
    /// Makes a user a member, without asking them: for the operator and for set-up.
    pub async fn add_member(&self, new: NewMember) -> Result<MemberRecord, ChangeError> {
        self.ask(|| Add(new.clone())).await
    }

    /// Gives a member another role. One that has no personal keys ends theirs, and their running calls.
    pub async fn set_role(&self, user: UserId, role: Role) -> Result<MemberRecord, ChangeError> {
        self.set_role_within(user, role, Reach::Owners).await
    }

    pub(super) async fn set_role_within(
        &self,
        user: UserId,
        role: Role,
        reach: Reach,
    ) -> Result<MemberRecord, ChangeError> {
        let (record, gone) = self.ask(|| SetRole { user, role, reach }).await?;
        self.forget_uses(&gone).await;
        Ok(record)
    }

    /// Ends a membership. When this answers, the member's personal keys are refused and their calls were told to end.
    pub async fn remove_member(&self, user: UserId) -> Result<MemberRecord, ChangeError> {
        self.remove_within(user, Reach::Owners, "member.remove").await
    }

    pub(super) async fn remove_within(
        &self,
        user: UserId,
        reach: Reach,
        action: &'static str,
    ) -> Result<MemberRecord, ChangeError> {
        let record = self.ask(|| Remove { user, reach, action }).await?;
        self.forget_uses(&record.all_that_ends()).await;
        Ok(record)
    }

    async fn forget_uses(&self, keys: &[KeyId]) {
        for key in keys {
            self.forget_use(*key).await;
        }
    }

    /// Switches a member's personal keys off, and ends their running calls.
    pub async fn disable_keys_of(&self, user: UserId) -> Result<(), ChangeError> {
        let member = self.store().get::<MemberRecord>(&member_at(user)).await?;
        for key in member.map(|(member, _)| member.keys).unwrap_or_default() {
            match self.alter_key(key, None, Some(false)).await {
                Err(ChangeError::NotFound(_)) => {}
                outcome => drop(outcome?),
            }
        }
        Ok(())
    }

    /// Invites somebody; the answer holds what the link needs for the only time. An earlier invitation of the same
    /// address ends.
    pub async fn invite(&self, new: NewInvitation) -> Result<MintedInvitation, ChangeError> {
        self.invite_within(new, Reach::Owners).await
    }

    pub(super) async fn invite_within(
        &self,
        new: NewInvitation,
        reach: Reach,
    ) -> Result<MintedInvitation, ChangeError> {
        self.ask(|| Invite { new: new.clone(), reach }).await
    }

    /// Ends an invitation.
    pub async fn withdraw(&self, id: InvitationId) -> Result<InvitationRecord, ChangeError> {
        self.withdraw_within(id, Reach::Owners).await
    }

    pub(super) async fn withdraw_within(
        &self,
        id: InvitationId,
        reach: Reach,
    ) -> Result<InvitationRecord, ChangeError> {
        self.ask(|| Withdraw { id, reach }).await
    }

    /// Redeems an invitation for this user. `NotFound` where it was used, has expired, or never was; `Invalid` where
    /// it is somebody else's.
    pub async fn accept(
        &self,
        presented: Presented,
        user: UserId,
        email: &str,
    ) -> Result<MemberRecord, ChangeError> {
        self.ask(|| Accept { presented, user, email: email.to_owned() }).await
    }

    /// All members, by address.
    pub async fn list_members(&self) -> Result<Vec<ListedMember>, ChangeError> {
        let (stored, _) = self.store().all(record::MEMBERS).await?;
        let mut members = Vec::with_capacity(stored.len());
        for stored in &stored {
            let Some(user) = id_after(record::MEMBERS, &stored.key) else { continue };
            members.push(ListedMember { user, record: decode(&stored.value)? });
        }
        members.sort_by(|a, b| a.record.email.cmp(&b.record.email));
        Ok(members)
    }

    /// The open invitations, by address.
    pub async fn list_invitations(&self) -> Result<Vec<(InvitationId, InvitationRecord)>, ChangeError> {
        let (stored, _) = self.store().all(record::INVITATIONS).await?;
        let mut open: Vec<(InvitationId, InvitationRecord)> = Vec::with_capacity(stored.len());
        for stored in &stored {
            let Some(id) = id_after(record::INVITATIONS, &stored.key) else { continue };
            open.push((id, decode(&stored.value)?));
        }
        let now = self.entry.now();
        open.retain(|(_, invitation)| now < invitation.expires_at);
        open.sort_by(|(_, a), (_, b)| a.email.cmp(&b.email));
        Ok(open)
    }
}

impl Registry {
    /// A user's membership in an organization that lives, and the organization's name. Two point reads; nothing is
    /// loaded, so that looking around moves nobody out of memory.
    pub async fn membership(
        &self,
        org: OrgId,
        user: UserId,
    ) -> Result<Option<(OrgRecord, MemberRecord)>, ChangeError> {
        let store = self.store_of(org);
        let Some((member, _)) = store.get::<MemberRecord>(&member_at(user)).await? else { return Ok(None) };
        let record = store.get::<OrgRecord>(&record::org_at()).await?;
        Ok(record.map(|(record, _)| (record, member)))
    }

    /// What a user was in an organization that was deleted and is still there; what they are in one that lives.
    pub async fn former_role(&self, org: OrgId, user: UserId) -> Result<Option<Role>, ChangeError> {
        let member = self.store_of(org).get::<MemberRecord>(&member_at(user)).await?;
        Ok(member.map(|(member, _)| member.role))
    }

    /// What an invitation's link leads to. `NotFound` where it was used, has expired, or never was.
    pub async fn invitation(&self, presented: &Presented) -> Result<OpenInvitation, ChangeError> {
        let store = self.store_of(presented.owner);
        let now = self.0.parts.context.clock.now();
        let found = store.get::<InvitationRecord>(&invitation_at(presented.id)).await?;
        let found = found.filter(|(invitation, _)| holds(invitation, presented, now));
        let org = store.get::<OrgRecord>(&record::org_at()).await?;
        match (found, org) {
            (Some((record, _)), Some((org, _))) => Ok(OpenInvitation { org_name: org.name, record }),
            _ => Err(ChangeError::NotFound(INVITATION)),
        }
    }
}
