//! What is said of the store as a whole: which restores it has seen, and whether something that fills it is unfinished.
//!
//! The mark of unfinished work is written before anything else and removed last, in the batch that notes the restore.
//! Whoever would serve looks for it first: half a restore is never served.

use std::sync::Arc;

use sequel_store::{Batch, CommitError, CommitId, Key, Lane, Scope, Store, Write};
use serde::{Deserialize, Serialize};

use super::TableError;
use crate::context::{Rng, Timestamp};
use crate::record::{Versioned, decode, encode, versioned};

/// The last restore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// Counts the restores of a store and of what it was restored from.
    pub epoch: u64,
    /// When it was.
    pub at: Timestamp,
    /// When the backup was made.
    pub backup_at: Timestamp,
}

/// What fills a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// `sequel restore`.
    Restore,
    /// `sequel storage copy`.
    Copy,
}

/// The mark of work that was begun and is not finished.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unfinished {
    /// What it is.
    pub work: Work,
    /// When it began.
    pub began_at: Timestamp,
    /// Whether the store was empty then: all that it holds now comes from that work, and may go.
    pub onto_empty: bool,
}

impl std::fmt::Display for Unfinished {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { work, began_at, onto_empty } = self;
        let (what, again) = match (work, onto_empty) {
            (Work::Restore, true) => ("a restore into", "sequel restore FILE"),
            (Work::Restore, false) => ("a restore onto", "sequel restore FILE --replace"),
            (Work::Copy, _) => ("a copy to", "sequel storage copy"),
        };
        write!(
            f,
            "{what} this store began at {began_at} and was not finished, so it is not served. Run '{again}' again."
        )
    }
}

versioned! {
    Restored, "restore", 1;
    Unfinished, "unfinished work", 1;
}

/// The store's own records.
#[derive(Clone)]
pub struct WholeStore {
    store: Arc<dyn Store>,
}

impl WholeStore {
    /// Over the table `system/store`.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// The last restore, if there was one.
    pub async fn restored(&self) -> Result<Option<Restored>, TableError> {
        self.get(restored_at()).await
    }

    /// What was begun and not finished.
    pub async fn unfinished(&self) -> Result<Option<Unfinished>, TableError> {
        self.get(unfinished_at()).await
    }

    /// Marks work as begun.
    pub async fn begin(&self, rng: &Rng, mark: &Unfinished) -> Result<(), TableError> {
        self.commit(rng, vec![Write::Put(unfinished_at(), encode(mark))]).await
    }

    /// Takes the mark away; with a restore, notes it in the same batch.
    pub async fn finish(&self, rng: &Rng, restored: Option<&Restored>) -> Result<(), TableError> {
        let noted = restored.map(|restored| Write::Put(restored_at(), encode(restored)));
        self.commit(rng, noted.into_iter().chain([Write::Delete(unfinished_at())]).collect()).await
    }

    async fn get<T: Versioned>(&self, at: Key) -> Result<Option<T>, TableError> {
        let found = self.store.get(&scope(), &at).await?;
        Ok(found.map(|record| decode(&record.value)).transpose()?)
    }

    async fn commit(&self, rng: &Rng, writes: Vec<Write>) -> Result<(), TableError> {
        let (lane, id) = (Lane::State { at: None, narrows: false }, CommitId(rng.bytes()?));
        let batch = Batch { scope: scope(), lane, id, expects: Vec::new(), writes };
        match self.store.commit(batch).await {
            Ok(_) => Ok(()),
            Err(CommitError::Conflict { .. }) => Err(TableError::Conflict),
            Err(error) => Err(error.into()),
        }
    }
}

/// Where all of it is.
pub fn scope() -> Scope {
    Scope::system("store").expect("a constant that is a legal scope name")
}

/// Where the last restore is.
pub fn restored_at() -> Key {
    Key::new("restored").expect("a constant that is a legal key")
}

/// Where the mark is.
pub fn unfinished_at() -> Key {
    Key::new("unfinished").expect("a constant that is a legal key")
}
