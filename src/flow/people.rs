//! What the flows about people share: where users, sessions and organizations are, how letters go, and how links look.

use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use tokio::sync::{Mutex as AsyncMutex, OwnedSemaphorePermit, Semaphore};

use super::throttle::{RequestThrottle, SignInLimits, SignInThrottle};
use crate::context::{Context, RngError};
use crate::credential::secret::PlainSecret;
use crate::credential::{Digest, OrgId, UserId};
use crate::mail::{Letter, Post};
use crate::org::permission::Role;
use crate::org::{ChangeError, Registry};
use crate::system::hashing::{HashError, Hasher};
use crate::system::sessions::SignedIn;
use crate::system::users::{UserError, UserRecord};
use crate::system::{Memberships, OrgIndex, Sessions, TableError, Users, email::Email, password};

/// Letters that are on their way at once; more are dropped and told in the log. A relay that hangs must not collect
/// memory.
const LETTERS_AT_ONCE: usize = 16;

/// What people's flows work on. Clones share it.
#[derive(Clone)]
pub struct People(Arc<PeopleParts>);

/// What [`People`] is made of.
pub struct PeopleParts {
    /// All organizations.
    pub registry: Registry,
    /// All organizations by name.
    pub index: OrgIndex,
    /// Time and randomness.
    pub context: Context,
    /// Who may sign in.
    pub users: Users,
    /// Who has.
    pub sessions: Sessions,
    /// Which organizations a user may be a member of.
    pub memberships: Memberships,
    /// How passwords are kept.
    pub hasher: Hasher,
    /// How letters go, where that is configured.
    pub post: Option<Arc<dyn Post>>,
    /// What links begin with, without a slash at the end: configured, never taken from a request.
    pub public_url: String,
    /// What the flows keep in memory.
    pub state: PeopleState,
}

/// What the flows keep in memory: throttles, the link of the set-up, letters on their way.
pub struct PeopleState {
    pub(super) throttle: SignInThrottle,
    pub(super) requests: RequestThrottle,
    pub(super) set_up: Mutex<Option<Digest>>,
    // Held while the first user is made.
    pub(super) setting_up: AsyncMutex<()>,
    letters: Arc<Semaphore>,
    // Where the server really listens, once it does.
    bound_url: OnceLock<String>,
}

impl PeopleState {
    /// Nothing yet. A person may ask `requests_per_minute` times; 0 for no limit.
    pub fn new(limits: SignInLimits, requests_per_minute: u32) -> Self {
        Self {
            throttle: SignInThrottle::new(limits),
            requests: RequestThrottle::new(requests_per_minute),
            set_up: Mutex::default(),
            setting_up: AsyncMutex::default(),
            letters: Arc::new(Semaphore::new(LETTERS_AT_ONCE)),
            bound_url: OnceLock::new(),
        }
    }
}

impl std::ops::Deref for People {
    type Target = PeopleParts;

    fn deref(&self) -> &PeopleParts {
        &self.0
    }
}

/// A session that was just begun. The cookie's value is nowhere else.
#[derive(Debug)]
pub struct Began {
    /// For `system::cookie`.
    pub cookie: PlainSecret,
    /// Whose it is.
    pub user: UserId,
}

/// An organization as its member's list shows it.
#[derive(Debug, Clone)]
pub struct MyOrg {
    /// Which one.
    pub id: OrgId,
    /// Its name.
    pub name: String,
    /// What they are in it.
    pub role: Role,
}

impl People {
    /// Puts the parts together.
    pub fn new(parts: PeopleParts) -> Self {
        Self(Arc::new(parts))
    }

    /// Says what links begin with now that the server listens: the port may have been picked just then.
    pub fn listens_at(&self, public_url: String) {
        self.registry.protects(format!("{public_url}/mcp"));
        // A server listens once.
        let _ = self.state.bound_url.set(public_url);
    }

    /// What links begin with, without a slash at the end.
    pub(super) fn base_url(&self) -> &str {
        self.state.bound_url.get().unwrap_or(&self.public_url)
    }

    fn link(&self, room: &str, secret: &PlainSecret) -> String {
        format!("{}/{room}/{}", self.base_url(), secret.reveal())
    }

    /// Who presents this cookie, if anybody who is signed in.
    pub async fn signed_in(&self, cookie: &str) -> Result<Option<SignedIn>, ChangeError> {
        Ok(self.sessions.check(cookie).await?)
    }

    /// Takes a request of somebody's who is signed in, or says how long they have to wait.
    pub fn take_request(&self, user: UserId) -> Result<(), std::time::Duration> {
        self.state.requests.take(user)
    }

    /// Gives a session another secret, for when its person is allowed more than before: an invitation that was accepted.
    /// The former cookie is refused from then on; `None` where it was ended meanwhile.
    pub async fn rotated(
        &self,
        signed_in: &SignedIn,
        cookie: &str,
    ) -> Result<Option<PlainSecret>, ChangeError> {
        Ok(self.sessions.rotate(cookie, signed_in.record.epoch).await?)
    }

