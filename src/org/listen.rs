//! Open streams of change notices: a credential that waits for what it reaches to change.
//!
//! A stream is registered like a call, before its credential is verified, so that a revoke that comes at the
//! same moment either refuses it or ends it. It knows only what its own credential reaches.
//!
//! **Invariant:** a stream never outlives its credential: a revoke ends it at once, an expiry at its moment, and
//! a view that closes ends it too (`tests/it/listening.rs`).

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::call::{Principal, reached};
use super::entry::Entry;
use super::error::BeginError;
use super::inflight::{CallKey, Stopped, Ticket};
use super::open::Source;
use super::view::View;
use crate::context::Timestamp;
use crate::credential::{Credential, SourceId};
use crate::oauth::scope::ScopeSet;

/// Why a stream has nothing more to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// Its credential does not hold any more: revoked, or expired.
    Refused,
    /// Its organization's view is closed. The next request may load it again.
    Unloaded,
}

/// An open stream. Dropping it leaves the list of those that are open.
pub struct Listening {
    entry: Arc<Entry>,
    credential: Credential,
    ticket: Ticket,
    seen: Vec<Seen>,
    ends_at: Timestamp,
    scopes: ScopeSet,
}

/// A source that the credential reached when it was last looked at. Not held: a source that was removed closes
/// although somebody still listens.
struct Seen {
    id: SourceId,
    name: String,
    source: Weak<Source>,
}

impl Listening {
    /// Registers a stream and verifies the credential, in this order.
    pub(super) fn begin(
        entry: &Arc<Entry>,
        credential: &Credential,
        call: CallKey,
    ) -> Result<Self, BeginError> {
        let ticket = entry.streams.enter(credential.id, credential.digest, call, entry.streams_most)?;
        // After it was registered: a shutdown sets the flag first and then ends what is registered.
        if entry.draining.load(Ordering::SeqCst) {
            return Err(BeginError::Draining);
        }
        let view = entry.cell.served(&entry.fence);
        let view = view.as_ref().ok_or(BeginError::Closed)?;
        let (seen, ends_at, scopes) = look(view, credential, entry.now()).ok_or(BeginError::Revoked)?;
        Ok(Self { entry: Arc::clone(entry), credential: *credential, ticket, seen, ends_at, scopes })
    }

    /// What the credential may do.
    pub fn scopes(&self) -> ScopeSet {
        self.scopes
    }

    /// Cancelled when the credential is revoked or the server stops.
    pub fn token(&self) -> &CancellationToken {
        &self.ticket.stop.token
    }

    /// Why the stream was ended, once it was.
    pub fn stopped(&self) -> Option<Stopped> {
        self.ticket.stop.reason.get().copied()
    }

    /// Waits until what the credential reaches has changed. Answers the names of the data sources that came, went
    /// or were edited. May be dropped and called again; no change is lost.
    pub async fn changed(&mut self) -> Result<Vec<String>, Over> {
        loop {
            let entry = Arc::clone(&self.entry);
            let mut published = std::pin::pin!(entry.cell.published());
            // Before the look: a view that is published after it wakes this.
            published.as_mut().enable();
            let names = self.look_again()?;
            if !names.is_empty() {
                return Ok(names);
            }
            published.await;
        }
    }

    /// Whether the stream may go on.
    pub fn verify(&self) -> Result<(), Over> {
        let view = self.entry.cell.served(&self.entry.fence);
        let view = view.as_ref().ok_or(Over::Unloaded)?;
        view.verify(&self.credential, self.entry.now()).map(drop).map_err(|_| Over::Refused)
    }

    /// How long until the credential expires by itself, as far as is known.
    pub fn expires_in(&self) -> Duration {
        let left = self.ends_at.0.saturating_sub(self.entry.now().0);
        Duration::from_millis(u64::try_from(left).unwrap_or(0))
    }

    fn look_again(&mut self) -> Result<Vec<String>, Over> {
        let view = self.entry.cell.served(&self.entry.fence);
        let view = view.as_ref().ok_or(Over::Unloaded)?;
        let (now, ends_at, _) = look(view, &self.credential, self.entry.now()).ok_or(Over::Refused)?;
        let names = differing(&self.seen, &now);
        (self.seen, self.ends_at) = (now, ends_at);
        Ok(names)
    }
}

impl Principal {
    /// Opens a stream of change notices.
    pub fn listen(&self, call: CallKey) -> Result<Listening, BeginError> {
        Listening::begin(&self.entry, &self.credential, call)
    }
}

/// What a credential reaches in a view, when it expires, and what it may do; `None` where the view does not accept it.
fn look(view: &View, credential: &Credential, now: Timestamp) -> Option<(Vec<Seen>, Timestamp, ScopeSet)> {
    let key = view.verify(credential, now).ok()?;
    let only = key.sources();
    let seen = reached(view, only.as_deref()).map(|source| Seen {
        id: source.id(),
        name: source.record().name.clone(),
        source: Arc::downgrade(source),
    });
    Some((seen.collect(), key.accepted_until(&credential.digest), key.scopes()))
}

/// The names of sources that are in one list only, or changed from one to the other; both names of one that was
/// renamed.
fn differing(before: &[Seen], now: &[Seen]) -> Vec<String> {
    let is_in = |list: &[Seen], one: &Seen| {
        list.iter().any(|other| other.id == one.id && Weak::ptr_eq(&other.source, &one.source))
    };
    let gone = before.iter().filter(|one| !is_in(now, one));
    let mut names: Vec<String> = gone.map(|one| one.name.clone()).collect();
    for one in now.iter().filter(|one| !is_in(before, one)) {
        if !names.contains(&one.name) {
            names.push(one.name.clone());
        }
    }
    names
}
