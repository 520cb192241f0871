//! The store with a stopwatch: counts what it is asked for, how long it takes and what comes of it.
//!
//! Around any backend, so that none has to count. Knows the trait and nothing of what is stored.

use std::sync::Arc;

use async_trait::async_trait;
use sequel_store::{
    Batch, Changes, CommitError, ExportStream, Fence, HintStream, Key, KeyRange, Page, ReadError, Record,
    Registration, Revision, ScanLimit, Scope, Store,
};

use crate::metrics::{Metrics, StoreOperation, StoreOutcome};

/// A store whose operations are counted.
pub(super) struct Metered {
    store: Arc<dyn Store>,
    metrics: Metrics,
}

impl Metered {
    pub(super) fn new(store: Arc<dyn Store>, metrics: Metrics) -> Self {
        Self { store, metrics }
    }

    async fn read<T>(
        &self,
        operation: StoreOperation,
        read: impl Future<Output = Result<T, ReadError>>,
    ) -> Result<T, ReadError> {
        let timer = self.metrics.store_operation(operation);
        let outcome = read.await;
        timer.ended(match &outcome {
            Ok(_) => StoreOutcome::Ok,
            Err(ReadError::Unavailable(_)) => StoreOutcome::Unavailable,
            Err(ReadError::Damaged(_)) => StoreOutcome::Broken,
        });
        outcome
    }
}

#[async_trait]
impl Store for Metered {
    async fn get(&self, scope: &Scope, key: &Key) -> Result<Option<Record>, ReadError> {
        self.read(StoreOperation::Get, self.store.get(scope, key)).await
    }

    async fn scan(&self, scope: &Scope, range: KeyRange, limit: ScanLimit) -> Result<Page, ReadError> {
        self.read(StoreOperation::Scan, self.store.scan(scope, range, limit)).await
    }

    async fn commit(&self, batch: Batch) -> Result<Revision, CommitError> {
        let timer = self.metrics.store_operation(StoreOperation::Commit);
        let outcome = self.store.commit(batch).await;
        timer.ended(match &outcome {
            Ok(_) => StoreOutcome::Ok,
            Err(CommitError::Conflict { .. }) => StoreOutcome::Conflict,
            Err(CommitError::Full) => StoreOutcome::Full,
            Err(CommitError::Unavailable(_)) => StoreOutcome::Unavailable,
            Err(CommitError::Unknown(_)) => StoreOutcome::Unknown,
            Err(CommitError::TooLarge | CommitError::Malformed(_)) => StoreOutcome::Broken,
        });
        outcome
    }

    async fn changes(&self, scope: &Scope, after: Revision) -> Result<Changes, ReadError> {
        self.read(StoreOperation::Other, self.store.changes(scope, after)).await
    }

    fn watch(&self) -> HintStream {
        self.store.watch()
    }

    fn register(&self, scope: &Scope) -> Registration {
        self.store.register(scope)
    }

    async fn published(&self, scope: &Scope, revision: Revision) -> Result<(), ReadError> {
        self.read(StoreOperation::Other, self.store.published(scope, revision)).await
    }

    async fn settle(&self, scope: &Scope, revision: Revision) -> Result<(), ReadError> {
        self.read(StoreOperation::Settle, self.store.settle(scope, revision)).await
    }

    fn fence(&self) -> Fence {
        self.store.fence()
    }

    async fn export(&self) -> Result<ExportStream, ReadError> {
        self.read(StoreOperation::Other, self.store.export()).await
    }
}
