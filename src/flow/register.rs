//! Register a client (RFC 7591): anybody may, so how often and how many is bounded. What is bounded is the strangers: a
//! client that somebody has authorized never makes room for a new one.

use std::net::IpAddr;
use std::time::Duration;

use super::oauth::{OAuth, OAuthError};
use crate::context::Timestamp;
use crate::credential::ClientId;
use crate::metrics::App;
use crate::oauth::client::Client;
use crate::oauth::error::{Code, Refusal};
use crate::org::ChangeError;
use crate::system::clients::Registered;

/// How long a client that has just registered is left in peace: its person may be reading the page.
const YOUNG: Duration = Duration::from_secs(600);
/// Which part of all clients makes room at once where there are as many as may be: finding them is a look at all.
const MAKES_ROOM: usize = 20;
/// How long nobody looks again where nothing could be removed.
const IN_VAIN: Duration = Duration::from_secs(10);

/// A try to register, from where it comes.
pub struct Turn(Option<IpAddr>);

/// Takes one of the tries of an address: before a body is read, so that also what is no registration counts.
pub fn turn(oauth: &OAuth, from: Option<IpAddr>) -> Result<Turn, OAuthError> {
    oauth.registrations().take(from).map_err(OAuthError::Throttled)?;
    Ok(Turn(from))
}

/// Registers a client. Its secret, where it has one, is in the answer for the only time.
pub async fn register(oauth: &OAuth, Turn(from): Turn, body: &[u8]) -> Result<Registered, OAuthError> {
    let client = Client::register(body)?;
    let most = oauth.settings().clients_max;
    if oauth.clients().count().await? >= most && !make_room(oauth, most).await? {
        let text = "as many clients are registered as may be; try again later";
        return Err(Refusal::new(Code::TemporarilyUnavailable, text).into());
    }
    let registered = oauth.clients().register(client).await?;
    oauth.count(App::Registered);
    tracing::info!(client = %registered.id, name = registered.record.client.name, ?from, "an OAuth client registered");
    Ok(registered)
}

/// Removes those that nobody has authorized, the oldest first; false where there is no room. One look at all clients at a
/// time, however many register at once, and after one in vain none for a while.
async fn make_room(oauth: &OAuth, most: usize) -> Result<bool, ChangeError> {
    let clock = &oauth.people().context.clock;
    let mut in_vain = oauth.making_room().lock().await;
    // Somebody else has made room meanwhile.
    if oauth.clients().count().await? < most {
        return Ok(true);
    }
    let now = clock.now();
    if in_vain.is_some_and(|until| now < until) {
        return Ok(false);
    }
    let removed = remove_unused(oauth, now.minus(YOUNG), most.div_ceil(MAKES_ROOM)).await?;
    *in_vain = (removed == 0).then(|| now.plus(IN_VAIN));
    Ok(removed > 0)
}

/// Removes clients without a grant that nobody has authorized since some time, the oldest first.
async fn remove_unused(oauth: &OAuth, before: Timestamp, most: usize) -> Result<usize, ChangeError> {
    let mut clients = oauth.clients().all().await?;
    clients.retain(|(_, record, _)| record.authorized_at.unwrap_or(record.created_at) < before);
    clients.sort_by_key(|(_, record, _)| record.authorized_at.unwrap_or(record.created_at));
    let mut removed = 0;
    for (id, _, revision) in clients {
        if removed >= most {
            break;
        }
        if !has_grants(oauth, id).await? && oauth.clients().remove(id, revision).await? {
            removed += 1;
        }
    }
    Ok(removed)
}

/// Whether a client has a grant somewhere, also in an organization that can be restored. Forgets those that are gone.
async fn has_grants(oauth: &OAuth, id: ClientId) -> Result<bool, ChangeError> {
    let mut has = false;
    for (org, grant) in oauth.clients().grants_of(id).await? {
        match oauth.people().registry.grant(org, grant).await? {
            Some(_) => has = true,
            None => oauth.clients().forget_grant(id, org, grant).await?,
        }
    }
    Ok(has)
}

/// Removes clients that were not used for long and what is left of decisions. For a timer.
pub async fn purge(oauth: &OAuth) -> Result<usize, ChangeError> {
    oauth.registrations().prune();
    oauth.clients().prune_decisions().await?;
    let before = oauth.people().context.clock.now().minus(oauth.settings().client_unused);
    let removed = remove_unused(oauth, before, usize::MAX).await?;
    if removed > 0 {
        tracing::info!(removed, "OAuth clients that nobody uses were forgotten");
    }
    Ok(removed)
}
