//! The open log and who may touch it: readers together, or the one writer alone.
//!
//! Owns the lock between them and the handle to sled. The writer holds readers off until what it wrote is on the disk,
//! so nobody reads what a crash could take back. A log that failed is closed at once and opened again by whoever needs
//! it next; sled keeps the first error of its files for ever and answers every later write with it.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{RwLock, RwLockWriteGuard};
use sequel_store::{CommitError, ReadError};
use sled::Tree;

use crate::cut::Cuts;
use crate::fault::{self, Fault};
use crate::open;

/// A log that could not be opened again is left alone for this long: it may be large, or the disk full.
const REOPEN_PAUSE: Duration = Duration::from_secs(1);

const FAILED: &str = "the log failed and could not be opened again yet";
const CLOSED: &str = "the store is closed";

/// sled's handle and ours.
pub(crate) struct Open {
    pub(crate) db: sled::Db,
    /// The log's file, for the sync that sled leaves out.
    pub(crate) file: File,
}

impl Open {
    /// Everything that was written is on the disk when this answers.
    ///
    /// sled's flush waits for the pages alone (`sync_file_range`): neither the file's length nor what the disk holds in
    /// a cache of its own is sure then, so that a power loss could take back what a kill cannot.
    pub(crate) fn sync(&self) -> Result<(), Fault> {
        self.db.flush()?;
        self.file.sync_data().map_err(|error| Fault::Sled(error.into()))
    }
}

/// The log of one store.
pub(crate) struct Log {
    state: RwLock<State>,
    pub(crate) cuts: Arc<Cuts>,
    pub(crate) folder: PathBuf,
    cache_bytes: u64,
}

enum State {
    Open(Open),
    /// Closed because it failed: whoever comes next opens it again.
    Failed(Option<Tried>),
    /// Closed for good.
    Closed,
}

/// When a failed log was last tried, and whether the disk was full then.
struct Tried {
    at: Instant,
    full: bool,
}

impl Log {
    /// Takes over a log that was opened with this much cache.
    pub(crate) fn new(folder: PathBuf, cache_bytes: u64, open: Open) -> Self {
        Self { state: RwLock::new(State::Open(open)), cuts: Arc::default(), folder, cache_bytes }
    }

    /// Reads at one moment.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&Tree) -> Result<T, Fault>) -> Result<T, ReadError> {
        let mut state = self.state.read();
        if let State::Failed(_) = *state {
            drop(state);
            self.reopen(&mut self.state.write());
            state = self.state.read();
        }
        match &*state {
            State::Open(open) => read(&open.db).map_err(fault::read),
            State::Failed(_) => Err(ReadError::Unavailable(FAILED.into())),
            State::Closed => Err(ReadError::Unavailable(CLOSED.into())),
        }
    }

    /// The open log for the writer alone.
    pub(crate) fn write(&self) -> Result<Writing<'_>, CommitError> {
        let mut state = self.state.write();
        self.reopen(&mut state);
        match *state {
            State::Open(_) => Ok(Writing(Some(state))),
            State::Failed(Some(Tried { full: true, .. })) => Err(CommitError::Full),
            State::Failed(_) => Err(CommitError::Unavailable(FAILED.into())),
            State::Closed => Err(CommitError::Unavailable(CLOSED.into())),
        }
    }

    /// Opens a failed log again, unless that was tried just now.
    #[expect(
        clippy::disallowed_methods,
        reason = "how often a broken log is tried is no decision about records"
    )]
    fn reopen(&self, state: &mut State) {
        let State::Failed(tried) = state else { return };
        if tried.as_ref().is_some_and(|tried| tried.at.elapsed() < REOPEN_PAUSE) {
            return;
        }
        *state = match open::log_that_failed(&self.folder, self.cache_bytes) {
            Ok(open) => {
                tracing::info!(path = %self.folder.display(), "the store's log is open again");
                State::Open(open)
            }
            Err(fault) => {
                tracing::error!(error = %fault, path = %self.folder.display(), "the store's log cannot be opened again yet");
                State::Failed(Some(Tried { at: Instant::now(), full: fault.is_full() }))
            }
        };
    }

    /// Closes the log for good; answers its last word where all of it is on the disk.
    pub(crate) fn close(&self) -> Option<u64> {
        let State::Open(log) = std::mem::replace(&mut *self.state.write(), State::Closed) else {
            return None;
        };
        let marked = open::mark(&log);
        if let Err(error) = &marked {
            tracing::warn!(%error, "the store's log is left for the next start to take in");
        }
        marked.ok()
    }
}

/// The writer's hold on the open log; readers wait until it ends.
///
/// Where it ends otherwise than by [`Writing::done`], a panic of sled's included, what is in memory is on nobody's word:
/// the log is closed, and what the disk holds is read anew.
pub(crate) struct Writing<'a>(Option<RwLockWriteGuard<'a, State>>);

impl Writing<'_> {
    pub(crate) fn open(&self) -> &Open {
        match self.0.as_deref() {
            Some(State::Open(open)) => open,
            _ => unreachable!("it is open until this ends"),
        }
    }

    /// What is in memory is on the disk as well.
    pub(crate) fn done(mut self) {
        if let Some(state) = self.0.take() {
            // Readers that waited come first, or a busy writer would keep them waiting.
            RwLockWriteGuard::unlock_fair(state);
        }
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        if let Some(state) = &mut self.0 {
            let broken = std::mem::replace(&mut **state, State::Failed(None));
            // Closing it may panic as well, and this may run because of a first panic.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(broken)));
        }
    }
}
