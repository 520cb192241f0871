//! PostgreSQL holds the whole suite. One process holds the lease, so there is no second node yet.

mod cluster;

use std::sync::Arc;

use async_trait::async_trait;
use sequel_store::Store;
use sequel_store::conformance::{Backend, Durable};
use sequel_store_postgres::PostgresStore;

use crate::cluster::Database;

struct Postgres {
    store: Arc<PostgresStore>,
    database: Database,
}

#[async_trait]
impl Backend for Postgres {
    async fn open() -> Self {
        let database = Database::make();
        Self { store: Arc::new(database.open().expect("a store in a fresh database")), database }
    }

    fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }
}

#[async_trait]
impl Durable for Postgres {
    async fn reopen(self) -> Self {
        let Self { store, database } = self;
        drop(Arc::into_inner(store).expect("nobody else holds the store"));
        Self { store: Arc::new(database.open().expect("the same store")), database }
    }
}

sequel_store::conformance_tests!(Postgres, durable);
