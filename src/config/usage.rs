//! `[usage]`: how long usage is kept.

use serde::{Deserialize, Serialize};

use super::key::{Key, integer};

/// The `[usage]` section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    /// Days that usage is kept, today not counted.
    pub days: u32,
}

impl Default for Usage {
    fn default() -> Self {
        Self { days: 90 }
    }
}

pub(super) const KEYS: &[Key] = &[integer("usage.days", 1, 3_650)];
