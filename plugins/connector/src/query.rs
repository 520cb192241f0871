//! One query and its limits.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::Origin;

/// How much one query may take. All of them are hard: nothing above changes them once a query runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most rows; the rest is cut off and said so.
    pub rows: u64,
    /// Most bytes of cells in all; the rest is cut off and said so.
    pub bytes: u64,
    /// Most bytes in a cell; a longer one is cut and said so.
    pub cell_bytes: u64,
    /// Most columns; more is an error.
    pub columns: u32,
    /// Longest run, from start to last row; longer is an error.
    pub time: Duration,
}

/// One SQL statement with its limits and its way to be stopped.
#[derive(Debug, Clone)]
pub struct Query {
    /// One statement, as the client wrote it.
    pub sql: String,
    /// Its limits.
    pub limits: Limits,
    /// Cancelled by a revoke, a disconnect or the client's own wish.
    pub cancel: CancellationToken,
    /// On whose behalf, for the logs of the database.
    pub origin: Origin,
    /// How far it has come. The connector tells, and whoever asked may look.
    pub course: Course,
}

impl Query {
    /// One that nobody in particular asks for, and that nobody has a way to stop yet.
    pub fn new(sql: impl Into<String>, limits: Limits) -> Self {
        let (cancel, origin, course) = (CancellationToken::new(), Origin::default(), Course::default());
        Self { sql: sql.into(), limits, cancel, origin, course }
    }
}

/// How far a query has come, also one that gives no answer. Clones are of one query.
#[derive(Debug, Clone, Default)]
pub struct Course(Arc<Milestones>);

#[derive(Debug, Default)]
struct Milestones {
    waited: OnceLock<Duration>,
    accepted: AtomicBool,
}

impl Course {
    /// The query has a connection, for which it waited so long.
    pub fn connected(&self, waited: Duration) {
        // Whoever says so twice has it since the first time.
        let _ = self.0.waited.set(waited);
    }

    /// The database has taken the statement: it knows every name in it that the statement does not make up itself.
    pub fn accepted(&self) {
        self.0.accepted.store(true, Ordering::Relaxed);
    }

    /// How long it waited for a connection, once it has one.
    pub fn waited(&self) -> Option<Duration> {
        self.0.waited.get().copied()
    }

    /// Whether the database has taken the statement.
    pub fn is_accepted(&self) -> bool {
        self.0.accepted.load(Ordering::Relaxed)
    }
}
