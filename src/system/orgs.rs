//! The index of organizations by name: a hint, written before the organization's own record and
//! removed after it. The organization's record is authoritative.

use std::sync::Arc;

use sequel_store::{
    Batch, CommitError, CommitId, Expect, Key, KeyRange, Lane, ReadError, ScanLimit, Scope, Store, Write,
};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::context::{Rng, RngError};
use crate::credential::OrgId;
use crate::record::{RecordError, decode, encode, name_digest, versioned};

/// Points from a name to an organization that has it, or was about to.
#[derive(Debug, Serialize, Deserialize)]
struct IndexRecord {
    org: OrgId,
}

versioned! {
    IndexRecord, "organization index", 1;
}

/// The index could not be read or written.
#[derive(Debug, Error)]
pub enum IndexError {
    /// The store gave no answer.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Somebody else changed the index at the same moment; try again.
    #[error("the index of organizations was changed elsewhere at the same time")]
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

/// The index.
#[derive(Clone)]
pub struct OrgIndex {
    store: Arc<dyn Store>,
    scope: Scope,
    rng: Rng,
}

impl OrgIndex {
    /// Over the table `system/orgs`.
    pub fn new(store: Arc<dyn Store>, rng: Rng) -> Self {
        let scope = Scope::system("orgs").expect("a constant that is a legal scope name");
        Self { store, scope, rng }
    }

    /// The organization that the name points to.
    pub async fn find(&self, name: &str) -> Result<Option<OrgId>, IndexError> {
        match self.store.get(&self.scope, &at(name)).await? {
            Some(record) => Ok(Some(decode::<IndexRecord>(&record.value)?.org)),
            None => Ok(None),
        }
    }

    /// Reserves a name for an organization; answers whom it points to afterwards, which is another
    /// organization where somebody was there first.
    pub async fn reserve(&self, name: &str, org: OrgId) -> Result<OrgId, IndexError> {
        let batch = Batch {
            scope: self.scope.clone(),
            lane: Lane::State { at: None, narrows: false },
            id: CommitId(self.rng.bytes()?),
            expects: vec![Expect::Absent(at(name))],
            writes: vec![Write::Put(at(name), encode(&IndexRecord { org }))],
        };
        match self.store.commit(batch).await {
            Ok(_) => Ok(org),
            // Taken; or taken a moment ago and given back since.
            Err(CommitError::Conflict { .. }) => self.find(name).await?.ok_or(IndexError::Conflict),
            Err(error) => Err(error.into()),
        }
    }

    /// All organizations that a name points to.
    pub async fn all(&self) -> Result<Vec<OrgId>, IndexError> {
        let mut range = KeyRange::all();
        let mut orgs = Vec::new();
        loop {
            let page = self.store.scan(&self.scope, range.clone(), ScanLimit::default()).await?;
            for record in &page.records {
                orgs.push(decode::<IndexRecord>(&record.value)?.org);
            }
            match page.next {
                Some(key) => range = range.after(&key),
                None => return Ok(orgs),
            }
        }
    }
}

fn at(name: &str) -> Key {
    Key::new(format!("name/{}", name_digest(name))).expect("a prefix and 64 digits are a legal key")
}
