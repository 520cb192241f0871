//! Register a client (RFC 7591): anybody may, so how often and how many is bounded. What is bounded is the strangers: a
//! client that has a grant never makes room for a new one, and one that had some only where there are no strangers.

use std::collections::BinaryHeap;
use std::net::IpAddr;
use std::pin::pin;
use std::time::Duration;

use futures_util::TryStreamExt;

use super::oauth::{OAuth, OAuthError};
use crate::context::Timestamp;
use crate::metrics::App;
use crate::oauth::client::Client;
use crate::oauth::error::{Code, Refusal};
use crate::org::ChangeError;
use crate::system::clients::{ClientGrantRecord, Registered};

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

/// Makes room, the oldest strangers first; false where there is none. One look at all clients at a time, however many
/// register at once, and after one in vain none for a while.
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
    let (before, wanted) = (now.minus(YOUNG), most.div_ceil(MAKES_ROOM));
    let mut removed = remove_strangers(oauth, before, wanted).await?;
    if removed == 0 {
        // All are somebody's, or were: those go of which nothing is left.
        removed = remove_unused(oauth, before, wanted).await?;
    }
    *in_vain = (removed == 0).then(|| now.plus(IN_VAIN));
    Ok(removed > 0)
}

/// Removes clients that nobody has authorized since they came, the oldest first. Of all that it looks at it keeps no more
/// in mind than it is to remove.
async fn remove_strangers(oauth: &OAuth, before: Timestamp, most: usize) -> Result<usize, ChangeError> {
    let mut oldest = BinaryHeap::new();
    let mut pages = pin!(oauth.clients().pages());
    while let Some(page) = pages.try_next().await? {
        for (id, record, revision) in page {
            if record.authorized_at.is_none() && record.created_at < before {
                oldest.push((record.created_at, id, revision));
            }
            if oldest.len() > most {
                oldest.pop();
            }
        }
    }
    let mut removed = 0;
    for (_, id, revision) in oldest {
        removed += usize::from(oauth.clients().remove(id, revision).await?);
    }
    Ok(removed)
}

/// Removes clients that have no grant and were of no use since some time, as the table has them.
async fn remove_unused(oauth: &OAuth, before: Timestamp, most: usize) -> Result<usize, ChangeError> {
    let clients = oauth.clients();
    let (mut removed, mut pages) = (0, pin!(clients.pages()));
    while let Some(page) = pages.try_next().await? {
        for (id, record, revision) in page {
            if removed >= most {
                return Ok(removed);
            }
            if record.used_at() < before
                && !clients.has_grant(id).await?
                && clients.remove(id, revision).await?
            {
                removed += 1;
            }
        }
    }
    Ok(removed)
}

/// Forgets which grants clients had that are gone everywhere, also from organizations that could be restored. Of one that
/// was decided a moment ago the grant is about to be written.
async fn forget_gone(oauth: &OAuth) -> Result<(), ChangeError> {
    let before = oauth.people().context.clock.now().minus(YOUNG);
    let mut pages = pin!(oauth.clients().grants());
    while let Some(page) = pages.try_next().await? {
        let mut gone = Vec::new();
        for hint in page {
            let ClientGrantRecord { org, grant, decided_at } = hint.record;
            let is_settled = decided_at.is_none_or(|at| at < before);
            if is_settled && oauth.people().registry.grant(org, grant).await?.is_none() {
                gone.push(hint);
            }
        }
        oauth.clients().forget_grants(gone).await?;
    }
    Ok(())
}

/// Removes clients that were not used for long, and what is left of decisions and of grants that ended. For a timer.
pub async fn purge(oauth: &OAuth) -> Result<usize, ChangeError> {
    oauth.registrations().prune();
    oauth.clients().prune_decisions().await?;
    forget_gone(oauth).await?;
    let before = oauth.people().context.clock.now().minus(oauth.settings().client_unused);
    let removed = remove_unused(oauth, before, usize::MAX).await?;
    if removed > 0 {
        tracing::info!(removed, "OAuth clients that nobody uses were forgotten");
    }
    Ok(removed)
}
