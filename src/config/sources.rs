//! `[sources]`: handles to organizations' databases, and the operator's policy for each kind.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use sequel_connector::Network;

use super::key::{Key, Kind, integer, texts};

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
    /// Where connections to databases may go.
    pub network: Egress,
    /// SQLite.
    pub sqlite: Sqlite,
    /// PostgreSQL.
    pub postgres: Postgres,
}

/// The `[sources.network]` section.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Egress {
    /// Whether this machine and private networks may be reached where no list says otherwise.
    pub private: Private,
    /// Networks that may be reached, also where private ones may not.
    pub allow: Vec<Network>,
    /// Networks that may not be reached.
    pub deny: Vec<Network>,
}

/// Whether this machine and private networks may be reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Private {
    /// Only those of `allow`.
    #[default]
    Denied,
    /// But for those of `deny`.
    Allowed,
}

/// The `[sources.postgres]` section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Postgres {
    /// Most connections to PostgreSQL servers, over all data sources.
    pub connections_max: usize,
    /// Whether roles are taken that could do far more than read.
    pub privileged_roles: PrivilegedRoles,
}

/// Whether superusers and members of `pg_*` roles may be data sources' users.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrivilegedRoles {
    /// No.
    #[default]
    Refused,
    /// Yes, with a warning.
    Allowed,
}

impl Default for Postgres {
    fn default() -> Self {
        Self { connections_max: 200, privileged_roles: PrivilegedRoles::default() }
    }
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
            network: Egress::default(),
            sqlite: Sqlite::default(),
            postgres: Postgres::default(),
        }
    }
}

const NETWORK: &str = "an IP address or network, such as \"10.20.0.0/16\"";

fn is_network(text: &str) -> bool {
    text.parse::<Network>().is_ok()
}

pub(super) const KEYS: &[Key] = &[
    integer("sources.open_max", 1, 100_000),
    integer("sources.connections_per_source", 1, 16),
    Key { path: "sources.samples", kind: Kind::Choice(&["allowed", "never"]), secret: false },
    Key { path: "sources.network.private", kind: Kind::Choice(&["denied", "allowed"]), secret: false },
    texts("sources.network.allow", NETWORK, is_network),
    texts("sources.network.deny", NETWORK, is_network),
    integer("sources.postgres.connections_max", 1, 10_000),
    Key {
        path: "sources.postgres.privileged_roles",
        kind: Kind::Choice(&["refused", "allowed"]),
        secret: false,
    },
    Key { path: "sources.sqlite.folders", kind: Kind::Paths, secret: false },
    integer("sources.sqlite.memory_max_bytes", 64 * 1024 * 1024, 1 << 40),
];
