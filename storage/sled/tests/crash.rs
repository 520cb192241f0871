//! Kills, power losses and disks that refuse, as the store crate plays them.

use std::path::Path;
use std::sync::Arc;

use sequel_store::conformance::embedded::Embedded;
use sequel_store::{Holder, OpenError, Store};
use sequel_store_sled::{Options, SledStore};

struct Sled;

impl Embedded for Sled {
    // sled takes no write after one that failed, and cannot be opened where it cannot write. `space` keeps a disk from
    // being filled by this store; here it is filled all the same.
    const READS_GO_ON: bool = false;
    // sled gives a new snapshot its name and removes the old one without a sync in between, and at once reuses what the
    // old one needs.
    const NAMES_IN_ORDER: bool = true;

    fn open(folder: &Path) -> Result<Arc<dyn Store>, OpenError> {
        Ok(Arc::new(SledStore::open(&folder.join("sequel.sled"), Options::new(Holder::command()))?))
    }
}

sequel_store::embedded_tests!(Sled);
