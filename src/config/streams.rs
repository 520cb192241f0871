//! `[streams]`: streams of change notices, which clients keep open.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::ConfigError;
use super::key::{Key, integer};

/// The `[streams]` section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Streams {
    /// Most of one organization at once.
    pub per_org: usize,
    /// Most of one credential at once.
    pub per_key: usize,
    /// Longest life of one.
    pub longest_seconds: u64,
    /// How often a quiet one says that it is alive.
    pub keep_alive_seconds: u64,
}

impl Default for Streams {
    fn default() -> Self {
        Self { per_org: 256, per_key: 16, longest_seconds: 3_600, keep_alive_seconds: 15 }
    }
}

pub(super) const KEYS: &[Key] = &[
    integer("streams.per_org", 1, 10_000),
    integer("streams.per_key", 1, 10_000),
    integer("streams.longest_seconds", 1, 86_400),
    // Above a minute the server's own pace would take a quiet stream for a dead one.
    integer("streams.keep_alive_seconds", 1, 60),
];

impl Streams {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        super::at_most(("streams.per_key", self.per_key as u64), ("streams.per_org", self.per_org as u64))
    }

    /// `longest_seconds` as a duration.
    pub fn longest(&self) -> Duration {
        Duration::from_secs(self.longest_seconds)
    }

    /// `keep_alive_seconds` as a duration.
    pub fn keep_alive(&self) -> Duration {
        Duration::from_secs(self.keep_alive_seconds)
    }
}
