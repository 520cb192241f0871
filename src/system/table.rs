//! One table of what belongs to no organization: a scope of the store, read and changed by preconditions.
//!
//! Nobody owns such a table as an actor owns an organization: whoever changes a record says at which revision it
//! was read, and of two who do at once one is told so.

use std::sync::Arc;

use futures_util::Stream;
use sequel_store::{
    Batch, CommitError, CommitId, Expect, Key, KeyRange, Lane, ReadError, Record, Revision, ScanLimit, Scope,
    Store, Write, commit_and_know, scan_all,
};
use thiserror::Error;

use crate::context::{Rng, RngError};
use crate::record::{RecordError, Versioned, decode};

/// A table could not be read or written.
#[derive(Debug, Error)]
pub enum TableError {
    /// The store gave no answer.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Somebody else changed the same records at the same moment; try again.
    #[error("it was changed elsewhere at the same time")]
    Conflict,
    /// The store took no change.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// A record cannot be used.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// No random bytes.
    #[error(transparent)]
    Rng(#[from] RngError),
}

/// A table. Clones share it.
#[derive(Clone)]
pub(super) struct Table {
    store: Arc<dyn Store>,
    scope: Scope,
    rng: Rng,
}

impl Table {
    pub(super) fn new(store: Arc<dyn Store>, scope: Scope, rng: Rng) -> Self {
        Self { store, scope, rng }
    }

    /// A record with the revision that wrote it.
    pub(super) async fn get<T: Versioned>(&self, at: &Key) -> Result<Option<(T, Revision)>, TableError> {
        match self.store.get(&self.scope, at).await? {
            Some(record) => Ok(Some((decode(&record.value)?, record.revision))),
            None => Ok(None),
        }
    }

    /// All records whose key begins with a prefix; one that is changed meanwhile as it was or as it is.
    pub(super) async fn all(&self, prefix: &str) -> Result<Vec<Record>, TableError> {
        self.records(KeyRange::prefix(prefix.as_bytes().to_vec())).await
    }

    /// The first records whose key begins with a prefix, at most so many.
    pub(super) async fn first(&self, prefix: &str, records: usize) -> Result<Vec<Record>, TableError> {
        let range = KeyRange::prefix(prefix.as_bytes().to_vec());
        Ok(self.store.scan(&self.scope, range, ScanLimit { records }).await?.records)
    }

    /// All records of a range.
    pub(super) async fn records(&self, range: KeyRange) -> Result<Vec<Record>, TableError> {
        Ok(scan_all(&*self.store, &self.scope, range).await?)
    }

    /// The records of a range, page by page: for who needs no more than one page at a time.
    pub(super) fn pages(
        &self,
        range: KeyRange,
        records: usize,
    ) -> impl Stream<Item = Result<Vec<Record>, TableError>> + '_ {
        futures_util::stream::try_unfold(Some(range), move |range| async move {
            let Some(range) = range else { return Ok(None) };
            let page = self.store.scan(&self.scope, range.clone(), ScanLimit { records }).await?;
            Ok(Some((page.records, page.next.map(|last| range.after(&last)))))
        })
    }

    /// Commits; where the outcome is unknown, asks for it.
    pub(super) async fn commit(&self, expects: Vec<Expect>, writes: Vec<Write>) -> Result<(), TableError> {
        let (lane, id) = (Lane::State { at: None, narrows: false }, CommitId(self.rng.bytes()?));
        let batch = Batch { scope: self.scope.clone(), lane, id, expects, writes };
        match commit_and_know(&*self.store, batch).await {
            Ok(_) => Ok(()),
            Err(CommitError::Conflict { .. }) => Err(TableError::Conflict),
            Err(error) => Err(error.into()),
        }
    }
}
