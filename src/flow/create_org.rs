//! Create an organization: reserve the name, then write the organization's record, with its first owner where a person
//! makes it.
//!
//! A crash in between leaves a name that points to nothing; whoever asks for the name next gets the
//! reserved id and completes it. An organization that a person makes is never without them: the membership is in the
//! commit that makes it, and the index of a user's organizations is written before
//! (`people_tests::an_organization_that_somebody_makes_is_theirs_or_is_not_there`).

use std::time::Duration;

use super::People;
use super::delete_org::delete_org;
use super::rename_org::taken;
use crate::context::Context;
use crate::credential::{OrgId, UserId};
use crate::org::audit::Author;
use crate::org::permission::Role;
use crate::org::record::{MemberRecord, OrgRecord};
use crate::org::{ChangeError, Person, Registry, keys};
use crate::system::{Memberships, OrgIndex};

/// The new organization's id and record; `author` is who asked for it. [`ChangeError::NameTaken`] where one has the name.
pub async fn create_org(
    registry: &Registry,
    index: &OrgIndex,
    context: &Context,
    author: &Author,
    name: &str,
) -> Result<(OrgId, OrgRecord), ChangeError> {
    let record = OrgRecord { name: keys::check_name(name)?, created_at: context.clock.now() };
    let new = New { record, author, founder: None };
    let id = new.create(registry, index, context).await?;
    Ok((id, new.record))
}

/// The same for a person, who is its owner from the beginning.
pub async fn create_org_of(
    people: &People,
    person: &Person,
    name: &str,
) -> Result<(OrgId, OrgRecord), ChangeError> {
    let record = OrgRecord { name: keys::check_name(name)?, created_at: people.context.clock.now() };
    let member = MemberRecord {
        email: person.email.clone(),
        role: Role::Owner,
        since: record.created_at,
        invited_by: None,
        keys: Vec::new(),
        grants: Vec::new(),
    };
    let author = person.author();
    let founder = Founder { user: person.user, member, memberships: &people.memberships };
    let new = New { record, author: &author, founder: Some(founder) };
    let id = new.create(&people.registry, &people.index, &people.context).await?;
    if people.users.get(person.user).await?.is_none() || people.users.is_leaving(person.user).await? {
        // Their deletion began meanwhile and has perhaps looked for their organizations already. Nobody else owns this
        // one, so it goes with them.
        let org = people.registry.resolve(id).await?.by(Author::sequel());
        delete_org(&people.index, &people.context, &org, Duration::ZERO).await?;
        people.memberships.forget(person.user, id).await?;
        return Err(ChangeError::NotFound("user"));
    }
    Ok((id, new.record))
}

/// What is to be written.
struct New<'a> {
    record: OrgRecord,
    author: &'a Author,
    founder: Option<Founder<'a>>,
}

/// Who owns it from the beginning.
struct Founder<'a> {
    user: UserId,
    member: MemberRecord,
    memberships: &'a Memberships,
}

impl New<'_> {
    async fn create(
        &self,
        registry: &Registry,
        index: &OrgIndex,
        context: &Context,
    ) -> Result<OrgId, ChangeError> {
        let name = &self.record.name;
        let minted = OrgId::mint(&context.rng)?;
        let _alone = index.alone().await;
        let reserved = index.reserve(name, minted).await?;
        // Somebody has the name, unless the entry was left behind by a rename or a purge that broke off, or by a
        // creation, which is completed.
        if reserved != minted
            && let Some(taken) = taken(registry, reserved, name).await?
        {
            return Err(taken);
        }
        if registry.name(reserved).await?.is_none() {
            match self.write(registry, reserved).await {
                // It was purged: its id comes never again.
                Err(ChangeError::Conflict) => {}
                outcome => return outcome.map(|()| reserved),
            }
        }
        let id = if reserved == minted { OrgId::mint(&context.rng)? } else { minted };
        index.take_over(name, reserved, id).await?;
        self.write(registry, id).await?;
        Ok(id)
    }

    async fn write(&self, registry: &Registry, id: OrgId) -> Result<(), ChangeError> {
        let Some(Founder { user, member, memberships }) = &self.founder else {
            return registry.create(id, &self.record, None, self.author).await;
        };
        memberships.note(*user, id).await?;
        registry.create(id, &self.record, Some((*user, member)), self.author).await
    }
}
