//! What takes several asks of a store: all records of a range, and a commit whose outcome has to be known.

use crate::{Batch, CommitError, KeyRange, ReadError, Record, Revision, ScanLimit, Scope, Store};

/// How often a commit of which nothing is known is asked for again.
const ASKED_AGAIN: usize = 3;

/// All records of a range, in key order, read page by page: one that is changed meanwhile as it was or as it is. For
/// tables that are small, or whose records are never changed once written.
pub async fn scan_all(
    store: &dyn Store,
    scope: &Scope,
    mut range: KeyRange,
) -> Result<Vec<Record>, ReadError> {
    let mut records = Vec::new();
    loop {
        let page = store.scan(scope, range.clone(), ScanLimit::default()).await?;
        records.extend(page.records);
        match page.next {
            Some(key) => range = range.after(&key),
            None => return Ok(records),
        }
    }
}

/// Commits, and where the outcome is unknown asks for it: commits are idempotent by their id, so making one again is how
/// one finds out. `Unknown` where that could not be found out either.
pub async fn commit_and_know(store: &dyn Store, batch: Batch) -> Result<Revision, CommitError> {
    let id = batch.id;
    let mut outcome = store.commit(batch.clone()).await;
    for _ in 0..ASKED_AGAIN {
        let Err(CommitError::Unknown(_)) = outcome else { break };
        outcome = match store.commit(batch.clone()).await {
            // It cannot be asked now: then it stays unknown.
            Err(CommitError::Unavailable(_)) => Err(CommitError::Unknown(id)),
            decided => decided,
        };
    }
    outcome
}
