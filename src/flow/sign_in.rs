//! Sign in and out: hold a proof against a user, then begin a session with a fresh secret.
//!
//! An unknown user, a wrong password and a disabled user are one answer after one password hash. A cookie that came
//! along is never taken over: it ends, and a session begins (no fixation).

use async_trait::async_trait;

use super::people::{Began, People, SignInError};
use super::throttle::From;
use super::trail;
use crate::credential::UserId;
use crate::org::ChangeError;
use crate::system::email::Email;
use crate::system::password;
use crate::system::sessions::{Visitor, network_of};
use crate::system::users::UserRecord;

/// A way to prove who one is. Passwords today; passkeys, one-time codes and OpenID Connect are further implementations.
#[async_trait]
pub trait Proof: Send + Sync {
    /// What tries are counted by: what was claimed, whether or not it exists.
    fn account(&self) -> &str;

    /// Who it is, where the proof holds; whether they may sign in is not asked here. Whoever implements it makes a
    /// failure cost the same whether the user exists or not.
    async fn holds(&self, people: &People) -> Result<Option<(UserId, UserRecord)>, ChangeError>;
}

/// An address and a password.
pub struct ByPassword {
    account: String,
    email: Option<Email>,
    password: String,
}

impl ByPassword {
    /// As a person typed them.
    pub fn new(email: &str, password: &str) -> Self {
        // One that was never set can be no one's: its length is bounded before it is hashed.
        let password = password.chars().take(password::CHARS_MAX + 1).collect();
        let parsed = Email::parse(email);
        let account = match &parsed {
            Some(email) => email.to_string(),
            None => email.chars().take(crate::system::email::BYTES_MAX).collect(),
        };
        Self { account, email: parsed, password }
    }
}

#[async_trait]
impl Proof for ByPassword {
    fn account(&self) -> &str {
        &self.account
    }

    async fn holds(&self, people: &People) -> Result<Option<(UserId, UserRecord)>, ChangeError> {
        let found = people.users.find(self.email.as_ref()).await?;
        let stored = found.as_ref().and_then(|(_, record)| record.password.as_ref());
        let holds = people.hasher.verify(stored, &self.password).await?;
        let Some((id, record)) = found.filter(|_| holds) else { return Ok(None) };
        if record.password.as_ref().is_some_and(|stored| people.hasher.is_outdated(stored)) {
            return renewed(people, id, record, &self.password).await.map(Some);
        }
        Ok(Some((id, record)))
    }
}

/// A user whose password is kept with today's parameters. Not told in the trail: nothing changed for anybody.
async fn renewed(
    people: &People,
    id: UserId,
    before: UserRecord,
    password: &str,
) -> Result<(UserId, UserRecord), ChangeError> {
    let fresh = people.hasher.hash(password).await?;
    let record = people.users.change(id, |record| {
        let is_same = record.password == before.password;
        if is_same {
            record.password = Some(fresh.clone());
        }
        Ok::<_, ChangeError>(is_same.then(Vec::new))
    });
    Ok((id, record.await?))
}

/// Signs somebody in. `former` is the cookie that came along, if any.
pub async fn sign_in(
    people: &People,
    proof: &dyn Proof,
    visitor: &Visitor,
    former: Option<&str>,
) -> Result<Began, SignInError> {
    take_a_try(people, proof.account(), visitor).await?;
    let Some((id, found)) = proof.holds(people).await? else { return Err(refused(visitor)) };
    let Some(began) = admit(people, (id, &found), visitor).await? else { return Err(refused(visitor)) };
    if let Some(former) = former {
        people.sessions.sign_out(former).await?;
    }
    Ok(began)
}

/// Begins a session of somebody who has just proved who they are, and notes that they signed in. `None` where they may
/// not: what was proved is proved of the password that `found` has, so that a reset in between counts.
pub(super) async fn admit(
    people: &People,
    (id, found): (UserId, &UserRecord),
    visitor: &Visitor,
) -> Result<Option<Began>, ChangeError> {
    let author = trail::themselves(id, found, visitor.address);
    let entry = trail::entry(&people.context, &author, "user.sign_in", (id, found))?;
    let now = people.context.clock.now();
    let mut is_admitted = false;
    let decide = |record: &mut UserRecord| {
        is_admitted = record.is_on() && record.epoch == found.epoch;
        record.last_signed_in_at = Some(now);
        Ok::<_, ChangeError>(is_admitted.then(|| vec![entry.clone()]))
    };
    let record = people.users.change(id, decide).await?;
    if !is_admitted {
        return Ok(None);
    }
    let cookie = people.sessions.begin(id, record.epoch, visitor).await?;
    Ok(Some(Began { cookie, user: id }))
}

/// Takes a try of the source's and of the account's, or says how long to wait.
pub(super) async fn take_a_try(people: &People, account: &str, visitor: &Visitor) -> Result<(), SignInError> {
    let throttle = &people.state.throttle;
    throttle.take_source(visitor.address).map_err(SignInError::Throttled)?;
    let Err(wait) = throttle.take_account(account, From::Anywhere) else { return Ok(()) };
    // Strangers have used up what there is: whoever comes from where the account is signed in is none of them.
    let known = match visitor.address.map(network_of) {
        Some(network) if is_known(people, account, &network).await? => From::Known(network),
        _ => return Err(SignInError::Throttled(wait)),
    };
    throttle.take_account(account, known).map_err(SignInError::Throttled)
}

/// Whether an account has a session in this network. The same reads whether it exists or not.
async fn is_known(people: &People, account: &str, network: &str) -> Result<bool, SignInError> {
    let found = people.users.find(Email::parse(account).as_ref()).await?;
    let user = found.map_or(crate::system::users::NOBODY, |(id, _)| id);
    Ok(people.sessions.has_network(user, network).await?)
}

/// What was tried is not logged: people type passwords into the wrong field.
fn refused(visitor: &Visitor) -> SignInError {
    tracing::info!(address = ?visitor.address, "somebody could not sign in");
    SignInError::Refused
}

/// Ends the session of a cookie, if it is one.
pub async fn sign_out(people: &People, cookie: &str) -> Result<(), ChangeError> {
    Ok(people.sessions.sign_out(cookie).await?)
}
