//! `[limits]`: how often something may be done. How much at once lies in `[query]` and `[orgs]`.

use serde::{Deserialize, Serialize};

use super::key::{Key, integer};

/// The `[limits]` section. Each limit lets a minute's worth go at once and then spreads what follows; 0
/// switches it off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Requests of one credential in a minute.
    pub requests_per_minute_per_key: u32,
    /// Requests of one organization in a minute.
    pub requests_per_minute_per_org: u32,
    /// Requests of one person to the dashboard in a minute.
    pub requests_per_minute_per_person: u32,
    /// API keys that one organization may create in a minute.
    pub key_creations_per_minute: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests_per_minute_per_key: 1_200,
            requests_per_minute_per_org: 6_000,
            requests_per_minute_per_person: 600,
            key_creations_per_minute: 600,
        }
    }
}

/// 60 million a minute is one in a microsecond: as good as none, and finer than the clock.
const MOST: u64 = 60_000_000;

pub(super) const KEYS: &[Key] = &[
    integer("limits.requests_per_minute_per_key", 0, MOST),
    integer("limits.requests_per_minute_per_org", 0, MOST),
    integer("limits.requests_per_minute_per_person", 0, MOST),
    integer("limits.key_creations_per_minute", 0, MOST),
];
