//! `[keys]`: API keys.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::ConfigError;
use super::key::{Key, integer};

/// The `[keys]` section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    /// How long the old secret of a rotated key stays valid where nothing else is said.
    pub rotate_overlap_seconds: u64,
    /// The longest overlap that may be asked for.
    pub rotate_overlap_max_seconds: u64,
}

impl Default for Keys {
    fn default() -> Self {
        Self { rotate_overlap_seconds: 86_400, rotate_overlap_max_seconds: 2_592_000 }
    }
}

pub(super) const KEYS: &[Key] = &[
    integer("keys.rotate_overlap_seconds", 0, 31_536_000),
    integer("keys.rotate_overlap_max_seconds", 0, 31_536_000),
];

impl Keys {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        super::at_most(
            ("keys.rotate_overlap_seconds", self.rotate_overlap_seconds),
            ("keys.rotate_overlap_max_seconds", self.rotate_overlap_max_seconds),
        )
    }

    /// `rotate_overlap_seconds` as a duration.
    pub fn rotate_overlap(&self) -> Duration {
        Duration::from_secs(self.rotate_overlap_seconds)
    }

    /// `rotate_overlap_max_seconds` as a duration.
    pub fn rotate_overlap_max(&self) -> Duration {
        Duration::from_secs(self.rotate_overlap_max_seconds)
    }
}
