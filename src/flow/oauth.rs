//! What the flows of OAuth share: the clients, the people, what tokens may and how long they live.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use super::people::People;
use super::throttle::SourceThrottle;
use crate::context::Timestamp;
use crate::credential::ClientId;
use crate::credential::secret::{Presented, Purpose};
use crate::metrics::{App, Metrics};
use crate::oauth::error::{Code, Refusal};
use crate::oauth::params::Params;
use crate::oauth::redirect::{RedirectKind, RedirectUri};
use crate::oauth::resource::Resource;
use crate::oauth::token::{Claim, Header};
use crate::org::{ChangeError, Place};
use crate::system::Clients;

/// How OAuth is set up.
#[derive(Debug, Clone, Copy)]
pub struct OAuthSettings {
    /// Whether there is an authorization server at all.
    pub enabled: bool,
    /// How long an access token lives.
    pub access: Duration,
    /// How long a refresh token lives that is not used.
    pub refresh: Duration,
    /// How long a used refresh token is answered with what its use came to.
    pub replay: Duration,
    /// How long a code waits.
    pub code: Duration,
    /// Most registered clients.
    pub clients_max: usize,
    /// After how long a client that nobody authorized is forgotten.
    pub client_unused: Duration,
    /// Registrations of one source address in a minute.
    pub registrations_per_minute_per_source: u32,
}

/// What OAuth's flows work on. Clones share it.
#[derive(Clone)]
pub struct OAuth(Arc<Inner>);

struct Inner {
    people: People,
    clients: Clients,
    settings: OAuthSettings,
    registrations: SourceThrottle,
    // Held while room is made for new clients. Until when that is in vain.
    making_room: Mutex<Option<Timestamp>>,
    metrics: Metrics,
}

/// Why a request to an endpoint of OAuth's was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum OAuthError {
    /// It is told so in OAuth's own words.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Too often from this address; again after this long.
    #[error("too often from this address")]
    Throttled(Duration),
    /// More often than the app may, from wherever; again after this long.
    #[error("too often for this app")]
    TooFast(Duration),
    /// It could not be found out.
    #[error(transparent)]
    Failed(#[from] ChangeError),
}

impl From<crate::system::TableError> for OAuthError {
    fn from(error: crate::system::TableError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<crate::context::RngError> for OAuthError {
    fn from(error: crate::context::RngError) -> Self {
        Self::Failed(error.into())
    }
}

/// Where somebody is sent back to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// What kind of place it is.
    pub kind: RedirectKind,
    /// Host and port, or the private scheme.
    pub host: String,
    /// What a page has to let its form lead to; `None` for a private scheme, which no page can name.
    pub form_action: Option<String>,
}

impl Target {
    pub(super) fn of(uri: &RedirectUri) -> Self {
        let (host, form_action) = (uri.shown().to_owned(), uri.origin().map(str::to_owned));
        Self { kind: uri.kind(), host, form_action }
    }
}

impl OAuth {
    /// Puts the parts together.
    pub fn new(people: People, clients: Clients, settings: OAuthSettings, metrics: Metrics) -> Self {
        let registrations = SourceThrottle::new(settings.registrations_per_minute_per_source);
        Self(Arc::new(Inner {
            people,
            clients,
            settings,
            registrations,
            making_room: Mutex::default(),
            metrics,
        }))
    }

    /// How it is set up.
    pub fn settings(&self) -> &OAuthSettings {
        &self.0.settings
    }

    /// The registered clients.
    pub fn clients(&self) -> &Clients {
        &self.0.clients
    }

    /// The people who authorize them.
    pub fn people(&self) -> &People {
        &self.0.people
    }

    /// Counts what became of an app.
    pub(super) fn count(&self, step: App) {
        self.0.metrics.app(step);
    }

    pub(super) fn making_room(&self) -> &Mutex<Option<Timestamp>> {
        &self.0.making_room
    }

    pub(super) fn registrations(&self) -> &SourceThrottle {
        &self.0.registrations
    }

    /// What this server calls itself: its public URL without a slash at the end.
    pub fn issuer(&self) -> &str {
        self.0.people.base_url()
    }

    /// What its tokens are for.
    pub fn resource(&self) -> Resource {
        Resource::new(&format!("{}/mcp", self.issuer()))
    }

    /// A place for a request that may be forged.
    pub(super) fn place(&self, from: Option<IpAddr>) -> Result<Place<'_>, OAuthError> {
        self.0.people.registry.place_to_fail(from).map_err(OAuthError::Throttled)
    }

    /// Notes that nothing came of such a request, whatever was wrong with it: an address that sends nothing else has to
    /// wait, and fills no log.
    pub(super) fn in_vain(&self, place: Place<'_>) -> Result<(), OAuthError> {
        self.count(App::Refused);
        place.failed().map_or(Ok(()), |wait| Err(OAuthError::Throttled(wait)))
    }

    /// The client that a request is from, where it proves that.
    pub(super) async fn authenticated(
        &self,
        header: &Header,
        params: Params<'_>,
    ) -> Result<ClientId, OAuthError> {
        let claim = Claim::read(header, params)?;
        let unknown =
            || Refusal::new(Code::InvalidClient, "no client of this id is registered; register again");
        let found = match claim.client_id.parse::<ClientId>() {
            Ok(id) => self.0.clients.proof(id).await?.map(|proof| (id, proof)),
            Err(_) => None,
        };
        let (id, proof) = found.ok_or_else(unknown)?;
        let holds = |secret: &str| {
            let presented = Presented::parse(Purpose::Client, secret).ok();
            let presented = presented.filter(|presented| presented.owner == id);
            presented.zip(proof.secret).is_some_and(|(presented, own)| own.matches(&presented.digest))
        };
        claim.check(proof.method, holds)?;
        Ok(id)
    }
}
