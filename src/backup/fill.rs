//! Filling a store that nobody serves: records gathered into batches, and the marks around them.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use sequel_store::{
    BATCH_BYTES_MAX, BATCH_OPERATIONS_MAX, Batch, CommitError, CommitId, Key, KeyRange, Lane, Revision,
    ScanLimit, Scope, Store, Write,
};

use super::BackupError;
use super::format::Entry;
use super::kind::Kind;
use crate::context::Rng;
use crate::system::whole::{self, Unfinished, WholeStore};

/// How often a commit whose outcome is unknown is sent again to find out.
const UNKNOWN_TRIES: usize = 3;
/// Empty batches under way at once: a group commit of the embedded backends takes more, but on Postgres those of one
/// organization wait for each other, each for a sync of the disk, and none may wait for long.
const RAISING_AT_ONCE: usize = 8;

/// Writes to one scope at a time, in batches as large as they may be.
pub(super) struct Filler {
    store: Arc<dyn Store>,
    rng: Rng,
    scope: Option<Scope>,
    state: Gathered,
    log: Gathered,
}

#[derive(Default)]
struct Gathered {
    writes: Vec<Write>,
    bytes: usize,
}

impl Filler {
    pub(super) fn new(store: Arc<dyn Store>, rng: Rng) -> Self {
        Self { store, rng, scope: None, state: Gathered::default(), log: Gathered::default() }
    }

    /// Writes a record, at the latest with [`Filler::flush`].
    pub(super) async fn put(
        &mut self,
        scope: &Scope,
        kind: Kind,
        key: Key,
        value: bytes::Bytes,
    ) -> Result<(), BackupError> {
        self.write(scope, kind, Write::Put(key, value)).await
    }

    /// Deletes a record, at the latest with [`Filler::flush`].
    pub(super) async fn delete(&mut self, scope: &Scope, kind: Kind, key: Key) -> Result<(), BackupError> {
        self.write(scope, kind, Write::Delete(key)).await
    }

    async fn write(&mut self, scope: &Scope, kind: Kind, write: Write) -> Result<(), BackupError> {
        if self.scope.as_ref() != Some(scope) {
            self.flush().await?;
            self.scope = Some(scope.clone());
        }
        let bytes = match &write {
            Write::Put(key, value) => key.as_bytes().len() + value.len(),
            Write::Delete(key) => key.as_bytes().len(),
        };
        let lane = kind.lane();
        let gathered = if lane == Lane::Log { &mut self.log } else { &mut self.state };
        if gathered.writes.len() == BATCH_OPERATIONS_MAX || gathered.bytes + bytes > BATCH_BYTES_MAX {
            let full = std::mem::take(gathered);
            self.commit(scope, lane, full.writes).await?;
        }
        let gathered = if lane == Lane::Log { &mut self.log } else { &mut self.state };
        gathered.bytes += bytes;
        gathered.writes.push(write);
        Ok(())
    }

    /// Commits what was gathered.
    pub(super) async fn flush(&mut self) -> Result<(), BackupError> {
        let Some(scope) = self.scope.take() else { return Ok(()) };
        for (lane, gathered) in
            [(Lane::Log, std::mem::take(&mut self.log)), (STATE, std::mem::take(&mut self.state))]
        {
            if !gathered.writes.is_empty() {
                self.commit(&scope, lane, gathered.writes).await?;
            }
        }
        Ok(())
    }

    /// Commits one batch, and asks where its outcome is unknown.
    pub(super) async fn commit(
        &self,
        scope: &Scope,
        lane: Lane,
        writes: Vec<Write>,
    ) -> Result<Revision, BackupError> {
        let id = CommitId(self.rng.bytes()?);
        let batch = Batch { scope: scope.clone(), lane, id, expects: Vec::new(), writes };
        let mut outcome = self.store.commit(batch.clone()).await;
        for _ in 0..UNKNOWN_TRIES {
            let Err(CommitError::Unknown(_)) = outcome else { break };
            outcome = self.store.commit(batch.clone()).await;
        }
        Ok(outcome?)
    }

    /// The revision that a scope is at.
    pub(super) async fn revision(&self, scope: &Scope) -> Result<Revision, BackupError> {
        Ok(self.store.scan(scope, KeyRange::all(), ScanLimit { records: 1 }).await?.revision)
    }

    /// Raises a scope's revision to `least`, with batches that change nothing.
    ///
    /// Entries of the audit trail lie under the revisions of the store that they were made in. In a store that begins
    /// to count anew, the next changes would write over them.
    pub(super) async fn raise(&self, scope: &Scope, least: Revision) -> Result<(), BackupError> {
        let now = self.revision(scope).await?;
        let missing = least.0.saturating_sub(now.0);
        let mut raised = stream::iter(0..missing)
            .map(|_| self.commit(scope, STATE, Vec::new()))
            .buffer_unordered(RAISING_AT_ONCE);
        while let Some(revision) = raised.next().await {
            revision?;
        }
        Ok(())
    }
}

/// The lane of state, where nobody else writes.
pub(super) const STATE: Lane = Lane::State { at: None, narrows: false };

/// Deletes everything but the store's own records.
pub(super) async fn wipe(store: &Arc<dyn Store>, rng: &Rng) -> Result<(), BackupError> {
    let mut filler = Filler::new(Arc::clone(store), rng.clone());
    let mut all = store.export().await?;
    while let Some(found) = all.next().await.transpose()? {
        let entry = Entry { scope: found.scope, key: found.record.key, value: found.record.value };
        if entry.scope != whole::scope() {
            let kind = super::check::kind_of(&entry)?;
            filler.delete(&entry.scope, kind, entry.key).await?;
        }
    }
    filler.flush().await
}

/// Whether a store holds nothing but its own records.
pub(super) async fn is_empty(store: &Arc<dyn Store>) -> Result<bool, BackupError> {
    let mut all = store.export().await?;
    while let Some(found) = all.next().await.transpose()? {
        if found.scope != whole::scope() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Marks a store as unfinished. One that an earlier attempt began to fill from empty is emptied again.
pub(super) async fn begin(store: &Arc<dyn Store>, rng: &Rng, mark: &Unfinished) -> Result<(), BackupError> {
    let whole = WholeStore::new(Arc::clone(store));
    whole.begin(rng, mark).await?;
    if mark.onto_empty { wipe(store, rng).await } else { Ok(()) }
}
