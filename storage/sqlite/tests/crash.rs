//! Kills, power losses and disks that refuse, as the store crate plays them. The page limit that stands in for a full
//! disk where there is no such thing is in `full_disk`.

use std::path::Path;
use std::sync::Arc;

use sequel_store::conformance::embedded::Embedded;
use sequel_store::{Holder, OpenError, Store};
use sequel_store_sqlite::{Options, SqliteStore};

struct Sqlite;

impl Embedded for Sqlite {
    fn open(folder: &Path) -> Result<Arc<dyn Store>, OpenError> {
        Ok(Arc::new(SqliteStore::open(&folder.join("sequel.db"), Options::new(Holder::command()))?))
    }
}

sequel_store::embedded_tests!(Sqlite);
