//! `[sources]`: handles to organizations' databases, and the operator's policy for each kind.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::key::{Key, Kind, integer};

/// The `[sources]` section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sources {
    /// Most open data sources over all organizations.
    pub open_max: usize,
    /// Most connections to one data source: a query has one for itself.
    pub connections_per_source: usize,
    /// Whether a description of a table shows values out of it.
    pub samples: Samples,
    /// SQLite.
    pub sqlite: Sqlite,
}

/// Whether a description of a table shows values out of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Samples {
    /// Unless the data source was added with `samples` set to false.
    #[default]
    Allowed,
    /// Of no data source.
    Never,
}

/// The `[sources.sqlite]` section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sqlite {
    /// Folders that SQLite files may lie beneath; empty: no SQLite file may be a data source.
    pub folders: Vec<PathBuf>,
    /// Most memory that SQLite takes for all its work in this process, storage included.
    pub memory_max_bytes: u64,
}

impl Default for Sqlite {
    fn default() -> Self {
        Self { folders: Vec::new(), memory_max_bytes: 1024 * 1024 * 1024 }
    }
}

impl Default for Sources {
    fn default() -> Self {
        Self {
            open_max: 500,
            connections_per_source: 4,
            samples: Samples::default(),
            sqlite: Sqlite::default(),
        }
    }
}

pub(super) const KEYS: &[Key] = &[
    integer("sources.open_max", 1, 100_000),
    integer("sources.connections_per_source", 1, 16),
    Key { path: "sources.samples", kind: Kind::Choice(&["allowed", "never"]), secret: false },
    Key { path: "sources.sqlite.folders", kind: Kind::Paths, secret: false },
    integer("sources.sqlite.memory_max_bytes", 64 * 1024 * 1024, 1 << 40),
];
