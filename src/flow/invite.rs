//! Invite somebody into an organization, and accept: the invitation is the organization's, redeemed in the commit that
//! makes the member, so that of two who follow one link one gets in.
//!
//! The order: a new user is written first, then the index, then the organization's record. Whoever breaks off in between
//! is a user without that organization; the link is still good and takes them on once they have signed in.

use super::members::stays;
use super::people::{Began, People, SignInError, parse_email};
use super::sign_in::{admit, take_a_try};
use super::throttle::From;
use super::trail;
use crate::context::Timestamp;
use crate::credential::secret::{Presented, Purpose};
use crate::credential::{InvitationId, OrgId, UserId};
use crate::mail::Letter;
use crate::org::members::{MintedInvitation, NewInvitation, OpenInvitation};
use crate::org::permission::Role;
use crate::org::{ChangeError, Member, Org, Person};
use crate::system::email::Email;
use crate::system::sessions::Visitor;
use crate::system::users::UserError;

/// An invitation that was just made.
#[derive(Clone)]
pub struct Invited {
    /// Its id.
    pub id: InvitationId,
    /// For whom.
    pub email: String,
    /// As what.
    pub role: Role,
    /// From when on it is refused.
    pub expires_at: Timestamp,
    /// The link to hand over by oneself; `None` where a letter has taken it.
    pub link: Option<String>,
}

impl std::fmt::Debug for Invited {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Invited").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What an invitation's link leads to.
#[derive(Debug, Clone)]
pub struct Offer {
    /// Which organization.
    pub org: OrgId,
    /// The organization's name, and for whom and as what it is.
    pub open: OpenInvitation,
    /// Whether the address has a user, who signs in to accept; otherwise one is made.
    pub has_user: bool,
}

/// Invites somebody in a member's name.
pub async fn invite(people: &People, by: &Member, email: &str, role: Role) -> Result<Invited, ChangeError> {
    let email = parse_email(email)?;
    let org_name = by.record().await?.name;
    if people.post.is_some() {
        // Whose name the letters carry is the operator's: nobody sends strangers more of them than a person does.
        let sender = format!("letters of {}", by.person().user);
        let taken = people.state.throttle.take_account(&sender, From::Anywhere);
        let what = "too many invitations were sent";
        taken.map_err(|wait| ChangeError::TooFast { what, wait })?;
    }
    let minted = by.invite(email.as_str(), role).await?;
    Ok(send(people, &org_name, minted).await)
}

/// The same for the operator.
pub async fn invite_as_operator(
    people: &People,
    org: &Org,
    email: &str,
    role: Role,
) -> Result<Invited, ChangeError> {
    let email = parse_email(email)?.to_string();
    let org_name = org.record().await?.name;
    let minted = org.invite(NewInvitation { email, role, by: None }).await?;
    Ok(send(people, &org_name, minted).await)
}

async fn send(people: &People, org_name: &str, minted: MintedInvitation) -> Invited {
    let MintedInvitation { id, record, plain } = minted;
    let link = people.invitation_link(&plain);
    let letter = Letter {
        to: record.email.clone(),
        subject: format!("You are invited to {org_name} on Sequel"),
        text: format!(
            "You are invited to the organization {org_name} on Sequel, as {}.\n\n\
             Follow this link to accept, until {}:\n{link}\n\n\
             If you did not expect this, leave it: without the link nothing happens.\n",
            record.role, record.expires_at,
        ),
    };
    let mailed = match people.place_for_a_letter() {
        Some(place) => people.post_letter(place, letter).await,
        None => false,
    };
    Invited {
        id,
        email: record.email,
        role: record.role,
        expires_at: record.expires_at,
        link: (!mailed).then_some(link),
    }
}

fn presented(token: &str) -> Result<Presented, ChangeError> {
    Presented::parse(Purpose::Invitation, token).map_err(|_| ChangeError::NotFound("invitation"))
}

/// What a link leads to. `NotFound` where it was used, has expired, or never was.
pub async fn look(people: &People, token: &str) -> Result<Offer, ChangeError> {
    let presented = presented(token)?;
    let open = people.registry.invitation(&presented).await?;
    let has_user = people.users.find(Email::parse(&open.record.email).as_ref()).await?.is_some();
    Ok(Offer { org: presented.owner, open, has_user })
}

/// Accepts as somebody who is new here, and signs them in. The address is the invitation's. Each try costs the hash of a
/// password, and is counted like one to sign in.
pub async fn accept_as_new(
    people: &People,
    token: &str,
    (name, password): (&str, &str),
    visitor: &Visitor,
) -> Result<(OrgId, Began), SignInError> {
    let presented = presented(token)?;
    let open = people.registry.invitation(&presented).await?;
    take_a_try(people, &format!("invitation {}", presented.id), visitor).await?;
    let email = parse_email(&open.record.email)?;
    let record = people.new_user(&email, name, Some(password)).await?;
    let user = UserId::mint(&people.context.rng)?;
    let author = trail::themselves(user, &record, visitor.address);
    let entry = trail::entry(&people.context, &author, "user.create", (user, &record))?;
    people.users.create(user, &record, entry).await.map_err(|error| match error {
        UserError::EmailTaken(email) => {
            ChangeError::Invalid(format!("there is a user with the address {email}; sign in to accept"))
        }
        error => error.into(),
    })?;
    let person = Person { user, email: email.to_string(), address: visitor.address };
    let org = redeem(people, presented, &person).await?;
    Ok((org, admit(people, (user, &record), visitor).await?.ok_or(SignInError::Refused)?))
}

/// Accepts as somebody who is signed in.
pub async fn accept(people: &People, token: &str, person: &Person) -> Result<OrgId, ChangeError> {
    let presented = presented(token)?;
    // Before anything is written: who only guesses loads no organization and leaves no trace.
    people.registry.invitation(&presented).await?;
    redeem(people, presented, person).await
}

async fn redeem(people: &People, presented: Presented, person: &Person) -> Result<OrgId, ChangeError> {
    let org = presented.owner;
    people.memberships.note(person.user, org).await?;
    let handle = people.registry.resolve(org).await?.by(person.author());
    handle.accept(presented, person.user, &person.email).await?;
    stays(people, &handle, person.user).await?;
    tracing::info!(%org, user = %person.user, "an invitation was accepted");
    Ok(org)
}
