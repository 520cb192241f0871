//! The reference model holds the whole suite, as one node and as two.

use std::sync::Arc;

use async_trait::async_trait;
use sequel_store::conformance::{Backend, TwoNodes};
use sequel_store::{MemoryStore, Store};

struct Memory(Arc<MemoryStore>);

#[async_trait]
impl Backend for Memory {
    async fn open() -> Self {
        Self(Arc::new(MemoryStore::new()))
    }

    fn store(&self) -> Arc<dyn Store> {
        self.0.clone()
    }
}

#[async_trait]
impl TwoNodes for Memory {
    async fn second(&self) -> Arc<dyn Store> {
        Arc::new(self.0.another_node())
    }
}

sequel_store::conformance_tests!(Memory, two_nodes);
