//! Users as the operator handles them: make, disable, enable, delete.
//!
//! Deleting a user spans every organization that they are a member of, so it is a job: first one commit that keeps them
//! out and marks the user as leaving, then the memberships one by one, then the sessions, and the user with the mark last.
//! Each step starts from what is stored; the sweep goes on with whatever was broken off. It waits for organizations
//! that were deleted and can still be restored: what was theirs there must not come back with them.
//!
//! **Invariant:** a deletion that broke off goes on and nothing of the user gets in meanwhile
//! (`people_tests::a_deletion_that_broke_off_anywhere_goes_on_and_lets_nobody_in`).

use super::members::remove_as_operator;
use super::people::{People, parse_email};
use super::{passwords, trail};
use crate::context::Timestamp;
use crate::credential::{OrgId, UserId};
use crate::org::audit::{Author, Event};
use crate::org::permission::Role;
use crate::org::{ChangeError, Person, ResolveError};
use crate::system::users::{UserRecord, Users};

/// The user that an operator means, by id or address. An id counts first: no address looks like one.
pub async fn find(people: &People, word: &str) -> Result<(UserId, UserRecord), ChangeError> {
    if let Ok(id) = word.parse::<UserId>()
        && let Some(record) = people.users.get(id).await?
    {
        return Ok((id, record));
    }
    let email = crate::system::email::Email::parse(word).ok_or(ChangeError::NotFound("user"))?;
    people.users.find(Some(&email)).await?.ok_or(ChangeError::NotFound("user"))
}

/// Makes a user, and a link with which they set their password.
pub async fn create(
    people: &People,
    author: &Author,
    email: &str,
    name: &str,
) -> Result<(UserId, UserRecord, String), ChangeError> {
    let email = parse_email(email)?;
    let record = people.new_user(&email, name, None).await?;
    let id = UserId::mint(&people.context.rng)?;
    let entry = trail::entry(&people.context, author, "user.create", (id, &record))?;
    people.users.create(id, &record, entry).await?;
    let link = passwords::link(people, author, id).await?;
    Ok((id, record, link))
}

/// Keeps a user out, or lets them in again. When this answers, each later request of a disabled one's sessions and
/// personal API keys is refused, and the apps that they have authorized have ended. Letting them in again switches no key
/// on: somebody has to mean that. What fails half-way can be asked for again.
pub async fn switch(
    people: &People,
    author: &Author,
    id: UserId,
    enabled: bool,
) -> Result<UserRecord, ChangeError> {
    if enabled && people.users.is_leaving(id).await? {
        return Err(ChangeError::Invalid("the user is being deleted".into()));
    }
    let action = if enabled { "user.enable" } else { "user.disable" };
    let decide = |record: &mut UserRecord| {
        record.enabled = enabled;
        if enabled {
            record.suspended_at = None;
        } else {
            // Enabling them again brings no session back.
            record.end_sessions();
            record.reset = None;
        }
        Ok::<_, ChangeError>(Some(vec![trail::entry(&people.context, author, action, (id, record))?]))
    };
    let record = people.users.change(id, decide).await?;
    if !enabled {
        for org in people.memberships.of(id).await? {
            if people.registry.membership(org, id).await?.is_some() {
                let org = people.registry.resolve(org).await?.by(author.clone());
                org.disable_keys_of(id).await?;
                org.end_grants_of(id).await?;
            } else {
                people.registry.end_access_in_deleted(org, id, author).await?;
            }
        }
    }
    Ok(record)
}

/// Gives somebody who is signed in another name.
pub async fn rename(people: &People, person: &Person, name: &str) -> Result<UserRecord, ChangeError> {
    let name = crate::org::keys::check_name(name)?;
    let author = person.author();
    let decide = |record: &mut UserRecord| {
        if record.name == name {
            return Ok(None);
        }
        record.name.clone_from(&name);
        Ok::<_, ChangeError>(Some(vec![trail::entry(
            &people.context,
            &author,
            "user.rename",
            (person.user, record),
        )?]))
    };
    people.users.change(person.user, decide).await
}

