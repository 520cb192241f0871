//! The only file that names backends and connectors.
//!
//! Each backend is a feature of the build; a store of one that this build lacks is refused by name.

#[cfg(feature = "postgres")]
use std::path::Path;
use std::sync::Arc;

use sequel_connector::{Connector, Declaration, Egress, Registry};
use sequel_connector_postgres::PostgresConnector;
use sequel_connector_sqlite::{Policy, SqliteConnector};
use sequel_store::{Holder, Inspection, OpenError, Store, StoreLock};

#[cfg(feature = "postgres")]
use crate::config::Secret;
use crate::config::{Config, Private, PrivilegedRoles, Samples, StoreLocation};

/// Opens the configured store under its lock. Blocks.
pub fn open_store(config: &Config, holder: Holder) -> Result<Arc<dyn Store>, OpenError> {
    match config.store() {
        #[cfg(feature = "sqlite")]
        StoreLocation::Sqlite(path) => {
            use sequel_store_sqlite::{Options, SqliteStore};
            Ok(Arc::new(SqliteStore::open(&path, Options::new(holder))?))
        }
        #[cfg(feature = "sled")]
        StoreLocation::Sled(path) => {
            use sequel_store_sled::{Options, SledStore};
            Ok(Arc::new(SledStore::open(&path, Options::new(holder))?))
        }
        #[cfg(feature = "postgres")]
        StoreLocation::Postgres { url, password_file } => {
            use sequel_store_postgres::{Options, PostgresStore};
            let address = postgres_address(&url, password_file.as_deref())?;
            Ok(Arc::new(PostgresStore::open(Options::new(address, holder))?))
        }
        #[allow(unreachable_patterns, reason = "only where a backend is left out")]
        other => Err(unbuilt(&other)),
    }
}

/// Which process holds the configured store, if any does.
pub fn lock_holder(config: &Config) -> Result<Option<Holder>, OpenError> {
    match config.store() {
        StoreLocation::Sqlite(path) | StoreLocation::Sled(path) => StoreLock::holder(&path),
        #[cfg(feature = "postgres")]
        StoreLocation::Postgres { url, password_file } => {
            sequel_store_postgres::holder(&postgres_address(&url, password_file.as_deref())?)
        }
        #[allow(unreachable_patterns, reason = "only where a backend is left out")]
        other => Err(unbuilt(&other)),
    }
}

/// Looks at the configured store without changing it, also while another process holds it. `None` where there is
/// none yet. Blocks.
pub fn inspect_store(config: &Config) -> Result<Option<Inspection>, OpenError> {
    match config.store() {
        #[cfg(feature = "sqlite")]
        StoreLocation::Sqlite(path) => sequel_store_sqlite::inspect(&path),
        #[cfg(feature = "sled")]
        StoreLocation::Sled(path) => sequel_store_sled::inspect(&path),
        #[cfg(feature = "postgres")]
        StoreLocation::Postgres { url, password_file } => {
            sequel_store_postgres::inspect(&postgres_address(&url, password_file.as_deref())?)
        }
        #[allow(unreachable_patterns, reason = "only where a backend is left out")]
        other => Err(unbuilt(&other)),
    }
}

/// A Postgres URL with the password that lies beside it.
#[cfg(feature = "postgres")]
fn postgres_address(
    url: &Secret<String>,
    password_file: Option<&Path>,
) -> Result<sequel_store_postgres::Address, OpenError> {
    let read = |file: &Path| {
        std::fs::read_to_string(file).map_err(|error| OpenError::Path {
            path: file.to_owned(),
            why: format!(
                "storage.password_file cannot be read ({error}). Name a file with the password alone."
            ),
        })
    };
    let password = password_file.map(read).transpose()?;
    // An editor ends a file with a line break, which no password has.
    let password = password.as_deref().map(|text| text.trim_end_matches(['\r', '\n']));
    sequel_store_postgres::Address::parse(url.expose(), password)
}

/// The refusal of a store whose backend is not in this build.
fn unbuilt(location: &StoreLocation) -> OpenError {
    let backend = match location {
        StoreLocation::Sqlite(_) => "sqlite",
        StoreLocation::Sled(_) => "sled",
        StoreLocation::Postgres { .. } => "postgres",
    };
    OpenError::Unbuilt { backend }
}

/// What SQLite files of ours say that they are.
fn own_application_ids() -> Vec<i32> {
    vec![
        #[cfg(feature = "sqlite")]
        sequel_store_sqlite::APPLICATION_ID,
    ]
}

/// The connectors of this build, each under the operator's policy. Fails where threads cannot start.
pub fn connectors(config: &Config) -> std::io::Result<Registry> {
    let policy = Policy {
        folders: config.sources.sqlite.folders.clone(),
        // Sequel's own records are nobody's data source.
        refused: config.store().path().map(Into::into).into_iter().collect(),
        // Nor is a copy of them, a backup for instance.
        refused_application_ids: own_application_ids(),
        memory_max_bytes: config.sources.sqlite.memory_max_bytes,
        connections_per_source: config.sources.connections_per_source,
        samples: config.sources.samples == Samples::Allowed,
    };
    let sqlite: Arc<dyn Connector> = Arc::new(SqliteConnector::new(policy)?);
    let network = &config.sources.network;
    let policy = sequel_connector_postgres::Policy {
        egress: Egress {
            private: network.private == Private::Allowed,
            allow: network.allow.clone(),
            deny: network.deny.clone(),
        },
        connections_per_source: config.sources.connections_per_source,
        connections_max: config.sources.postgres.connections_max,
        privileged_roles: config.sources.postgres.privileged_roles == PrivilegedRoles::Allowed,
        samples: config.sources.samples == Samples::Allowed,
        refused_relations: own_relations(),
    };
    let postgres: Arc<dyn Connector> = Arc::new(PostgresConnector::new(policy)?);
    Ok(Registry::new([sqlite, postgres]))
}

/// What each connector of this build asks for: the command line's flags are made from it.
pub fn declarations() -> [&'static Declaration; 2] {
    [&sequel_connector_sqlite::DECLARATION, &sequel_connector_postgres::DECLARATION]
}

/// By which relations a database of ours is known.
fn own_relations() -> Vec<String> {
    ["sequel.records", "sequel.scopes", "sequel.lease"].map(str::to_owned).to_vec()
}
