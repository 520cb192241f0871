//! Members across the two scopes: the index of a user's organizations is written before the organization's record and
//! removed after it. The record is the truth; what a crash leaves is an entry of the index that no record bears out.

use super::people::People;
use crate::context::Timestamp;
use crate::credential::{OrgId, UserId};
use crate::org::members::{ListedMember, NewMember};
use crate::org::permission::Role;
use crate::org::record::MemberRecord;
use crate::org::{ChangeError, Member, Org};
use crate::system::users::UserRecord;

/// A member as lists show them.
#[derive(Debug, Clone)]
pub struct PersonInOrg {
    /// Who.
    pub user: UserId,
    /// Their address.
    pub email: String,
    /// What others see; the address where the user is not there any more.
    pub name: String,
    /// What they are.
    pub role: Role,
    /// Since when.
    pub since: Timestamp,
    /// When they signed in last, to whatever organization.
    pub last_signed_in_at: Option<Timestamp>,
    /// Whether an operator keeps them out.
    pub disabled: bool,
}

/// Makes a user a member, for the operator and for set-up.
pub async fn add_member(
    people: &People,
    org: &Org,
    (user, record): (UserId, &UserRecord),
    role: Role,
) -> Result<MemberRecord, ChangeError> {
    people.memberships.note(user, org.id()).await?;
    let member = org.add_member(NewMember { user, email: record.email.to_string(), role }).await?;
    stays(people, org, user).await?;
    Ok(member)
}

/// Takes a membership back that was made while its user was being deleted. The deletion marks the user and then looks into
/// the index; here the index came first and the mark is looked for last, so one of the two finds the other.
pub(super) async fn stays(people: &People, org: &Org, user: UserId) -> Result<(), ChangeError> {
    if people.users.get(user).await?.is_some() && !people.users.is_leaving(user).await? {
        return Ok(());
    }
    remove_as_operator(people, org, user).await?;
    Err(ChangeError::NotFound("user"))
}

/// Ends somebody's membership in the name of another member. When this answers, their personal keys are refused.
pub async fn remove_member(people: &People, by: &Member, user: UserId) -> Result<MemberRecord, ChangeError> {
    let removed = by.remove(user).await?;
    forget(people, user, by.org_id()).await;
    Ok(removed)
}

/// Ends one's own membership.
pub async fn leave(people: &People, member: &Member) -> Result<MemberRecord, ChangeError> {
    let left = member.leave().await?;
    forget(people, member.person().user, member.org_id()).await;
    Ok(left)
}

/// The same for the operator.
pub async fn remove_as_operator(
    people: &People,
    org: &Org,
    user: UserId,
) -> Result<MemberRecord, ChangeError> {
    let removed = org.remove_member(user).await?;
    forget(people, user, org.id()).await;
    Ok(removed)
}

async fn forget(people: &People, user: UserId, org: OrgId) {
    if let Err(error) = people.memberships.forget(user, org).await {
        // Removed they are; the entry finds no record and counts for nothing.
        let error = &error as &dyn std::error::Error;
        tracing::warn!(error, "an ended membership stays in the index");
    }
}

/// The members of an organization with their names.
pub async fn list(people: &People, org: &Org) -> Result<Vec<PersonInOrg>, ChangeError> {
    named(people, org.list_members().await?).await
}

/// The same as a member sees it.
pub async fn list_as(people: &People, member: &Member) -> Result<Vec<PersonInOrg>, ChangeError> {
    named(people, member.list_members().await?).await
}

async fn named(people: &People, listed: Vec<ListedMember>) -> Result<Vec<PersonInOrg>, ChangeError> {
    let mut named = Vec::with_capacity(listed.len());
    for ListedMember { user, record } in listed {
        let found = people.users.get(user).await?;
        named.push(PersonInOrg {
            user,
            name: found.as_ref().map_or_else(|| record.email.clone(), |user| user.name.clone()),
            email: record.email,
            role: record.role,
            since: record.since,
            last_signed_in_at: found.as_ref().and_then(|user| user.last_signed_in_at),
            disabled: !found.is_some_and(|user| user.is_on()),
        });
    }
    Ok(named)
}
