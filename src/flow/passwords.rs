//! Passwords that change: by a link that works once and for an hour, or by who is signed in.
//!
//! A user's record holds the digest of at most one link. Redeeming it replaces the password, takes the link away and
//! ends all sessions in one conditional commit: of two who follow one link, one sets the password, and nothing of what
//! a thief had begun goes on.

use std::time::Duration;

use super::people::{Began, People, SignInError, parse_email};
use super::sign_in::take_a_try;
use super::trail;
use crate::credential::secret::{PlainSecret, Presented, Purpose};
use crate::credential::{Id, UserId};
use crate::mail::Letter;
use crate::org::ChangeError;
use crate::org::audit::Author;
use crate::system::password;
use crate::system::sessions::{SignedIn, Visitor};
use crate::system::users::{Reset, UserRecord};

/// How long a link is good.
pub const RESET_LIFE: Duration = Duration::from_secs(3_600);
/// How long a link is left alone by who asks for another by mail. Anybody may ask in anybody's name: without this a
/// stranger could fill a mailbox, and end each link before its owner follows it.
pub const RESET_LEFT_ALONE: Duration = Duration::from_secs(600);

const LINK: &str = "link to set a password";

/// Sends a link by mail, if there is such a user. What is answered, and when, does not depend on it: the rest happens
/// behind the answer. An error says that it was asked for too often; `NotFound` that no mail is configured.
pub async fn ask_by_mail(people: &People, email: &str, visitor: &Visitor) -> Result<(), SignInError> {
    if people.post.is_none() {
        return Err(ChangeError::NotFound("mail relay on this server; ask its operator for a link").into());
    }
    let email = parse_email(email)?;
    take_a_try(people, &format!("reset {email}"), visitor).await?;
    // Before it is known whether anything is to be sent: what waits behind the answers is bounded.
    let Some(place) = people.place_for_a_letter() else { return Err(ChangeError::Busy.into()) };
    let (people, address) = (people.clone(), visitor.address);
    tokio::spawn(async move {
        let sent = async {
            let Some((id, record)) = people.users.find(Some(&email)).await? else { return Ok(()) };
            let author = trail::themselves(id, &record, address);
            let Some(link) = new_link(&people, &author, id, RESET_LEFT_ALONE).await? else { return Ok(()) };
            let letter = Letter {
                to: email.to_string(),
                subject: "Set a new password for Sequel".into(),
                text: format!(
                    "Somebody asked for a new password for {email} on Sequel.\n\n\
                     Follow this link within an hour to set one; it ends every session:\n{link}\n\n\
                     If it was not you, leave it: your password stays as it is.\n"
                ),
            };
            people.post_letter(place, letter).await;
            Ok::<_, ChangeError>(())
        };
        if let Err(error) = sent.await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "a link to set a password could not be made");
        }
    });
    Ok(())
}

/// A link for the operator to hand over. It replaces an earlier one. `Invalid` for who is disabled.
pub async fn link(people: &People, author: &Author, id: UserId) -> Result<String, ChangeError> {
    new_link(people, author, id, Duration::ZERO).await?.ok_or_else(|| {
        ChangeError::Invalid("the user is disabled; enable them first: sequel user enable EMAIL".into())
    })
}

/// `None` for who is disabled, and where there is a link that was made no longer than `alone` ago.
async fn new_link(
    people: &People,
    author: &Author,
    id: UserId,
    alone: Duration,
) -> Result<Option<String>, ChangeError> {
    let secret = PlainSecret::mint(Purpose::Reset, Id::mint(&people.context.rng)?, id, &people.context.rng)?;
    let now = people.context.clock.now();
    let expires_at = now.plus(RESET_LIFE);
    let is_left_alone = |reset: &Reset| now < reset.expires_at.minus(RESET_LIFE).plus(alone);
    let mut is_made = false;
    let decide = |record: &mut UserRecord| {
        is_made = record.is_on() && !record.reset.as_ref().is_some_and(is_left_alone);
        if !is_made {
            return Ok(None);
        }
        record.reset = Some(Reset { digest: secret.digest(), expires_at });
        Ok::<_, ChangeError>(Some(vec![trail::entry(
            &people.context,
            author,
            "user.reset_link",
            (id, record),
        )?]))
    };
    people.users.change(id, decide).await?;
    Ok(is_made.then(|| people.reset_link(&secret)))
}

