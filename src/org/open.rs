//! Data sources as readers hold them: opened once by the first caller, closed when they idle.
//!
//! An edit makes a new [`Source`] and publishes it; calls that still hold the old one finish on it
//! and the old handle closes behind the last of them.
//!
//! **Invariant:** over all organizations at most `open_max` idle handles stay open.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use sequel_connector::{Configuration, DataSource, Declaration, OpenError, QueryError, Settings};
use tokio::sync::Mutex as AsyncMutex;
use tokio_util::sync::CancellationToken;

pub use self::schema::Had;
use self::schema::{CatalogCell, Shelf};
use super::record::SourceRecord;
use super::secrets::Belonging;
use crate::context::{Clock, Timestamp};
use crate::credential::SourceId;
use crate::vault::Vault;

mod schema;

/// How long a failure to open is answered from memory, so that a broken source is not hammered.
const FAILURE_REMEMBERED: Duration = Duration::from_secs(1);

/// How long opening may take. A database that hangs is a failure, remembered like any other.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);

/// One configured database of one organization.
pub struct Source {
    id: SourceId,
    record: SourceRecord,
    belonging: Belonging,
    state: AsyncMutex<State>,
    used: AtomicBool,
    // Cancelled when the source is removed: what runs on it ends.
    retired: CancellationToken,
    open: Arc<OpenSources>,
    catalog: CatalogCell,
}

/// How it went to try a source out.
#[derive(Debug, Clone)]
pub struct Tried {
    /// What went wrong, as a part of a sentence.
    pub error: Option<String>,
    /// What whoever connects it should know, in sentences.
    pub warnings: Vec<String>,
    /// How long it took.
    pub elapsed_ms: u64,
}

enum State {
    Closed,
    Open(Arc<dyn DataSource>),
    Failed { at: Duration, error: Arc<OpenError> },
}

/// An open handle in use. The handle stays open as long as it is held.
pub struct SourceInUse {
    handle: Arc<dyn DataSource>,
}

impl std::ops::Deref for SourceInUse {
    type Target = dyn DataSource;

    fn deref(&self) -> &Self::Target {
        &*self.handle
    }
}

/// What opens sources, and the list of those that are open over all organizations.
pub struct OpenSources {
    connectors: sequel_connector::Registry,
    clock: Clock,
    vault: Arc<Vault>,
    open_max: usize,
    // In the order of opening; a second chance for those used since (the clock algorithm).
    list: Mutex<VecDeque<Weak<Source>>>,
    shelf: Shelf,
}

impl OpenSources {
    /// With the connectors of this build, what their secrets are sealed in, and room for `open_max` open handles.
    pub fn new(
        connectors: sequel_connector::Registry,
        clock: Clock,
        vault: Arc<Vault>,
        open_max: usize,
    ) -> Arc<Self> {
        Arc::new(Self { connectors, clock, vault, open_max, list: Mutex::default(), shelf: Shelf::default() })
    }

    /// How many handles are open.
    pub(super) fn count(&self) -> usize {
        self.list.lock().iter().filter(|source| source.strong_count() > 0).count()
    }

    /// Most that may be open.
    pub(super) fn most(&self) -> usize {
        self.open_max
    }

    /// The same, to be kept.
    pub(super) fn shared_vault(&self) -> Arc<Vault> {
        Arc::clone(&self.vault)
    }

    /// What secrets are sealed in.
    pub(super) fn vault(&self) -> &Vault {
        &self.vault
    }

    /// What each connector asks for.
    pub fn declarations(&self) -> Vec<&'static Declaration> {
        self.connectors.declarations()
    }

    /// Takes what somebody sent apart, holds it against its connector, and brings it into canonical form, without
    /// opening anything. `former` are secrets that hold where none is sent.
    pub(super) async fn check(
        &self,
        kind: &str,
        given: Settings,
        former: sequel_connector::Secrets,
    ) -> Result<Configuration, OpenError> {
        let connector = self.connectors.get(kind)?;
        let mut given = Configuration::of(connector.declaration(), given);
        for (name, secret) in former {
            given.secrets.entry(name).or_insert(secret);
        }
        connector.check(&given).await
    }

    fn opened(&self, source: &Arc<Source>) {
        let mut list = self.list.lock();
        list.push_back(Arc::downgrade(source));
        if list.len() > self.open_max {
            list.retain(|source| source.strong_count() > 0);
        }
        // Each source is looked at twice at most: once to take its mark, once to close it.
        for _ in 0..2 * list.len() {
            if list.len() <= self.open_max {
                return;
            }
            let Some(oldest) = list.pop_front() else { return };
            let Some(held) = oldest.upgrade() else { continue };
            let spared = held.used.swap(false, Ordering::Relaxed) || !held.close_if_idle();
            if spared {
                list.push_back(oldest);
            }
        }
    }
}

impl Source {
    pub(super) fn new(
        id: SourceId,
        record: SourceRecord,
        belonging: Belonging,
        open: Arc<OpenSources>,
    ) -> Arc<Self> {
        Arc::new(Self {
            id,
            record,
            belonging,
            state: AsyncMutex::new(State::Closed),
            used: AtomicBool::new(false),
            retired: CancellationToken::new(),
            open,
            catalog: CatalogCell::default(),
        })
    }

    /// The source after an edit. What still runs on the former one ends with this one: they are one source.
    pub(super) fn following(
        former: Option<&Arc<Self>>,
        id: SourceId,
        record: SourceRecord,
        belonging: Belonging,
        open: &Arc<OpenSources>,
    ) -> Arc<Self> {
        let mut source = Self::new(id, record, belonging, Arc::clone(open));
        if let (Some(former), Some(source)) = (former, Arc::get_mut(&mut source)) {
            source.retired = former.retired.clone();
        }
        source
    }