    /// The organizations of a user, by name: those that bear it out.
    pub async fn orgs_of(&self, user: UserId) -> Result<Vec<MyOrg>, ChangeError> {
        let mut orgs = Vec::new();
        for id in self.memberships.of(user).await? {
            // Otherwise: not yet, not any more, or of an organization that was deleted and may be restored.
            if let Some((org, member)) = self.registry.membership(id, user).await? {
                orgs.push(MyOrg { id, name: org.name, role: member.role });
            } else if self.registry.name(id).await?.is_none() {
                // It was purged, and its id comes never again.
                self.memberships.forget(user, id).await?;
            }
        }
        orgs.sort_by(|a, b| a.name.cmp(&b.name).then(a.id.cmp(&b.id)));
        Ok(orgs)
    }

    /// The organizations that a user owned and that were deleted, by name, as long as they can be restored.
    pub async fn restorable(&self, user: UserId) -> Result<Vec<(OrgId, String)>, ChangeError> {
        let mut orgs = Vec::new();
        for id in self.memberships.of(user).await? {
            if self.registry.former_role(id, user).await? == Some(Role::Owner)
                && let Some(deleted) = self.registry.deleted(id).await?
                && self.context.clock.now() < deleted.purge_at
            {
                orgs.push((id, deleted.name));
            }
        }
        orgs.sort_by(|(_, a), (_, b)| a.cmp(b));
        Ok(orgs)
    }

    /// The link of the first set-up.
    pub(super) fn set_up_link(&self, secret: &PlainSecret) -> String {
        self.link("set-up", secret)
    }

    /// The link of an invitation.
    pub(super) fn invitation_link(&self, secret: &PlainSecret) -> String {
        self.link("invitation", secret)
    }

    /// The link that sets a password.
    pub(super) fn reset_link(&self, secret: &PlainSecret) -> String {
        self.link("reset", secret)
    }

    /// A place among the letters on their way, where there is a relay and one is free.
    pub(super) fn place_for_a_letter(&self) -> Option<OwnedSemaphorePermit> {
        self.post.as_ref()?;
        let place = Arc::clone(&self.state.letters).try_acquire_owned();
        place.inspect_err(|_| tracing::warn!("too many letters are on their way; one is not sent")).ok()
    }

    /// Sends a letter and waits for the relay. False where it did not take the letter.
    pub(super) async fn post_letter(&self, _place: OwnedSemaphorePermit, letter: Letter) -> bool {
        let Some(post) = &self.post else { return false };
        match post.send(letter).await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a letter could not be sent");
                false
            }
        }
    }

    /// A new user, ready to be written. Checks name and password; without a password they need a link to set one.
    pub(super) async fn new_user(
        &self,
        email: &Email,
        name: &str,
        password: Option<&str>,
    ) -> Result<UserRecord, ChangeError> {
        let name = crate::org::keys::check_name(name)?;
        let password = match password {
            Some(password) => {
                password::check(password, email.as_str(), &name)
                    .map_err(|weak| ChangeError::Invalid(weak.to_string()))?;
                Some(self.hasher.hash(password).await?)
            }
            None => None,
        };
        Ok(UserRecord {
            email: email.clone(),
            name,
            password,
            enabled: true,
            suspended_at: None,
            created_at: self.context.clock.now(),
            last_signed_in_at: None,
            epoch: 0,
            reset: None,
        })
    }
}

/// An address as a person wrote it.
pub fn parse_email(text: &str) -> Result<Email, ChangeError> {
    Email::parse(text)
        .ok_or_else(|| ChangeError::Invalid("this is no e-mail address such as ada@example.com".into()))
}

impl From<HashError> for ChangeError {
    fn from(error: HashError) -> Self {
        match error {
            HashError::Busy => Self::Busy,
            HashError::Broken(_) | HashError::Rng(_) => Self::Internal(Box::new(error)),
        }
    }
}

impl From<UserError> for ChangeError {
    fn from(error: UserError) -> Self {
        match error {
            UserError::NotFound => Self::NotFound("user"),
            UserError::EmailTaken(email) => Self::NameTaken { what: "a user", name: email.to_string() },
            UserError::Table(error) => error.into(),
        }
    }
}

/// Why nobody was signed in. The first is the same for an unknown user, a wrong password and somebody who was
/// disabled, and takes as long.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// Not with these.
    #[error("this address and this password do not go together, or the user is disabled")]
    Refused,
    /// Tried too often; again after this long. It says nothing about whether the user exists.
    #[error("tried too often; try again in {} s", .0.as_millis().div_ceil(1_000))]
    Throttled(std::time::Duration),
    /// It could not be found out.
    #[error(transparent)]
    Failed(#[from] ChangeError),
}

impl From<RngError> for SignInError {
    fn from(error: RngError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<TableError> for SignInError {
    fn from(error: TableError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<HashError> for SignInError {
    fn from(error: HashError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<UserError> for SignInError {
    fn from(error: UserError) -> Self {
        Self::Failed(error.into())
    }
}
