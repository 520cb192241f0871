//! One batch against the open log: idempotence, preconditions, writes, retention.
//!
//! Knows nothing of threads or of syncs; `writer` does. What a batch writes goes into one batch of sled's, which sled
//! recovers wholly or not at all.

use bytes::Bytes;
use sequel_store::group_commit::Applied;
use sequel_store::{Batch, CommitError, Expect, Key, Lane, Revision, Scope, Write};
use sled::Tree;

use crate::cut::Cuts;
use crate::fault::Fault;
use crate::read::{head, record_of, state};
use crate::rows::{self, CHUNK_BYTES, Head, Value};

/// Commits of which a scope remembers the keys; `changes` from before them is a gap. A tombstone lives as long as the
/// commit that left it is remembered. 256 commits of one key are some 25 KB.
const CHANGES_KEPT: u64 = 256;

/// Applies `batch`. The inner error is the batch's own: nothing of it happened. The outer one is the log's: whether the
/// batch happened is not known, and what is in memory now must not be believed.
pub(crate) fn apply(tree: &Tree, batch: &Batch, cuts: &Cuts) -> Result<Result<Applied, CommitError>, Fault> {
    let scope = &batch.scope;
    let mut state = state(tree, scope)?;
    let now = Revision(state.revision);
    let log = batch.lane == Lane::Log;
    let mut rows = sled::Batch::default();
    if let Lane::State { at, .. } = batch.lane {
        if let Some(revision) = state.revision_of(batch.id) {
            return Ok(Ok(Applied { revision: Revision(revision), moved: false }));
        }
        if at.is_some_and(|at| at != now) || !expectations_hold(tree, scope, &batch.expects)? {
            return Ok(Err(CommitError::Conflict { now }));
        }
        state.advance(batch.id);
        // Before the writes, which override what is forgotten of the same keys.
        forget(tree, scope, state.revision, &mut rows)?;
        rows.insert(rows::scope_row(scope), state.encode());
        rows.insert(rows::change_row(scope, state.revision), rows::encode_keys(batch.writes.iter().map(key)));
    }
    for write in &batch.writes {
        let old = head(tree, scope, key(write))?;
        cuts.before(scope, key(write), || record_of(tree, scope, key(write), old.as_ref()))?;
        put(
            &mut rows,
            scope,
            write,
            Written { revision: state.revision, log, old_chunks: old.map_or(0, |old| old.chunks()) },
        );
    }
    tree.apply_batch(rows)?;
    let revision = Revision(state.revision);
    Ok(Ok(Applied { revision, moved: revision != now }))
}

fn key(write: &Write) -> &Key {
    match write {
        Write::Put(key, _) | Write::Delete(key) => key,
    }
}

fn expectations_hold(tree: &Tree, scope: &Scope, expects: &[Expect]) -> Result<bool, Fault> {
    for expect in expects {
        let (key, wanted) = match expect {
            Expect::Absent(key) => (key, None),
            Expect::At(key, revision) => (key, Some(revision.0)),
        };
        let found =
            head(tree, scope, key)?.filter(|head| head.value != Value::Deleted).map(|head| head.revision);
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

fn put(rows: &mut sled::Batch, scope: &Scope, write: &Write, written: Written) {
    let (key, value): (_, Option<&Bytes>) = match write {
        Write::Put(key, value) => (key, Some(value)),
        Write::Delete(key) => (key, None),
    };
    let chunks = value.map_or(0, |value| rows::chunks(value.len()));
    for index in chunks..written.old_chunks {
        rows.remove(rows::chunk_row(scope, key, index));
    }
    let row = rows::record_row(scope, key);
    let value = match value {
        // The log lane is in no delta, so its deletions need no tombstone.
        None if written.log => return rows.remove(row),
        None => Value::Deleted,
        Some(value) if chunks == 0 => Value::Whole(value.clone()),
        Some(value) => {
            for (index, chunk) in value.chunks(CHUNK_BYTES).enumerate() {
                rows.insert(rows::chunk_row(scope, key, index), chunk);
            }
            Value::Chunked(value.len())
        }
    };
    rows.insert(row, Head { revision: written.revision, log: written.log, value }.encode());
}

/// Forgets the commits that are too old at `revision`, and the tombstones that nothing but they left.
fn forget(tree: &Tree, scope: &Scope, revision: u64, rows: &mut sled::Batch) -> Result<(), Fault> {
    let Some(oldest_kept) = (revision + 1).checked_sub(CHANGES_KEPT) else { return Ok(()) };
    // One, but for a store whose build kept more.
    for change in tree.range(rows::changes(scope)..rows::change_row(scope, oldest_kept)) {
        let (row, keys) = change?;
        for key in rows::decode_keys(&keys)? {
            let forgotten = head(tree, scope, &key)?.is_some_and(|head| {
                head.value == Value::Deleted && rows::change_row(scope, head.revision) == *row
            });
            if forgotten {
                rows.remove(rows::record_row(scope, &key));
            }
        }
        rows.remove(row);
    }
    Ok(())
}
