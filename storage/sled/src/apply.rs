//! One batch against the rows of the log: idempotence, preconditions, writes, retention.
//!
//! Knows nothing of threads, of sled or of syncs; `writer` does.

use bytes::Bytes;
use sequel_store::group_commit::Applied;
use sequel_store::{Batch, CommitError, Expect, Key, Lane, Revision, Scope, Write};

use crate::cut::Cuts;
use crate::fault::{self, Fault};
use crate::pending::{Pending, Rows};
use crate::read::{head, record_of, state};
use crate::rows::{self, Block, CHUNK_BYTES, Head, Value};

/// Commits of which a scope remembers the keys; `changes` from before them is a gap. A tombstone lives as long as the
/// commit that left it is remembered. 256 commits of one key are some 25 KB.
const CHANGES_KEPT: u64 = 256;

/// Applies `batch` to the rows that are pending, wholly or not at all. The inner error is the batch's own; the outer one
/// the log's, which takes nothing any more.
pub(crate) fn apply(
    pending: &mut Pending<'_>,
    batch: &Batch,
    cuts: &Cuts,
) -> Result<Result<Applied, CommitError>, Fault> {
    let applied = draft(pending, batch, cuts);
    match applied {
        Ok(Ok(_)) => pending.keep(),
        _ => pending.discard(),
    }
    match applied {
        // sled answers everything with the first error of its files, so this is not about the rows that were read.
        Err(fault) if fault.is_of_the_disk() => Err(fault),
        // A log that cannot be read at one place costs the batches that have to read there.
        Err(fault) => {
            tracing::error!(error = %fault, scope = %batch.scope, "a commit was refused");
            Ok(Err(fault::refused(&fault)))
        }
        Ok(applied) => Ok(applied),
    }
}

/// The inner error is the batch's own, the outer one the log's.
fn draft(
    pending: &mut Pending<'_>,
    batch: &Batch,
    cuts: &Cuts,
) -> Result<Result<Applied, CommitError>, Fault> {
    let scope = &batch.scope;
    let mut state = state(pending, scope)?;
    let now = Revision(state.revision);
    let log = batch.lane == Lane::Log;
    if let Lane::State { at, .. } = batch.lane {
        if let Some(revision) = state.revision_of(batch.id, |slot| block(pending, scope, slot))? {
            return Ok(Ok(Applied { revision: Revision(revision), moved: false }));
        }
        if at.is_some_and(|at| at != now) || !expectations_hold(pending, scope, &batch.expects)? {
            return Ok(Err(CommitError::Conflict { now }));
        }
        if let Some((slot, finished)) = state.advance(batch.id) {
            pending.put(rows::block_row(scope, slot), finished.encode());
        }
    }
    for write in &batch.writes {
        let old = head(pending, scope, key(write))?;
        cuts.before(scope, key(write), || record_of(pending, scope, key(write), old.as_ref()))?;
        let old_chunks = old.map_or(0, |old| old.chunks());
        put(pending, scope, write, Written { revision: state.revision, log, old_chunks });
    }
    if !log {
        let keys = rows::encode_keys(batch.writes.iter().map(key));
        pending.put(rows::change_row(scope, state.revision), keys);
        pending.put(rows::scope_row(scope), state.encode());
        forget(pending, scope, state.revision)?;
    }
    let revision = Revision(state.revision);
    Ok(Ok(Applied { revision, moved: revision != now }))
}

fn block(pending: &Pending<'_>, scope: &Scope, slot: u8) -> Result<Option<Block>, Fault> {
    pending.row(&rows::block_row(scope, slot))?.map(|row| Block::decode(&row)).transpose()
}

fn key(write: &Write) -> &Key {
    match write {
        Write::Put(key, _) | Write::Delete(key) => key,
    }
}

fn expectations_hold(pending: &Pending<'_>, scope: &Scope, expects: &[Expect]) -> Result<bool, Fault> {
    for expect in expects {
        let (key, wanted) = match expect {
            Expect::Absent(key) => (key, None),
            Expect::At(key, revision) => (key, Some(revision.0)),
        };
        let found =
            head(pending, scope, key)?.filter(|head| head.value != Value::Deleted).map(|head| head.revision);
        if found != wanted {
            return Ok(false);
        }
    }
    Ok(true)
}

struct Written {
    revision: u64,
    log: bool,
    old_chunks: usize,
}

fn put(pending: &mut Pending<'_>, scope: &Scope, write: &Write, written: Written) {
    let (key, value): (_, Option<&Bytes>) = match write {
        Write::Put(key, value) => (key, Some(value)),
        Write::Delete(key) => (key, None),
    };
    let chunks = value.map_or(0, |value| rows::chunks(value.len()));
    for index in chunks..written.old_chunks {
        pending.remove(rows::chunk_row(scope, key, index));
    }
    let row = rows::record_row(scope, key);
    let value = match value {
        // The log lane is in no delta, so its deletions need no tombstone.
        None if written.log => return pending.remove(row),
        None => Value::Deleted,
        Some(value) if chunks == 0 => Value::Whole(value.clone()),
        Some(value) => {
            for (index, chunk) in value.chunks(CHUNK_BYTES).enumerate() {
                pending.put(rows::chunk_row(scope, key, index), chunk);
            }
            Value::Chunked(value.len())
        }
    };
    pending.put(row, Head { revision: written.revision, log: written.log, value }.encode());
}

/// Forgets the commits that are too old at `revision`, and the tombstones that nothing but they left.
fn forget(pending: &mut Pending<'_>, scope: &Scope, revision: u64) -> Result<(), Fault> {
    // One, but for a store whose build kept more.
    let mut forgotten = revision.saturating_sub(CHANGES_KEPT);
    while let Some(keys) = pending.row(&rows::change_row(scope, forgotten))? {
        for key in rows::decode_keys(&keys)? {
            let head = head(pending, scope, &key)?;
            if head.is_some_and(|head| head.value == Value::Deleted && head.revision == forgotten) {
                pending.remove(rows::record_row(scope, &key));
            }
        }
        pending.remove(rows::change_row(scope, forgotten));
        forgotten -= 1;
    }
    Ok(())
}
