//! sled holds the whole suite. One process opens a folder, so there is no second node.

use std::sync::Arc;

use async_trait::async_trait;
use sequel_store::conformance::{Backend, Durable};
use sequel_store::{Holder, Store};
use sequel_store_sled::{Options, SledStore};
use tempfile::TempDir;

struct Sled {
    store: Arc<SledStore>,
    folder: TempDir,
}

fn open(folder: &TempDir) -> Arc<SledStore> {
    let path = folder.path().join("sequel.sled");
    Arc::new(SledStore::open(&path, Options::new(Holder::command())).expect("a store in a fresh folder"))
}

#[async_trait]
impl Backend for Sled {
    async fn open() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self { store: open(&folder), folder }
    }

    fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }
}

#[async_trait]
impl Durable for Sled {
    async fn reopen(self) -> Self {
        let Self { store, folder } = self;
        drop(Arc::into_inner(store).expect("nobody else holds the store"));
        Self { store: open(&folder), folder }
    }
}

sequel_store::conformance_tests!(Sled, durable);