fn holds(people: &People, record: &UserRecord, presented: &Presented) -> bool {
    let now = people.context.clock.now();
    let is_link = |reset: &Reset| reset.digest.matches(&presented.digest) && now < reset.expires_at;
    record.is_on() && record.reset.as_ref().is_some_and(is_link)
}

fn presented(token: &str) -> Result<Presented, ChangeError> {
    Presented::parse(Purpose::Reset, token).map_err(|_| ChangeError::NotFound(LINK))
}

/// Whose password a link sets. `NotFound` where it was used, has expired, or never was.
pub async fn look(people: &People, token: &str) -> Result<UserRecord, ChangeError> {
    let presented = presented(token)?;
    let found = people.users.get(presented.owner).await?;
    found.filter(|record| holds(people, record, &presented)).ok_or(ChangeError::NotFound(LINK))
}

/// Sets a password by a link. Ends all sessions; the person signs in anew.
pub async fn redeem(
    people: &People,
    token: &str,
    password: &str,
    visitor: &Visitor,
) -> Result<UserId, ChangeError> {
    let presented = presented(token)?;
    let found = look(people, token).await?;
    let hash = checked(people, &found, password).await?;
    let id = presented.owner;
    let author = trail::themselves(id, &found, visitor.address);
    let decide = |record: &mut UserRecord| {
        if !holds(people, record, &presented) {
            return Err(ChangeError::NotFound(LINK));
        }
        record.password = Some(hash.clone());
        record.reset = None;
        record.end_sessions();
        Ok(Some(vec![trail::entry(&people.context, &author, "user.set_password", (id, record))?]))
    };
    people.users.change(id, decide).await?;
    tracing::info!(user = %id, "a password was set by a link");
    Ok(id)
}

async fn checked(
    people: &People,
    record: &UserRecord,
    password: &str,
) -> Result<password::PasswordHash, ChangeError> {
    password::check(password, record.email.as_str(), &record.name)
        .map_err(|weak| ChangeError::Invalid(weak.to_string()))?;
    Ok(people.hasher.hash(password).await?)
}

/// Changes a password by who knows the current one. Ends all sessions but this one, which gets another secret.
/// `Refused` where the current one is wrong.
pub async fn change(
    people: &People,
    (signed_in, cookie): (&SignedIn, &str),
    (current, new): (&str, &str),
    visitor: &Visitor,
) -> Result<Began, SignInError> {
    let SignedIn { user, record, .. } = signed_in;
    take_a_try(people, record.email.as_str(), visitor).await?;
    let current: String = current.chars().take(password::CHARS_MAX + 1).collect();
    if !people.hasher.verify(record.password.as_ref(), &current).await? {
        return Err(SignInError::Refused);
    }
    let hash = checked(people, record, new).await?;
    let author = trail::themselves(*user, record, visitor.address);
    let before = record.epoch;
    let decide = |record: &mut UserRecord| {
        if record.epoch != before || !record.is_on() {
            return Err(SignInError::Refused);
        }
        record.password = Some(hash.clone());
        record.reset = None;
        record.end_sessions();
        Ok(Some(vec![trail::entry(&people.context, &author, "user.change_password", (*user, record))?]))
    };
    let changed = people.users.change(*user, decide).await?;
    match people.sessions.rotate(cookie, changed.epoch).await? {
        Some(cookie) => Ok(Began { cookie, user: *user }),
        // Signed out elsewhere in between: the password is changed, and they sign in with it.
        None => Err(SignInError::Refused),
    }
}
