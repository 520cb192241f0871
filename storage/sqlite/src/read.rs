//! What readers ask: one record, a page, a delta, a whole consistent cut.
//!
//! Each read sees one snapshot. Knows nothing of threads.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use sequel_store::{
    Changes, Exported, Key, KeyRange, Page, READ_BYTES_MAX, ReadError, Record, Revision, ScanLimit, Scope,
};
use tokio::sync::{mpsc, oneshot};

use crate::fault;

/// Keys in one delta; a reader that is further behind loads afresh, in pages.
const DELTA_KEYS_MAX: usize = 4096;
/// Records in one page, whatever is asked.
const PAGE_RECORDS_MAX: usize = 10_000;

/// The record at `key`.
pub(crate) fn get(connection: &Connection, scope: &Scope, key: Key) -> Result<Option<Record>, ReadError> {
    let found = connection
        .prepare_cached(
            "SELECT r.value, r.revision FROM scopes s JOIN records r ON r.scope = s.id
             WHERE s.name = ?1 AND r.key = ?2 AND r.value IS NOT NULL",
        )
        .and_then(|mut statement| {
            statement
                .query_row(params![scope.as_str(), key.as_bytes()], |row| Ok((blob(row, 0)?, row.get(1)?)))
                .optional()
        })
        .map_err(fault::read)?;
    Ok(found.map(|(value, revision)| Record { key, value, revision: Revision(revision) }))
}

/// One page.
pub(crate) fn scan(
    connection: &mut Connection,
    scope: &Scope,
    range: &KeyRange,
    limit: ScanLimit,
) -> Result<Page, ReadError> {
    let snapshot = connection.transaction().map_err(fault::read)?;
    let Some(state) = scope_state(&snapshot, scope)? else {
        return Ok(Page { records: Vec::new(), next: None, revision: Revision(0) });
    };
    let most = limit.records.clamp(1, PAGE_RECORDS_MAX);
    let (from, to) = range.half_open();
    let mut statement = snapshot
        .prepare_cached(
            "SELECT key, value, revision FROM records
             WHERE scope = ?1 AND key >= ?2 AND key < ?3 AND value IS NOT NULL ORDER BY key LIMIT ?4",
        )
        .map_err(fault::read)?;
    let mut rows = statement.query(params![state.id, from, to, most + 1]).map_err(fault::read)?;
    let mut page = Page { records: Vec::new(), next: None, revision: Revision(state.revision) };
    let mut bytes = 0;
    while let Some(row) = rows.next().map_err(fault::read)? {
        if page.records.len() == most || bytes >= READ_BYTES_MAX {
            page.next = page.records.last().map(|record| record.key.clone());
            break;
        }
        let record = record(row)?;
        bytes += record.key.as_bytes().len() + record.value.len();
        page.records.push(record);
    }
    Ok(page)
}

/// What moved since `after`.
pub(crate) fn changes(
    connection: &mut Connection,
    scope: &Scope,
    after: Revision,
) -> Result<Changes, ReadError> {
    let snapshot = connection.transaction().map_err(fault::read)?;
    let state = scope_state(&snapshot, scope)?.unwrap_or_default();
    // Ahead of the store: it was restored from a backup beneath the reader.
    if after.0 > state.revision || after.0 < state.forgotten {
        return Ok(Changes::Gap);
    }
    let mut statement = snapshot
        .prepare_cached(
            "SELECT key, value, revision FROM records
             WHERE scope = ?1 AND lane = 0 AND revision > ?2 ORDER BY key LIMIT ?3",
        )
        .map_err(fault::read)?;
    let mut rows = statement.query(params![state.id, after.0, DELTA_KEYS_MAX + 1]).map_err(fault::read)?;
    let mut records = Vec::new();
    let mut bytes = 0;
    while let Some(row) = rows.next().map_err(fault::read)? {
        if records.len() == DELTA_KEYS_MAX || bytes >= READ_BYTES_MAX {
            return Ok(Changes::Gap);
        }
        let deleted = matches!(row.get_ref(1).map_err(fault::read)?, rusqlite::types::ValueRef::Null);
        let (key, record) = if deleted {
            (key(row)?, None)
        } else {
            let record = record(row)?;
            (record.key.clone(), Some(record))
        };
        bytes += key.as_bytes().len() + record.as_ref().map_or(0, |record| record.value.len());
        records.push((key, record));
    }
    Ok(Changes::Delta { to: Revision(state.revision), records })
}

/// Every live record at one moment, sent to `records` until the reader goes away. `begun` is told
/// once the cut is fixed.
pub(crate) fn export(
    mut connection: Connection,
    begun: oneshot::Sender<Result<(), ReadError>>,
    records: &mpsc::Sender<Result<Exported, ReadError>>,
) {
    let snapshot = connection.transaction().map_err(fault::read).and_then(|snapshot| {
        // BEGIN alone fixes nothing; the first read does.
        snapshot
            .query_row("SELECT count(*) FROM (SELECT 1 FROM scopes LIMIT 1)", [], |_| Ok(()))
            .map_err(fault::read)?;
        Ok(snapshot)
    });
    let snapshot = match snapshot {
        Ok(snapshot) => snapshot,
        Err(error) => return drop(begun.send(Err(error))),
    };
    if begun.send(Ok(())).is_err() {
        return;
    }
    if let Err(error) = export_all(&snapshot, records) {
        let _ = records.blocking_send(Err(error));
    }
}

fn export_all(
    snapshot: &Transaction<'_>,
    records: &mpsc::Sender<Result<Exported, ReadError>>,
) -> Result<(), ReadError> {
    let mut statement = snapshot
        .prepare(
            "SELECT r.key, r.value, r.revision, s.name FROM scopes s CROSS JOIN records r ON r.scope = s.id
             WHERE r.value IS NOT NULL ORDER BY s.name, r.key",
        )
        .map_err(fault::read)?;
    let mut rows = statement.query([]).map_err(fault::read)?;
    while let Some(row) = rows.next().map_err(fault::read)? {
        let name: String = row.get(3).map_err(fault::read)?;
        let scope =
            Scope::parse(&name).map_err(|_| ReadError::Damaged(format!("a scope is named {name:?}")))?;
        if records.blocking_send(Ok(Exported { scope, record: record(row)? })).is_err() {
            break;
        }
    }
    Ok(())
}

#[derive(Default)]
struct ScopeState {
    id: i64,
    revision: u64,
    forgotten: u64,
}

fn scope_state(connection: &Connection, scope: &Scope) -> Result<Option<ScopeState>, ReadError> {
    connection
        .prepare_cached("SELECT id, revision, forgotten FROM scopes WHERE name = ?1")
        .and_then(|mut statement| {
            statement
                .query_row([scope.as_str()], |row| {
                    Ok(ScopeState { id: row.get(0)?, revision: row.get(1)?, forgotten: row.get(2)? })
                })
                .optional()
        })
        .map_err(fault::read)
}

fn record(row: &Row<'_>) -> Result<Record, ReadError> {
    let value = blob(row, 1).map_err(fault::read)?;
    let revision = row.get(2).map_err(fault::read)?;
    Ok(Record { key: key(row)?, value, revision: Revision(revision) })
}

fn key(row: &Row<'_>) -> Result<Key, ReadError> {
    let bytes = blob(row, 0).map_err(fault::read)?;
    Key::new(bytes).map_err(|error| ReadError::Damaged(error.to_string()))
}

fn blob(row: &Row<'_>, column: usize) -> rusqlite::Result<Bytes> {
    Ok(Bytes::copy_from_slice(row.get_ref(column)?.as_blob()?))
}
