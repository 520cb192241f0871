//! `[audit]`: how long the audit trail is kept.

use serde::{Deserialize, Serialize};

use super::key::{Key, integer};

/// The `[audit]` section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Audit {
    /// Days that entries are kept.
    pub days: u32,
    /// Most entries of one organization.
    pub entries_max: u64,
}

impl Default for Audit {
    fn default() -> Self {
        Self { days: 365, entries_max: 50_000 }
    }
}

pub(super) const KEYS: &[Key] =
    &[integer("audit.days", 1, 36_500), integer("audit.entries_max", 1, 100_000_000)];
