//! A verified credential in its organization, and the calls that it makes.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use sequel_connector::{Course, Origin};
use tokio_util::sync::CancellationToken;

use super::entry::Entry;
use super::error::BeginError;
use super::inflight::{CallKey, Stopped, Ticket};
use super::open::Source;
use super::progress::Progress;
use super::queries::Kept;
use super::record::QueryOutcome;
use super::tally::Tally;
use super::view::View;
use crate::credential::{Credential, OrgId, SourceId};
use crate::oauth::scope::ScopeSet;

/// Who asks: a verified credential, in its own organization.
pub struct Principal {
    pub(super) entry: Arc<Entry>,
    pub(super) credential: Credential,
}

/// A call under way. Dropping it ends the call's registration, not the call.
pub struct CallGuard {
    // Before the ticket, so that it is counted while the call still holds the organization in memory.
    tally: Tally,
    // Kept for its drop: the call leaves the list of running ones.
    ticket: Ticket,
    view: Arc<View>,
    sources: Option<Arc<[SourceId]>>,
    scopes: ScopeSet,
    // For the logs of the databases that are asked.
    org: OrgId,
    // Where somebody wants to hear of it.
    progress: Option<Arc<Progress>>,
}

impl Principal {
    pub(super) fn new(entry: Arc<Entry>, credential: Credential) -> Self {
        Self { entry, credential }
    }

    /// Registers a call and verifies the credential once more, in this order, so that a revoke that
    /// comes at the same moment either refuses the call here or cancels it later.
    pub fn begin(&self, call: CallKey) -> Result<CallGuard, BeginError> {
        let entry = &self.entry;
        if entry.draining.load(Ordering::SeqCst) {
            return Err(BeginError::Draining);
        }
        let (id, digest) = (self.credential.id, self.credential.digest);
        let ticket = entry.inflight.enter(id, digest, call, entry.concurrency)?;
        let view = entry.cell.served(&entry.fence);
        let view = view.as_ref().ok_or(BeginError::Closed)?;
        let key = view.verify(&self.credential, entry.now()).map_err(|_| BeginError::Revoked)?;
        let (sources, scopes) = (key.sources(), key.scopes());
        let tally = Tally::new(Arc::clone(entry), &self.credential);
        let org = entry.id;
        Ok(CallGuard { tally, ticket, view: Arc::clone(view), sources, scopes, org, progress: None })
    }

    /// Ends the call or stream of this credential that the client names so. True where there was just one.
    pub fn cancel(&self, call: &CallKey) -> bool {
        let id = self.credential.id;
        self.entry.inflight.cancel(id, call) || self.entry.streams.cancel(id, call)
    }

    /// The credential's visible prefix, for logs.
    pub fn prefix(&self) -> String {
        self.credential.prefix()
    }
}

impl CallGuard {
    /// On whose behalf a database is asked. Names nobody: ids and the key's visible prefix.
    pub fn origin(&self, request_id: &str) -> Origin {
        Origin {
            organization: self.org.to_string(),
            principal: self.tally.principal(),
            request: request_id.to_owned(),
        }
    }

    /// Cancelled when the credential is revoked, the client cancels, or the server stops.
    pub fn token(&self) -> &CancellationToken {
        &self.ticket.stop.token
    }

    /// What the credential may do.
    pub fn scopes(&self) -> ScopeSet {
        self.scopes
    }

    /// Why the call was ended, once it was.
    pub fn stopped(&self) -> Option<Stopped> {
        self.ticket.stop.reason.get().copied()
    }

    /// Notes which data source the call is about, by which tool, under which request's id.
    pub fn touches(&self, source: &Source, tool: &str, request_id: &str) {
        self.tally.touches(source.id(), tool, request_id);
    }

    /// Whether the query log keeps what is asked, without its values.
    pub fn keeps_what_is_asked(&self) -> bool {
        self.tally.kept() == Kept::Shape
    }

    /// Notes for the query log what is asked, without its values (see [`sequel_connector::shape`]). With the course of a
    /// statement it is kept only once the data source has taken that.
    pub fn asks(&self, what: Option<String>, course: Option<Course>) {
        self.tally.asks(what, course);
    }

    /// Notes for the query log that the data source is open.
    pub fn opened(&self) {
        self.tally.opened();
    }

    /// Notes for the query log how the work on the data source ended, with a word for why. The first time counts.
    pub fn ended(&self, outcome: QueryOutcome, why: Option<&'static str>) {
        self.tally.ended(outcome, why);
    }

    /// Notes that the answer is in other hands: a call that is dropped before was broken off.
    pub fn handed_over(&self) {
        self.tally.handed_over();
    }

    /// Notes for the usage that the data source was given a statement.
    pub fn queried(&self) {
        self.tally.queried();
    }

    /// Notes for the usage how many rows the answer holds.
    pub fn answered_rows(&self, rows: u64) {
        self.tally.answered_rows(rows);
    }

    /// Notes for the usage what the call came to. A call that is dropped without counts as failed.
    pub fn concluded(&self, bytes: usize, is_error: bool) {
        self.tally.concluded(bytes as u64, is_error);
    }

    /// The data sources that this credential reaches, by name.
    pub fn sources(&self) -> impl Iterator<Item = &Arc<Source>> {
        reached(&self.view, self.sources.as_deref())
    }

    /// The same call, of which this hears how far it is.
    pub fn heard_by(mut self, progress: Arc<Progress>) -> Self {
        self.progress = Some(progress);
        self
    }

    /// Where to say how far the call is, if anybody wants to hear of it.
    pub fn progress(&self) -> Option<&Arc<Progress>> {
        self.progress.as_ref()
    }
}

impl Drop for CallGuard {
    fn drop(&mut self) {
        self.tally.stopped(self.stopped());
    }
}

/// The sources of a view that are among these; all where there is no list.
pub(super) fn reached<'a>(
    view: &'a View,
    only: Option<&'a [SourceId]>,
) -> impl Iterator<Item = &'a Arc<Source>> {
    view.sources().iter().filter(move |source| only.is_none_or(|ids| ids.contains(&source.id())))
}
