//! One batch against an open transaction: idempotence, preconditions, writes, retention.
//!
//! Knows nothing of threads or of COMMIT; `writer` does.

use bytes::Bytes;
use rusqlite::ffi::{SQLITE_FULL, SQLITE_IOERR};
use rusqlite::{Connection, OptionalExtension, params};
use sequel_store::group_commit::Applied;
use sequel_store::{Batch, CommitError, Expect, Lane, Revision, Write};

use crate::fault;

/// Commit ids that a scope remembers, newest first; the trait promises 64.
const COMMITS_KEPT: u64 = 64;
/// Tombstones that a scope keeps at least; the oldest beyond it are forgotten, and `changes` from
/// before them is a gap.
const TOMBSTONES_KEPT: u32 = 1024;
/// Tombstones are counted at every 64th commit of a scope, so at most 64 × 256 more are there.
const FORGET_EVERY: u64 = 64;

/// Applies `batch` inside a savepoint. The inner error is the batch's own: the transaction is as it
/// was before. The outer one is the transaction's: it may hold half a batch, or be gone, and must
/// not be committed.
pub(crate) fn apply(
    connection: &Connection,
    batch: &Batch,
) -> rusqlite::Result<Result<Applied, CommitError>> {
    let run = |sql| connection.prepare_cached(sql).and_then(|mut statement| statement.execute([]));
    run("SAVEPOINT batch")?;
    let applied = within(connection, batch);
    if connection.is_autocommit() {
        // SQLite gave the whole transaction up, and with it the batches before this one.
        let code = match applied {
            Err(CommitError::Full) => SQLITE_FULL,
            _ => SQLITE_IOERR,
        };
        return Err(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None));
    }
    if applied.is_err() {
        run("ROLLBACK TO batch")?;
    }
    run("RELEASE batch")?;
    Ok(applied)
}

fn within(connection: &Connection, batch: &Batch) -> Result<Applied, CommitError> {
    let known: Option<(i64, u64)> = connection
        .prepare_cached("SELECT id, revision FROM scopes WHERE name = ?1")
        .and_then(|mut statement| {
            statement.query_row([batch.scope.as_str()], |row| Ok((row.get(0)?, row.get(1)?))).optional()
        })
        .map_err(fault::refused)?;
    let now = known.map_or(0, |(_, revision)| revision);
    let revision = match batch.lane {
        Lane::Log => now,
        Lane::State { at, .. } => {
            if let Some((scope, _)) = known
                && let Some(revision) = repeated(connection, scope, batch).map_err(fault::refused)?
            {
                return Ok(Applied { revision: Revision(revision), moved: false });
            }
            let holds = at.is_none_or(|at| at.0 == now)
                && expectations_hold(connection, known.map(|(scope, _)| scope), &batch.expects)
                    .map_err(fault::refused)?;
            if !holds {
                return Err(CommitError::Conflict { now: Revision(now) });
            }
            now + 1
        }
    };
    write(connection, batch, known.map(|(scope, _)| scope), revision).map_err(fault::refused)?;
    Ok(Applied { revision: Revision(revision), moved: revision != now })
}

/// The revision that this very batch had when it was committed before.
fn repeated(connection: &Connection, scope: i64, batch: &Batch) -> rusqlite::Result<Option<u64>> {
    connection
        .prepare_cached("SELECT revision FROM commits WHERE scope = ?1 AND id = ?2")?
        .query_row(params![scope, batch.id.0], |row| row.get(0))
        .optional()
}

fn expectations_hold(
    connection: &Connection,
    scope: Option<i64>,
    expects: &[Expect],
) -> rusqlite::Result<bool> {
    let mut statement = connection
        .prepare_cached("SELECT revision FROM records WHERE scope = ?1 AND key = ?2 AND value IS NOT NULL")?;
    for expect in expects {
        let (key, wanted) = match expect {
            Expect::Absent(key) => (key, None),
            Expect::At(key, revision) => (key, Some(revision.0)),
        };
        let found: Option<u64> = match scope {
            Some(scope) => {
                statement.query_row(params![scope, key.as_bytes()], |row| row.get(0)).optional()?
            }
            None => None,
        };
        if found != wanted {
            return Ok(false);
        }
    }
    Ok(true)
}

fn write(connection: &Connection, batch: &Batch, scope: Option<i64>, revision: u64) -> rusqlite::Result<()> {
    let state = batch.lane != Lane::Log;
    let scope = match scope {
        Some(scope) => {
            if state {
                connection
                    .prepare_cached("UPDATE scopes SET revision = ?2 WHERE id = ?1")?
                    .execute(params![scope, revision])?;
            }
            scope
        }
        None => {
            connection
                .prepare_cached("INSERT INTO scopes (name, revision) VALUES (?1, ?2)")?
                .execute(params![batch.scope.as_str(), revision])?;
            connection.last_insert_rowid()
        }
    };
    for write in &batch.writes {
        let (key, value): (_, Option<&Bytes>) = match write {
            Write::Put(key, value) => (key, Some(value)),
            Write::Delete(key) => (key, None),
        };
        if value.is_none() && !state {
            // The log lane is in no delta, so its deletions need no tombstone.
            connection
                .prepare_cached("DELETE FROM records WHERE scope = ?1 AND key = ?2")?
                .execute(params![scope, key.as_bytes()])?;
            continue;
        }
        connection
            .prepare_cached("INSERT OR REPLACE INTO records (scope, key, value, revision, lane) VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![scope, key.as_bytes(), value.map(|value| &value[..]), revision, i32::from(!state)])?;
    }
    if state {
        connection
            .prepare_cached(
                "INSERT OR REPLACE INTO commits (scope, slot, revision, id) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![scope, revision % COMMITS_KEPT, revision, batch.id.0])?;
        if revision.is_multiple_of(FORGET_EVERY) {
            forget_tombstones(connection, scope)?;
        }
    }
    Ok(())
}

fn forget_tombstones(connection: &Connection, scope: i64) -> rusqlite::Result<()> {
    let newest_forgotten: Option<u64> = connection
        .prepare_cached(
            "SELECT revision FROM records WHERE scope = ?1 AND value IS NULL ORDER BY revision DESC LIMIT 1 OFFSET ?2",
        )?
        .query_row(params![scope, TOMBSTONES_KEPT], |row| row.get(0))
        .optional()?;
    let Some(revision) = newest_forgotten else {
        return Ok(());
    };
    connection
        .prepare_cached("DELETE FROM records WHERE scope = ?1 AND value IS NULL AND revision <= ?2")?
        .execute(params![scope, revision])?;
    connection
        .prepare_cached("UPDATE scopes SET forgotten = ?2 WHERE id = ?1")?
        .execute(params![scope, revision])?;
    Ok(())
}
