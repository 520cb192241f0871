//! `[orgs]`: how many organizations are in memory, and what one of them may hold.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::key::{Key, integer};

/// The `[orgs]` section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Orgs {
    /// Most organizations in memory at once.
    pub active_max: usize,
    /// After how long without a call an organization leaves memory.
    pub idle_seconds: u64,
    /// Most changes waiting for one organization; more are refused with 503.
    pub asks_max: usize,
    /// How long a change may wait for its answer.
    pub ask_timeout_ms: u64,
    /// Most data sources of one organization.
    pub sources_max: usize,
    /// Most live API keys of one organization.
    pub keys_max: usize,
    /// How long a deleted organization can be restored.
    pub delete_grace_seconds: u64,
}

impl Default for Orgs {
    fn default() -> Self {
        Self {
            active_max: 10_000,
            idle_seconds: 900,
            asks_max: 64,
            ask_timeout_ms: 10_000,
            sources_max: 100,
            keys_max: 100_000,
            delete_grace_seconds: 604_800,
        }
    }
}

pub(super) const KEYS: &[Key] = &[
    integer("orgs.active_max", 1, 1_000_000),
    integer("orgs.idle_seconds", 1, 86_400),
    integer("orgs.asks_max", 1, 65_536),
    integer("orgs.ask_timeout_ms", 10, 600_000),
    integer("orgs.sources_max", 1, 10_000),
    integer("orgs.keys_max", 1, 10_000_000),
    integer("orgs.delete_grace_seconds", 0, 31_536_000),
];

impl Orgs {
    /// `idle_seconds` as a duration.
    pub fn idle(&self) -> Duration {
        Duration::from_secs(self.idle_seconds)
    }

    /// `delete_grace_seconds` as a duration.
    pub fn delete_grace(&self) -> Duration {
        Duration::from_secs(self.delete_grace_seconds)
    }

    /// `ask_timeout_ms` as a duration.
    pub fn ask_timeout(&self) -> Duration {
        Duration::from_millis(self.ask_timeout_ms)
    }
}
