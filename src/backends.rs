//! The only file that names backends and connectors.

use std::sync::Arc;

use sequel_connector::{Connector, Registry};
use sequel_connector_sqlite::{Policy, SqliteConnector};
use sequel_store::{Holder, OpenError, Store, StoreLock};
use sequel_store_sqlite::{APPLICATION_ID, Inspection, Options, SqliteStore};

use crate::config::{Config, Samples, StoreLocation};

/// Opens the configured store under its lock. Blocks.
pub fn open_store(config: &Config, holder: Holder) -> Result<Arc<dyn Store>, OpenError> {
    match config.store() {
        StoreLocation::Sqlite(path) => Ok(Arc::new(SqliteStore::open(&path, Options::new(holder))?)),
    }
}

/// Which process holds the configured store, if any does. `None` also where the store can be held by many.
pub fn lock_holder(config: &Config) -> Result<Option<Holder>, OpenError> {
    match config.store() {
        StoreLocation::Sqlite(path) => StoreLock::holder(&path),
    }
}

/// Looks at the configured store without changing it, also while another process holds it. `None` where there is
/// none yet. Blocks.
pub fn inspect_store(config: &Config) -> Result<Option<Inspection>, OpenError> {
    match config.store() {
        StoreLocation::Sqlite(path) => sequel_store_sqlite::inspect(&path),
    }
}

/// The connectors of this build, each under the operator's policy. Fails where threads cannot start.
pub fn connectors(config: &Config) -> std::io::Result<Registry> {
    let StoreLocation::Sqlite(own_store) = config.store();
    let policy = Policy {
        folders: config.sources.sqlite.folders.clone(),
        // Sequel's own records are nobody's data source.
        refused: vec![own_store],
        // Nor is a copy of them, a backup for instance.
        refused_application_ids: vec![APPLICATION_ID],
        memory_max_bytes: config.sources.sqlite.memory_max_bytes,
        connections_per_source: config.sources.connections_per_source,
        samples: config.sources.samples == Samples::Allowed,
    };
    let sqlite: Arc<dyn Connector> = Arc::new(SqliteConnector::new(policy)?);
    Ok(Registry::new([sqlite]))
}
