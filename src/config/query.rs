//! `[query]`: what one query, one key and one organization may take.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::ConfigError;
use super::key::{Key, integer};

/// The `[query]` section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Query {
    /// Rows of an answer where the client asks for no number.
    pub rows_default: u64,
    /// Most rows a client may ask for.
    pub rows_max: u64,
    /// Most bytes of cells in an answer.
    pub bytes_max: u64,
    /// Most bytes of one cell; a longer one is cut and said so.
    pub cell_bytes_max: u64,
    /// Most columns of an answer; more is an error.
    pub columns_max: u32,
    /// Longest run of a query.
    pub time_max_ms: u64,
    /// Most queries of one organization at once.
    pub concurrent_per_org: usize,
    /// Most queries of one credential at once.
    pub concurrent_per_key: usize,
}

impl Default for Query {
    fn default() -> Self {
        Self {
            rows_default: 1_000,
            rows_max: 10_000,
            // 10,000 rows of about 400 bytes. With 16 queries at once, each answer held twice at
            // worst (as text and structured), an organization takes at most 128 MiB.
            bytes_max: 4_194_304,
            cell_bytes_max: 65_536,
            columns_max: 500,
            time_max_ms: 30_000,
            concurrent_per_org: 16,
            concurrent_per_key: 8,
        }
    }
}

pub(super) const KEYS: &[Key] = &[
    integer("query.rows_default", 1, 10_000_000),
    integer("query.rows_max", 1, 10_000_000),
    integer("query.bytes_max", 1_024, 1_073_741_824),
    integer("query.cell_bytes_max", 16, 67_108_864),
    integer("query.columns_max", 1, 32_767),
    integer("query.time_max_ms", 1, 3_600_000),
    integer("query.concurrent_per_org", 1, 10_000),
    integer("query.concurrent_per_key", 1, 10_000),
];

impl Query {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        super::at_most(("query.rows_default", self.rows_default), ("query.rows_max", self.rows_max))?;
        super::at_most(("query.cell_bytes_max", self.cell_bytes_max), ("query.bytes_max", self.bytes_max))?;
        super::at_most(
            ("query.concurrent_per_key", self.concurrent_per_key as u64),
            ("query.concurrent_per_org", self.concurrent_per_org as u64),
        )
    }

    /// `time_max_ms` as a duration.
    pub fn time_max(&self) -> Duration {
        Duration::from_millis(self.time_max_ms)
    }
}
