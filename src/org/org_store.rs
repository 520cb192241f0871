//! The part of the store that belongs to one organization.
//!
//! **Invariant:** the scope is fixed when the registry makes the handle; nothing here can name
//! another one.

use std::sync::Arc;

use sequel_store::{
    BATCH_OPERATIONS_MAX, Batch, CommitError, CommitId, Expect, Key, KeyRange, Lane, Page, ReadError, Record,
    Revision, ScanLimit, Scope, Store, Write, commit_and_know, scan_all,
};

use super::ChangeError;
use super::record::{RecordError, Versioned, decode};
use crate::context::Rng;
use crate::credential::OrgId;

/// A handle to one organization's records.
#[derive(Clone)]
pub(super) struct OrgStore {
    store: Arc<dyn Store>,
    scope: Scope,
}

/// A scan that kept moving under its reader.
const RESTARTS_MAX: usize = 8;

impl OrgStore {
    /// For the registry only.
    pub(super) fn new(store: Arc<dyn Store>, org: OrgId) -> Self {
        let scope = Scope::org(org.as_str()).expect("an organization's id is base62, a legal scope name");
        Self { store, scope }
    }

    /// The record at a key, decoded, with the revision that wrote it.
    pub(super) async fn get<T: Versioned>(&self, key: &Key) -> Result<Option<(T, Revision)>, GetError> {
        match self.store.get(&self.scope, key).await? {
            Some(record) => Ok(Some((decode(&record.value)?, record.revision))),
            None => Ok(None),
        }
    }

    /// All records whose key begins with a prefix, read at one revision.
    pub(super) async fn all(&self, prefix: &str) -> Result<(Vec<Record>, Revision), ReadError> {
        let mut last_error = None;
        for _ in 0..RESTARTS_MAX {
            match self.all_once(prefix).await {
                Ok(Some(found)) => return Ok(found),
                // The scope moved between two pages: read again.
                Ok(None) => continue,
                Err(error) => last_error = Some(error),
            }
            break;
        }
        Err(last_error
            .unwrap_or_else(|| ReadError::Unavailable("the scope moves faster than it is read".into())))
    }

    async fn all_once(&self, prefix: &str) -> Result<Option<(Vec<Record>, Revision)>, ReadError> {
        let mut range = KeyRange::prefix(prefix.as_bytes().to_vec());
        let mut records = Vec::new();
        let mut at = None;
        loop {
            let page = self.store.scan(&self.scope, range.clone(), ScanLimit::default()).await?;
            if *at.get_or_insert(page.revision) != page.revision {
                return Ok(None);
            }
            records.extend(page.records);
            match page.next {
                Some(key) => range = range.after(&key),
                None => return Ok(Some((records, page.revision))),
            }
        }
    }

    /// The first records of a range, at most so many, in key order.
    pub(super) async fn page(&self, range: KeyRange, records: usize) -> Result<Page, ReadError> {
        self.store.scan(&self.scope, range, ScanLimit { records }).await
    }

    /// All records of a range that are never changed once written: no need for one revision.
    pub(super) async fn records(&self, range: KeyRange) -> Result<Vec<Record>, ReadError> {
        scan_all(&*self.store, &self.scope, range).await
    }

    /// A state batch of this scope, to be committed by [`OrgStore::commit`].
    pub(super) fn batch(
        &self,
        id: CommitId,
        at: Revision,
        narrows: bool,
        expects: Vec<Expect>,
        writes: Vec<Write>,
    ) -> Batch {
        Batch { scope: self.scope.clone(), lane: Lane::State { at: Some(at), narrows }, id, expects, writes }
    }

    /// A batch of blind appends.
    pub(super) fn log_batch(&self, id: CommitId, writes: Vec<Write>) -> Batch {
        Batch { scope: self.scope.clone(), lane: Lane::Log, id, expects: Vec::new(), writes }
    }

    /// Commits blind writes, in as many batches as it takes. Where an outcome is unknown, the same writes are
    /// made again: writing one twice changes nothing.
    pub(super) async fn log(&self, rng: &Rng, writes: Vec<Write>) -> Result<(), ChangeError> {
        for chunk in writes.chunks(BATCH_OPERATIONS_MAX) {
            let batch = self.log_batch(CommitId(rng.bytes()?), chunk.to_vec());
            self.commit_and_know(batch).await?;
        }
        Ok(())
    }

    /// Applies a batch that this handle made.
    pub(super) async fn commit(&self, batch: Batch) -> Result<Revision, CommitError> {
        debug_assert_eq!(batch.scope, self.scope);
        self.store.commit(batch).await
    }

    /// The same; where the outcome is unknown, asks for it.
    pub(super) async fn commit_and_know(&self, batch: Batch) -> Result<Revision, CommitError> {
        debug_assert_eq!(batch.scope, self.scope);
        commit_and_know(&*self.store, batch).await
    }

    /// Acknowledges that readers see the revision, and for a narrowing change waits for every node.
    pub(super) async fn announce(&self, revision: Revision, narrows: bool) -> Result<(), ReadError> {
        self.store.published(&self.scope, revision).await?;
        if narrows { self.store.settle(&self.scope, revision).await } else { Ok(()) }
    }
}

/// A record that could not be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum GetError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Record(#[from] RecordError),
}

impl From<GetError> for super::ChangeError {
    fn from(error: GetError) -> Self {
        match error {
            GetError::Read(error) => error.into(),
            GetError::Record(error) => error.into(),
        }
    }
}

impl From<GetError> for super::ResolveError {
    fn from(error: GetError) -> Self {
        match error {
            GetError::Read(error) => error.into(),
            GetError::Record(error) => error.into(),
        }
    }
}
