//! The few connections that one source shares among its calls.

use std::sync::Arc;

use parking_lot::Mutex;
use rusqlite::Connection;
use sequel_connector::{OpenError, Party};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::connection;
use crate::place::{Place, Policy, identity};

/// Most connections that an operator may give one source. Readers of one file contend for its page
/// cache, not for locks, and an organization runs 16 queries at once unless it is configured otherwise.
/// Sixteen bound what one source's page caches and values take to 100 MiB (2 MiB of pages and a few values of
/// 1 MiB each), and let no source take more than a sixteenth of the connector's threads.
pub const CONNECTIONS_MAX: usize = 16;

/// Holds that a file is empty or long enough for a database: SQLite takes a shorter one for an empty
/// database, which nobody means. Judged by its size alone, because closing a file that SQLite has open
/// elsewhere in this process would drop SQLite's locks on it (POSIX locks belong to the process).
fn has_room_for_a_page(place: &Place) -> Result<(), OpenError> {
    const SMALLEST_PAGE_BYTES: u64 = 512;
    let found = place.path.symlink_metadata().map_err(|error| OpenError::Unavailable(Box::new(error)))?;
    match found.len() {
        0 | SMALLEST_PAGE_BYTES.. => Ok(()),
        _ => Err(crate::error::not_a_database()),
    }
}

/// A source's connections: idle ones, and permits for as many as may work at once.
#[derive(Debug)]
pub(crate) struct Pool {
    policy: Arc<Policy>,
    path: String,
    pub(crate) party: Party,
    connections_max: usize,
    permits: Arc<Semaphore>,
    pub(crate) idle: Mutex<Idle>,
}

#[derive(Debug)]
pub(crate) struct Idle {
    // The file that these connections have open.
    identity: (u64, u64),
    pub(crate) connections: Vec<Connection>,
}

/// A connection at work.
#[derive(Debug)]
pub(crate) struct Lent {
    pub(crate) connection: Connection,
    identity: (u64, u64),
}

impl Pool {
    /// Opens the first connection, so that a wrong file is found out at once. Blocks.
    pub(crate) fn open(policy: Arc<Policy>, path: String, party: Party) -> Result<Self, OpenError> {
        let place = policy.locate(&path)?;
        let first = connection::open(&policy, &place)?;
        has_room_for_a_page(&place)?;
        // The first read is what tells a database from any other file.
        first
            .query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
            .or_else(|error| if crate::error::is_busy(&error) { Ok(()) } else { Err(error) })
            .map_err(crate::error::open_error)?;
        let idle = Mutex::new(Idle { identity: place.identity, connections: vec![first] });
        let connections_max = policy.connections_per_source.clamp(1, CONNECTIONS_MAX);
        let permits = Arc::new(Semaphore::new(connections_max));
        Ok(Self { policy, path, party, connections_max, permits, idle })
    }

    /// A permit to take a connection; waits while all are at work.
    pub(crate) async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        self.permits.clone().acquire_owned().await.ok()
    }

    /// An idle or a new connection to the file that is there now. Blocks.
    pub(crate) fn take(&self) -> Result<Lent, OpenError> {
        let place = self.current()?;
        let reused = {
            let mut idle = self.idle.lock();
            if idle.identity != place.identity {
                // The file was replaced by another; connections to the old one read yesterday's rows.
                idle.identity = place.identity;
                idle.connections.clear();
            }
            idle.connections.pop()
        };
        let connection = match reused {
            Some(connection) => connection,
            None => connection::open(&self.policy, &place)?,
        };
        Ok(Lent { connection, identity: place.identity })
    }

    /// Takes a connection back for the next call.
    pub(crate) fn give_back(&self, lent: Lent) {
        let mut idle = self.idle.lock();
        let kept = !self.permits.is_closed() && idle.identity == lent.identity;
        if kept && idle.connections.len() < self.connections_max {
            idle.connections.push(lent.connection);
        }
    }

    /// Closes what is idle; what is at work closes where it ends. Blocks.
    pub(crate) fn close(&self) {
        let idle = {
            let mut idle = self.idle.lock();
            self.permits.close();
            std::mem::take(&mut idle.connections)
        };
        drop(idle);
    }

    fn current(&self) -> Result<Place, OpenError> {
        // The path was canonical when it was checked: one look tells whether it is still that file,
        // and only another file is held against the whole policy again.
        let known = self.idle.lock().identity;
        match std::fs::symlink_metadata(&self.path) {
            Ok(now) if now.is_file() && identity(&now) == known => {
                Ok(Place { path: self.path.clone().into(), identity: known })
            }
            _ => self.policy.locate(&self.path),
        }
    }
}
