//! `[sessions]`: how long somebody stays signed in.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::ConfigError;
use super::key::{Key, integer};

/// The `[sessions]` section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sessions {
    /// How long a session lives without being seen.
    pub idle_seconds: u64,
    /// How long it lives at most.
    pub absolute_seconds: u64,
}

impl Default for Sessions {
    fn default() -> Self {
        Self { idle_seconds: 604_800, absolute_seconds: 2_592_000 }
    }
}

pub(super) const KEYS: &[Key] =
    &[integer("sessions.idle_seconds", 60, 31_536_000), integer("sessions.absolute_seconds", 60, 31_536_000)];

impl Sessions {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        super::at_most(
            ("sessions.idle_seconds", self.idle_seconds),
            ("sessions.absolute_seconds", self.absolute_seconds),
        )
    }

    /// `idle_seconds` as a duration.
    pub fn idle(&self) -> Duration {
        Duration::from_secs(self.idle_seconds)
    }

    /// `absolute_seconds` as a duration.
    pub fn absolute(&self) -> Duration {
        Duration::from_secs(self.absolute_seconds)
    }
}
