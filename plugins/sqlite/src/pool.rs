//! The few connections that one source shares among its calls.

use std::sync::Arc;

use parking_lot::Mutex;
use rusqlite::Connection;
use sequel_connector::OpenError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::connection;
use crate::place::{Place, Policy, identity};

/// Connections that one source has at most. Readers of one file contend for its page cache, not for
/// locks; four keep a slow query from holding up the others and bound memory to four page caches.
pub(crate) const CONNECTIONS_MAX: usize = 4;

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
    permits: Arc<Semaphore>,
    idle: Mutex<Idle>,
}

#[derive(Debug)]
struct Idle {
    // The file that these connections have open.
    identity: (u64, u64),
    connections: Vec<Connection>,
}

/// A connection at work.
#[derive(Debug)]
pub(crate) struct Lent {
    pub(crate) connection: Connection,
    identity: (u64, u64),
}

impl Pool {
    /// Opens the first connection, so that a wrong file is found out at once. Blocks.
    pub(crate) fn open(policy: Arc<Policy>, path: String) -> Result<Self, OpenError> {
        let place = policy.locate(&path)?;
        let first = connection::open(&place)?;
        has_room_for_a_page(&place)?;
        // The first read is what tells a database from any other file.
        first
            .query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
            .or_else(|error| if crate::error::is_busy(&error) { Ok(()) } else { Err(error) })
            .map_err(crate::error::open_error)?;
        let idle = Mutex::new(Idle { identity: place.identity, connections: vec![first] });
        Ok(Self { policy, path, permits: Arc::new(Semaphore::new(CONNECTIONS_MAX)), idle })
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
            None => connection::open(&place)?,
        };
        Ok(Lent { connection, identity: place.identity })
    }

    /// Takes a connection back for the next call.
    pub(crate) fn give_back(&self, lent: Lent) {
        let mut idle = self.idle.lock();
        if idle.identity == lent.identity && idle.connections.len() < CONNECTIONS_MAX {
            idle.connections.push(lent.connection);
        }
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
