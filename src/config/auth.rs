//! `[auth]`: how much guessing one source address may do.

use serde::{Deserialize, Serialize};

use super::key::{Key, integer};

/// The `[auth]` section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// Unknown credentials a minute from one source address before it is told to wait. A known
    /// credential is never counted.
    pub failures_per_minute: u32,
}

impl Default for Auth {
    fn default() -> Self {
        Self { failures_per_minute: 60 }
    }
}

pub(super) const KEYS: &[Key] = &[integer("auth.failures_per_minute", 1, 100_000)];
