//! One query and its limits.

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
}