/// Begins to delete a user, and goes as far as it can be gone now. True where nothing is left of them; otherwise the
/// sweep goes on. Refused while they are the only owner of an organization: nobody could own it after them.
pub async fn delete(people: &People, author: &Author, id: UserId) -> Result<bool, ChangeError> {
    let owned = owned_alone(people, id).await?;
    if !owned.is_empty() {
        return Err(ChangeError::Invalid(format!(
            "the user is the only owner of {}; make somebody else an owner first, or delete it",
            owned.join(", ")
        )));
    }
    let since = people.context.clock.now();
    let decide = |record: &mut UserRecord| {
        record.enabled = false;
        record.password = None;
        record.reset = None;
        record.end_sessions();
        let entry = trail::entry(&people.context, author, "user.delete", (id, record))?;
        Ok::<_, ChangeError>(Some(vec![entry, Users::leaving(id, since)]))
    };
    people.users.change(id, decide).await?;
    match finish(people, id).await {
        Ok(done) => Ok(done),
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(user = %id, error, "a user's deletion has begun and goes on later");
            Ok(false)
        }
    }
}

async fn owned_alone(people: &People, id: UserId) -> Result<Vec<String>, ChangeError> {
    let mut names = Vec::new();
    for mine in people.orgs_of(id).await? {
        let members = people.registry.resolve(mine.id).await?.list_members().await?;
        let has_other = members.iter().any(|other| other.user != id && other.record.role == Role::Owner);
        if mine.role == Role::Owner && !has_other {
            names.push(mine.name);
        }
    }
    Ok(names)
}

/// Goes on with every deletion that was begun. One that fails is told in the log and keeps nobody behind it waiting.
pub async fn finish_all(people: &People) -> Result<(), ChangeError> {
    for id in people.users.all_leaving().await? {
        if let Err(error) = finish(people, id).await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(user = %id, error, "a user could not be deleted yet; it is tried again");
        }
    }
    Ok(())
}

/// The rest of a deletion; true where nothing is left.
async fn finish(people: &People, id: UserId) -> Result<bool, ChangeError> {
    let mut waits = false;
    for org in people.memberships.of(id).await? {
        waits |= !leave(people, id, org).await?;
    }
    if waits {
        return Ok(false);
    }
    people.sessions.end_others(id, None).await?;
    // Without name and address: what is kept of a deleted user is that there was one.
    let event = Event::new("user.deleted", "user", id, "");
    let entry = trail::of_event(&people.context, &Author::sequel(), event)?;
    people.users.remove(id, entry).await?;
    tracing::info!(user = %id, "a user was deleted");
    Ok(true)
}

/// Ends one membership; false where its organization may come back.
async fn leave(people: &People, id: UserId, org: OrgId) -> Result<bool, ChangeError> {
    match people.registry.resolve(org).await {
        Ok(handle) => {
            match remove_as_operator(people, &handle, id).await {
                // Never was one, or is none any more.
                Err(ChangeError::NotFound(_)) => {}
                outcome => drop(outcome?),
            }
        }
        Err(ResolveError::NotFound) if people.registry.deleted(org).await?.is_some() => {
            people.registry.end_access_in_deleted(org, id, &Author::sequel()).await?;
            return Ok(false);
        }
        Err(ResolveError::NotFound) => {}
        Err(error) => return Err(error.into()),
    }
    people.memberships.forget(id, org).await?;
    Ok(true)
}

/// Removes sessions whose time is over and entries of the trail from before `keep_from`, and forgets who has not tried
/// to sign in lately. For a timer.
pub async fn prune(people: &People, keep_from: Timestamp) -> Result<(), ChangeError> {
    people.state.throttle.prune();
    people.state.requests.prune();
    people.sessions.prune().await?;
    people.users.prune_trail(keep_from).await?;
    Ok(())
}
