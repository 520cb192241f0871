//! Set up: the first person, by a link that only who sees the server's console has.
//!
//! The link's digest is kept in memory alone: a restart prints another one. It is good until the first user has an
//! organization, so that a set-up that broke off half-way can be done again with the same address and password; whoever
//! comes second finds no link.

use super::create_org::create_org;
use super::find_org::{find_org, list_orgs};
use super::members::add_member;
use super::people::{Began, People, parse_email};
use super::sign_in::admit;
use super::trail;
use crate::credential::secret::{PlainSecret, Presented, Purpose};
use crate::credential::{Id, OrgId, UserId};
use crate::org::audit::Author;
use crate::org::permission::Role;
use crate::org::{ChangeError, Org, keys};
use crate::system::sessions::Visitor;
use crate::system::users::{UserError, UserRecord};

const LINK: &str = "set-up link";

/// Which organization the first user owns.
#[derive(Debug, Clone)]
pub enum Owned {
    /// One that is made for them.
    New(String),
    /// One that is there and has no member.
    Existing(OrgId),
}

/// The first user.
pub struct FirstUser {
    /// Their address.
    pub email: String,
    /// What others see.
    pub name: String,
    /// Their password.
    pub password: String,
    /// What they own.
    pub org: Owned,
}

/// The link to print on the console; `None` where somebody was set up already.
pub async fn open(people: &People) -> Result<Option<String>, ChangeError> {
    if !is_due(people).await? {
        return Ok(None);
    }
    let secret =
        PlainSecret::mint(Purpose::SetUp, Id::mint(&people.context.rng)?, Id::NIL, &people.context.rng)?;
    *people.state.set_up.lock() = Some(secret.digest());
    Ok(Some(people.set_up_link(&secret)))
}

/// Whether nobody can get in yet: no user, or one without an organization.
async fn is_due(people: &People) -> Result<bool, ChangeError> {
    match people.users.all().await?.as_slice() {
        [] => Ok(true),
        [(only, _)] => Ok(people.orgs_of(*only).await?.is_empty()),
        _ => Ok(false),
    }
}

/// What the link offers: the organizations that nobody is a member of. `NotFound` where the link is no good.
pub async fn look(people: &People, token: &str) -> Result<Vec<(OrgId, String)>, ChangeError> {
    check(people, token)?;
    let mut free = Vec::new();
    for (id, record) in list_orgs(&people.registry, &people.index).await? {
        if people.registry.resolve(id).await?.list_members().await?.is_empty() {
            free.push((id, record.name));
        }
    }
    Ok(free)
}

fn check(people: &People, token: &str) -> Result<(), ChangeError> {
    let presented = Presented::parse(Purpose::SetUp, token).map_err(|_| ChangeError::NotFound(LINK))?;
    let digest = people.state.set_up.lock();
    let holds = digest.as_ref().is_some_and(|digest| digest.matches(&presented.digest));
    if holds { Ok(()) } else { Err(ChangeError::NotFound(LINK)) }
}

/// Makes the first user and signs them in. What is refused leaves the link good; of two at once, one is made.
pub async fn complete(
    people: &People,
    token: &str,
    first: FirstUser,
    visitor: &Visitor,
) -> Result<Began, ChangeError> {
    let _alone = people.state.setting_up.lock().await;
    check(people, token)?;
    if !is_due(people).await? {
        return Err(ChangeError::NotFound(LINK));
    }
    if let Owned::New(name) = &first.org {
        keys::check_name(name)?;
    }
    let (user, record) = first_user(people, &first, visitor).await?;
    let author = trail::themselves(user, &record, visitor.address);
    let org = owned(people, &author, &first.org).await?.by(author);
    add_member(people, &org, (user, &record), Role::Owner).await?;
    *people.state.set_up.lock() = None;
    tracing::info!(org = %org.id(), "the first user was set up");
    admit(people, (user, &record), visitor).await?.ok_or(ChangeError::Conflict)
}

/// The first user as they are written, or as an earlier attempt has left them: then the password has to be the same.
async fn first_user(
    people: &People,
    first: &FirstUser,
    visitor: &Visitor,
) -> Result<(UserId, UserRecord), ChangeError> {
    let email = parse_email(&first.email)?;
    let record = people.new_user(&email, &first.name, Some(&first.password)).await?;
    if let Some(found) = people.users.find(Some(&email)).await? {
        let holds = people.hasher.verify(found.1.password.as_ref(), &first.password).await?;
        return if holds && found.1.is_on() { Ok(found) } else { Err(UserError::EmailTaken(email).into()) };
    }
    let id = UserId::mint(&people.context.rng)?;
    let author = trail::themselves(id, &record, visitor.address);
    let entry = trail::entry(&people.context, &author, "user.create", (id, &record))?;
    people.users.create(id, &record, entry).await?;
    Ok((id, record))
}

/// The organization: a new one, or one without members, be it that an earlier attempt has made it.
async fn owned(people: &People, author: &Author, wanted: &Owned) -> Result<Org, ChangeError> {
    let (registry, index, context) = (&people.registry, &people.index, &people.context);
    let (org, taken) = match wanted {
        Owned::Existing(id) => (
            registry.resolve(*id).await?,
            ChangeError::Invalid("the organization has members already".into()),
        ),
        Owned::New(name) => match create_org(registry, index, context, author, name).await {
            Ok((id, _)) => return Ok(registry.resolve(id).await?),
            Err(taken @ ChangeError::NameTaken { .. }) => match find_org(registry, index, name).await {
                Ok(found) => (found, taken),
                Err(_) => return Err(taken),
            },
            Err(error) => return Err(error),
        },
    };
    if org.list_members().await?.is_empty() { Ok(org) } else { Err(taken) }
}
