//! `[audit]`: how long the audit trail is kept, and what the query log keeps.

use serde::{Deserialize, Serialize};

use super::key::{Key, Kind, integer};

/// The `[audit]` section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Audit {
    /// Days that entries are kept.
    pub days: u32,
    /// Most entries of one organization.
    pub entries_max: u64,
    /// What the query log keeps of a call.
    pub queries: Queries,
    /// Days that entries of the query log are kept.
    pub queries_days: u32,
    /// Most entries of the query log of one organization.
    pub queries_max: u64,
    /// Most entries of the query log of one organization that wait to be written.
    pub queries_waiting_max: usize,
}

/// What the query log keeps of a call that touches a data source. Never a value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Queries {
    /// Who, which data source, outcome, numbers, and the statement without its values.
    #[default]
    Shape,
    /// The same without the statement.
    Numbers,
    /// Nothing.
    Never,
}

impl Default for Audit {
    fn default() -> Self {
        Self {
            days: 365,
            entries_max: 50_000,
            queries: Queries::default(),
            queries_days: 30,
            queries_max: 50_000,
            queries_waiting_max: 2_000,
        }
    }
}

pub(super) const KEYS: &[Key] = &[
    integer("audit.days", 1, 36_500),
    integer("audit.entries_max", 1, 100_000_000),
    Key { path: "audit.queries", kind: Kind::Choice(&["shape", "numbers", "never"]), secret: false },
    integer("audit.queries_days", 1, 3_650),
    integer("audit.queries_max", 1, 100_000_000),
    integer("audit.queries_waiting_max", 1, 50_000),
];