    /// Its id.
    pub fn id(&self) -> SourceId {
        self.id
    }

    /// Its record: name, kind, settings, description.
    pub fn record(&self) -> &SourceRecord {
        &self.record
    }

    /// What its kind is called.
    pub fn kind_label(&self) -> String {
        let declared = self.open.declarations();
        let own = declared.iter().find(|declared| declared.word == self.record.kind);
        own.map_or_else(|| self.record.kind.clone(), |declared| declared.label.to_owned())
    }

    /// Cancelled once the source was removed from its organization.
    pub fn retired(&self) -> &CancellationToken {
        &self.retired
    }

    /// Says that the source was removed.
    pub(super) fn retire(&self) {
        self.retired.cancel();
    }

    /// A handle, opened now if nobody has opened it yet; those who come meanwhile wait for the first.
    pub async fn open(self: &Arc<Self>) -> Result<SourceInUse, Arc<OpenError>> {
        self.used.store(true, Ordering::Relaxed);
        let mut state = self.state.lock().await;
        match &*state {
            State::Open(handle) => return Ok(SourceInUse { handle: Arc::clone(handle) }),
            State::Failed { at, error } if self.open.clock.elapsed() < *at + FAILURE_REMEMBERED => {
                return Err(Arc::clone(error));
            }
            State::Closed | State::Failed { .. } => {}
        }
        match self.open_now().await {
            Ok(handle) => {
                *state = State::Open(Arc::clone(&handle));
                drop(state);
                self.open.opened(self);
                Ok(SourceInUse { handle })
            }
            Err(error) => {
                let error = Arc::new(error);
                *state = State::Failed { at: self.open.clock.elapsed(), error: Arc::clone(&error) };
                Err(error)
            }
        }
    }

    async fn open_now(&self) -> Result<Arc<dyn DataSource>, OpenError> {
        let connector = self.open.connectors.get(&self.record.kind)?;
        let secrets = self.belonging.unseal(&self.open.vault, self.id, self.record.secrets.as_ref())?;
        let given = Configuration { settings: self.record.settings.clone(), secrets };
        let opening = tokio::time::timeout(OPEN_TIMEOUT, connector.open(&given, &self.belonging.party));
        opening.await.unwrap_or_else(|_| {
            Err(OpenError::Unavailable(format!("no answer within {OPEN_TIMEOUT:?}").into()))
        })
    }

    /// Whether its secrets are sealed under a former master key.
    pub(super) fn is_behind(&self) -> bool {
        self.record.secrets.as_ref().is_some_and(|secrets| !self.open.vault.is_current(&secrets.sealed))
    }

    /// Its secrets, for a change that keeps them.
    pub(super) fn secrets(&self) -> Result<sequel_connector::Secrets, OpenError> {
        self.belonging.unseal(&self.open.vault, self.id, self.record.secrets.as_ref())
    }

    /// Opens the source and asks it for a sign of life, for at most so long. Whoever connects it reads the outcome, so
    /// the driver's own words are in it.
    pub async fn try_out(self: &Arc<Self>, most: Duration) -> Tried {
        let started = self.open.clock.elapsed();
        let outcome = tokio::time::timeout(most, self.answers()).await;
        let outcome = outcome.unwrap_or_else(|_| Err("it did not answer in time".to_owned()));
        let (error, warnings) = match outcome {
            Ok(warnings) => (None, warnings),
            Err(error) => (Some(error), Vec::new()),
        };
        let elapsed = self.open.clock.elapsed().saturating_sub(started);
        Tried { error, warnings, elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX) }
    }

    async fn answers(self: &Arc<Self>) -> Result<Vec<String>, String> {
        let why = |error: &OpenError| match error {
            OpenError::Settings(text) | OpenError::Policy(text) => text.clone(),
            OpenError::Unavailable(cause) => format!("it cannot be opened: {cause}"),
        };
        let handle = self.open().await.map_err(|error| why(&error))?;
        handle.ping().await.map_err(|error| match error {
            QueryError::Unavailable(cause) => match cause.downcast_ref() {
                Some(lasting) => why(lasting),
                None => format!("it does not answer: {cause}"),
            },
            other => other.to_string(),
        })?;
        Ok(handle.warnings())
    }

    /// Why it could not be opened when that was last tried, and when; without a driver's own words.
    pub fn failing(&self) -> Option<(Timestamp, String)> {
        let state = self.state.try_lock().ok()?;
        let State::Failed { at, error } = &*state else { return None };
        let clock = &self.open.clock;
        let at = clock.now().minus(clock.elapsed().saturating_sub(*at));
        let cause = match &**error {
            OpenError::Settings(text) | OpenError::Policy(text) => text.clone(),
            OpenError::Unavailable(_) => "it cannot be opened; test it to see why".to_owned(),
        };
        Some((at, cause))
    }

    /// Whether it is open now.
    pub fn is_open(&self) -> bool {
        self.state.try_lock().is_ok_and(|state| matches!(&*state, State::Open(_)))
    }

    /// Closes the handle unless somebody uses it. True where it is closed afterwards.
    fn close_if_idle(&self) -> bool {
        let Ok(mut state) = self.state.try_lock() else { return false };
        if let State::Open(handle) = &*state
            && Arc::strong_count(handle) > 1
        {
            return false;
        }
        *state = State::Closed;
        true
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Source({} {:?})", self.id, self.record.name)
    }
}
