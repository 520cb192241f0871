//! `[passwords]`: what a password's hash costs whoever makes it, and so whoever guesses.

use serde::{Deserialize, Serialize};

use super::error::ConfigError;
use super::key::{Key, integer};

/// The `[passwords]` section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Passwords {
    /// Memory of one hash in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub iterations: u32,
    /// Lanes.
    pub parallelism: u32,
    /// Hashes that are made at once.
    pub at_once: usize,
}

impl Default for Passwords {
    fn default() -> Self {
        Self { memory_kib: 19_456, iterations: 2, parallelism: 1, at_once: 4 }
    }
}

pub(super) const KEYS: &[Key] = &[
    integer("passwords.memory_kib", 8, 4_194_304),
    integer("passwords.iterations", 1, 1_000),
    integer("passwords.parallelism", 1, 64),
    integer("passwords.at_once", 1, 256),
];

impl Passwords {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        // Argon2 wants eight blocks of a KiB for each lane (RFC 9106, 3.1).
        let lanes = u64::from(self.parallelism) * 8;
        super::at_most(
            ("passwords.parallelism, times 8,", lanes),
            ("passwords.memory_kib", u64::from(self.memory_kib)),
        )
    }
}
